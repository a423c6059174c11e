"""A bundle at work: its network in ONNX Runtime, proved by the pictures that travel with it."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.bundle import Bundle
from workbench.errors import WorkbenchError
from workbench.onnx_session import OnnxSession
from workbench.self_test import judge_self_test


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """What answers. name, version: as clients ask for it. seconds: that one picture took here, the quickest of five."""

    bundle: Bundle
    engine: str
    name: str
    version: str
    session: OnnxSession
    seconds: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of a picture as it goes in."""
        wanted = self.bundle.preprocessing
        return wanted.height, wanted.width, wanted.channels


def open_network(bundle: Bundle, engine: str, threads: int) -> Network:
    """Load `engine` of a bundle and hold it to its self-test.

    Raises WorkbenchError where the engine is not in the bundle, cannot be run, or does not answer as it should.
    """
    session = OnnxSession(bundle.engine(engine).content, threads)
    answers = session(bundle.self_test_pictures)
    if answers.shape != bundle.self_test_expected.shape:
        raise WorkbenchError(f"{bundle.path}: {engine} gives {answers.shape}, not a number for each of its labels.")
    test = judge_self_test(bundle, engine, answers)
    if not test.passed:
        raise WorkbenchError(f"{bundle.path} fails its own self-test: {test.failure}")
    return Network(
        bundle=bundle,
        engine=engine,
        name=re.sub(r"[^\w.-]+", "-", bundle.model, flags=re.ASCII).strip("-") or "network",
        version=bundle.version,
        session=session,
        seconds=min(_timed(session, bundle.self_test_pictures[:1]) for _ in range(5)),
    )


def _timed(session: OnnxSession, pictures: NDArray[np.uint8]) -> float:
    start = time.perf_counter()
    session(pictures)
    return time.perf_counter() - start
