#!/usr/bin/env python3
"""The work around the notebooks: one program, one subcommand for each job.

    export         bring everything derived from the notebooks up to date: navigation
                   lines, install cells, modules and their type stubs, README.md
    save [NB ...]  run notebooks in a fresh kernel and store their outputs
    check          the promises that need no execution (links, exports, outputs ...)
    test [NB ...]  run every notebook and solution in a fresh process
    wheel          build the wheel and use it in a second environment
    oldest         constraints for pip: the lowest release of everything required
    all            check, the tests of this program, wheel, test: `make test`

A notebook NB is a path, a file name or the start of one: `12` means 12_padim.ipynb.
Standard library; nbdev, nbclient and torch are imported where they are used.
"""
import argparse
import ast
import base64
import configparser
import contextlib
import graphlib
import hashlib
import importlib
import json
import multiprocessing
import os
import posixpath
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import tomllib
import traceback
import urllib.parse
import warnings
import zipfile
from multiprocessing.connection import wait
from pathlib import Path

import figures
import stubs

MAX_BYTES = 500_000  # of a notebook file: larger ones are slow to load and to review
MAX_LINES = 440  # of an exported module, which is read as a chapter of code ...
DRAWING = ("drawing", "scenes", "viz")  # ... except where it draws: long and simple
FOUNDATIONS = ("data", "features", "detector", "training")  # what a model may import
APPENDIX = 90  # the number of the first appendix
SLOW, LARGE = 25, 1500  # seconds and MB of a notebook under test, above which we warn
TIMEOUT = 1800  # seconds for a notebook under test, generous for a loaded machine
DATA_VARIABLES = ("ANOMALY_NB_DATA", "ANOMALY_NB_WEIGHTS")  # pictures, weights of others
IGNORED = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints", ".DS_Store")
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
WIDGET = "application/vnd.jupyter.widget-view+json"
FENCE = re.compile(r"^ *(?P<mark>`{3,}|~{3,}).*?^ *(?P=mark)[`~]* *$", re.M | re.S)
INSTALL_ID = "colab-install"  # fixed, so that a second run of `export` changes nothing


class Problem(Exception):
    """Something the user can mend; the message says how."""


def say(*words):
    """Print at once: a pipe must not hold back the progress of a run of minutes."""
    print(*words, flush=True)


# ---------------------------------------------------------------- the tree


class Project:
    """The tree that a command works on: its settings, paths and notebooks."""

    def __init__(self, root):
        self.root = Path(root).resolve()
        ini = configparser.ConfigParser(delimiters=["="], interpolation=None)
        if not ini.read(self.root / "settings.ini", encoding="utf-8"):
            raise Problem(f"{self.root}: no settings.ini here")
        self.settings = ini["DEFAULT"]
        self.name = self.settings["name"]
        self.nbs, self.lib = self.root / "nbs", self.root / self.name

    @property
    def notebooks(self):
        """All notebooks: the index, then the course by number, then the solutions."""
        found = [p for p in self.nbs.rglob("*.ipynb")
                 if not any(x.startswith((".", "_")) for x in p.relative_to(self.nbs).parts)]
        return sorted(found, key=lambda p: (p.parent != self.nbs, p.stem != "index",
                                            p.as_posix()))

    @property
    def course(self):
        """The notebooks in teaching order, without index and solutions."""
        return [p for p in self.notebooks if p.parent == self.nbs and p.stem != "index"]

    def select(self, names):
        """The notebooks that `names` mean; all of them when there are no names."""
        chosen = []
        for name in names:
            stem = Path(name).name.removesuffix(".ipynb")
            hits = [p for p in self.notebooks if p == Path(name).resolve()]
            hits = hits or [p for p in self.notebooks if p.stem == stem]
            hits = hits or [p for p in self.notebooks if p.stem.startswith(stem)]
            if not hits:
                raise Problem(f"{name}: no such notebook under {self.rel(self.nbs)}/")
            chosen += hits
        return chosen if names else self.notebooks

    def rel(self, path):
        """`path` as seen from the top of the project, with forward slashes."""
        return Path(path).relative_to(self.root).as_posix()


def read(path):
    """The notebook at `path` as a dict."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as e:
        raise Problem(f"{path.name}: not a notebook ({e})") from None


def layout(nb):
    """`nb` as the text of a file, as nbdev writes it."""
    return json.dumps(nb, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def without_marks(nb):
    """The text of `nb` without the marks that say which cells are on slides."""
    kept = [{**c, "metadata": {k: v for k, v in c["metadata"].items() if k != "slideshow"}}
            for c in nb["cells"]]
    return layout({**nb, "cells": kept})


def write(path, nb):
    """Write `nb` in nbdev's layout; an unchanged file keeps its time stamp."""
    text = layout(nb)
    if path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def source(cell):
    """The text of a cell (files hold it as a list of lines)."""
    return "".join(cell["source"])


def cells(nb, kind):
    """The cells of one kind, "code" or "markdown"."""
    return [c for c in nb["cells"] if c["cell_type"] == kind]


def split_directives(cell):
    """({directive: value}, remaining lines), read as nbdev reads a cell: directives count
    only above the first other line (blank lines and %% magics do not matter)."""
    found, lines = {}, source(cell).splitlines()
    while lines and re.match(r"\s*(#\s*\||%%\w|$)", lines[0]):
        if m := re.match(r"\s*#\s*\|\s*([^\s:]+)\s*:?\s*(.*?)\s*$", lines.pop(0)):
            found[m[1]] = m[2]
    return found, lines


def exporting(project):
    """{module ("models.padim"): [notebooks whose default_exp names it]}."""
    modules = {}
    for path in project.notebooks:
        for cell in cells(read(path), "code"):
            if module := split_directives(cell)[0].get("default_exp"):
                modules.setdefault(module, []).append(path)
    return modules


