"""The run that passes from lesson to lesson, and guesses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from workbench import lessons
from workbench.checkpoint import load_weights
from workbench.data import load_dataset
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.lessons import lesson_run, reveal


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


@pytest.mark.parametrize(
    ("guess", "value", "said"),
    [
        (None, 0.21, "No guess yet (guess = None). Measured here, now: 0.21 ms."),
        (3, 0.21, "You guessed 3 ms; measured here, now: 0.21 ms: your guess was 14× too high."),
        (0.1, 0.25, "You guessed 0.1 ms; measured here, now: 0.25 ms: your guess was 2.5× too low."),
        (1.05, 1.0, "You guessed 1.05 ms; measured here, now: 1 ms: within a tenth."),
        (2, 2.0, "You guessed 2 ms; measured here, now: 2 ms: exactly right."),
        (0, 2.0, "You guessed 0 ms; measured here, now: 2 ms."),
    ],
)
def test_a_guess_is_set_beside_what_was_measured(guess: float | None, value: float, said: str):
    assert reveal(guess, value, "ms") == said


def test_a_value_says_where_it_comes_from_and_large_ones_have_commas():
    assert (
        reveal(None, 1_234_567.8, "bytes", origin="modelled")
        == "No guess yet (guess = None). Modelled: 1,234,568 bytes."
    )
    assert reveal(np.float32(2), np.float64(2), "ms").endswith("exactly right.")
    for value in (float("nan"), float("inf"), None, "3"):
        with pytest.raises(WorkbenchError, match=r"value = .*: only a finite number"):
            reveal(1, value)  # type: ignore[arg-type]


@pytest.mark.parametrize("guess", [10**400, -1, "three", True, float("nan"), float("inf"), [1]])
def test_what_is_no_guess_is_a_sentence(guess: object):
    with pytest.raises(WorkbenchError, match=r"guess = .*: write a number of 0 or more, or None"):
        reveal(guess, 1.0)  # type: ignore[arg-type]
