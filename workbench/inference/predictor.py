"""`Predictor`: the same images in, the same probabilities out, whichever engine does the arithmetic.

PyTorch is imported only for the engines that need it: those of ONNX Runtime work in a Python without it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.arguments import whole_number
from workbench.bundle.files import WEIGHTS
from workbench.bundle.manifest import Bundle, read_bundle
from workbench.bundle.onnx_session import OnnxSession
from workbench.bundle.preprocessing import Preprocessing
from workbench.bundle.self_test import SelfTest, judge_self_test
from workbench.errors import WorkbenchError
from workbench.machine.devices import find_device
from workbench.machine.threads import resolve_threads
from workbench.measuring.measurement import measure

if TYPE_CHECKING:
    import torch
    from torch import nn

TORCH_ENGINES = ("eager", "compiled")
ONNX_ENGINES = ("onnx", "onnx-int8")

# Pixels per batch: 256 images of 32×32 on a CPU, 5 of 224×224. This bounds the memory, however many images are given. A
# GPU gets four times as many, because it waits for the host once per batch.
BATCH_PIXELS = 2**18
GPU_BATCH_PIXELS = 2**20

# engine="auto": seconds that each engine races, and by how much 8 bits must be faster than 32 to be chosen.
RACE_SECONDS = 0.2
WORTH_INT8 = 0.03


@dataclass(frozen=True, kw_only=True)
class Answer:
    """The most probable label of an image and its probability, 0 to 1."""

    label: str
    probability: float


class Predictor:
    """Turns uint8 images (N, H, W, C) into float32 probabilities (N, K).

    Made by `from_model`, `from_bundle` or `from_onnx`. engine: eager, compiled, onnx or onnx-int8. threads: processor
    cores that one call uses at most. precision: fp32, bf16 or int8. model: the network's name. size_bytes: of its
    weights, or of the ONNX file. accuracy: on the test set, 0 to 1, if a bundle states it. race_seconds: the median
    time of each engine if engine="auto" chose, else empty.

    >>> from workbench.folders import REFERENCE
    >>> bundle = wb.read_bundle(REFERENCE)
    >>> predictor = wb.Predictor.from_bundle(bundle, threads=1)
    >>> predictor(bundle.self_test_images).shape
    (10, 10)
    >>> predictor.classify(bundle.self_test_images[:1])[0].label
    'butterfly'
    """

    def __init__(
        self,
        session: Callable[[NDArray[np.uint8]], NDArray[np.float32]],
        *,
        engine: str,
        labels: Sequence[str],
        preprocessing: Preprocessing,
        device: str,
        threads: int,
        model: str,
        size_bytes: int,
        precision: str = "fp32",
    ) -> None:
        self._session = session
        self._bundle: Bundle | None = None
        self.engine = engine
        self.labels = tuple(labels)
        self.preprocessing = preprocessing
        self.device = device
        self.threads = threads
        self.model = model
        self.precision = precision
        self.size_bytes = size_bytes
        self.accuracy: float | None = None
        self.race_seconds: Mapping[str, float] = {}

    @classmethod
    def from_model(
        cls,
        model: nn.Module,
        preprocessing: Preprocessing,
        labels: Sequence[str],
        *,
        engine: str = "eager",
        device: str = "cpu",
        threads: int | None = None,
        precision: str = "fp32",
    ) -> Predictor:
        """Run a copy of a PyTorch network on `device` ("auto", "cpu", "cuda", "mps").

        engine: "eager" or "compiled" (torch.compile: the first calls take seconds). precision: "fp32", without TF32, or
        "bf16" for convolutions and matrices in 16 bits (autocast; weights stay fp32). Raises WorkbenchError for an
        engine, device, precision or number of threads that is not available.
        """
        from workbench.inference.torch_session import TorchSession
        from workbench.training.models import name_of, state_bytes

        if precision not in ("fp32", "bf16"):
            raise WorkbenchError(f"precision = {precision!r}: a model in memory runs in fp32 or bf16.")
        if engine not in TORCH_ENGINES:
            raise WorkbenchError(
                f"engine = {engine!r}: a model in memory runs on {' or '.join(TORCH_ENGINES)}. For ONNX Runtime, "
                "export a bundle and use Predictor.from_bundle."
            )
        threads, found = resolve_threads(threads), find_device(device)
        compiled = engine == "compiled"
        return cls(
            TorchSession(model, preprocessing, found, compiled=compiled, threads=threads, precision=precision),
            engine=engine,
            labels=labels,
            preprocessing=preprocessing,
            device=found.name,
            threads=threads,
            model=name_of(model),
            size_bytes=state_bytes(model),
            precision=precision,
        )

    @classmethod
    def from_bundle(
        cls,
        bundle: Bundle | Path | str,
        engine: str = "onnx",
        *,
        device: str = "cpu",
        threads: int | None = None,
        model: nn.Module | None = None,
        precision: str = "fp32",
        batch_size: int = 1,
    ) -> Predictor:
        """Run an engine of a bundle (or of the bundle in a folder, which is verified first).

        "onnx" and "onnx-int8" run the exported network on the CPU without PyTorch; "eager" and "compiled" build it from
        the bundle's weights (pass your own class as `model`; its weights are replaced). "auto" races the engines that
        pass the self-test here, with batches of `batch_size`, and returns the fastest: the exported ones, and eager if
        PyTorch is already loaded or a GPU is requested, but not compiled, which takes longer to build than to race.
        Raises WorkbenchError for an engine that is not in the bundle, with the reason if it was left out, and if no
        engine passes.
        """
        if not isinstance(bundle, Bundle):
            bundle = read_bundle(bundle)
        if engine == "auto":
            return cls._fastest(bundle, device, threads, model, precision, batch_size)
        if engine in TORCH_ENGINES:
            predictor = cls._from_weights(bundle, engine, device, threads, model, precision)
        else:
            predictor = cls._from_exported(bundle, engine, device, threads, precision)
        predictor._bundle = bundle
        return predictor

    @classmethod
    def from_onnx(
        cls,
        content: bytes,
        preprocessing: Preprocessing,
        labels: Sequence[str],
        *,
        engine: str = "onnx",
        threads: int | None = None,
    ) -> Predictor:
        """Run the bytes of an ONNX file that the workbench exported, in ONNX Runtime on the CPU."""
        threads = resolve_threads(threads)
        return cls(
            OnnxSession(content, threads),
            engine=engine,
            labels=labels,
            preprocessing=preprocessing,
            device="cpu",
            threads=threads,
            model="network",
            size_bytes=len(content),
            precision="int8" if engine == "onnx-int8" else "fp32",
        )

    @classmethod
    def _from_weights(
        cls, bundle: Bundle, engine: str, device: str, threads: int | None, model: nn.Module | None, precision: str
    ) -> Predictor:
        from workbench.training.checkpoint import weights_from_bytes

        network = weights_from_bytes(bundle.weights, bundle.path / WEIGHTS, model, labels=bundle.labels).model
        how = {"engine": engine, "device": device, "precision": precision}
        predictor = cls.from_model(network, bundle.preprocessing, bundle.labels, threads=threads, **how)
        # The accuracy was measured with eager fp32; in bf16 it may be slightly lower.
        predictor.accuracy = bundle.accuracy if precision == "fp32" else None
        return predictor

    @classmethod
    def _from_exported(cls, bundle: Bundle, engine: str, device: str, threads: int | None, precision: str) -> Predictor:
        exported = bundle.engine(engine)
        if device not in ("cpu", "auto"):
            raise WorkbenchError(f"device = {device!r}: the engine {engine} runs on the CPU; use device='cpu'.")
        if precision != "fp32":
            raise WorkbenchError(f"precision = {precision!r}: {engine} runs as it was exported; use eager for bf16.")
        predictor = cls.from_onnx(exported.content, bundle.preprocessing, bundle.labels, engine=engine, threads=threads)
        predictor.accuracy, predictor.model = exported.accuracy, bundle.model
        return predictor

    @classmethod
    def _fastest(
        cls,
        bundle: Bundle,
        device: str,
        threads: int | None,
        model: nn.Module | None,
        precision: str,
        batch_size: int,
    ) -> Predictor:
        """Race the engines that pass the self-test, and return the winner with the times of all."""
        if precision != "fp32":
            raise WorkbenchError(f"precision = {precision!r}: auto races engines in fp32 and int8; use eager for bf16.")
        batch_size = whole_number("batch_size", batch_size, 1, 2**20)
        exported = tuple(bundle.engines) if device in ("cpu", "auto") else ()
        buildable = model is not None or bundle.manifest["about"].get("model") is not None
        eager = ("eager",) if device != "cpu" or (sys.modules.get("torch") and buildable) else ()
        names = (*exported, *eager)
        found = [cls.from_bundle(bundle, name, device=device, threads=threads, model=model) for name in names]
        failures = {predictor.engine: self_test_failure(predictor) for predictor in found}
        fit = {predictor.engine: predictor for predictor in found if not failures[predictor.engine]}
        if not fit:
            raise WorkbenchError(f"engine = 'auto': no engine of {bundle.path} passes. {' '.join(failures.values())}")
        images = np.resize(bundle.self_test_images, (batch_size, *bundle.self_test_images.shape[1:]))
        calls = {name: (lambda predictor=predictor: predictor(images)) for name, predictor in fit.items()}
        devices = {name: predictor.device for name, predictor in fit.items()}
        readings = measure(calls, seconds=RACE_SECONDS, device=devices)
        seconds = {name: reading.latency.p50 for name, reading in readings.items()}
        best = min(fit, key=lambda name: seconds[name] * (1 + WORTH_INT8 * (fit[name].precision == "int8")))
        fit[best].race_seconds = seconds
        return fit[best]

    def __call__(self, images: NDArray[np.uint8] | torch.Tensor) -> NDArray[np.float32]:
        """Return probabilities, float32 (N, K), for images, uint8 (N, H, W, C), as an array or tensor, for any N.

        Raises WorkbenchError for any other shape or dtype, and if the network returns the wrong number of
        probabilities.
        """
        checked = self._checked(images)
        pixels = BATCH_PIXELS if self.device == "cpu" else GPU_BATCH_PIXELS
        size = max(1, pixels // (self.preprocessing.height * self.preprocessing.width))
        if 0 < len(checked) <= size:
            return self._answers(checked)
        answers = np.empty((len(checked), len(self.labels)), dtype=np.float32)
        for start in range(0, len(checked), size):
            answers[start : start + size] = self._answers(checked[start : start + size])
        return answers

    def classify(self, images: NDArray[np.uint8] | torch.Tensor) -> tuple[Answer, ...]:
        """Return the most probable label of each image, uint8 (N, H, W, C), with its probability."""
        probabilities = self(images)
        best = probabilities.argmax(axis=1)
        return tuple(
            Answer(label=self.labels[index], probability=float(row[index]))
            for index, row in zip(best, probabilities, strict=True)
        )

    def release_memory(self) -> None:
        """Release the working memory that ONNX Runtime keeps from one call to the next; PyTorch keeps none."""
        if isinstance(self._session, OnnxSession):
            self._session.release_memory(self.preprocessing.shape)

    def self_test(self) -> SelfTest:
        """Classify the bundle's self-test images and judge the answers, as `judge_self_test` does.

        Raises WorkbenchError for a predictor that was not made from a bundle.
        """
        if self._bundle is None:
            raise WorkbenchError("Only a predictor made from a bundle can test itself: use Predictor.from_bundle.")
        answers = self(self._bundle.self_test_images)
        return judge_self_test(self._bundle, self.engine, answers, device=self.device)

    def _answers(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        answers = self._session(images)
        if answers.shape != (len(images), len(self.labels)):
            raise WorkbenchError(
                f"The network returns probabilities of shape {answers.shape} for {len(images)} images and "
                f"{len(self.labels)} labels: it must return one for each label of each image."
            )
        return answers

    def _checked(self, images: Any) -> NDArray[np.uint8]:
        if not isinstance(images, np.ndarray):
            if not hasattr(images, "detach"):
                raise WorkbenchError(f"Images must be a uint8 array or tensor, not {type(images).__name__}.")
            images = images.detach().cpu().numpy()
        if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1:] != self.preprocessing.shape:
            height, width, channels = self.preprocessing.shape
            raise WorkbenchError(
                f"Images must be uint8 of shape (N, {height}, {width}, {channels}), not {images.dtype} of shape "
                f"{images.shape}. wb.fit_image fits an image to this shape; image[None] makes a batch of one."
            )
        return np.ascontiguousarray(images)


def self_test_failure(predictor: Predictor) -> str:
    """Return why a predictor made from a bundle fails its self-test, in a sentence; empty if it passes.

    bf16 always passes: it has fewer digits by design.
    """
    return "" if predictor.precision == "bf16" else predictor.self_test().failure
