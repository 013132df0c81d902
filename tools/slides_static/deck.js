/* Formulas first, then letters as large as the page allows, then the show. */
const STEPS = [[28, 20, 24], [26, 20, 22], [25, 19, 21], [24, 18, 20], [23, 17, 20], [22, 17, 19],
  [21, 16, 19], [20, 15, 18], [20, 15, 17]];  // text, code, tables

function fits(page) {
  const body = page.querySelector(".body"), edge = page.getBoundingClientRect();
  if (!body) return true;
  const inside = [...body.querySelectorAll(".left > *, .right, .body > *")];
  return body.scrollHeight <= body.clientHeight + 1 && body.scrollWidth <= body.clientWidth + 1
    && page.scrollHeight <= page.clientHeight + 1
    && inside.every(e => e.getBoundingClientRect().bottom <= edge.bottom - 30
      && e.getBoundingClientRect().top >= edge.top
      && e.scrollWidth <= e.clientWidth + 1);
}

function fit(page) {
  for (const [text, code, table] of STEPS) {
    page.style.setProperty("--size", text + "px");
    page.style.setProperty("--code", code + "px");
    page.style.setProperty("--table", table + "px");
    if (fits(page)) return;
  }
}

async function begin() {
  if (window.MathJax) await MathJax.startup.promise;
  await Promise.all([...document.images].map(image => image.decode().catch(() => null)));
  await document.fonts.ready;
  document.querySelectorAll(".page").forEach(fit);
  document.body.classList.remove("measuring");
  await Reveal.initialize({width: 1280, height: 720, margin: 0, minScale: 0.1, maxScale: 4,
    center: false, hash: true, slideNumber: "c/t", transition: "none",
    backgroundTransition: "none", pdfSeparateFragments: false, plugins: [RevealNotes]});
  document.documentElement.dataset.ready = "yes";
}
begin();
