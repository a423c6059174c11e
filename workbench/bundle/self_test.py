"""The self-test of a bundle on the machine it has reached: its own images, with their expected answers. No torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.bundle.manifest import Bundle
from workbench.bundle.parity import CLEAR_MARGIN, FP32_DIFFERENCE

GPU_DIFFERENCE = 5e-3
INT8_SLACK = 0.02  # how much more a probability of an int8 engine may differ on another processor than at export


@dataclass(frozen=True, kw_only=True)
class SelfTest:
    """The answers of an engine on this machine, compared with those stored in its bundle.

    largest_difference: of any probability, 0 to 1. tolerance: the most it may be.
    """

    engine: str
    device: str
    images: int
    equal_answers: int
    largest_difference: float
    tolerance: float
    passed: bool

    @property
    def failure(self) -> str:
        """Why it failed, in a sentence; empty if it passed."""
        if self.passed:
            return ""
        return (
            f"{self.engine} on {self.device} does not answer like the reference network: a probability differs by "
            f"{self.largest_difference:.1e}, and {self.tolerance:.1e} is allowed."
        )


def judge_self_test(bundle: Bundle, engine: str, answers: NDArray[np.float32], *, device: str = "cpu") -> SelfTest:
    """Compare `answers`, float32 (T, K), for the bundle's self-test images with the expected ones.

    fp32 engines pass within the tolerance used at export (GPU_DIFFERENCE on a GPU). int8 engines pass within INT8_SLACK
    of the largest difference seen at export: on a processor without 8-bit dot products sums may overflow, which shows
    here. No engine may change a clear answer.
    """
    expected = bundle.self_test_expected
    difference = float(np.abs(expected - answers).max())
    changed = expected.argmax(axis=1) != answers.argmax(axis=1)
    # By default a GPU rounds the inputs of a convolution to 10 bits (TF32).
    tolerance = FP32_DIFFERENCE if device == "cpu" else GPU_DIFFERENCE
    if engine == "onnx-int8":
        tolerance = bundle.engines[engine].parity["largest_difference"] + INT8_SLACK
    # Two classes closer than the engine may deviate can swap without anything being wrong.
    best = np.sort(expected, axis=1)
    clear = best[:, -1] - (best[:, -2] if best.shape[1] > 1 else 0) > max(CLEAR_MARGIN, 2 * tolerance)
    return SelfTest(
        engine=engine,
        device=device,
        images=len(expected),
        equal_answers=int((~changed).sum()),
        largest_difference=difference,
        tolerance=tolerance,
        passed=bool(difference <= tolerance and not (changed & clear).any()),
    )
