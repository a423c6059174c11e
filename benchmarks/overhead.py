"""What `train()` adds to its own steps, written by hand without a generator, records or checks.

    python -m benchmarks overhead

Both train the default convnet on Fashion-MNIST in one process, in turns of some steps: between two processes (the race
`training`) the ratio moves by 5 % from run to run, which is more than what is asked for. Ratios are taken within a
round, and a figure is the median over the rounds with the lowest and the highest as its spread.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import torch

from benchmarks.inference import machine
from benchmarks.order import order
from benchmarks.peers.races import spread, told_spread
from benchmarks.peers.train_by_hand import by_hand
from benchmarks.training import DATA, chosen_precision
from workbench.data import load_dataset
from workbench.devices import find_device
from workbench.hyperparameters import recommended
from workbench.models import build_model
from workbench.training import Record, train

_EVERY = 20  # steps from one record to the next: the default of train()


def main() -> None:
    """Race, then print two lines and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--steps", type=int, default=40, help=f"of each in each round, a multiple of {_EVERY}")
    parser.add_argument("--threads", type=int, default=find_device("cpu").cores)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    options = parser.parse_args()
    if options.rounds < 5:
        parser.error("--rounds: at least 5, or the spread means nothing")
    if options.steps < 1 or options.steps % _EVERY:
        parser.error(f"--steps: a multiple of {_EVERY}, at which train() hands over")
    precision = chosen_precision() if options.precision == "auto" else options.precision
    torch.set_num_threads(options.threads)
    ways = contestants(precision, options.steps * (options.rounds + 1))
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(options.rounds + 1):
        for name in order(ways, number):
            start = time.perf_counter()
            steps = sum(islice(ways[name], options.steps // _EVERY))
            seconds[name].append((time.perf_counter() - start) / steps)
    seconds = {name: found[1:] for name, found in seconds.items()}  # the first warms up
    ratio = spread([ours / bare for ours, bare in zip(seconds["train()"], seconds["by hand"], strict=True)])
    told = {"benchmark": "overhead", "data": DATA, "threads": options.threads, "precision": precision} | machine()
    print(f"{told['processor']}, {options.threads} threads, {precision}; median (lowest – highest)")
    for name, found in seconds.items():
        print(f"  {name:10}{told_spread(spread([1e3 * each for each in found]), '.2f')} ms a step")
    print(f"  a step of train() takes {told_spread(ratio, '.3f')} times as long")
    rest = {"rounds": options.rounds, "steps": options.steps, "origin": "measured", "ratio": ratio}
    print(json.dumps(told | rest | {"seconds_per_step": {name: spread(found) for name, found in seconds.items()}}))


def contestants(precision: str, steps: int) -> dict[str, Iterator[int]]:
    """The two, for so many steps at least. Each yields how many it has taken since it last did: 20, or up to the end of
    an epoch.
    """
    data = load_dataset(DATA)
    data = replace(data, validation=data.validation.subset([]))
    per_epoch = -(-len(data.train) // recommended(DATA).batch_size)
    plan = recommended(DATA).replace(precision=precision, epochs=-(-steps // per_epoch) + 1)
    bare, ours = (build_model("convnet", shape=data.shape, seed=0) for _ in range(2))
    return {
        "by hand": _bare(by_hand(bare, data, plan)),
        "train()": _ours(train(ours, data, plan, device="cpu", record_every=_EVERY)),
    }


def _ours(records: Iterator[Record]) -> Iterator[int]:
    done = 0
    for record in records:
        yield record.step - done
        done = record.step


def _bare(steps: Iterator[tuple[int, bool]]) -> Iterator[int]:
    since = 0
    for _, ended in steps:
        since += 1
        if ended or since == _EVERY:
            yield since
            since = 0


if __name__ == "__main__":
    main()
