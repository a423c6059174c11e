"""What `TrainingDashboard` knows of one run: its records, the points to draw, and how they are told in words."""

from __future__ import annotations

import inspect
import math
from collections.abc import Generator, Iterable
from datetime import date
from pathlib import Path
from typing import Any

from workbench.devices import find_device
from workbench.errors import WorkbenchError
from workbench.sealed import shortened
from workbench.training import Record, train
from workbench.units import format_bytes, format_rate, format_seconds, format_share
from workbench.widgets.worker import State

MOST_POINTS = 400  # a chart is hardly wider, and each picture of the state carries them all

Point = list[float | None]


class TrainingCurve:
    """The records of one run, and its curves thinned to what a chart can show.

    start, peak: the peak of its learning rate's schedule at first and now; 0 where it cannot be told, and then not be
    changed. resume_point: the file that keeps its state, if any.
    """

    def __init__(self, name: str, steps: Generator[Any, Any, Any]) -> None:
        self.name, self.steps = name, steps
        self.records: list[Record] = []
        self.start = self.peak = 0.0
        self.resume_point: Path | None = None
        self.device = ""
        self.date = ""
        self.validation: float | None = None
        self._line = Thinned()  # epoch, loss, accuracy
        self._epochs = Thinned(averaged=False)  # epoch, loss, accuracy, the same of validation, rate, seconds
        self._changes: list[Point] = []  # epoch, peak

    def add(self, record: Record) -> bool:
        """Take in a record; whether the peak of the learning rate has changed before it. Raises WorkbenchError."""
        if not isinstance(record, Record):
            raise WorkbenchError(f"{self.name} yields {shortened(repr(record))}, not the Records that train() yields.")
        training = inspect.getgeneratorlocals(found) if (found := training_of(self.steps)) else {}
        peak = training["run"].hyperparameters.learning_rate if "run" in training else self.peak
        changed = bool(self.records) and peak != self.peak
        if not self.records:
            self.start, self.resume_point = peak, training.get("resume_point")
            self.device = find_device(record.device).title
        elif changed:
            self._changes.append([_epochs(self.records[-1]), peak])
        self.peak = peak
        self.records.append(record)
        self.date = date.today().isoformat()
        at, loss, accuracy = _epochs(record), _plain(record.loss), _plain(record.accuracy)
        if record.kind == "step":
            self._line.add([at, loss, accuracy])
        else:
            if record.validation_accuracy is not None:
                self.validation = record.validation_accuracy
            validation = [_plain(record.validation_loss), _plain(record.validation_accuracy)]
            rest = [_plain(record.learning_rate), _plain(record.seconds)]
            self._epochs.add([record.epoch, loss, accuracy, *validation, *rest])
        return changed

    def to_mapping(self) -> dict[str, Any]:
        """What the browser draws, as plain values."""
        return {
            "name": self.name,
            "line": self._line.points(),
            "epochs": self._epochs.points(),
            "every": self._epochs.every,
            "changes": [*self._changes],
            "of": self.records[-1].epochs if self.records else 0,
            "device": f"{self.device}, {self.records[-1].precision}" if self.records else "",
        }


class Thinned:
    """A list of points that never grows beyond `MOST_POINTS`: then two become one, their mean or the later of them."""

    def __init__(self, *, averaged: bool = True) -> None:
        self.every = 1
        self._averaged = averaged
        self._kept: list[Point] = []
        self._waiting: list[Point] = []

    def add(self, point: Point) -> None:
        """Take in the next point."""
        self._waiting.append(point)
        if len(self._waiting) < self.every:
            return
        self._kept.append(self._one(self._waiting))
        self._waiting = []
        if len(self._kept) == MOST_POINTS:
            self._kept = [self._one([*pair]) for pair in zip(self._kept[::2], self._kept[1::2], strict=True)]
            self.every *= 2

    def points(self) -> list[Point]:
        """All of them, the newest included."""
        return [*self._kept, *([self._one(self._waiting)] if self._waiting else [])]

    def _one(self, points: list[Point]) -> Point:
        if not self._averaged or len(points) == 1:
            return points[-1]
        return [points[-1][0], *(_mean(values) for values in list(zip(*points, strict=True))[1:])]


def training_of(steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any] | None:
    """The `train()` that `steps` is, or hands its records on from with `yield from`: what is sent reaches it."""
    found: Any = steps
    while found is not None and getattr(found, "gi_code", None) is not train.__code__:
        found = getattr(found, "gi_yieldfrom", None)
    return found