def exported_files(project):
    """The .py files that nbdev wrote, told by its header."""
    return [p for p in sorted(project.lib.rglob("*.py"))
            if "# AUTOGENERATED! DO NOT EDIT!" in p.read_text(encoding="utf-8")]


@contextlib.contextmanager
def nbdev_in(project):
    """Work in `project` with nbdev; its warnings become errors.

    nbdev only warns where it skips a file ("Failed to clean notebook", "uses export
    without default_exp"), and does nothing at all when IN_TEST is set."""
    in_test = os.environ.pop("IN_TEST", None)
    try:
        with contextlib.chdir(project.root), warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            yield
    except Warning as e:
        raise Problem(f"nbdev: {e}") from None
    finally:
        if in_test is not None:
            os.environ["IN_TEST"] = in_test


def export_modules(project):
    """Export all notebooks of `project`, as `nbdev-export` does, and write the stubs."""
    from nbdev.doclinks import nbdev_export
    config = project.root / "pyproject.toml"
    before = config.stat()
    with nbdev_in(project):
        nbdev_export.__wrapped__()
    # nbdev writes the file anew, as it was: with a new time make would install again
    os.utime(config, ns=(before.st_atime_ns, before.st_mtime_ns))
    stubs.write(project.lib)


def nbdev_clean(project, path):
    """Clean a notebook or a folder of them, as `nbdev-clean` does."""
    from nbdev.clean import nbdev_clean
    with nbdev_in(project):
        nbdev_clean.__wrapped__(str(path))


# ---------------------------------------------------------------- addresses and links


def addresses(project):
    """[(pattern of an address of this project, what it has to be)], from git_url."""
    url = project.settings["git_url"].rstrip("/").removesuffix(".git")
    owner, repo = url.split("/")[-2:]
    branch = project.settings["branch"]
    names = "|".join(sorted({re.escape(repo), re.escape(project.name)}))
    return [
        (rf"https://colab\.research\.google\.com/github/[^/\s]+/(?:{names})/blob/[^/\s]+/",
         f"https://colab.research.google.com/github/{owner}/{repo}/blob/{branch}/"),
        (rf"https://github\.com/[\w.-]+/(?:{names})(?![\w-])", url),
        (rf"https://[\w-]+\.github\.io/(?:{names})(?![\w-])",
         f"https://{owner.lower()}.github.io/{repo}"),
    ]


def with_addresses(project, text):
    """`text` with every address of the project as settings.ini has it."""
    for pattern, address in addresses(project):
        text = re.sub(pattern, lambda m: address, text)
    return text


def outside_code(markdown, change):
    """Apply `change` to the parts of `markdown` that are neither fenced nor inline code."""
    done, start = [], 0
    for code in re.finditer(FENCE.pattern + r"|`[^`\n]+`", markdown, FENCE.flags):
        done += [change(markdown[start:code.start()]), code[0]]
        start = code.end()
    return "".join(done) + change(markdown[start:])


def replace_links(markdown, change):
    """Apply `change` to the target of every link and picture, markdown or HTML."""
    def in_text(text):
        for pattern in (r"(\]\()([^()\s]+)", r'(\b(?:href|src)=")([^"]+)'):
            text = re.sub(pattern, lambda m: m[1] + change(m[2]), text)
        return text
    return outside_code(markdown, in_text)


def links(markdown):
    """The targets of all links and pictures in `markdown`."""
    found = []
    replace_links(markdown, lambda target: found.append(target) or target)
    return found


def is_relative(target):
    """True for a link into the project, False for https:, mailto:, attachment: ..."""
    return not re.match(r"[a-z][a-z0-9+.-]*:|//", target, re.I)


def headings(markdown):
    """The plain text of the headings in `markdown`."""
    found = re.findall(r"^#{1,6} +(.+?) *#*$", FENCE.sub("", markdown), re.M)
    return [re.sub(r"\[([^\]]*)\]\([^)]*\)|[*`]", r"\1", h) for h in found]


def slug(heading):
    """The anchor that GitHub gives a heading of a markdown file."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(path):
    """The anchors that a link may name in a notebook or markdown file.

    Jupyter, GitHub's notebook view and nbconvert use the heading's text with hyphens for
    spaces; GitHub's view of a .md file uses `slug`."""
    if path.suffix == ".ipynb":
        text = "\n\n".join(source(c) for c in cells(read(path), "markdown"))
        found = {h.replace(" ", "-") for h in headings(text)}
    else:
        text = path.read_text(encoding="utf-8")
        found = {slug(h) for h in headings(text)}
    return found | set(re.findall(r'\b(?:id|name)="([^"]+)"', text))


# ---------------------------------------------------------------- nav


def title(path):
    """The heading of a notebook's first cell."""
    found = read(path)["cells"]
    found = headings(source(found[0])) if found else []
    return found[0] if found else path.stem


def navigation(project, path):
    """The navigation line of the notebook at `path`: badge · previous · index · next.

    A solution has the notebook of its exercises (the same number) for a neighbour."""
    def link(text, target):
        return f"[{text}]({posixpath.relpath(target.as_posix(), path.parent.as_posix())})"

    colab = addresses(project)[0][1] + project.rel(path)
    line = [f"[![Open in Colab]({BADGE})]({colab})"]
    index = link("index", project.nbs / "index.ipynb")
    if path in project.course:
        i = project.course.index(path)
        before, after = project.course[:i][-1:], project.course[i + 1:][:1]
        line += [link(f"← {title(p)}", p) for p in before] + [index]
        line += [link(f"{title(p)} →", p) for p in after]
    elif path.stem != "index":
        number = path.stem.split("_")[0]
        line += [link(title(p), p) for p in project.course
                 if p.stem.split("_")[0] == number] + [index]
    return " · ".join(line)


def install_cell(project):
    """The cell that makes a notebook run on Colab; the same one in every notebook."""
    text = f"""\
# For Colab: install the package if it is missing.
import importlib.util

if importlib.util.find_spec("{project.name}") is None:
    %pip install -q "{project.name} @ git+{addresses(project)[1][1]}\""""
    return {"cell_type": "code", "execution_count": None, "id": INSTALL_ID,
            "metadata": {}, "outputs": [], "source": text.splitlines(True)}


