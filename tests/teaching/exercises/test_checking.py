"""Verdicts, hints and progress, as text and as HTML.

Covers: notebook_html, answers, catalogue, exercise.
"""

from __future__ import annotations

import re
import warnings
from html import unescape

import pytest
from IPython.core.interactiveshell import InteractiveShell

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.teaching.exercises.answers import known_mistake, nearly
from workbench.teaching.exercises.catalogue import exercises
from workbench.teaching.exercises.checking import Verdict
from workbench.teaching.learner import LearnerRecord


def read(page: str) -> str:
    """What of a piece of HTML is read."""
    return unescape(re.sub("<[^>]+>", "", page))


def test_output_and_warnings_of_a_function_are_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    def typical(seconds: list[float]) -> float:
        print("seconds:", seconds)
        warnings.warn("an old function", UserWarning, stacklevel=1)
        return 0.0

    with warnings.catch_warnings(record=True) as text:
        warnings.simplefilter("always")
        assert wb.check("00-typical", typical).state == "not yet"
    assert text == []
    assert capfd.readouterr() == ("", "")


def test_the_html_has_the_same_text_escaped() -> None:
    verdict = wb.check("00-overtake", "<script>alert(1)</script>")
    page = verdict._repr_html_()
    assert "<script" not in page
    assert read(page) == repr(verdict)
    assert "✗ 00-overtake: <strong>not yet</strong> (0 of 1 point)" in page
    assert "<strong>passed</strong>" in wb.check("00-overtake", 64)._repr_html_()
    hint = wb.hint("00-typical")
    assert read(hint._repr_html_()) == repr(hint)
    assert "color" not in page + wb.progress()._repr_html_()


def test_code_in_backticks_is_code() -> None:
    page = Verdict("00-x", "not yet", "Take `a < b`, not `b`.", 0, 1)._repr_html_()
    assert "Take <code>a &lt; b</code>, not <code>b</code>." in page


def test_progress_is_a_table_and_names_the_argued_exercises() -> None:
    wb.check("00-overtake", 64)
    progress = wb.progress()
    for said in (repr(progress), read(progress._repr_html_())):
        assert "1 of 2 exercises" in said
        assert "Not counted here: 05-argue (3 points), read by your teacher." in said
    assert progress._repr_html_().count("<tr>") == len(progress.rows)


def test_an_argued_exercise_is_not_checked() -> None:
    text = repr(wb.check("05-argue"))
    assert text.startswith("○ 05-argue: A person reads this one: write it in the cell below the task.")
    assert "not answered" not in text


def test_an_unknown_id_lists_those_of_its_lesson() -> None:
    with pytest.raises(WorkbenchError, match=r"no exercise '00-typo'\. Lesson 00 has 00-overtake, 00-typical\.$"):
        wb.check("00-typo")
    with pytest.raises(WorkbenchError, match=r"no exercise 'retry'\. There are .*05-retry"):
        wb.hint("retry")


def test_a_notebook_shows_a_mistyped_id_as_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    shell = InteractiveShell()
    shell.run_cell("import workbench as wb\nwb.check('00-typo', 1)", store_history=False)
    assert capsys.readouterr().out.strip().splitlines() == [
        "UnknownExercise: There is no exercise '00-typo'. Lesson 00 has 00-overtake, 00-typical."
    ]


def test_the_nearest_of_two_mistakes_is_reported() -> None:
    wrong = {"first": 1.001, "second": (7.0, 1.0)}
    assert known_mistake(1.0001, wrong, nearly(0.01)) == "second"
    assert known_mistake(1.0009, wrong, nearly(0.01)) == "first"
    assert known_mistake(2.0, wrong, nearly(0.01)) == ""


@pytest.mark.parametrize("guess", [0, -1])
@pytest.mark.parametrize("id", [id for id, exercise in exercises().items() if exercise.kind == "predict"])
def test_an_impossible_guess_is_not_recorded(id: str, guess: float) -> None:
    verdict = wb.check(id, (guess, *[1.0] * (2 if id in ("02-optimizer", "04-throughput") else 1)))
    assert verdict.state == "not answered yet"
    assert "A guess is a number above 0" in verdict.message
    assert LearnerRecord().entries == []
