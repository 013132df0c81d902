#!/usr/bin/env python3
"""The course as a folder of pages that are read without network: `make site`.

    python tools/site.py OUT [--slides FOLDER] [--npm FOLDER]

Every notebook with its stored outputs, the solutions, and the public names of the package
with their docstrings. Nothing is executed and nothing in the checkout is changed: notebooks
are copied to a temporary folder and made ready there. OUT/index.html is the front page.
FOLDER holds slides made elsewhere (NAME.html for the notebook NAME, default out/slides);
where there are any they are copied to OUT/slides and linked.

Needs the extra `site` of settings.ini and MathJax from npm: `make site` gets both. Any
warning (a link that leads nowhere, a docstring that cannot be read) ends with status 1.
"""
import argparse
import ast
import importlib
import inspect
import json
import os
import pkgutil
import posixpath
import re
import shutil
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import notebooks as tool

HERE = Path(__file__).resolve().parent.parent
PARTS = [("First hour", 0), ("Foundations", 1), ("Methods", 10), ("In use", 30),
         ("Work", 40), ("Appendices", 90)]  # name, number of its first notebook
MATHJAX = "node_modules/mathjax/es5/tex-svg-full.js"  # all of TeX in one file
DIRECTIVE = re.compile(r"^#\|.*\n?", re.M)
STATIC = Path(__file__).with_name("site_static")
WORDS = 160  # letters of an alt text
FEW = 4  # lines of imports that stay in view above other code


# ---------------------------------------------------------------- notebooks


def plain(markdown):
    """`markdown` as text: no links, emphasis, code marks, formulas' dollars or HTML."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", tool.FENCE.sub("", markdown))
    return " ".join(re.sub(r"<[^>]+>|[*`$]|^[#>\-|\s]+", "", text, flags=re.M).split())


def alt_text(heading, said):
    """What a figure shows, from the heading above it and the first sentence before it."""
    first = re.split(r"(?<=[.!?:])\s", said, maxsplit=1)[0].rstrip(":.")
    stop = "" if heading[-1:] in ".?!" else "."
    text = f"Figure: {heading}" + (f"{stop} {first}" if first else "")
    return textwrap.shorten(text, WORDS, placeholder=" ...")


def import_lines(code):
    """How many lines of `code` do nothing but import, from its start; all of them count."""
    try:
        body = ast.parse(code).body
    except SyntaxError:  # a magic
        return 0
    other = [x.lineno for x in body if not isinstance(x, (ast.Import, ast.ImportFrom))]
    return other[0] - 1 if other else len(code.splitlines()) * bool(body)


def prepared(cell, alt):
    """The code cell as a reader sees it: a list of cells, empty for one of no use on a page.

    Imports are folded away, also the first lines of a cell when they are more than a few."""
    text = tool.source(cell)
    marks = {d.split()[1] for d in DIRECTIVE.findall(text) if len(d.split()) > 1}
    code = DIRECTIVE.sub("", text).strip("\n")
    if tool.is_install(cell) or "hide" in marks or not code and not cell["outputs"]:
        return []
    n, lines = import_lines(code), code.splitlines()
    folded = {**cell, "source": "\n".join(lines[:n]).rstrip(), "metadata": {
        "tags": ["hide-input"], "mystnb": {"code_prompt_show": "Imports",
                                           "code_prompt_hide": "Imports"}}}
    if n == len(lines) and not cell["outputs"]:
        return [folded]
    tags = ["exported"] * bool(marks & {"export", "exporti", "exports"})
    shown = {**cell, "metadata": {"tags": tags, "mystnb": {"image": {"alt": alt}}}}
    if n <= FEW:
        return [{**shown, "source": code}]
    return [{**folded, "id": cell["id"] + "-imports", "outputs": []},
            {**shown, "source": "\n".join(lines[n:]).strip("\n")}]


def to_github(project, path):
    """A function that makes links from notebook `path` to what is not on the site absolute."""
    def change(target):
        if not tool.is_relative(target) or target.startswith("#"):
            return target
        goal = posixpath.normpath(posixpath.join(project.rel(path.parent), target))
        inside = goal.startswith(project.rel(project.nbs) + "/")
        if inside and re.search(r"\.(ipynb|md)(#|$)", goal):
            return target
        kind = "tree" if (project.root / goal).is_dir() else "blob"
        return f"{tool.addresses(project)[1][1]}/{kind}/{project.settings['branch']}/{goal}"
    return change


def page(project, path, slides):
    """The notebook at `path`, ready for a page."""
    nb, ready, heading, said = tool.read(path), [], tool.title(path), ""
    for cell in nb["cells"]:
        if cell["cell_type"] == "code":
            ready += prepared(cell, alt_text(heading, said))
        else:
            lines = [x for x in tool.source(cell).splitlines() if tool.BADGE not in x]
            text = tool.replace_links("\n".join(lines), to_github(project, path))
            heading = (tool.headings(text) or [heading])[-1]
            blocks = [plain(x) for x in re.split(r"\n\s*\n", text)
                      if not re.match(r"\s*(#|>|\||<|- )", x)]
            said = ([x for x in blocks if x] or [said])[-1]
            ready.append({**cell, "source": text})
    if slides:
        there = posixpath.relpath("slides", path.relative_to(project.nbs).parent.as_posix())
        ready[0]["source"] += f'\n\n<a href="{there}/{path.stem}.html">Slides</a>'
    nb["metadata"] |= {"language_info": {"name": "python", "pygments_lexer": "ipython3"}}
    return {**nb, "cells": ready}


def short(path):
    """What the list of contents calls a notebook: its number and the start of its title."""
    name = re.sub("^(Appendix|Solutions): ", "", tool.title(path)).split(": ")[0]
    name = (name[0].upper() + name[1:]).replace("<", "")
    number = path.stem.split("_")[0]
    return f"{number} {name}" if number.isdigit() else name


def contents(project):
    """The front page's last cell: all pages in parts, as the sidebar shows them."""
    def tree(caption, entries):
        return "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *entries,
                          "```"])

    groups = {name: [] for name, _ in PARTS}
    for path in project.course:
        number = int(re.match(r"\d*", path.stem)[0] or 0)
        part = [name for name, first in PARTS if first <= number][-1]
        groups[part].append(f"{short(path)} <{path.stem}>")
    texts = [f"{tool.headings(p.read_text(encoding='utf-8'))[0]} <{p.stem}>"
             for p in sorted(project.nbs.glob("*.md"))]
    groups = {"Course": texts, **groups,
              "Look up": ["Solutions <solutions/index>", "API <api/index>"]}
    return "\n\n".join(tree(name, entries) for name, entries in groups.items() if entries)


