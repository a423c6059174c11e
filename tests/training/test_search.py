"""The search finds the best of its trials, goes on where it stopped, and never looks at the test set."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest
import torch

from workbench.bundle.preprocessing import Preprocessing
from workbench.data.datasets import Data, Split
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.training.loop import train
from workbench.training.models import build_model
from workbench.training.search import (
    Trial,
    best,
    default_space,
    importances,
    load_trials,
    search_hyperparameters,
)

BASE = HyperParameters(model="linear", epochs=3, batch_size=16, learning_rate=0.05, precision="fp32", flip=False)
SPACE: dict[str, Any] = {"learning_rate": (1e-4, 0.5, "log"), "shift": (0, 2), "batch_size": [8, 16, 32]}


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """These networks are far too small to share out, and two threads on a busy machine wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def _data(name: str = "ramps", seed: int = 0) -> Data:
    """Brighter to the right, or brighter downwards, under much noise; the test set explodes when it is touched."""
    generator = torch.Generator().manual_seed(seed)

    def split(kind: str, count: int) -> Split:
        labels = torch.arange(count) % 2
        ramp = torch.linspace(80, 170, 8).expand(count, 8, 8)
        images = torch.where(labels[:, None, None] == 0, ramp, ramp.transpose(1, 2))
        noisy = images + 60 * torch.randn(count, 8, 8, generator=generator)
        return Split(kind, noisy.clamp(0, 255).byte().unsqueeze(-1), labels)

    return Data(
        name=name,
        labels=("right", "down"),
        train=split("train", 96),
        validation=split("validation", 150),
        test=Split("test", None, None),  # type: ignore[arg-type]
        new=Split("new", None, None),  # type: ignore[arg-type]
        preprocessing=Preprocessing(height=8, width=8, channels=1, mean=(0.5,), std=(0.25,)),
    )


def _search(**changes: Any) -> list[Trial]:
    return list(search_hyperparameters(_data(), BASE, SPACE, **({"device": "cpu", "trials": 4} | changes)))


def _essence(trial: Trial) -> tuple[Any, ...]:
    return trial.number, dict(trial.sampled), trial.value, trial.state, trial.epochs


def test_trials_are_real_runs_and_the_best_is_the_highest() -> None:
    data, trials = _data(), _search(trials=5)
    assert [trial.number for trial in trials] == list(range(5))
    assert len({tuple(trial.sampled.values()) for trial in trials}) == 5
    for trial in trials:
        assert 1e-4 <= trial.sampled["learning_rate"] <= 0.5
        assert trial.sampled["shift"] in (0, 1, 2)
        assert trial.sampled["batch_size"] in (8, 16, 32)
        assert trial.hyperparameters == BASE.replace(**trial.sampled)
        assert trial.seconds > 0
    complete = [trial for trial in trials if trial.state == "complete"]
    assert best(trials).value == max(trial.value or 0 for trial in complete)
    # The oracle: the same run by hand.
    found = best(trials)
    model = build_model("linear", classes=2, shape=(8, 8, 1))
    records = list(train(model, data, found.hyperparameters, device="cpu"))
    assert records[-1].validation_accuracy == found.value


def test_a_stopped_search_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    storage = tmp_path / "made" / "search.db"
    begun = []
    with closing(search_hyperparameters(_data(), BASE, SPACE, device="cpu", trials=4, storage=storage)) as search:
        begun.append(next(search))
        with pytest.raises(WorkbenchError, match="another search is using it"):
            _search(storage=storage)
        begun.append(next(search))
    assert [_essence(trial) for trial in load_trials(storage)] == [_essence(trial) for trial in begun]
    rest = _search(storage=storage)
    assert [_essence(trial) for trial in begun + rest] == [_essence(trial) for trial in _search()]
    assert _search(storage=storage) == []
    assert [_essence(trial) for trial in load_trials(storage)] == [_essence(trial) for trial in begun + rest]

    for changes, text in (
        ({"space": SPACE | {"shift": (0, 3)}}, "another space"),
        ({"base": BASE.replace(epochs=4)}, "other hyper-parameters"),
        ({"data": _data(seed=1)}, "other data"),
    ):
        what = {"data": _data(), "base": BASE, "space": SPACE} | changes
        with pytest.raises(WorkbenchError, match=f"begun with {text}"):
            next(search_hyperparameters(**what, storage=storage))
    with pytest.raises(WorkbenchError, match="no search named 'other'"):
        load_trials(storage, "other")


def test_a_search_closed_in_another_thread_lets_go_of_its_storage(tmp_path: Path) -> None:
    storage = tmp_path / "search.db"
    search = search_hyperparameters(_data(), BASE, SPACE, device="cpu", trials=2, storage=storage)
    next(search)
    closing_thread = threading.Thread(target=search.close)
    closing_thread.start()
    closing_thread.join()
    assert len(_search(storage=storage, trials=2)) == 1


def test_a_killed_trial_is_failed_and_made_up_for(tmp_path: Path) -> None:
    storage = tmp_path / "search.db"
    _search(storage=storage, trials=1)
    # What a kill leaves behind: a trial that is running for ever.
    database = optuna.storages.RDBStorage(f"sqlite:///{storage}")
    optuna.load_study(study_name="search", storage=database).ask()
    database.remove_session()
    database.engine.dispose()
    assert [trial.number for trial in load_trials(storage)] == [0]
    assert [trial.number for trial in _search(storage=storage, trials=2)] == [2]
    killed = load_trials(storage)[1]
    assert (killed.state, killed.value, killed.reason) == ("failed", None, "stopped before its end")