def is_install(cell):
    """True for the Colab install cell, also when a tool gave it another id."""
    return cell["cell_type"] == "code" and "find_spec(" in source(cell) \
        and "%pip install" in source(cell)


def with_navigation(project, path):
    """The notebook at `path` with its navigation line, install cell and addresses."""
    nb = read(path)
    if not nb["cells"] or nb["cells"][0]["cell_type"] != "markdown":
        raise Problem(f"{project.rel(path)}: the first cell must be markdown with `# Title`")
    kept = [c for c in nb["cells"] if not is_install(c)]
    for cell in kept:
        cell["source"] = with_addresses(project, source(cell)).splitlines(True)
    line = navigation(project, path)
    first = source(kept[0]).rstrip().splitlines()
    old = [i for i, text in enumerate(first)
           if text.strip() == "NAV" or text.startswith(f"[![Open in Colab]({BADGE})]")]
    if old:
        first[old[0]] = line
    else:
        first += ["", line]
    kept[0]["source"] = "\n".join(first).splitlines(True)
    if any(c["cell_type"] == "code" for c in kept):  # a text has nothing to install for
        marks = [c["metadata"] for c in nb["cells"] if is_install(c)]  # not on a slide
        kept.insert(1, {**install_cell(project), "metadata": {
            k: v for found in marks for k, v in found.items() if k == "slideshow"}})
    return {**nb, "cells": kept}


def nav(project):
    """Rewrite navigation line, install cell and project addresses in every notebook."""
    for path in project.notebooks:
        write(path, with_navigation(project, path))


# ---------------------------------------------------------------- readme and export


def fence(text, language=""):
    """`text` as a fenced block; the fence is longer than any in the text."""
    marks = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return f"{marks}{language}\n{text.rstrip()}\n{marks}"


def output_text(output):
    """What a reader of plain markdown sees of an output; "" for a picture."""
    if output["output_type"] == "stream":
        text = "".join(output["text"]) if output["name"] == "stdout" else ""
        return fence(text) if text.strip() else ""
    data = output.get("data", {})
    if any(kind.startswith("image/") for kind in data):
        return ""
    if "text/markdown" in data:
        return "".join(data["text/markdown"])
    text = "".join(data.get("text/plain", ""))
    return fence(text) if text.strip() else ""


def readme_files(project):
    """README.md as the index notebook gives it, and its figures: {path: bytes}."""
    def from_top(target):
        if not is_relative(target):
            return target
        file, mark, anchor = target.partition("#")
        if not file:
            return "#" + slug(anchor.replace("-", " "))
        return posixpath.normpath(posixpath.join(nbs, file)) + mark + anchor

    nbs = project.rel(project.nbs)
    index = project.nbs / "index.ipynb"
    if not index.exists():
        raise Problem(f"{project.rel(index)}: missing, and README.md is made from it")
    parts = [f"<!-- Made from {project.rel(index)} by `make export`: edit that notebook. -->"]
    figures = {}
    for cell in read(index)["cells"]:
        directives, lines = split_directives(cell)
        if "hide" in directives or is_install(cell):
            continue
        if cell["cell_type"] == "markdown":
            parts.append(replace_links(source(cell).strip(), from_top))
        elif cell["cell_type"] == "code" and "".join(lines).strip():
            parts.append(fence("\n".join(lines), "python"))
            parts += [text for o in cell["outputs"] if (text := output_text(o))]
            for output in cell["outputs"]:
                if data := output.get("data", {}).get("image/png"):
                    name = f"{nbs}/index_files/{cell['id']}.png"
                    figures[project.root / name] = base64.b64decode("".join(data))
                    parts.append(f"![What the cell above shows]({name})")
    readme = "\n\n".join(parts) + "\n"
    return {project.root / "README.md": readme.encode(), **figures}


def readme(project):
    """Write README.md and its figures from the index notebook."""
    for path, content in readme_files(project).items():
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def export(project):
    """Bring everything derived from the notebooks up to date."""
    nav(project)
    nbdev_clean(project, project.nbs)
    wanted = {project.lib / (module.replace(".", "/") + ".py")
              for module in exporting(project)}
    for path in exported_files(project):
        if path not in wanted:  # its notebook is gone or has another default_exp
            path.unlink()
    export_modules(project)
    readme(project)


# ---------------------------------------------------------------- save


def digest(nb):
    """sha256 over the outputs of all code cells, however a tool breaks their lines."""
    def join(value):
        return "".join(value) if isinstance(value, list) else value

    found = [
        [o["output_type"], o.get("name"), join(o.get("text")),
         {kind: join(value) for kind, value in o.get("data", {}).items()}]
        for cell in cells(nb, "code") for o in cell["outputs"]]
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def worth_storing(outputs):
    """`outputs` without widgets, which show nowhere but in a live notebook (of one that
    brings a figure that stays), and without progress bars, which differ from run to run."""
    kept = []
    for output in outputs:
        if "image/png" in output.get("data", {}):
            output["data"].pop(WIDGET, None)
        if output.get("name") == "stderr":
            lines = [x for x in output["text"].splitlines(True) if not re.search(r"\r|%\|", x)]
            output["text"] = "".join(lines).lstrip("\n")
        if WIDGET not in output.get("data", {}) and output.get("text") != "":
            kept.append(output)
    return kept


def note_outputs(nb, seconds):
    """Note in the metadata that `save` made the outputs of `nb`, which they are, and about
    how long it took."""
    nb["metadata"]["anomaly_nb"] = {"outputs": digest(nb), "offline": True,
                                    "seconds": 5 * round(seconds / 5)}


