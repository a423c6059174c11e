"""An exported network in ONNX Runtime on the CPU. No torch."""

from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.wording import one_line


class OnnxSession:
    """A session for the bytes of an ONNX file that the workbench exported; safe to call from several threads.

    threads: processor cores that one call uses. Raises WorkbenchError if ONNX Runtime cannot run the network.
    """

    def __init__(self, content: bytes, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        # Threads spin between the layers of a query, which halves the time of a small one. By default they would also
        # spin for tens of milliseconds after it, and keep a small machine from doing anything else.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            raise WorkbenchError(f"ONNX Runtime cannot run this network: {one_line(error, 300)}") from error

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return probabilities, float32 (N, K), for images, uint8 (N, H, W, C). Raises WorkbenchError on failure."""
        try:
            return np.asarray(self._session.run(None, {"images": images})[0])
        except Exception as error:  # ONNX Runtime's exceptions have no common base class
            raise WorkbenchError(f"ONNX Runtime failed on {len(images)} images: {one_line(error, 300)}") from error

    def release_memory(self, shape: tuple[int, ...]) -> None:
        """Release the working memory kept from one call to the next; `shape` is that of one image."""
        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._session.run(None, {"images": np.zeros((1, *shape), dtype=np.uint8)}, options)
