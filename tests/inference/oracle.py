"""ONNX Runtime with nothing of ours around it, and what several tests of exported networks share."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from torch import Tensor

from workbench.bundle.preprocessing import Preprocessing


def preprocessing_of(size: int) -> Preprocessing:
    return Preprocessing(height=size, width=size, channels=3, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))


def answers_of(content: bytes, images: Tensor) -> np.ndarray:
    """Return the probabilities that plain ONNX Runtime computes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"images": images.numpy()})[0]


def operators(content: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(content).graph.node]
