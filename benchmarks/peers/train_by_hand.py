"""A hand-written training loop, from a tutorial's with resident data to the exact steps of `train()`, rung by rung.

The last rung, "by hand", does what `train()` does, without the generator, its records and its checks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.peers.turns import CPU, begin
from workbench.data.datasets import Data
from workbench.hyperparameters import HyperParameters
from workbench.machine.devices import find_device
from workbench.machine.processor import keep_freed_memory
from workbench.training.batches import Batches
from workbench.training.models import Normalise
from workbench.training.optimization import learning_rate_at, make_optimizer


@dataclass(frozen=True, kw_only=True)
class Rung:
    """What the loop does beyond that of the tutorial; all rungs have resident data."""

    channels_last: bool = False
    is_fp32: bool = True
    keeps_memory: bool = False
    batch_size: int = 64
    one_cycle: bool = False
    flip: bool = False


RUNGS = {
    "resident": Rung(),
    "channels_last": Rung(channels_last=True),
    "precision": Rung(channels_last=True, is_fp32=False),
    "memory": Rung(channels_last=True, is_fp32=False, keeps_memory=True),
    "batch": Rung(channels_last=True, is_fp32=False, keeps_memory=True, batch_size=128),
    "schedule": Rung(channels_last=True, is_fp32=False, keeps_memory=True, batch_size=128, one_cycle=True),
    "by hand": Rung(channels_last=True, is_fp32=False, keeps_memory=True, batch_size=128, one_cycle=True, flip=True),
}


def by_hand(
    model: nn.Module, data: Data, hyperparameters: HyperParameters, rung: Rung = RUNGS["by hand"]
) -> Iterator[tuple[int, bool]]:
    """Train `model`, yielding after each step its number of images and whether it was the last of the epoch.

    The rung overrides batch size, mirroring and layout of `hyperparameters`, whose precision is "fp32" or "bf16" and
    which have no label smoothing. The set-up happens in this call, not with the first step.
    """
    if rung.keeps_memory:
        keep_freed_memory()
    layout = torch.channels_last if rung.channels_last else torch.contiguous_format
    has_bf16 = hyperparameters.precision == "bf16" and not rung.is_fp32
    hyperparameters = hyperparameters.replace(batch_size=rung.batch_size, flip=rung.flip)
    model.to(memory_format=layout).train()
    normalise, loss_function = Normalise(data.preprocessing), nn.CrossEntropyLoss()
    batches = Batches(data.train, hyperparameters, CPU, find_device("cpu").free_memory())
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    optimizer = make_optimizer(model, hyperparameters, CPU) if rung.one_cycle else adam

    def steps() -> Iterator[tuple[int, bool]]:
        step, total = 0, hyperparameters.epochs * len(batches)
        for epoch in range(hyperparameters.epochs):
            for images, labels in batches.epoch(epoch):
                if rung.one_cycle:
                    for group in optimizer.param_groups:
                        group["lr"] = learning_rate_at(step, total, hyperparameters)
                inputs = normalise(images).contiguous(memory_format=layout)
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=has_bf16):
                    logits = model(inputs)
                loss_function(logits.float(), labels).backward()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                step += 1
                yield len(labels), step % len(batches) == 0

    return steps()


def main() -> None:
    """Train one rung, during our turns."""
    task, turns = begin()
    rung, model = RUNGS[task.variant], task.network()
    steps = by_hand(model, task.data, task.hyperparameters, rung)
    turns.ready(**task.about(model, rung.batch_size) | {"precision": "fp32" if rung.is_fp32 else task.precision})
    for images, is_last in steps:
        turns.step(images)
        if is_last:
            turns.epoch(lambda: task.accuracy(model))


if __name__ == "__main__":
    main()
