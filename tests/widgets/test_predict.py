"""A guess is locked in before the figure is known, set beside it, and there again the next time."""

from __future__ import annotations

import json
import threading
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.teaching.guesses import reveal
from workbench.teaching.learner import LearnerRecord
from workbench.widgets.predict import AFTERWARDS, KNOWN, Predict

QUESTION = "How many times as fast is the biggest?"
CHOICES = ["one core", "all cores", "the GPU"]


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "learner.json"


def race(record: Path, **changes: Any) -> Predict:
    return Predict(**{"question": QUESTION, "unit": "times as fast", "id": "00-race", "record": record} | changes)


def click(widget: Predict, draft: str) -> None:
    """What the browser does."""
    widget.set_state({"draft": draft, "requests": widget.requests + 1})
    assert widget.handled == widget.requests


def kinds(record: Path) -> list[tuple[str, Any]]:
    return [(entry["kind"], entry.get("answer", entry.get("value"))) for entry in LearnerRecord(record).entries]


def test_a_guess_is_locked_in_and_set_beside_the_figure(record: Path):
    guess = race(record)
    assert guess.value is None
    assert repr(guess) == f"Predict: {QUESTION} No guess yet."
    click(guess, "2,5")
    assert (guess.value, guess.guess_text, guess.problem, guess.late_note) == (2.5, "2.5 times as fast", "", "")
    assert guess.locked_text.startswith("Locked in on 20")
    said = guess.reveal(np.float64(0.44))
    assert said == reveal(2.5, 0.44, "times as fast")
    assert said.endswith("your guess was 5.7× too high.")
    assert guess.outcome == {
        "value": 0.44,
        "text": "0.44 times as fast",
        "unit": "times as fast",
        "origin": "measured here, now",
        "sentence": said,
    }
    assert guess.describe() == f"{QUESTION} {said}"
    assert kinds(record) == [("predicted", 2.5), ("measured", 0.44)]
    predicted, measured = LearnerRecord(record).entries
    assert (predicted["question"], predicted["unit"], predicted["known"]) == (QUESTION, "times as fast", False)
    assert (measured["question"], measured["unit"], measured["origin"]) == (
        QUESTION,
        "times as fast",
        "measured here, now",
    )
    assert measured["machine"] == predicted["machine"]


def test_the_figure_first_and_the_guess_afterwards(record: Path):
    guess = race(record)
    assert guess.reveal(0.44) == "No guess yet. Measured here, now: 0.44 times as fast."
    assert guess.outcome["sentence"] == "No guess yet. Measured here, now: 0.44 times as fast."
    assert guess.late_note == KNOWN
    click(guess, "0.5")
    assert guess.value == 0.5
    assert guess.locked_text.endswith(AFTERWARDS)
    assert guess.outcome["sentence"] == f"{reveal(0.5, 0.44, 'times as fast')} {AFTERWARDS}"
    assert guess.reveal(0.44).endswith(AFTERWARDS)
    assert LearnerRecord(record).find("predicted", "00-race")[0]["known"] is True
    # The figure of yesterday is known today, before it is measured again.
    assert race(record, id="00-race").late_note == KNOWN


def test_the_newest_guess_before_the_figure_counts(record: Path):
    guess = race(record)
    for number in (1, 2, 3):
        guess.lock(number)
    assert guess.value == 3
    guess.reveal(8.0)
    guess.lock(8)
    assert guess.value == 3
    assert kinds(record) == [("predicted", n) for n in (1, 2, 3)] + [("measured", 8.0), ("predicted", 8)]
    assert "You guessed 3 times as fast" in guess.reveal(8.1)


def test_run_anew_it_is_there_again_and_nothing_is_kept_twice(record: Path):
    for value in (1.9, 2.0, 2.1):
        guess = race(record)
        guess.lock(3)
        assert guess.value == 3
        assert "You guessed 3" in guess.reveal(value)
        assert AFTERWARDS not in guess.locked_text
    assert kinds(record) == [("predicted", 3), ("measured", 2.1)]
    assert LearnerRecord(record).entries[1]["first"]["value"] == 1.9
    guess = race(record)  # without a word in code
    assert (guess.value, guess.guess_text, guess.outcome) == (3, "3 times as fast", {})
    assert race(record, question="How many times as fast is the smallest?").value is None
    assert race(record, unit="ms").value is None
    assert race(record, id="other").value is None


