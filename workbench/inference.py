"""`Predictor`: the same pictures in, the same probabilities out, whatever engine does the arithmetic.

PyTorch is imported only for the engines that need it: those of ONNX Runtime work in a Python without it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.arguments import whole_number
from workbench.bundle import Bundle, read_bundle
from workbench.devices import checked_threads, find_device, torch_threads
from workbench.errors import WorkbenchError
from workbench.measurement import measure
from workbench.onnx_session import OnnxSession
from workbench.preprocessing import Preprocessing
from workbench.self_test import SelfTest, judge_self_test

if TYPE_CHECKING:
    import torch
    from torch import nn

TORCH_ENGINES = ("eager", "compiled")
ONNX_ENGINES = ("onnx", "onnx-int8")

# Pixels computed at once: on a CPU 256 pictures of 32×32, 5 of 224×224. Memory stays bounded however many are given. A
# GPU gets four times as many: it waits for the host once for each batch.
BATCH_PIXELS = 2**18
GPU_BATCH_PIXELS = 2**20

# engine="auto": seconds that each engine races, and by how much 8 bits have to be quicker than 32 to be worth it.
RACE_SECONDS = 0.2
WORTH_INT8 = 0.03

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a network says of one picture: the most probable label and its probability, 0 to 1."""

    label: str
    probability: float


