#!/usr/bin/env python3
"""How long does each notebook take?  A Markdown row each, for the map of the index.

    python tools/minutes.py

Reading is *estimated*: 150 words or 12 lines of code a minute. Running is *measured* by
`make save`, on the machine that stored the outputs. Exercises are *estimated* by what they
are called: 10 minutes for an easy one, 30 for a medium one, 60 for an open one.
"""
import re
from pathlib import Path

import notebooks as tool

EXERCISE = {"easy": 10, "medium": 30, "open": 60}


def minutes(nb):
    """(reading, running, exercises) of a notebook, in whole minutes."""
    text = "\n".join(tool.source(c) for c in tool.cells(nb, "markdown"))
    code = [line for c in tool.cells(nb, "code") if not tool.is_install(c)
            for line in tool.source(c).splitlines() if line.strip()]
    reading = len(text.split()) / 150 + len(code) / 12
    running = nb["metadata"].get("anomaly_nb", {}).get("seconds", 0) / 60
    exercises = sum(EXERCISE[level] for level in re.findall(r"\((easy|medium|open)\)", text))
    return max(1, 5 * round(reading / 5)), max(1, round(running)), exercises


def main():
    project = tool.Project(Path(__file__).resolve().parent.parent)
    total = [0, 0, 0]
    for path in project.course:
        found = minutes(tool.read(path))
        total = [a + b for a, b in zip(total, found, strict=True)]
        print(f"| {path.stem} | {' | '.join(map(str, found))} |")
    print(f"| all, hours | {' | '.join(f'{t / 60:.1f}' for t in total)} |")


if __name__ == "__main__":
    main()
