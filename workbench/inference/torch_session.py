"""A network in PyTorch, eager or compiled, on any device: the counterpart of `workbench.bundle.onnx_session`."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from workbench.bundle.preprocessing import Preprocessing
from workbench.machine.devices import Device
from workbench.machine.threads import torch_threads
from workbench.training.models import ImageClassifier, uncompiled


class TorchSession:
    """A copy of `model` with its preprocessing and softmax on `device`, channels last if it has convolutions.

    compiled: by torch.compile. precision: "fp32" (never TF32) or "bf16" (autocast; the weights stay fp32).
    """

    def __init__(
        self,
        model: nn.Module,
        preprocessing: Preprocessing,
        device: Device,
        *,
        compiled: bool = False,
        threads: int = 1,
        precision: str = "fp32",
    ) -> None:
        classifier = ImageClassifier(copy.deepcopy(uncompiled(model)), preprocessing)
        classifier = classifier.float().eval().requires_grad_(False).to(device.torch)
        if any(isinstance(module, nn.Conv2d) for module in classifier.modules()):
            classifier = classifier.to(memory_format=torch.channels_last)
        self._network: Callable[[Tensor], Tensor] = torch.compile(classifier) if compiled else classifier
        self._device, self._threads, self._precision = device, threads, precision

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return probabilities, float32 (N, K), for images, uint8 (N, H, W, C)."""
        bf16 = self._precision == "bf16"
        arithmetic = torch.autocast(self._device.kind, dtype=torch.bfloat16) if bf16 else nullcontext()
        rounded = self._device.kind == "cuda" and not bf16
        with torch.inference_mode(), torch_threads(self._threads), without_tf32() if rounded else arithmetic:
            answers = self._network(torch.tensor(images, device=self._device.torch))
            return np.asarray(answers.cpu().numpy())


@contextmanager
def without_tf32() -> Iterator[None]:
    """Compute convolutions in full fp32 inside.

    On NVIDIA GPUs PyTorch by default rounds their inputs to the 10 bits of TF32: faster in large networks, but a
    probability then moves by up to 1e-3, ten times as much as fp32 engines may differ.
    """
    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = convolutions.fp32_precision
    convolutions.fp32_precision = "ieee"
    try:
        yield
    finally:
        convolutions.fp32_precision = before
