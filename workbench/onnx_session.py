"""An exported network in ONNX Runtime on the CPU: uint8 pictures in, probabilities out. No torch."""

from __future__ import annotations

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.sealed import shortened


class OnnxSession:
    """The bytes of an ONNX file that the workbench exported, loaded and planned; safe to call from several threads.

    threads: processor cores that one call uses. Raises WorkbenchError for what ONNX Runtime cannot run.
    """

    def __init__(self, content: bytes, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        # From one layer to the next its threads wait awake, which halves a small query's time; by default they would
        # also do so after it, for tens of milliseconds, and keep a small machine from doing anything else.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise WorkbenchError(f"ONNX Runtime cannot run this network: {_one_line(error)}") from error

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Probabilities, float32 (N, K), of pictures, uint8 (N, H, W, C). Raises WorkbenchError where that fails."""
        try:
            return np.asarray(self._session.run(None, {"pictures": pictures})[0])
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise WorkbenchError(f"ONNX Runtime failed on {len(pictures)} pictures: {_one_line(error)}") from error

    def release_memory(self, shape: tuple[int, ...]) -> None:
        """Hand back the working memory kept from one call for the next; `shape` is that of one picture."""
        options = onnxruntime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._session.run(None, {"pictures": np.zeros((1, *shape), dtype=np.uint8)}, options)


def _one_line(error: Exception) -> str:
    return shortened(" ".join(str(error).split()), 300)
