"""What a choice of hyper-parameters costs, computed before anything runs: parameters, FLOPs and bytes.

The network is built and run on tensors that have a shape and no numbers, so that even one too large for this machine is
costed in a moment. They are fake tensors, which know what a CPU's kernels give out, autocast, and whatever a user's
network holds; the training steps of a network of the zoo in fp32, where none of that matters, run on PyTorch's meta
device, which is quicker. All figures are *modelled*: counted from shapes, not measured.
"""

from __future__ import annotations

import copy
import logging
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeCopyMode, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from workbench.batches import steps_per_epoch
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.models import build_model, name_of, parameter_count


@dataclass(frozen=True, kw_only=True)
class Cost:
    """The cost of one network under given hyper-parameters. Bytes are counted for one batch where they depend on it.

    inference_flops: forward pass of one picture, a multiplication and an addition counted as two.
    training_flops: forward and backward pass of one picture. activation_bytes: what the forward pass must keep for
    the backward pass. working_bytes: the most the forward pass holds at once when nothing is kept, inference of one
    picture, without the weights.
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
    pictures: int

    @property
    def training_bytes(self) -> int:
        """Weights, gradients, optimizer state and activations together."""
        return self.weight_bytes + self.gradient_bytes + self.optimizer_bytes + self.activation_bytes

    @property
    def inference_bytes(self) -> int:
        """Weights, and the working memory for one picture."""
        return self.weight_bytes + self.working_bytes

    @property
    def run_flops(self) -> int:
        """The whole training run, validation not counted."""
        return self.training_flops * self.pictures * self.epochs


_Mode = FakeTensorMode | torch.device
_Build = Callable[[bool], tuple[_Mode, nn.Module]]


def cost_of(
    hyperparameters: HyperParameters,
    *,
    shape: tuple[int, int, int] = (32, 32, 3),
    classes: int = 10,
    pictures: int = 10_000,
    network: nn.Module | None = None,
) -> Cost:
    """The cost of training on `pictures` pictures of `shape` (height, width, channels).

    network: counted in place of the one that the hyper-parameters name. precision "auto" is counted as fp32. Raises
    WorkbenchError for a network that does not take such pictures.
    """
    batch = min(hyperparameters.batch_size, pictures)
    return costs_at((batch,), hyperparameters, shape=shape, classes=classes, pictures=pictures, network=network)[0]


def costs_at(
    batch_sizes: Sequence[int],
    hyperparameters: HyperParameters,
    *,
    shape: tuple[int, int, int],
    classes: int,
    pictures: int,
    network: nn.Module | None = None,
) -> tuple[Cost, ...]:
    """As `cost_of`, at each of several batch sizes in place of that of the hyper-parameters."""
    bf16 = hyperparameters.precision == "bf16"

    def build(fake: bool) -> tuple[_Mode, nn.Module]:
        if network is not None:
            faking = FakeTensorMode()
            with FakeCopyMode(faking):
                return faking, copy.deepcopy(getattr(network, "_orig_mod", network)).requires_grad_(True)
        mode = FakeTensorMode() if fake else torch.device("meta")
        with mode:
            name, width = hyperparameters.model, hyperparameters.width
            return mode, build_model(name, classes=classes, shape=shape, width=width)

    # PyTorch logs a traceback of what goes wrong on fake tensors; ours is the sentence below.
    logger = logging.getLogger("torch._subclasses.fake_tensor")
    was_disabled, logger.disabled = logger.disabled, True
    try:
        inference = _inference(build, shape)
        trainings = [_training(build, shape, batch, bf16) for batch in batch_sizes]
    except (RuntimeError, ValueError) as error:
        name = hyperparameters.model if network is None else name_of(network)
        raise WorkbenchError(
            f"{name} does not take pictures of {shape[0]}×{shape[1]}×{shape[2]}: {str(error).splitlines()[0]}"
        ) from error
    finally:
        logger.disabled = was_disabled
    parameters, weight_bytes, inference_flops, working_bytes = inference
    states = 2 if hyperparameters.optimizer == "adamw" else int(hyperparameters.momentum > 0)
    return tuple(
        Cost(
            parameters=parameters,
            inference_flops=inference_flops,
            training_flops=training_flops // batch,
            weight_bytes=weight_bytes,
            gradient_bytes=4 * parameters,
            optimizer_bytes=4 * parameters * states,
            activation_bytes=activation_bytes,
            working_bytes=working_bytes,
            batch_size=batch,
            steps_per_epoch=steps_per_epoch(pictures, batch),
            epochs=hyperparameters.epochs,
            pictures=pictures,
        )
        for batch, (training_flops, activation_bytes) in zip(batch_sizes, trainings, strict=True)
    )


def _inference(build: _Build, shape: tuple[int, int, int]) -> tuple[int, int, int, int]:
    height, width, channels = shape
    mode, model = build(True)
    with mode, torch.no_grad():
        model.eval()
        values = [*model.parameters(), *model.buffers()]
        picture = torch.empty(1, channels, height, width)
        with _LiveBytes(besides=values) as live, FlopCounterMode(display=False) as flops:
            live.note(picture)
            model(picture)
        return parameter_count(model), sum(value.nbytes for value in values), flops.get_total_flops(), live.peak


def _training(build: _Build, shape: tuple[int, int, int], batch: int, bf16: bool) -> tuple[int, int]:
    height, width, channels = shape
    kept: dict[int, int] = {}
    mode, model = build(bf16)
    model.train()
    with mode:
        own = {id(value.untyped_storage()) for value in (*model.parameters(), *model.buffers())}
        holders: list[Any] = []  # storages are told apart by identity, so none may be freed while we count

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
    """Counts the bytes of all tensors alive at once, those of `besides` apart; `peak` is the most there were."""

    def __init__(self, besides: list[Tensor]) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen: weakref.WeakSet[Any] = weakref.WeakSet(tensor.untyped_storage() for tensor in besides)

    def note(self, tensor: Tensor) -> None:
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
                self.note(leaf)
        return result
