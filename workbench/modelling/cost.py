"""Compute what hyper-parameters cost before anything runs: parameters, FLOPs and bytes.

The network is built and run on tensors that have a shape and no values, so that even one too large for this machine is
costed in a moment: on fake tensors, which know a CPU's kernels, autocast and whatever a user's network contains, or on
PyTorch's meta device, which is quicker and suffices for the training steps of a named network in fp32. All figures are
*modelled*: counted from shapes, not measured.
"""

from __future__ import annotations

import copy
import logging
import weakref
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from workbench.arguments import whole_number
from workbench.bundle.preprocessing import Shape
from workbench.hyperparameters import HyperParameters
from workbench.modelling.operations import LINE_BATCHES, extrapolate, image_errors
from workbench.training.batches import steps_per_epoch
from workbench.training.models import build_model, name_of, parameter_count, uncompiled


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of a network under given hyper-parameters. Bytes that depend on it are counted for one batch.

    inference_flops: forward pass of one image, a multiplication and an addition counted as two. training_flops:
    forward and backward pass of one image. activation_bytes: what the forward pass keeps for the backward pass.
    working_bytes: the most that inference of one image holds at once, without the weights.

    >>> cost = wb.cost_of(wb.HyperParameters())
    >>> cost.parameters, cost.training_bytes > 50 * cost.inference_bytes
    (94762, True)
    """

    parameters: int
    inference_flops: int
    training_flops: int
    weight_bytes: int
    gradient_bytes: int
    optimizer_bytes: int
    activation_bytes: int
    working_bytes: int
    batch_size: int
    steps_per_epoch: int
    epochs: int
    images: int

    @property
    def training_bytes(self) -> int:
        """Weights, gradients, optimizer state and activations."""
        return self.weight_bytes + self.gradient_bytes + self.optimizer_bytes + self.activation_bytes

    @property
    def inference_bytes(self) -> int:
        """Weights and the working memory for one image."""
        return self.weight_bytes + self.working_bytes

    @property
    def run_flops(self) -> int:
        """FLOPs of the whole training run, without validation."""
        return self.training_flops * self.images * self.epochs


@dataclass(frozen=True, kw_only=True)
class CostCount:
    """What was counted of a network, from which its cost follows for any hyper-parameters that keep the network.

    training: (FLOPs, activation bytes) of a training step, by the batch sizes that were counted.
    """

    parameters: int
    weight_bytes: int
    inference_flops: int
    working_bytes: int
    training: Mapping[int, tuple[int, int]]

    def cost(self, hyperparameters: HyperParameters, images: int) -> Cost:
        """Return the cost of training on `images` images; batch sizes that were not counted need LINE_BATCHES to be."""
        batch = min(hyperparameters.batch_size, images)
        if batch in self.training:
            flops, activation_bytes = self.training[batch]
        else:
            small, large = (self.training[size] for size in LINE_BATCHES)
            flops, activation_bytes = (extrapolate(batch, *counts) for counts in zip(small, large, strict=True))
        states = 2 if hyperparameters.optimizer == "adamw" else int(hyperparameters.momentum > 0)
        return Cost(
            parameters=self.parameters,
            inference_flops=self.inference_flops,
            training_flops=flops // batch,
            weight_bytes=self.weight_bytes,
            gradient_bytes=4 * self.parameters,
            optimizer_bytes=4 * self.parameters * states,
            activation_bytes=activation_bytes,
            working_bytes=self.working_bytes,
            batch_size=batch,
            steps_per_epoch=steps_per_epoch(images, batch),
            epochs=hyperparameters.epochs,
            images=images,
        )


def cost_of(
    hyperparameters: HyperParameters,
    *,
    shape: Shape = (32, 32, 3),
    classes: int = 10,
    images: int = 10_000,
    network: nn.Module | None = None,
) -> Cost:
    """Return the cost of training on `images` images of `shape` (height, width, channels).

    network: takes the place of the one that the hyper-parameters name. precision "auto" is counted as fp32. Raises
    WorkbenchError for a network that does not take such images.

    >>> small, large = (wb.cost_of(wb.HyperParameters(batch_size=size)) for size in (64, 128))
    >>> large.weight_bytes == small.weight_bytes, large.activation_bytes > 1.9 * small.activation_bytes
    (True, True)
    """
    batch = min(hyperparameters.batch_size, whole_number("images", images, 1))
    count = count_cost(hyperparameters, (batch,), shape=shape, classes=classes, network=network)
    return count.cost(hyperparameters, images)


_Mode = FakeTensorMode | torch.device
_Build = Callable[[bool], tuple[_Mode, nn.Module]]


def count_cost(
    hyperparameters: HyperParameters,
    batch_sizes: Collection[int],
    *,
    shape: Shape,
    classes: int,
    network: nn.Module | None = None,
) -> CostCount:
    """Count the network of the hyper-parameters, or `network`, with training steps of these batch sizes."""
    bf16 = hyperparameters.precision == "bf16"

    def build(fake: bool) -> tuple[_Mode, nn.Module]:
        if network is not None:
            faking = FakeTensorMode()
            with FakeCopyMode(faking):
                return faking, copy.deepcopy(uncompiled(network)).requires_grad_(True)
        mode = FakeTensorMode() if fake else torch.device("meta")
        with mode:
            name, width = hyperparameters.model, hyperparameters.width
            return mode, build_model(name, classes=classes, shape=shape, width=width)

    name = hyperparameters.model if network is None else name_of(network)
    with image_errors(name, shape), _quiet_fake_tensors():
        inference = _count_inference(build, shape)
        training = {batch: _count_training(build, shape, batch, bf16) for batch in batch_sizes}
    return CostCount(**inference, training=training)


@contextmanager
def _quiet_fake_tensors() -> Iterator[None]:
    """Keep PyTorch from logging a traceback for errors on fake tensors, which `image_errors` reports."""
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = was_disabled


def _count_inference(build: _Build, shape: Shape) -> dict[str, int]:
    height, width, channels = shape
    mode, model = build(True)
    with mode, torch.no_grad():
        model.eval()
        values = [*model.parameters(), *model.buffers()]
        image = torch.empty(1, channels, height, width)
        with _LiveBytes(ignored=values) as live, FlopCounterMode(display=False) as flops:
            live.add(image)
            model(image)
    return {
        "parameters": parameter_count(model),
        "weight_bytes": sum(value.nbytes for value in values),
        "inference_flops": flops.get_total_flops(),
        "working_bytes": live.peak,
    }


def _count_training(build: _Build, shape: Shape, batch: int, bf16: bool) -> tuple[int, int]:
    height, width, channels = shape
    kept: dict[int, int] = {}
    mode, model = build(bf16)
    model.train()
    with mode:
        own = {id(value.untyped_storage()) for value in (*model.parameters(), *model.buffers())}
        holders: list[Any] = []  # storages are identified by id(), so none may be freed while counting

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            holders.append(storage)
            if id(storage) not in own:
                kept[id(storage)] = storage.nbytes()
            return tensor

        inputs, labels = torch.empty(batch, channels, height, width), torch.zeros(batch, dtype=torch.int64)
        with FlopCounterMode(display=False) as flops:
            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
                    logits = model(inputs)
                loss = nn.functional.cross_entropy(logits.float(), labels)
            loss.backward()
    return flops.get_total_flops(), sum(kept.values())


class _LiveBytes(TorchDispatchMode):
    """Tracks the bytes of all live tensors except `ignored`; `peak` is the most at once."""

    def __init__(self, ignored: list[Tensor]) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen: weakref.WeakSet[Any] = weakref.WeakSet(tensor.untyped_storage() for tensor in ignored)

    def add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage in self._seen:
            return
        self._seen.add(storage)
        size = storage.nbytes()
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._freed, size)

    def _freed(self, size: int) -> None:
        self.now -= size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.add(leaf)
        return result
