#!/usr/bin/env python3
"""Is the site whole, and readable in a real browser without network?

    python tools/test_site.py OUT [--pictures FOLDER] [--only NAME ...] [--examine NAME ...]

OUT is what tools/site.py wrote. Its files are parsed for links that lead nowhere. Then
Chromium opens every page from the disk (file:, no server; the search works there, too) with
the network off, at 1400 and at 390 pixels: no request that fails or leaves the disk, no
console error, no page that scrolls sideways, no formula that is not set, no picture without
a text. A sample (`--examine`: those pages, and all of them without a name) is opened light and
dark at both widths, examined by axe-core, and shown in FOLDER. First of all a page with every
fault is shown, and each must be found.

Needs the extra `site` of settings.ini, axe-core (`make site` installs both) and a Chromium
(Debian: /usr/bin/chromium; another one: CHROMIUM=path).
"""
import argparse
import posixpath
import re
import sys
import tempfile
import time
import urllib.parse
from html.parser import HTMLParser
from pathlib import Path

import notebooks as tool
from browser import chromium

AXE = "node_modules/axe-core/axe.min.js"
DESK, PHONE = (1400, 900), (390, 844)
SAMPLE = ("index", "06_detector", "12_padim", "13_patchcore", "90_notation", "42_benchmark",
          "solutions/10_dfkde", "api/detector")
LOCAL = ("file:", "data:", "blob:")
PATIENCE = 120_000  # ms, on a machine that others use, too

FACTS = """async () => {
  const within = promise => Promise.race([promise, new Promise(r => setTimeout(r, 20000))]);
  await within(document.fonts.ready);
  if (window.MathJax && MathJax.startup) await within(MathJax.startup.promise);
  const all = s => [...document.querySelectorAll(s)];
  for (const e of all('img')) e.loading = 'eager';
  await within(Promise.all(all('img').map(e => e.decode().catch(() => 0))));
  return {
    broken: all('img').filter(e => !e.naturalWidth).map(e => e.src),
    noalt: all('img:not([alt]), .cell_output img[alt=""]').map(e => e.src),
    unset: all('.math').filter(e => !e.querySelector('mjx-container'))
        .map(e => e.textContent.slice(0, 60)),
    wrong: all('mjx-merror, [data-mjx-error]').map(e => e.textContent.slice(0, 60)),
    heads: all('h1').filter(e => e.offsetParent).length,
    images: all('.cell_output img').length,
  } }"""

WIDTH = """() => {
  const wide = document.documentElement.scrollWidth - innerWidth;
  const boxed = e => { for (e = e.parentElement; e && e != document.body; e = e.parentElement)
      if (getComputedStyle(e).overflowX != 'visible') return true; return false };
  const who = wide <= 0 ? [] : [...document.querySelectorAll('body *')].filter(
      e => e.getBoundingClientRect().right > innerWidth + 1 && !boxed(e)).slice(0, 3);
  return {wide, who: who.map(e => e.outerHTML.slice(0, 90))} }"""

FAULTY = {  # what is put into a page with formulas, and the word by which its fault is told
    "none.png": '<img src="none.png" alt="x">',
    "unset": '<span class="math"></span>',
    "wrong": '<span class="math">\\(\\frac{1}\\)</span>',
    "too wide": '<p style="width: 3000px">wide</p>',
    "2 h1": "<h1>Another title</h1>",
    "error on purpose": "<script>throw Error('error on purpose')</script>",
    "asks for": '<img src="http://localhost/none.png" alt="x">',
    "color-contrast": '<p style="color: #bbb; background: #fff">faint</p>',
    "noalt": '<img src="_static/file.png">',
    "image-alt": '<img src="_static/plus.png">',
    "button-name": "<button></button>",
    "none.html: no such file": '<a href="none.html">a link</a>',
    "#nowhere: no such place": '<a href="#nowhere">a link</a>'}


class Page(HTMLParser):
    """What a page links to, and where it can be linked to."""

    def __init__(self, text):
        super().__init__()
        self.targets, self.ids, self.words = [], set(), text
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids |= {attrs[k] for k in ("id", "name") if attrs.get(k)}
        if tag != "template":
            self.targets += [attrs[k] for k in ("href", "src") if attrs.get(k)]