def checked_steps(name: Any, steps: Any, all_steps: Iterable[Any]) -> None:
    """Raise WorkbenchError where `steps` cannot be run under this name, or is there twice."""
    if not isinstance(name, str) or not name.strip():
        raise WorkbenchError(f"A run is named by a text, not {shortened(repr(name))}.")
    if not inspect.isgenerator(steps):
        given = shortened(repr(steps))
        raise WorkbenchError(f"{name} is {given}: give what train(...) returns, a generator of records.")
    if inspect.getgeneratorstate(steps) == inspect.GEN_CLOSED:
        raise WorkbenchError(f"{name} has ended already: call train(...) anew for another run.")
    if inspect.getgeneratorstate(steps) == inspect.GEN_RUNNING or sum(each is steps for each in all_steps) > 1:
        raise WorkbenchError(f"{name} is a training that another run has taken: call train(...) for each of them.")


def figures(records: list[Record], peak: float, ended: bool) -> list[list[str]]:
    """The current numbers as people read them: what, how much, and what to know about it."""
    if not records:
        return []
    last = records[-1]
    found = next((record for record in reversed(records) if record.validation_accuracy is not None), None)
    since = f"mean of epoch {last.epoch}" if last.kind == "epoch" else "since the last record"
    rows = [["Training accuracy", format_share(last.accuracy), f"loss {last.loss:.3g}, {since}"]]
    if found is None or found.validation_accuracy is None or found.validation_loss is None:
        rows.append(["Validation accuracy", "–", "comes after an epoch"])
    else:
        note = f"loss {found.validation_loss:.3g}, after epoch {found.epoch}"
        rows.append(["Validation accuracy", format_share(found.validation_accuracy), note])
    rows.append(["Learning rate", f"{last.learning_rate:.3g}", f"peak {peak:.3g}" if peak else "of the last step"])
    rows.append(["Pictures per second", format_rate(last.pictures_per_second), "in training"])
    kind = "of this process" if last.device == "cpu" else "peak on the GPU"
    rows.append(["Memory", format_bytes(last.memory_bytes), kind])
    if ended:
        rows.append(["Time", format_seconds(last.seconds), "training and validation"])
    else:
        rows.append(["Time left", format_seconds(_left(last)), "at the pace so far"])
    return rows


def origin(run: TrainingCurve, *, here: bool) -> str:
    """Where the figures were measured: told on this machine, or on a page that may be read anywhere."""
    if not run.records:
        return ""
    when = "here, now," if here else f"{run.date},"
    return f"Measured {when} on {run.device}, in {run.records[-1].precision}."


def place(records: list[Record]) -> str:
    """How far a run has come."""
    if not records:
        return ""
    last = records[-1]
    return f"step {last.step:,} of {last.steps:,}, epoch {last.epoch:,} of {last.epochs:,}"


def advice(run: TrainingCurve) -> str:
    """What the controls do to this run."""
    if not run.records:
        return ""
    stop = "Stop keeps the network as it is by then"
    stop += ", and a resume point to go on from." if run.resume_point is not None else "; there is no resume point."
    return stop if run.start else f"{stop} The learning rate of this run cannot be changed from here."


def sentence(run: TrainingCurve, state: State, error: str) -> str:
    """How it stands with a run."""
    last = run.records[-1] if run.records else None
    place = f"step {last.step:,} of {last.steps:,}" if last else "its first record"
    at = f"at {place}" if last else f"before {place}"
    if state == "failed":
        return f"{run.name} failed {at}: {error}"
    if state == "stopped":
        kept = " A resume point is kept." if last and run.resume_point is not None else ""
        return f"{run.name} was stopped by you {at}.{kept}"
    if last is None:
        waits = {"paused": "is paused before its first step", "finished": "ended without a record"}
        return f"{run.name} {waits.get(state, 'is getting ready' if state == 'running' else 'waits for its turn')}."
    share, kind = (last.accuracy, "training") if run.validation is None else (run.validation, "validation")
    right = f"{format_share(share)} of the {kind} pictures right"
    if state == "finished":
        return f"{run.name} is finished: {right} after {_counted(last.epochs)}, in {format_seconds(last.seconds)}."
    if state == "paused":
        return f"{run.name} is paused at {place}: {right}."
    return f"{run.name}: epoch {last.epoch} of {last.epochs}, {right}; {format_seconds(_left(last))} left."


def _counted(epochs: int) -> str:
    return f"{epochs:,} epoch{'s' if epochs != 1 else ''}"


def _left(record: Record) -> float:
    return record.seconds / record.step * (record.steps - record.step)


def _epochs(record: Record) -> float:
    return round(record.step / record.steps * record.epochs, 4)


def _plain(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.4g}")


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _plain(sum(known) / len(known)) if known else None
