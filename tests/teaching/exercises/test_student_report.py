"""The student report holds the learner's record, whatever is in it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

import workbench as wb
from workbench.errors import WorkbenchError
from workbench.folders import REFERENCE
from workbench.teaching.learner import LearnerRecord, machine_title

SIZES = {path.relative_to(REFERENCE).as_posix(): path.stat().st_size for path in REFERENCE.rglob("*") if path.is_file()}


def test_the_report_has_predictions_measurements_and_answers(tmp_path: Path) -> None:
    guess = wb.Predict("How many | <b>ms</b>?", unit="ms", id="00-report")
    guess.lock(2.0)
    guess.reveal(4.0)
    wb.check("00-overtake", 4)
    wb.check("00-overtake", 64)
    wb.check("00-overtake", 256)
    wb.check("00-typical", 3)
    wb.hint("00-typical")
    report = wb.student_report(tmp_path / "out", name="Ada <script>")
    page, text = report.html.read_text(), report.markdown.read_text()
    assert "<script" not in page
    assert "Student report: Ada" in page
    for said in (page, text):
        assert "2 ms" in said
        assert "4 ms (measured)" in said
        assert machine_title() in said
        assert "passed" in said
        assert "not yet" in said
        assert "1 of 1" in said
        assert "1 of 2" in said
    assert "How many \\| &lt;b>ms&lt;/b>?" in text
    assert f"is in {(tmp_path / 'out').resolve()}: student-report.html to read" in repr(report)
    assert "| In all | 1 of " in text
    assert "Answered: 1 passed, 1 not yet" in page


def test_the_report_has_the_first_guess_and_the_number_of_tries(tmp_path: Path) -> None:
    right = SIZES["model.onnx"] / sum(SIZES.values())
    for answer in ((0.9, 7.0), (0.8, 8.0), (0.7, None), (0.5, right), (0.4, right), (0.4, 9.0)):
        wb.check("05-left", answer)
    wb.check("00-typical", 3)
    rows = [line.split(" | ") for line in wb.student_report(tmp_path).markdown.read_text().splitlines()]
    text = {row[0].partition(":")[0]: (row[1], row[2], row[5]) for row in rows if len(row) == 8}
    assert text["| 05-left"] == ("passed", "0.9", "3")  # the unfinished one is no try, nor what came after
    assert text["| 00-typical"] == ("not yet", "", "1")
    assert "guessed first" in (tmp_path / "student-report.html").read_text()


def test_tries_that_an_older_workbench_did_not_count_are_not_invented(tmp_path: Path) -> None:
    old = {"kind": "answered", "id": "00-overtake", "when": "2026-01-01T10:00:00+00:00", "state": "not yet"}
    content = {"format": "workbench learner record", "version": 1, "entries": [old | {"answer": "4", "points": 0}]}
    Path(os.environ["WORKBENCH_LEARNER"]).write_text(json.dumps(content))
    assert wb.check("00-overtake", 64).passed
    assert "| not counted |" in wb.student_report(tmp_path).markdown.read_text()
    assert [entry.get("tries") for entry in LearnerRecord().find("answered", "00-overtake")] == [None, None]


def test_empty_and_odd_records_make_a_report(tmp_path: Path) -> None:
    assert wb.student_report(tmp_path).markdown.read_text().count("Nothing yet.") == 3
    odd = {"id": "zz", "when": "yesterday", "machine": 3, "answer": None, "question": ["x"], "points": "many"}
    entries = [{"kind": kind, **odd} for kind in ("predicted", "measured", "decided", "answered", "dreamt")]
    content = {"format": "workbench learner record", "version": 1, "entries": entries}
    Path(os.environ["WORKBENCH_LEARNER"]).write_text(json.dumps(content))
    text = wb.student_report(tmp_path).markdown.read_text()
    assert "yesterday" in text
    assert "dreamt" not in text


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(WorkbenchError, match="Cannot write"):
        wb.student_report(tmp_path / "file" / "inside")
    with pytest.raises(WorkbenchError, match="name = 3: must be text"):
        wb.student_report(tmp_path, name=3)  # type: ignore[arg-type]


def test_progress_and_hints_persist_between_kernels(tmp_path: Path) -> None:
    assert "0 of 2 exercises" in repr(wb.progress())
    wb.check("00-overtake", 64)
    wb.check("00-overtake", 1)  # what was passed stays passed
    record = LearnerRecord()
    assert "■□  1 of 2 exercises, 1 of 3 points" in repr(wb.progress(record=record))
    assert [wb.hint("00-typical").step for _ in range(5)] == [1, 2, 3, 3, 3]
    assert "hint 1 of 3" in repr(wb.hint("00-overtake"))
    for call in (wb.check, wb.hint):
        with pytest.raises(
            WorkbenchError, match=r"no exercise '00-overtook'\. Lesson 00 has 00-overtake, 00-typical\.$"
        ):
            call("00-overtook")
    with pytest.raises(AssertionError, match="not yet"):
        wb.check("00-overtake", 1).require()
    wb.check("00-overtake", 64).require()


def test_a_record_that_cannot_be_written_does_not_prevent_a_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_LEARNER", "/dev/full")
    verdict = wb.check("00-overtake", 64)
    assert verdict.passed
    assert "not kept in your record" in verdict.message


def test_answers_in_the_report_are_short(tmp_path: Path) -> None:
    wb.check("05-left", (0.5, SIZES["model.onnx"] / 1.1e6))
    wb.check("04-shrink", (len, len))
    text = wb.student_report(tmp_path).markdown.read_text()
    assert not re.search(r"\d\.\d{6}", text)
    assert f"(0.5, {SIZES['model.onnx'] / 1.1e6:.5g})" in text
    assert "| the function len, the function len |" in text
