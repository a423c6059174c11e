"""Count the operations of a network from shapes alone: the FLOPs of each, and the bytes it reads and writes.

The network runs on PyTorch's meta device (shapes without values), so that even one too large for this machine is
counted in a moment. The counts are *modelled*: they leave out caches, padding and a kernel's temporary memory.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, get_args
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from workbench.arguments import one_of, whole_number
from workbench.bundle.preprocessing import Preprocessing, Shape
from workbench.errors import WorkbenchError
from workbench.measuring.measurement import Phase
from workbench.training.models import ImageClassifier, Normalise, build_model, name_of
from workbench.units import BYTES_PER_VALUE

# Engines that compile the network first: the elementwise operations that follow a convolution or a matrix product are
# computed while its result is still in a register.
FUSING_ENGINES = ("compiled", "onnx", "onnx-int8", "c")
ENGINES = ("eager", *FUSING_ENGINES)
# FLOPs and bytes grow linearly with the batch size: counts at these two give those at any other. `operations` counts 1
# separately: some networks refuse to train on it (batch norm needs two values), others need a few copies less.
LINE_BATCHES = (2, 4)

_PRODUCTS = ("convolution", "addmm", "mm", "bmm", "baddbmm", "linear")
_FUSED = ("native_batch_norm", "relu", "add", "hardtanh", "clamp", "clamp_min", "sigmoid", "silu", "hardswish", "gelu")
_NO_WORK = ("empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "lift_fresh", "_unsafe_view")
_of_modules: WeakKeyDictionary[nn.Module, dict[Any, tuple[Operation, ...]]] = WeakKeyDictionary()
_OPTIMIZER_VALUES = 5  # per weight; read: weight, gradient, momentum; written: weight, momentum


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One kernel call on one batch.

    flops: of convolutions and matrix products, a multiplication and an addition counted as two; else 0. bytes: inputs
    read once plus outputs written once.
    """

    name: str
    flops: int
    bytes: int


def operations(
    model: nn.Module | str = "convnet",
    *,
    shape: Shape = (32, 32, 3),
    batch_size: int = 1,
    phase: Phase = "inference",
    engine: str = "eager",
    precision: str = "fp32",
    classes: int = 10,
) -> tuple[Operation, ...]:
    """Return the operations on one batch of uint8 images of `shape` (height, width, channels), in order.

    model: a network, or a name for `build_model`. phase: "inference", from images to probabilities, or "training", one
    step: forward, backward and the optimizer (SGD with momentum). engine: "eager" runs every kernel by itself;
    "compiled", "onnx", "onnx-int8" and "c" fuse batch norm, activation and addition into the preceding product in
    inference. precision: "fp32", "bf16", "fp16" or "int8", which sets the bytes per value. Views cost nothing and are
    left out. Raises WorkbenchError for a network that does not take such images, and for an invalid argument.

    >>> [(each.name, each.flops) for each in operations("linear") if each.flops]
    [('addmm', 61440)]
    """
    one_of("phase", phase, get_args(Phase))
    one_of("engine", engine, ENGINES)
    width = BYTES_PER_VALUE[one_of("precision", precision, BYTES_PER_VALUE)]
    batch_size, classes = whole_number("batch_size", batch_size, 1), whole_number("classes", classes, 1)
    if len(shape) != 3:
        raise WorkbenchError(f"shape = {shape!r}: must be (height, width, channels).")

    def count(size: int) -> tuple[Operation, ...]:
        if isinstance(model, str):
            return _counted_by_name(model, shape, classes, size, phase, width)
        return _counted_once(model, shape, size, phase, width)

    exact = batch_size in (1, *LINE_BATCHES)
    counted = count(batch_size) if exact else operations_at(batch_size, *map(count, LINE_BATCHES))
    return _fused(counted) if engine in FUSING_ENGINES and phase == "inference" else counted


def extrapolate(batch_size: int, small: int, large: int) -> int:
    """Return a count at `batch_size`, given its values at LINE_BATCHES, between which it grows linearly."""
    start, end = LINE_BATCHES
    return small + (large - small) // (end - start) * (batch_size - start)


