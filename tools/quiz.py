#!/usr/bin/env python3
"""The questions in course/quiz: checked, written for Moodle, shown in a notebook.

    python tools/quiz.py check      # the questions, course/quiz.gift, links of the course's texts
    python tools/quiz.py gift       # write course/quiz.gift anew
    python tools/quiz.py list       # how many questions of which kind a notebook has

A file course/quiz/NOTEBOOK.json holds the questions of a notebook. A question has an `id`, the
`heading` of the section that answers it, a `level` from 1 (told in the text) over 2 (applied to
a case) to 3 (a result to judge), a `stem` in Markdown, a `key`, and a sentence of feedback for
each answer. Its `kind` is `choice` (one of four), `several` (of four, one to three are right)
or `number`. A number is within `tolerance` of its key, and the key is what `expression` gives;
`traps` are the numbers that a misunderstanding gives, told in the same way.

In a notebook beside this folder's neighbours (nbs, course):

    import sys; sys.path.append("../tools")
    from quiz import show
    show("04_metrics")                      # or questions by name: show("04-ties", "04-paired")
"""
import argparse
import collections
import json
import math
import re
import sys
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
LETTERS = "abcd"
KINDS = ("choice", "several", "number")
COMMON = {"id", "kind", "heading", "level", "stem", "key"}
FIELDS = {"choice": COMMON | {"answers"}, "several": COMMON | {"answers"},
          "number": COMMON | {"tolerance", "expression", "feedback", "traps"}}
NAMES = {k: v for k, v in vars(math).items() if not k.startswith("_")} | {
    f.__name__: f for f in (abs, len, max, min, next, range, round, sum)}
LEAST, LEAST_OF_ONE = 130, 2           # questions in all, and of a notebook of the course
LONGER = 1.3                           # a right answer this much longer than the others shows
DIGITS = {"one decimal": 1, "two decimals": 2, "two digits": 2, "three digits": 3}
LAZY = re.compile(r"\b(all|none|both|neither) of (the|these) (above|answers|others)\b", re.I)
ID = re.compile(r"\d\d-[a-z]+(-[a-z]+)*")


# ---- reading ----------------------------------------------------------------------------

def load(folder=ROOT / "course" / "quiz"):
    "All questions below `folder`, each with its `notebook`; ValueError for what is no JSON."
    questions = []
    for path in sorted(Path(folder).glob("*.json")):
        try:
            book = json.loads(path.read_text(encoding="utf-8"))
            questions += [{"notebook": path.stem} | q for q in book["questions"]]
            if book["notebook"] != path.stem:
                raise ValueError(f"notebook {book['notebook']!r}")
        except (ValueError, KeyError, TypeError) as e:
            raise ValueError(f"{path.name}: {e}") from e
    return questions


