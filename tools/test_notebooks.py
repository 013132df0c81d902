#!/usr/bin/env python3
"""Tests of notebooks.py: a small project passes every check, and each check can fail.

Plain asserts; `python tools/test_notebooks.py [NAME ...]` runs all, or those named.
Every test gets a project of its own in a temporary folder, spoils one thing in it and
expects the one message that names the file.
"""
import contextlib
import hashlib
import io
import os
import shutil
import sys
import tempfile
import time
import zlib
from pathlib import Path

import notebooks as tool

HERE = Path(__file__).resolve().parent
SETTINGS = """\
[DEFAULT]
name = anomaly_nb
version = 0.0.1
description = a small project
keywords = test
author = nobody
license = Apache-2.0
git_url = https://github.com/somebody/anomaly_nb
branch = main
min_python = 3.11
requirements =
dev_requirements =
console_scripts = anomaly_nb=anomaly_nb.one:main
"""
PYPROJECT = (HERE.parent / "pyproject.toml").read_text()
TYPED = """\
from fractions import Fraction
from anomaly_nb.more import Ninth
from anomaly_nb.thing import LENGTHS, Detector

det = Detector(2, name="x").fit([], batch_size=3)
total: int = det.double + det.n + det.size
half: Fraction = Ninth(depth=3).fit([]).share(Fraction(1))
stem: str = Ninth().path.stem
LENGTHS.append(Ninth().depth)
det.fit([], batchsize=3)  # type: ignore[call-arg]
det.double()  # type: ignore[operator]
det.share(1)  # type: ignore[arg-type]
det.depth  # type: ignore[attr-defined]
det.path.stems  # type: ignore[attr-defined]
Ninth(depth="x")  # type: ignore[arg-type]
"""
INDEX = [
    "# The map\n\n> All of it\n\nNAV",
    "See [one](01_one.ipynb#First-steps), [its code](../anomaly_nb/one.py), [below](#Try-it), "
    "[features](03_features.ipynb), [model](12_model.ipynb).",
    "## Try it",
    "!from anomaly_nb.one import one\n\nprint(one())",
]
NOTEBOOKS = {
    "index": INDEX,
    "01_one": ["# One\n\n> The first\n\nNAV", "!#| default_exp one", "## First steps",
               "!#| export\ndef one():\n    return 1\n\n\ndef main():\n    print('help')",
               "!assert one() == 1"],
    "03_features": ["# Features\n\n> Shared\n\nNAV", "!#| default_exp features",
                    "!#| export\nfrom anomaly_nb.one import one\n\nthree = 2 + one()"],
    "12_model": ["# Model\n\n> A model\n\nNAV", "!#| default_exp models.model",
                 "!#| export\nfrom anomaly_nb.features import three\n\nfour = 1 + three"],
    "solutions/12_model": ["# Answers\n\n> Solved\n\nNAV", "!assert 1 + 1 == 2"],
}


def cell(text):
    """A cell from text; a first `!` makes it a code cell."""
    lines = text.removeprefix("!").splitlines(True)
    new = {"cell_type": "markdown", "id": f"{zlib.crc32(text.encode()):08x}", "metadata": {},
           "source": lines}
    if text.startswith("!"):
        new |= {"cell_type": "code", "execution_count": None, "outputs": []}
    return new


def add(project, name, *texts):
    """Append cells to a notebook, or make it."""
    path = project.nbs / f"{name}.ipynb"
    nb = tool.read(path) if path.exists() else {
        "cells": [], "nbformat": 4, "nbformat_minor": 5,
        "metadata": {"kernelspec": {"display_name": "python3", "language": "python",
                                    "name": "python3"}}}
    nb["cells"] += map(cell, texts)
    path.parent.mkdir(exist_ok=True)
    path.touch()
    tool.write(path, nb)
    return path


def set_outputs(path, *outputs, noted=True):
    """Store outputs in the last cell, as `save` does, or (noted=False) as Jupyter does."""
    nb = tool.read(path)
    if outputs:
        nb["cells"][-1]["outputs"] = list(outputs)
    if noted:
        tool.note_outputs(nb, 1)
    tool.write(path, nb)


