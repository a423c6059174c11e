"""CPU training: `train()` beside the same loop written by hand, and beside the plain loop of a first tutorial.

All three train the default convnet on Fashion-MNIST on the same threads. They run interleaved in one process, a chunk
of steps each, in several rounds; a figure is the median over the rounds, with the lowest and the highest as its spread.

    train()        the workbench: resident uint8 pictures, channels_last, precision by race, records every 20 steps
    by hand        the same steps in plain PyTorch, without the generator, its records or its checks
    plain loop     torchvision's data set, a DataLoader, fp32, contiguous: what a beginner writes
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torchvision
from torch import nn
from torch.utils.data import DataLoader

from benchmarks.inference import machine
from workbench.batches import Batches
from workbench.cache import data_root
from workbench.data import Data, load_dataset
from workbench.devices import find_device
from workbench.hyperparameters import HyperParameters, recommended
from workbench.models import Normalise, build_model
from workbench.optimization import learning_rate_at, make_optimizer
from workbench.training import train

CPU = torch.device("cpu")


def main() -> None:
    """Race, then print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=40, help="of each contender in each round")
    parser.add_argument("--threads", type=int, default=find_device("cpu").cores)
    options = parser.parse_args()
    if options.rounds < 5:
        parser.error("--rounds: at least 5, or the spread means nothing")
    torch.set_num_threads(options.threads)
    data = load_dataset("fashion-mnist")
    ours, precision = _ours(data, options.steps)
    hyperparameters = recommended("fashion-mnist").replace(precision=precision)
    contenders = {
        "train()": ours,
        "by hand": _by_hand(data, hyperparameters, options.steps),
        "plain loop": _plain(hyperparameters, options.steps),
    }
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for round_number in range(options.rounds + 1):
        # Turns start elsewhere each round, so that no contender always runs behind the same rival.
        names = [*contenders][round_number % 3 :] + [*contenders][: round_number % 3]
        for name in names:
            start = time.perf_counter()
            pictures = contenders[name]()
            if round_number > 0:  # the first is warm-up
                speeds[name].append(pictures / (time.perf_counter() - start))
    result = {"benchmark": "training", "data": data.name, "precision": precision, "threads": options.threads}
    _report(result | machine() | {"steps": options.steps, "rounds": options.rounds}, speeds)


def _ours(data: Data, steps: int) -> tuple[Callable[[], int], str]:
    hyperparameters = recommended("fashion-mnist").replace(epochs=100)
    model = build_model("convnet", shape=data.shape)
    run = train(model, data, hyperparameters, device="cpu")
    last = next(run)

    def chunk() -> int:
        nonlocal last
        begun = last.step
        while last.step - begun < steps:
            last = next(run)
            if last.kind == "epoch":  # a validation is no part of the race: begin to count anew
                raise SystemExit("The race outlasted an epoch: use fewer --rounds or --steps.")
        return (last.step - begun) * len(data.train) * 100 // last.steps

    return chunk, last.precision


def _by_hand(data: Data, hyperparameters: HyperParameters, steps: int) -> Callable[[], int]:
    model = build_model("convnet", shape=data.shape).to(memory_format=torch.channels_last).train()
    normalise = Normalise(data.preprocessing)
    optimizer = make_optimizer(model, hyperparameters, CPU)
    batches = Batches(data.train, hyperparameters, CPU, find_device("cpu").free_memory())
    queue = batches.epoch(0)
    loss_of = nn.CrossEntropyLoss()
    done = 0

    def chunk() -> int:
        nonlocal done
        pictures = 0
        for _ in range(steps):
            batch, labels = next(queue)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(done, 100 * len(batches), hyperparameters)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=hyperparameters.precision == "bf16"):
                logits = model(normalise(batch))
            loss_of(logits.float(), labels).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            pictures += len(labels)
            done += 1
        return pictures

    return chunk


def _plain(hyperparameters: HyperParameters, steps: int) -> Callable[[], int]:
    transform = torchvision.transforms.Compose(
        [
            torchvision.transforms.RandomHorizontalFlip(),
            torchvision.transforms.ToTensor(),
            torchvision.transforms.Normalize((0.286,), (0.353,)),
        ]
    )
    pictures_of = torchvision.datasets.FashionMNIST(str(data_root()), train=True, transform=transform)
    model = build_model("convnet", shape=(28, 28, 1)).train()
    optimizer = torch.optim.SGD(
        model.parameters(), lr=hyperparameters.learning_rate / 25, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    loss_of = nn.CrossEntropyLoss()

    def forever() -> Iterator[Any]:
        while True:
            yield from DataLoader(pictures_of, batch_size=hyperparameters.batch_size, shuffle=True)

    queue = forever()

    def chunk() -> int:
        pictures = 0
        for _ in range(steps):
            batch, labels = next(queue)
            optimizer.zero_grad()
            loss_of(model(batch), labels).backward()
            optimizer.step()
            pictures += len(labels)
        return pictures

    return chunk


def _report(result: dict[str, Any], speeds: dict[str, list[float]]) -> None:
    rounds = range(len(speeds["train()"]))
    rows = {}
    print(f"{result['processor']}, {result['threads']} threads, {result['precision']}; median (lowest – highest)")
    for name, values in speeds.items():
        # Ratios are taken within a round, where the machine's mood was the same for all.
        ratio = statistics.median(speeds["train()"][k] / values[k] for k in rounds)
        median = statistics.median(values)
        rows[name] = {"pictures_per_second": median, "lowest": min(values), "highest": max(values), "train_is": ratio}
        spread = f"({min(values):,.0f} – {max(values):,.0f})"
        print(f"  {name:<12}{median:>8,.0f} pictures/s {spread:<20} train() is {ratio:.3f}× as fast")
    print(json.dumps(result | {"origin": "measured", "contenders": rows}))


if __name__ == "__main__":
    main()
