"""Our search against plain random search: trials, epochs and seconds until a network reaches a target.

Both try hyper-parameters from the same space (`workbench.search.default_space`) on the same pictures, and a trial has
reached the target when its training is complete and its validation accuracy is at least that.

    ours      `workbench.search`: TPE proposes after five random trials, Hyperband stops what does not promise much
    random    each hyper-parameter drawn by itself, every training carried to its end

They take turns, trial by trial, until each has reached the target or has had its trials, once for each seed. A figure
is the median over the seeds, with the lowest and the highest as its spread; who does not reach the target counts as
slower than any. The limit is one full training: whoever draws well at once. The target was set before any race: of 19
random trials with other seeds, three reached it. The test set takes no part.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks.inference import machine
from workbench.data import Data, load_dataset
from workbench.hyperparameters import HyperParameters, recommended
from workbench.models import build_model
from workbench.search import Space, default_space, search_hyperparameters
from workbench.training import TrainingError, train

TARGET = 0.841
SIDE = 16  # pixels: a quarter of the arithmetic, so that five seeds take minutes
WAYS = ("ours", "random")


@dataclass(frozen=True)
class Tried:
    """One trial: whether its training was complete, the validation accuracy it ended with, and epochs run."""

    complete: bool
    accuracy: float
    epochs: int


@dataclass(frozen=True)
class Effort:
    """What a way spent in one seed until it reached the target, or (not reached) until its trials were used up."""

    reached: bool
    trials: int
    epochs: int
    seconds: float
    best: float


def main() -> None:
    """Search with each seed in both ways, then print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--size", type=int, default=SIDE, help="side of the pictures in pixels")
    parser.add_argument("--pictures", type=int, default=1000, help="to train on, and twice as many to validate with")
    parser.add_argument("--epochs", type=int, default=9, help="of a full training")
    parser.add_argument("--trials", type=int, default=20, help="at most, of each way in each seed")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--target", type=float, default=TARGET, help="validation accuracy, 0 to 1")
    options = parser.parse_args()
    if options.seeds < 5:
        parser.error("--seeds: at least 5, or the spread means nothing")
    data = _few(load_dataset(options.data, size=options.size), options.pictures)
    # One format of numbers, so that no trial has to race for its own.
    base = recommended(data.name, len(data.train)).replace(epochs=options.epochs, precision="fp32")
    result = {"benchmark": "search", "origin": "measured", **vars(options), **machine()}
    efforts: dict[str, list[Effort]] = {way: [] for way in WAYS}
    for way in (_ours, _random):  # what a process does once is nobody's
        next(way(data, base.replace(epochs=1), 1))
    for seed in range(options.seeds):
        for way, effort in _race(data, base.replace(seed=seed), options, seed).items():
            efforts[way].append(effort)
            print(f"seed {seed}, {way:6}: {_told(effort)}", flush=True)
    _report(result, efforts)


def _few(data: Data, pictures: int) -> Data:
    """The first of each split; their order was drawn when the set was split."""
    counts = ((data.train, pictures), (data.validation, 2 * pictures))
    train, validation = (split.subset(range(min(count, len(split)))) for split, count in counts)
    return replace(data, train=train, validation=validation)


def _race(data: Data, base: HyperParameters, options: argparse.Namespace, seed: int) -> dict[str, Effort]:
    """Trial by trial in turns; whoever begins changes with the seed."""
    ways = {"ours": _ours(data, base, options.trials), "random": _random(data, base, options.trials)}
    efforts = {way: Effort(False, 0, 0, 0.0, 0.0) for way in WAYS}
    order = WAYS if seed % 2 == 0 else WAYS[::-1]
    going = list(order)
    while going:
        for way in [*going]:
            start = time.perf_counter()
            tried = next(ways[way], None)
            if tried is None:
                going.remove(way)
                continue
            efforts[way] = _added(efforts[way], tried, time.perf_counter() - start, options.target)
            if efforts[way].reached:
                ways[way].close()
                going.remove(way)
    return efforts


def _added(effort: Effort, tried: Tried, seconds: float, target: float) -> Effort:
    return Effort(
        reached=tried.complete and tried.accuracy >= target,
        trials=effort.trials + 1,
        epochs=effort.epochs + tried.epochs,
        seconds=effort.seconds + seconds,
        best=max(effort.best, tried.accuracy if tried.complete else 0.0),
    )


