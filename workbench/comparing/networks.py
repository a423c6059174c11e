"""A network to compare devices with: one of the model zoo, that of a run, or the user's own."""

from __future__ import annotations

import copy
import hashlib
import inspect
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from workbench.bundle.files import WEIGHTS
from workbench.bundle.manifest import Bundle, read_bundle
from workbench.bundle.preprocessing import Preprocessing, Shape
from workbench.errors import WorkbenchError
from workbench.folders import REFERENCE
from workbench.modelling.operations import operations
from workbench.runs import Run
from workbench.training.checkpoint import load_weights, weights_from_bytes
from workbench.training.models import ModelSpec, build_model, name_of, spec_of, uncompiled
from workbench.wording import shorten

_INVENTED_IMAGES = 8
_EXAMPLE = "uint8 images (N, H, W, C), or a float tensor (N, C, H, W), with 1 or 3 channels"


@dataclass(frozen=True, kw_only=True)
class Network:
    """A network with everything needed to run it.

    images: uint8 (N, H, W, C), to run it on. recorded: whether recordings of other devices under this name are of this
    very network, with the same layers, image shape and number of classes. bundle: the network exported, if it is.

    >>> from workbench.comparing import find_network
    >>> network = find_network("convnet")
    >>> network.name, network.shape, network.recorded
    ('convnet', (32, 32, 3), True)
    """

    name: str
    model: nn.Module = field(repr=False)
    preprocessing: Preprocessing
    labels: tuple[str, ...]
    images: NDArray[np.uint8] = field(repr=False)
    recorded: bool = False
    bundle: Bundle | None = field(default=None, repr=False)

    @property
    def shape(self) -> Shape:
        """(height, width, channels) of its images."""
        return self.preprocessing.shape

    @property
    def fingerprint(self) -> str:
        """SHA-256 of what its speed depends on: layers, shapes and source code, but not the values of the weights."""
        bare = uncompiled(self.model)
        shapes = [(name, tuple(value.shape), str(value.dtype)) for name, value in bare.state_dict().items()]
        text = repr((self.name, self.shape, len(self.labels), str(bare), shapes, _source_code(bare)))
        return hashlib.sha256(text.encode()).hexdigest()


def find_network(source: str | Run | nn.Module, example: Any = None) -> Network:
    """Return a network by its name (in the model zoo or torchvision), that of a run, or the user's own module.

    The reference network, "convnet", has the weights of the reference bundle; others by name have random ones.
    example: for a user's own module, images as it takes them: uint8 (N, H, W, C), array or tensor, or a float
    tensor (N, C, H, W). Raises WorkbenchError for an unknown name, for a module without an example, and for an example
    that the module does not take.

    >>> from workbench.comparing import find_network
    >>> find_network(wb.build_model("mlp", classes=3, shape=(8, 8, 1))).name
    'mlp, 8×8×1, 3 classes'
    """
    if isinstance(source, str):
        return _named(source)
    if isinstance(source, Run):
        return _of_run(source)
    if isinstance(source, nn.Module):
        return _own(source, example)
    raise WorkbenchError(
        f"{shorten(repr(source))} is not a network: give a name such as 'convnet', a Run, or an nn.Module with an "
        "example of its images."
    )


def _named(name: str) -> Network:
    reference = read_bundle(REFERENCE)
    is_reference = name == reference.model
    if is_reference:
        model = weights_from_bytes(reference.weights, reference.path / WEIGHTS).model
    else:
        model = build_model(name, classes=len(reference.labels), shape=reference.preprocessing.shape)
    spec = spec_of(model)
    return Network(
        name=name,
        model=model,
        preprocessing=reference.preprocessing,
        labels=reference.labels,
        images=reference.self_test_images,
        recorded=spec is not None and _distinct_name(spec) == name,
        bundle=reference if is_reference else None,
    )


