#!/usr/bin/env python3
"""Do the notebooks still print what is stored in them?

    make verify                 every notebook (under an hour on two idle cores)
    make verify NB=12_padim     one, with its solutions

Each notebook runs as a reader would run it, in full and in a fresh kernel, and what it
prints and draws is compared with the stored outputs. What may differ stands in the next
lines and nowhere else. A run that was stopped goes on where it was: notebooks that were
equal are noted in out/verify.json until they, or the package, change.
"""
import argparse
import base64
import hashlib
import io
import json
import re
import sys
import time
from pathlib import Path

import notebooks as tool
import numpy as np
from PIL import Image
from tqdm.auto import tqdm

RELATIVE = 1e-3  # numbers may differ by this share of their value, ...
LAST_DIGITS = 2  # ... or by so many units of the last digit that is printed
UNITS = r"s|ms|µs|us|seconds|minutes|min|MB/s|per second|MB|it/s"  # measured, not compared
TIMED = "# timed"  # a comment: all numbers of this cell's outputs are measured times
PIXELS = 3  # a figure's width and height may differ by so many
MEAN, WORST = 0.01, 0.25  # of its brightness, over blocks of 8 x 8 pixels, on average, at most
NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[-+]?\d+)?", re.I)
MEASURED = re.compile(rf"{NUMBER.pattern}(?= ?(?:{UNITS})\b)", re.I)
CHANGING = re.compile(r" at 0x[0-9a-f]+|/tmp/\S+|\b20\d\d-\d\d-\d\d[T \d:.+]*")


def skeleton(text, timed):
    """(the text without its numbers, the numbers that are compared)."""
    text = CHANGING.sub("", text)
    text = MEASURED.sub("#", text)
    numbers = [] if timed else NUMBER.findall(text)
    # columns are as wide as their numbers, and rules of a table as wide as the columns
    return re.sub(r"[\s─-]+", " ", NUMBER.sub("#", text)).strip(), numbers


def close(a, b):
    """Two printed numbers, as equal as they are printed."""
    x, y = (float(n.replace(",", "")) for n in (a, b))
    digits = max(len(n.lower().partition("e")[0].partition(".")[2]) for n in (a, b))
    exponent = max(int(n.lower().partition("e")[2] or 0) for n in (a, b))
    unit = 10.0 ** (exponent - digits) if digits else 0.0  # whole numbers are counts
    return abs(x - y) <= max(LAST_DIGITS * unit * 1.001, RELATIVE * max(abs(x), abs(y))
                             if digits else 0.0)


def of_text(stored, found, timed):
    """What differs between two texts, or None."""
    (a, numbers), (b, others) = skeleton(stored, timed), skeleton(found, timed)
    if a != b:
        return f"stored {shorten(stored)!r}, now {shorten(found)!r}"
    for x, y in zip(numbers, others, strict=True):
        if not close(x, y):
            return f"stored {x}, now {y}, in {shorten(found)!r}"


def shorten(text, n=160):
    text = " ".join(text.split())
    return text if len(text) <= n else text[:n] + "..."


def picture(data):
    with Image.open(io.BytesIO(base64.b64decode(data))) as image:
        return image.convert("L").copy()


def of_figure(stored, found, timed):
    """What differs between two PNGs, or None."""
    a, b = picture(stored), picture(found)
    if max(abs(m - n) for m, n in zip(a.size, b.size)) > PIXELS:
        return f"a figure of {a.size} pixels, now {b.size}"
    if timed:
        return None
    size = max(1, a.width // 8), max(1, a.height // 8)
    x, y = (np.asarray(p.resize(size, Image.Resampling.BOX), float) / 255 for p in (a, b))
    mean, worst = abs(x - y).mean(), abs(x - y).max()
    if mean > MEAN or worst > WORST:
        return f"a figure looks different: {mean:.3f} on average, {worst:.2f} at most"


def parts(outputs):
    """(kind, content) of all that a cell shows; neighbouring prints are one."""
    shown = []
    for output in outputs:
        data = output.get("data", {})
        if output["output_type"] == "stream":
            if output["name"] == "stderr":
                continue
            text = "".join(output["text"])
            if shown and shown[-1][0] == "printed":
                text = shown.pop()[1] + text
            shown.append(("printed", text))
        elif "image/png" in data:
            shown.append(("figure", "".join(data["image/png"])))
        else:
            text = "".join(data.get("text/plain", ""))
            if text.startswith("<") and "text/html" in data:  # a styled table
                html = re.sub(r"<style.*?</style>", "", "".join(data["text/html"]), flags=re.S)
                text = re.sub(r"<[^>]*>", " ", html)
            shown.append(("value", text))
    return shown


def differences(stored, found):
    """Lines that say what differs between the outputs of two runs of a notebook."""
    for before, after in zip(tool.cells(stored, "code"), tool.cells(found, "code"),
                             strict=True):
        timed = TIMED in tool.source(before)
        a, b = parts(before["outputs"]), parts(after["outputs"])
        if [kind for kind, _ in a] != [kind for kind, _ in b]:
            yield f"cell {before['id']}: shows {len(b)} outputs, stored are {len(a)}"
            continue
        for (kind, x), (_, y) in zip(a, b, strict=True):
            compare = of_figure if kind == "figure" else of_text
            if problem := compare(x, y, timed):
                yield f"cell {before['id']}: {problem}"


def package(project):
    """sha256 object over what a notebook runs: code, rows and weights of the package."""
    digest = hashlib.sha256()
    for file in sorted(project.lib.rglob("*")):
        if file.suffix in (".py", ".csv", ".safetensors"):
            digest.update(file.read_bytes())
    return digest


def state(digest, path):
    """sha256 over the package, as `package` gives it, and a notebook; which of its cells are
    on slides changes nothing that it prints."""
    digest = digest.copy()
    digest.update(tool.without_marks(tool.read(path)).encode())
    return digest.hexdigest()


def verify(project, names, noted):
    """Run and compare; returns {notebook: its differences}."""
    equal = json.loads(noted.read_text()) if noted.exists() else {}
    found, paths, code = {}, project.select(names), package(project)
    todo = [p for p in paths if equal.get(project.rel(p)) != state(code, p)]
    if len(todo) < len(paths):
        tool.say(f"{len(paths) - len(todo)} were equal before and are as they were")
    with tool.as_a_reader():
        for path in (meter := tqdm(todo, unit="notebook")):
            name, start = project.rel(path), time.time()
            meter.set_description(name)
            try:
                problems = list(differences(tool.read(path), tool.executed(project, path)))
            except tool.Problem as e:
                problems = [str(e)]
            found[name] = problems
            tqdm.write(f"{'DIFFERS' if problems else 'equal  '} {name}  "
                       f"{time.time() - start:.0f} s")
            for problem in problems:
                tqdm.write(f"    {problem}")
            if not problems:
                equal[name] = state(code, path)
                noted.parent.mkdir(exist_ok=True)
                noted.write_text(json.dumps(equal, indent=1))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NB")
    project = tool.Project(Path(__file__).resolve().parent.parent)
    try:
        found = verify(project, parser.parse_args().names, project.root / "out/verify.json")
    except tool.Problem as e:
        sys.exit(f"verify: {e}")
    differ = [name for name, problems in found.items() if problems]
    tool.say(f"{len(found) - len(differ)} equal, {len(differ)} differ"
             + (": " + ", ".join(differ) if differ else ""))
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
