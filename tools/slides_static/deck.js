/* Formulas first, then letters as large as the page allows, then the show. */
const STEPS = [[32, 24, 26], [30, 23, 25], [28, 22, 24], [26, 21, 22], [25, 20, 21], [24, 19, 20],
  [23, 18, 20], [22, 17, 19], [21, 16, 19], [20, 15, 18], [20, 15, 17]];  // text, code, tables
const RESULTS = 15;  // pixels of a table of results that is too wide

function fits(page) {
  const body = page.querySelector(".body"), edge = page.getBoundingClientRect();
  const inside = [...page.querySelectorAll(".left > *, .body > *")];
  return body.scrollHeight <= body.clientHeight + 1
    && page.scrollHeight <= page.clientHeight + 1
    && inside.every(e => e.getBoundingClientRect().bottom <= edge.bottom - 30
      && e.getBoundingClientRect().top >= edge.top);
}

function wide(page, selector) {
  return [...page.querySelectorAll(selector)].some(e => e.scrollWidth > e.clientWidth + 1);
}

// A table that is too wide even in small letters loses its last columns, and says so.
function narrow(data) {
  let n = 0;
  while (data.scrollWidth > data.clientWidth + 1 && n < 50) {
    for (const row of data.querySelectorAll("tr")) row.lastElementChild?.remove();
    n += 1;
  }
  if (n) data.insertAdjacentHTML("beforeend", `<p class="rest">… ${n} more columns</p>`);
}

function fit(page) {
  const set = (name, size) => page.style.setProperty(name, size + "px");
  for (const [text, code, table] of STEPS) {
    set("--size", text);
    set("--code", code);
    set("--table", table);
    for (const e of page.querySelectorAll(".table"))
      if (e.scrollWidth > e.clientWidth + 1) e.classList.add("tight");
    for (let size = code; size > 15 && wide(page, "pre:not(.wrap)"); size--) set("--code", size - 1);
    for (let size = table; size > RESULTS && wide(page, ".data, .table"); size--) set("--table", size - 1);
    page.querySelectorAll(".data").forEach(narrow);
    if (fits(page)) break;
  }
  page.querySelectorAll("pre").forEach(e => e.scrollWidth > e.clientWidth + 1
    && e.classList.add("wrap"));
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
