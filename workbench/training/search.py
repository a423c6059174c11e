"""Hyper-parameter search: a generator that trains one trial after another and yields the result of each.

Optuna proposes trials (TPE: Bergstra et al. 2011) and prunes the unpromising (Hyperband: Li et al. 2018) by their
validation accuracy after each epoch; the test set is never used. With a storage file, a search can be stopped at any
moment and continued; finished trials are not repeated.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import optuna
import torch
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from workbench import arguments
from workbench.data.datasets import Data
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.training.loop import train
from workbench.training.models import build_model
from workbench.training.records import Record, TrainingError

Space = Mapping[str, Sequence[Any]]

# Random trials before the sampler learns from them; Optuna's default of 10 is more than a class has time for.
RANDOM_TRIALS = 5

_STATES: dict[TrialState, Literal["complete", "pruned", "failed"]] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}
_STOPPED = "stopped before its end"


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One training run of a search.

    sampled: the searched hyper-parameters alone. value: validation accuracy, 0 to 1, after its last epoch, None before
    the first. state: "pruned" if stopped early as worse than others, "failed" if it could not finish; `reason` explains
    both. epochs: completed. seconds: of the whole trial, measured.
    """

    number: int
    hyperparameters: HyperParameters
    sampled: Mapping[str, Any]
    value: float | None
    state: Literal["complete", "pruned", "failed"]
    epochs: int
    seconds: float
    reason: str = ""


def default_space(base: HyperParameters) -> dict[str, tuple[Any, ...] | list[Any]]:
    """Return the space worth searching first: learning rate (SGD's is a hundred times AdamW's), weight decay, label
    smoothing, width and batch size."""
    low, high = (2e-4, 2e-2) if base.optimizer == "adamw" else (0.02, 2.0)
    return {
        "learning_rate": (low, high, "log"),
        "weight_decay": (1e-5, 5e-3, "log"),
        "label_smoothing": (0.0, 0.2),
        "width": [0.5, 1.0, 1.5],
        "batch_size": [64, 128, 256],
    }


def search_hyperparameters(
    data: Data,
    base: HyperParameters,
    space: Space | None = None,
    *,
    trials: int = 20,
    device: str = "auto",
    storage: Path | None = None,
    name: str = "search",
    timeout: float | None = None,
    seed: int = 0,
) -> Generator[Trial, None, None]:
    """Train up to `trials` trials in total on `data`, yielding a `Trial` when each ends. Leave the loop to stop.

    base: values of the hyper-parameters that are not searched. space: maps fields of HyperParameters to (low, high),
    (low, high, "log") or a list of choices; by default `default_space(base)`. storage: an SQLite file that keeps the
    search under `name`; calling again continues it, up to `trials` in total, with the proposals of an uninterrupted
    search. timeout: seconds after which no trial begins. A trial that diverges counts as failed.

    Raises WorkbenchError before the first trial for a space outside the ranges of HyperParameters, data without
    training or validation images, a storage file that is in use or not of a search, or a search begun with other data,
    another base or another space.

    >>> data = wb.load_dataset("digits")
    >>> base = wb.HyperParameters(model="linear", epochs=1, precision="fp32")
    >>> rates = {"learning_rate": [0.001, 0.01]}
    >>> [trial.state for trial in wb.search_hyperparameters(data, base, rates, trials=2, device="cpu")]
    ['complete', 'complete']
    """
    space = default_space(base) if space is None else space
    _check_space(space, base)
    _check_budget(trials, data)
    started = time.monotonic()
    with _locked(storage), _study_of(storage, name, create=True) as study:
        study.pruner = _pruner(space, base)
        _check_same_search(study, {"space": _plain(space), "base": asdict(base), "data": data.fingerprint})
        _fail_unfinished(study)
        while _finished(study) < trials and (timeout is None or time.monotonic() - started < timeout):
            yield _run_trial(study, data, base, space, device, seed)


def load_trials(storage: Path, name: str = "search") -> list[Trial]:
    """Return the trials of a search so far, in order. Raises WorkbenchError where the file holds no such search."""
    with _study_of(storage, name, create=False) as study:
        base = HyperParameters.from_mapping(study.user_attrs["base"])
        ended = [trial for trial in study.get_trials(deepcopy=False) if trial.state in _STATES]
        return [_to_trial(trial, base) for trial in ended]


def best(trials: Sequence[Trial]) -> Trial:
    """Return the first complete trial of the highest value. Raises WorkbenchError where none is complete."""
    complete = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    if not complete:
        reasons = next((f" ({trial.reason})" for trial in trials if trial.reason), "")
        raise WorkbenchError(f"None of {len(trials)} trials is complete{reasons}. Run more, or change the space.")
    return max(complete, key=lambda trial: trial.value or 0.0)


