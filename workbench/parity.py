"""Does one engine answer as another does? Compares two sets of probabilities, and says when they are too far apart."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.errors import WorkbenchError

FP32_DIFFERENCE = 1e-4  # largest difference of a probability that fp32 arithmetic in another order may make
CLEAR_MARGIN = 2 * FP32_DIFFERENCE  # two best further apart than this cannot change places within FP32_DIFFERENCE
INT8_AGREEMENT = 0.99
INT8_ACCURACY_LOSS = 0.005


@dataclass(frozen=True, kw_only=True)
class Parity:
    """An engine beside the reference (eager fp32) on the same pictures.

    largest_difference: of any probability, 0 to 1 (infinite where one is undefined). agreement: share of pictures
    with the same answer. clear_changes: pictures whose answer changed although the reference's two best differ by more
    than CLEAR_MARGIN. accuracy and reference_accuracy: share of right answers of either.
    """

    pictures: int
    largest_difference: float
    agreement: float
    clear_changes: int
    accuracy: float
    reference_accuracy: float

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, as written in a manifest; an infinite difference, which JSON cannot carry, becomes None."""
        return asdict(self) | ({} if np.isfinite(self.largest_difference) else {"largest_difference": None})

    def fp32_failure(self) -> str | None:
        """Why this is no faithful fp32 engine, as a clause, or None where it is one."""
        if not self.largest_difference <= FP32_DIFFERENCE:
            return f"its probabilities differ by up to {self.largest_difference:.2g}, beyond {FP32_DIFFERENCE:.0e}"
        if self.clear_changes:
            return (
                f"its answer changes on {self.clear_changes:,} of {self.pictures:,} pictures whose two best differ by "
                f"more than {CLEAR_MARGIN:.0e}"
            )
        return None

    def int8_failure(self) -> str | None:
        """Why this int8 engine is not worth its smaller size, as a clause, or None where it is."""
        if not np.isfinite(self.largest_difference):
            return "some of its probabilities are not numbers"
        if self.agreement < INT8_AGREEMENT:
            return f"it gives the same answer on {self.agreement:.2%} of the pictures, below {INT8_AGREEMENT:.0%}"
        lost = self.reference_accuracy - self.accuracy
        if lost > INT8_ACCURACY_LOSS:
            return f"it loses {100 * lost:.2f} percentage points of accuracy, more than {100 * INT8_ACCURACY_LOSS}"
        return None


def compare(reference: NDArray[np.float32], answers: NDArray[np.float32], truth: NDArray[np.int64]) -> Parity:
    """Parity of `answers` with `reference`, both probabilities (N, K), on pictures whose classes are `truth` (N,).

    Raises WorkbenchError where the shapes do not match or there is no picture.
    """
    if reference.ndim != 2 or reference.shape != answers.shape or truth.shape != reference.shape[:1] or not len(truth):
        raise WorkbenchError(
            f"Parity needs two equal, non-empty sets of probabilities and their truth, not shapes {reference.shape}, "
            f"{answers.shape} and {truth.shape}."
        )
    difference = np.abs(reference.astype(np.float64) - answers.astype(np.float64))
    changed = reference.argmax(axis=1) != answers.argmax(axis=1)
    return Parity(
        pictures=len(truth),
        largest_difference=float(difference.max()) if np.isfinite(difference).all() else float("inf"),
        agreement=float((~changed).mean()),
        clear_changes=int((changed & (_margins(reference) > CLEAR_MARGIN)).sum()),
        accuracy=float((answers.argmax(axis=1) == truth).mean()),
        reference_accuracy=float((reference.argmax(axis=1) == truth).mean()),
    )


def _margins(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """How far the best class is ahead of the second, (N,); infinite where there is only one class."""
    if probabilities.shape[1] == 1:
        return np.full(len(probabilities), np.inf)
    best = np.partition(probabilities.astype(np.float64), -2, axis=1)
    return np.asarray(best[:, -1] - best[:, -2])
