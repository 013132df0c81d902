#!/usr/bin/env python3
"""The main path of every notebook as slides that are shown without network: `make slides`.

    python tools/slides.py OUT [NB ...]      write OUT/NAME.html (default OUT: out/slides)
    python tools/slides.py mark [NB ...]     propose which cells are on slides

What is on a slide stands in the metadata of cells (`slideshow.slide_type`), which JupyterLab
shows and changes in its property inspector. `mark` writes it by rules (tools/slide_marks.py),
the same each time, into nbs/*.ipynb; marks that were set by hand stay. Nothing is executed:
figures and results are the stored ones. Press S for the speaker's notes, which have the whole
text and the code; add ?print-pdf to the address to print.

Needs the extra `site` of settings.ini; reveal.js and MathJax from npm: `make slides`.
"""
import argparse
import html
import re
import shutil
import string
import sys
import time
from pathlib import Path

import notebooks as tool
import slide_marks
import slide_pages
import slide_text
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

STATIC = Path(__file__).with_name("slides_static")
ASSETS = {"reveal.js": ["dist/reveal.js", "dist/reveal.css", "plugin/notes/notes.js", "LICENSE"],
          "mathjax": ["es5/tex-svg-full.js", "LICENSE"]}
MATHJAX = r"""<script>window.MathJax = {tex: {inlineMath: [["\\(", "\\)"]],
  displayMath: [["\\[", "\\]"]]}, svg: {fontCache: "local"}, options: {enableMenu: false,
  ignoreHtmlClass: "reveal", processHtmlClass: "math"}};</script>
<script src="assets/tex-svg-full.js"></script>"""
SQUARE = 1.75  # a figure that is not wider than so many heights has its text at its side
FIGURE = 390  # pixels of a figure's height, at least, but for flat ones
COLUMN = 44  # letters of a line of code in a column beside a figure
LINE, COLUMNS = 96, 122  # letters of a printed line that is not broken, of a row of columns
DATA_ROWS = 13  # rows of a table of results


# ---------------------------------------------------------------- HTML


def linked(project, path, decks):
    """A function that leads links of the notebook at `path` to decks, or to GitHub."""
    def change(target):
        if not tool.is_relative(target):
            return target
        file = target.partition("#")[0]
        if not file:
            return "#"
        goal = (path.parent / file).resolve()
        if goal in decks:
            return f"{goal.stem}.html"
        kind = "tree" if goal.is_dir() else "blob"
        return (f"{tool.addresses(project)[1][1]}/{kind}/{project.settings['branch']}/"
                f"{project.rel(goal)}")
    return change


def rendered(markdown, links):
    """HTML of `markdown`."""
    return slide_text.MARKDOWN.render(tool.replace_links(markdown, links)).strip()


def inline(markdown, links):
    """HTML of one line of `markdown`."""
    return slide_text.MARKDOWN.renderInline(tool.replace_links(markdown, links))


def data_table(text):
    """The HTML of a table of results with at most DATA_ROWS rows; long names of columns may
    be broken."""
    head, mark, rest = text.partition("</thead>")
    if mark:
        text = re.sub(r">([^<]*)<", lambda m: m[0].replace("_", "_<wbr>"), head) + mark + rest
    rows = list(re.finditer(r"<tr.*?</tr>\s*", text, re.S))
    if len(rows) <= DATA_ROWS:
        return text
    left_out = rows[DATA_ROWS - 1:]
    for row in reversed(left_out):
        text = text[:row.start()] + text[row.end():]
    text = re.sub(r"<p>\d+ rows × \d+ columns</p>", "", text)
    return text.replace("</table>", f'</table><p class="rest">… {len(left_out)} more rows</p>', 1)


