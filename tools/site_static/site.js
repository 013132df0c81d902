// A page opened from the disk may not fetch others: search then lists titles without excerpts.
DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = location.protocol !== "file:";

// Names for screen readers where the theme has none, or another one than it shows.
document.addEventListener("DOMContentLoaded", () => {
  for (const button of document.querySelectorAll(".search-button-field"))
    button.removeAttribute("aria-label");
  for (const toggle of document.querySelectorAll(".bd-links summary")) {
    const link = toggle.closest("li").querySelector("a");
    toggle.setAttribute("aria-label", "Pages of " + (link ? link.textContent.trim() : "this part"));
  }
});

// What folds has a title of its own; the theme's label for all of them hides it from readers.
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll('summary[aria-label="Toggle hidden content"]').forEach(s => s.removeAttribute("aria-label"));
});