def _of_run(run: Run) -> Network:
    weights = load_weights(run.weights)
    assert weights.spec is not None  # otherwise it cannot be loaded without its class
    name = _distinct_name(weights.spec)
    return Network(
        name=name,
        model=weights.model,
        preprocessing=weights.preprocessing,
        labels=weights.labels,
        images=_invented_images(weights.preprocessing.shape),
        recorded=name == weights.spec.name,
        bundle=read_bundle(run.bundle) if run.bundle.is_dir() else None,
    )


def _own(model: nn.Module, example: Any) -> Network:
    spec = spec_of(model)
    if example is None and spec is not None:
        images = _invented_images((spec.height, spec.pixel_width, spec.channels))
    else:
        images = _example_images(example, name_of(model))
    height, width, channels = images.shape[1:]
    half = (0.5,) * channels
    preprocessing = Preprocessing(height=height, width=width, channels=channels, mean=half, std=half)
    operations(model, shape=preprocessing.shape)  # raises a sentence if the model does not take the images
    name = name_of(model) if spec is None else _distinct_name(spec)
    return Network(
        name=name,
        model=model,
        preprocessing=preprocessing,
        labels=tuple(str(index) for index in range(_count_classes(model, preprocessing.shape))),
        images=images,
        recorded=spec is not None and name == spec.name,
    )


def _distinct_name(spec: ModelSpec) -> str:
    """Return the name of a network of the zoo, with everything in which it differs from the recorded one."""
    usual = ModelSpec(name=spec.name, classes=10, height=32, pixel_width=32, channels=3, width=1.0)
    parts = [spec.name]
    if spec.width != usual.width:
        parts.append(f"width {spec.width:g}")
    if (spec.height, spec.pixel_width, spec.channels) != (usual.height, usual.pixel_width, usual.channels):
        parts.append(f"{spec.height}×{spec.pixel_width}×{spec.channels}")
    if spec.classes != usual.classes:
        parts.append(f"{spec.classes} classes")
    return ", ".join(parts)


def _example_images(example: Any, name: str) -> NDArray[np.uint8]:
    if example is None:
        raise WorkbenchError(f"{name} is a network of your own: give an example of what it takes, {_EXAMPLE}.")
    array = np.asarray(example.detach().cpu() if isinstance(example, torch.Tensor) else example)
    if array.ndim != 4 or 0 in array.shape:
        raise WorkbenchError(f"The example for {name} has the shape {array.shape}: it must be {_EXAMPLE}.")
    if array.dtype == np.uint8:
        images = array
    elif np.issubdtype(array.dtype, np.floating):
        images = np.random.default_rng(0).integers(0, 256, array.transpose(0, 2, 3, 1).shape, np.uint8)
    else:
        raise WorkbenchError(f"The example for {name} is of {array.dtype}: it must be {_EXAMPLE}.")
    if images.shape[3] not in (1, 3):
        raise WorkbenchError(f"The example for {name} has {images.shape[3]} channels: it must be {_EXAMPLE}.")
    return np.ascontiguousarray(images)


def _invented_images(shape: Shape) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (_INVENTED_IMAGES, *shape), np.uint8)


def _count_classes(model: nn.Module, shape: Shape) -> int:
    height, width, channels = shape
    meta = copy.deepcopy(uncompiled(model)).float().to("meta").eval()
    with torch.no_grad():
        answers = meta(torch.empty(1, channels, height, width, device="meta"))
    if not isinstance(answers, torch.Tensor) or answers.ndim != 2:
        result = tuple(answers.shape) if isinstance(answers, torch.Tensor) else type(answers).__name__
        raise WorkbenchError(f"{name_of(model)} returns {result} for one image: it must be (1, classes).")
    return int(answers.shape[1])


def _source_code(model: nn.Module) -> list[str]:
    """Return the source of its classes where Python has it: the same layers may be called in another order."""
    found = []
    for each in sorted({type(module) for module in model.modules()}, key=lambda each: each.__qualname__):
        if not each.__module__.startswith("torch."):
            try:
                found.append(inspect.getsource(each))
            except (OSError, TypeError):
                found.append(each.__qualname__)
    return found