def printed(text, name="stdout"):
    """The output of a print."""
    return {"output_type": "stream", "name": name, "text": [text]}


def make_project(folder):
    """A project that passes every check."""
    Path(folder, "settings.ini").write_text(SETTINGS)
    Path(folder, "pyproject.toml").write_text(PYPROJECT)
    shutil.copy(HERE.parent / "setup.py", folder)
    project = tool.Project(folder)
    for package in (project.lib, project.lib / "models"):
        package.mkdir()
        (package / "__init__.py").write_text('"""Handwritten."""\n')
    for name, texts in NOTEBOOKS.items():
        add(project, name, *texts)
    tool.export(project)
    for path in project.notebooks:
        set_outputs(path, *[printed("1\n")] * (path.stem == "index"))
    tool.readme(project)
    return project


def expect(project, function, *words):
    """`function` reports exactly one problem, which holds all `words`."""
    found = tool.problems_of(function, project)
    assert len(found) == 1 and all(w in found[0] for w in words), (words, found)


# ------------------------------------------------------------------ checks


def test_good_project_passes(project):
    for function in tool.CHECKS:
        found = tool.problems_of(function, project)
        assert not found, (function.__name__, found)


def test_export_is_stable(project):
    before = tool.contents(project)
    tool.export(project)
    assert tool.contents(project) == before


def test_readme(project):
    text = (project.root / "README.md").read_text()
    assert "[one](nbs/01_one.ipynb#First-steps)" in text, text
    assert "[its code](anomaly_nb/one.py)" in text and "[below](#try-it)" in text
    assert "```python\nfrom anomaly_nb.one import one\n\nprint(one())\n```\n\n```\n1\n```" in text
    assert "%pip" not in text
    add(project, "index", "More.")
    expect(project, tool.check_readme, "README.md", "make export")


def test_navigation(project):
    def first(name):
        return tool.source(tool.read(project.nbs / name)["cells"][0]).splitlines()[-1]

    badge = ("[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
             "(https://colab.research.google.com/github/somebody/anomaly_nb/blob/main/nbs/")
    assert first("index.ipynb") == badge + "index.ipynb)"
    assert first("03_features.ipynb") == badge + (
        "03_features.ipynb) · [← One](01_one.ipynb) · [index](index.ipynb)"
        " · [Model →](12_model.ipynb)")
    assert first("solutions/12_model.ipynb") == badge + (
        "solutions/12_model.ipynb) · [Model](../12_model.ipynb) · [index](../index.ipynb)")
    add(project, "10_new", "# New\n\n> New\n\nNAV")  # its neighbours are out of date as well
    found = list(tool.check_nav(project))
    assert [f.split(":")[0] for f in found] == [
        f"nbs/{n}.ipynb" for n in ("03_features", "10_new", "12_model")], found


def test_other_address(project):
    add(project, "01_one", "[old](https://github.com/another/anomaly_nb/issues)")
    expect(project, tool.check_addresses, "nbs/01_one.ipynb", "another", "somebody")
    tool.export(project)
    assert not list(tool.check_addresses(project))


def test_dead_links(project):
    add(project, "01_one", "[no file](02_two.ipynb), `[code](x)`\n\n```\n[code](y)\n```")
    expect(project, tool.check_links, "nbs/01_one.ipynb", "02_two.ipynb")


def test_dead_anchor(project):
    add(project, "12_model", "[no heading](01_one.ipynb#Last-steps)")
    expect(project, tool.check_links, "nbs/12_model.ipynb", "#Last-steps")


def test_dead_badge(project):
    add(project, "01_one", "[x](https://colab.research.google.com/github/somebody/anomaly_nb/"
        "blob/main/nbs/99_none.ipynb)")
    expect(project, tool.check_links, "nbs/01_one.ipynb", "99_none")


def test_late_directive(project):
    add(project, "01_one", "!# why\n#| eval: false\n1 / 0")
    expect(project, tool.check_directives, "nbs/01_one.ipynb", "#| eval: false")


def test_two_notebooks_one_module(project):
    add(project, "02_two", "# Two\n\n> Two\n\nNAV", "!#| default_exp one")
    expect(project, tool.check_directives, "01_one.ipynb", "02_two.ipynb", "one")