def test_a_choice(record: Path):
    guess = Predict("Which is ahead?", choices=CHOICES, id="which", record=record)
    click(guess, "")
    assert guess.problem == "Choose one of them first."
    click(guess, "all cores")
    assert guess.value == "all cores"
    assert guess.reveal("one core") == "You guessed all cores; measured here, now: one core: not what you guessed."
    with pytest.raises(WorkbenchError, match="value = 'the FPGA': choose one of one core, all cores, the GPU"):
        guess.reveal("the FPGA")
    with pytest.raises(WorkbenchError, match="guess = 1: choose one of"):
        guess.lock(1)
    click(guess, "nobody offered this")
    assert "choose one of" in guess.problem
    assert Predict("Which is ahead?", choices=CHOICES, id="which", record=record).value == "all cores"
    assert Predict("Which is ahead?", choices=CHOICES[:2], id="which", record=record).value is None


@pytest.mark.parametrize("typed", ["three", "-1", "inf", "", "1e999"])
def test_what_is_no_number_is_a_sentence_and_locks_nothing(record: Path, typed: str):
    guess = race(record)
    click(guess, typed)
    assert guess.value is None
    assert guess.problem
    assert kinds(record) == []
    click(guess, "3 times as fast")
    assert (guess.value, guess.problem) == (3, "")


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -1, "3", True, None])
def test_in_code_it_is_an_error(record: Path, wrong: Any):
    with pytest.raises(WorkbenchError, match="guess = "):
        race(record).lock(wrong)
    if wrong != -1:
        with pytest.raises(WorkbenchError, match="value = "):
            race(record).reveal(wrong)
    assert not record.exists()


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"question": " "}, "question = "),
        ({"choices": "ab"}, "choices = "),
        ({"choices": ["a"]}, "choices = "),
        ({"choices": ["a", "a"]}, "choices = "),
        ({"choices": ["a", ""]}, "choices = "),
        ({"id": "x" * 81}, "id = "),
        ({"id": "a\tb"}, "id = "),
    ],
)
def test_what_cannot_be_asked(record: Path, changes: dict[str, Any], text: str):
    with pytest.raises(WorkbenchError, match=text):
        race(record, **changes)


def test_without_an_id_the_question_is_one(record: Path):
    Predict(QUESTION, record=record).lock(1)
    assert LearnerRecord(record).entries[0]["id"] == QUESTION
    assert Predict(QUESTION, record=record).value == 1
    long = Predict("Wie viel? " * 30, record=record)
    assert len(long.id) <= 80


def test_where_nothing_can_be_kept_it_says_so_and_works_on(tmp_path: Path):
    (tmp_path / "runs").write_text("no folder")
    guess = race(tmp_path / "runs" / "learner.json")
    click(guess, "3")
    assert guess.value == 3
    assert guess.record_problem.startswith("This is not kept in your record. Cannot write")
    assert "You guessed 3" in guess.reveal(2.0)


def test_what_somebody_edited_into_the_record_does_no_harm(record: Path):
    notes = LearnerRecord(record)
    for answer in ("many", None, [1], float(2)):
        asked = {"question": QUESTION, "unit": "times as fast", "choices": []}
        notes.note("predicted", "00-race", **asked, answer=answer)
    assert race(record).value is None


def test_clicks_and_cells_at_the_same_time(record: Path):
    guess = race(record)
    threads = [threading.Thread(target=guess.lock, args=(number,)) for number in range(8)]
    threads += [threading.Thread(target=guess.reveal, args=(float(number),)) for number in range(1, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = LearnerRecord(record)
    assert len(found.find("predicted", "00-race")) == 8
    assert len(found.find("measured", "00-race")) == 1
    assert guess.outcome


def test_its_page_shows_what_came_out(record: Path, tmp_path: Path):
    guess = race(record)
    guess.lock(3)
    sentence = guess.reveal(0.44)
    page = guess.to_html(tmp_path / "guess.html")
    assert "measured here, now: 0.44" in sentence
    # Who reads the page is elsewhere, and later.
    there = f"measured before this page was written, {date.today().isoformat()}: 0.44"
    assert there in page
    assert "here, now" not in page
    assert json.loads(record.read_text(encoding="utf-8"))["entries"]
    assert guess.trait_values(sync=True)["value"] == 3