# ---------------------------------------------------------------- the package


def public(project):
    """{module name: (module, names it defines, names it passes on)} of the package."""
    package = importlib.import_module(project.name)
    names = [m.name for m in pkgutil.walk_packages(package.__path__, project.name + ".")
             if not m.name.rpartition(".")[2].startswith("_")]
    modules = {name: importlib.import_module(name) for name in names}
    found = {}
    for name, module in modules.items():
        own, passed = [], []
        for x in getattr(module, "__all__", ()):
            home = getattr(getattr(module, x), "__module__", None)
            mine = home == name or home not in modules
            (own if mine else passed).append(x)
        if own or passed:
            found[name] = (module, own, passed)
    return found


def targets(modules):
    """{how a docstring may name it: full name}, for names that mean one thing only."""
    found = {}
    for name, (module, own, _) in modules.items():
        for x in own:
            found.setdefault(x, set()).add(f"{name}.{x}")
            if inspect.isclass(getattr(module, x)):
                for method, value in vars(getattr(module, x)).items():
                    if not method.startswith("_") and inspect.isfunction(value):
                        found.setdefault(f"{x}.{method}", set()).add(f"{name}.{x}.{method}")
    return {short: next(iter(full)) for short, full in found.items() if len(full) == 1}


def as_rst(text, known=(), own=""):
    """A paragraph with Markdown's code marks as reStructuredText."""
    parts = re.split(r"`([^`]+)`", text)
    for i, part in enumerate(parts):
        name = part.removesuffix("()")
        if i % 2 == 0:
            parts[i] = re.sub(r"([\\*|]|_(?!\w)|^(?=[-+.]))", r"\\\1", part)
        elif name in known and known[name] != own:
            parts[i] = f":py:obj:`{part} <{known[name]}>`"
        else:
            parts[i] = f"``{part}``"
        if i % 2 and i + 1 < len(parts) and re.match(r"\w", parts[i + 1]):
            parts[i] += "\\"  # `Batch`es
        if i % 2 and re.search(r"\w$", parts[i - 1]):
            parts[i - 1] += "\\ "
    return "".join(parts)


def docstring(lines, known=(), own=""):
    """The lines of a docstring (paragraphs of text, examples indented) as reStructuredText."""
    ready = []
    for block in re.split(r"\n\s*\n", "\n".join(lines).strip("\n")):
        block = block.strip("\n")
        inner = textwrap.dedent(block)
        if not block.strip():
            continue
        if block.startswith("    ") or inner.startswith(">>>"):
            ready += ["::", "", *textwrap.indent(inner, "    ").splitlines(), ""]
        elif re.match(r"[-*] ", inner):
            items = re.split(r"^[-*] +", inner, flags=re.M)[1:]
            ready += [f"- {as_rst(' '.join(x.split()), known, own)}" for x in items] + [""]
        elif any(x.startswith(" ") for x in inner.splitlines()):
            ready += [f"| {as_rst(x.strip(), known, own)}" for x in inner.splitlines()] + [""]
        else:
            ready += [as_rst(" ".join(inner.split()), known, own), ""]
    return ready


