#!/usr/bin/env python3
"""The assignments of the course: `make assignments` builds them and tries their marking.

    python tools/assignments.py build OUT [NAME ...]
    python tools/assignments.py mark OUT [NAME ...]
    python tools/assignments.py grade OUT NAME SUBMISSION ...

course/assignments/NAME/NAME.ipynb is the source, in the format of `otter assign`: text,
solutions, public and hidden tests. `build` makes of it

    OUT/NAME/student/NAME.ipynb      to hand out: no solutions, public tests only
    OUT/NAME/instructor/NAME.ipynb   with solutions, and how to mark what a person marks
    OUT/NAME/autograder.zip          all tests, for `otter run` or a course server

`mark` tries the marking on what `build` made: the student's notebook untouched, with the
right answers, and with one wrong answer at a time. A wrong answer is a file
course/assignments/NAME/wrong/QUESTION_idea.py: its docstring names the idea, its code
replaces the answer. It has to pass what students see and to lose the points of its question,
and no others. `grade` prints the points of notebooks or zip files that were handed in, and
what the tests that failed say.

Needs the extra `course` of settings.ini. Works without network and without containers:
submissions run on this machine as this user, so `grade` is for people whom you trust.
"""
import argparse
import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import notebooks as tool

SOURCES = Path("course/assignments")
LINK = re.compile(r"\]\((?:\.\./)+(nbs/[^)#]+)")
ROW = re.compile(r"^\| (\w+) \| (\d+) \|", re.M)  # of the table of questions: name, points


# ---------------------------------------------------------------- the source


