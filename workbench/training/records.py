"""What training reports: a record of progress, and the error that stops it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from workbench.errors import WorkbenchError


@dataclass(frozen=True, kw_only=True)
class Record:
    """Progress of a training run. Losses are mean cross-entropies in nats, accuracies shares from 0 to 1.

    loss, accuracy: over the training images since the last record (kind "step") or over the epoch (kind "epoch"), as
    augmented and while the network was still changing. validation_loss, validation_accuracy: after the epoch; None on
    step records. seconds: spent on training and validation, summed over resumed sessions. images_per_second: training
    alone, since the last record. memory_bytes: the GPU allocator's peak, or the resident memory of the process.

    >>> data = wb.load_dataset("digits")
    >>> model, plan = wb.build_model("linear", shape=data.shape), wb.HyperParameters(epochs=2, precision="fp32")
    >>> [(record.kind, record.epoch, record.step) for record in wb.train(model, data, plan, device="cpu")]
    [('epoch', 1, 10), ('epoch', 2, 20)]
    """

    kind: Literal["step", "epoch"]
    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float
    seconds: float
    images_per_second: float
    memory_bytes: int
    device: str
    precision: str


class TrainingError(WorkbenchError):
    """Training cannot start, cannot continue from a resume point, or has diverged."""