class Predictor:
    """Turns uint8 pictures (N, H, W, C) into float32 probabilities (N, K).

    Made by `from_model`, `from_bundle` or `from_onnx`. engine: eager, compiled, onnx or onnx-int8. threads: processor
    cores that one call uses at most; never more than this process may use. precision: fp32, bf16 or int8. model: the
    network's name. size_bytes: of its weights, or of the file the engine runs. accuracy: on the test set, 0 to 1, where
    a bundle tells it. raced: the seconds each engine took where engine="auto" chose, else empty.
    """

    def __init__(
        self,
        run: Run,
        *,
        engine: str,
        labels: Sequence[str],
        preprocessing: Preprocessing,
        device: str,
        threads: int,
        model: str,
        size_bytes: int,
        precision: str = "fp32",
        release: Callable[[], None] = lambda: None,
    ) -> None:
        self._run = run
        self._release = release
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
        self.raced: Mapping[str, float] = {}

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
        """A copy of a PyTorch network on `device` ("auto", "cpu", "cuda", "mps"); the caller's is left alone.

        engine: "eager" or "compiled" (torch.compile: the first calls take seconds). precision: "fp32", no
        convolution in TF32, or "bf16" for convolutions and matrices at 16 bits (autocast; weights stay fp32). Raises
        WorkbenchError for an engine, device, precision or number of threads that is not to be had.
        """
        from workbench.models import name_of, state_bytes

        if precision not in ("fp32", "bf16"):
            raise WorkbenchError(f"precision = {precision!r}: a model in memory runs in fp32 or bf16.")
        if engine not in TORCH_ENGINES:
            raise WorkbenchError(
                f"engine = {engine!r}: a model in memory runs on {' or '.join(TORCH_ENGINES)}. For ONNX Runtime, "
                "export a bundle and use Predictor.from_bundle."
            )
        threads = checked_threads(threads)
        run, device = _torch_run(model, preprocessing, engine, device, threads, precision)
        return cls(
            run,
            engine=engine,
            labels=labels,
            preprocessing=preprocessing,
            device=device,
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
        """An engine of a bundle (or of the folder of one, which is checked first).

        "onnx" and "onnx-int8" run the exported network on the CPU without PyTorch; "eager" and "compiled" build it
        from the bundle's weights (a user's own class: pass one as `model`; its weights are replaced). "auto" races
        those that answer here as the bundle expects, `batch_size` pictures at once, and gives the quickest: the
        exported ones, and eager where PyTorch is loaded already or a GPU is meant; not compiled, which takes longer to
        build than a race. Raises WorkbenchError for an engine that is not in the bundle, with the reason it was left
        out, and where nothing answers as expected.
        """
        if not isinstance(bundle, Bundle):
            bundle = read_bundle(Path(bundle))
        if engine == "auto":
            return cls._fittest(bundle, device, threads, model, precision, batch_size)
        if engine in TORCH_ENGINES:
            from workbench.checkpoint import weights_from_bytes

            weights = weights_from_bytes(
                bundle.weights, bundle.path / "weights.safetensors", model, labels=bundle.labels
            )
            predictor = cls.from_model(
                weights.model,
                bundle.preprocessing,
                bundle.labels,
                engine=engine,
                device=device,
                threads=threads,
                precision=precision,
            )
            # What was proved at export is eager fp32; at 16 bits it may be a little less, and was not measured.
            predictor.accuracy = bundle.accuracy if precision == "fp32" else None
        else:
            content = bundle.engine(engine).content
            if device not in ("cpu", "auto"):
                raise WorkbenchError(f"device = {device!r}: the engine {engine} runs on the CPU; use device='cpu'.")
            if precision != "fp32":
                raise WorkbenchError(
                    f"precision = {precision!r}: {engine} runs as it was exported; use eager for bf16."
                )
            predictor = cls.from_onnx(content, bundle.preprocessing, bundle.labels, engine=engine, threads=threads)
            predictor.accuracy = bundle.engines[engine].accuracy
            predictor.model = bundle.model
        predictor._bundle = bundle
        return predictor

    @classmethod
    def _fittest(
        cls,
        bundle: Bundle,
        device: str,
        threads: int | None,
        model: nn.Module | None,
        precision: str,
        batch_size: int,
    ) -> Predictor:
        if precision != "fp32":
            raise WorkbenchError(f"precision = {precision!r}: auto races what was proved; use eager for bf16.")
        whole_number("batch_size", batch_size, 1, 2**20)
        exported = tuple(bundle.engines) if device in ("cpu", "auto") else ()
        buildable = model is not None or bundle.manifest["about"].get("model") is not None
        eager = ("eager",) if device != "cpu" or (sys.modules.get("torch") and buildable) else ()
        names = (*exported, *eager)
        found = [cls.from_bundle(bundle, name, device=device, threads=threads, model=model) for name in names]
        return _quickest(found, bundle, batch_size)

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
        """The bytes of an ONNX file that the workbench exported, in ONNX Runtime on the CPU."""
        threads = checked_threads(threads)
        session = OnnxSession(content, threads)
        shape = (preprocessing.height, preprocessing.width, preprocessing.channels)
        return cls(
            session,
            release=lambda: session.release_memory(shape),
            engine=engine,
            labels=labels,
            preprocessing=preprocessing,
            device="cpu",
            threads=threads,
            model="network",
            size_bytes=len(content),
            precision="int8" if engine == "onnx-int8" else "fp32",
        )

    def __call__(self, pictures: NDArray[np.uint8] | torch.Tensor) -> NDArray[np.float32]:
        """Probabilities, float32 (N, K), of pictures, uint8 (N, H, W, C), array or tensor; N may be any number.

        Raises WorkbenchError, naming what was given and what is wanted, for any other shape or dtype, and for a network
        that gives another number of answers.
        """
        checked = self._checked(pictures)
        pixels = BATCH_PIXELS if self.device == "cpu" else GPU_BATCH_PIXELS
        size = max(1, pixels // (self.preprocessing.height * self.preprocessing.width))
        if 0 < len(checked) <= size:
            return self._answers(checked)
        answers = np.empty((len(checked), len(self.labels)), dtype=np.float32)
        for start in range(0, len(checked), size):
            answers[start : start + size] = self._answers(checked[start : start + size])
        return answers

    def classify(self, pictures: NDArray[np.uint8] | torch.Tensor) -> tuple[Answer, ...]:
        """The most probable label of each picture, uint8 (N, H, W, C), with its probability."""
        probabilities = self(pictures)
        best = probabilities.argmax(axis=1)
        return tuple(
            Answer(label=self.labels[index], probability=float(row[index]))
            for index, row in zip(best, probabilities, strict=True)
        )

    def release_memory(self) -> None:
        """Hand back the working memory that ONNX Runtime keeps from one call for the next; PyTorch keeps none."""
        self._release()

    def self_test(self) -> SelfTest:
        """Answer the bundle's self-test pictures and judge the answers, as `judge_self_test` does.

        Raises WorkbenchError for a predictor that was not made from a bundle.
        """
        if self._bundle is None:
            raise WorkbenchError("Only a predictor made from a bundle can test itself: use Predictor.from_bundle.")
        answers = self(self._bundle.self_test_pictures)
        return judge_self_test(self._bundle, self.engine, answers, device=self.device)

    def _answers(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        answers = self._run(pictures)
        if answers.shape != (len(pictures), len(self.labels)):
            raise WorkbenchError(
                f"The network gives answers of shape {answers.shape} for {len(pictures)} pictures and "
                f"{len(self.labels)} labels: it must give one number for each label of each picture."
            )
        return answers

    def _checked(self, pictures: Any) -> NDArray[np.uint8]:
        if not isinstance(pictures, np.ndarray):
            if not hasattr(pictures, "detach"):
                raise WorkbenchError(f"Pictures must be a uint8 array or tensor, not {type(pictures).__name__}.")
            pictures = pictures.detach().cpu().numpy()
        wanted = (self.preprocessing.height, self.preprocessing.width, self.preprocessing.channels)
        if pictures.dtype != np.uint8 or pictures.ndim != 4 or pictures.shape[1:] != wanted:
            height, width, channels = wanted
            raise WorkbenchError(
                f"Pictures must be uint8 of shape (N, {height}, {width}, {channels}), not {pictures.dtype} of shape "
                f"{pictures.shape}. workbench.preprocessing.fit_picture brings a picture into this shape; "
                "picture[None] makes a batch of one."
            )
        return np.ascontiguousarray(pictures)


def unproved(predictor: Predictor) -> str:
    """Why a predictor of a bundle does not answer here as the bundle expects, in a sentence; empty where it does.

    bf16 is not held to that: it answers with fewer digits by design.
    """
    return "" if predictor.precision == "bf16" else predictor.self_test().failure


def _quickest(predictors: Sequence[Predictor], bundle: Bundle, batch_size: int) -> Predictor:
    """The winner of a race between those that answer as the bundle expects; it tells what each took."""
    failures = {predictor.engine: unproved(predictor) for predictor in predictors}
    fit = {predictor.engine: predictor for predictor in predictors if not failures[predictor.engine]}
    if not fit:
        raise WorkbenchError(f"engine = 'auto': no engine of {bundle.path} is fit. {' '.join(failures.values())}")
    pictures = np.resize(bundle.self_test_pictures, (batch_size, *bundle.self_test_pictures.shape[1:]))
    calls = {name: (lambda predictor=predictor: predictor(pictures)) for name, predictor in fit.items()}
    places = {name: predictor.device for name, predictor in fit.items()}
    raced = {name: reading.latency.p50 for name, reading in measure(calls, seconds=RACE_SECONDS, device=places).items()}
    best = min(fit, key=lambda name: raced[name] * (1 + WORTH_INT8 * (fit[name].precision == "int8")))
    fit[best].raced = raced
    return fit[best]


def _torch_run(
    model: nn.Module, preprocessing: Preprocessing, engine: str, device: str, threads: int, precision: str
) -> tuple[Run, str]:
    """The function that runs a copy of `model` in PyTorch, and the name of the device it runs on."""
    import copy

    import torch

    from workbench.models import Classifier

    place = find_device(device)
    bare = getattr(model, "_orig_mod", model)
    classifier = Classifier(copy.deepcopy(bare), preprocessing).float().eval().requires_grad_(False).to(place.torch)
    if any(isinstance(module, torch.nn.Conv2d) for module in classifier.modules()):
        classifier = classifier.to(memory_format=torch.channels_last)
    network: Callable[[torch.Tensor], torch.Tensor] = torch.compile(classifier) if engine == "compiled" else classifier

    arithmetic = torch.autocast(place.kind, dtype=torch.bfloat16) if precision == "bf16" else nullcontext()
    rounds = place.kind == "cuda" and precision == "fp32"

    def run(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode(), torch_threads(threads), _all_digits() if rounds else arithmetic:
            answers = network(torch.tensor(pictures, device=place.torch))
            return np.asarray(answers.cpu().numpy())

    return run, place.name


@contextmanager
def _all_digits() -> Iterator[None]:
    """Convolutions in fp32 as it is meant. On NVIDIA GPUs PyTorch rounds their factors to TF32's 10 bits by default:
    quicker in large networks, but a probability then moves by up to 1e-3, ten times what fp32 engines may differ by.
    """
    import torch

    convolutions = torch.backends.cudnn.conv  # type: ignore[attr-defined]
    before = convolutions.fp32_precision
    convolutions.fp32_precision = "ieee"
    try:
        yield
    finally:
        convolutions.fp32_precision = before
