#!/usr/bin/env python3
"""Does every slide fit, and can it be read, in a real browser without network?

    python tools/test_slides.py OUT [--pictures FOLDER] [--only NB ...]

OUT is what tools/slides.py wrote. Chromium opens every deck from the disk (file:, no server)
with the network off and goes through its slides at 1280 x 720: nothing outside the page or cut
off by a box, letters of at least TEXT, CELL and CODE pixels, figures large, pictures whole,
formulas set, no page of a heading alone, LEAST to MOST slides a deck, no error and no request
that fails or leaves the disk. At 960 x 700 a slide is the same one, smaller, and in view.

First the marks of the notebooks are tried: a second run of the rules changes nothing, what a
hand set stays, nothing but metadata is touched. Then a deck with every fault is shown, and each
must be found. FOLDER (default
out/slides_pictures) gets pictures of all slides, 20 to a sheet. Playwright drives Debian's
chromium; CHROMIUM in the environment names another one.
"""
import argparse
import copy
import io
import sys
import tempfile
import time
from pathlib import Path

import notebooks as tool
import slide_marks
from browser import chromium
from PIL import Image
from playwright.sync_api import TimeoutError as Late
from slides import MATHJAX

SIZE, SMALL = (1280, 720), (960, 700)
LEAST, MOST = 12, 25  # slides of a deck
TEXT, CELL, CODE = 20, 17, 15  # pixels of letters, in text, in tables, in code and results
WIDE, AREA = .5, .17  # share of the slide: of a figure's width or height, of its area, ...
FLAT = .85  # ... but for a flat one of this width
SHEET, ACROSS, THUMB = 20, 4, (480, 270)
PATIENCE = 60_000  # ms
LOCAL = ("file:", "data:", "blob:", "about:")

MEASURE = r"""
([TEXT, CELL, CODE, WIDE, AREA, FLAT]) => {
  const found = [], page = document.querySelector("section.present:not(.stack) .page");
  if (!page) return ["no page is shown"];
  const edge = page.getBoundingClientRect(), scale = edge.width / 1280, seen = new Set();
  const say = text => seen.has(text) || (seen.add(text), found.push(text));
  const excerpt = e => e.textContent.trim().replace(/\s+/g, " ").slice(0, 40);
  for (const e of page.querySelectorAll("*")) {
    if (e.closest("mjx-container") || e.closest("svg")) continue;
    if (e.matches(".page, .body, .left, .figure, .data, pre")
        && (e.scrollWidth > e.clientWidth + 1 || e.scrollHeight > e.clientHeight + 4))
      say(`does not fit: ${e.tagName}.${e.className} ${e.scrollWidth} x ${e.scrollHeight} in `
          + `${e.clientWidth} x ${e.clientHeight}`);
  }
  const walk = document.createTreeWalker(page, NodeFilter.SHOW_TEXT);
  let letters = 0;
  while (walk.nextNode()) {
    const node = walk.currentNode, parent = node.parentElement;
    if (!node.textContent.trim() || parent.closest("mjx-container, script, style")) continue;
    if (!parent.closest("h1, h2, .course")) letters += node.textContent.trim().length;
    const size = parseFloat(getComputedStyle(parent).fontSize);
    const least = parent.closest("pre, code, .data") ? CODE : parent.closest("table") ? CELL : TEXT;
    if (size < least - 0.05) say(`letters of ${size.toFixed(1)} pixels: ${excerpt(parent)}`);
    if (/\\\(|\\\[|\$\$/.test(node.textContent) && !parent.closest("pre, code"))
      say(`formula not set: ${excerpt(parent)}`);
    const range = document.createRange();
    range.selectNodeContents(node);
    for (const r of range.getClientRects())
      if (r.right > edge.right + 1 || r.bottom > edge.bottom + 1 || r.left < edge.left - 1
          || r.top < edge.top - 1)
        say(`outside the page: ${excerpt(parent.closest("pre, p, li, tr, h2") || parent)}`);
  }
  for (const e of page.querySelectorAll("mjx-container")) {
    const r = e.getBoundingClientRect();
    if (r.right > edge.right + 1 || r.bottom > edge.bottom + 1) say("a formula outside the page");
    if (!r.width || !e.querySelector("svg")) say("an empty formula");
  }
  if (page.querySelector("mjx-merror, [data-mjx-error]")) say("MathJax reports an error");
  for (const e of page.querySelectorAll("img")) {
    if (!e.complete || !e.naturalWidth) { say("a broken picture"); continue; }
    const r = e.getBoundingClientRect();
    const k = Math.min(r.width / e.naturalWidth, r.height / e.naturalHeight);
    const w = k * e.naturalWidth / edge.width, h = k * e.naturalHeight / edge.height;
    if (Math.max(w, h) < WIDE || w * h < AREA && w < FLAT)
      say(`a small figure: ${Math.round(100 * w)} % x ${Math.round(100 * h)} % of the page`);
    if (r.right > edge.right + 1 || r.bottom > edge.bottom + 1) say("a figure outside the page");
  }
  if (!letters && !page.querySelector("img, mjx-container") && !page.matches(".title"))
    say("nothing but a heading");
  return found;
}"""
VIEW = """() => { const r = document.querySelector("section.present:not(.stack) .page")
  .getBoundingClientRect(); return r.left >= -1 && r.top >= -1 && r.right <= innerWidth + 1
  && r.bottom <= innerHeight + 1 && r.width > 0.9 * innerWidth }"""