def dead_links(out, project):
    """Links of the pages below `out` that lead nowhere, and things fetched from elsewhere."""
    pages = {p.relative_to(out).as_posix(): Page(p.read_text(encoding="utf-8"))
             for p in out.rglob("*.html")}
    url = re.escape(tool.addresses(project)[1][1])
    colab = re.escape(tool.addresses(project)[0][1])
    own = re.compile(rf"(?:{url}/(?:blob|tree)/{project.settings['branch']}/|{colab})([^#?]*)")
    found = []
    for name, page in pages.items():
        for target in set(page.targets):
            if mine := own.match(target):
                if not (project.root / urllib.parse.unquote(mine[1])).exists():
                    found.append(f"{name}: {target}: not in the repository")
            if not tool.is_relative(target):
                continue
            path, _, anchor = target.partition("#")
            path = urllib.parse.unquote(path.split("?")[0])
            goal = posixpath.normpath(posixpath.join(posixpath.dirname(name), path)) \
                if path else name
            if goal in pages:
                if anchor and urllib.parse.unquote(anchor) not in pages[goal].ids:
                    found.append(f"{name}: {target}: no such place")
            elif not (out / goal).is_file():
                found.append(f"{name}: {target}: no such file")
        found += [f"{name}: fetches {x}" for x in re.findall(
            r'<(?:script|img|iframe|link rel="stylesheet")[^>]*(?:src|href)="(https?:[^"]+)',
            page.words)]
    return found, sum(len(p.targets) for p in pages.values())


def opened(browser, wrong, size=DESK, scheme="light"):
    """A page of a browser without network; what goes wrong on it is added to `wrong`."""
    context = browser.new_context(viewport=dict(width=size[0], height=size[1]), offline=True,
                                  color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.on("request", lambda r: r.url.startswith(LOCAL) or wrong.append(f"asks for {r.url}"))
    page.on("requestfailed", lambda r: wrong.append(f"failed: {r.url[:120]}"))
    page.on("console", lambda m: m.type in ("error", "warning") and wrong.append(m.text))
    page.on("pageerror", lambda e: wrong.append(str(e)))
    return page


def looked_at(page, path, wrong):
    """Open `path` and add to `wrong` what is wrong with it at both widths; its facts."""
    page.set_viewport_size(dict(width=DESK[0], height=DESK[1]))
    page.goto(path.as_uri(), wait_until="load")
    facts = page.evaluate(FACTS)
    wrong += [f"{key}: {facts[key]}" for key in ("broken", "noalt", "unset", "wrong")
              if facts[key]]
    wrong += [f"{facts['heads']} h1"] * (facts["heads"] != 1 and path.stem != "search")
    for width, height in (DESK, PHONE):
        page.set_viewport_size(dict(width=width, height=height))
        seen = page.evaluate(WIDTH)
        if seen["wide"] > 0:
            wrong.append(f"{width} pixels: {seen['wide']} too wide: {seen['who']}")
    return facts


def examined(page, axe):
    """The serious and critical findings of axe-core on the open page."""
    page.add_script_tag(path=axe)
    found = page.evaluate(
        "() => axe.run(document, {preload: false, resultTypes: ['violations']})")
    return [f"axe: {v['impact']} {v['id']}: {len(v['nodes'])} x {v['nodes'][0]['html'][:120]} "
            f"{v['nodes'][0]['failureSummary'].splitlines()[1].strip()[:160]}"
            for v in found["violations"] if v["impact"] in ("serious", "critical")]


def overlooked(browser, out, project, axe):
    """The faults of FAULTY that are not found on a page that has them all."""
    text = (out / "90_notation.html").read_text(encoding="utf-8")
    text = text.replace("</article>", "\n".join(FAULTY.values()) + "</article>")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "_static").symlink_to(out / "_static")
        path = Path(folder, "faulty.html")
        path.write_text(text, encoding="utf-8")
        page = opened(browser, wrong := [])
        looked_at(page, path, wrong)
        wrong += examined(page, axe) + dead_links(Path(folder), project)[0]
        page.context.close()
    return [f"a fault on purpose is not found: {key}" for key in FAULTY
            if not any(key in w for w in wrong)]


