"""The run that passes from lesson to lesson."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench import lessons
from workbench.checkpoint import load_weights
from workbench.data import load_dataset
from workbench.hyperparameters import HyperParameters
from workbench.lessons import lesson_run


def test_a_run_is_made_once_and_then_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setattr(lessons, "QUICK_EPOCHS", 1)
    data = load_dataset("digits")
    chosen = tmp_path / "lesson" / "hyperparameters.json"
    HyperParameters(epochs=9).save(chosen)  # what lesson 01 leaves
    run = lesson_run(data, tmp_path / "lesson")
    assert HyperParameters.load(chosen).epochs == 9
    said = capsys.readouterr().out
    assert "There is no finished network of lesson 02 yet: a quick one learns for 1 epochs." in said
    assert "epoch 1 of 1" in said
    assert load_weights(run.weights, labels=data.labels).hyperparameters.epochs == 1
    before = run.weights.read_bytes()
    assert lesson_run(data, tmp_path / "lesson") == run
    assert "Going on with the quick network of" in capsys.readouterr().out
    assert run.weights.read_bytes() == before
    run.folder.rename(tmp_path / "finished")  # as if lesson 02 had left it
    assert lesson_run(data, tmp_path / "finished").folder == tmp_path / "finished"
    assert "Going on with the network of" in capsys.readouterr().out
    (tmp_path / "finished" / "weights.safetensors").write_bytes(before[:1000])
    assert lesson_run(data, tmp_path / "finished").folder == tmp_path / "finished-quick"


def test_another_run_in_its_place_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.setattr(lessons, "QUICK_EPOCHS", 1)
    (tmp_path / "lesson").mkdir()
    (tmp_path / "lesson" / "resume.pt").write_bytes(b"unfinished")
    run = lesson_run(load_dataset("digits"), tmp_path / "lesson")
    assert run.folder == tmp_path / "lesson-quick"
    assert (tmp_path / "lesson" / "resume.pt").read_bytes() == b"unfinished"
    assert lesson_run(load_dataset("digits"), tmp_path / "lesson") == run
    assert "quick network" in capsys.readouterr().out