@contextlib.contextmanager
def as_a_reader():
    """The environment of somebody without network and without pictures of his own."""
    if found := [v for v in DATA_VARIABLES if os.environ.get(v)]:
        raise Problem(f"{found[0]} is set: stored outputs must come from the synthetic set "
                      f"alone, which everybody may copy. Run: unset {' '.join(found)}")
    for variable in ("IN_TEST", "MPLBACKEND", "OMP_NUM_THREADS"):
        os.environ.pop(variable, None)
    os.environ["HF_HUB_OFFLINE"] = "1"
    # this environment's kernel, not one that the user registered under the same name
    os.environ["JUPYTER_PATH"] = str(Path(sys.prefix, "share", "jupyter"))
    with tempfile.TemporaryDirectory() as cache:  # no data set of an older version
        os.environ["ANOMALY_NB_CACHE"] = cache
        yield


def executed(project, path):
    """The notebook with the outputs of a run in a fresh kernel; `Problem` if a cell fails."""
    import nbclient
    import nbformat
    from nbclient import exceptions as errors

    nb = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        nb, timeout=900, startup_timeout=300, kernel_name="python3",
        store_widget_state=False, record_timing=False,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}})
    try:
        client.execute()
    except (errors.CellExecutionError, errors.CellTimeoutError,
            errors.DeadKernelError) as e:
        raise Problem(f"{project.rel(path)}: a cell failed\n{e}") from None
    for cell in cells(nb, "code"):
        cell["outputs"] = worth_storing(cell["outputs"])
    nb["metadata"].pop("widgets", None)
    return nb


def save(project, names):
    """Run notebooks in a fresh kernel as a reader without network, and store the outputs."""
    import nbformat

    with as_a_reader():
        for path in project.select(names):
            start = time.time()
            nbformat.write(executed(project, path), path)
            seconds = time.time() - start
            nbdev_clean(project, path)
            nb = read(path)
            note_outputs(nb, seconds)
            write(path, nb)
            say(f"saved {project.rel(path)}  {seconds:.0f} s  "
                f"{path.stat().st_size // 1000} KB")


# ---------------------------------------------------------------- check


def check_settings(project):
    """Package metadata stands in settings.ini alone."""
    config = tomllib.loads((project.root / "pyproject.toml").read_text(encoding="utf-8"))
    if "project" in config:
        yield "pyproject.toml: has a [project] table; package metadata belongs in settings.ini"
    for key in set(config.get("tool", {}).get("nbdev", {})) & set(project.settings):
        yield f"pyproject.toml: {key} stands in settings.ini too; remove it from [tool.nbdev]"
    for requirement in project.settings["requirements"].split():
        if ">=" not in requirement:
            yield f"settings.ini: {requirement} needs a lowest release that is tested, as in x>=1"


def check_directives(project):
    """Directives count only at the top of a cell, and a module has one notebook."""
    names = r"default_exp|export|exporti|exports|exportd|eval|hide|notest"
    for path in project.notebooks:
        for cell in cells(read(path), "code"):
            for line in split_directives(cell)[1]:
                if re.match(rf"\s*#\s*\|\s*({names})\b", line):
                    yield (f"{project.rel(path)}: `{line.strip()}` has no effect below other "
                           "lines; make it the first line of its cell")
    for module, paths in exporting(project).items():
        if len(paths) > 1:
            files = ", ".join(project.rel(p) for p in paths)
            yield f"{files}: all export to {module}, the last one wins; give each its own"


def check_nav(project):
    """Navigation line and install cell are what `export` would write."""
    for path in project.notebooks:
        if with_navigation(project, path) != read(path):
            yield (f"{project.rel(path)}: navigation line, install cell or an address is out "
                   "of date; run: make export")


def check_addresses(project):
    """Addresses of the project are those of settings.ini."""
    files = project.notebooks + exported_files(project) + sorted(project.root.glob("*.md"))
    for path in files:
        text = path.read_text(encoding="utf-8")
        for pattern, address in addresses(project):
            for found in sorted(set(re.findall(pattern, text)) - {address}):
                yield (f"{project.rel(path)}: {found} should be {address}, from git_url and "
                       "branch in settings.ini; run: make export")


def check_links(project):
    """Relative links lead to a file that exists, and to a heading in it."""
    colab = addresses(project)[0][1]
    for path in project.notebooks + sorted(project.root.glob("*.md")):
        if path.suffix == ".ipynb":
            texts = [source(c) for c in cells(read(path), "markdown")]
        else:
            texts = [path.read_text(encoding="utf-8")]
        for target in links("\n\n".join(texts)):
            if target.startswith(colab):
                if not (project.root / target.removeprefix(colab)).exists():
                    yield f"{project.rel(path)}: dead link {target}"
            if not is_relative(target):
                continue
            file, _, anchor = urllib.parse.unquote(target).partition("#")
            goal = (path.parent / file).resolve() if file else path
            if not goal.exists() or not goal.is_relative_to(project.root):
                yield f"{project.rel(path)}: dead link {target}"
            elif anchor and goal.suffix in (".ipynb", ".md") and anchor not in anchors(goal):
                yield f"{project.rel(path)}: dead link {target}, no such heading"


def check_outputs(project):
    """Stored outputs come from `save`: offline, without errors, widgets or local paths."""
    local = re.compile("|".join([re.escape(str(project.root)), r"/home/\w", r"/Users/\w",
                                 r"/root/\w", "site-packages", r":\\Users",
                                 r"/ipykernel_\d"]))     # of a warning
    for path in project.notebooks:
        nb, name = read(path), project.rel(path)
        way_out = f"run: make save NB={name}"
        if problem := oversize(path):
            yield f"{name}: {problem}"
        if "widgets" in nb["metadata"]:
            yield f"{name}: stores widget state; {way_out}"
        outputs = [o for c in cells(nb, "code") for o in c["outputs"]]
        for output in outputs:
            if output["output_type"] == "error":
                yield f"{name}: stores an error, {output['ename']}; mend the cell and {way_out}"
            if WIDGET in output.get("data", {}):
                yield f"{name}: stores a widget, which shows nowhere; {way_out}"
            data = output.get("data", {})
            texts = [output.get("text", "")] + [v for k, v in data.items()
                                                if k.startswith("text/")]
            for found in {m[0] for text in texts for m in local.finditer("".join(text))}:
                yield f"{name}: an output shows a path of one machine ({found}...)"
        noted = nb["metadata"].get("anomaly_nb", {}).get("outputs")
        if outputs and noted != digest(nb):
            yield (f"{name}: outputs saved by other means, perhaps with {DATA_VARIABLES[0]} "
                   f"set; {way_out}")
        elif cells(nb, "code") and not noted:
            yield f"{name}: no outputs stored; {way_out}"


