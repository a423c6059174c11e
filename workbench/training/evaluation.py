"""Predict and evaluate: accuracy, loss, confusion matrix, per-class report, and the most confident mistakes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from workbench.bundle.preprocessing import Preprocessing
from workbench.data.datasets import Split
from workbench.errors import WorkbenchError
from workbench.training.models import ImageClassifier

BATCH_SIZE = 512


@torch.inference_mode()
def predict(model: nn.Module, split: Split, preprocessing: Preprocessing, device: torch.device | str = "cpu") -> Tensor:
    """Return the probabilities of every class for every image of `split`, float32 (N, classes), on the CPU.

    The model is moved to `device`, runs in evaluation mode, and is left in the mode it was in.

    >>> data = wb.load_dataset("digits")
    >>> wb.predict(wb.build_model("mlp", shape=data.shape), data.test, data.preprocessing).shape
    torch.Size([300, 10])
    """
    was_training = model.training
    classifier = ImageClassifier(model, preprocessing).to(device).eval()
    try:
        batches = [classifier(images.to(device)).cpu() for images in split.images.split(BATCH_SIZE)]
    finally:
        model.train(was_training)
    return torch.cat(batches) if batches else torch.empty(0, 0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """The result of a network on one split.

    probabilities: float32 (N, K). truth: int64 (N,). confusion: int64 (K, K), rows are the truth, columns the
    predictions. loss: mean cross-entropy in nats.

    >>> import torch
    >>> result = wb.evaluate(torch.tensor([[0.9, 0.1], [0.6, 0.4]]), torch.tensor([0, 1]), ("cat", "dog"))
    >>> result.accuracy, result.confusions()
    (0.5, [('dog', 'cat', 1)])
    """

    labels: tuple[str, ...]
    probabilities: Tensor
    truth: Tensor
    confusion: Tensor
    loss: float

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.truth)

    @property
    def predictions(self) -> Tensor:
        """The most probable class of each image, int64 (N,)."""
        return self.probabilities.argmax(dim=1)

    @property
    def accuracy(self) -> float:
        """Share of correct predictions, 0 to 1."""
        return float(self.confusion.diagonal().sum()) / self.count

    @property
    def margin(self) -> float:
        """Half the width of the 95 % Wilson score interval of the accuracy (Wilson 1927)."""
        z, n, share = 1.96, self.count, self.accuracy
        return z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5

    def per_class(self) -> list[dict[str, Any]]:
        """Return label, `count`, `precision` and `recall` of each class; None where the denominator is zero."""
        correct = self.confusion.diagonal()
        rows, columns = self.confusion.sum(dim=1), self.confusion.sum(dim=0)
        return [
            {
                "label": label,
                "count": int(rows[k]),
                "precision": float(correct[k] / columns[k]) if columns[k] else None,
                "recall": float(correct[k] / rows[k]) if rows[k] else None,
            }
            for k, label in enumerate(self.labels)
        ]

    def most_confidently_wrong(self, count: int) -> list[int]:
        """Return the indices of up to `count` wrong predictions, the most confident first."""
        confidence = self.probabilities.max(dim=1).values
        wrong = (self.predictions != self.truth).nonzero().flatten()
        order = confidence[wrong].argsort(descending=True, stable=True)
        return [int(index) for index in wrong[order][:count]]

    def confusions(self, count: int = 5) -> list[tuple[str, str, int]]:
        """Return the most frequent mistakes as (true label, predicted label, number of images), most frequent first."""
        pairs = [
            (self.labels[i], self.labels[j], int(self.confusion[i, j]))
            for i in range(len(self.labels))
            for j in range(len(self.labels))
            if i != j and self.confusion[i, j]
        ]
        return sorted(pairs, key=lambda pair: -pair[2])[:count]

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values for JSON: accuracy, 95 % margin, loss, count, per-class report and confusion matrix."""
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
    """Compare probabilities, float (N, K), with the true classes, int64 (N,).

    Raises WorkbenchError where the shapes do not fit each other or there are no images.

    >>> import torch
    >>> wb.evaluate(torch.tensor([[0.9, 0.1], [0.2, 0.8]]), torch.tensor([0, 1]), ("cat", "dog")).accuracy
    1.0
    """
    if probabilities.ndim != 2 or probabilities.shape != (len(truth), len(labels)):
        raise WorkbenchError(
            f"Probabilities of shape {tuple(probabilities.shape)} do not fit {len(truth)} images "
            f"and {len(labels)} labels."
        )
    if len(truth) == 0:
        raise WorkbenchError("There are no images to evaluate on: this split is empty.")
    k = len(labels)
    predictions = probabilities.argmax(dim=1)
    confusion = torch.bincount(truth * k + predictions, minlength=k * k).reshape(k, k)
    # In float64, and clear of log(0): 1e-45 is the smallest positive float32.
    chosen = probabilities.double()[torch.arange(len(truth)), truth].clamp_min(1e-45)
    return Evaluation(
        labels=labels, probabilities=probabilities, truth=truth, confusion=confusion, loss=float(-chosen.log().mean())
    )