def read(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


def write(path, nb):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(json.dumps(nb, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def field(text, name):
    found = re.search(rf"^{name}: *(.*)$", text, re.M)
    return found and found[1]


class Assignment:
    "The source of one assignment; `points` {question: points}, `by_hand` those of a person"

    def __init__(self, project, name):
        self.project, self.name = project, name
        self.path = project.root / SOURCES / name / f"{name}.ipynb"
        if not self.path.exists():
            raise tool.Problem(f"{self.path}: there is no such assignment")
        self.points, self.by_hand, self.hidden, question = {}, {}, [], None
        for cell in read(self.path)["cells"]:
            text = tool.source(cell)
            if cell["cell_type"] == "raw" and text.startswith("# BEGIN QUESTION"):
                question = field(text, "name")
                kind = self.by_hand if field(text, "manual") else self.points
                kind[question] = int(field(text, "points"))
            elif field(text, "hidden") == "true":
                self.hidden.append(re.search(r"^def (\w+)", text, re.M)[1])
                told = text.partition("failure_message:")[2].partition('""" # END')[0]
                if not told.strip(" >-\n") or '"' in told:  # it goes between such quotes
                    raise tool.Problem(f"{name}: {self.hidden[-1]} needs a failure_message, "
                                       'without "')

    def check(self):
        "The table that students read says the points that are given."
        cells = read(self.path)["cells"]
        table = dict(ROW.findall("\n".join(map(tool.source, cells))))
        told = {f"q{k}": int(v) for k, v in table.items()}
        if told != self.points | self.by_hand:
            raise tool.Problem(f"{self.name}: the table says {told}, the questions "
                               f"{self.points | self.by_hand}")

    def address(self, match):
        "A link to a notebook of the course, as it works where the assignment is read."
        if not (self.project.root / match[1]).exists():
            raise tool.Problem(f"{self.path}: {match[1]} is not there")
        settings = self.project.settings
        return f"]({settings['git_url']}/blob/{settings['branch']}/{match[1]}"

    def wrong(self):
        "(question, name, idea, code) of each wrong answer."
        for path in sorted((self.path.parent / "wrong").glob("*.py")):
            code = path.read_text(encoding="utf-8")
            question = path.stem.partition("_")[0]
            if question not in self.points:
                raise tool.Problem(f"{path}: {self.name} has no question {question}")
            yield question, path.stem, ast.get_docstring(ast.parse(code)), code


def assignments(project, names):
    found = names or sorted(p.parent.name for p in (project.root / SOURCES).glob("*/*.ipynb"))
    return [Assignment(project, name) for name in found]


# ---------------------------------------------------------------- build


def build(work, out):
    "Student's and instructor's notebook and the tests of one assignment, in out/NAME."
    work.check()
    with tempfile.TemporaryDirectory() as folder:
        master = Path(folder) / work.path.name
        nb = read(work.path)
        for cell in nb["cells"]:
            cell["source"] = LINK.sub(work.address, tool.source(cell))
        write(master, nb)
        run = subprocess.run([sys.executable, "-m", "otter", "assign", master.name, "made"],
                             cwd=folder, text=True, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT)
        if run.returncode:  # the solutions fail a test, say
            raise tool.Problem(f"{work.name}: otter assign failed\n{run.stdout}")
        made, goal = Path(folder) / "made", out / work.name
        goal.mkdir(parents=True, exist_ok=True)
        (archive,) = (made / "autograder").glob("*.zip")
        shutil.copy(archive, goal / "autograder.zip")
        for kind, source in ("student", "student"), ("instructor", "autograder"):
            write(goal / kind / work.path.name, read(made / source / work.path.name))
    handed = (goal / "student" / work.path.name).read_text(encoding="utf-8")
    told = [name for name in work.hidden if re.search(rf"\b{name}\b", handed)]
    if told:
        raise tool.Problem(f"{work.name}: the student's notebook holds hidden tests: {told}")


# ---------------------------------------------------------------- mark


def grade(archive, submission):
    """{question: points}, what the tests that failed say: [(question, hidden, message)], and
    the errors that cells ended with."""
    from otter.api import grade_submission
    from otter.run.run_autograder.utils import OtterRuntimeError

    try:
        graded = grade_submission(str(submission), str(archive), quiet=True)
    except OtterRuntimeError as e:  # of another assignment, say
        raise tool.Problem(f"{submission}: {e}") from e
    if graded.has_catastrophic_failure():  # its kernel died: nothing was measured, not 0
        raise tool.Problem(f"{submission}: could not be run. {graded.catastrophic_error}")
    results = graded.results
    failed = [(name, r.test_case.hidden, r.test_case.failure_message or r.message)
              for name, file in results.items() for r in file.test_case_results
              if not r.passed]
    errors = [f"{o.ename}: {o.evalue}" for cell in graded.notebook.cells
              for o in cell.get("outputs", []) if o.output_type == "error"]
    return {name: file.score for name, file in results.items()}, failed, errors


def answered(student, instructor):
    "The student's notebook with the instructor's answers to questions that tests mark."
    right = {c["id"]: c for c in instructor["cells"]}
    cells = [{**c, "source": right[c["id"]]["source"]} if is_answer(c) else c
             for c in student["cells"]]
    return {**student, "cells": cells}


def is_answer(cell):
    tagged = "otter_answer_cell" in cell["metadata"].get("tags", [])
    return tagged and cell["cell_type"] == "code"


def replaced(nb, question, code):
    "`nb` with `code` as the answer to `question`: the answer cell above its check."
    cells = list(nb["cells"])
    (check,) = (i for i, c in enumerate(cells)
                if tool.source(c).strip() == f'grader.check("{question}")')
    at = max(i for i in range(check) if is_answer(cells[i]))
    cells[at] = {**cells[at], "source": code}
    return {**nb, "cells": cells}


def submissions(work, folder):
    "(name, idea, notebook, points that it has to get) of all that is tried."
    student, instructor = (read(folder / kind / work.path.name)
                           for kind in ("student", "instructor"))
    right, full = answered(student, instructor), work.points
    yield "untouched", "as it is handed out", student, dict.fromkeys(full, 0)
    yield "right", "the instructor's answers", right, full
    for question, name, idea, code in work.wrong():
        yield name, idea, replaced(right, question, code), full | {question: 0}


def table(rows):
    "`rows` of one length as text, the first column to the left and the others to the right."
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join([row[0].ljust(widths[0]),
                                *(c.rjust(w) for c, w in zip(row[1:], widths[1:]))])
                     for row in rows)


def mark(work, out):
    "Try the marking of one assignment; texts that say what is wrong with it."
    if not list(work.wrong()):
        return [f"{work.name}: no wrong answer to try; add some to wrong/"]
    rows = [[work.name, *work.points, "sum", "seconds"]]
    said, problems = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / work.path.name
        for name, idea, nb, want in submissions(work, out / work.name):
            write(path, nb)
            start = time.perf_counter()
            got, failed, errors = grade(out / work.name / "autograder.zip", path)
            took = time.perf_counter() - start
            rows.append([name, *(f"{got.get(q, 0):g}" for q in want),
                         f"{sum(got.values()):g}", f"{took:.0f}"])
            texts = [f"    {text}" for *_, text in failed]
            if got != want:
                problems.append("\n".join(
                    [f"{work.name}, {name}: {got}, and {want} is right", *texts]))
            if name == "right" and errors:
                problems.append("\n    ".join([f"{work.name}, {name}: cells failed", *errors]))
            if name in ("untouched", "right"):
                continue
            said += [f"{name}: {idea}", *texts]
            if not all(hidden for _, hidden, _ in failed):
                problems.append(f"{work.name}, {name}: a test that students see rejects it, "
                                "so it does not try the hidden ones")
    manual = ", ".join(f"{q} ({points})" for q, points in work.by_hand.items())
    tool.say("\n".join([table(rows), f"marked by a person: {manual}", "", *said, ""]))
    return problems


# ---------------------------------------------------------------- the command line


def grade_all(work, out, files):
    "Print the points of what was handed in; texts about files that could not be graded."
    rows, said, problems = [[work.name, *work.points, "sum"]], [], []
    for file in files:
        try:
            got, failed, _ = grade(out / work.name / "autograder.zip", Path(file).resolve())
        except tool.Problem as e:  # the others are graded all the same
            problems.append(str(e))
            continue
        rows.append([file, *(f"{got.get(q, 0):g}" for q in work.points),
                     f"{sum(got.values()):g}"])
        said += ["", file, *(f"    {q}: {text}" for q, _, text in failed)]
    tool.say("\n".join([table(rows), *said]))
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("build", "mark", "grade"))
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*", help="assignments; of grade one, and submissions")
    args = parser.parse_args()
    project, problems = tool.Project(Path(__file__).resolve().parents[1]), []
    # notebooks are run by processes of their own: they get this checkout's package
    os.environ["PYTHONPATH"] = os.pathsep.join(
        [str(project.root), *filter(None, [os.environ.get("PYTHONPATH")])])
    if args.what == "grade":
        if len(args.names) < 2:
            parser.error("grade needs an assignment and what was handed in")
        name, *files = args.names
        problems = grade_all(Assignment(project, name), args.out, files)
    elif args.what == "mark":
        for work in assignments(project, args.names):
            problems += mark(work, args.out)
    else:
        for work in assignments(project, args.names):
            start = time.perf_counter()
            build(work, args.out)
            tool.say(f"{work.name}: built in {time.perf_counter() - start:.0f} s")
    if problems:
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    try:
        main()
    except tool.Problem as e:
        sys.exit(str(e))