def test_metadata_twice(project):
    file = project.root / "pyproject.toml"
    file.write_text(PYPROJECT + '\n[project]\nname = "anomaly_nb"\n')
    expect(project, tool.check_settings, "pyproject.toml", "[project]")


def test_module_edited_by_hand(project):
    file = project.lib / "one.py"
    file.write_text(file.read_text() + "# by hand\n")
    expect(project, tool.check_sync, "anomaly_nb/one.py", "differs")
    assert file.read_text().endswith("# by hand\n")  # the check left it alone


def test_module_without_notebook(project):
    shutil.copy(project.lib / "one.py", project.lib / "zero.py")
    assert any("zero.py: no notebook" in f for f in tool.check_sync(project))
    tool.export(project)
    assert not (project.lib / "zero.py").exists()
    test_good_project_passes(project)


def test_module_missing(project):
    (project.lib / "models" / "model.py").unlink()
    assert any("model.py: exported by" in f for f in tool.check_sync(project))


def test_export_without_module(project):
    add(project, "05_five", "# Five\n\n> Five\n\nNAV", "!#| export\nfive = 5")
    expect(project, tool.check_sync, "05_five.ipynb", "default_exp")


def test_not_clean(project):
    path = project.nbs / "12_model.ipynb"
    nb = tool.read(path)
    nb["cells"][-1]["execution_count"] = 7
    tool.write(path, nb)
    expect(project, tool.check_clean, "nbs/12_model.ipynb", "make export")


def test_marks_of_slides_stay(project):
    import verify
    path = project.nbs / "12_model.ipynb"
    nb, before = tool.read(path), verify.state(hashlib.sha256(), path)
    assert any(map(tool.is_install, nb["cells"]))
    for c in nb["cells"]:
        c["metadata"] = {"slideshow": {"rule": "skip", "slide_type": "slide"}}
    digest = tool.digest(nb)
    tool.write(path, nb)
    tool.export(project)
    assert tool.read(path) == nb and tool.digest(tool.read(path)) == digest
    assert verify.state(hashlib.sha256(), path) == before
    for function in (tool.check_nav, tool.check_clean, tool.check_outputs, tool.check_sync):
        assert not tool.problems_of(function, project), function
    nb["cells"][-1]["metadata"]["collapsed"] = True  # still cleaned away
    tool.write(path, nb)
    expect(project, tool.check_clean, "nbs/12_model.ipynb", "make export")


def test_outputs_saved_by_other_means(project):
    path = project.nbs / "01_one.ipynb"
    set_outputs(path, printed("a picture of somebody's data"), noted=False)
    expect(project, tool.check_outputs, "nbs/01_one.ipynb", "make save NB=nbs/01_one.ipynb")
    set_outputs(path, printed("2"))
    assert not list(tool.check_outputs(project))
    set_outputs(path, printed("3"), noted=False)  # now the note is there, but of another run
    expect(project, tool.check_outputs, "nbs/01_one.ipynb", "other means")


def test_never_saved(project):
    add(project, "02_two", "# Two\n\n> Two\n\nNAV", "!1 + 1")
    expect(project, tool.check_outputs, "nbs/02_two.ipynb", "no outputs", "make save")


def test_stored_error(project):
    set_outputs(project.nbs / "01_one.ipynb", {"output_type": "error", "ename": "OSError",
                                               "evalue": "", "traceback": []})
    expect(project, tool.check_outputs, "nbs/01_one.ipynb", "OSError")


def test_stored_widget(project):
    set_outputs(project.nbs / "01_one.ipynb", {
        "output_type": "display_data", "metadata": {},
        "data": {tool.WIDGET: {"model_id": "1"}, "text/plain": ["x"]}})
    expect(project, tool.check_outputs, "nbs/01_one.ipynb", "widget")


def test_private_path(project):
    set_outputs(project.nbs / "01_one.ipynb", printed("File /home/somebody/x.py"))
    expect(project, tool.check_outputs, "nbs/01_one.ipynb", "path of one machine")


