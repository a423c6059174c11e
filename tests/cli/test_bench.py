"""Commands of the bench: training, evaluation and search, stopped and resumed."""

import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest
from cli.command import last_json, start

from workbench.hyperparameters import HyperParameters


def test_evaluate_agrees_with_the_workflow(finished, workbench):
    out, summary, _ = finished
    code, printed, _ = workbench("evaluate", out, "--json")
    assert code == 0
    assert last_json(printed)["accuracy"] == summary["test_accuracy"]
    code, printed, _ = workbench("evaluate", out)
    assert code == 0
    assert "light" in printed
    assert "points, 95 %" in printed


def test_fine_tuning_starts_where_the_weights_left_off(finished, images, tmp_path, workbench):
    options = ["--data", images, "--size", 16, "--set", "width=0.25", "--epochs", 1, "--json"]
    weights = finished[0] / "weights.safetensors"
    _, _, _ = workbench("train", *options, "--out", tmp_path / "fresh")
    code, _, _ = workbench("train", *options, "--out", tmp_path / "tuned", "--from", weights)
    assert code == 0
    first = {}
    for name in ("fresh", "tuned"):
        first[name] = json.loads((tmp_path / name / "history.json").read_text())[0]["loss"]
    assert first["tuned"] < first["fresh"]


def test_a_search_continues_where_it_stopped(images, tmp_path, workbench):
    options = ["--data", images, "--size", 16, "--set", "width=0.25", "--epochs", 1, "--out", tmp_path / "search"]
    code, printed, text = workbench("search", *options, "--trials", 1, "--json")
    assert (code, last_json(printed)["trials"]) == (0, 1), text
    code, printed, text = workbench("search", *options, "--trials", 2, "--json")
    assert (code, last_json(printed)["trials"]) == (0, 2), text
    assert "trial 1/2" not in text
    assert HyperParameters.load(tmp_path / "search" / "hyperparameters.json").epochs == 1
    assert all(Path(path).stat().st_size > 1000 for path in last_json(printed)["plots"])


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a POSIX signal")
def test_ctrl_c_tells_how_to_resume_and_resuming_works(images, tmp_path, workbench):
    out = tmp_path / "run"
    options = ["--data", images, "--size", 16, "--set", "width=0.25", "--epochs", 400, "--out", out]
    run = start("train", *options)
    for line in run.stderr:
        if line.startswith("epoch 2/"):
            run.send_signal(signal.SIGINT)
            break
    _, text = run.communicate()
    assert run.returncode == 130
    assert f"Nothing is lost: workbench train --resume {out} continues the run." in text
    assert "Traceback" not in text
    code, _, text = workbench("train", "--resume", out, "--epochs", 3)
    assert (code, "was started with epochs = 400, not 3" in text) == (2, True)
    resumed = start("train", "--resume", out)
    for line in resumed.stderr:
        if line.startswith("epoch "):
            assert int(re.match(r"epoch (\d+)/400", line)[1]) > 2
            resumed.send_signal(signal.SIGINT)
            break
    resumed.communicate()


def test_a_folder_that_has_changed_is_not_evaluated(images, tmp_path, workbench):
    mine = tmp_path / "mine"
    shutil.copytree(images, mine)
    options = ["--data", mine, "--size", 16, "--model", "linear", "--epochs", 1, "--out", tmp_path / "run"]
    assert workbench("train", *options)[0] == 0
    (mine / "light" / "0.png").unlink()
    code, _, text = workbench("evaluate", tmp_path / "run")
    assert (code, "has changed since" in text) == (2, True)