def importances(storage: Path, name: str = "search") -> dict[str, float]:
    """Return the share of the variance between complete trials that each searched hyper-parameter explains, largest
    first (PED-ANOVA: Watanabe et al. 2023). Raises WorkbenchError where there are too few trials."""
    with _study_of(storage, name, create=False) as study:
        values = {trial.value for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))}
        if len(values) < 4:
            raise WorkbenchError(f"{len(values)} different results are too few to say what matters: run more trials.")
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))


def _run_trial(study: optuna.Study, data: Data, base: HyperParameters, space: Space, device: str, seed: int) -> Trial:
    """Propose and train a trial, and store its outcome, whatever happens."""
    # A new sampler per trial, seeded by its number: a continued search proposes what an uninterrupted one would.
    number = len(study.get_trials(deepcopy=False))
    study.sampler = optuna.samplers.TPESampler(seed=_seed_of(seed, number), n_startup_trials=RANDOM_TRIALS)
    trial = study.ask()
    state, reason = TrialState.FAIL, _STOPPED
    ends: list[Record] = []
    start = time.perf_counter()
    try:
        chosen = base.replace(**{field: _propose(trial, field, choices) for field, choices in space.items()})
        state, reason = _train(trial, data, chosen, device, ends)
    finally:
        outcome = {"epochs": len(ends), "seconds": time.perf_counter() - start, "reason": reason}
        trial.set_user_attr("outcome", outcome)
        with _quiet():
            value = ends[-1].validation_accuracy if state == TrialState.COMPLETE else None
            ended = study.tell(trial, value, state=state)
    return _to_trial(ended, base)


def _train(
    trial: optuna.Trial, data: Data, chosen: HyperParameters, device: str, ends: list[Record]
) -> tuple[TrialState, str]:
    model = build_model(chosen.model, classes=len(data.labels), shape=data.shape, width=chosen.width, seed=chosen.seed)
    try:
        with closing(train(model, data, chosen, device=device)) as records:
            for record in records:
                if record.kind != "epoch" or record.validation_accuracy is None:
                    continue
                ends.append(record)
                trial.report(record.validation_accuracy, record.epoch)
                if record.step < record.steps and trial.should_prune():
                    return TrialState.PRUNED, f"worse than others after epoch {record.epoch} of {record.epochs}"
    except TrainingError as error:
        return TrialState.FAIL, str(error)
    except torch.OutOfMemoryError:
        return TrialState.FAIL, f"batch size {chosen.batch_size} does not fit into the memory of {device}"
    return TrialState.COMPLETE, ""


def _propose(trial: optuna.Trial, field: str, choices: Sequence[Any]) -> Any:
    if not _is_range(choices):
        return trial.suggest_categorical(field, list(choices))
    low, high, logarithmic = choices[0], choices[1], len(choices) == 3
    if isinstance(HyperParameters.__dataclass_fields__[field].default, int):
        return trial.suggest_int(field, low, high, log=logarithmic)
    return trial.suggest_float(field, low, high, log=logarithmic)


def _is_range(choices: Sequence[Any]) -> bool:
    """Whether `choices` is (low, high) or (low, high, "log"); a list always holds choices."""
    if not isinstance(choices, tuple) or len(choices) not in (2, 3):
        return False
    numbers = all(isinstance(end, (int, float)) and not isinstance(end, bool) for end in choices[:2])
    return numbers and (len(choices) == 2 or choices[2] == "log")


def _check_space(space: Space, base: HyperParameters) -> None:
    if not space:
        raise WorkbenchError("The search space is empty: name at least one hyper-parameter, such as learning_rate.")
    for field, choices in space.items():
        if isinstance(choices, str) or not isinstance(choices, Sequence) or not len(choices):
            wrong = 'be (low, high), (low, high, "log") or a list of choices'
        elif _is_range(choices) and not choices[0] < choices[1]:
            wrong = "go from a lower to a higher value"
        elif _is_range(choices) and len(choices) == 3 and choices[0] <= 0:
            wrong = "begin above 0 on a logarithmic scale"
        else:
            wrong = ""
        if wrong:
            raise WorkbenchError(f"Search space: {field} = {choices!r} must {wrong}.")
        for value in choices[:2] if _is_range(choices) else choices:
            try:
                base.replace(**{field: value})
            except WorkbenchError as error:
                raise WorkbenchError(f"Search space: {error}") from error


def _check_budget(trials: int, data: Data) -> None:
    arguments.whole_number("trials", trials, 1, 1_000_000)
    for split in (data.train, data.validation):
        if not len(split):
            raise WorkbenchError(f"{data.name} has no {split.name} images: a search needs them to compare trials.")