def block(kind, content, heading, links):
    """The HTML of a block of a page."""
    if kind == "figure":
        mime, data = content
        width, height = slide_pages.size(data)
        least = min(FIGURE, 1160 * height // width)
        alt = html.escape("Figure: " + slide_text.plain(heading))
        return (f'<div class="figure" style="min-height: {least}px">'
                f'<img src="data:{mime};base64,{data}" alt="{alt}"></div>')
    if kind == "code":
        shown = highlight(content, PythonLexer(), HtmlFormatter(nowrap=True))
        return f'<pre class="code">{shown}</pre>'
    if kind == "printed":
        text = slide_pages.trimmed(content)[0]
        rows, wrap = text.split("\n"), ""
        if re.search(r"\S {2,}\S", max(rows, key=len)):  # columns
            text = "\n".join(x if len(x) <= COLUMNS else x[:COLUMNS - 2] + " …" for x in rows)
        elif len(max(rows, key=len)) > LINE:
            wrap = " wrap"
        return f'<pre class="printed{wrap}">{html.escape(text)}</pre>'
    if kind == "data":
        return f'<div class="data">{data_table(content)}</div>'
    if kind == "after":
        return f'<div class="after">{rendered(content, links)}</div>'
    if kind == "fence":
        code = re.sub(r"^ *(`{3,}|~{3,}).*\n?", "", content, flags=re.M)
        return f'<pre class="code">{html.escape(code.rstrip())}</pre>'
    text = rendered(content, links)
    if kind == "table":  # where a path may be broken
        text = re.sub(r"<code>[^<]+", lambda m: re.sub("([/_])", r"\1<wbr>", m[0]), text)
    return f'<div class="{kind}">{text}</div>'


def section(page, links, course):
    """The HTML of a page."""
    ready, figure = [], ""
    heading = slide_text.words(page.heading)
    tall, narrow = False, True
    for kind, content, fragment in page.blocks:
        text = block(kind, content, heading, links)
        text = re.sub(r'class="', 'class="fragment ', text, count=1) if fragment else text
        if kind == "figure":
            width, height = slide_pages.size(content[1])
            tall = width < SQUARE * height
            figure = text
        if kind in ("code", "printed"):
            narrow &= max(map(len, content.split("\n"))) <= COLUMN
        ready.append(text)
    notes = rendered("\n\n".join(page.notes), links)
    notes = f'\n<aside class="notes">{notes}</aside>' if page.notes else ""
    title = inline(heading, links)
    if page.own and page.heading.startswith("# "):
        kind, head = "title", f'<div class="course">{course}</div><h1>{title}</h1>'
    else:
        kind, head = "side" if tall and narrow and len(ready) > 1 else "stack", f"<h2>{title}</h2>"
    if kind == "side":
        rest = "\n".join(x for x in ready if x is not figure)
        ready = [f'<div class="left">{rest}</div>', figure]
    body = "\n".join(ready)
    return (f'<section>\n<div class="page {kind}">{head}\n<div class="body">\n{body}\n</div></div>'
            f"{notes}\n</section>")


def deck(project, path, decks):
    """(the HTML of the slides of the notebook at `path`, how many they are)."""
    found = slide_pages.pages(tool.read(path))
    if not found:
        raise tool.Problem(f"{project.rel(path)}: no cell is marked; run: "
                           f"python tools/slides.py mark {path.stem}")
    links, columns = linked(project, path, decks), []
    number = path.stem.split("_")[0]
    course = f"{project.name} · {number}" if number.isdigit() else project.name
    for page in found:
        if page.kind == "slide":
            columns.append([])
        columns[-1].append(section(page, links, course))
    text = "\n".join(x[0] if len(x) == 1 else "<section>\n" + "\n".join(x) + "\n</section>"
                     for x in columns)
    template = string.Template((STATIC / "deck.html").read_text(encoding="utf-8"))
    return template.substitute(title=html.escape(tool.title(path)), sections=text,
                               mathjax=MATHJAX * ('class="math' in text)), len(found)


# ---------------------------------------------------------------- folders


def assets(out, npm):
    """Copy what every deck loads to OUT/assets."""
    folder = out / "assets"
    folder.mkdir(parents=True, exist_ok=True)
    for package, files in ASSETS.items():
        for file in files:
            source = npm / "node_modules" / package / file
            if not source.exists():
                raise tool.Problem(f"{source} is missing: `make slides` installs it")
            name = source.name if source.suffix else f"{source.name}-{package}.txt"
            shutil.copy(source, folder / name)
    shutil.copy(STATIC / "deck.js", folder)
    colours = HtmlFormatter(style="default").get_style_defs(".code")
    colours = "\n".join(x for x in colours.splitlines() if x.startswith(".code ."))
    text = (STATIC / "deck.css").read_text(encoding="utf-8")
    (folder / "deck.css").write_text(f"{text}\n{colours}\n", encoding="utf-8")


def build(project, out, paths, npm):
    """Write the decks of the notebooks at `paths`; {path: number of slides}."""
    assets(out, npm)
    everything = [p for p in project.notebooks if p.parent == project.nbs]
    decks = {p.resolve() for p in everything if p in paths or (out / f"{p.stem}.html").exists()}
    counts = {}
    for path in paths:
        text, counts[path] = deck(project, path, decks)
        (out / f"{path.stem}.html").write_text(text, encoding="utf-8")
    return counts


def main(argv=None):
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", metavar="OUT", nargs="?", default="out/slides",
                        help="a folder, or the word mark")
    parser.add_argument("names", metavar="NB", nargs="*", help="all without")
    parser.add_argument("--npm", type=Path, help="the folder of node_modules (.venv/npm)")
    args = parser.parse_args(argv)
    project, start = tool.Project(Path(__file__).resolve().parent.parent), time.time()
    try:
        paths = [p for p in project.select(args.names) if p.parent == project.nbs]
        if args.out == "mark":
            for path in paths:
                nb = slide_marks.mark(tool.read(path))
                tool.write(path, nb)
                n = len(slide_pages.pages(nb))
                hand = sum(map(slide_marks.by_hand, nb["cells"]))
                tool.say(f"{path.stem:28} {n:3} slides" + f", {hand} marks by hand" * bool(hand))
            return 0
        out = Path(args.out)
        counts = build(project, out, paths, args.npm or project.root / ".venv" / "npm")
    except tool.Problem as e:
        print(f"slides: {e}")
        return 2
    megabytes = sum(p.stat().st_size for p in out.rglob("*") if p.is_file()) / 1e6
    print(f"{len(counts)} decks, {sum(counts.values())} slides, {megabytes:.0f} MB in {out}, "
          f"{time.time() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
