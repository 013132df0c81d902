"""Which cells of a notebook belong on its slides: rules that look at structure alone.

The main path ends at the headings of `slide_text.OFF`. On it every section gives *units*: a
text, or what a code cell shows with the text before and after it, or a short definition.
Figures are worth most, then tables, printed results, code, text; the first unit of a section
is worth more. The units that are worth GOOD are taken, best first: more until there are FEW
slides, fewer if there are more than MOST. Where all of them are less than LEAST, texts and their
code become two slides.

A mark that was set by hand is kept: the rules note beside each mark what they said
(`slideshow.rule`), and where the two differ somebody decided otherwise.
"""
import copy
import re
from dataclasses import dataclass, field

import notebooks as tool
import slide_pages
import slide_text

LEAST, FEW, MOST = 12, 16, 24  # slides of a notebook: at least, wanted, at most
GOOD = 45  # worth of what is taken as long as there is room
WORTH = {"figure": 100, "data": 60, "printed": 50, "section": 45, "code": 30, "long": 20,
         "text": 15, "draws": 8, "tests": 4}
FIRST = 100  # more for the first unit of a section
SETUP = re.compile(r"\bIN_TEST\b[^\0]*Synthetic\(|^IN_TEST =", re.M)
PLUMBING = re.compile(r"\bIN_TEST\b")


@dataclass
class Unit:
    """Neighbouring cells that make one slide."""
    worth: float
    section: int
    cells: list = field(default_factory=list)  # indices; the first begins the slide


def kind_of(cell):
    """What a code cell is worth showing for: a key of WORTH, or None."""
    directives, code = tool.split_directives(cell)
    code = "\n".join(code).strip()
    if tool.is_install(cell) or "hide" in directives or not code:
        return None
    kinds = [kind for kind, _ in slide_pages.shown(cell)]
    if set(kinds) <= {"printed"} and SETUP.search(code):
        return None
    for kind in ("figure", "data", "printed"):
        if kind in kinds:
            return kind
    rest = slide_pages.essence(code)
    if PLUMBING.search(code) or not slide_pages.essence(code, tests=True):
        return None
    if re.search(r"^(import|from) ", code, re.M) and rest.count("\n") < 3 \
            and not re.search(r"^(def|class) ", rest, re.M):
        return "tests" if "assert" in code or "test_" in code else None  # a cell of imports
    if slide_pages.lines(rest) > slide_pages.CODE:
        return "long"
    few = rest.count("\n") < 2 or 2 * slide_pages.lines(rest) < slide_pages.lines(code)
    return "tests" if few else "code"


def main_path(cells):
    """The number of its section, or None off the path, of every cell."""
    found, section, on = [], 0, True
    for cell in cells:
        heads = [h for h, _ in slide_text.pieces(tool.source(cell)) if h] \
            if cell["cell_type"] == "markdown" else []
        anywhere = on
        for heading in heads:
            if slide_text.off(heading):
                on = False
            elif slide_text.level(heading) < 3:
                on, section = True, section + 1
            anywhere |= on
        found.append(section if anywhere else None)
    return found


def begins_with_heading(cell):
    """Does a text begin with a heading?"""
    found = slide_text.pieces(tool.source(cell))
    return bool(found and found[0][0])


def has_heading(cell):
    """Is there a heading in a text?"""
    return any(h for h, _ in slide_text.pieces(tool.source(cell)))


def units(cells):
    """The units of a notebook, in order."""
    sections = main_path(cells)
    kinds = [kind_of(c) if c["cell_type"] == "code" else "text" for c in cells]
    found, used = [], set()
    intro = introduction(cells)

    def free_text(i):
        return 0 < i < len(cells) and i != intro and i not in used \
            and cells[i]["cell_type"] == "markdown"

    def begun(kind, i):
        """The unit of cell `i` with the text before it. To a figure belongs the text before
        the lines that prepare it."""
        before, passed = i - 1, []
        while kind in ("figure", "data") and before > 0 and prepares(cells[before], kinds[before]):
            passed.append(before)
            before -= 1
        far = passed and not (free_text(before) and begins_with_heading(cells[before]))
        if not free_text(before) or sections[before] is None or far or used & set(passed):
            return Unit(worth(cells[i], kind), sections[i], [i])
        used.update(passed)
        return Unit(worth(cells[i], kind), sections[i], [before, i])

    for kind in ("figure", "data", "printed", "code", "long", "tests"):
        for i in [i for i, k in enumerate(kinds) if k == kind and sections[i] is not None]:
            if i in used:
                continue
            unit, after = begun(kind, i), i + 1
            while after < len(cells) and kinds[after] in ("tests", None):
                after += 1
            leads = after + 1 < len(cells) and kinds[after + 1] not in ("text", "tests", None)
            if kind in ("figure", "data", "printed") and free_text(after) and not leads \
                    and not has_heading(cells[after]) \
                    and not tool.source(cells[after]).rstrip().endswith(":"):
                unit.cells.append(after)
            used.update(unit.cells)
            found.append(unit)
    for i, cell in enumerate(cells):
        if free_text(i) and sections[i] is not None:
            kind = "section" if has_heading(cell) else "text"
            found.append(Unit(worth(cell, kind), sections[i], [i]))
    found.sort(key=lambda unit: unit.cells[0])
    seen = set()
    for unit in found:
        alone = len(unit.cells) == 1 and kinds[unit.cells[0]] == "text" \
            and not has_heading(cells[unit.cells[0]])  # a remark before the first section
        if unit.section not in seen and not alone:
            unit.worth += FIRST
        seen.add(unit.section)
        text_cells = [cells[i] for i in unit.cells if cells[i]["cell_type"] == "markdown"]
        if any(must(c) for c in text_cells):
            unit.worth += 10 * FIRST
    return found


