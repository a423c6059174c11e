"""The operations a network is made of, counted on shapes alone: what each computes and what it reads and writes.

The network runs on PyTorch's meta device (shapes without numbers), so that even one too large for this machine is
counted in a moment; and at batches of 1, 2 and 4 alone, as all others lie on a straight line. The figures are
*modelled*: no cache, no padding and no temporary memory of a kernel is in them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from workbench.errors import WorkbenchError
from workbench.models import Classifier, Normalise, build_model, name_of
from workbench.preprocessing import Preprocessing

Shape = tuple[int, int, int]
Phase = Literal["inference", "training"]

BYTES_PER_VALUE = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}

# Engines that compile the network first: what follows a convolution or a matrix product value by value is computed
# while its result is still in a register.
FUSING_ENGINES = ("compiled", "onnx", "onnx-int8", "c")
ENGINES = ("eager", *FUSING_ENGINES)

_PRODUCTS = ("convolution", "addmm", "mm", "bmm", "baddbmm", "linear")
_FUSED = ("native_batch_norm", "relu", "add", "hardtanh", "clamp", "clamp_min", "sigmoid", "silu", "hardswish", "gelu")
_NO_WORK = ("empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "lift_fresh", "_unsafe_view")
_COUNTED = (1, 2, 4)  # batch sizes at which a network is run; batch norm learns from two values at least
_of_modules: WeakKeyDictionary[nn.Module, dict[Any, tuple[Operation, ...]]] = WeakKeyDictionary()
_OPTIMIZER_VALUES = 5  # read: weight, gradient, momentum; written: weight, momentum


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One kernel of one batch. flops: a multiplication and an addition counted as two; 0 for what is no product.
    bytes: its inputs read once and its outputs written once.
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
    """What is computed for one batch of uint8 pictures of `shape` (height, width, channels), in order.

    model: a network, or the name of one for `build_model`. phase: "inference" from the pictures to the probabilities;
    "training" one step, forward, backward and the optimizer (SGD with momentum). engine: "eager" runs every kernel by
    itself; "compiled", "onnx", "onnx-int8" and "c" fuse batch norm, activation and addition into the product before
    them in inference, so that their operation vanishes. precision: the bytes of each value ("fp32", "bf16", "fp16",
    "int8"). Views cost nothing and are not counted. Raises WorkbenchError for a network that does not take such
    pictures, and for an unknown phase, engine or precision.
    """
    if phase not in ("inference", "training"):
        raise WorkbenchError(f"phase = {phase!r}: must be inference or training.")
    if engine not in ENGINES:
        raise WorkbenchError(f"engine = {engine!r}: must be one of {', '.join(ENGINES)}.")
    if precision not in BYTES_PER_VALUE:
        raise WorkbenchError(f"precision = {precision!r}: must be one of {', '.join(BYTES_PER_VALUE)}.")
    if type(batch_size) is not int or batch_size < 1:
        raise WorkbenchError(f"batch_size = {batch_size!r}: must be a whole number of at least 1.")
    if type(classes) is not int or classes < 1 or len(shape) != 3:
        raise WorkbenchError(
            f"shape = {shape!r}, classes = {classes!r}: must be (height, width, channels) and at least one class."
        )
    width = BYTES_PER_VALUE[precision]

    def count(size: int) -> tuple[Operation, ...]:
        if isinstance(model, str):
            return _counted_by_name(model, shape, classes, size, phase, width)
        return _counted_once(model, shape, size, phase, width)

    counted = count(batch_size) if batch_size in _COUNTED else _in_line(count(2), count(4), batch_size)
    return _fused(counted) if engine in FUSING_ENGINES and phase == "inference" else counted


def _in_line(two: Sequence[Operation], four: Sequence[Operation], batch_size: int) -> tuple[Operation, ...]:
    """The operations at any batch size, from those at 2 and at 4: FLOPs and bytes grow in a straight line."""
    return tuple(
        replace(
            low,
            flops=low.flops + (high.flops - low.flops) // 2 * (batch_size - 2),
            bytes=low.bytes + (high.bytes - low.bytes) // 2 * (batch_size - 2),
        )
        for low, high in zip(two, four, strict=True)
    )


def _counted_once(model: nn.Module, shape: Shape, batch_size: int, phase: Phase, width: int) -> tuple[Operation, ...]:
    """As `_counted`, once for each module as long as its layers stay as they are."""
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
    pictures = torch.empty(batch_size, *shape, dtype=torch.uint8, device="meta")
    count = _Counting(width)
    try:
        if phase == "inference":
            classifier = Classifier(network.eval(), preprocessing).to("meta")
            with torch.no_grad(), count:
                classifier(pictures)
            return tuple(count.seen)
        normalise = Normalise(preprocessing).to("meta")
        labels = torch.zeros(batch_size, dtype=torch.int64, device="meta")
        with count:
            nn.functional.cross_entropy(network.train()(normalise(pictures)).float(), labels).backward()
    except Exception as error:  # a network of anyone's may fail in any way
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise WorkbenchError(
            f"{name_of(model)} does not take pictures of {height}×{pixel_width}×{channels}: {reason}"
        ) from error
    return (*count.seen, *_optimizer_steps(network))


def _optimizer_steps(network: nn.Module) -> Iterator[Operation]:
    """One fused kernel for the matrices and one for the biases and norms (`make_optimizer`'s groups), in fp32."""
    for matrices in (True, False):
        values = sum(p.numel() for p in network.parameters() if p.requires_grad and (p.ndim > 1) == matrices)
        if values:
            yield Operation(name="fused_sgd", flops=0, bytes=_OPTIMIZER_VALUES * 4 * values)


def _fused(counted: Iterable[Operation]) -> tuple[Operation, ...]:
    kept: list[Operation] = []
    after_product = False
    for operation in counted:
        if operation.name in _PRODUCTS:
            after_product = True
        elif operation.name not in _FUSED:
            after_product = False
        if operation.name in _PRODUCTS or not after_product:
            kept.append(operation)
    return tuple(kept)


class _Counting(TorchDispatchMode):
    """Notes each kernel that runs under it. width: the bytes that a floating-point value takes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.seen: list[Operation] = []
        self._width = width

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        packet = func._overloadpacket
        name = str(packet).rsplit(".", 1)[-1]
        plain = name.rstrip("_")
        if func.is_view or plain in _NO_WORK:
            return result
        # flops of the registry's products; everything else is bound by its bytes and counts none
        flops = int(flop_registry[packet](*args, **kwargs, out_val=result)) if packet in flop_registry else 0
        moved = sum(self._bytes(value) for value in tree_leaves((args, kwargs, result)) if isinstance(value, Tensor))
        self.seen.append(Operation(name=plain, flops=flops, bytes=moved))
        return result

    def _bytes(self, tensor: Tensor) -> int:
        size = self._width if tensor.is_floating_point() else tensor.element_size()
        return size * tensor.numel()
