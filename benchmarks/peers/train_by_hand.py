"""The loop by hand, from the tutorial's with resident data up to the very steps of `train()`: a rung is a variant.

The last rung, "by hand", is what `train()` does without the generator, its records and its checks.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from benchmarks.peers.turns import CPU, begin
from workbench.devices import keep_freed_memory
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


def main() -> None:
    """Train as the rung has it."""
    task, turns = begin()
    rung = RUNGS[task.variant]
    if rung.keeps_memory:
        keep_freed_memory()
    layout = torch.channels_last if rung.channels_last else torch.contiguous_format
    precision = "fp32" if rung.precise else task.precision
    hyperparameters = task.hyperparameters.replace(batch_size=rung.batch_size, flip=rung.flip)
    model = task.network().to(memory_format=layout).train()
    normalise, loss_of = Normalise(task.data.preprocessing), nn.CrossEntropyLoss()
    batches = task.batches(hyperparameters)
    adam = torch.optim.Adam(model.parameters(), lr=1e-3)
    optimizer = make_optimizer(model, hyperparameters, CPU) if rung.one_cycle else adam
    step, steps = 0, task.epochs * len(batches)

    turns.ready(**task.about(model, rung.batch_size) | {"precision": precision})
    for epoch in range(task.epochs):
        for pictures, labels in batches.epoch(epoch):
            if rung.one_cycle:
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate_at(step, steps, hyperparameters)
            inputs = normalise(pictures).contiguous(memory_format=layout)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
                logits = model(inputs)
            loss_of(logits.float(), labels).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            step += 1
            turns.step(len(labels))
        turns.epoch(lambda: task.accuracy(model))


if __name__ == "__main__":
    main()
