#!/usr/bin/env python3
"""Does the first cell of every notebook do its work on Google Colab?

    python tools/colab.py [ENV] [--run NOTEBOOK ...]

Makes an environment in the folder ENV (a temporary one without it; 6 GB on Linux) with Colab's
versions of the packages, tools/colab.txt, and with the Python that runs this program: Colab's is
3.12, and another one is told. There, in an empty folder, IPython runs the cell that installs the
package, with a wheel of this checkout in the place of the address on GitHub, and the seconds are
told. Then: no package has another version than before, because Colab imports some of them at its
start and would have to be restarted; the cell is the same in all notebooks and solutions; and
the imports of each of them work in a folder that holds nothing else. `--run` runs all cells of
notebooks there, with the small numbers of their tests. At the end what the cell has installed
is removed again, so that ENV can be used once more.
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
PYTHON = "3.12"  # Colab's
SHOWN = "torch", "torchvision", "timm", "numpy", "scikit-learn", "pandas", "ipywidgets", "ipython"
LISTED = """import json, importlib.metadata as m
print(json.dumps({d.name: d.version for d in m.distributions()}))"""
CELL = """import sys
from IPython.core.interactiveshell import InteractiveShell
found = InteractiveShell.instance().run_cell(sys.stdin.read())
sys.exit(0 if found.success else 1)"""
CELLS = """import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
sys.exit(0 if all(shell.run_cell(code).success for code in json.load(sys.stdin)) else 1)"""


def run(env, code, text="", *, cwd):
    "What Python in `env` prints for `code`, fed with `text`; the program ends if it fails."
    left_out = "PYTHONPATH", "PYTHONDONTWRITEBYTECODE"  # without the latter: 15 s an import
    own = {k: v for k, v in os.environ.items() if k not in left_out} | {
        "IN_TEST": "1", "MPLBACKEND": "agg"}
    done = subprocess.run([env / "bin" / "python", "-c", code], input=text, cwd=cwd, env=own,
                          capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{text[:400]}\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def imports(nb):
    "The import statements at the top level of a notebook's cells, as one text."
    lines = []
    for cell in tool.cells(nb, "code"):
        code = re.sub(r"^(\s*)[%!].*", r"\1pass", tool.source(cell), flags=re.M)  # magics
        lines += [ast.unparse(s) for s in ast.parse(code).body
                  if isinstance(s, ast.Import | ast.ImportFrom) and not getattr(s, "level", 0)]
    return "\n".join(dict.fromkeys(lines))


def installing_cell(project, wheel):
    "The cell that installs the package, the same in all notebooks; with `wheel` for its address."
    texts = {tool.source(c) for p in project.notebooks for c in tool.read(p)["cells"]
             if tool.is_install(c)}
    if len(texts) != 1:
        raise SystemExit(f"the installing cell differs between notebooks: {sorted(texts)}")
    cell, n = re.subn(r'"anomaly_nb @ git\+https://[^"]+"', f'"{wheel}"', texts.pop())
    if n != 1:
        raise SystemExit(f"the installing cell names no address:\n{cell}")
    return cell


def main(argv=None):
    "The command line; returns the exit status."
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
        pip = [env / "bin" / "python", "-m", "pip"]
        if not env.exists():
            start = time.time()
            subprocess.run([sys.executable, "-m", "venv", env], check=True)
            subprocess.run([*pip, "install", "-q", "-r", HERE / "colab.txt"], check=True)
            size = sum(p.lstat().st_size for p in env.rglob("*") if p.is_file())
            print(f"the environment: {size / 1e9:.1f} GB, {time.time() - start:.0f} s")
        cell = installing_cell(project, tool.build_wheel(project, made, isolated=True))
        before = json.loads(run(env, LISTED, cwd=empty))
        own = run(env, "import platform; print(platform.python_version())", cwd=empty).strip()
        print(f"Python {own}" + f" (Colab's is {PYTHON})" * (not own.startswith(PYTHON)) + ", "
              + ", ".join(f"{k} {before[k]}" for k in SHOWN))
        if project.name in before:
            raise SystemExit(f"{env} has {project.name} already: the cell would do nothing")
        start = time.time()
        run(env, CELL, cell, cwd=empty)
        took, after = time.time() - start, json.loads(run(env, LISTED, cwd=empty))
        new = sorted(set(after) - set(before))
        changed = [f"{k} {v} -> {after.get(k)}" for k, v in before.items() if after.get(k) != v]
        print(f"the first cell: {took:.0f} s; new: {', '.join(new)}; changed: "
              f"{', '.join(changed) or 'nothing'}", flush=True)
        start = time.time()
        try:
            for i, path in enumerate(project.notebooks, 1):
                run(env, CELL, imports(tool.read(path)), cwd=empty)
                print(f"\rimports {i}/{len(project.notebooks)}", end="", file=sys.stderr)
            print(file=sys.stderr)
            print(f"{len(project.notebooks)} notebooks and solutions: all imports work in an "
                  f"empty folder, {time.time() - start:.0f} s", flush=True)
            for path in project.select(args.run) if args.run else []:
                start = time.time()
                code = [tool.source(c) for c in tool.cells(tool.read(path), "code")]
                run(env, CELLS, json.dumps(code), cwd=empty)
                print(f"{path.stem}: {time.time() - start:.0f} s", flush=True)
        finally:
            subprocess.run([*pip, "uninstall", "-q", "-y", *new], check=True)
    return int(bool(changed))


if __name__ == "__main__":
    sys.exit(main())
