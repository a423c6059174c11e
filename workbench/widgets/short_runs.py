"""Short training runs on the same few images: their records, a table row each, and how they ended."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

from workbench.data.datasets import Data, Split
from workbench.data.splits import stratified
from workbench.hyperparameters import HyperParameters
from workbench.training.loop import train
from workbench.training.models import build_model
from workbench.training.records import Record
from workbench.units import format_seconds, format_share
from workbench.widgets.hyperparameter_controls import format_value
from workbench.widgets.worker import Job


class ShortRuns:
    """Runs on a subset of `data`, one after the other.

    max_images: of the splits "train" and "validation". recommended: a run is named by how it differs from these.
    show: receives what changed: `table`, a row for each run; `progress`; `outcome`, a sentence. rows: the table.
    records: of each run, by name.
    """

    def __init__(
        self,
        data: Data,
        max_images: Mapping[str, int],
        recommended: HyperParameters,
        device: str,
        show: Callable[..., object],
    ) -> None:
        self._data, self._max_images, self._recommended = data, max_images, recommended
        self._device, self._show = device, show
        self.rows: list[dict[str, Any]] = []
        self.records: dict[str, list[Record]] = {}

    def images_text(self) -> str:
        """Describe the images that every run uses."""
        parts = []
        for split, what in ((self._data.train, "training"), (self._data.validation, "validation")):
            taken, of = min(len(split), self._max_images[split.name]), len(split)
            few = f"{taken:,} of {of:,}" if taken < of else f"all {taken:,}"
            parts.append(f"{few} {what} images")
        return f"{parts[0]}, judged on {parts[1]}; the same for every run"

    def start(self, plan: HyperParameters, epochs: int) -> Job | None:
        """Train with `plan` for at most `epochs`, and return the job; None, after showing why, if nothing can run."""
        if not (len(self._data.train) and len(self._data.validation)):
            outcome = f"{self._data.name} lacks images to learn from or to be judged on: nothing can be run."
            self._show(outcome=outcome)
            return None
        name, chosen = self._free_name(plan), plan.replace(epochs=min(plan.epochs, epochs))
        row = {"name": name, "state": "running", "outcome": "running", "accuracy": "", "seconds": "", "curve": []}
        self.rows = [*self.rows, row | {"epochs": chosen.epochs}]
        self.records[name] = []
        self._show(table=self.rows, progress={"share": 0, "text": "getting ready …"}, outcome="")
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
        text = f"step {record.step:,} of {record.steps:,}, about {left} left"
        self._show(progress={"share": record.step / record.steps, "text": text}, table=self.rows)

    def _end(self, name: str, job: Job) -> None:
        records = self.records[name]
        accuracy = next((r.validation_accuracy for r in reversed(records) if r.validation_accuracy is not None), None)
        share = "" if accuracy is None else format_share(accuracy)
        seconds = format_seconds(records[-1].seconds) if records else ""
        machine = f", {records[-1].device}, {records[-1].precision}" if records else ""
        text = f"failed: {job.error}" if job.state == "failed" else f"{job.state} (measured here, now{machine})"
        self._write(name, state=job.state, outcome=text, accuracy=share, seconds=seconds)
        outcome = f"{name}: {text.rstrip('.')}."
        if job.state == "finished" and share:
            result = f"{share} of the validation images classified correctly after {seconds}"
            outcome = f"{name}: {result}{self._comparison(name)}"
        self._show(table=self.rows, progress={}, outcome=outcome)

    def _comparison(self, name: str) -> str:
        """Compare a finished run with the best one before it."""
        finished = [row for row in self.rows if row["state"] == "finished" and row["curve"]]
        reached = {row["name"]: row["curve"][-1][1] for row in finished}
        mine = reached.pop(name)
        if not reached:
            return " (measured here, now)."
        best = max(reached, key=lambda other: reached[other])
        points = f"{100 * (mine - reached[best]):+.1f} points against {best}"
        return f", {points} (measured here, now). One run of each cannot rule out chance."

    def _free_name(self, plan: HyperParameters) -> str:
        base, chosen = asdict(self._recommended), asdict(plan)
        changes = [format_value(field, chosen[field]) for field in chosen if chosen[field] != base[field]]
        name = ", ".join(changes) or "as recommended"
        number = 1 + sum(row["name"] == name or row["name"].startswith(f"{name} (") for row in self.rows)
        return name if number == 1 else f"{name} ({number})"

    def _write(self, name: str, **values: Any) -> None:
        self.rows = [row | values if row["name"] == name else row for row in self.rows]

    def _train(self, chosen: HyperParameters) -> Generator[Record, Any, None]:
        data = self._small_data
        shape, classes = data.shape, len(data.labels)
        model = build_model(chosen.model, classes=classes, shape=shape, width=chosen.width, seed=chosen.seed)
        yield from train(model, data, chosen, device=self._device, record_every=5)

    @cached_property
    def _small_data(self) -> Data:
        splits = self._data.train, self._data.validation
        few, judges = (_subset(split, self._max_images[split.name]) for split in splits)
        return replace(self._data, train=few, validation=judges)


def _subset(split: Split, count: int) -> Split:
    """Return at most `count` images, stratified by class."""
    if len(split) <= count:
        return split
    return split.subset(stratified(split.labels.numpy(), [count], seed=0)[0].tolist())


def _curve(records: Iterable[Record]) -> list[list[float]]:
    """Return epoch, validation accuracy and loss of each epoch whose loss is finite."""
    return [
        [record.epoch, record.validation_accuracy, record.validation_loss]
        for record in records
        if record.validation_accuracy is not None
        and record.validation_loss is not None
        and math.isfinite(record.validation_loss)
    ]