def members(cls):
    """[(directive, name)] of what a class defines and documents, in the notebook's order,
    also of methods that were added by `@patch`."""
    found = []
    for name, value in vars(cls).items():
        function = getattr(value, "__func__", value)  # of a class method
        if name.startswith("_") or not getattr(value, "__doc__", None):
            continue
        if inspect.isfunction(function):
            found.append(("automethod", name))
        elif isinstance(value, property):
            found.append(("autoproperty", name))
    return found


def entry(root, module, name):
    """The lines that document `name` of `module`, a package's in the folder `root`."""
    value = getattr(module, name)
    if inspect.isclass(value):
        kind = "exception" if issubclass(value, BaseException) else "class"
        own = [f"   .. {directive}:: {x}" for directive, x in members(value)]
        return [f".. auto{kind}:: {name}", "", *own, ""]
    if is_constant(value):
        if isinstance(value, Path):  # of the machine that builds the site
            value = value.relative_to(root)
        shown = textwrap.shorten(repr(value), 200, placeholder=" ...")
        return [f".. py:data:: {name}", f"   :value: {shown}", "",
                f"   ``{type(value).__name__}``", ""]
    return [f".. autofunction:: {name}", ""]


def is_constant(value):
    """True for what is neither a class nor a function."""
    return not (inspect.isclass(value) or inspect.isroutine(value)
                or hasattr(value, "__wrapped__"))


def api(project, goal):
    """Write a page for each module below the folder `goal`; what docstrings may refer to."""
    modules = public(project)
    known = targets(modules)
    goal.mkdir()
    rows = []
    for name, (module, own, passed) in modules.items():
        stem = name.removeprefix(project.name + ".")
        about = as_rst(inspect.getdoc(module) or "", known)
        source = re.search(r"File to edit: \.\./nbs/(\S+)\.ipynb", inspect.getsource(module))
        text = [name, "=" * len(name), "", about, ""]
        if source:
            text += [f"Made in :doc:`/{source[1]}`.", ""]
        text += [f".. py:module:: {name}", ""]
        if passed:
            links = ", ".join(f":py:obj:`{x} <{known[x]}>`" if x in known else f"``{x}``"
                              for x in passed)
            text += [f"From other modules, for convenience: {links}.", ""]
        constants = [x for x in own if is_constant(getattr(module, x))]
        for x in own:
            text += [] if x in constants else entry(project.root, module, x)
        text += [".. rubric:: Constants", ""] if constants else []
        for x in constants:
            text += entry(project.root, module, x)
        (goal / f"{stem}.rst").write_text("\n".join(text), encoding="utf-8")
        rows.append((stem, about))
    text = ["API", "===", "",
            "The public names of the package, module by module, from their docstrings.", "",
            ".. toctree::", "   :hidden:", "", *(f"   {stem} <{stem}>" for stem, _ in rows), ""]
    for stem, about in rows:
        text += [f":doc:`{project.name}.{stem} <{stem}>`", f"   {about}", ""]
    (goal / "index.rst").write_text("\n".join(text), encoding="utf-8")
    return known


# ---------------------------------------------------------------- the pages


def sources(project, goal, slides):
    """Fill the folder `goal` with what Sphinx reads; what docstrings may refer to."""
    for path in project.notebooks:
        copy = goal / path.relative_to(project.nbs)
        copy.parent.mkdir(parents=True, exist_ok=True)
        nb = page(project, path, (slides / f"{path.stem}.html").exists()
                  and path.parent == project.nbs)
        if path.stem == "index":
            nb["cells"].append({"cell_type": "markdown", "id": "contents", "metadata": {},
                                "source": contents(project)})
        copy.write_text(json.dumps(nb), encoding="utf-8")
    for path in project.nbs.glob("*.md"):
        text = tool.replace_links(path.read_text(encoding="utf-8"), to_github(project, path))
        (goal / path.name).write_text(text, encoding="utf-8")
    solved = [p for p in project.notebooks if p.parent.name == "solutions"]
    (goal / "solutions").mkdir(exist_ok=True)
    (goal / "solutions" / "index.md").write_text("\n".join(
        ["# Solutions", "", "Every exercise solved, and its solution executed.", "",
         "```{toctree}", *(f"{short(p)} <{p.stem}>" for p in solved), "```", ""]),
        encoding="utf-8")
    return api(project, goal / "api")


