"""The resume point of a training run: when it is written, and which run may continue from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from workbench import arguments
from workbench.data.datasets import Data
from workbench.hyperparameters import HyperParameters
from workbench.machine.devices import Device
from workbench.machine.processor import usable_cores
from workbench.training.checkpoint import load_resume_point, save_resume_point
from workbench.training.records import Record, TrainingError


class ResumePoint:
    """The file that holds the whole state of a run; with `path` None, nothing is kept.

    Raises TrainingError where `path` is a folder.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = None if path is None else arguments.path("resume_point", path)
        if self.path is not None and self.path.is_dir():
            raise TrainingError(f"resume_point = {path} is a folder: name a file, such as {path}/resume.pt.")
        self.saved_step = -1
        self._saved_at = time.monotonic()

    def save(self, step: int, state: Callable[[], Mapping[str, Any]], *, min_age: float = 0.0) -> None:
        """Write `state()`, unless the file already holds this step or is younger than `min_age` seconds."""
        young = time.monotonic() - self._saved_at < min_age
        if self.path is None or self.saved_step == step or young:
            return
        save_resume_point(self.path, state())
        self.saved_step, self._saved_at = step, time.monotonic()

    def load(self) -> dict[str, Any]:
        """Return the state last saved. Raises TrainingError without a path, WeightsError for an unusable file."""
        if self.path is None:
            raise TrainingError("To resume, name the resume point: resume_point=PATH.")
        return load_resume_point(self.path)

    def check_same_run(self, state: Mapping[str, Any], hyperparameters: HyperParameters, data: Data) -> None:
        """Raise TrainingError where `state` was saved by a run with other hyper-parameters or other images."""
        before = state["hyperparameters"]
        for name, value in asdict(hyperparameters).items():
            if before.get(name) != value:
                raise TrainingError(
                    f"{self.path} was begun with {name} = {before.get(name)!r}, not {value!r}. Resume with the same "
                    "hyper-parameters, or start a new run from its weights."
                )
        if state["data"] != data.fingerprint:
            raise TrainingError(
                f"{self.path} was begun on other images than this {data.name}. Resume with the same data."
            )

    def check_same_arithmetic(self, state: Mapping[str, Any], device: Device) -> None:
        """Raise TrainingError where the weights would not end bit-identical to those of an uninterrupted run.

        On a CPU sums depend on the number of threads, which is set to that of the run.
        """
        if state["device"] != device.kind:
            raise TrainingError(
                f"{self.path} was begun on {state['device']}, not {device.kind}: the weights would not end the "
                f"same. Use device={state['device']!r}, or exact=False (--inexact) to go on all the same."
            )
        if device.kind != "cpu":
            return
        if state["threads"] > usable_cores():
            raise TrainingError(
                f"{self.path} was begun with {state['threads']} threads and this machine has {usable_cores()} cores: "
                "the weights would not end the same. Use exact=False (--inexact) to go on all the same."
            )
        torch.set_num_threads(state["threads"])


def history(path: Path) -> list[Record]:
    """Return the records of a run so far, as kept in its resume point. Raises WeightsError for an unusable file."""
    return [Record(**record) for record in load_resume_point(path)["history"]]