def test_an_interrupted_trial_is_failed_and_made_up_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = tmp_path / "search.db"
    report = optuna.Trial.report

    def interrupt(*arguments: Any) -> None:
        report(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(optuna.Trial, "report", interrupt)
        with pytest.raises(KeyboardInterrupt):
            _search(storage=storage, trials=1)
    assert [(trial.state, trial.epochs) for trial in load_trials(storage)] == [("failed", 1)]
    assert [(trial.number, trial.state) for trial in _search(storage=storage, trials=1)] == [(1, "complete")]


def test_hyperband_stops_what_does_worse() -> None:
    # Two rates that learn nothing beside one that learns: with nine epochs there are three brackets.
    space = {"learning_rate": [1e-7, 2e-7, 0.05]}
    base = BASE.replace(epochs=9)
    trials = list(search_hyperparameters(_data(), base, space, trials=14, device="cpu"))
    pruned = [trial for trial in trials if trial.state == "pruned"]
    assert pruned
    for trial in pruned:
        assert 1 <= trial.epochs < 9
        assert "worse than others after epoch" in trial.reason
    assert best(trials).sampled["learning_rate"] == 0.05


def test_a_diverged_trial_is_failed_and_the_search_goes_on() -> None:
    base = BASE.replace(model="mlp", momentum=0.99, schedule="constant")
    space = {"learning_rate": [100.0, 0.01]}
    trials = list(search_hyperparameters(_data(), base, space, trials=6, device="cpu"))
    failed = [trial for trial in trials if trial.state == "failed"]
    assert failed
    assert all("loss became" in trial.reason and trial.sampled["learning_rate"] == 100.0 for trial in failed)
    assert best(trials).sampled["learning_rate"] == 0.01
    with pytest.raises(WorkbenchError, match=r"None of 1 trials is complete \(The loss became"):
        best(failed[:1])


def test_importances_are_shares(tmp_path: Path) -> None:
    storage = tmp_path / "search.db"
    space = {"learning_rate": (1e-6, 0.1, "log"), "momentum": (0.88, 0.9)}
    base = BASE.replace(epochs=1)
    list(search_hyperparameters(_data(), base, space, trials=8, device="cpu", storage=storage))
    shares = importances(storage)
    assert sum(shares.values()) == pytest.approx(1)
    assert next(iter(shares)) == "learning_rate"
    _search(storage=storage, name="short", trials=1)
    with pytest.raises(WorkbenchError, match="too few"):
        importances(storage, "short")


@pytest.mark.parametrize(
    ("space", "text"),
    [
        ({}, "empty"),
        ({"lr": (0.1, 1.0)}, "Unknown hyper-parameter 'lr'"),
        ({"learning_rate": (0.1, 1000.0)}, "learning_rate = 1000"),
        ({"learning_rate": (1.0, 0.1)}, "from a lower to a higher"),
        ({"weight_decay": (0.0, 0.1, "log")}, "above 0"),
        ({"batch_size": (8, 16.5)}, "batch_size = 16.5"),
        ({"optimizer": ["sgd", "adam"]}, "optimizer = 'adam'"),
        ({"optimizer": "sgd"}, "must be"),
        ({"shift": 3}, "must be"),
        ({"shift": []}, "must be"),
        ({"momentum": (0.1, 0.9, "linear")}, "momentum = 'linear'"),
    ],
)
def test_a_space_outside_the_ranges_is_a_sentence(space: Any, text: str) -> None:
    with pytest.raises(WorkbenchError, match=text):
        next(search_hyperparameters(_data(), BASE, space))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_default_space_is_a_space_of_hyperparameters(optimizer: str) -> None:
    base = BASE.replace(optimizer=optimizer)
    space = default_space(base)
    with closing(search_hyperparameters(_data(), base.replace(epochs=1), device="cpu")) as search:
        assert set(next(search).sampled) == set(space)


def test_wrong_requests_are_sentences(tmp_path: Path) -> None:
    data = _data()
    empty = Split("validation", data.train.images[:0], data.train.labels[:0])
    with pytest.raises(WorkbenchError, match="no validation images"):
        next(search_hyperparameters(replace(data, validation=empty), BASE, SPACE))
    with pytest.raises(WorkbenchError, match="trials = 0"):
        next(search_hyperparameters(data, BASE, SPACE, trials=0))
    with pytest.raises(WorkbenchError, match="does not exist"):
        load_trials(tmp_path / "search.db")
    (tmp_path / "text.db").write_text("no database at all, but long enough to be looked at\n" * 100)
    with pytest.raises(WorkbenchError, match=r"text\.db cannot be used to keep a search"):
        next(search_hyperparameters(data, BASE, SPACE, storage=tmp_path / "text.db"))
    with pytest.raises(WorkbenchError, match=r"text\.db cannot be used"):
        load_trials(tmp_path / "text.db")


def test_no_time_no_trial_and_not_a_word_from_optuna(capfd: pytest.CaptureFixture[str]) -> None:
    before = optuna.logging.get_verbosity()
    assert _search(timeout=0.0) == []
    assert len(_search(trials=1)) == 1
    assert optuna.logging.get_verbosity() == before
    assert capfd.readouterr() == ("", "")