def _pruner(space: Space, base: HyperParameters) -> optuna.pruners.BasePruner:
    choices = space.get("epochs", (base.epochs,))
    epochs = max(choices[:2] if _is_range(choices) else choices)
    if epochs < 3:
        return optuna.pruners.NopPruner()
    return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=3)


def _seed_of(seed: int, number: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:4], "little")


def _plain(space: Space) -> dict[str, Any]:
    """Return the space as JSON would read it back."""
    return json.loads(json.dumps({field: [_is_range(choices), *choices] for field, choices in space.items()}))


def _check_same_search(study: optuna.Study, search: Mapping[str, Any]) -> None:
    """Store what is searched, or raise WorkbenchError where the study has searched something else."""
    before = study.user_attrs
    for key, value in search.items():
        if key not in before:
            study.set_user_attr(key, value)
        elif before[key] != value:
            other = {"space": "another space", "base": "other hyper-parameters", "data": "other data"}[key]
            raise WorkbenchError(
                f"The search {study.study_name!r} was begun with {other}: its trials cannot be compared with new ones. "
                "Give the same again, or another name."
            )


def _fail_unfinished(study: optuna.Study) -> None:
    """Mark trials that a killed process left running as failed."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        with _quiet():
            study.tell(trial.number, state=TrialState.FAIL)


def _finished(study: optuna.Study) -> int:
    """Count the trials that ended by themselves, not those that were interrupted or killed."""
    ended = [trial for trial in study.get_trials(deepcopy=False) if trial.state in _STATES]
    return sum(_outcome(trial)["reason"] != _STOPPED for trial in ended)


def _to_trial(trial: FrozenTrial, base: HyperParameters) -> Trial:
    return Trial(
        number=trial.number,
        hyperparameters=base.replace(**trial.params),
        sampled=dict(trial.params),
        value=trial.intermediate_values[trial.last_step] if trial.last_step is not None else None,
        state=_STATES[trial.state],
        **_outcome(trial),
    )


def _outcome(trial: FrozenTrial) -> dict[str, Any]:
    """Return what was stored when the trial ended; a killed trial stored nothing."""
    killed = {"epochs": len(trial.intermediate_values), "seconds": 0.0, "reason": _STOPPED}
    return trial.user_attrs.get("outcome", killed)


@contextmanager
def _study_of(storage: Path | None, name: str, *, create: bool) -> Iterator[optuna.Study]:
    """Open the study `name` in an SQLite file, or in memory, and close the connections at the end."""
    if storage is None:
        with _quiet():
            study = optuna.create_study(study_name=name, direction="maximize")
        yield study
        return
    path = Path(storage)
    if not create and not path.is_file():
        raise WorkbenchError(f"{path} does not exist: there is no search to load.")
    try:
        with _quiet():
            path.parent.mkdir(parents=True, exist_ok=True)
            _refuse_foreign(path)
            # ?, % and # are legal in a file name and must be escaped in a URL.
            address = URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)
            database = optuna.storages.RDBStorage(address)
            if create:
                study = optuna.create_study(
                    study_name=name, storage=database, direction="maximize", load_if_exists=True
                )
            else:
                study = optuna.load_study(study_name=name, storage=database)
    except KeyError as error:
        raise WorkbenchError(f"{path} holds no search named {name!r}.") from error
    except (SQLAlchemyError, sqlite3.Error, OSError, RuntimeError, optuna.exceptions.OptunaError) as error:
        raise _unusable(path, str(error).splitlines()[0].rstrip(".")) from error
    try:
        yield study
    finally:
        database.remove_session()
        database.engine.dispose()


def _refuse_foreign(path: Path) -> None:
    """Raise WorkbenchError for an SQLite file with other tables, before Optuna adds its own."""
    if not path.is_file() or not path.stat().st_size:
        return
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and "studies" not in tables:
        raise WorkbenchError(f"{path} is a database of something else: choose another file for the search.")


@contextmanager
def _locked(storage: Path | None) -> Iterator[None]:
    """Lock the storage file: each of two searches in it would take the other's running trial for a killed one."""
    if storage is None:
        yield
        return
    # Not thread-local: a widget may begin a search in one thread and close it in another.
    lock = FileLock(f"{storage}.lock", timeout=0, thread_local=False)
    try:
        Path(storage).parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout as error:
        raise _unusable(storage, "another search is using it; wait for it, or use another file") from error
    except OSError as error:
        raise _unusable(storage, error) from error
    try:
        yield
    finally:
        lock.release()


def _unusable(storage: Path, reason: object) -> WorkbenchError:
    return WorkbenchError(f"{storage} cannot be used to keep a search: {reason}.")


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Optuna's log: the generator reports progress."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
