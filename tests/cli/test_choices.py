"""Options that would change a run or overwrite a folder are refused."""

import sqlite3
from contextlib import closing

from cli.command import last_json


def test_resume_refuses_options_that_would_change_the_run(finished, workbench):
    for option in (["--data", "digits"], ["--size", 64], ["--out", "elsewhere"], ["--set", "epochs=9"], ["--seed", 9]):
        code, _, text = workbench("train", "--resume", finished[0], *option)
        assert code == 2
        assert option[0].strip("-") in text
    code, printed, _ = workbench("train", "--resume", finished[0], "--json")
    assert code == 0
    assert last_json(printed)["validation_accuracy"] == finished[1]["validation_accuracy"]


def test_a_search_leaves_foreign_folders_and_databases_alone(finished, tmp_path, workbench):
    code, _, text = workbench("search", "--data", "digits", "--out", finished[0])
    assert (code, "something other than a search" in text) == (2, True)
    (tmp_path / "other").mkdir()
    with closing(sqlite3.connect(tmp_path / "other" / "search.db")) as database:
        database.execute("CREATE TABLE cookies (name)")
    before = (tmp_path / "other" / "search.db").read_bytes()
    code, _, text = workbench("search", "--data", "digits", "--out", tmp_path / "other")
    assert (code, "database of something else" in text) == (2, True)
    assert (tmp_path / "other" / "search.db").read_bytes() == before
