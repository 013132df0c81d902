#!/usr/bin/env python3
"""Does the first cell of every notebook do its work on Google Colab?

    python tools/colab.py [ENV] [--run NOTEBOOK ...]

Makes an environment in the folder ENV (a temporary one without it; 6 GB on Linux) with Colab's
versions of the packages, tools/colab.txt. There, in an empty folder, IPython runs the cell that
installs the package, with a wheel of this checkout in the place of the address on GitHub, and
the seconds are told. Then: no package has another version than before, because Colab imports
some of them at its start and would have to be restarted; the cell is the same in all notebooks;
and the import cells of each notebook work in a folder that holds nothing else. `--run` runs
whole notebooks there, as their tests do.
"""
import argparse
import ast
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import notebooks as tool

HERE = Path(__file__).resolve().parent
LISTED = """import json, importlib.metadata as m
print(json.dumps({d.name: d.version for d in m.distributions()}))"""
CELL = """import sys
from IPython.core.interactiveshell import InteractiveShell
found = InteractiveShell.instance().run_cell(sys.stdin.read())
sys.exit(0 if found.success else 1)"""


def run(env, code, text="", cwd=None):
    "What Python in `env` prints for `code`, fed with `text`; the program ends if it fails."
    own = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"IN_TEST": "1"}
    done = subprocess.run([env / "bin" / "python", "-c", code], input=text, cwd=cwd, env=own,
                          capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{text[:400]}\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def imports(nb):
    "The import statements of a notebook's exported and first cells, as one text."
    lines = []
    for cell in tool.cells(nb, "code"):
        with_magic = tool.source(cell)
        try:
            body = ast.parse(with_magic).body
        except SyntaxError:
            continue
        lines += [ast.unparse(s) for s in body
                  if isinstance(s, ast.Import | ast.ImportFrom) and not getattr(s, "level", 0)]
    return "\n".join(dict.fromkeys(lines))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("env", nargs="?", type=Path)
    parser.add_argument("--run", nargs="*", default=[], metavar="NOTEBOOK")
    args = parser.parse_args(argv)
    project = tool.Project(HERE.parent)
    with tempfile.TemporaryDirectory() as made:
        made = Path(made)
        env, empty = (args.env or made / "env").resolve(), made / "content"
        empty.mkdir()
        pip = [env / "bin" / "python", "-m", "pip", "install", "-q", "--no-compile"]
        if not env.exists():
            subprocess.run([sys.executable, "-m", "venv", env], check=True)
            subprocess.run([*pip, "-r", HERE / "colab.txt"], check=True)
        subprocess.run([sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", made,
                        project.root], check=True)
        [wheel] = made.glob("*.whl")
        notebooks = [p for p in project.notebooks if p.parent == project.root / "nbs"]
        texts = {tool.source(next(c for c in tool.read(p)["cells"]
                                  if c["id"] == "colab-install")) for p in notebooks}
        assert len(texts) == 1, "the installing cell differs between notebooks"
        [cell] = texts
        local, n = re.subn(r'"anomaly_nb @ git\+https://[^"]+"', f'"{wheel}"', cell)
        assert n == 1, cell
        before, start = json.loads(run(env, LISTED)), time.time()
        run(env, CELL, local, empty)
        took, after = time.time() - start, json.loads(run(env, LISTED))
        changed = [f"{k} {v} -> {after.get(k)}" for k, v in before.items() if after.get(k) != v]
        print(f"the first cell: {took:.0f} s; new: {sorted(set(after) - set(before))}; changed: "
              f"{changed or 'nothing'}")
        for path in notebooks:
            run(env, CELL, imports(tool.read(path)), empty)
        print(f"{len(notebooks)} notebooks: all imports work in an empty folder")
        if args.run:
            subprocess.run([*pip, "nbdev>=3.3"], check=True)
        for name in args.run:
            start = time.time()
            run(env, "import sys; from nbdev.test import test_nb; "
                     f"sys.exit(not test_nb({str(project.root / 'nbs' / (name + '.ipynb'))!r})[0])")
            print(f"{name}: {time.time() - start:.0f} s")
    return int(bool(changed))


if __name__ == "__main__":
    sys.exit(main())
