"""A bundle proves itself where it has arrived, by its own pictures and the answers expected of them. No torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.bundle import Bundle
from workbench.parity import CLEAR_MARGIN, FP32_DIFFERENCE

GPU_DIFFERENCE = 5e-3
INT8_SLACK = 0.02  # how much further than at export a probability of an int8 engine may be off on another processor


@dataclass(frozen=True, kw_only=True)
class SelfTest:
    """An engine, here and now, beside the answers that were written into its bundle.

    largest_difference: of any probability, 0 to 1. tolerance: what it may be.
    """

    engine: str
    device: str
    pictures: int
    equal_answers: int
    largest_difference: float
    tolerance: float
    passed: bool

    @property
    def failure(self) -> str:
        """Why it did not pass, in a sentence; empty where it did."""
        if self.passed:
            return ""
        return (
            f"{self.engine} on {self.device} does not answer as the reference network should: "
            f"a probability is off by {self.largest_difference:.1e}, and {self.tolerance:.1e} is allowed."
        )


def judge_self_test(bundle: Bundle, engine: str, answers: NDArray[np.float32], *, device: str = "cpu") -> SelfTest:
    """Set `answers`, float32 (T, K), to the bundle's self-test pictures beside the expected ones.

    fp32 engines pass within the parity asked at export (GPU_DIFFERENCE on a GPU). int8 engines pass within INT8_SLACK
    of the largest difference seen at export: a processor without the right instructions may overflow, and this is where
    it shows. No engine may change a clear answer.
    """
    expected = bundle.self_test_expected
    difference = float(np.abs(expected - answers).max())
    changed = expected.argmax(axis=1) != answers.argmax(axis=1)
    # A GPU rounds the factors of a convolution to 10 bits (TF32) unless it is told not to.
    tolerance = FP32_DIFFERENCE if device == "cpu" else GPU_DIFFERENCE
    if engine == "onnx-int8":
        tolerance = bundle.engines[engine].parity["largest_difference"] + INT8_SLACK
    # Two classes closer than what the engine may be off can change places without anything being wrong.
    best = np.sort(expected, axis=1)
    clear = best[:, -1] - (best[:, -2] if best.shape[1] > 1 else 0) > max(CLEAR_MARGIN, 2 * tolerance)
    return SelfTest(
        engine=engine,
        device=device,
        pictures=len(expected),
        equal_answers=int((~changed).sum()),
        largest_difference=difference,
        tolerance=tolerance,
        passed=bool(difference <= tolerance and not (changed & clear).any()),
    )