def oversize(path):
    """Why the file is too large, marks of slides not counted; None when it is not."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        size = len(without_marks(read(path)).encode())
    if size > MAX_BYTES:
        return (f"{size // 1000} KB, more than {MAX_BYTES // 1000}; store fewer or smaller "
                "figures")


def check_readme(project):
    """README.md is what the index notebook gives."""
    for path, content in readme_files(project).items():
        if not path.exists() or path.read_bytes() != content:
            yield f"{project.rel(path)}: differs from nbs/index.ipynb; run: make export"


def check_map(project):
    """The index links every notebook of the course."""
    cell_texts = [source(c) for c in cells(read(project.nbs / "index.ipynb"), "markdown")]
    linked = {target.partition("#")[0] for target in links("\n\n".join(cell_texts))}
    for path in project.course:
        if path.name not in linked:
            yield f"nbs/index.ipynb: the map lacks {path.name}"


def imports(path, package):
    """The modules of `package` that the file at `path` imports, as ("models.padim", ...).

    Looks into functions too; the package itself is ""."""
    root = path
    while root.name != package:
        root = root.parent
    here = [package, *path.relative_to(root).with_suffix("").parts]
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = [*here[:-node.level], node.module] if node.level else [node.module]
            base = ".".join(filter(None, base))
            for name in node.names:  # `from .models import padim`: a module or a name in one?
                module = Path(root.parent, *base.split("."), name.name)
                is_module = module.with_suffix(".py").exists() or module.is_dir()
                found.add(f"{base}.{name.name}" if is_module else base)
    return {m.partition(".")[2] for m in found if m.split(".")[0] == package}


def check_imports(project):
    """A module imports from lower-numbered notebooks and appendices, a model from fewer."""
    number, paths, found = {}, {}, []
    for module, (path, *_) in exporting(project).items():
        if m := re.match(r"(\d+)_", path.name):
            number[module], paths[module] = int(m[1]), project.rel(path)
        else:
            yield f"{project.rel(path)}: exports, so it needs a number, as in 07_name.ipynb"
    graph = {}
    for file in sorted(project.lib.rglob("*.py")):
        module = ".".join(file.relative_to(project.lib).with_suffix("").parts)
        module = module.removesuffix("__init__").rstrip(".")
        graph[module] = imports(file, project.name) - {module}
    for module in sorted(number.keys() & graph.keys()):
        for other in sorted(graph[module]):
            # a handwritten package such as models stands where its last module does
            inside = [n for m, n in number.items() if m == other or m.startswith(other + ".")]
            if problem := upwards(module, number[module], other, max(inside, default=0)):
                found.append(f"{paths[module]}: {module} imports {other}; {problem}")
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as e:
        if not found:  # of handwritten modules, which have no number
            circle = " <- ".join(m or project.name for m in e.args[1])
            found = [f"imports run in a circle: {circle}"]
    yield from found


def upwards(module, number, other, others_number):
    """Why a module must not import another one; None if it may.

    The appendices are the engine room: every module may import them."""
    if number >= APPENDIX:
        if not APPENDIX <= others_number < number:
            return "an appendix imports from lower-numbered appendices only"
    elif others_number >= APPENDIX:
        return None
    elif others_number >= number:
        return "it comes later in the course; move what both need to an earlier notebook"
    elif module.startswith("models.") and other not in ("", *FOUNDATIONS):
        return f"a model imports from {', '.join(FOUNDATIONS)} and the appendices only"


def check_quiz(project):
    """Keys, headings and answers of the course's questions hold, and the Moodle file is current."""
    if (project.root / "course" / "quiz").exists():
        import quiz
        yield from quiz.wrong(project.root)


def check_length(project):
    """An exported module that does not draw is short enough to be read."""
    for path in exported_files(project):
        lines = path.read_text(encoding="utf-8").count("\n")
        if lines > MAX_LINES and path.stem not in DRAWING:
            yield (f"{project.rel(path)}: {lines} lines, more than {MAX_LINES}; give a part of "
                   "its notebook a notebook and module of its own")


def lines_of(project, *command):
    """What a checker that is a module of its own prints: a line for each problem."""
    done = subprocess.run([sys.executable, "-m", *map(str, command)], cwd=project.root,
                          text=True, capture_output=True)
    if done.returncode and not done.stdout.strip() or done.returncode > 1:
        raise Problem(f"{command[0]}: {(done.stdout + done.stderr).strip()}")
    return done.stdout.splitlines() if done.returncode else []


def check_lint(project):
    """ruff finds nothing in modules, tools and notebooks."""
    yield from lines_of(project, "ruff", "check", "--quiet", "--output-format=concise", ".")


def check_types(project):
    """mypy finds the mistakes in tools/typed_use.py and no others, in the stubs neither."""
    files = [*sorted(project.lib.rglob("*.pyi")), *sorted(project.root.glob("tools/*.py"))]
    if files:
        found = lines_of(project, "mypy", "--no-error-summary", *files)
        yield from (line for line in found if ": note: " not in line)