def headings(path):
    "The headings of a notebook's Markdown cells, as they are written."
    found = set()
    for cell in json.loads(Path(path).read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "markdown":
            text = re.sub(r"^```.*?^```", "", "".join(cell["source"]), flags=re.M | re.S)
            found |= {m.strip() for m in re.findall(r"^#{1,6} (.+)$", text, re.M)}
    return found


def value(expression):
    "The number that an expression of the bank gives: arithmetic, math, and small functions."
    return float(eval(expression, {"__builtins__": {}} | NAMES))


def right(q):
    "Positions of the right answers of a question with answers."
    return [LETTERS.index(c) for c in q["key"]]


# ---- checking one question --------------------------------------------------------------

def sentences(texts):
    "What is wrong with texts of feedback: each a sentence, and no two the same."
    for t in texts:
        if not (isinstance(t, str) and re.fullmatch(r"\S.{8,}[.)?]", t)):
            yield f"feedback is no sentence: {t!r}"
    if len(set(texts)) < len(texts):
        yield "two answers have the same feedback"


def wrong_answers(q):
    "What is wrong with a question of kind choice or several."
    answers, key = q["answers"], q["key"]
    if len(answers) != 4 or any(set(a) != {"text", "feedback"} for a in answers):
        yield "four answers are needed, each with text and feedback"
        return
    texts = [a["text"].strip() for a in answers]
    if not isinstance(key, str) or not key or "".join(sorted(set(key) & set(LETTERS))) != key:
        yield f"key {key!r}: letters of right answers in alphabetical order"
        return
    if q["kind"] == "choice" and len(key) != 1 or len(key) == 4:
        yield f"key {key!r}: one right answer for choice, one to three for several"
    if len({t.lower().rstrip(".") for t in texts}) < 4:
        yield "two answers say the same"
    for t in texts:
        if LAZY.search(t):
            yield f"an answer about the other answers: {t!r}"
        if not t or "\n" in t or set(t) & set("`*$"):
            yield f"an answer is one line of plain text, not {t!r}"
        if "->" in t + answers[texts.index(t)]["feedback"]:
            yield f"an arrow makes a pair for Moodle: {t!r}"
    good, bad = ([len(t) for i, t in enumerate(texts) if (i in right(q)) == r]
                 for r in (True, False))
    if q["kind"] == "choice" and good[0] > LONGER * max(bad) + 4:
        yield f"the right answer is much the longest ({good[0]} letters, others {bad})"
    for i, a in enumerate(answers):
        said = a["feedback"].startswith("Right")
        if said != (i in right(q)):
            yield f"feedback of {LETTERS[i]} begins with Right, or the key names it: not both"
    yield from sentences([a["feedback"] for a in answers])


def wrong_number(q):
    "What is wrong with a question of kind number."
    key, tolerance, traps = q["key"], q["tolerance"], q["traps"]
    if not all(isinstance(v, int | float) and math.isfinite(v) for v in (key, tolerance)) \
            or tolerance <= 0:
        yield "key and tolerance have to be numbers, the tolerance above 0"
        return
    known = [(key, "the key")]
    for what, wanted, expression in [("key", key, q["expression"]), *(
            (f"trap {t.get('value')}", t.get("value"), t.get("expression", "")) for t in traps)]:
        try:
            if abs(value(expression) - wanted) > tolerance / 4:
                yield f"{what}: {expression} gives {value(expression):.6g}, not {wanted}"
        except Exception as e:             # whatever an expression of the bank may raise
            yield f"{what}: {expression!r} gives no number ({e})"
    for t in traps:
        for other, name in known:
            if abs(t.get("value", math.nan) - other) <= 2 * tolerance:
                yield f"trap {t['value']} cannot be told from {name} with tolerance {tolerance}"
        known.append((t.get("value"), f"trap {t.get('value')}"))
    for words, digits in DIGITS.items():
        if words in q["stem"] and tolerance < 0.5 * 10**-digits * (1 - 1e-9):
            yield f"asked for are {words}, and rounding so may leave tolerance {tolerance}"
    yield from sentences([q["feedback"], *(t.get("feedback") for t in traps)])


def wrong_question(q, found):
    "What is wrong with question `q`; `found`: the headings of its notebook."
    kind = q.get("kind")
    if kind not in KINDS:
        yield f"kind {kind!r} is none of {', '.join(KINDS)}"
        return
    fields = set(q) - {"notebook"}
    if fields != FIELDS[kind]:
        yield f"fields missing or too many: {', '.join(sorted(fields ^ FIELDS[kind]))}"
        return
    if not ID.fullmatch(q["id"]) or q["id"][:2] != q["notebook"][:2]:
        yield f"an id is {q['notebook'][:2]}-and-words in small letters"
    if q["heading"] not in found:
        yield f"the notebook has no heading {q['heading']!r}"
    if q["level"] not in (1, 2, 3):
        yield f"level {q['level']!r} is not 1, 2 or 3"
    if len(q["stem"]) < 40 or not re.search(r"[?]( \([^()]*\))?$|[?] \(.*\)$|\)$", q["stem"]):
        yield "a stem is a case that ends with its question"
    texts = json.dumps({k: v for k, v in q.items() if k != "expression"}, ensure_ascii=False)
    if "\\\\" in texts:
        yield "a backslash is read in two ways by Moodle: leave it out"
    yield from (wrong_number if kind == "number" else wrong_answers)(q)


# ---- checking the bank ------------------------------------------------------------------

def at_most(n, share, tail=0.02):
    "How many of n questions may have something that each has with the chance `share`."
    chance = [math.comb(n, k) * share**k * (1 - share)**(n - k) for k in range(n + 1)]
    return next(k for k in range(n + 1) if sum(chance[k + 1:]) <= tail)


def giveaways(questions):
    "What the form of all choice questions together gives away: places, lengths."
    choices = [q for q in questions if q["kind"] == "choice"]
    n = len(choices)
    if n < 20:
        return
    most = at_most(n, 1 / 4)
    for letter, count in sorted(collections.Counter(q["key"] for q in choices).items()):
        if count > most:
            yield f"{count} of {n} right answers are at {letter}: at most {most} by chance"
    for name, key in ("longest", max), ("shortest", min):
        hits = 0
        for q in choices:
            sizes = [len(a["text"]) for a in q["answers"]]
            own = sizes.pop(right(q)[0])
            hits += own != key(sizes) and key(own, key(sizes)) == own
        if hits > most:
            yield f"{hits} of {n} right answers are the {name}: at most {most} by chance"


def problems(questions, books, least=LEAST, least_of_one=LEAST_OF_ONE):
    "What is wrong with `questions`, as texts; `books`: {name: path} of the notebooks."
    known = {name: headings(path) for name, path in books.items()}
    sound, names = [], collections.Counter(q.get("id") for q in questions)
    for q in questions:
        found = [f"no notebook {q['notebook']}"] if q["notebook"] not in known else list(
            wrong_question(q, known[q["notebook"]]))
        if names[q.get("id")] > 1:
            found.append("another question has the same id")
        yield from (f"{q.get('id')}: {text}" for text in found)
        if not found:
            sound.append(q)
    stems = collections.Counter(q["stem"] for q in sound)
    yield from (f"two questions with one stem: {s[:60]!r}" for s, n in stems.items() if n > 1)
    yield from giveaways(sound)
    if len(questions) < least:
        yield f"{len(questions)} questions, at least {least} are wanted"
    counts = collections.Counter(q["notebook"] for q in questions)
    for name in books:
        if name[:2].isdigit() and name < "90" and counts[name] < least_of_one:
            yield f"{name}: {counts[name]} questions, at least {least_of_one} are wanted"


def wrong_texts(folder, questions):
    "Links that lead nowhere and unknown questions in the course's Markdown texts."
    ids = {q["id"] for q in questions}
    for path in sorted(Path(folder).glob("*.md")):
        text = path.read_text(encoding="utf-8")
        plain = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", plain):
            file, _, place = unquote(target).partition("#")
            there = (path.parent / file) if file else path
            if re.match(r"[a-z]+:", target):
                continue
            if not there.exists():
                yield f"{path.name}: no {target}"
            elif place and there.suffix == ".ipynb" and place not in {
                    h.replace(" ", "-") for h in headings(there)}:
                yield f"{path.name}: {there.name} has no heading {place}"
        for name in re.findall(r"`(\d\d-[a-z-]+)`", plain):
            if name not in ids:
                yield f"{path.name}: no question {name}"


# ---- Moodle -----------------------------------------------------------------------------

def escaped(text):
    "`text` as GIFT wants it: its own signs behind backslashes, line breaks as \\n."
    return re.sub(r"([~=#{}:])", r"\\\1", text).replace("\n", "\\n")


def decimal(v):
    "A number without an exponent: 0.00001, and not 1e-05."
    return f"{Decimal(repr(v)):f}"


def gift_question(q):
    "One question in GIFT."
    where = escaped(f"Answered in {q['notebook']}, section \"{q['heading']}\".")
    lines = [f"::{q['id']}::[markdown]{escaped(q['stem'])} {{"]
    if q["kind"] == "number":
        lines[0] += "#"
        rows = [("", q["key"], q["feedback"]), *(
            ("%0%", t["value"], t["feedback"]) for t in q["traps"])]
        lines += [f"={share}{decimal(v)}:{decimal(q['tolerance'])}#{escaped(f)}"
                  for share, v, f in rows]
    else:
        good, n = right(q), len(q["key"])
        share = {1: "100", 2: "50", 3: "33.33333"}[n]
        bad = {1: "33.33333", 2: "50", 3: "100"}[n]      # to tick everything gains nothing
        for i, a in enumerate(q["answers"]):
            sign = ("=" if i in good else "~") if q["kind"] == "choice" else (
                f"~%{share}%" if i in good else f"~%-{bad}%")
            lines.append(f"{sign}{escaped(a['text'])}#{escaped(a['feedback'])}")
    return "\n".join([*lines, f"####{where}", "}"])


def gift(questions):
    "All questions in GIFT, a category a notebook."
    parts, last = ["// The questions of anomaly_nb, made from course/quiz by tools/quiz.py"], None
    for q in questions:
        if q["notebook"] != last:
            parts.append(f"$CATEGORY: anomaly_nb/{q['notebook']}")
        parts.append(gift_question(q))
        last = q["notebook"]
    return "\n\n".join(parts) + "\n"


# ---- in a notebook ----------------------------------------------------------------------

def judged(q, answer):
    """(right?, feedback) of an answer: the position for `choice`, positions for `several`, a
    number for `number`; None where nothing was answered."""
    if answer is None or answer == []:
        return None, "Give an answer first."
    if q["kind"] == "number":
        if abs(answer - q["key"]) <= q["tolerance"] * (1 + 1e-9):
            return True, q["feedback"]
        near = [t for t in q["traps"] if abs(answer - t["value"]) <= q["tolerance"]]
        return False, near[0]["feedback"] if near else "Not this number. Try again."
    chosen, good = ({answer} if q["kind"] == "choice" else set(answer)), set(right(q))
    told = [q["answers"][i]["feedback"] for i in sorted(chosen)]
    if chosen < good:
        told.append("One or more right answers are missing.")
    return chosen == good, " ".join(told)


def chosen(which, questions):
    "The questions that names of notebooks or questions name, in the order of the names."
    found = [q for name in which for q in questions if name in (q["id"], q["notebook"])]
    missing = [n for n in which if not any(n in (q["id"], q["notebook"]) for q in questions)]
    if missing:
        raise ValueError(f"no question and no notebook with questions: {', '.join(missing)}")
    return found


def form(q):
    "The answers of a question as ipywidgets: a box with a button that judges what is chosen."
    import ipywidgets as w

    told = w.HTML()
    wide = dict(layout=w.Layout(width="auto"), style=dict(description_width="0"))
    if q["kind"] == "choice":
        field = w.RadioButtons(options=[(a["text"], i) for i, a in enumerate(q["answers"])],
                               value=None, **wide)
        fields, ask = [field], lambda: field.value
    elif q["kind"] == "several":
        fields = [w.Checkbox(description=a["text"], indent=False, **wide) for a in q["answers"]]
        ask = lambda: [i for i, f in enumerate(fields) if f.value]
    else:
        field = w.Text(placeholder="a number")
        fields, ask = [field], lambda: number(field.value)
    button = w.Button(description="Check")

    def check(_):
        good, text = judged(q, ask())
        mark = {True: "✓ ", False: "✗ ", None: ""}[good]
        plain = text.replace("&", "&amp;").replace("<", "&lt;")
        told.value = f"{mark}{plain}" + (
            f"<br><i>{q['notebook']}, {q['heading']}</i>" if good is False else "")

    button.on_click(check)
    box = w.VBox([*fields, button, told], layout=w.Layout(margin="0 0 24px 0"))
    box.told, box.fields, box.button = told, fields, button
    return box


def number(text):
    "The number that a person typed (1/3, 0,5 and 12 % too); None where it is none."
    text = text.strip().rstrip("%").strip().replace(",", ".")
    top, _, bottom = text.partition("/")
    try:
        return float(top) / float(bottom or 1)
    except (ValueError, ZeroDivisionError):
        return None


def show(*which, folder=ROOT / "course" / "quiz"):
    "Show questions in a notebook, by names of notebooks (04_metrics) or questions (04-ties)."
    from IPython.display import Markdown, display

    for q in chosen(which, load(folder)):
        display(Markdown(f"**{q['id']}** (level {q['level']})\n\n{q['stem']}"), form(q))


# ---- the command ------------------------------------------------------------------------

def wrong(root):
    """What is wrong with questions, course/quiz.gift and texts of the project `root`."""
    course, books = root / "course", {p.stem: p for p in sorted((root / "nbs").glob("*.ipynb"))}
    questions, target = load(course / "quiz"), course / "quiz.gift"
    found = [*problems(questions, books), *wrong_texts(course, questions)]
    if not target.exists() or target.read_text(encoding="utf-8") != gift(questions):
        found.append("quiz.gift is not what course/quiz gives: python tools/quiz.py gift")
    return found


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["check", "gift", "list"])
    parser.add_argument("--root", type=Path, default=ROOT, help="the project")
    args = parser.parse_args(argv)
    course = args.root / "course"
    questions, target = load(course / "quiz"), course / "quiz.gift"
    if args.what == "list":
        for name, n in sorted(collections.Counter(q["notebook"] for q in questions).items()):
            kinds = collections.Counter(q["kind"] for q in questions if q["notebook"] == name)
            print(f"{name:24} {n:3}  " + ", ".join(f"{v} {k}" for k, v in kinds.items()))
        print(f"{'all':24} {len(questions):3}")
        return 0
    if args.what == "gift":
        books = {p.stem: p for p in sorted((args.root / "nbs").glob("*.ipynb"))}
        if found := list(problems(questions, books)):
            print("\n".join(found))
            return 1
        target.write_text(gift(questions), encoding="utf-8")
        print(f"{target}: {len(questions)} questions")
        return 0
    found = wrong(args.root)
    print("\n".join(found) or f"{len(questions)} questions, all right")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
