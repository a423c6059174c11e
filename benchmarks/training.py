"""CPU training: `train()` beside the same loop by hand, the plain loop of a tutorial, and other frameworks.

    python -m benchmarks training --peers PYTHON                               images/s
    python -m benchmarks training --peers PYTHON --to-accuracy --seeds 0 1 2   seconds to 91 % in validation

PYTHON: of an environment with the peers and our version of PyTorch (`pip install torch==… torchvision lightning fastai
keras skorch safetensors lz4`); without it, only PyTorch itself races. All train the default convnet on the same images
of Fashion-MNIST, with the same number of threads, each in its own process. They take turns, and those whose turn it is
not are stopped: some steps each in every round, or an epoch each. A figure is the median over the rounds (or the
seeds), with the lowest and the highest; ratios are computed within a round (or a seed).

own: as in the framework's quick-start, with its data pipeline, fp32, its optimizer, batch size and learning rate.
matched: with the precision, layout, schedule, optimizer and resident batches of `train()`, and no logs.
by hand: the exact steps of `train()` in plain PyTorch, without the generator, its records or its checks.

Time counts from the first batch: it includes fetching, schedules, progress bars and checkpoints, but not imports,
building and validation; the set-up is reported separately. The limit is arithmetic: the FLOPs of a step, counted on its
shapes, over the FLOP/s of a product of 1024×1024 matrices in the same precision, measured in every round.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Any

from benchmarks.figures import check_rounds, format_range, machine, option_parser, ratios, spread
from benchmarks.peers.races import Limit, by_epochs, by_steps, row_of
from benchmarks.peers.referee import Entry, available, contenders, orderly, print_status
from workbench.data.datasets import load_dataset
from workbench.hyperparameters import recommended
from workbench.machine.devices import find_device
from workbench.training.loop import train
from workbench.training.models import build_model

DATA = "fashion-mnist"
OURS = "train()"
ENTRIES = (
    Entry(name=OURS, module="train_workbench", variant="matched"),
    Entry(name="by hand", module="train_by_hand", variant="by hand"),
    Entry(name="plain loop, own", module="train_plain", scheduled=False),
    *(
        Entry(
            name=f"{package}, {variant}",
            module=f"train_{package}",
            variant=variant,
            package=package,
            scheduled=variant == "matched" or package == "fastai",
        )
        for variant in ("own", "matched")
        for package in ("lightning", "fastai", "keras", "skorch")
    ),
)


def main() -> None:
    """Race, then print a table and one line of JSON."""
    epochs = recommended(DATA).epochs
    parser = option_parser(__doc__)
    parser.add_argument("--peers", metavar="PYTHON", help="the Python of an environment with the other frameworks")
    parser.add_argument(
        "--only", nargs="+", metavar="WORD", help="train() and the contenders whose name contains one of these"
    )
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=40, help="of each contender in each round")
    parser.add_argument("--threads", type=int, default=find_device("cpu").cores)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16"), default="auto", help="of train() and matched")
    parser.add_argument("--to-accuracy", action="store_true", help="train to --target, in turns of an epoch")
    parser.add_argument("--target", type=float, default=0.91, help="validation accuracy, 0 to 1")
    parser.add_argument("--epochs", type=int, default=epochs, help="of contenders whose learning rate has a schedule")
    parser.add_argument(
        "--at-most", type=int, default=2 * epochs, help="epochs of contenders whose learning rate is constant"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    check_rounds(parser, options.rounds)
    if min(options.steps, options.epochs, options.at_most, options.threads) < 1:
        parser.error("--steps, --epochs, --at-most and --threads: at least 1")
    words = options.only or [""]
    entries = [entry for entry in ENTRIES if entry.name == OURS or any(word in entry.name for word in words)]
    with orderly():
        entries, versions = available(entries, options.peers)
        precision = chosen_precision() if options.precision == "auto" else options.precision
        result = {"benchmark": "training", "data": DATA, "threads": options.threads, "precision": precision}
        result |= {"origin": "measured", "peers": versions} | machine()
        heading = (
            f"{result['processor']}, {options.threads} threads; ours and matched in {precision}; peers: {versions}"
        )
        task = {"epochs": options.epochs, "threads": options.threads, "precision": precision}
        race = race_to_accuracy if options.to_accuracy else race_steps
        limit = Limit(options.threads, sorted({"fp32", precision}))
        result |= race(entries, task, options, limit, heading) | {"limit": limit.to_mapping()}
    print(json.dumps(result))


def chosen_precision() -> str:
    """Return the precision that `train()` chooses here."""
    data = load_dataset(DATA)
    model = build_model("convnet", shape=data.shape)
    return next(train(model, data, recommended(DATA), device="cpu", record_every=1)).precision


def race_steps(
    entries: Sequence[Entry], task: dict[str, Any], options: argparse.Namespace, limit: Limit, heading: str
) -> dict[str, Any]:
    """Race in turns of some steps in every round; return the settings and the rows."""
    with contenders(entries, task | {"seed": options.seeds[0]}, peers=options.peers) as (racing, failed):
        turns = by_steps(racing, failed, limit, rounds=options.rounds, steps=options.steps)
    rows = {each.entry.name: row_of(each, turns[each.entry.name], limit) for each in racing if each.entry.name in turns}
    ours = [turn["images"] / turn["seconds"] for turn in turns.get(OURS, [])]
    print(f"{heading}\n{options.rounds} rounds of {options.steps} steps; median (lowest – highest)")
    for name, row in rows.items():
        speeds = [turn["images"] / turn["seconds"] for turn in turns[name]]
        row["train_is"] = spread(ratios(ours, speeds)) if ours else None
        print(
            f"  {name:20}{format_range(row['images_per_second'], ',.0f'):>24} images/s"
            f"{1e3 * row['seconds_per_step']['median']:>7.1f} ms a step of {row['batch_size']:<4}"
            f"{row['share_of_limit']:>5.0%} of the {row['precision']} limit; set up in {row['setup_seconds']:.0f} s"
            + (f"; train() is {format_range(row['train_is'], '.2f')}× as fast" if name != OURS and ours else "")
        )
    report_failures(failed)
    return {"steps": options.steps, "rounds": options.rounds, "contenders": rows, "failed": failed}


def race_to_accuracy(
    entries: Sequence[Entry], task: dict[str, Any], options: argparse.Namespace, limit: Limit, heading: str
) -> dict[str, Any]:
    """Race in turns of an epoch to the target, once for each seed; return the settings and the rows."""
    runs: dict[str, dict[str, Any]] = {}
    failures: dict[str, str] = {}
    for seed in options.seeds:
        print_status(f"Seed {seed}")
        with contenders(entries, task | {"seed": seed}, peers=options.peers, constant_epochs=options.at_most) as (
            racing,
            failed,
        ):
            turns = by_epochs(racing, failed, limit, target=options.target)
        failures |= failed
        for each in racing:
            if done := turns.get(each.entry.name):
                total = sum(turn["seconds"] for turn in done) if done[-1]["accuracy"] >= options.target else None
                row = row_of(each, done, limit) | {"seconds_to_target": total, "epochs": len(done)}
                runs.setdefault(each.entry.name, {})[str(seed)] = row
    print(f"{heading}\nto {options.target:.1%} of the validation images; median over the seeds (lowest – highest)")
    ours = {seed: run["seconds_to_target"] for seed, run in runs.get(OURS, {}).items()}
    rows = {name: {"seeds": by_seed} | summary(by_seed, ours) for name, by_seed in runs.items()}
    for name, row in rows.items():
        counted = f"{row['reached']} of {len(row['seeds'])} seeds"
        if not row["reached"]:
            best = max(turn["accuracy"] for run in row["seeds"].values() for turn in run["turns"])
            most = max(run["epochs"] for run in row["seeds"].values())
            print(f"  {name:20}not reached within {most} epochs; at best {best:.2%}")
            continue
        ratio = (
            f"; train() is {format_range(row['train_is'], '.2f')}× as fast" if name != OURS and row["train_is"] else ""
        )
        print(
            f"  {name:20}{format_range(row['seconds'], ',.1f'):>24} s,"
            f" {format_range(row['epochs'], '.0f')} epochs, {counted}{ratio}"
        )
    report_failures(failures)
    settings = {"target": options.target, "epochs": options.epochs, "at_most": options.at_most}
    return settings | {"seeds": options.seeds, "contenders": rows, "failed": failures}


def summary(by_seed: dict[str, Any], ours: dict[str, float | None]) -> dict[str, Any]:
    """Return seconds, epochs and the ratio to the seconds of `train()`, over the seeds that reached the target."""
    reached = {seed: run for seed, run in by_seed.items() if run["seconds_to_target"] is not None}
    times_ours = [run["seconds_to_target"] / ours[seed] for seed, run in reached.items() if ours.get(seed)]
    return {
        "reached": len(reached),
        "seconds": spread([run["seconds_to_target"] for run in reached.values()]) if reached else None,
        "epochs": spread([run["epochs"] for run in reached.values()]) if reached else None,
        "train_is": spread(times_ours) if times_ours else None,
    }


def report_failures(failed: dict[str, str]) -> None:
    """Print why contenders are out of the race."""
    for name, reason in failed.items():
        print(f"  {name:20}out of the race: {reason}")


if __name__ == "__main__":
    main()
