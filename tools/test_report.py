#!/usr/bin/env python3
"""Does a report look right in a real browser, without network, on a phone and on paper?

    python tools/test_report.py [OUT]

Writes three reports on drawn pictures into OUT (a temporary folder without it) and opens
each from the disk in Chromium with the network off, 390 and 1400 pixels wide, light and
dark, and prints it as A4. OUT then holds the reports, screenshots and PDFs. It needs the
package `playwright` and a Chromium (Debian: /usr/bin/chromium; another one: CHROMIUM=path);
without them it says how to get them and ends with status 2.
"""
import re
import shutil
import sys
import tempfile
from pathlib import Path

from browser import chromium

WIDTHS = {"phone": (390, 844), "desk": (1400, 900)}
HOSTILE = "<img src=x onerror=alert(1)>&.png"

FACTS = """() => {
  const light = c => { const f = c.map(v => (v /= 255) <= .03928 ? v / 12.92
                         : ((v + .055) / 1.055) ** 2.4);
                       return .2126 * f[0] + .7152 * f[1] + .0722 * f[2] };
  const colour = s => s.match(/[\\d.]+/g).map(Number);
  const behind = e => { for (; e; e = e.parentElement) {
      const c = colour(getComputedStyle(e).backgroundColor);
      if (c.length < 4 || c[3]) return c.slice(0, 3) } return [255, 255, 255] };
  const contrast = e => { const a = light(colour(getComputedStyle(e).color).slice(0, 3)),
      b = light(behind(e)); return (Math.max(a, b) + .05) / (Math.min(a, b) + .05) };
  const all = s => [...document.querySelectorAll(s)];
  const own = e => [...e.childNodes].some(n => n.nodeType == 3 && n.textContent.trim());
  const ids = new Set(all('[id]').map(e => '#' + e.id));
  return {
    scroll: document.documentElement.scrollWidth, inner: innerWidth,
    broken: all('img').filter(e => !e.naturalWidth).length, images: all('img').length,
    noalt: all('img:not([alt]), img[alt=""], svg:not([aria-label])').length,
    stretched: all('.views img').filter(e => getComputedStyle(e).objectFit != 'contain').length,
    lost: all('a').filter(e => !ids.has(e.getAttribute('href'))).length,
    heads: all('h1').length, title: document.title,
    small: Math.min(...all('main *').filter(own).map(
        e => parseFloat(getComputedStyle(e).fontSize))),
    contrast: Math.min(...all('main *').filter(own).map(contrast)),
    paper: light(behind(document.body)),
  } }"""


def reports(out):
    "Write three reports into the folder `out`; their paths."
    from anomaly_nb.detector import MeanPicture
    from anomaly_nb.models import DFKDE, PatchCore
    from anomaly_nb.report import write_report
    from anomaly_nb.synthetic import Synthetic

    data = Synthetic("screw", size=128, n_train=44, n_good=12, n_bad=3, holdout=0.45,
                     root=out / "drawn")
    det = PatchCore("bundled", coreset=0.02).fit(data, progress=False)
    det.calibrate(data, fpr=0.1, progress=False)
    parts = out / "line 3"
    parts.mkdir(exist_ok=True)
    for k, path in enumerate(data.test.paths[-6:]):
        shutil.copy(path, parts / f"{'a very long name without a break '.replace(' ', '_')}{k}.png")
    shutil.copy(data.test.paths[0], parts / HOSTILE.replace("/", ""))
    (parts / "cut.png").write_bytes(data.test.paths[0].read_bytes()[:300])
    flat = DFKDE("bundled").fit(data, progress=False)
    mean = MeanPicture().fit(data, progress=False)
    return [write_report(det, data, out / "labelled.html", progress=False),
            write_report(det, parts, out / "own.html", progress=False),
            write_report(mean, parts, out / "loose.html", progress=False),
            write_report(flat, data, out / "flat.html", n=2, progress=False)]


def looked_at(browser, path, out, where, scheme):
    "Open `path` in a window as wide as `where` says; what is wrong with it, as texts."
    width, height = WIDTHS[where]
    context = browser.new_context(viewport=dict(width=width, height=height), offline=True,
                                  color_scheme=scheme, is_mobile=where == "phone",
                                  device_scale_factor=1)
    page, wrong = context.new_page(), []
    context.set_offline(True)

    def allow(route):
        if route.request.url.startswith(("file:", "data:")):
            route.continue_()
        else:
            wrong.append(f"asks for {route.request.url}")
            route.abort()

    page.route("**/*", allow)
    page.on("requestfailed", lambda r: wrong.append(f"failed: {r.url[:80]}"))
    page.on("console", lambda m: m.type in ("error", "warning") and wrong.append(m.text))
    page.on("pageerror", lambda e: wrong.append(str(e)))
    page.on("dialog", lambda d: (wrong.append(f"a dialog: {d.message}"), d.dismiss()))
    page.goto(path.as_uri(), wait_until="load")
    facts = page.evaluate(FACTS)
    checks = {"scrolls sideways": facts["scroll"] > facts["inner"],
              "images that do not show": facts["broken"], "no images": not facts["images"],
              "images without a text": facts["noalt"], "links that lead nowhere": facts["lost"],
              "not one h1": facts["heads"] != 1, "no title": not facts["title"],
              "images out of shape": facts["stretched"],
              "letters under 12 pixels": facts["small"] < 12,
              "contrast under 4.5": facts["contrast"] < 4.5,
              "not dark, or not light": (facts["paper"] > 0.5) != (scheme == "light")}
    wrong += [f"{name} ({facts})" for name, bad in checks.items() if bad]
    page.screenshot(path=out / f"{path.stem}_{where}_{scheme}.png", full_page=True)
    if where == "desk" and scheme == "dark":         # paper is white for those, too
        pdf = page.pdf(path=out / f"{path.stem}.pdf", format="A4", prefer_css_page_size=True)
        pages = len(re.findall(rb"/Type\s*/Page\b", pdf))
        print(f"{path.stem}: {path.stat().st_size / 1e6:.2f} MB, {facts['images']} images, "
              f"{pages} pages of A4")
        wrong += [] if pages else ["no page was printed"]
    context.close()
    return [f"{path.name}, {where}, {scheme}: {w}" for w in wrong]


def main(out):
    out.mkdir(parents=True, exist_ok=True)
    wrong, paths = [], reports(out)
    with chromium() as browser:
        for path in paths:
            for where in WIDTHS:
                for scheme in ("light", "dark"):
                    wrong += looked_at(browser, path, out, where, scheme)
    print("\n".join(wrong) or f"{len(paths)} reports, {len(WIDTHS) * 2} ways each: all right")
    return int(bool(wrong))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(main(Path(sys.argv[1]).resolve()))
    with tempfile.TemporaryDirectory() as folder:
        sys.exit(main(Path(folder)))
