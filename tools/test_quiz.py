#!/usr/bin/env python3
"""Tests of quiz.py: a sound bank passes, and a question that is broken in a typical way does not.

    python tools/test_quiz.py [NAME ...]        # all tests, or those named

The course's own questions are checked too, and course/quiz.gift is read back by another GIFT
parser, `pip install --no-deps pygiftparser yattag`. Without these packages the status is 2.
"""
import contextlib
import copy
import io
import json
import shutil
import sys
import tempfile
import time
import types
from pathlib import Path
from string import ascii_lowercase

import quiz as tool

TEXT = ("# One\n\n> What it is\n\n## How far?\n\n```text\n## no heading\n```\n\nFar.\n"
        "### The trap: `>`\n")


def choice(k=0, **more):
    "A sound question, the k-th; its right answer is at a, b, c, d in turn."
    answers = [dict(text=f"{k} metres, as the {w} cord is long",
                    feedback=f"The {w} cord is shorter.")
               for w in ("green", "white", "brown", "black")]
    at = k % 4
    answers[at]["feedback"] = "Right: the cord reaches so far."
    return dict(notebook="07_one", id=f"07-far-{ascii_lowercase[k % 26]}", kind="choice",
                heading="How far?", level=1, key="abcd"[at], answers=answers,
                stem=f"A cord of {k} metres is laid straight. How far does it reach?") | more


def several(**more):
    q = choice(3, kind="several", key="bd", id="07-both")
    q["answers"][1]["feedback"] = "Right: the other cord does as well."
    return q | more


def number(**more):
    trap = dict(value=5, expression="2 + 3", feedback="The second side counts squared as well.")
    return dict(notebook="07_one", id="07-sides", kind="number", heading="The trap: `>`", level=2,
                stem="A right triangle has the short sides 2 and 3. How long is the third? "
                     "(two decimals)",
                key=3.606, tolerance=.006, expression="sqrt(2**2 + 3**2)", traps=[trap],
                feedback="The root of 4 + 9.") | more


def found(*questions, text=TEXT, least=0, name="07_one"):
    "What the tool says of `questions` about a notebook with the Markdown `text`."
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{name}.ipynb")
        cells = [dict(cell_type="markdown", source=text), dict(cell_type="code", source="## no")]
        path.write_text(json.dumps(dict(cells=cells)))
        return list(tool.problems(questions, {name: path}, least, 0))


def refused(words, *questions, **more):
    said = found(*questions, **more)
    assert any(words in s for s in said), (words, said)


def spoilt(q, **more):
    return copy.deepcopy(q) | more


def answer(q, i, **more):
    "The question with its i-th answer changed."
    q = copy.deepcopy(q)
    q["answers"][i] |= more
    return q


def test_sound():
    assert found(choice(), several(), number()) == []
    assert found(*map(choice, range(24))) == []


def test_structure():
    refused("kind 'essay'", spoilt(choice(), kind="essay"))
    lacking = {k: v for k, v in choice().items() if k != "level"}
    refused("fields missing or too many: level", lacking)
    refused("too many: hint", choice(hint="x"))
    refused("level 4", choice(level=4))
    refused("an id is 07-and-words", choice(id="07_far"))
    refused("an id is 07-and-words", choice(id="08-far"))
    refused("no notebook 08_two", choice(notebook="08_two", id="08-far"))
    refused("another question has the same id", choice(), choice(1, id="07-far-a"))
    refused("two questions with one stem", choice(), choice(1, stem=choice()["stem"]))
    refused("ends with its question", choice(stem="A cord of two metres is laid on a table."))
    refused("ends with its question", choice(stem="Why?"))
    refused("leave it out", choice(stem="What is the \\alpha of a threshold that is asked for?"))


def test_headings():
    refused("no heading 'How near?'", choice(heading="How near?"))
    for elsewhere in "no heading", "no":                     # in a code block, in a code cell
        refused(f"no heading '{elsewhere}'", choice(heading=elsewhere))


def test_answers():
    q = choice()
    refused("four answers", spoilt(q, answers=q["answers"][:3]))
    refused("each with text and feedback", answer(q, 1, note="x"))
    for key in "", "e", "ba", "aa", 1, None: refused("in alphabetical order", spoilt(q, key=key))
    refused("one right answer", spoilt(q, key="ab"))
    refused("one to three", spoilt(several(), key="abcd"))
    refused("say the same", answer(q, 1, text=q["answers"][0]["text"].upper() + "."))
    for lazy in "All of the above", "none of these answers", "Both of the others":
        refused("about the other answers", answer(q, 1, text=lazy))
    for odd in "two\nlines", "a `code`", "":
        refused("one line of plain text", answer(q, 1, text=odd))
    refused("a pair for Moodle", answer(q, 1, text="from a -> b"))
    refused("a pair for Moodle", answer(q, 1, feedback="It goes from a -> b, not back."))
    long = q["answers"][0]["text"] + ", and this is why it is"
    refused("much the longest", answer(q, 0, text=long))


