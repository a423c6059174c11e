"""The run that is passed from lesson to lesson."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.data.datasets import load_dataset
from workbench.hyperparameters import HyperParameters
from workbench.teaching import lessons
from workbench.teaching.lessons import lesson_run
from workbench.training.checkpoint import load_weights


def test_a_run_is_trained_once_and_then_reused(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setattr(lessons, "QUICK_EPOCHS", 1)
    data = load_dataset("digits")
    chosen = tmp_path / "lesson" / "hyperparameters.json"
    HyperParameters(epochs=9).save(chosen)  # what lesson 01 leaves
    run = lesson_run(data, tmp_path / "lesson")
    assert HyperParameters.load(chosen).epochs == 9
    printed = capsys.readouterr().out
    assert "Lesson 02 has left no finished network yet: training a quick one for 1 epochs." in printed
    assert "epoch 1 of 1" in printed
    assert load_weights(run.weights, labels=data.labels).hyperparameters.epochs == 1
    before = run.weights.read_bytes()
    assert lesson_run(data, tmp_path / "lesson") == run
    assert "Using the quick network in" in capsys.readouterr().out
    assert run.weights.read_bytes() == before
    run.folder.rename(tmp_path / "finished")  # as if lesson 02 had left it
    assert lesson_run(data, tmp_path / "finished").folder == tmp_path / "finished"
    assert "Using the network in" in capsys.readouterr().out
    (tmp_path / "finished" / "weights.safetensors").write_bytes(before[:1000])
    assert lesson_run(data, tmp_path / "finished").folder == tmp_path / "finished-quick"


def test_an_unfinished_run_in_the_folder_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setattr(lessons, "QUICK_EPOCHS", 1)
    (tmp_path / "lesson").mkdir()
    (tmp_path / "lesson" / "resume.pt").write_bytes(b"unfinished")
    run = lesson_run(load_dataset("digits"), tmp_path / "lesson")
    assert run.folder == tmp_path / "lesson-quick"
    assert (tmp_path / "lesson" / "resume.pt").read_bytes() == b"unfinished"
    assert lesson_run(load_dataset("digits"), tmp_path / "lesson") == run
    assert "quick network" in capsys.readouterr().out