def must(cell):
    """Is this what you will learn, or the summary?"""
    return any(re.match(r"(What )?[Yy]ou will learn|Summary", slide_text.words(h))
               for h, _ in slide_text.pieces(tool.source(cell)))


def prepares(cell, kind):
    """Is this a cell of a few lines between a text and its figure?"""
    return kind in (None, "tests") and cell["cell_type"] == "code" or \
        kind == "code" and not re.search(r"^\s*(def|class) |^#\| *export", tool.source(cell), re.M)


def worth(cell, kind):
    """What showing a cell is worth; code that draws is worth little."""
    return WORTH["draws" if kind in ("code", "long") and slide_pages.DRAWS.search(
        tool.source(cell)) else kind]


def introduction(cells):
    """The text that follows the title, if it has no heading; its index or None."""
    i = next((i for i, c in enumerate(cells) if i and c["cell_type"] == "markdown"), None)
    between = all(kind_of(c) is None for c in cells[1:i])
    return i if i and between and not has_heading(cells[i]) else None


def marks_for(cells, chosen, apart=0):
    """The mark of every cell when the units `chosen` are on slides; so many of them, those
    with the longest texts, are two slides, the text and the code."""
    marks = ["skip"] * len(cells)
    marks[0] = "slide"
    seen, section, after_text = {0}, 0, False
    if len(cells) > 3 and (intro := introduction(cells)):
        marks[intro] = "-"  # on the page of the title
    for unit in chosen:
        for i in unit.cells:
            marks[i] = "-"
        first = cells[unit.cells[0]]
        new = unit.section not in seen or first["cell_type"] == "markdown" and any(
            h and slide_text.level(h) < 3 for h, _ in slide_text.pieces(tool.source(first)))
        kind = kind_of(first) if first["cell_type"] == "code" else None
        goes_on = not new and unit.section == section and (
            kind in ("printed", "code", "tests") or kind in ("figure", "data") and after_text)
        marks[unit.cells[0]] = "slide" if new else "-" if goes_on else "subslide"
        after_text = len(unit.cells) == 1 and kind is None
        seen.add(unit.section)
        section = unit.section
    double = [u for u in chosen if len(u.cells) > 1 and first_is_text(cells, u)]
    double.sort(key=lambda u: -len(tool.source(cells[u.cells[0]])))
    for unit in double[:apart]:
        marks[unit.cells[1]] = "subslide"
    return marks


def first_is_text(cells, unit):
    """Does the unit begin with a text?"""
    return cells[unit.cells[0]]["cell_type"] == "markdown"


def proposed(nb):
    """The mark of every cell that the rules propose."""
    cells, draft = nb["cells"], copy.deepcopy(nb)
    all_units = units(cells)
    rank = sorted(range(len(all_units)), key=lambda k: (-all_units[k].worth, k))

    def tried(n, apart=0):
        chosen = [all_units[k] for k in sorted(rank[:n])]
        marks = marks_for(cells, chosen, apart)
        for cell, mark in zip(draft["cells"], marks):
            cell["metadata"] = {"slideshow": {"slide_type": mark}}
        return len(slide_pages.pages(draft)), marks

    n, apart = sum(u.worth >= GOOD for u in all_units), 0
    while n < len(all_units) and tried(n)[0] < (FEW if all_units[rank[n]].worth > 5 else LEAST):
        n += 1
    while n > 0 and tried(n)[0] > MOST:
        n -= 1
    while apart < n and tried(n, apart)[0] < LEAST:
        apart += 1
    return tried(n, apart)[1]


def by_hand(cell):
    """Was this cell's mark set by hand? Then it differs from what the rules noted, or they
    have noted nothing."""
    slideshow = cell["metadata"].get("slideshow", {})
    mark = slideshow.get("slide_type", "-")
    return "rule" in slideshow and mark != slideshow["rule"] or \
        "slide_type" in slideshow and "rule" not in slideshow


def mark(nb):
    """Write the rules' marks into the metadata of `nb`, but where a hand set another one."""
    for cell, said in zip(nb["cells"], proposed(nb)):
        slideshow = dict(cell["metadata"].get("slideshow", {}))
        if not by_hand(cell):
            slideshow["slide_type"] = said
        slideshow["rule"] = said
        cell["metadata"]["slideshow"] = slideshow
    return nb
