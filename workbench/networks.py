"""A network as devices are compared by it: from the zoo, from a run, or a user's own; and who can run it here."""

from __future__ import annotations

import copy
import hashlib
import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from workbench.bundle import Bundle, read_bundle
from workbench.checkpoint import load_weights
from workbench.devices import checked_threads, find_device
from workbench.errors import WorkbenchError
from workbench.export import export_onnx
from workbench.hyperparameters import HyperParameters
from workbench.inference import Predictor, unproved
from workbench.measurement import Phase
from workbench.models import ModelSpec, build_model, name_of, spec_of
from workbench.operations import operations
from workbench.preprocessing import Preprocessing
from workbench.recordings import REFERENCE
from workbench.runs import Run
from workbench.sealed import shortened
from workbench.sweeps import Contestant
from workbench.training_step import TrainingStep

_OWN_PICTURES = 8


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network that is compared, with what it takes to run it.

    pictures: uint8 (N, H, W, C). recorded: figures that others recorded under this name are of this very network: its
    layers, its shape of picture and its number of classes are those of the zoo. bundle: holds it exported, if anything.
    """

    name: str
    model: nn.Module = field(repr=False)
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    pictures: NDArray[np.uint8] = field(repr=False)
    recorded: bool = False
    bundle: Bundle | None = field(default=None, repr=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of its pictures."""
        return self.preprocessing.height, self.preprocessing.width, self.preprocessing.channels

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what its speed depends on: layers, shapes and code, not the values of the weights."""
        bare = getattr(self.model, "_orig_mod", self.model)
        shapes = [(name, tuple(value.shape), str(value.dtype)) for name, value in bare.state_dict().items()]
        told = repr((self.name, self.shape, len(self.labels), str(bare), shapes, _code(bare)))
        return hashlib.sha256(told.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Failure:
    """What could not run here, and why, in a sentence. batch_size: from which on; None where it never began."""

    device: str
    engine: str
    precision: str
    reason: str
    batch_size: int | None = None


def find_network(source: str | Run | nn.Module, example: Any = None) -> Network:
    """A network by its name (of the zoo or of torchvision, with fresh weights), of a run, or a module of one's own.

    example: for a module of one's own, pictures as it takes them: uint8 (N, H, W, C), array or tensor, or a float
    tensor (N, C, H, W). Raises WorkbenchError for a name nobody knows, for a module without an example, and where the
    module does not take it.
    """
    reference = read_bundle(REFERENCE)
    pictures = reference.self_test_pictures
    if isinstance(source, str):
        model = build_model(source, classes=len(reference.labels), shape=pictures.shape[1:])
        bundle = reference if source == reference.model else None
        spec = spec_of(model)
        return Network(
            name=source,
            model=model,
            preprocessing=reference.preprocessing,
            labels=reference.labels,
            pictures=pictures,
            recorded=spec is not None and _called(spec) == source,
            bundle=bundle,
        )
    if isinstance(source, Run):
        weights = load_weights(source.weights)
        bundle = read_bundle(source.bundle) if source.bundle.is_dir() else None
        spec = weights.spec
        name = name_of(weights.model) if spec is None else _called(spec)
        return Network(
            name=name,
            model=weights.model,
            preprocessing=weights.preprocessing,
            labels=weights.labels,
            pictures=_random_pictures(weights.preprocessing),
            recorded=spec is not None and name == spec.name,
            bundle=bundle,
        )
    if not isinstance(source, nn.Module):
        raise WorkbenchError(
            f"{shortened(repr(source))} is no network: give a name such as 'convnet', a Run, or an nn.Module with an "
            "example of its pictures."
        )
    return _own(source, example)


def contestants(
    network: Network, phase: Phase, devices: Sequence[str], *, engine: str = "", precision: str = ""
) -> Iterator[Contestant | Failure]:
    """Everyone who can run `network` on these devices, by name ("cpu", "cuda"), one by one; or why one cannot.

    engine, precision: only this one, if named. On a CPU inference runs on one core and on all of them.
    """
    wanted = [each for each in _settings(network, phase, devices) if engine in ("", each[1])]
    for device, name, number, threads in wanted:
        if precision not in ("", number):
            continue
        try:
            yield _contestant(network, phase, device, name, number, threads)
        except Exception as error:  # a network of anyone's may fail in any way; the others go on
            reason = shortened(" ".join(str(error).split()) or type(error).__name__, 300)
            yield Failure(device=_title(device), engine=name, precision=number, reason=reason)


def _settings(network: Network, phase: Phase, devices: Sequence[str]) -> Iterator[tuple[str, str, str, int]]:
    for device in devices:
        kind = device.partition(":")[0]
        if phase == "training" or kind != "cpu":
            threads = checked_threads(None) if kind == "cpu" else 1
            yield from ((device, "eager", precision, threads) for precision in ("fp32", "bf16"))
            continue
        for threads in dict.fromkeys((1, checked_threads(None))):
            yield from ((device, "eager", precision, threads) for precision in ("fp32", "bf16"))
            yield device, "onnx", "fp32", threads
            if network.bundle is not None and "onnx-int8" in network.bundle.engines:
                yield device, "onnx-int8", "int8", threads


def _contestant(network: Network, phase: Phase, device: str, engine: str, precision: str, threads: int) -> Contestant:
    shared: dict[str, Any] = {"device": device, "threads": threads, "precision": precision}
    if phase == "training":
        found: Contestant = TrainingStep(network.model, HyperParameters(), network.preprocessing, **shared)
    elif engine == "eager":
        found = Predictor.from_model(network.model, network.preprocessing, network.labels, **shared)
    elif network.bundle is not None:
        found = Predictor.from_bundle(network.bundle, engine, threads=threads)
        if reason := unproved(found):
            raise WorkbenchError(reason)
    else:
        content = export_onnx(network.model, network.preprocessing)
        found = Predictor.from_onnx(content, network.preprocessing, network.labels, threads=threads)
    found.model = network.name
    return found


def _title(device: str) -> str:
    try:
        return find_device(device).title
    except WorkbenchError:
        return device


def _called(spec: ModelSpec) -> str:
    """The name of a network of the zoo, with what sets it apart from the one that was recorded."""
    usual = ModelSpec(name=spec.name, classes=10, height=32, pixel_width=32, channels=3, width=1.0)
    told = [spec.name]
    if spec.width != usual.width:
        told.append(f"width {spec.width:g}")
    if (spec.height, spec.pixel_width, spec.channels) != (usual.height, usual.pixel_width, usual.channels):
        told.append(f"{spec.height}×{spec.pixel_width}×{spec.channels}")
    if spec.classes != usual.classes:
        told.append(f"{spec.classes} kinds")
    return ", ".join(told)


def _own(model: nn.Module, example: Any) -> Network:
    spec = spec_of(model)
    if example is None and spec is not None:
        shape = (spec.height, spec.pixel_width, spec.channels)
        pictures = _random_pictures(_preprocessing(shape))
    else:
        pictures = _pictures(example, name_of(model))
    height, width, channels = pictures.shape[1:]
    preprocessing = _preprocessing((height, width, channels))
    operations(model, shape=(height, width, channels))  # says in a sentence where it does not take them
    name = name_of(model) if spec is None else _called(spec)
    return Network(
        name=name,
        model=model,
        preprocessing=preprocessing,
        labels=tuple(str(place) for place in range(_classes(model, preprocessing))),
        pictures=pictures,
        recorded=spec is not None and name == spec.name,
    )


def _pictures(example: Any, name: str) -> NDArray[np.uint8]:
    told = "uint8 pictures (N, H, W, C), or a float tensor (N, C, H, W), with 1 or 3 channels"
    if example is None:
        raise WorkbenchError(f"{name} is a network of your own: give an example of what it takes, {told}.")
    array = np.asarray(example.detach().cpu() if isinstance(example, torch.Tensor) else example)
    if array.ndim != 4 or 0 in array.shape:
        raise WorkbenchError(f"The example for {name} has the shape {array.shape}: it must be {told}.")
    if array.dtype == np.uint8:
        pictures = array
    elif np.issubdtype(array.dtype, np.floating):
        pictures = np.random.default_rng(0).integers(0, 256, array.transpose(0, 2, 3, 1).shape, np.uint8)
    else:
        raise WorkbenchError(f"The example for {name} is of {array.dtype}: it must be {told}.")
    if pictures.shape[3] not in (1, 3):
        raise WorkbenchError(f"The example for {name} has {pictures.shape[3]} channels: it must be {told}.")
    return np.ascontiguousarray(pictures)


def _random_pictures(preprocessing: Preprocessing) -> NDArray[np.uint8]:
    shape = (_OWN_PICTURES, preprocessing.height, preprocessing.width, preprocessing.channels)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


def _preprocessing(shape: tuple[int, int, int]) -> Preprocessing:
    height, width, channels = shape
    half = (0.5,) * channels
    return Preprocessing(height=height, width=width, channels=channels, mean=half, std=half)


def _classes(model: nn.Module, preprocessing: Preprocessing) -> int:
    meta = copy.deepcopy(getattr(model, "_orig_mod", model)).float().to("meta").eval()
    height, width, channels = preprocessing.height, preprocessing.width, preprocessing.channels
    with torch.no_grad():
        answers = meta(torch.empty(1, channels, height, width, device="meta"))
    if not isinstance(answers, torch.Tensor) or answers.ndim != 2:
        shape = tuple(answers.shape) if isinstance(answers, torch.Tensor) else type(answers).__name__
        raise WorkbenchError(f"{name_of(model)} answers one picture with {shape}: it must be (1, kinds).")
    return int(answers.shape[1])


def _code(model: nn.Module) -> list[str]:
    """The source of its classes, where Python has it: the same layers may be called in another order."""
    found = []
    for kind in sorted({type(module) for module in model.modules()}, key=lambda kind: kind.__qualname__):
        if not kind.__module__.startswith("torch."):
            try:
                found.append(inspect.getsource(kind))
            except (OSError, TypeError):
                found.append(kind.__qualname__)
    return found
