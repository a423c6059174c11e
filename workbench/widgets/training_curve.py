"""The records of one run in `TrainingDashboard`, and the points of its curves."""

from __future__ import annotations

import inspect
import math
from collections.abc import Generator, Iterable
from datetime import date
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.machine.devices import find_device
from workbench.training.loop import train
from workbench.training.records import Record
from workbench.wording import shorten

MAX_POINTS = 400  # a chart is hardly wider, and every update carries them all

Point = list[float | None]


class TrainingCurve:
    """The records of one run, and its curves, thinned to what a chart can show.

    start, peak: the peak of the learning-rate schedule, initially and now; 0 if unknown, and then it cannot be changed.
    resume_point: the file with the state of the run, if any.
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
        """Add a record; return whether the peak learning rate changed before it. Raise WorkbenchError for others."""
        if not isinstance(record, Record):
            raise WorkbenchError(f"{self.name} yields {shorten(repr(record))}, not the Records that train() yields.")
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
        """Return what the browser draws, as plain values."""
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
    """A list of fewer than MAX_POINTS points: beyond that, neighbours are merged into their mean, or the later one."""

    def __init__(self, *, averaged: bool = True) -> None:
        self.every = 1
        self._averaged = averaged
        self._kept: list[Point] = []
        self._waiting: list[Point] = []

    def add(self, point: Point) -> None:
        """Add the next point."""
        self._waiting.append(point)
        if len(self._waiting) < self.every:
            return
        self._kept.append(self._merge(self._waiting))
        self._waiting = []
        if len(self._kept) == MAX_POINTS:
            self._kept = [self._merge([*pair]) for pair in zip(self._kept[::2], self._kept[1::2], strict=True)]
            self.every *= 2

    def points(self) -> list[Point]:
        """Return all points, including the latest."""
        return [*self._kept, *([self._merge(self._waiting)] if self._waiting else [])]

    def _merge(self, points: list[Point]) -> Point:
        if not self._averaged or len(points) == 1:
            return points[-1]
        return [points[-1][0], *(_mean(values) for values in list(zip(*points, strict=True))[1:])]


def training_of(steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any] | None:
    """Return the `train()` that `steps` is, or delegates to with `yield from`; None if there is none."""
    found: Any = steps
    while found is not None and getattr(found, "gi_code", None) is not train.__code__:
        found = getattr(found, "gi_yieldfrom", None)
    return found


def check_steps(name: Any, steps: Any, all_steps: Iterable[Any]) -> None:
    """Raise WorkbenchError if `steps` cannot be run under this name, or occurs twice."""
    if not isinstance(name, str) or not name.strip():
        raise WorkbenchError(f"The name of a run must be a non-empty string, not {shorten(repr(name))}.")
    if not inspect.isgenerator(steps):
        given = shorten(repr(steps))
        raise WorkbenchError(f"{name} is {given}: give what train(...) returns, a generator of records.")
    if inspect.getgeneratorstate(steps) == inspect.GEN_CLOSED:
        raise WorkbenchError(f"{name} has ended already: call train(...) anew for another run.")
    if inspect.getgeneratorstate(steps) == inspect.GEN_RUNNING or sum(each is steps for each in all_steps) > 1:
        raise WorkbenchError(f"{name} is a training that another run has taken: call train(...) for each of them.")


def _epochs(record: Record) -> float:
    return round(record.step / record.steps * record.epochs, 4)


def _plain(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.4g}")


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return _plain(sum(known) / len(known)) if known else None
