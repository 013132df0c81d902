"""Markdown for slides: its parts, its sentences, and as much of it as fits a page."""
import functools
import html
import re

import notebooks as tool
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

OFF = ("Questionnaire", "Exercises", "Further reading", "Checks")  # headings without a page
ITEM, ITEMS = 165, 7  # letters of an item, items of a list
ROWS, PAGES = 9, 4  # rows of a table on a page, pages of a table or list
STOP = re.compile(  # the end of a sentence, with closing marks, but not of an abbreviation
    r"(?:(?<=[.?!])|(?<=[.?!][*)\"])|(?<=[.?!]\*\*))"
    r"(?<!\be\.g\.)(?<!\bi\.e\.)(?<!\bal\.)(?<!\bvs\.)(?<!\bEq\.)(?<!\bSec\.)(?<!\bFig\.)"
    r"(?<!\bNo\.)(?<!\b[A-Z]\.)\s+(?=[A-Z0-9`$*\[(\"'…\x00])")
WHOLE = re.compile(r"`[^`]+`|\$[^$]+\$|!?\[[^\]]*\]\([^)]*\)")


def formula(text, options):
    """The HTML of a formula, which is left for MathJax."""
    text = html.escape(text, quote=False)
    return f"\\[{text}\\]" if options["display_mode"] else f"\\({text}\\)"


def parser():
    """CommonMark with tables and formulas."""
    md = MarkdownIt("commonmark", {"html": True}).enable("table")
    return md.use(dollarmath_plugin, double_inline=True, allow_blank_lines=False,
                  renderer=formula)


MARKDOWN = parser()


@functools.lru_cache(4096)
def blocks(text):
    """((type, markdown), ...) of the top level of `text`: heading, paragraph, list, table,
    formula, fence, quote, html."""
    names = {"heading_open": "heading", "paragraph_open": "paragraph", "fence": "fence",
             "bullet_list_open": "list", "ordered_list_open": "list", "table_open": "table",
             "math_block": "formula", "blockquote_open": "quote", "html_block": "html",
             "code_block": "fence"}
    lines, found = text.split("\n"), []
    for token in MARKDOWN.parse(text):
        if token.level == 0 and token.map and token.type in names:
            part = "\n".join(lines[slice(*token.map)]).strip("\n")
            kind = names[token.type]
            if kind == "paragraph" and re.fullmatch(r"\*\*[^*]+\*\*", part.strip()):
                kind, part = "heading", f"#### {part.strip().strip('*')}"  # as good as one
            if kind == "paragraph" and part.startswith("$$"):
                kind = "formula"
            found.append((kind, part))
    return tuple(found)


def level(heading):
    """The number of # of a heading's line."""
    return len(heading) - len(heading.lstrip("#"))


def words(heading):
    """A heading's line without its #."""
    return heading.lstrip("#").strip().rstrip("#").strip()


def pieces(text):
    """[(heading's line or "", its blocks)] of a markdown cell, as its headings cut it."""
    found = [("", [])]
    for kind, part in blocks(without_navigation(text)):
        if kind == "heading":
            found.append((part, []))
        else:
            found[-1][1].append((kind, part))
    return [(heading, inside) for heading, inside in found if heading or inside]


def without_navigation(text):
    """A first cell without its line of links."""
    return "\n".join(x for x in text.splitlines() if tool.BADGE not in x)


def off(heading):
    """Is this a heading that no slide shows?"""
    return words(heading) in OFF


# ---------------------------------------------------------------- text that fits


def plain(text):
    """`text` as it is read, to be counted: links by their words, formulas without commands."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"\\[a-zA-Z]+|[{}$`*^_]", "", text)
    return re.sub(r"\s+", " ", text)


def sentences(text):
    """The sentences of a paragraph; code, formulas and links stay whole."""
    kept = []

    def hide(match):
        kept.append(match[0])
        return f"\x00{len(kept) - 1}\x00"

    hidden = WHOLE.sub(hide, " ".join(text.split()))
    return [re.sub(r"\x00(\d+)\x00", lambda m: kept[int(m[1])], s)
            for s in STOP.split(hidden) if s]


def shortened(text, letters):
    """(as many sentences of `text` as fit, one at least; was anything left out?)."""
    found, shown, length = sentences(text), [], 0
    for sentence in found:
        length += len(plain(sentence))
        lead = len(shown) == 1 and shown[0].endswith("**")  # **Name.** says nothing alone
        if shown and length > letters and not lead:
            break
        shown.append(sentence)
    return " ".join(shown), len(shown) < len(found)


def items(text):
    """The items of a list, each with its mark."""
    return re.split(r"\n(?=(?:[-*+]|\d+[.)]) )", text)


def cut_list(text):
    """([lists of at most ITEMS items], was anything left out?)."""
    found, short = [], False
    for item in items(text):
        mark, rest = re.match(r"\s*((?:[-*+]|\d+[.)])\s+)(.*)", item, re.S).groups()
        nested = re.split(r"\n\s+(?=[-*+] )|\n\s*\n", rest)
        rest, cut = shortened(nested[0], ITEM)
        short |= cut or len(nested) > 1
        found.append(mark + rest)
    n = -(-len(found) // -(-len(found) // ITEMS))  # lists of about one length
    short |= len(found) > n * PAGES
    return ["\n".join(found[i:i + n]) for i in range(0, len(found), n)][:PAGES], short


def cut_table(text):
    """([tables of at most ROWS rows], was a row left out?)."""
    head, rule, *rows = text.split("\n")
    cells = max((len(plain(r)) for r in rows), default=0)
    n = ROWS if cells < 110 else 6 if cells < 200 else 4
    n = -(-len(rows) // max(1, -(-len(rows) // n)))  # tables of about one length
    parts = [rows[i:i + n] for i in range(0, len(rows), n)] if rows else [[]]
    return ["\n".join([head, rule, *x]) for x in parts[:PAGES]], len(parts) > PAGES