def test_too_large(project):
    add(project, "01_one", "x" * tool.MAX_BYTES)
    expect(project, tool.check_outputs, "nbs/01_one.ipynb", "500")
    path = project.nbs / "01_one.ipynb"
    nb = tool.read(path)
    nb["cells"][-1]["source"] = ["x" * (tool.MAX_BYTES // 2)]
    nb["cells"][-1]["metadata"] = {"slideshow": {"rule": "x" * tool.MAX_BYTES}}
    tool.write(path, nb)
    assert not tool.problems_of(tool.check_outputs, project)  # marks of slides do not count


def test_notebook_not_on_the_map(project):
    add(project, "10_new", "# New\n\n> New\n\nNAV")
    expect(project, tool.check_map, "nbs/index.ipynb", "10_new.ipynb")


def test_figure_that_calls_a_picture_wrongly(project):
    """In a process of its own, with the real package and a set of two grey pictures."""
    code = f"""
import sys; sys.path.insert(0, {str(HERE)!r})
import figures, numpy as np, tempfile
from pathlib import Path
from PIL import Image
wrong = figures.watch({str(HERE.parent)!r})
from anomaly_nb.own_pictures import Folder
from anomaly_nb.viz import show_images
scratch = tempfile.TemporaryDirectory()
root = Path(scratch.name)
for name, grey in (("good/a", 90), ("good/b", 91), ("good/d", 93), ("bad/c", 92)):
    (root / name).parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((64, 64, 3), grey, np.uint8)).save(root / (name + ".png"))
test = Folder(root / "good", root / "bad", size=64, test=0.4).test
good, bad = (next(i.image for i in test if i.target == t) for t in (0, 1))
show_images([good, bad], ["a good part", "a stain"])
assert not wrong, wrong
show_images([good, bad], ["anomalous", "Good part"])
assert len(wrong) == 2 and "'Good part'" in wrong[1], wrong
"""
    done = tool.subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_import_from_later_notebook(project):
    add(project, "01_one", "!#| export\ndef late():\n    from anomaly_nb.features import three")
    tool.export_modules(project)
    expect(project, tool.check_imports, "nbs/01_one.ipynb", "features", "later")


def test_import_of_models_package(project):
    add(project, "03_features", "!#| export\nimport anomaly_nb.models")
    tool.export_modules(project)
    expect(project, tool.check_imports, "nbs/03_features.ipynb", "models", "later")


def test_model_imports_more(project):
    add(project, "12_model", "!#| export\nfrom anomaly_nb import one")
    tool.export_modules(project)
    expect(project, tool.check_imports, "nbs/12_model.ipynb", "imports one; a model imports")


def test_model_imports_model(project):
    add(project, "13_other", "# Other\n\n> Other\n\nNAV", "!#| default_exp models.other",
        "!#| export\nfrom anomaly_nb.models.model import four")
    tool.export_modules(project)
    expect(project, tool.check_imports, "nbs/13_other.ipynb", "models.model; a model imports")


def test_appendices(project):
    add(project, "95_low", "# Low\n\n> Low\n\nNAV", "!#| default_exp low",
        "!#| export\nfrom math import pi")
    add(project, "96_high", "# High\n\n> High\n\nNAV", "!#| default_exp high",
        "!#| export\nfrom anomaly_nb.low import pi")
    for name in ("01_one", "12_model"):
        add(project, name, "!#| export\nfrom anomaly_nb.high import pi")
    tool.export_modules(project)
    assert not list(tool.check_imports(project))
    add(project, "95_low", "!#| export\nfrom anomaly_nb import high")
    tool.export_modules(project)
    expect(project, tool.check_imports, "nbs/95_low.ipynb", "high", "lower-numbered appendices")


def test_appendix_imports_from_the_course(project):
    add(project, "95_low", "# Low\n\n> Low\n\nNAV", "!#| default_exp low",
        "!#| export\nfrom anomaly_nb.one import one")
    tool.export_modules(project)
    expect(project, tool.check_imports, "nbs/95_low.ipynb", "one", "lower-numbered appendices")


def test_circle(project):
    (project.lib / "__init__.py").write_text("from . import models\n")
    (project.lib / "models" / "__init__.py").write_text("from .. import __version__\n")
    expect(project, tool.check_imports, "circle", "models <- anomaly_nb")


def test_long_module(project):
    long = "!#| export\n" + "\n".join(f"x{i} = {i}" for i in range(tool.MAX_LINES))
    add(project, "01_one", long)
    add(project, "05_viz", "# Viz\n\n> Viz\n\nNAV", "!#| default_exp viz", long)
    tool.export_modules(project)
    expect(project, tool.check_length, "anomaly_nb/one.py", f"more than {tool.MAX_LINES}")


def test_requirement_without_lowest_release(project):
    file = project.root / "settings.ini"
    file.write_text(SETTINGS.replace("requirements =", "requirements = torch>=2.6 tqdm", 1))
    project = tool.Project(project.root)
    expect(project, tool.check_settings, "settings.ini", "tqdm")


def test_lint(project):
    add(project, "12_model", "!print(no_such_name)")
    expect(project, tool.check_lint, "nbs/12_model.ipynb", "F821", "no_such_name")


def test_types(project):
    """The stub of a class holds what is patched in, its attributes and its arguments."""
    add(project, "05_thing", "# Thing\n\n> Thing\n\nNAV", "!#| default_exp thing", """\
!#| export
from pathlib import Path
from fastcore.basics import patch

LENGTHS = [1, 2]

class Detector:
    def __init__(self, size: int = 1, name=None):
        self.folder, self.path, self.n = None, Path("."), 3""", """\
!#| export
@patch
def fit(self: Detector, data, batch_size=32):
    "Learn."
    self.fitted = True
    return self""", """\
!#| export
@patch(as_prop=True)
def double(self: Detector) -> int:
    return 2 * self.n""")
    add(project, "06_more", "# More\n\n> More\n\nNAV", "!#| default_exp more", """\
!#| export
from fractions import Fraction
from fastcore.basics import patch
from anomaly_nb.thing import Detector

@patch
def share(self: Detector, of: Fraction) -> Fraction:
    return of / self.n

class Ninth(Detector):
    def __init__(self, depth: int = 2):
        super().__init__()""")
    tool.export_modules(project)
    tool.readme(project)
    (project.root / "tools").mkdir()
    file = project.root / "tools" / "typed_use.py"
    file.write_text(TYPED)
    assert (found := tool.problems_of(tool.check_types, project)) == [], found
    file.write_text(TYPED + "det.fit([], 3)  # type: ignore[call-arg]\n")
    expect(project, tool.check_types, "typed_use.py", "Unused", "ignore")
    file.write_text(TYPED + "det.fit([], batchsize=3)\n")
    expect(project, tool.check_types, "typed_use.py", "batchsize")
    stub = project.lib / "thing.pyi"
    text = stub.read_text()
    stub.write_text(text.replace("fit(", "fti("))
    assert any("thing.pyi: differs" in f for f in tool.check_sync(project))
    stub.unlink()
    expect(project, tool.check_sync, "thing.pyi", "missing")


def test_crash_of_a_check(project):
    (project.nbs / "01_one.ipynb").write_text("not json")
    for function in (tool.check_nav, tool.check_sync):
        assert tool.problems_of(function, project)


# ------------------------------------------------------------------ save, test, wheel


def test_save_refuses_data(project):
    os.environ["ANOMALY_NB_DATA"] = "/somewhere"
    try:
        tool.save(project, ["01"])
    except tool.Problem as e:
        assert "ANOMALY_NB_DATA" in str(e)
    else:
        raise AssertionError("saved with the data variable set")
    finally:
        del os.environ["ANOMALY_NB_DATA"]


def test_save(project):
    path = add(project, "04_out", "# Out\n\n> Out\n\nNAV", "!" + """
import os, sys
from ipywidgets import IntProgress
from tqdm import tqdm
for _ in tqdm(range(3)): pass
print(os.environ.get("IN_TEST"), file=sys.stderr)
display(IntProgress())
object()""")
    tool.nav(project)
    tool.save(project, ["04"])
    found = [tool.output_text(o) or "".join(o["text"])
             for o in tool.read(path)["cells"][-1]["outputs"]]
    assert found == ["None\n", "```\n<object>\n```"], found  # no address, widget, progress
    for function in (tool.check_nav, tool.check_outputs, tool.check_clean):
        assert not list(function(project)), function


def test_runner(project):
    head = "# T\n\n> T\n\nNAV"
    names = {
        "40_good": ("!import os\nassert os.environ['IN_TEST']\nimport builtins\nbuiltins.x = 1",
                    True, ""),
        "41_fresh": ("!import builtins\nassert not hasattr(builtins, 'x')", True, ""),
        "42_offline": ("!import os\nassert 'ANOMALY_NB_DATA' not in os.environ", True, ""),
        "43_wrong": ("!assert 1 + 1 == 3", False, "AssertionError"),
        "44_skipped": ("!#| eval: false\nprint(1)", False, "tests nothing"),
        "45_killed": ("!import os\nos.kill(os.getpid(), 9)", False, "SIGKILL"),
        "47_large": ("!1 + 1\n#" + "x" * tool.MAX_BYTES, False, "more than 500"),
        "48_part": ("!#| eval: false\nprint(1)", True, "1 of 2 cells skipped"),
    }
    paths = [add(project, name, head, text) for name, (text, _, _) in names.items()]
    add(project, "48_part", "!1 + 1")
    tool.nav(project)
    os.environ["ANOMALY_NB_DATA"] = "/somewhere"
    try:
        with contextlib.redirect_stdout(io.StringIO()) as out:
            passed = tool.run_notebooks(project, paths)
    finally:
        del os.environ["ANOMALY_NB_DATA"]
    text = out.getvalue()
    for path, (_, ok, words) in zip(paths, names.values()):
        assert passed[path] == ok and words in text, (path.name, text)
    assert tool.closing_line(passed) == "4 passed, 4 failed"


def test_runner_stops_what_hangs(project):
    path = add(project, "40_hangs", "# T\n\n> T\n\nNAV", "!import time\ntime.sleep(60)")
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert tool.run_notebooks(project, [path], timeout=2) == {path: False}
    assert "stopped after 2 s" in out.getvalue()


def test_no_notebooks(project):
    shutil.rmtree(project.nbs)
    project.nbs.mkdir()
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert tool.main(["--root", str(project.root), "test"]) == 1
    assert "no notebooks under nbs/" in out.getvalue()


def test_wheel(project):
    dist = project.root / "dist"
    assert tool.wheel(project, out=dist) == []
    assert list(dist.glob("anomaly_nb-0.0.1-*.whl"))
    add(project, "index", "!print(no_such_name)")
    tool.readme(project)
    assert tool.wheel(project, briefly=True) == []              # that line imports nothing


def test_wheel_with_faults(project):
    (project.lib / "weights.bin").write_bytes(b"1")             # not in package_data
    (project.lib / "more.py").write_text("import no_such_module\n")
    setup = project.root / "setup.py"
    text = setup.read_text().replace(', "anomaly_nb.*"', "")    # nor is models/
    assert text != setup.read_text()
    setup.write_text(text)
    add(project, "index", "!print(no_such_name)")
    tool.readme(project)
    found = tool.wheel(project, out=project.root / "bad")
    assert not (project.root / "bad").exists()
    assert [f.split(":")[0] for f in found[:3]] == [
        "anomaly_nb/models/__init__.py", "anomaly_nb/models/model.py",
        "anomaly_nb/weights.bin"], found
    assert found[2].startswith("anomaly_nb/weights.bin: not in the wheel")
    assert len(found) == 5 and "NameError" in found[3], found
    assert "import_all.py" in found[4] and "no_such_module" in found[4]


def main(names):
    """Run the tests; returns the exit status."""
    tests = [f for n, f in globals().items()
             if n.startswith("test_") and (not names or n in names)]
    failed, start = 0, time.time()
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder, "sound")
        sound.mkdir()
        make_project(sound)
        for function in tests:
            tree = shutil.copytree(sound, Path(folder, function.__name__))
            try:
                with contextlib.redirect_stdout(io.StringIO()):
                    function(tool.Project(tree))
            except Exception:
                failed += 1
                sys.excepthook(*sys.exc_info())
                tool.say("FAIL", function.__name__)
    tool.say(f"{'FAIL' if failed or not tests else 'ok  '} {len(tests) - failed} of "
             f"{len(tests)} tests of tools/notebooks.py in {time.time() - start:.0f} s")
    return 1 if failed or not tests else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