def test_feedback():
    q = choice()
    for odd in "", "No.", "it is wrong", None: refused("feedback is no sentence", answer(
        q, 1, feedback=odd or ""))
    refused("same feedback", answer(q, 1, feedback=q["answers"][2]["feedback"]))
    refused("feedback of b begins with Right", answer(q, 1, feedback="Right: this as well."))
    refused("feedback of a begins with Right", spoilt(q, key="b"))       # the key was moved


def test_numbers():
    q = number()
    trap = q["traps"][0]
    refused("gives 3.60555, not 3.7", spoilt(q, key=3.7))
    refused("gives no number", spoilt(q, expression="sqrt(13"))
    refused("gives no number", spoilt(q, expression="__import__('os').getpid()"))
    refused("gives no number", spoilt(q, expression="open('x')"))
    refused("numbers, the tolerance above 0", spoilt(q, tolerance=0))
    refused("numbers, the tolerance above 0", spoilt(q, key="3.606"))
    refused("numbers, the tolerance above 0", spoilt(q, key=float("nan")))
    refused("trap 5: 2 * 3 gives 6", spoilt(q, traps=[trap | dict(expression="2 * 3")]))
    refused("cannot be told from the key", spoilt(q, traps=[
        trap | dict(value=3.61, expression="3.61")]))
    refused("cannot be told from trap 5", spoilt(q, traps=[trap, trap | dict(
        feedback="This is the sum of the sides.")]))
    refused("two decimals", spoilt(q, tolerance=.003))
    refused("feedback is no sentence", spoilt(q, feedback="the root"))


def test_giveaways():
    many = [choice(k) for k in range(24)]
    same = [choice(4 * k, id=f"07-far-{ascii_lowercase[k]}") for k in range(24)]
    refused("right answers are at a", *same)
    for name, word in ("longest", "which is long"), ("shortest", None):
        bent = copy.deepcopy(many)
        for q in bent:
            a = q["answers"][tool.right(q)[0]]
            a["text"] = a["text"] + " now" if word else a["text"].replace("metres", "m")
        refused(f"right answers are the {name}", *bent)
    assert 6 < tool.at_most(24, 1 / 4) < 14 and tool.at_most(120, 1 / 4) < 45


def test_numbers_of_questions():
    refused("1 questions, at least 5", choice(), least=5)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "07_one.ipynb")
        path.write_text(json.dumps(dict(cells=[dict(cell_type="markdown", source=TEXT)])))
        said = list(tool.problems([choice()], {"07_one": path, "90_words": path}, 0, 2))
    assert said == ["07_one: 1 questions, at least 2 are wanted"], said


def test_files():
    with tempfile.TemporaryDirectory() as folder:
        for text in "no json", "[]", '{"questions": []}', '{"notebook": "x", "questions": []}':
            Path(folder, "07_one.json").write_text(text)
            try: tool.load(folder)
            except ValueError as e: assert "07_one.json" in str(e), e
            else: raise AssertionError(f"was read: {text}")


def test_texts():
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder, "course")
        place.mkdir()
        (Path(folder) / "one.ipynb").write_text(json.dumps(dict(cells=[
            dict(cell_type="markdown", source=TEXT)])))
        (place / "good.md").write_text("[a](../one.ipynb) [b](../one.ipynb#How-far?) `07-far-a` "
                                       "[c](https://example.org)\n```\n[d](e) `07-gone`\n```\n")
        assert list(tool.wrong_texts(place, [choice()])) == []
        (place / "bad.md").write_text("[a](../two.ipynb) [b](../one.ipynb#How-near?) `07-gone`")
        said = list(tool.wrong_texts(place, [choice()]))
    assert said == ["bad.md: no ../two.ipynb", "bad.md: one.ipynb has no heading How-near?",
                    "bad.md: no question 07-gone"], said


def test_command():
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        shutil.copytree(tool.ROOT / "course", root / "course")
        (root / "nbs").symlink_to(tool.ROOT / "nbs")
        target = root / "course" / "quiz.gift"

        def run(what):
            with contextlib.redirect_stdout(io.StringIO()) as out:
                return tool.main([what, "--root", str(root)]), out.getvalue()

        target.write_text("old")
        status, said = run("check")
        assert status == 1 and "quiz.gift is not what" in said, said
        assert run("gift")[0] == 0 and run("check")[0] == 0 and target.read_text() != "old"
        path = root / "course" / "quiz" / "04_metrics.json"
        path.write_text(path.read_text().replace('"level": 1', '"level": 7', 1))
        before = target.read_text()
        status, said = run("gift")                           # what is wrong is not written
        assert status == 1 and "level 7" in said and target.read_text() == before


