"""Sessions of ONNX Runtime: their threads, their memory, and what cannot run."""

from __future__ import annotations

import time

import numpy as np
import pytest
from conftest import Exported

from workbench.bundle import onnx_session
from workbench.bundle.onnx_session import OnnxSession
from workbench.errors import WorkbenchError
from workbench.machine.processor import usable_cores


def test_options_reach_onnx_runtime(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    real = onnx_session.onnxruntime.InferenceSession
    monkeypatch.setattr(
        onnx_session.onnxruntime,
        "InferenceSession",
        lambda *given, **named: made.append(given[1]) or real(*given, **named),
    )
    OnnxSession(exported.bundle.engines["onnx"].content, threads=1)
    options = made[0]
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"
    assert "SEQUENTIAL" in str(options.execution_mode)


@pytest.mark.skipif(usable_cores() < 2, reason="one core: a query has no second thread")
def test_threads_block_after_a_query(exported: Exported) -> None:
    """With ONNX Runtime's defaults they were seen to spin for 35 of these 50 ms."""
    session = OnnxSession(exported.bundle.engines["onnx"].content, threads=2)
    images = exported.data.test.images[:4].numpy()
    idle = []
    for _ in range(5):
        for _ in range(20):
            session(images)
        begun = time.process_time()
        time.sleep(0.05)
        idle.append(time.process_time() - begun)
    assert min(idle) < 0.01


def test_released_memory_changes_no_answer(exported: Exported) -> None:
    session = OnnxSession(exported.bundle.engines["onnx"].content, threads=1)
    images = exported.bundle.self_test_images
    before = session(images)
    session.release_memory(images.shape[1:])
    assert np.array_equal(session(images), before)


def test_what_cannot_run_is_reported_in_one_line(exported: Exported) -> None:
    with pytest.raises(WorkbenchError, match=r"ONNX Runtime cannot run this network: .+") as caught:
        OnnxSession(b"no network", threads=1)
    assert "\n" not in str(caught.value)
    session = OnnxSession(exported.bundle.engines["onnx"].content, threads=1)
    with pytest.raises(WorkbenchError, match="ONNX Runtime failed on 2 images"):
        session(np.zeros((2, 3, 3, 1), dtype=np.uint8))