def operations_at(batch_size: int, small: Sequence[Operation], large: Sequence[Operation]) -> tuple[Operation, ...]:
    """Return the operations at `batch_size`, given those at LINE_BATCHES."""
    return tuple(
        Operation(
            name=low.name,
            flops=extrapolate(batch_size, low.flops, high.flops),
            bytes=extrapolate(batch_size, low.bytes, high.bytes),
        )
        for low, high in zip(small, large, strict=True)
    )


@contextmanager
def image_errors(name: str, shape: Shape) -> Iterator[None]:
    """Turn whatever a network raises into a WorkbenchError: it does not take images of `shape`."""
    try:
        yield
    except WorkbenchError:
        raise
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WorkbenchError(f"{name} does not take images of {'×'.join(map(str, shape))}: {reason}") from error


def _counted_once(model: nn.Module, shape: Shape, batch_size: int, phase: Phase, width: int) -> tuple[Operation, ...]:
    """Return `_counted`, cached per module until its layers change."""
    shapes = tuple(tuple(value.shape) for value in model.state_dict().values())
    key = (repr(model), shapes, shape, batch_size, phase, width)
    known = _of_modules.setdefault(model, {})
    if key not in known:
        known[key] = _counted(model, shape, batch_size, phase, width)
    return known[key]


@cache
def _counted_by_name(
    name: str, shape: Shape, classes: int, batch_size: int, phase: Phase, width: int
) -> tuple[Operation, ...]:
    with torch.device("meta"):
        model = build_model(name, classes=classes, shape=shape)
    return _counted(model, shape, batch_size, phase, width)


def _counted(model: nn.Module, shape: Shape, batch_size: int, phase: Phase, width: int) -> tuple[Operation, ...]:
    height, pixel_width, channels = shape
    network = copy.deepcopy(model).float().to("meta")
    preprocessing = Preprocessing(
        height=height, width=pixel_width, channels=channels, mean=(0.5,) * channels, std=(0.5,) * channels
    )
    images = torch.empty(batch_size, *shape, dtype=torch.uint8, device="meta")
    counter = _Counter(width)
    with image_errors(name_of(model), shape):
        if phase == "inference":
            classifier = ImageClassifier(network.eval(), preprocessing).to("meta")
            with torch.no_grad(), counter:
                classifier(images)
            return tuple(counter.operations)
        normalise = Normalise(preprocessing).to("meta")
        labels = torch.zeros(batch_size, dtype=torch.int64, device="meta")
        with counter:
            nn.functional.cross_entropy(network.train()(normalise(images)).float(), labels).backward()
    return (*counter.operations, *_optimizer_steps(network))


def _optimizer_steps(network: nn.Module) -> Iterator[Operation]:
    """Yield a fused fp32 kernel for the matrices and one for the biases and norms (the groups of `make_optimizer`)."""
    for matrices in (True, False):
        values = sum(p.numel() for p in network.parameters() if p.requires_grad and (p.ndim > 1) == matrices)
        if values:
            yield Operation(name="fused_sgd", flops=0, bytes=_OPTIMIZER_VALUES * 4 * values)


def _fused(counted: Iterable[Operation]) -> tuple[Operation, ...]:
    """Drop the elementwise operations that a compiler computes within the product before them."""
    kept: list[Operation] = []
    after_product = False
    for operation in counted:
        is_product = operation.name in _PRODUCTS
        after_product = is_product or (after_product and operation.name in _FUSED)
        if is_product or not after_product:
            kept.append(operation)
    return tuple(kept)


class _Counter(TorchDispatchMode):
    """Records each kernel that runs under it. width: bytes of a floating-point value."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.operations: list[Operation] = []
        self._width = width

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        packet = func._overloadpacket
        name = str(packet).rsplit(".", 1)[-1].rstrip("_")
        if func.is_view or name in _NO_WORK:
            return result
        # PyTorch's registry covers convolutions and matrix products; all other kernels are bound by their bytes.
        flops = int(flop_registry[packet](*args, **kwargs, out_val=result)) if packet in flop_registry else 0
        moved = sum(self._bytes(value) for value in tree_leaves((args, kwargs, result)) if isinstance(value, Tensor))
        self.operations.append(Operation(name=name, flops=flops, bytes=moved))
        return result

    def _bytes(self, tensor: Tensor) -> int:
        return tensor.numel() * (self._width if tensor.is_floating_point() else tensor.element_size())