@contextlib.contextmanager
def copy_of(project):
    """A throw-away copy of all that nbdev reads and writes: no check changes the tree."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("settings.ini", "pyproject.toml"):
            shutil.copy(project.root / name, folder)
        for path in (project.nbs, project.lib):
            shutil.copytree(path, Path(folder, path.name), ignore=IGNORED)
        yield Project(folder)


def contents(project):
    """{path: bytes} of everything that nbdev may write."""
    return {project.rel(p): p.read_bytes() for folder in (project.nbs, project.lib)
            for p in sorted(folder.rglob("*")) if p.is_file()}


def check_clean(project):
    """nbdev-clean has nothing to do."""
    with copy_of(project) as copy:
        before = contents(copy)
        nbdev_clean(copy, copy.nbs)
        after = contents(copy)
    for name in before:
        if before[name] != after[name]:
            yield f"{name}: not clean (execution counts, metadata); run: make export"


def check_sync(project):
    """Deleting every exported module and exporting again gives the same files."""
    with copy_of(project) as copy:
        before = contents(copy)
        for path in exported_files(copy):
            path.unlink()
        export_modules(copy)
        after = contents(copy)
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            yield f"{name}: no notebook exports it any more; run: make export"
        elif name not in before:
            yield f"{name}: exported by a notebook, but missing; run: make export"
        elif before[name] != after[name]:
            yield f"{name}: differs from its notebook; run: make export"


CHECKS = (check_settings, check_directives, check_nav, check_addresses, check_links,
          check_outputs, check_readme, check_map, check_quiz, check_imports, check_length, check_clean,
          check_sync, check_lint, check_types)


def problems_of(function, *args):
    """The problems that `function` yields; a crash is one more, and others still run."""
    found = []
    try:
        found += function(*args)
    except Problem as e:
        found.append(str(e))
    except Exception:
        found.append("crashed\n" + traceback.format_exc())
    return list(dict.fromkeys(found))


def check(project):
    """Run all checks, print what they find, and return it."""
    found = []
    for function in CHECKS:
        problems = problems_of(function, project)
        say("FAIL" if problems else "ok  ", function.__name__.replace("_", " "), "-",
            function.__doc__.splitlines()[0])
        for problem in problems:
            say("     ", problem)
        found += problems
    return found


# ---------------------------------------------------------------- test


def skipped_cells(path, skip_flags):
    """(code cells that the runner leaves out, code cells), not counting the install cell
    and cells of directives and comments alone."""
    from nbdev.test import nb_test_cells

    def counts(cell):
        lines = [line.strip() for line in source(cell).splitlines()]
        return not is_install(cell) and any(x and not x.startswith("#") for x in lines)

    run = [c for c in nb_test_cells(path, skip_flags) if counts(c)]
    code = [c for c in cells(read(path), "code") if counts(c)]
    return len(code) - len(run), len(code)


def run_in_child(path, root, skip_flags, threads, cache, report):
    """Body of a fresh process: run one notebook, write {ok, seconds, mb} to `report`.json
    and everything printed to `report`.log."""
    import resource

    os.setsid()  # so that a timeout can end the notebook's own children too
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    log = open(f"{report}.log", "wb")
    os.dup2(log.fileno(), 1)
    os.dup2(log.fileno(), 2)
    for variable in DATA_VARIABLES:
        os.environ.pop(variable, None)
    os.environ["ANOMALY_NB_CACHE"] = cache
    import torch
    from nbdev.test import test_nb
    torch.set_num_threads(threads)
    wrong = figures.watch(root)
    ok, seconds = test_nb(path, skip_flags=skip_flags, basepath=root, cell_timeout=None)
    for problem in dict.fromkeys(wrong):
        print(problem)
    ok = ok and not wrong
    used = max(resource.getrusage(who).ru_maxrss
               for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    used *= 1 if sys.platform == "darwin" else 1024  # bytes on macOS, KB elsewhere
    Path(f"{report}.json").write_text(
        json.dumps({"ok": bool(ok), "seconds": seconds, "mb": used / 1e6}))
    sys.stdout.flush()
    sys.stderr.flush()
    os.killpg(os.getpgrp(), signal.SIGKILL)  # this process and what the notebook left


def unfit(path, skip_flags):
    """Why a notebook fails without being run; None when it can be run."""
    try:
        skipped, code = skipped_cells(path, skip_flags)
    except Exception as e:  # nbdev's reader on a damaged file
        return f"cannot be read: {e!r}"
    if code and skipped == code:
        return "all its code cells are skipped: it tests nothing"
    return oversize(path)


def end(process):
    """End a notebook's process and all that it started, by its own process group."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()  # where it had no group of its own yet
    process.join()


def result_of(process, report, skip_flags, path):
    """(passed, seconds, MB, notes) of a notebook's process that has ended."""
    file = Path(f"{report}.json")
    if not file.exists():
        code = process.exitcode
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return False, None, None, [f"its process died: {how}"]
    result = json.loads(file.read_text())
    skipped, code = skipped_cells(path, skip_flags)
    notes = [f"{skipped} of {code} cells skipped"] * bool(skipped)
    notes += [f"over {SLOW} s"] * (result["seconds"] > SLOW)
    notes += [f"over {LARGE} MB"] * (result["mb"] > LARGE)
    return result["ok"], result["seconds"], result["mb"], notes


def preload(project):
    """Import what the notebooks import, except the package, which each of them tests."""
    code = "\n".join(source(c) for p in project.notebooks for c in cells(read(p), "code"))
    lines = re.findall(r"^(?:from|import) +(.+?)(?: +import\b.*)?$", code, re.M)
    names = {n.partition(" as ")[0].strip() for line in lines for n in line.split(",")}
    for name in ["torch", "nbdev.test", *sorted(names)]:
        if re.fullmatch(r"\w[\w.]*", name) and name.split(".")[0] != project.name:
            with contextlib.suppress(ImportError):  # the notebook that needs it will say so
                importlib.import_module(name)


