from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.runs import Run, latest_run, new_run


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_runs_are_numbered_and_never_reused():
    names = [new_run("animals").folder.name for _ in range(3)]
    assert names == ["animals-1", "animals-2", "animals-3"]
    assert new_run("digits").folder.name == "digits-1"


def test_names_that_look_like_patterns_are_taken_literally():
    assert [new_run("my[1]?*").folder.name for _ in range(2)] == ["my[1]?*-1", "my[1]?*-2"]


def test_concurrent_runs_get_a_folder_each():
    with ThreadPoolExecutor(8) as pool:
        folders = [run.folder for run in pool.map(lambda _: new_run("x"), range(64))]
    assert len(set(folders)) == 64


def test_a_folder_that_holds_something_is_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    assert new_run("animals", tmp_path / "mine").folder == tmp_path / "mine"
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(WorkbenchError, match="mine is not empty"):
        new_run("animals", tmp_path / "mine")
    with pytest.raises(WorkbenchError, match=r"thesis.txt is a file: --out names a folder"):
        new_run("animals", tmp_path / "mine" / "thesis.txt")
    with pytest.raises(WorkbenchError, match="Cannot create the folder"):
        new_run("animals", tmp_path / "mine" / "thesis.txt" / "run")


def test_the_newest_run_with_what_is_needed():
    with pytest.raises(WorkbenchError, match="start with: workbench workflow"):
        latest_run()
    first, second = new_run("animals"), new_run("animals")
    second.weights.write_bytes(b"")
    assert latest_run().folder == second.folder
    with pytest.raises(WorkbenchError, match="no run with a bundle"):
        latest_run("bundle")
    first.bundle.mkdir()
    assert latest_run("bundle").folder == first.folder


def test_a_folder_that_is_no_run_is_named(tmp_path):
    with pytest.raises(WorkbenchError, match="nowhere is not the folder of a run"):
        Run(tmp_path / "nowhere").read_about()
    (tmp_path / "run.json").write_text('{"data": 3}')
    with pytest.raises(WorkbenchError, match="the run's data is missing or wrong"):
        Run(tmp_path).read_about()
    Run(tmp_path).write_about("digits", 16, "f")
    assert Run(tmp_path).read_about()["data"] == "digits"


def test_a_folder_may_be_given_as_text() -> None:
    assert Run("runs/animals-1") == Run(Path("runs/animals-1"))  # type: ignore[arg-type]