FAULTY = {  # what a page holds, and the word by which its fault is told
    "does not fit": '<pre class="code" style="white-space: pre">' + "x" * 300 + "</pre>",
    "outside the page": "<p>many words</p>" * 60,
    "letters of": '<p style="font-size: 12px">small</p>',
    "formula not set": "<p>\\(x^2\\)</p>",
    "MathJax reports": '<div class="math">\\(\\frac{1}\\)</div>',
    "broken picture": '<div class="figure"><img src="none.png"></div>',
    "small figure": '<img style="width: 40px" src="data:image/svg+xml,%3Csvg xmlns=\'http://www.'
                    'w3.org/2000/svg\' width=\'40\' height=\'40\'/%3E">',
    "nothing but": "<div></div>"}


def ruled(project):
    """What is wrong with the marks and the rules that propose them."""
    for path in [p for p in project.notebooks if p.parent == project.nbs]:
        stored = tool.read(path)
        unmarked = [c["id"] for c in stored["cells"] if "slideshow" not in c["metadata"]]
        if unmarked:
            yield (f"{path.stem}: {len(unmarked)} cells without a mark; run: "
                   f"tools/slides.py mark {path.stem}")
        once = slide_marks.mark(copy.deepcopy(stored))
        twice = slide_marks.mark(copy.deepcopy(once))
        if twice != once:
            yield f"{path.stem}: a second run of the rules changes marks"
        chosen = once["cells"][len(once["cells"]) // 2]["metadata"]["slideshow"]
        mine = chosen["slide_type"] = "notes" if chosen["rule"] != "notes" else "slide"
        again = slide_marks.mark(copy.deepcopy(once))["cells"]
        if again[len(again) // 2]["metadata"]["slideshow"]["slide_type"] != mine:
            yield f"{path.stem}: the rules undo a mark that was set by hand"
        for nb in (stored, once):
            for cell in nb["cells"]:
                cell["metadata"].pop("slideshow", None)
        if stored != once:
            yield f"{path.stem}: the rules change more than marks"


def opened(browser, wrong):
    """A page of a browser without network; what goes wrong on it is added to `wrong`."""
    context = browser.new_context(viewport=dict(width=SIZE[0], height=SIZE[1]), offline=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.on("request", lambda r: r.url.startswith(LOCAL) or wrong.append(f"asks for {r.url}"))
    page.on("requestfailed", lambda r: wrong.append(f"failed: {r.url[:120]}"))
    page.on("console", lambda m: m.type in ("error", "warning") and wrong.append(m.text[:200]))
    page.on("pageerror", lambda e: wrong.append(str(e)))
    return page


def shown(page, path):
    """Open the deck at `path`; the (h, v) of its slides."""
    page.set_viewport_size(dict(width=SIZE[0], height=SIZE[1]))
    page.goto(path.as_uri(), wait_until="load")
    page.wait_for_selector("html[data-ready=yes]", state="attached")
    return page.evaluate("() => Reveal.getSlides().map(s => { const i = Reveal.getIndices(s);"
                         " return [i.h, i.v || 0] })")


def looked_at(page, path, pictures=None):
    """[(number of the slide, problem)] of a deck, and how many slides it has."""
    found, taken, slides = [], [], shown(page, path)
    for n, (h, v) in enumerate(slides, 1):
        page.evaluate("([h, v]) => Reveal.slide(h, v, 99)", [h, v])
        found += [(n, x) for x in page.evaluate(MEASURE, [TEXT, CELL, CODE, WIDE, AREA, FLAT])]
        if pictures:
            taken.append(page.screenshot(type="jpeg", quality=90))
    page.set_viewport_size(dict(width=SMALL[0], height=SMALL[1]))
    try:
        page.wait_for_function(VIEW, timeout=5000)  # reveal.js waits a moment, too
    except Late:
        found.append((n, "not in view at {} x {}".format(*SMALL)))
    for i in range(0, len(taken), SHEET):
        sheet(taken[i:i + SHEET]).save(pictures / f"{path.stem}_{i // SHEET + 1}.png")
    return found, len(slides)


def sheet(taken):
    """A sheet of pictures of slides, ACROSS in a row."""
    width, height = THUMB
    rows = -(-len(taken) // ACROSS)
    whole = Image.new("RGB", (ACROSS * (width + 8) + 8, rows * (height + 8) + 8), "#888")
    for i, data in enumerate(taken):
        with Image.open(io.BytesIO(data)) as image:
            whole.paste(image.resize(THUMB, Image.Resampling.LANCZOS),
                        (8 + i % ACROSS * (width + 8), 8 + i // ACROSS * (height + 8)))
    return whole


def overlooked(browser, out):
    """The faults of FAULTY that the measurement does not find on a deck made of them."""
    head = (next(p for p in sorted(out.glob("*.html"))).read_text(encoding="utf-8")
            .partition('<div class="reveal">')[0])
    pages = "".join(f'<section><div class="page"><h2>A heading</h2><div class="body">{x}</div>'
                    "</div></section>" for x in FAULTY.values())
    text = (f'{head}<div class="reveal"><div class="slides">{pages}</div></div>'
            '<script src="assets/reveal.js"></script><script src="assets/notes.js"></script>'
            f'{MATHJAX}<script src="assets/deck.js"></script></body></html>')
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "assets").symlink_to((out / "assets").resolve())
        path = Path(folder, "faulty.html")
        path.write_text(text, encoding="utf-8")
        page = opened(browser, wrong := [])
        found, _ = looked_at(page, path)
        page.context.close()
    missed = [f"a fault on purpose is not found: {key}" for n, key in enumerate(FAULTY, 1)
              if not any(m == n and key in text for m, text in found)]
    return missed + ["a file that is missing is not noted"] * (not any("none.png" in w
                                                                       for w in wrong))


def main(argv=None):
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT", nargs="?", default=Path("out/slides"))
    parser.add_argument("--pictures", type=Path, default=Path("out/slides_pictures"))
    parser.add_argument("--only", nargs="*", metavar="NB", help="starts of names (default: all)")
    args = parser.parse_args(argv)
    paths, start, total = sorted(args.out.resolve().glob("*.html")), time.time(), 0
    if args.only:
        paths = [p for p in paths if p.stem.startswith(tuple(args.only))]
    if not paths:
        print(f"{args.out}: no slides here; run: make slides")
        return 2
    args.pictures.mkdir(parents=True, exist_ok=True)
    project = tool.Project(Path(__file__).resolve().parent.parent)
    found = list(ruled(project))
    print("\n".join(found) or "marks: all right")
    with chromium() as browser:
        missed = overlooked(browser, args.out)
        print("\n".join(missed) or "faults on purpose: all found", flush=True)
        found += missed
        for path in paths:
            page = opened(browser, wrong := [])
            problems, n = looked_at(page, path, args.pictures)
            page.context.close()
            total += n
            problems = [f"{path.stem} {k}: {x}" for k, x in problems]
            problems += [f"{path.stem}: {w}" for w in dict.fromkeys(wrong)]
            if not LEAST <= n <= MOST:
                problems.append(f"{path.stem}: {n} slides, not {LEAST} to {MOST}")
            print("\n".join(problems) or f"{path.stem}: {n} slides", flush=True)
            found += problems
    print(f"{len(paths)} decks, {total} slides in {time.time() - start:.0f} s: "
          + (f"{len(found)} problems" if found else "all right"))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
