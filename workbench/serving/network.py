"""The network of a bundle in ONNX Runtime, accepted only if it passes the bundle's self-test."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from workbench.bundle.manifest import Bundle
from workbench.bundle.onnx_session import OnnxSession
from workbench.bundle.self_test import judge_self_test
from workbench.errors import WorkbenchError


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A network ready to answer.

    name, version: as they appear in the URLs of the Open Inference Protocol. seconds: time for one image here, the
    fastest of five runs.
    """

    bundle: Bundle
    engine: str
    name: str
    version: str
    session: OnnxSession
    seconds: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of an input image."""
        return self.bundle.preprocessing.shape


def open_network(bundle: Bundle, engine: str, threads: int) -> Network:
    """Load `engine` of a bundle and run its self-test.

    Raises WorkbenchError if the bundle lacks the engine, the engine cannot run, or the self-test fails.
    """
    session = OnnxSession(bundle.engine(engine).content, threads)
    answers = session(bundle.self_test_images)
    if answers.shape != bundle.self_test_expected.shape:
        raise WorkbenchError(f"{bundle.path}: {engine} returns {answers.shape}, not one number for each label.")
    test = judge_self_test(bundle, engine, answers)
    if not test.passed:
        raise WorkbenchError(f"{bundle.path} fails its own self-test: {test.failure}")
    return Network(
        bundle=bundle,
        engine=engine,
        name=re.sub(r"[^\w.-]+", "-", bundle.model, flags=re.ASCII).strip("-") or "network",
        version=bundle.version,
        session=session,
        seconds=min(_time(session, bundle.self_test_images[:1]) for _ in range(5)),
    )


def _time(session: OnnxSession, images: NDArray[np.uint8]) -> float:
    start = time.perf_counter()
    session(images)
    return time.perf_counter() - start
