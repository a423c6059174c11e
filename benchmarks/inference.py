"""CPU inference: `Predictor` with engine="auto" beside other engines on the same network.

Every contender takes uint8 images (N, H, W, C) as a numpy array and returns probabilities as one, so that none skips
the preprocessing. They run interleaved in one process, except the one whose threads spin (ONNX Runtime with its
defaults), which runs before or after the others. A figure is the median over several rounds of the median in each, with
the lowest and the highest round. Accuracy and the largest difference from eager PyTorch on test images are reported
beside the speed; an engine that answers more than 1 % of them differently is not a rival.

    Predictor …        ours: auto with its choice for this batch size, each engine of the bundle, PyTorch, and in bf16
    PyTorch …          the network in eager mode under no_grad, traced and frozen, and in torch.compile
    ONNX Runtime …     exported and run by hand: a session with its defaults, preprocessing in numpy
    OpenVINO …         the bundle's ONNX file, in fp32 and in the precision it chooses; only if it is installed

If int8 was left out of the bundle, it races nevertheless and is marked. On a processor without bf16 instructions, bf16
is emulated, so slowly that it runs at the smallest batch size only.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.figures import check_rounds, machine, option_parser, ratios
from benchmarks.order import order
from benchmarks.peers.inference import EAGER, HOW_TO_ADD_OPENVINO, SPINS, Call, openvino_module, peers
from workbench.arguments import above_zero, whole_number
from workbench.bundle.manifest import Bundle
from workbench.bundle.parity import INT8_AGREEMENT
from workbench.data.datasets import Data, load_dataset
from workbench.errors import WorkbenchError
from workbench.hyperparameters import recommended
from workbench.inference.export import export_bundle
from workbench.inference.predictor import Predictor
from workbench.inference.quantization import quantize
from workbench.machine.processor import processor_features
from workbench.machine.threads import resolve_threads
from workbench.measuring.measurement import Reading, measure
from workbench.training.checkpoint import save_weights
from workbench.training.loop import train
from workbench.training.models import build_model

AUTO = "Predictor auto"
BF16 = "Predictor eager, bf16"
LEFT_OUT = "int8, left out of the bundle"
ANSWERED_BATCH = 256
AUTO_GOAL, EAGER_GOAL = 1.05, 4.0


def main() -> None:
    """Train briefly, export, race, then print tables and one line of JSON."""
    parser = option_parser(__doc__)
    parser.add_argument("--data", default="fashion-mnist", help="data set, or a folder of images")
    parser.add_argument("--model", default="convnet", help="network to build")
    parser.add_argument("--epochs", type=int, default=2, help="of training")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16, 64, 256], help="batch sizes")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="processor cores of every contender")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="for each contender in each round")
    parser.add_argument("--test", type=int, default=2048, help="test images to measure accuracy on")
    options = parser.parse_args()
    check_rounds(parser, options.rounds)
    try:
        for name in ("batches", "test", "epochs"):
            for value in np.atleast_1d(getattr(options, name)).tolist():
                whole_number(f"--{name}", value, 1, 2**16)
        above_zero("--seconds", options.seconds)
        for threads in options.threads:
            resolve_threads(threads)
        data = load_dataset(options.data)
        with tempfile.TemporaryDirectory() as scratch:
            bundle = _train_and_export(Path(scratch), data, options)
            rows = [row for threads in options.threads for row in _race(bundle, data, threads, options)]
    except WorkbenchError as error:
        parser.error(str(error))
    result = {"benchmark": "inference", "data": data.name, "model": options.model, **machine()}
    result |= {"origin": "measured", "rounds": options.rounds, "seconds": options.seconds, "rows": rows}
    openvino = openvino_module()
    result["versions"]["openvino"] = openvino.__version__ if openvino else None
    _print_table(result, bundle)
    result["goals"] = _print_goals(rows)
    print(json.dumps(result))


def _round(calls: Mapping[str, Call], number: int, seconds: float) -> dict[str, Reading]:
    """Measure all contenders, the spinning one apart: on two threads, others took 2 to 4 times as long after it."""
    found: dict[str, Reading] = {}
    for spins in order((False, True), number):
        found |= measure(
            {name: calls[name] for name in order(calls, number) if (name == SPINS) == spins}, seconds=seconds
        )
        if spins:
            time.sleep(0.2)  # until its threads block
    return found


def _train_and_export(folder: Path, data: Data, options: argparse.Namespace) -> Bundle:
    hyperparameters = recommended(data.name).replace(model=options.model, epochs=options.epochs)
    model = build_model(options.model, classes=len(data.labels), shape=data.shape)
    for _ in train(model, data, hyperparameters, device="cpu"):
        pass
    weights = folder / "weights.safetensors"
    about = {"labels": data.labels, "preprocessing": data.preprocessing, "hyperparameters": hyperparameters}
    save_weights(weights, model, **about)
    return export_bundle(folder / "bundle", model, data, hyperparameters=hyperparameters, weights=weights)


def _ours(bundle: Bundle, data: Data, threads: int) -> dict[str, Call]:
    """Return the engines of `Predictor` on the CPU, except auto, which depends on the batch size."""
    names = ("eager", "compiled", *bundle.engines)
    found: dict[str, Call] = {
        f"Predictor {name}": Predictor.from_bundle(bundle, name, threads=threads) for name in names
    }
    found[BF16] = Predictor.from_bundle(bundle, "eager", threads=threads, precision="bf16")
    if "onnx-int8" not in bundle.engines:
        content = quantize(bundle.engines["onnx"].content, data.train)
        about = (content, bundle.preprocessing, bundle.labels)
        found[LEFT_OUT] = Predictor.from_onnx(*about, engine="onnx-int8", threads=threads)
    return found


def _race(bundle: Bundle, data: Data, threads: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    torch.set_num_threads(threads)
    contenders = peers(bundle, threads) | _ours(bundle, data, threads)
    images = data.test.images[: options.test].numpy().copy()
    truth = data.test.labels[: options.test].numpy()
    parts = [images[start : start + ANSWERED_BATCH] for start in range(0, len(images), ANSWERED_BATCH)]
    answers = {name: np.concatenate([call(part) for part in parts]) for name, call in contenders.items()}
    has_bf16 = any("bf16" in feature for feature in processor_features())
    rows = []
    for batch in options.batches:
        auto = Predictor.from_bundle(bundle, "auto", threads=threads, batch_size=batch)
        racers = {
            name: call for name, call in contenders.items() if has_bf16 or name != BF16 or batch == options.batches[0]
        }
        racers |= {AUTO: auto}
        batch_images = np.resize(images, (batch, *images.shape[1:]))
        calls = {name: (lambda call=call, given=batch_images: call(given)) for name, call in racers.items()}
        rounds = [_round(calls, number, options.seconds) for number in range(options.rounds)]
        medians = {name: [found[name].latency.p50 for found in rounds] for name in racers}
        for name, values in medians.items():
            own_answers = answers[name if name != AUTO else f"Predictor {auto.engine}"]
            equal = own_answers.argmax(axis=1) == answers[EAGER].argmax(axis=1)
            rows.append(
                {
                    "engine": name,
                    "picked": auto.engine if name == AUTO else None,
                    "batch": batch,
                    "threads": threads,
                    "seconds": statistics.median(values),
                    "lowest": min(values),
                    "highest": max(values),
                    "each_round": values,
                    "p99": statistics.median(found[name].latency.p99 for found in rounds),
                    "times_eager": statistics.median(ratios(medians[EAGER], values)),
                    "accuracy": float((own_answers.argmax(axis=1) == truth).mean()),
                    "equal_answers": float(equal.mean()),
                    "largest_difference": float(np.abs(own_answers - answers[EAGER]).max()),
                }
            )
    return rows


def _print_table(result: dict[str, Any], bundle: Bundle) -> None:
    print(f"{result['processor']}, {result['usable_cores']} usable cores, {', '.join(result['features'])}")
    print(f"{result['system']}, Python {result['python']}, {result['versions']}")
    print(f"load average at the end: {result['load_average']}; measured {result['measured']}")
    for engine, entry in bundle.left_out.items():
        print(f"{engine} was left out of the bundle: {entry['reason']}")
    if result["versions"]["openvino"] is None:
        print(HOW_TO_ADD_OPENVINO)
    heading = (
        f"{'':32} {'time':>10} {'lowest–highest':>19} {'× eager':>8} {'accuracy':>9} {'equal':>8} {'difference':>10}"
    )
    for batch, threads in dict.fromkeys((row["batch"], row["threads"]) for row in result["rows"]):
        print(f"\nbatch size {batch}, {threads} thread{'s' * (threads > 1)}\n{heading}")
        for row in result["rows"]:
            if (row["batch"], row["threads"]) == (batch, threads):
                name = row["engine"] + (f" ({row['picked']})" if row["picked"] else "")
                limits = f"{row['lowest'] * 1e6:,.0f}–{row['highest'] * 1e6:,.0f} µs"
                print(
                    f"{name:32} {row['seconds'] * 1e6:>7,.0f} µs {limits:>19} {row['times_eager']:>8.2f} "
                    f"{row['accuracy']:>9.2%} {row['equal_answers']:>8.2%} {row['largest_difference']:>10.1e}"
                )
    print()


def _print_goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Compare auto with the fastest that gives the same answers, of ours and of all, and with eager."""
    goals = []
    print(f"goals: auto at most {AUTO_GOAL} × the best; at least {EAGER_GOAL:g} × as fast as eager at batch size 1")
    for batch, threads in dict.fromkeys((row["batch"], row["threads"]) for row in rows):
        here = [row for row in rows if (row["batch"], row["threads"]) == (batch, threads)]
        auto = next(row for row in here if row["engine"] == AUTO)
        fit = [row for row in here if row is not auto and row["equal_answers"] >= INT8_AGREEMENT]
        goal: dict[str, Any] = {"batch": batch, "threads": threads, "picked": auto["picked"]}
        for whose, among in {"ours": [row for row in fit if row["engine"].startswith("Predictor")], "all": fit}.items():
            best = min(among, key=lambda row: row["seconds"])
            goal |= {
                f"best_of_{whose}": best["engine"],
                f"over_{whose}": statistics.median(ratios(auto["each_round"], best["each_round"])),
            }
        goal["times_eager"] = auto["times_eager"]
        goal["reached"] = goal["over_all"] <= AUTO_GOAL and (batch > 1 or auto["times_eager"] >= EAGER_GOAL)
        goals.append(goal)
        print(
            f"batch size {batch:>4}, {threads} thread{'s' * (threads > 1):1}: auto ({auto['picked']}) takes "
            f"{goal['over_ours']:.3f} × {goal['best_of_ours']}, {goal['over_all']:.3f} × {goal['best_of_all']}; "
            f"{auto['times_eager']:.1f} × as fast as eager: {'reached' if goal['reached'] else 'MISSED'}"
        )
    return goals
