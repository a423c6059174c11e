"""What `train()` adds to its own steps, written by hand without a generator, records or checks.

    python -m benchmarks overhead

Both train the default convnet on Fashion-MNIST in one process, in turns of some steps: between two processes (the race
`training`) the ratio varies by 5 % from run to run, more than the difference to be measured. Ratios are computed within
a round, and a figure is the median over the rounds with the lowest and the highest.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import torch

from benchmarks.figures import check_rounds, format_range, machine, option_parser, ratios, spread
from benchmarks.order import order
from benchmarks.peers.train_by_hand import by_hand
from benchmarks.training import DATA, chosen_precision
from workbench.data.datasets import load_dataset
from workbench.hyperparameters import recommended
from workbench.machine.devices import find_device
from workbench.training.loop import train
from workbench.training.models import build_model
from workbench.training.records import Record

_EVERY = 20  # steps between records: the default of train()


def main() -> None:
    """Race, then print two lines and one line of JSON."""
    parser = option_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--steps", type=int, default=40, help=f"of each in each round, a multiple of {_EVERY}")
    parser.add_argument("--threads", type=int, default=find_device("cpu").cores)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto")
    options = parser.parse_args()
    check_rounds(parser, options.rounds)
    if options.steps < 1 or options.steps % _EVERY:
        parser.error(f"--steps: a multiple of {_EVERY}, the steps between the records of train()")
    precision = chosen_precision() if options.precision == "auto" else options.precision
    torch.set_num_threads(options.threads)
    loops = training_loops(precision, options.steps * (options.rounds + 1))
    seconds: dict[str, list[float]] = {name: [] for name in loops}
    for number in range(options.rounds + 1):
        for name in order(loops, number):
            start = time.perf_counter()
            steps = sum(islice(loops[name], options.steps // _EVERY))
            seconds[name].append((time.perf_counter() - start) / steps)
    seconds = {name: found[1:] for name, found in seconds.items()}  # the first round warms up
    ratio = spread(ratios(seconds["train()"], seconds["by hand"]))
    result = {"benchmark": "overhead", "data": DATA, "threads": options.threads, "precision": precision} | machine()
    print(f"{result['processor']}, {options.threads} threads, {precision}; median (lowest – highest)")
    for name, found in seconds.items():
        print(f"  {name:10}{format_range(spread([1e3 * each for each in found]), '.2f')} ms per step")
    print(f"  a step of train() takes {format_range(ratio, '.3f')} times as long")
    result |= {"rounds": options.rounds, "steps": options.steps, "origin": "measured", "ratio": ratio}
    print(json.dumps(result | {"seconds_per_step": {name: spread(found) for name, found in seconds.items()}}))


def training_loops(precision: str, steps: int) -> dict[str, Iterator[int]]:
    """Return both loops, for at least `steps` steps.

    Each yields the number of steps taken since it last did: 20, or fewer at the end of an epoch.
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
    for _, is_last in steps:
        since += 1
        if is_last or since == _EVERY:
            yield since
            since = 0


if __name__ == "__main__":
    main()
