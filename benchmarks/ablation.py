"""From a tutorial's training loop to `train()`, one change at a time: the effect of each on speed and accuracy.

    python -m benchmarks ablation

Each rung trains the convnet on Fashion-MNIST for the same number of epochs, in its own process. The processes take
turns of one epoch, and those whose turn it is not are stopped; every epoch is a round. Speeds are medians over the
epochs, with the lowest and the highest; a gain over the rung below is computed within a round. Validation is not timed.

The precision rung is left out where `train()` chooses fp32, since it would change nothing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from benchmarks.figures import check_rounds, format_range, machine, option_parser, ratios, spread
from benchmarks.peers.races import Limit, Turn, by_epochs, row_of
from benchmarks.peers.referee import Entry, contenders, orderly
from benchmarks.training import chosen_precision
from workbench.hyperparameters import recommended
from workbench.machine.devices import find_device

LADDER = (
    Entry(name="tutorial loop", module="train_plain"),
    Entry(name="+ resident data", module="train_by_hand", variant="resident"),
    Entry(name="+ channels_last", module="train_by_hand", variant="channels_last"),
    Entry(name="+ precision", module="train_by_hand", variant="precision"),
    Entry(name="+ freed memory kept", module="train_by_hand", variant="memory"),
    Entry(name="+ batch of 128", module="train_by_hand", variant="batch"),
    Entry(name="+ one-cycle SGD", module="train_by_hand", variant="schedule"),
    Entry(name="+ mirrored images", module="train_by_hand", variant="by hand"),
    Entry(name="train()", module="train_workbench", variant="matched"),
)


def main() -> None:
    """Run all rungs, then print a table and one line of JSON."""
    parser = option_parser(__doc__)
    parser.add_argument("--epochs", type=int, default=recommended("fashion-mnist").epochs, help="at least 5")
    parser.add_argument("--threads", type=int, default=find_device("cpu").cores)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="of the upper rungs")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    check_rounds(parser, options.epochs, "--epochs")  # each is a round
    if options.threads < 1:
        parser.error("--threads: at least 1")
    with orderly():
        precision = chosen_precision() if options.precision == "auto" else options.precision
        ladder = [entry for entry in LADDER if entry.variant != "precision" or precision != "fp32"]
        result = {"benchmark": "ablation", "data": "fashion-mnist", "threads": options.threads, "precision": precision}
        result |= {"origin": "measured", "epochs": options.epochs, "seed": options.seed}
        result |= machine()
        limit = Limit(options.threads, sorted({"fp32", precision}))
        result["rungs"], result["failed"] = climb(ladder, result, limit)
        result["limit"] = limit.to_mapping()
    print(f"{result['processor']}, {options.threads} threads, {options.epochs} epochs; median (lowest – highest)")
    for name, row in result["rungs"].items():
        gain = f"{format_range(row['gain'], '.2f')}× the rung below" if row["gain"] else ""
        print(
            f"  {name:21}{format_range(row['images_per_second'], ',.0f'):>24} images/s"
            f"{row['share_of_limit']:>5.0%} of the {row['precision']} limit{row['seconds']:>8.1f} s"
            f"{row['accuracy']:>8.2%}  {gain}"
        )
    if precision == "fp32":
        print("  no rung for the precision: bf16 is not faster here, and train() chooses fp32")
    for name, reason in result["failed"].items():
        print(f"  {name:21}could not train: {reason}")
    print(json.dumps(result))


def climb(ladder: Sequence[Entry], settings: dict[str, Any], limit: Limit) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the rows of all rungs, from the lowest up, and the reasons of those that failed."""
    task = {key: settings[key] for key in ("epochs", "seed", "threads", "precision")}
    with contenders(ladder, task, peers=None) as (racing, failed):
        turns = by_epochs(racing, failed, limit)
    rows: dict[str, Any] = {}
    below: list[float] | None = None
    for contender in racing:
        if done := turns.get(contender.entry.name):
            speeds = [speed_of(turn) for turn in done]
            gains = ratios(speeds, below) if below else None
            rows[contender.entry.name] = row_of(contender, done, limit) | {
                "gain": spread(gains) if gains else None,
                "seconds": sum(turn["seconds"] for turn in done),
                "accuracy": done[-1]["accuracy"],
            }
            below = speeds
    return rows, failed


def speed_of(turn: Turn) -> float:
    """Return the images per second of a turn."""
    return turn["images"] / turn["seconds"]


if __name__ == "__main__":
    main()
