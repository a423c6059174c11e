"""The learner's record: saved, never lost, and written by several kernels at the same time."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from workbench.errors import WorkbenchError
from workbench.machine.devices import find_device
from workbench.teaching import learner
from workbench.teaching.learner import FORMAT, MAX_ID, RECORD, VARIABLE, VERSION, LearnerRecord, format_time


def content(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def test_an_entry_is_saved_in_a_plain_file_and_read_again(tmp_path: Path):
    path = tmp_path / "runs" / "learner.json"
    record = LearnerRecord(path)
    assert record.entries == []
    assert not path.parent.exists()  # to look is not to write
    noted = record.note("predicted", "00-race", question="Wie viel?", answer=2.5, unit="×", known=False)
    assert record.problem == ""
    found = content(path)
    assert (found["format"], found["version"]) == (FORMAT, VERSION)
    assert found["entries"] == [noted] == LearnerRecord(path).entries
    assert noted["machine"] == find_device("cpu").title
    assert noted["when"].endswith("+00:00")
    assert noted["workbench"]
    assert "Wie viel?" in path.read_text(encoding="utf-8")
    record.note("decided", "00-race", proof="half a pair \ud800 is no text")
    again = LearnerRecord(path)
    assert [entry["kind"] for entry in again.entries] == ["predicted", "decided"]
    assert again.find("predicted", "00-race", unit="×") == [noted]
    assert again.find("predicted", "00-race", unit="ms") == []
    again.entries.clear()
    assert len(again.entries) == 2
    assert "2 entries in" in repr(again)


def test_an_entry_with_the_same_key_is_updated(tmp_path: Path):
    record = LearnerRecord(tmp_path / "learner.json")
    for value in (1.0, 2.0, 3.0):
        kept = record.note("measured", "a", key=("origin", "machine"), value=value, origin="here")
    record.note("measured", "a", key=("origin", "machine"), value=9.0, origin="modelled")
    here, modelled = record.entries
    assert here == kept
    assert (here["value"], here["first"]["value"], modelled["value"]) == (3.0, 1.0, 9.0)
    assert "first" not in here["first"]
    assert "first" not in modelled


def test_the_path_of_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    usual = LearnerRecord()
    assert usual.path == (Path(os.path.realpath(tmp_path)) / "runs" / "learner.json")
    assert RECORD.name == "learner.json"
    monkeypatch.chdir(tmp_path)
    usual.note("answered", "q", right=True)
    assert (tmp_path / "runs" / "learner.json").exists()
    monkeypatch.setenv(VARIABLE, str(tmp_path / "mine.json"))
    assert LearnerRecord().path.name == "mine.json"
    assert LearnerRecord(tmp_path / "given.json").path.name == "given.json"


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b'{"format": "something else"}',
        json.dumps({"format": FORMAT, "version": VERSION, "entries": [{"kind": "predicted"}]}).encode(),
        json.dumps({"format": FORMAT, "version": "1", "entries": []}).encode(),
        json.dumps({"format": FORMAT, "version": VERSION, "entries": {}}).encode(),
    ],
)
def test_a_damaged_file_is_renamed_and_reported(tmp_path: Path, damaged: bytes):
    path = tmp_path / "learner.json"
    for number in ("", "-2"):
        path.write_bytes(damaged)
        record = LearnerRecord(path)
        assert record.entries == []
        assert path.read_bytes() == damaged
        assert str(path) in record.problem
        record.note("answered", "q", right=True)
        aside = tmp_path / f"learner.damaged{number}.json"
        assert aside.read_bytes() == damaged
        assert record.problem.endswith(f"It was renamed to {aside.name}, and a new record was started.")
        assert len(content(path)["entries"]) == 1
        record.note("answered", "q", right=False)
        assert record.problem == ""


def test_a_file_of_a_newer_workbench_is_left_alone(tmp_path: Path):
    path = tmp_path / "learner.json"
    path.write_text(json.dumps({"format": FORMAT, "version": VERSION + 1, "entries": [], "more": 1}))
    before = path.read_bytes()
    record = LearnerRecord(path)
    record.note("answered", "q", right=True)
    assert "was written by a newer workbench (version 2): update this one." in record.problem
    assert path.read_bytes() == before
    assert len(record.entries) == 1


def test_entries_stay_in_memory_while_the_file_cannot_be_written(tmp_path: Path):
    (tmp_path / "runs").write_text("a file where the folder should be")
    record = LearnerRecord(tmp_path / "runs" / "learner.json")
    for answer in (1, 2):
        noted = record.note("predicted", "q", answer=answer)
        assert noted["answer"] == answer
        assert record.problem.startswith("This is not kept in your record. Cannot write")
    assert [entry["answer"] for entry in record.entries] == [1, 2]
    (tmp_path / "runs").unlink()
    record.note("predicted", "q", answer=3)  # and now it can
    assert record.problem == ""
    assert [entry["answer"] for entry in content(record.path)["entries"]] == [1, 2, 3]


def test_the_wait_for_another_kernel_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(learner, "LOCK_TIMEOUT_SECONDS", 0.2)
    record = LearnerRecord(tmp_path / "learner.json")
    with FileLock(tmp_path / ".learner.json.lock"):
        record.note("predicted", "q", answer=1)
        assert "Another kernel has been writing" in record.problem
    record.note("predicted", "q", answer=2)
    assert [entry["answer"] for entry in content(record.path)["entries"]] == [1, 2]


def test_several_kernels_can_write_at_the_same_time(tmp_path: Path):
    path, kernels, each = tmp_path / "learner.json", 4, 25
    code = (
        "import sys; from workbench.teaching.learner import LearnerRecord; record = LearnerRecord(sys.argv[1])\n"
        f"for number in range({each}): record.note('predicted', sys.argv[2], answer=number)\n"
        "assert not record.problem, record.problem"
    )
    running = [subprocess.Popen([sys.executable, "-c", code, str(path), str(kernel)]) for kernel in range(kernels)]
    assert [process.wait(60) for process in running] == [0] * kernels
    for kernel in range(kernels):
        assert [entry["answer"] for entry in LearnerRecord(path).find("predicted", str(kernel))] == list(range(each))
    assert len(content(path)["entries"]) == kernels * each


@pytest.mark.parametrize("id", ["", "  ", "x" * (MAX_ID + 1), "a\nb", None, 3])
def test_an_id_is_printable_and_short(tmp_path: Path, id: object):
    with pytest.raises(WorkbenchError, match="id = "):
        LearnerRecord(tmp_path / "learner.json").note("predicted", id)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [float("nan"), object(), {1, 2}])
def test_only_plain_values_are_kept(tmp_path: Path, value: object):
    with pytest.raises(WorkbenchError, match="Only plain, finite values"):
        LearnerRecord(tmp_path / "learner.json").note("predicted", "q", answer=value)


def test_times_are_formatted_and_an_edited_one_is_harmless():
    assert format_time("2026-11-25T12:00:00+00:00").startswith("2026-11-2")
    assert format_time("yesterday") == "yesterday"


def test_no_torch_is_loaded():
    code = (
        "import sys, workbench.teaching.learner, workbench.teaching.guesses, workbench.widgets.predict; "
        "print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_file_of_another_kind_is_left_alone(tmp_path: Path):
    """Somebody names a notebook, a device or a folder for the record by mistake: nothing is moved or replaced."""
    notebook, pipe = tmp_path / "lesson.ipynb", tmp_path / "pipe.json"
    notebook.write_text("{}")
    os.mkfifo(pipe)
    for path, said in (
        (notebook, "It was left unchanged: choose a .json file"),
        (pipe, "is not a regular file: choose another path"),
    ):
        record = LearnerRecord(path)
        record.note("predicted", "race", guess=3)
        assert said in record.problem
        assert [entry["guess"] for entry in record.entries] == [3]
    assert notebook.read_text() == "{}"
    assert pipe.is_fifo()
    assert not [path for path in tmp_path.iterdir() if "damaged" in path.name]
