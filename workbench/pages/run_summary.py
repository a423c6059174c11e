"""`RunSummary`: everything that the report of a run shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from workbench.bundle.parity import Parity
from workbench.hyperparameters import HyperParameters
from workbench.measuring.measurement import Measurement
from workbench.training.evaluation import Evaluation
from workbench.training.records import Record


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """A step of the workflow: its name ("training"), its measured seconds, its device, and a detail in words."""

    name: str
    seconds: float
    device: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class ParityRow:
    """An engine's parity with the trained network.

    parity: None if the engine could not be built or run. left_out: why it is not in the bundle, None if it is.
    """

    engine: str
    parity: Parity | None
    left_out: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class RunSummary:
    """The results of a run, all measured in it.

    data: name of the data set. images: count by split ("training", …). model: its name. parameters: learned values.
    device: what trained, in words. steps: in order, one of them named "training". records: of training. test,
    test_images: the evaluation and its images, uint8 (N, H, W, C), array or tensor; new, new_images likewise, None
    without new images. sizes: bytes of each file of the run, by name. latencies: of the engines, on `machine`, in
    words. notes: sentences from loading the data. versions: of software. created: end of the run.
    """

    data: str
    images: Mapping[str, int]
    model: str
    parameters: int
    device: str
    hyperparameters: HyperParameters
    steps: Sequence[StepTime]
    records: Sequence[Record]
    test: Evaluation
    test_images: Any
    new: Evaluation | None = None
    new_images: Any = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    latencies: Sequence[Measurement] = ()
    parity: Sequence[ParityRow] = ()
    notes: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: str
    created: datetime

    @property
    def created_text(self) -> str:
        """The end of the run in words: "14 March 2026, 09:26"."""
        return f"{self.created.day} {self.created:%B %Y, %H:%M}"