def run_notebooks(project, paths, jobs=None, timeout=TIMEOUT):
    """Run notebooks, each in a fresh process, and print a line for each as it ends.

    Fork from a process that has imported what they import (of others, not the package)
    saves those imports for every notebook; it is safe while torch has computed nothing
    (macOS has to spawn). Returns {path: True if it passed}."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") \
        else os.cpu_count()
    jobs = max(1, min(jobs or 4, cores, len(paths)))
    threads = max(1, cores // jobs)  # two workers must not run four threads on two cores
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(threads)  # before the import: read once
    # threads that wait must not take the cores from the other notebooks
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    if context.get_start_method() == "fork":
        preload(project)
    config = tomllib.loads((project.root / "pyproject.toml").read_text(encoding="utf-8"))
    skip_flags = config["tool"]["nbdev"].get("tst_flags", "notest").split()
    width = max(len(project.rel(p)) for p in paths)
    passed, times = {}, {}

    def show(path, ok, seconds, mb, notes, output=""):
        passed[path], times[path] = ok, seconds
        memory = "" if mb is None else f"{mb:5.0f} MB"
        say("PASS" if ok else "FAIL", project.rel(path).ljust(width), f"{seconds:6.1f} s",
            memory, "; ".join(notes))
        if not ok and output.strip():
            say("    " + output.strip()[-6000:].replace("\n", "\n    "))

    def launch(path, report):
        Path(f"{report}.log").touch()  # for a process that dies before it writes
        process = context.Process(target=run_in_child, args=(
            path, project.root, skip_flags, threads, str(cache), report))
        with warnings.catch_warnings():  # Python 3.12 warns of any fork beside threads
            warnings.simplefilter("ignore", DeprecationWarning)
            process.start()
        return process

    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder, "cache")
        cache.mkdir()
        # the longest go first: index, and those at the end
        queue, running = sorted(paths[::-1], key=lambda p: p.stem != "index"), {}
        try:
            while queue or running:
                while queue and len(running) < jobs:
                    path = queue.pop(0)
                    if reason := unfit(path, skip_flags):
                        show(path, False, 0.0, None, [reason])
                    else:
                        report = Path(folder, f"{len(queue)}")
                        running[path] = launch(path, report), report, time.time()
                wait([process.sentinel for process, _, _ in running.values()], timeout=1)
                for path, (process, report, start) in list(running.items()):
                    seconds = time.time() - start
                    overdue = process.is_alive() and seconds > timeout
                    if process.is_alive() and not overdue:
                        continue
                    del running[path]
                    if overdue:
                        end(process)
                    ok, used, mb, notes = result_of(process, report, skip_flags, path)
                    if overdue:
                        ok, notes = False, [f"stopped after {timeout} s"]
                    log = Path(f"{report}.log")
                    show(path, ok, used or seconds, mb, notes,
                         log.read_text(encoding="utf-8", errors="replace"))
        finally:
            for process, _, _ in running.values():  # after Ctrl-C
                end(process)
    slowest = sorted(times, key=times.get, reverse=True)[:5]
    say("slowest:", ", ".join(f"{p.stem} {times[p]:.0f} s" for p in slowest))
    return passed


def closing_line(passed):
    """What a reader of the whole run looks for last."""
    return f"{sum(passed.values())} passed, {len(passed) - sum(passed.values())} failed"


def test(project, names=(), jobs=None):
    """Run notebooks; returns ([problems], the closing line)."""
    paths = project.select(names)
    if not paths:
        raise Problem(f"no notebooks under {project.rel(project.nbs)}/: nothing was tested")
    passed = run_notebooks(project, paths, jobs)
    return [f"{project.rel(p)}: failed" for p in paths if not passed[p]], closing_line(passed)


# ---------------------------------------------------------------- wheel


def build_wheel(project, folder, isolated):
    """Build the wheel into `folder`, from a copy: setuptools leaves a build/ folder behind
    whose old modules would come back in the next wheel."""
    tree = Path(folder, "tree")
    tree.mkdir()
    for path in project.root.iterdir():
        if path.is_file():
            shutil.copy(path, tree)
    shutil.copytree(project.lib, tree / project.lib.name, ignore=IGNORED)
    command = [sys.executable, "-m", "pip", "wheel", str(tree), "--no-deps", "-q", "-w", folder]
    call(command if isolated else [*command, "--no-build-isolation"], folder)
    return next(Path(folder).glob("*.whl"))


def missing_from(wheel, project):
    """The files of the package's tree that the wheel lacks, and those it should not have."""
    with zipfile.ZipFile(wheel) as archive:
        there = {n for n in archive.namelist() if n.startswith(project.name + "/")}
    wanted = {project.rel(p) for p in project.lib.rglob("*")
              if p.is_file() and "__pycache__" not in p.parts and not p.name.startswith(".")}
    for name in sorted(wanted - there):
        yield f"{name}: not in the wheel; mend packages or package_data in setup.py"
    for name in sorted(there - wanted):
        yield f"{name}: in the wheel, but not in the tree"