def test_our_questions():
    assert tool.main(["check"]) == 0


def test_judged():
    q, s, n = choice(1), several(), number()
    assert tool.judged(q, 1)[0] and not tool.judged(q, 0)[0] and tool.judged(q, None)[0] is None
    assert tool.judged(q, 0)[1] == "The green cord is shorter."
    assert [tool.judged(s, a)[0] for a in ([1, 3], [1], [1, 2, 3])] == [True, False, False]
    assert "are missing" in tool.judged(s, [1])[1] and tool.judged(s, [])[0] is None
    assert tool.judged(n, 3.61)[0] and tool.judged(n, 3.6)[0] and not tool.judged(n, 3.62)[0]
    assert tool.judged(n, 5.)[1] == n["traps"][0]["feedback"]
    assert tool.judged(n, 9.) == (False, "Not this number. Try again.")
    given = {"3.6": 3.6, " 0,5 ": .5, "1/4": .25, "12 %": 12, "x": None, "": None, "1/0": None}
    assert {t: tool.number(t) for t in given} == given


def test_form():
    "Every question of ours, answered rightly and wrongly as a student would."
    for q in tool.load():
        box = tool.form(q)
        for good in (True, False):
            if q["kind"] == "number":
                box.fields[0].value = str(q["key"] if good else q["traps"][0]["value"])
            elif q["kind"] == "choice":
                box.fields[0].value = next(i for i in range(4) if (i in tool.right(q)) == good)
            else:
                for i, f in enumerate(box.fields): f.value = (i in tool.right(q)) == good
            box.button.click()
            assert box.told.value.startswith("✓" if good else "✗"), (q["id"], box.told.value)
    assert [q["id"] for q in tool.chosen(["04-ties", "09_refresher"], tool.load())][0] == "04-ties"
    try: tool.chosen(["04-gone"], tool.load())
    except ValueError as e: assert "04-gone" in str(e)
    else: raise AssertionError("a question that is not there was found")


def read_back(text):
    "Questions as another parser reads them: {id: (stem, [(fraction, text or number, feedback)])}."
    # it wants an old markdown for web pages, which are not asked for here
    sys.modules.setdefault("markdown", types.ModuleType("markdown"))
    from pygiftparser import parser
    from pygiftparser.utils import transformSpecials as plain

    told = {}
    for q in parser.parseFile(io.StringIO(text)):
        assert q.valid, q.full
        rows = [(a.fraction, (a.value, a.tolerance) if hasattr(a, "value") else plain(a.answer),
                 plain(a.feedback)) for a in q.answers.answers]
        told[q.title] = plain(q.text), rows, q.cat, plain(q.generalFeedback)
    return told


def test_read_back():
    "What Moodle gets is what the bank says, signs and line breaks included."
    stem = "Is 1 = 2 ~ {3} # 4: so -> so?\n\n| a | b |\n|---|---|\n\nOr is it?"
    hard = answer(choice(id="07-hard", stem=stem), 0, text="a = b ~ c # d: e")
    questions = [*tool.load(), hard]
    told = read_back(tool.gift(questions))
    assert set(told) == {q["id"] for q in questions} and len(told) == len(questions)
    for q in questions:
        stem, rows, category, general = told[q["id"]]
        assert (stem, category) == (q["stem"], f"anomaly_nb/{q['notebook']}"), q["id"]
        assert q["heading"] in general
        if q["kind"] == "number":
            numbers = [(q["key"], q["feedback"], 100)] + [
                (t["value"], t["feedback"], 0) for t in q["traps"]]
            assert [(f, float(v), float(t), s) for f, (v, t), s in rows] == [
                (share, v, q["tolerance"], s) for v, s, share in numbers], q["id"]
        else:
            assert [r[1:] for r in rows] == [(a["text"], a["feedback"]) for a in q["answers"]], q["id"]
            good = [i for i, r in enumerate(rows) if r[0] > 0]
            assert good == tool.right(q), (q["id"], rows)
            if q["kind"] == "several":
                total = sum(r[0] for r in rows if r[0] > 0)
                assert abs(total - 100) < .1 and sum(r[0] for r in rows) < .1, q["id"]


def main(names):
    tests = [f for n, f in globals().items()
             if n.startswith("test_") and (not names or n in names)]
    failed, missing, start = 0, 0, time.time()
    for function in tests:
        try:
            function()
        except ModuleNotFoundError as e:
            missing += 1
            print(f"{e.name} is missing for {function.__name__}: "
                  "pip install --no-deps pygiftparser yattag")
        except Exception:
            failed += 1
            sys.excepthook(*sys.exc_info())
            print("FAIL", function.__name__)
    print(f"{len(tests) - failed - missing} of {len(tests)} tests of tools/quiz.py passed "
          f"in {time.time() - start:.0f} s")
    return 1 if failed or not tests else 2 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
