"""A record written before the package was divided into rooms is still read in full."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import workbench as wb
from workbench.teaching.learner import LearnerRecord

OLD = Path(__file__).with_name("learner_of_an_older_workbench.json")


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return Path(shutil.copy(OLD, tmp_path / "learner.json"))


def test_every_entry_is_read_and_kept(record: Path) -> None:
    old = json.loads(OLD.read_text(encoding="utf-8"))["entries"]
    reopened = LearnerRecord(record)
    assert reopened.entries == old
    reopened.note("predicted", "00-other", answer=1.0)
    assert reopened.problem == ""
    assert LearnerRecord(record).entries[:-1] == old


def test_a_guess_and_a_decision_are_there_again(record: Path) -> None:
    question = "How many times as fast is the GPU with one picture?"
    guess = wb.Predict(question, unit="×", id="00-small-race", record=record)
    assert guess.value == 20.0
    assert "Locked in on 2026-1" in guess.describe()
    decide = wb.Decide(
        "Which device would you buy for the gate?", wb.known_devices(batch_sizes=(1,)), id="00-gate", record=record
    )
    assert decide.decision is not None
    assert (decide.decision["device"], decide.decision["at_most"]) == ("AMD EPYC Zen 5 (2 cores)", "5")
    assert decide.decision["sentences"][1] == "It must not break: time of a batch, at most 5 ms."


def test_progress_hints_tries_and_the_report_go_on(record: Path, tmp_path: Path) -> None:
    assert "1 of 2 exercises, 1 of 3 points" in repr(wb.progress(record=LearnerRecord(record)))
    assert wb.hint("00-typical", record=LearnerRecord(record)).step == 2
    report = wb.student_report(tmp_path, record=LearnerRecord(record)).markdown.read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in report.splitlines()]
    (answered,) = (row for row in rows if row[0].startswith("| 00-overtake"))
    assert answered[1:6] == ["passed", "", "64", "1 of 1", "2"]
    assert "| 20 × | 0.4 × (measured)" in report
    assert "It would be proved wrong by: a p99 above 5 ms." in report