def heading_anchor(text):
    """The anchor that Jupyter gives a heading."""
    return text.replace(" ", "-")


def settings(project, static):
    """Sphinx's configuration."""
    url = tool.addresses(project)[1][1]
    return {
        "project": project.name, "author": project.settings["author"],
        "copyright": project.settings["author"], "html_show_sphinx": False,
        "html_title": project.name, "html_last_updated_fmt": None,
        "extensions": ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.mathjax",
                       "sphinx_copybutton"],
        "html_theme": "sphinx_book_theme",
        "html_theme_options": {
            "repository_url": url, "repository_branch": project.settings["branch"],
            "path_to_docs": project.rel(project.nbs), "use_repository_button": True,
            "use_download_button": True, "launch_buttons":
                {"colab_url": "https://colab.research.google.com"},
            "show_toc_level": 2, "home_page_in_toc": True, "show_navbar_depth": 1},
        "html_static_path": [str(static)], "html_css_files": ["site.css"],
        "html_js_files": ["site.js"], "html_context": {"default_mode": "auto"},
        "mathjax_path": "mathjax/tex-svg-full.js",
        "nb_execution_mode": "off", "nb_ipywidgets_js": {}, "nb_merge_streams": True,
        "myst_enable_extensions": ["dollarmath", "amsmath"], "myst_heading_anchors": 6,
        "myst_heading_slug_func": heading_anchor, "smartquotes": False,
        "autodoc_inherit_docstrings": False, "autodoc_preserve_defaults": True,
        "autodoc_member_order": "bysource", "autodoc_typehints": "signature",
        "autodoc_class_signature": "mixed", "add_module_names": False,
        "toc_object_entries_show_parents": "hide", "suppress_warnings": ["config.cache"],
    }


def build(project, out, slides, mathjax):
    """Write the site into the folder `out`, anew; Sphinx's warnings, as a list."""
    os.environ["MPLBACKEND"] = "agg"
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace

    with tempfile.TemporaryDirectory() as folder, docutils_namespace():
        source, static = Path(folder, "source"), Path(folder, "static")
        shutil.copytree(STATIC, static)
        (static / "mathjax").mkdir()
        shutil.copy(mathjax, static / "mathjax")
        source.mkdir()
        known = sources(project, source, slides)
        warnings = Path(folder, "warnings.txt")
        with warnings.open("w", encoding="utf-8") as stream:
            app = Sphinx(source, None, Path(folder, "html"), Path(folder, "trees"), "html",
                         settings(project, static), status=None, warning=stream,
                         parallel=min(4, os.cpu_count()))

            def on_docstring(app, what, name, obj, options, lines):
                lines[:] = docstring(lines, known, name) or ["No docstring."]

            app.connect("autodoc-process-docstring", on_docstring)
            app.build()
        for path in project.notebooks:  # what the download button gives: the notebook itself
            shutil.copy(path, Path(folder, "html", "_sources", path.relative_to(project.nbs)))
        if slides.is_dir():
            shutil.copytree(slides, Path(folder, "html", "slides"))
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(Path(folder, "html"), out,
                        ignore=shutil.ignore_patterns(".buildinfo", "objects.inv", "*macros.html"))
        (out / ".nojekyll").touch()  # GitHub would leave out folders that start with _
        text = re.sub(r"\x1b\[[\d;]*m", "", warnings.read_text(encoding="utf-8"))
    return [x.replace(str(source) + "/", "") for x in text.splitlines() if x.strip()]


def main(argv=None):
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, metavar="OUT", help="a folder, written anew")
    parser.add_argument("--slides", type=Path, default=Path("out/slides"))
    parser.add_argument("--root", default=HERE)
    parser.add_argument("--npm", type=Path, default=HERE / ".venv" / "npm",
                        help="the folder of node_modules (.venv/npm)")
    args = parser.parse_args(argv)
    project, start, out = tool.Project(args.root), time.time(), args.out.resolve()
    mathjax = args.npm / MATHJAX
    if out.exists() and any(out.iterdir()) and not (out / "searchindex.js").exists():
        print(f"{out} holds something else; name another folder")
        return 2
    if not mathjax.exists():
        print(f"{mathjax} is missing: `make site` installs it")
        return 2
    sys.path.insert(0, str(project.root))  # the modules of this checkout
    warnings = build(project, out, args.slides.resolve(), mathjax)
    size = sum(p.stat().st_size for p in out.rglob("*") if p.is_file())
    print("\n".join(warnings))
    print(f"{len(list(out.rglob('*.html')))} pages, {size / 1e6:.0f} MB, in {args.out}, "
          f"{time.time() - start:.0f} s" + f"; {len(warnings)} warnings" * bool(warnings))
    return int(bool(warnings))


if __name__ == "__main__":
    sys.exit(main())