def search(browser, out, pictures):
    """What is wrong with a search for "coreset", from the front page's button."""
    from playwright.sync_api import TimeoutError as Late

    wrong = []
    page = opened(browser, wrong)
    page.goto((out / "index.html").as_uri())
    page.locator(".search-button__button:visible").first.click()
    page.locator("dialog input[type=search], .search-button__search-container input"
                 ).first.fill("coreset")
    page.keyboard.press("Enter")
    try:
        page.wait_for_selector("#search-results li a")
        page.wait_for_timeout(1000)  # hits come one by one
    except Late as e:
        wrong.append(str(e))
    hits = page.eval_on_selector_all("#search-results li a",
                                     "all => all.map(e => e.getAttribute('href'))")
    page.screenshot(path=pictures / "search.png")
    print(f"search: {len(hits)} hits, first {hits[:3]}")
    wrong += ["13_patchcore is not found"] * (not any("13_patchcore" in h for h in hits))
    page.context.close()
    return [f"search: {w}" for w in wrong]


def main(argv=None):
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT")
    parser.add_argument("--pictures", type=Path, default=Path("out/site_pictures"))
    parser.add_argument("--only", nargs="*", metavar="NAME", help="pages (default: all)")
    parser.add_argument("--examine", nargs="*", metavar="NAME", default=SAMPLE,
                        help="pages for axe-core; all of them without a name")
    parser.add_argument("--npm", type=Path, help="the folder of node_modules (.venv/npm)")
    args = parser.parse_args(argv)
    project, out = tool.Project(Path(__file__).resolve().parent.parent), args.out.resolve()
    start, axe = time.time(), (args.npm or project.root / ".venv" / "npm") / AXE
    args.pictures.mkdir(parents=True, exist_ok=True)
    found = []

    def note(texts):
        """Keep problems, and tell them at once."""
        found.extend(texts)
        for text in texts:
            tool.say(text)

    paths = sorted(p for p in out.rglob("*.html") if "_static" not in p.parts
                   and p.relative_to(out).parts[0] != "slides")
    sample = [out / f"{name}.html" for name in args.examine] or paths
    if args.only is not None:
        paths = [p for p in paths if p.stem in args.only]
        sample = [p for p in sample if p.stem in args.only]
    lacking = [p for p in [axe, *sample] if not p.exists()]
    if lacking or not paths:
        print(f"missing: {', '.join(map(str, lacking)) or 'pages'}; run: make site")
        return 2
    images = 0
    with chromium() as browser:
        note(missed := overlooked(browser, out, project, axe))
        tool.say(f"faults on purpose: {len(FAULTY) - len(missed)} of {len(FAULTY)} found")
        problems, links = dead_links(out, project)
        note(problems)
        wrong = []
        page = opened(browser, wrong)
        for i, path in enumerate(paths):
            if i % 20 == 0:
                print(f"page {i} of {len(paths)}, {time.time() - start:.0f} s", flush=True)
            wrong.clear()  # the handlers of the page add to this very list
            images += looked_at(page, path, wrong)["images"]
            note([f"{path.relative_to(out)}: {w}" for w in wrong])
        page.context.close()
        for path in sample:
            name = path.relative_to(out).with_suffix("").as_posix()
            for size in (DESK, PHONE):
                for scheme in ("light", "dark"):
                    wrong = []
                    page = opened(browser, wrong, size, scheme)
                    page.goto(path.as_uri(), wait_until="load")
                    page.evaluate(FACTS)
                    wrong += examined(page, axe)
                    page.screenshot(full_page=True, path=args.pictures
                                    / f"{name.replace('/', '_')}_{size[0]}_{scheme}.png")
                    page.context.close()
                    note([f"{name}, {size[0]}, {scheme}: {w}" for w in wrong])
            print(f"{name}: examined, {time.time() - start:.0f} s", flush=True)
        note(search(browser, out, args.pictures))
    print(f"{len(paths)} pages, {links} links, {images} figures in {time.time() - start:.0f} s: "
          + (f"{len(found)} problems" if found else "all right"))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
