"""From the marks of a notebook's cells to the pages of its slides.

A cell's `slideshow.slide_type` is read as all of Jupyter reads it: slide, subslide, fragment,
skip, notes; "-" or nothing goes on with the page before. What stands in those cells is then
fitted to pages. A cell that holds several headings makes several pages. Of a long paragraph a
page shows the first sentences, and the speaker's notes have all of it. Beside a figure, code
is shown only if it is very short. Long tables and lists go on on the next page.
"""
import ast
import base64
import functools
import re
import struct
from dataclasses import dataclass, field

import notebooks as tool
from slide_text import cut_list, cut_table, level, off, pieces, plain, shortened

TEXT, TITLE, BESIDE = 520, 420, 170  # letters of a page of text, a title, beside a figure
CODE, OPENING, SMALL = 24, 17, 6  # lines of code on a page, of longer code, beside a figure
SHORT = 12  # lines of code that keep their imports of the package
RESULTS = 4  # of a cell, at most
PRINTED, WRAPPED = 16, 108  # lines of printed output, letters of one
FULL = 13.5  # lines of text of a full page
WIDE = 92  # letters of a line of code
DRAWS = re.compile(r"\bplt\.|\bax\.|\baxes\b|\bshow\w*\(|\bplot\w*\(|\bdiagram\(|\bfig\b")
TEMPORARY = re.compile(r"(Path\()*(tempfile\.)?(mkdtemp|TemporaryDirectory)\(\)\)*|"
                       r"Path\(\w+\.name\)( / '\w+')?")
MARKS = "slide", "subslide", "fragment", "skip", "notes"  # that mean something here


@dataclass
class Page:
    """What one slide shows, and what the speaker reads."""
    kind: str  # "slide", or "subslide": below the page before
    heading: str = ""
    blocks: list = field(default_factory=list)  # (type, content, fragment?)
    notes: list = field(default_factory=list)  # markdown
    own: bool = False  # does the heading stand in the page's own text?

    def height(self):
        """About how many lines of text the page holds."""
        return sum(height(kind, content) for kind, content, _ in self.blocks)

    def has(self, *types):
        """Is there a block of one of these types?"""
        return any(block[0] in types for block in self.blocks)

    def note(self, text):
        """Add to the notes what they do not say yet."""
        said = " ".join(text.split())
        if said and not any(said in " ".join(x.split()) for x in self.notes):
            self.notes.append(text)


# ---------------------------------------------------------------- cells


def code_of(cell):
    """The code of a cell without directives."""
    return "\n".join(tool.split_directives(cell)[1]).strip("\n")


def is_test(node):
    """Is this statement an assertion, or a loop of nothing else?"""
    if isinstance(node, (ast.For, ast.With, ast.If)):
        return all(map(is_test, node.body))
    call = node.value if isinstance(node, ast.Expr) else None
    name = call.func if isinstance(call, ast.Call) else None
    return isinstance(node, ast.Assert) or isinstance(name, ast.Name) \
        and name.id.startswith(("test_", "assert_"))


def is_plumbing(node):
    """Is this an import, the list of a module's names, or a temporary folder?"""
    targets = node.targets if isinstance(node, ast.Assign) else []
    return isinstance(node, (ast.Import, ast.ImportFrom)) or any(
        isinstance(x, ast.Name) and x.id in ("__all__", "IN_TEST") for x in targets) \
        or bool(targets) and bool(TEMPORARY.fullmatch(ast.unparse(node.value)))


@functools.lru_cache(4096)
def essence(code, tests=False):
    """`code` without imports and temporary folders, and without assertions unless `tests`,
    where these have their lines to themselves. A short piece keeps imports of the package."""
    try:
        body = ast.parse(code).body
    except SyntaxError:  # magics
        return code
    rows, taken, ours, left = code.split("\n"), set(), set(), 0
    for i, node in enumerate(body):
        span = set(range(node.lineno, node.end_lineno + 1))
        others = {n for other in body[:i] + body[i + 1:]
                  for n in range(other.lineno, other.end_lineno + 1)}
        package = isinstance(node, ast.ImportFrom) and (node.module or "").startswith("anomaly_nb")
        if (is_plumbing(node) or is_test(node) and not tests) and not span & others:
            (ours if package else taken).update(span)
        else:
            left += 1
    if left < 2 or len(rows) > SHORT:
        taken |= ours  # else a few lines that a reader may copy
    kept = "\n".join(x for n, x in enumerate(rows, 1)
                     if n not in taken and x.strip() != "# timed")
    return re.sub(r"\n{3,}", "\n\n", kept).strip("\n")