def _ours(data: Data, base: HyperParameters, trials: int) -> Generator[Tried, None, None]:
    for trial in search_hyperparameters(data, base, trials=trials, device="cpu", seed=base.seed):
        yield Tried(trial.state == "complete", trial.value or 0.0, trial.epochs)


def _random(data: Data, base: HyperParameters, trials: int) -> Generator[Tried, None, None]:
    space, chance = default_space(base), random.Random(base.seed)
    for _ in range(trials):
        yield _full_training(data, base.replace(**dict(_draw(space, chance))))


def _draw(space: Space, chance: random.Random) -> Iterator[tuple[str, Any]]:
    for field, choices in space.items():
        if isinstance(choices, list):
            yield field, chance.choice(choices)
        elif len(choices) == 3:  # logarithmic
            yield field, math.exp(chance.uniform(math.log(choices[0]), math.log(choices[1])))
        else:
            yield field, chance.uniform(*choices)


def _full_training(data: Data, chosen: HyperParameters) -> Tried:
    model = build_model(chosen.model, classes=len(data.labels), shape=data.shape, width=chosen.width, seed=chosen.seed)
    accuracies = []
    try:
        for record in train(model, data, chosen, device="cpu"):
            if record.validation_accuracy is not None:
                accuracies.append(record.validation_accuracy)
    except TrainingError:  # it diverged
        return Tried(False, 0.0, len(accuracies))
    return Tried(True, accuracies[-1], len(accuracies))


def _told(effort: Effort) -> str:
    reached = "reached" if effort.reached else "not reached"
    spent = f"{effort.trials} trials, {effort.epochs} epochs, {effort.seconds:.1f} s"
    return f"{reached} after {spent}; best validation accuracy {effort.best:.2%}"


def _report(result: dict[str, Any], efforts: dict[str, list[Effort]]) -> None:
    print(
        f"\n{result['processor']}, {result['usable_cores']} usable cores: {result['target']:.1%} of the validation "
        f"pictures of {result['data']} at {result['size']}×{result['size']}, {result['seeds']} seeds"
    )
    rows: dict[str, Any] = {}
    for way, found in efforts.items():
        rows[way] = {"reached": sum(effort.reached for effort in found), "seeds": [asdict(effort) for effort in found]}
        cells = [f"reached in {rows[way]['reached']} of {len(found)}"]
        for what in ("trials", "epochs", "seconds"):
            rows[way][what] = _spread([getattr(each, what) if each.reached else math.inf for each in found])
            cells.append(f"{what} {_shown(rows[way][what])}")
        print(f"  {way:8}" + ";  ".join(cells))
    pairs = [(ours, other) for ours, other in zip(*efforts.values(), strict=True) if ours.reached or other.reached]
    if not pairs:
        print("  nobody reached it: a lower --target, or more --trials or --epochs, would tell")
    ratios = {}
    for what in ("trials", "epochs", "seconds") if pairs else ():
        # Within a seed, where both had the same minutes of the machine. Above 1: ours needs less.
        ratios[what] = _spread([_times(ours, other, what) for ours, other in pairs])
        print(f"  random / ours, {what:8} {_shown(ratios[what])}")
    print(f"  load average {result['load_average']:.1f}; above 1: ours needs less; ∞: the other did not reach it")
    print(json.dumps(result | {"ways": rows, "random_over_ours": ratios}))


def _times(ours: Effort, other: Effort, what: str) -> float:
    if not ours.reached:
        return 0.0
    return getattr(other, what) / getattr(ours, what) if other.reached else math.inf


def _spread(values: list[float]) -> dict[str, float | None]:
    """Median, lowest and highest; None stands for what was not reached, which is more than any."""
    found = {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}
    return {name: value if math.isfinite(value) else None for name, value in found.items()}


def _shown(spread: dict[str, float | None]) -> str:
    median, low, high = (
        "∞" if spread[key] is None else f"{spread[key]:,.3g}" for key in ("median", "lowest", "highest")
    )
    return f"{median} ({low} – {high})"


if __name__ == "__main__":
    main()
