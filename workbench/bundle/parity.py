"""Compare the probabilities of two engines on the same images, and decide whether they agree."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import WorkbenchError

FP32_DIFFERENCE = 1e-4  # largest difference in a probability that reordered fp32 arithmetic may cause
CLEAR_MARGIN = 2 * FP32_DIFFERENCE  # top two classes further apart than this cannot swap within FP32_DIFFERENCE
INT8_AGREEMENT = 0.99
INT8_ACCURACY_LOSS = 0.005


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How closely an engine matches the reference (eager fp32) on the same images.

    largest_difference: of any probability, 0 to 1 (infinite if one is not a number). agreement: share of images with
    the same answer. clear_changes: images whose answer changed although the reference's top two differ by more than
    CLEAR_MARGIN. accuracy, reference_accuracy: share of correct answers of each.

    >>> reference = np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32)
    >>> parity = compare(reference, reference[:, ::-1], np.array([0, 1]))
    >>> parity.agreement, parity.clear_changes, parity.reference_accuracy
    (0.0, 2, 1.0)
    """

    images: int
    largest_difference: float
    agreement: float
    clear_changes: int
    accuracy: float
    reference_accuracy: float

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values for a manifest; an infinite difference, which JSON cannot represent, becomes None."""
        return asdict(self) | ({} if np.isfinite(self.largest_difference) else {"largest_difference": None})

    def fp32_failure(self) -> str | None:
        """Return why this is not a faithful fp32 engine, as a clause, or None if it is."""
        if not self.largest_difference <= FP32_DIFFERENCE:
            return f"its probabilities differ by up to {self.largest_difference:.2g}, beyond {FP32_DIFFERENCE:.0e}"
        if self.clear_changes:
            return (
                f"its answer changes on {self.clear_changes:,} of {self.images:,} images whose top two classes differ "
                f"by more than {CLEAR_MARGIN:.0e}"
            )
        return None

    def int8_failure(self) -> str | None:
        """Return why this int8 engine is not worth its smaller size, as a clause, or None if it is."""
        if not np.isfinite(self.largest_difference):
            return "some of its probabilities are not numbers"
        if self.agreement < INT8_AGREEMENT:
            return f"it gives the same answer on {self.agreement:.2%} of the images, below {INT8_AGREEMENT:.0%}"
        lost = self.reference_accuracy - self.accuracy
        if lost > INT8_ACCURACY_LOSS:
            return f"it loses {100 * lost:.2f} percentage points of accuracy, more than {100 * INT8_ACCURACY_LOSS}"
        return None


def compare(reference: NDArray[np.float32], answers: NDArray[np.float32], truth: NDArray[np.int64]) -> Parity:
    """Return the parity of `answers` with `reference`, both probabilities (N, K), for images of classes `truth` (N,).

    Raises WorkbenchError if the shapes do not match or there are no images.
    """
    if reference.ndim != 2 or reference.shape != answers.shape or truth.shape != reference.shape[:1] or not len(truth):
        raise WorkbenchError(
            f"Parity needs two equal, non-empty sets of probabilities and their truth, not shapes {reference.shape}, "
            f"{answers.shape} and {truth.shape}."
        )
    difference = np.abs(reference.astype(np.float64) - answers.astype(np.float64))
    changed = reference.argmax(axis=1) != answers.argmax(axis=1)
    return Parity(
        images=len(truth),
        largest_difference=float(difference.max()) if np.isfinite(difference).all() else float("inf"),
        agreement=float((~changed).mean()),
        clear_changes=int((changed & (_margins(reference) > CLEAR_MARGIN)).sum()),
        accuracy=float((answers.argmax(axis=1) == truth).mean()),
        reference_accuracy=float((reference.argmax(axis=1) == truth).mean()),
    )


def _margins(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the lead of the best class over the second, (N,); infinite if there is only one class."""
    if probabilities.shape[1] == 1:
        return np.full(len(probabilities), np.inf)
    best = np.partition(probabilities.astype(np.float64), -2, axis=1)
    return np.asarray(best[:, -1] - best[:, -2])