def call(command, folder, env=None):
    """Run `command` in `folder`; a failure is a Problem that ends with its output."""
    done = subprocess.run([str(c) for c in command], cwd=folder, env=env, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise Problem(f"{' '.join(map(str, command))}\n{done.stdout.strip()[-4000:]}")
    return done.stdout


IMPORT_ALL = """
import importlib, pathlib, pkgutil, sys
import {name} as package
file = pathlib.Path(package.__file__).resolve()
assert file.is_relative_to(pathlib.Path(sys.prefix).resolve()), f"imported {{file}}"
for module in pkgutil.walk_packages(package.__path__, "{name}."):
    importlib.import_module(module.name)
"""

# One process, because the import of torch is most of the time of each of these programs.
RUN_ALL = """
import contextlib, io, json, runpy, sys, time, traceback
done = []
for program, *arguments in json.loads(sys.argv[1]):
    start, error, sys.argv[:] = time.time(), "", [program, *arguments]
    with contextlib.redirect_stdout(io.StringIO()) as out:
        try:
            runpy.run_path(program, run_name="__main__")
        except SystemExit as e:
            error = e.code and f"exit status {e.code}\\n{out.getvalue()}"
        except BaseException:
            error = traceback.format_exc()
    done.append([time.time() - start, error])
print()  # a progress bar may have left its line open
print(json.dumps(done))
"""


def wheel(project, full=False, out=None, briefly=False):
    """The problems of the wheel, used in a second environment from another folder.

    Its dependencies are those of the running environment, through a .pth file; the files
    of this checkout are not, because a .pth found through a .pth is not read. `full`
    installs them anew, as a stranger would. A wheel without problems is copied to `out`.
    `briefly` leaves README's lines at their imports: the index notebook runs the others."""
    with tempfile.TemporaryDirectory() as folder:
        package = build_wheel(project, folder, isolated=full)
        found = list(missing_from(package, project))
        second = Path(folder, "env")
        python = second / "bin" / "python"
        if full:
            say("      installing the wheel and all it needs; this takes minutes")
            call([sys.executable, "-m", "venv", second], folder)
            call([python, "-m", "pip", "install", "-q", package], folder)
        else:
            call([sys.executable, "-m", "venv", "--without-pip", second], folder)
            call([sys.executable, "-m", "pip", "--python", python, "install", "-q",
                  "--no-deps", package], folder)
            ask = "import sysconfig; print(sysconfig.get_path('purelib'))"
            site = Path(call([python, "-c", ask], folder).strip())
            first = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
            (site / "dependencies.pth").write_text("\n".join(sorted(first)) + "\n")
        away = Path(folder, "elsewhere")
        away.mkdir()
        unset = {"PYTHONPATH", "IN_TEST", *DATA_VARIABLES}
        env = {k: v for k, v in os.environ.items() if k not in unset}
        env |= {"HF_HUB_OFFLINE": "1", "MPLBACKEND": "agg",
                "ANOMALY_NB_CACHE": str(Path(folder, "cache"))}
        (away / "import_all.py").write_text(IMPORT_ALL.format(name=project.name))
        text = (project.root / "README.md").read_text(encoding="utf-8")
        lines = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
        if briefly:
            lines = [ast.unparse(x) for x in ast.parse("\n".join(lines)).body
                     if isinstance(x, (ast.Import, ast.ImportFrom))]
        (away / "readme_lines.py").write_text("\n".join(lines), encoding="utf-8")
        if not lines:
            found.append("README.md: has no python lines to run")
        programs = [["readme_lines.py"], [str(second / "bin" / project.name), "--help"],
                    ["import_all.py"]]
        (away / "run_all.py").write_text(RUN_ALL)
        told = call([python, "run_all.py", json.dumps(programs)], away, env)
        for program, (seconds, error) in zip(programs, json.loads(told.splitlines()[-1])):
            what = " ".join([Path(program[0]).name, *program[1:]])
            if error:
                found.append(f"{what}\n{error}")
            else:
                say(f"      ok   {what}  {seconds:.0f} s")
        if out and not found:
            Path(out).mkdir(parents=True, exist_ok=True)
            shutil.copy(package, out)
    return found


# ---------------------------------------------------------------- all


def git_status(project):
    """What git sees as changed; None outside a repository or without git."""
    try:
        return subprocess.run(["git", "status", "--porcelain"], cwd=project.root, text=True,
                              check=True, capture_output=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return None


def everything(project):
    """All that `make test` promises, quick answers first; returns (problems, closing line)."""
    status = git_status(project)
    # one core's work for a minute: beside the rest, its line comes when it ends
    own = subprocess.Popen([sys.executable, Path(__file__).with_name("test_notebooks.py")])
    try:
        found = check(project)
        say("\nwheel, in a second environment:")
        found += problems_of(lambda: wheel(project, briefly=True))
        say("\nnotebooks, each in a fresh process:")
        try:
            problems, closing = test(project)
        except Exception as e:
            text = str(e) if isinstance(e, Problem) else traceback.format_exc()
            problems, closing = [text], closing_line({})
        if own.wait():
            found.append("the tests of tools/notebooks.py: failed, see above")
    finally:
        own.terminate()
    found += problems
    if status == "" and (now := git_status(project)):  # not for work in progress
        found.append(f"the run left changes in the checkout:\n{now}")
    return found, closing


def main(argv=None):
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", default=Path(__file__).resolve().parent.parent,
                        help="the project (default: the one this program stands in)")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("export", "check", "all", "oldest"):
        commands.add_parser(name)
    commands.add_parser("save").add_argument("names", nargs="*", metavar="NB")
    sub = commands.add_parser("test")
    sub.add_argument("names", nargs="*", metavar="NB")
    sub.add_argument("-j", "--jobs", type=int, help="notebooks at a time (default: up to 4)")
    sub = commands.add_parser("wheel")
    sub.add_argument("--full", action="store_true", help="install all dependencies anew")
    sub.add_argument("--briefly", action="store_true", help="of README's lines only the imports")
    sub.add_argument("--out", help="a folder for the wheel, if nothing is wrong with it")
    args = parser.parse_args(argv)

    # a terminated run ends its notebooks' processes, as after Ctrl-C
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    found, closing, told = [], None, False  # told: it printed its problems as it went
    try:
        project = Project(args.root)
        match args.command:
            case "all":
                found, closing = everything(project)
            case "check":
                found, told = check(project), True
            case "test":
                (found, closing), told = test(project, args.names, args.jobs), True
            case "wheel":
                found = wheel(project, args.full, args.out, args.briefly)
            case "save":
                save(project, args.names)
            case "oldest":
                floors = {r.split(">=")[0]: r for key in ("requirements", "dev_requirements")
                          for r in project.settings[key].split() if ">=" in r}  # tests need more
                say("\n".join(floors[r.split(">=")[0]].replace(">=", "==")
                              for r in project.settings["requirements"].split()))
            case "export":
                export(project)
    except Problem as e:
        found, told = [str(e)], False
    if found and not told:
        say(f"\n{len(found)} problem{'s' * (len(found) > 1)}:")
        for problem in found:
            say(" -", problem)
    if closing:
        say(closing)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
