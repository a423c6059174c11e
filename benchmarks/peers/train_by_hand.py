"""The loop by hand, from the tutorial's with resident data up to the very steps of `train()`: a rung is a variant.

The last rung, "by hand", is what `train()` does without the generator, its records and its checks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.peers.turns import CPU, begin
from workbench.batches import Batches
from workbench.data import Data
from workbench.devices import find_device, keep_freed_memory
from workbench.hyperparameters import HyperParameters
from workbench.models import Normalise
from workbench.optimization import learning_rate_at, make_optimizer


@dataclass(frozen=True, kw_only=True)
class Rung:
    """What the loop does beyond the tutorial's; resident data all have."""

    channels_last: bool = False
    precise: bool = True
    keeps_memory: bool = False
    batch_size: int = 64
    one_cycle: bool = False
    flip: bool = False


RUNGS = {
    "resident": Rung(),
    "channels_last": Rung(channels_last=True),
    "precision": Rung(channels_last=True, precise=False),
    "memory": Rung(channels_last=True, precise=False, keeps_memory=True),
    "batch": Rung(channels_last=True, precise=False, keeps_memory=True, batch_size=128),
    "schedule": Rung(channels_last=True, precise=False, keeps_memory=True, batch_size=128, one_cycle=True),
    "by hand": Rung(channels_last=True, precise=False, keeps_memory=True, batch_size=128, one_cycle=True, flip=True),
}


def by_hand(
    model: nn.Module, data: Data, hyperparameters: HyperParameters, rung: Rung = RUNGS["by hand"]
) -> Iterator[tuple[int, bool]]:
    """Train `model` as the rung has it: after each step how many pictures it took, and whether it was the epoch's last.

    The rung decides batch size, mirroring and layout, whatever `hyperparameters` say; their precision is "fp32" or
    "bf16", and they have no label smoothing. What is needed is set up in this call, not with the first step.
    """
    if rung.keeps_memory:
        keep_freed_memory()
    layout = torch.channels_last if rung.channels_last else torch.contiguous_format
    halved = hyperparameters.precision == "bf16" and not rung.precise
    hyperparameters = hyperparameters.replace(batch_size=rung.batch_size, flip=rung.flip)
    model.to(memory_format=layout).train()
    normalise, loss_of = Normalise(data.preprocessing), nn.CrossEntropyLoss()
    batches = Batches(data.train, hyperparameters, CPU, find_device("cpu").free_memory())
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    optimizer = make_optimizer(model, hyperparameters, CPU) if rung.one_cycle else adam

    def steps() -> Iterator[tuple[int, bool]]:
        step, total = 0, hyperparameters.epochs * len(batches)
        for epoch in range(hyperparameters.epochs):
            for pictures, labels in batches.epoch(epoch):
                if rung.one_cycle:
                    for group in optimizer.param_groups:
                        group["lr"] = learning_rate_at(step, total, hyperparameters)
                inputs = normalise(pictures).contiguous(memory_format=layout)
                with torch.autocast("cpu", dtype=torch.bfloat16, enabled=halved):
                    logits = model(inputs)
                loss_of(logits.float(), labels).backward()
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
                step += 1
                yield len(labels), step % len(batches) == 0

    return steps()


def main() -> None:
    """Train as the rung has it, at our turn."""
    task, turns = begin()
    rung, model = RUNGS[task.variant], task.network()
    steps = by_hand(model, task.data, task.hyperparameters, rung)
    turns.ready(**task.about(model, rung.batch_size) | {"precision": "fp32" if rung.precise else task.precision})
    for pictures, ended in steps:
        turns.step(pictures)
        if ended:
            turns.epoch(lambda: task.accuracy(model))


if __name__ == "__main__":
    main()
