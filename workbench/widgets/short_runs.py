"""Short trainings on the same few pictures, side by side: their records, a row of a table each, and how they ended."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

from workbench.data import Data, Split
from workbench.hyperparameters import HyperParameters
from workbench.models import build_model
from workbench.splits import stratified
from workbench.training import Record, train
from workbench.units import format_seconds, format_share
from workbench.widgets.hyperparameter_controls import told_value
from workbench.widgets.worker import Job


class ShortRuns:
    """most: how many pictures of the splits "train" and "validation" a run learns from and is judged on.

    usual: the hyper-parameters that a run is named by its differences from. tell: is given what a page shows, as far
    as it changed: its `table`, a row for each run; `progress`; `outcome`, a sentence. rows: that table, each run's
    replaced as it goes on. records: of each run, by name.
    """

    def __init__(
        self,
        data: Data,
        most: Mapping[str, int],
        usual: HyperParameters,
        device: str,
        tell: Callable[..., object],
    ) -> None:
        self._data, self._most, self._usual, self._device, self._tell = data, most, usual, device, tell
        self.rows: list[dict[str, Any]] = []
        self.records: dict[str, list[Record]] = {}

    def told_pictures(self) -> str:
        """Which pictures every run gets."""
        parts = []
        for split, what in ((self._data.train, "training"), (self._data.validation, "validation")):
            taken, of = min(len(split), self._most[split.name]), len(split)
            few = f"{taken:,} of {of:,}" if taken < of else f"all {taken:,}"
            parts.append(f"{few} {what} pictures")
        return f"{parts[0]}, judged on {parts[1]}; the same for every run"

    def start(self, plan: HyperParameters, epochs: int) -> Job | None:
        """Train by `plan`, for so many epochs at most; None, and told why, where nothing can be run."""
        if not (len(self._data.train) and len(self._data.validation)):
            lacking = f"{self._data.name} lacks pictures to learn from or to be judged on: nothing can be run."
            self._tell(outcome=lacking)
            return None
        name, chosen = self._free_name(plan), plan.replace(epochs=min(plan.epochs, epochs))
        row = {"name": name, "state": "running", "told": "running", "accuracy": "", "seconds": "", "curve": []}
        self.rows = [*self.rows, row | {"epochs": chosen.epochs}]
        self.records[name] = []
        self._tell(table=self.rows, progress={"share": 0, "told": "getting ready …"}, outcome="")
        return Job(
            self._train(chosen),
            on_step=lambda record: self._note(name, record),
            on_change=lambda job: self._end(name, job) if job.ended else None,
        ).start()

    def _note(self, name: str, record: Record) -> None:
        self.records[name].append(record)
        if record.kind == "epoch":
            self._write(name, curve=_curve(self.records[name]))
        left = format_seconds(record.seconds * (record.steps / record.step - 1))
        told = f"step {record.step:,} of {record.steps:,}, about {left} left"
        self._tell(progress={"share": record.step / record.steps, "told": told}, table=self.rows)

    def _end(self, name: str, job: Job) -> None:
        records = self.records[name]
        accuracy = next((r.validation_accuracy for r in reversed(records) if r.validation_accuracy is not None), None)
        share = "" if accuracy is None else format_share(accuracy)
        seconds = format_seconds(records[-1].seconds) if records else ""
        machine = f", {records[-1].device}, {records[-1].precision}" if records else ""
        told = f"failed: {job.error}" if job.state == "failed" else f"{job.state} (measured here, now{machine})"
        self._write(name, state=job.state, told=told, accuracy=share, seconds=seconds)
        outcome = f"{name}: {told.rstrip('.')}."
        if job.state == "finished" and share:
            outcome = f"{name}: {share} of the validation pictures named rightly after {seconds}{self._beside(name)}"
        self._tell(table=self.rows, progress={}, outcome=outcome)

    def _beside(self, name: str) -> str:
        """How a finished run compares with the best one before it."""
        finished = [row for row in self.rows if row["state"] == "finished" and row["curve"]]
        reached = {row["name"]: row["curve"][-1][1] for row in finished}
        mine = reached.pop(name)
        if not reached:
            return " (measured here, now)."
        best = max(reached, key=lambda other: reached[other])
        points = f"{100 * (mine - reached[best]):+.1f} points against {best}"
        return f", {points} (measured here, now). One run of each does not tell that from luck."

    def _free_name(self, plan: HyperParameters) -> str:
        usual, chosen = asdict(self._usual), asdict(plan)
        changes = [told_value(field, chosen[field]) for field in chosen if chosen[field] != usual[field]]
        name = ", ".join(changes) or "as recommended"
        number = 1 + sum(row["name"] == name or row["name"].startswith(f"{name} (") for row in self.rows)
        return name if number == 1 else f"{name} ({number})"

    def _write(self, name: str, **values: Any) -> None:
        self.rows = [row | values if row["name"] == name else row for row in self.rows]

    def _train(self, chosen: HyperParameters) -> Generator[Record, Any, None]:
        data = self._few
        shape, classes = data.shape, len(data.labels)
        model = build_model(chosen.model, classes=classes, shape=shape, width=chosen.width, seed=chosen.seed)
        yield from train(model, data, chosen, device=self._device, record_every=5)

    @cached_property
    def _few(self) -> Data:
        data, most = self._data, self._most
        train_few, validation_few = _some(data.train, most["train"]), _some(data.validation, most["validation"])
        return replace(data, train=train_few, validation=validation_few)


def _some(split: Split, most: int) -> Split:
    """At most so many pictures, each class with its share."""
    if len(split) <= most:
        return split
    return split.subset(stratified(split.labels.numpy(), [most], seed=0)[0].tolist())


def _curve(records: Iterable[Record]) -> list[list[float]]:
    """Epoch, validation accuracy and loss; a loss that is no number ends a run, and is no point."""
    return [
        [record.epoch, record.validation_accuracy, record.validation_loss]
        for record in records
        if record.validation_accuracy is not None
        and record.validation_loss is not None
        and math.isfinite(record.validation_loss)
    ]
