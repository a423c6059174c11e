"""Our search against plain random search: trials, epochs and seconds until a network reaches a target.

Both try hyper-parameters from the same space (`workbench.training.search.default_space`) on the same images. A trial
reaches the target if its training is complete and its validation accuracy is at least the target.

    ours      `workbench.training.search`: TPE proposes after five random trials, Hyperband prunes unpromising ones
    random    each hyper-parameter drawn independently, every training run to its end

They take turns, trial by trial, until each has reached the target or used up its trials, once for each seed. A figure
is the median over the seeds, with the lowest and the highest; not reaching the target counts as slower than any other
result. The limit is one full training: a first draw that succeeds. The target was set before any race: of 19 random
trials with other seeds, three reached it. The test set is not used.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import time
from collections.abc import Generator, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from benchmarks.figures import check_rounds, machine, option_parser, spread
from benchmarks.order import order
from workbench.data.datasets import Data, load_dataset
from workbench.hyperparameters import HyperParameters, recommended
from workbench.training.loop import train
from workbench.training.models import build_model
from workbench.training.records import TrainingError
from workbench.training.search import Space, default_space, search_hyperparameters

TARGET = 0.841
SIDE = 16  # pixels: a quarter of the arithmetic, so that five seeds take minutes
SEARCHES = ("ours", "random")


@dataclass(frozen=True)
class Outcome:
    """One trial: whether its training was complete, its final validation accuracy, and the epochs it ran."""

    complete: bool
    accuracy: float
    epochs: int


@dataclass(frozen=True)
class Effort:
    """What a search spent on one seed until it reached the target, or until its trials were used up."""

    reached: bool
    trials: int
    epochs: int
    seconds: float
    best: float


def main() -> None:
    """Race for each seed, then print a table and one line of JSON."""
    parser = option_parser(__doc__)
    parser.add_argument("--data", default="fashion-mnist")
    parser.add_argument("--size", type=int, default=SIDE, help="width and height of the images in pixels")
    parser.add_argument("--images", type=int, default=1000, help="to train on, and twice as many to validate on")
    parser.add_argument("--epochs", type=int, default=9, help="of a full training")
    parser.add_argument("--trials", type=int, default=20, help="at most, of each search for each seed")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--target", type=float, default=TARGET, help="validation accuracy, 0 to 1")
    options = parser.parse_args()
    check_rounds(parser, options.seeds, "--seeds")
    data = _reduced(load_dataset(options.data, size=options.size), options.images)
    # With a fixed precision, no trial has to choose its own by a race.
    base = recommended(data.name, len(data.train)).replace(epochs=options.epochs, precision="fp32")
    result = {"benchmark": "search", "origin": "measured", **vars(options), **machine()}
    efforts: dict[str, list[Effort]] = {name: [] for name in SEARCHES}
    for search in (_ours, _random):  # warm-up
        next(search(data, base.replace(epochs=1), 1))
    for seed in range(options.seeds):
        for name, effort in _race(data, base.replace(seed=seed), options, seed).items():
            efforts[name].append(effort)
            print(f"seed {seed}, {name:6}: {_describe(effort)}", flush=True)
    _report(result, efforts)


def _reduced(data: Data, images: int) -> Data:
    """Return the first images of each split, which is in random order."""
    counts = ((data.train, images), (data.validation, 2 * images))
    train, validation = (split.subset(range(min(count, len(split)))) for split, count in counts)
    return replace(data, train=train, validation=validation)


def _race(data: Data, base: HyperParameters, options: argparse.Namespace, seed: int) -> dict[str, Effort]:
    """Run both searches in turns, trial by trial; the one that begins alternates with the seed."""
    searches = {"ours": _ours(data, base, options.trials), "random": _random(data, base, options.trials)}
    efforts = {name: Effort(False, 0, 0, 0.0, 0.0) for name in SEARCHES}
    racing = order(SEARCHES, seed)
    while racing:
        for name in [*racing]:
            start = time.perf_counter()
            outcome = next(searches[name], None)
            if outcome is None:
                racing.remove(name)
                continue
            efforts[name] = _added(efforts[name], outcome, time.perf_counter() - start, options.target)
            if efforts[name].reached:
                searches[name].close()
                racing.remove(name)
    return efforts


def _added(effort: Effort, outcome: Outcome, seconds: float, target: float) -> Effort:
    return Effort(
        reached=outcome.complete and outcome.accuracy >= target,
        trials=effort.trials + 1,
        epochs=effort.epochs + outcome.epochs,
        seconds=effort.seconds + seconds,
        best=max(effort.best, outcome.accuracy if outcome.complete else 0.0),
    )


def _ours(data: Data, base: HyperParameters, trials: int) -> Generator[Outcome, None, None]:
    for trial in search_hyperparameters(data, base, trials=trials, device="cpu", seed=base.seed):
        yield Outcome(trial.state == "complete", trial.value or 0.0, trial.epochs)


def _random(data: Data, base: HyperParameters, trials: int) -> Generator[Outcome, None, None]:
    space, generator = default_space(base), random.Random(base.seed)
    for _ in range(trials):
        yield _full_training(data, base.replace(**dict(_draw(space, generator))))


def _draw(space: Space, generator: random.Random) -> Iterator[tuple[str, Any]]:
    for field, choices in space.items():
        if isinstance(choices, list):
            yield field, generator.choice(choices)
        elif len(choices) == 3:  # logarithmic
            yield field, math.exp(generator.uniform(math.log(choices[0]), math.log(choices[1])))
        else:
            yield field, generator.uniform(*choices)


def _full_training(data: Data, chosen: HyperParameters) -> Outcome:
    model = build_model(chosen.model, classes=len(data.labels), shape=data.shape, width=chosen.width, seed=chosen.seed)
    accuracies = []
    try:
        for record in train(model, data, chosen, device="cpu"):
            if record.validation_accuracy is not None:
                accuracies.append(record.validation_accuracy)
    except TrainingError:  # it diverged
        return Outcome(False, 0.0, len(accuracies))
    return Outcome(True, accuracies[-1], len(accuracies))


def _describe(effort: Effort) -> str:
    reached = "reached" if effort.reached else "not reached"
    spent = f"{effort.trials} trials, {effort.epochs} epochs, {effort.seconds:.1f} s"
    return f"{reached} after {spent}; best validation accuracy {effort.best:.2%}"


def _report(result: dict[str, Any], efforts: dict[str, list[Effort]]) -> None:
    print(
        f"\n{result['processor']}, {result['usable_cores']} usable cores: {result['target']:.1%} of the validation "
        f"images of {result['data']} at {result['size']}×{result['size']}, {result['seeds']} seeds"
    )
    rows: dict[str, Any] = {}
    for name, found in efforts.items():
        rows[name] = {"reached": sum(effort.reached for effort in found), "seeds": [asdict(effort) for effort in found]}
        cells = [f"reached in {rows[name]['reached']} of {len(found)}"]
        for what in ("trials", "epochs", "seconds"):
            rows[name][what] = _spread([getattr(each, what) if each.reached else math.inf for each in found])
            cells.append(f"{what} {_shown(rows[name][what])}")
        print(f"  {name:8}" + ";  ".join(cells))
    pairs = [(ours, other) for ours, other in zip(*efforts.values(), strict=True) if ours.reached or other.reached]
    if not pairs:
        print("  none reached it: try a lower --target, or more --trials or --epochs")
    ratios = {}
    for what in ("trials", "epochs", "seconds") if pairs else ():
        # Within a seed, both had the machine in the same minutes. Above 1: ours needs less.
        ratios[what] = _spread([_times(ours, other, what) for ours, other in pairs])
        print(f"  random / ours, {what:8} {_shown(ratios[what])}")
    print(f"  load average {result['load_average']:.1f}; above 1: ours needs less; ∞: the other did not reach it")
    print(json.dumps(result | {"searches": rows, "random_over_ours": ratios}))


def _times(ours: Effort, other: Effort, what: str) -> float:
    if not ours.reached:
        return 0.0
    return getattr(other, what) / getattr(ours, what) if other.reached else math.inf


def _spread(values: list[float]) -> dict[str, float | None]:
    """Return median, lowest and highest; infinity, for a target not reached, becomes None, as JSON has none."""
    return {name: value if math.isfinite(value) else None for name, value in spread(values).items()}


def _shown(values: dict[str, float | None]) -> str:
    median, low, high = (
        "∞" if values[key] is None else f"{values[key]:,.3g}" for key in ("median", "lowest", "highest")
    )
    return f"{median} ({low} – {high})"


if __name__ == "__main__":
    main()
