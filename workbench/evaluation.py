"""How good the answers are: accuracy, loss, confusion matrix, per-class report, and the worst mistakes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from workbench.data import Split
from workbench.errors import WorkbenchError
from workbench.models import Classifier
from workbench.preprocessing import Preprocessing

BATCH_SIZE = 512


@torch.inference_mode()
def predict(model: nn.Module, split: Split, preprocessing: Preprocessing, device: torch.device | str = "cpu") -> Tensor:
    """Probabilities, float32 (N, classes) on the CPU, of `model` (on `device`, in fp32) for every picture of `split`.

    The model is left in the mode (training or evaluation) it was in.
    """
    was_training = model.training
    classifier = Classifier(model, preprocessing).to(device).eval()
    try:
        batches = [classifier(pictures.to(device)).cpu() for pictures in split.pictures.split(BATCH_SIZE)]
    finally:
        model.train(was_training)
    return torch.cat(batches) if batches else torch.empty(0, 0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """What a network got right and wrong on one split.

    probabilities: float32 (N, K). truth: int64 (N,). confusion: int64 (K, K), row = truth, column = answer.
    loss: mean cross-entropy in nats.
    """

    labels: tuple[str, ...]
    probabilities: Tensor
    truth: Tensor
    confusion: Tensor
    loss: float

    @property
    def count(self) -> int:
        """Number of pictures."""
        return len(self.truth)

    @property
    def answers(self) -> Tensor:
        """The most probable class of each picture, int64 (N,)."""
        return self.probabilities.argmax(dim=1)

    @property
    def accuracy(self) -> float:
        """Share of right answers, 0 to 1."""
        return float(self.confusion.diagonal().sum()) / self.count

    @property
    def margin(self) -> float:
        """Half the width of the 95 % Wilson interval of the accuracy: what chance alone can change (Wilson 1927)."""
        z, n, share = 1.96, self.count, self.accuracy
        return z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5

    def per_class(self) -> list[dict[str, Any]]:
        """For each class its label, `count`, `precision` and `recall` (None where nothing was there to divide by)."""
        right = self.confusion.diagonal()
        rows, columns = self.confusion.sum(dim=1), self.confusion.sum(dim=0)
        return [
            {
                "label": label,
                "count": int(rows[k]),
                "precision": float(right[k] / columns[k]) if columns[k] else None,
                "recall": float(right[k] / rows[k]) if rows[k] else None,
            }
            for k, label in enumerate(self.labels)
        ]

    def most_confidently_wrong(self, count: int) -> list[int]:
        """Indices of up to `count` wrong answers, the most confident first."""
        confidence = self.probabilities.max(dim=1).values
        wrong = (self.answers != self.truth).nonzero().flatten()
        order = confidence[wrong].argsort(descending=True, stable=True)
        return [int(index) for index in wrong[order][:count]]

    def confusions(self, count: int = 5) -> list[tuple[str, str, int]]:
        """The most frequent mistakes as (truth, answer, how often), most frequent first."""
        pairs = [
            (self.labels[i], self.labels[j], int(self.confusion[i, j]))
            for i in range(len(self.labels))
            for j in range(len(self.labels))
            if i != j and self.confusion[i, j]
        ]
        return sorted(pairs, key=lambda pair: -pair[2])[:count]

    def to_mapping(self) -> dict[str, Any]:
        """Plain values for JSON: accuracy, its 95 % margin, loss, count, per-class report and confusion matrix."""
        return {
            "accuracy": self.accuracy,
            "margin": self.margin,
            "loss": self.loss,
            "count": self.count,
            "per_class": self.per_class(),
            "labels": list(self.labels),
            "confusion": self.confusion.tolist(),
        }


def evaluate(probabilities: Tensor, truth: Tensor, labels: tuple[str, ...]) -> Evaluation:
    """Compare probabilities, float (N, K), with the truth, int64 (N,).

    Raises WorkbenchError where the shapes do not fit each other or there is nothing to compare.
    """
    if probabilities.ndim != 2 or probabilities.shape != (len(truth), len(labels)):
        raise WorkbenchError(
            f"Probabilities of shape {tuple(probabilities.shape)} do not fit {len(truth)} pictures "
            f"and {len(labels)} labels."
        )
    if len(truth) == 0:
        raise WorkbenchError("There are no pictures to evaluate on: this split is empty.")
    k = len(labels)
    answers = probabilities.argmax(dim=1)
    confusion = torch.bincount(truth * k + answers, minlength=k * k).reshape(k, k)
    # In float64, and away from log(0): a probability of 0 in float32 is at least not below 1e-45.
    chosen = probabilities.double()[torch.arange(len(truth)), truth].clamp_min(1e-45)
    return Evaluation(
        labels=labels, probabilities=probabilities, truth=truth, confusion=confusion, loss=float(-chosen.log().mean())
    )