def size(picture):
    """(width, height) of a PNG or JPEG in base64."""
    data = base64.b64decode(picture)
    if data[:4] == b"\x89PNG":
        return struct.unpack(">II", data[16:24])
    at = 2
    while data[at + 1] not in (0xC0, 0xC1, 0xC2):  # a JPEG's frame says how large it is
        at += 2 + struct.unpack(">H", data[at + 2:at + 4])[0]
    return struct.unpack(">HH", data[at + 5:at + 9])[::-1]


@functools.lru_cache(4096)
def trimmed(text):
    """(printed text of at most PRINTED lines, was anything left out?)."""
    text = re.sub(r"\x1b\[[\d;]*[A-Za-z]", "", text).strip("\n")
    lines = text.split("\n")
    tall = [max(1, -(-len(x) // WRAPPED)) for x in lines]
    if sum(tall) <= PRINTED:
        return text, False
    n = next(n for n in range(1, len(lines) + 1) if sum(tall[:n]) >= PRINTED - 1)
    if n == len(lines):  # a long last line
        return text, False
    return "\n".join([*lines[:n], f"… {len(lines) - n} more lines"]), True


def shown(cell):
    """[(type, content)] of a code cell's outputs: figure, data (a table), printed. What goes
    to stderr is left out."""
    found = []
    for output in cell["outputs"]:
        data = output.get("data", {})
        kind = next((k for k in ("image/png", "image/jpeg") if k in data), None)
        if output["output_type"] == "stream":
            text = "".join(output["text"]) if output["name"] == "stdout" else ""
            if text.strip() and found and found[-1][0] == "printed":
                text = found.pop()[1] + text
            found += [("printed", text)] if text.strip() else []
        elif kind:
            found.append(("figure", (kind, "".join(data[kind]).replace("\n", ""))))
        elif "text/html" in data:
            found.append(("data", "".join(data["text/html"])))
        elif text := "".join(data.get("text/plain", "")):
            written = text.isdigit() and ".write_" in tool.source(cell)  # so many letters
            found += [("printed", text)] * (not written)
    return found


def opening(code):
    """`code`, or its beginning if a page does not hold it."""
    rows = code.split("\n")
    n = len(rows)
    while lines("\n".join(rows[:n])) > (CODE if n == len(rows) else OPENING):
        n -= 1
    return "\n".join(rows[:n] + [f"# … {len(rows) - n} more lines"] * (n < len(rows)))


def lines(code):
    """How many lines `code` takes on a page."""
    return sum(max(1, -(-len(x) // WIDE)) for x in code.split("\n")) if code else 0


# ---------------------------------------------------------------- pages


def height(kind, content):
    """About how many lines of text a block takes."""
    if kind in ("code", "fence", "printed"):
        return 0.75 * lines(trimmed(content)[0] if kind == "printed" else content) + 0.6
    if kind == "data":
        return 0.9 * min(content.count("<tr"), 13) + 0.5
    if kind in ("figure", "formula"):
        return 10 if kind == "figure" else 2
    rows = content.split("\n")[2 if kind == "table" else 0:]
    wide = {"table": 70, "list": 74}.get(kind, 80)
    extra = 0.5 if kind in ("table", "list") else 0
    return sum(max(1, -(-len(plain(x)) // wide)) + extra for x in rows) + 0.4


class Maker:
    """Makes the pages of a notebook, cell by cell."""

    def __init__(self):
        self.pages, self.section, self.dropping = [], "", False
        self.gap = False  # was a result passed over since the last block?

    def page(self, kind, heading=""):
        """Begin a page; without a heading it has the one of its section."""
        self.section = heading or self.section
        self.pages.append(Page(kind, self.section, own=bool(heading)))

    def passed(self, cell):
        """A cell on no slide: its heading stands above what follows."""
        self.gap |= cell["cell_type"] == "code" and bool(cell["outputs"])
        if cell["cell_type"] == "markdown":
            heads = [h for h, _ in pieces(tool.source(cell)) if h and not off(h)]
            self.section = next((h for h in reversed(heads) if level(h) < 4), self.section)

    def add(self, kind, content, fragment=False):
        """Put a block on the page."""
        self.pages[-1].blocks.append((kind, content, fragment))
        self.gap = False

    def note(self, text):
        """Add to the notes of the page."""
        self.pages[-1].note(text)

    def markdown(self, cell, mark):
        """A cell of text on the page that `mark` says."""
        first = True
        for heading, inside in pieces(tool.source(cell)):
            if heading or mark in ("slide", "subslide"):
                self.dropping = off(heading) if heading else self.dropping and not first
            if self.dropping:
                continue
            begins = mark if first else "-"
            if heading and level(heading) < 4 and not first:
                begins = "slide" if level(heading) < 3 else "subslide"
            elif not heading and mark in ("slide", "subslide") and len(pieces(
                    tool.source(cell))) > 1 and self.pages and not structured(inside):
                begins = "-"  # what a cell says before its heading belongs to the page before
                if self.gap:
                    first = False
                    continue  # ... but not when it is about something else
            elif heading and not first and self.pages[-1].blocks:
                begins = "subslide"
            if begins in ("slide", "subslide"):
                self.page(begins, heading)
            elif heading:
                self.pages[-1].heading = self.section = heading
            first = False
            self.text(inside, mark == "fragment")

    def text(self, inside, fragment):
        """Paragraphs, lists, tables and formulas, as many as fit."""
        page = self.pages[-1]
        if page.has("figure", "data", "printed", "code"):  # after what it is about
            said = [part for kind, part in inside if kind == "paragraph"]
            self.note("\n\n".join(part for _, part in inside))
            if said and not page.has("after") and not said[0].endswith(":"):
                self.add("after", said[0], fragment)
            return
        room, left_out = (TITLE if len(self.pages) == 1 else TEXT), False
        for kind, part in inside:
            if kind in ("paragraph", "quote"):
                text, cut = shortened(part, room)
                cut |= room < 60 or self.pages[-1].height() + height(kind, text) > FULL
                if room >= 60 and self.pages[-1].height() + height(kind, text) <= FULL:
                    self.add(kind, text, fragment)
                    room -= len(plain(text)) + 40
                left_out |= cut
            elif kind in ("list", "table"):
                parts, cut = (cut_list if kind == "list" else cut_table)(part)
                left_out |= cut
                for i, text in enumerate(parts):
                    if i or self.pages[-1].height() + height(kind, text) > FULL:
                        self.next(fragment)
                        room = TEXT
                    if re.match(r"\|\s*symbol", text) and not self.pages[-1].blocks:
                        self.pages[-1].heading = "#### Symbols"
                    self.add(kind, text, fragment)
            elif kind in ("formula", "fence"):
                if self.pages[-1].height() + height(kind, part) > FULL:
                    self.next(fragment)
                    room = TEXT
                self.add(kind, part, fragment)
            else:
                left_out = True  # hints that open at a click and the like
        if left_out:
            self.note("\n\n".join(part for _, part in inside))

    def next(self, fragment):
        """Begin a page below, with the line that leads to what follows."""
        blocks = self.pages[-1].blocks
        leads = blocks and blocks[-1][0] == "paragraph" and blocks[-1][1].endswith(":")
        if leads and len(blocks) == 1:
            return  # smaller letters will do
        lead = blocks.pop() if leads else None
        if self.pages[-1].blocks:
            self.page("subslide")
        if lead:
            self.add(*lead)

    def code(self, cell, mark):
        """A cell of code and what it shows, on the page that `mark` says."""
        if self.dropping and mark not in ("slide", "subslide"):
            return
        if mark in ("slide", "subslide") or not self.pages:
            self.dropping = False
            self.page(mark if mark in ("slide", "subslide") else "slide")
        found, whole, fragment = shown(cell), code_of(cell), mark == "fragment"
        code = essence(whole)
        if not found and lines(code) < 3:  # the assertions are what there is to show
            code = essence(whole, tests=True)
        figures = sum(kind == "figure" for kind, _ in found)
        tall = lines(code)
        results = sum(height(*x) for x in found)
        page, large = self.pages[-1], figures or any(kind == "data" for kind, _ in found)
        need = results + (0 if figures else height("code", code) if code else 0)
        if page.has("figure", "data", "after") or page.has("printed", "code") and (
                large or page.height() + need > FULL) or page.has("list", "table", "fence") \
                and page.height() + need > FULL:
            self.page("subslide")  # a large result has a page of its own
        if figures:
            wide, high = size(next(x for kind, x in found if kind == "figure")[1])
            fits = tall <= SMALL and wide > 2 * high and not DRAWS.search(code)
        elif found:
            fits = height("code", code) + results <= FULL and tall <= 14 if code else False
        else:
            fits = True
            code = opening(code)
        if code and fits:
            self.add("code", code, fragment)
        if code != whole or not fits:
            self.note(tool.fence(whole, "python"))
        if len(found) > RESULTS:
            self.note(f"The cell shows {len(found)} results.")
        for kind, content in found[:RESULTS]:
            page = self.pages[-1]
            if figures and kind != "figure":
                if kind == "printed" and lines(content.strip()) <= 2:
                    self.add(kind, content, fragment)
                else:
                    self.note(tool.fence(content if kind == "printed" else "(a table)"))
                continue
            full = page.height() + height(kind, content) > FULL and not figures
            if page.has("figure") or kind == "data" and page.has("data") \
                    or full and page.has("printed", "data"):
                self.page("subslide")
            self.add(kind, content, fragment)
            if kind == "printed" and trimmed(content)[1]:
                self.note(tool.fence(content))


def structured(inside):
    """Does this hold a table or a list, which is worth a page?"""
    return any(kind in ("table", "list") for kind, _ in inside)


def mark_of(cell):
    """What a cell's metadata says of its slide; "-" when it says nothing."""
    mark = cell["metadata"].get("slideshow", {}).get("slide_type", "-")
    return mark if mark in MARKS else "-"


def pages(nb):
    """The pages of a notebook, in order; those without content are left out."""
    maker = Maker()
    for cell in nb["cells"]:
        mark = mark_of(cell)
        if mark == "skip" or mark == "-" and not maker.pages:
            maker.passed(cell)
            continue
        if mark == "notes":
            if maker.pages:
                maker.note(tool.source(cell))
        elif cell["cell_type"] == "markdown":
            maker.markdown(cell, mark)
        elif cell["cell_type"] == "code":
            maker.code(cell, mark)
    kept, begins = [], True
    for page in maker.pages:
        begins |= page.kind == "slide"
        if page.blocks or not kept and page.heading.startswith("# "):
            page.kind, begins = ("slide" if begins else "subslide"), False
            kept.append(merge_lead(page))  # else a heading alone: the next page has it, too
    return kept


def merge_lead(page):
    """The page with the text before a figure or an output cut to what fits beside it."""
    if not page.has("figure", "data", "printed", "code"):
        return page
    ready, told = [], [x for x in page.blocks if x[0] in ("paragraph", "quote")]
    room = letters_beside(page)
    for block in page.blocks:
        kind, content, fragment = block
        if kind in ("paragraph", "quote"):
            short, cut = shortened(content, room)
            lead = block is told[0 if page.own else -1]  # the last leads to what follows
            if cut or not lead:
                page.note(content)
            if not lead:
                continue
            content = short
        elif kind in ("list", "table", "fence") and page.has("figure", "data"):
            page.note(content)
            continue
        elif kind == "after":
            content = shortened(content, room)[0]
        ready.append((kind, content, fragment))
    order = {"printed": 2, "after": 3} if page.has("figure") else {}
    page.blocks = sorted(ready, key=lambda x: order.get(x[0], 1))
    return page


def letters_beside(page):
    """How long a text may be beside what the page shows: more beside a flat figure."""
    flat = [size(content[1]) for kind, content, _ in page.blocks if kind == "figure"]
    texts = page.has("paragraph", "quote") + page.has("after")
    if not flat or not texts or page.has("code", "printed"):
        return BESIDE
    left = 560 - 1160 * flat[0][1] / flat[0][0]  # pixels, at the full width of the page
    return max(BESIDE, min(400, int(left / 38 * 70 / texts)))
