"""CPU inference: `Predictor`, whose engine="auto" measures and picks, beside other engines on the same network.

Every contender takes uint8 pictures (N, H, W, C) as a numpy array and gives probabilities as one, so that nobody leaves
out preprocessing. They run interleaved in one process, but for the one whose threads spin (ONNX Runtime as it comes):
that one runs before the others, or after them. A figure is the median over several rounds of the median in each, with
the lowest and the highest round as its spread. Accuracy and the largest difference from eager PyTorch on test pictures
stand beside the speed; who gives another answer to more than 1 % of them is no rival.

    Predictor …        ours: auto as it picked for this batch, each engine of the bundle, PyTorch, PyTorch in bf16
    PyTorch …          the network in eager mode under no_grad, traced and frozen, and in torch.compile
    ONNX Runtime …     exported and run by hand: a session with its defaults, preprocessing in numpy
    OpenVINO …         the bundle's ONNX file, in fp32 and in the precision it chooses; only where it is installed

Where int8 was left out of the bundle it races all the same, and is marked. bf16 on a processor without instructions for
it is emulated, so slowly that it runs at the smallest batch alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch

from benchmarks.order import order
from benchmarks.peers.inference import EAGER, HOW_TO_ADD_OPENVINO, SPINS, Call, openvino_module, peers
from workbench.arguments import above_zero, whole_number
from workbench.bundle import Bundle
from workbench.checkpoint import save_weights
from workbench.data import Data, load_dataset
from workbench.devices import checked_threads
from workbench.errors import WorkbenchError
from workbench.export import export_bundle, quantize
from workbench.hyperparameters import recommended
from workbench.inference import Predictor
from workbench.measurement import Reading, measure
from workbench.models import build_model
from workbench.parity import INT8_AGREEMENT
from workbench.processor import processor_features, processor_name, usable_cores
from workbench.sealed import now, versions
from workbench.training import train

AUTO = "Predictor auto"
BF16 = "Predictor eager, bf16"
LEFT_OUT = "int8, left out of the bundle"
ANSWERED_AT_ONCE = 256
AUTO_GOAL, EAGER_GOAL = 1.05, 4.0


def main() -> None:
    """Train briefly, export, race, and print tables and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="fashion-mnist", help="data set, or a folder of pictures")
    parser.add_argument("--model", default="convnet", help="network to build")
    parser.add_argument("--epochs", type=int, default=2, help="of training")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16, 64, 256], help="pictures at once")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="processor cores, for every contender")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="for each contender in each round")
    parser.add_argument("--test", type=int, default=2048, help="test pictures that accuracy is measured on")
    options = parser.parse_args()
    if options.rounds < 5:
        parser.error("--rounds: at least 5, or the spread means nothing")
    try:
        for name in ("batches", "test", "epochs"):
            for value in np.atleast_1d(getattr(options, name)).tolist():
                whole_number(f"--{name}", value, 1, 2**16)
        above_zero("--seconds", options.seconds)
        for threads in options.threads:
            checked_threads(threads)
        data = load_dataset(options.data)
        with tempfile.TemporaryDirectory() as scratch:
            bundle = _trained_bundle(Path(scratch), data, options)
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
    """What each takes, the one that spins apart: right behind it, on two threads, others took 2 to 4 times as long."""
    found: dict[str, Reading] = {}
    for spins in order((False, True), number):
        found |= measure(
            {name: calls[name] for name in order(calls, number) if (name == SPINS) == spins}, seconds=seconds
        )
        if spins:
            time.sleep(0.2)  # until its threads sleep
    return found


def _trained_bundle(folder: Path, data: Data, options: argparse.Namespace) -> Bundle:
    hyperparameters = recommended(data.name).replace(model=options.model, epochs=options.epochs)
    model = build_model(options.model, classes=len(data.labels), shape=data.shape)
    for _ in train(model, data, hyperparameters, device="cpu"):
        pass
    weights = folder / "weights.safetensors"
    about = {"labels": data.labels, "preprocessing": data.preprocessing, "hyperparameters": hyperparameters}
    save_weights(weights, model, **about)
    return export_bundle(folder / "bundle", model, data, hyperparameters=hyperparameters, weights=weights)


def _ours(bundle: Bundle, data: Data, threads: int) -> dict[str, Call]:
    """The engines of `Predictor` on the CPU, but auto, which is made for each batch size."""
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
    pictures = data.test.pictures[: options.test].numpy().copy()
    truth = data.test.labels[: options.test].numpy()
    parts = [pictures[start : start + ANSWERED_AT_ONCE] for start in range(0, len(pictures), ANSWERED_AT_ONCE)]
    answers = {name: np.concatenate([call(part) for part in parts]) for name, call in contenders.items()}
    able = any("bf16" in feature for feature in processor_features())
    rows = []
    for batch in options.batches:
        auto = Predictor.from_bundle(bundle, "auto", threads=threads, batch_size=batch)
        racers = {
            name: call for name, call in contenders.items() if able or name != BF16 or batch == options.batches[0]
        }
        racers |= {AUTO: auto}
        some = np.resize(pictures, (batch, *pictures.shape[1:]))
        calls = {name: (lambda call=call, some=some: call(some)) for name, call in racers.items()}
        rounds = [_round(calls, number, options.seconds) for number in range(options.rounds)]
        medians = {name: [found[name].latency.p50 for found in rounds] for name in racers}
        for name, values in medians.items():
            answered = answers[name if name != AUTO else f"Predictor {auto.engine}"]
            equal = answered.argmax(axis=1) == answers[EAGER].argmax(axis=1)
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
                    "times_eager": _ratio(medians[EAGER], values),
                    "accuracy": float((answered.argmax(axis=1) == truth).mean()),
                    "equal_answers": float(equal.mean()),
                    "largest_difference": float(np.abs(answered - answers[EAGER]).max()),
                }
            )
    return rows


def _ratio(one: list[float], other: list[float]) -> float:
    """The median over the rounds, in each of which the machine's mood was the same for both."""
    return statistics.median(a / b for a, b in zip(one, other, strict=True))


def machine() -> dict[str, Any]:
    """What a figure was measured on: processor, system, versions, and how busy the machine was."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "measured": now(),
        "processor": processor_name(),
        "features": list(processor_features()),
        "usable_cores": usable_cores(),
        "load_average": load,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": versions("torch", "onnxruntime", "onnx", "numpy"),
        "onnxruntime_build": onnxruntime.get_device(),
    }


def _print_table(result: dict[str, Any], bundle: Bundle) -> None:
    print(f"{result['processor']}, {result['usable_cores']} usable cores, {', '.join(result['features'])}")
    print(f"{result['system']}, Python {result['python']}, {result['versions']}")
    print(f"load average when it ended: {result['load_average']}; measured {result['measured']}")
    for engine, entry in bundle.left_out.items():
        print(f"{engine} was left out of the bundle: {entry['reason']}")
    if result["versions"]["openvino"] is None:
        print(HOW_TO_ADD_OPENVINO)
    heading = (
        f"{'':32} {'time':>10} {'lowest–highest':>19} {'× eager':>8} {'accuracy':>9} {'equal':>8} {'difference':>10}"
    )
    for batch, threads in dict.fromkeys((row["batch"], row["threads"]) for row in result["rows"]):
        print(f"\n{batch} picture{'s' * (batch > 1)} at once, {threads} thread{'s' * (threads > 1)}\n{heading}")
        for row in result["rows"]:
            if (row["batch"], row["threads"]) == (batch, threads):
                name = row["engine"] + (f" ({row['picked']})" if row["picked"] else "")
                spread = f"{row['lowest'] * 1e6:,.0f}–{row['highest'] * 1e6:,.0f} µs"
                print(
                    f"{name:32} {row['seconds'] * 1e6:>7,.0f} µs {spread:>19} {row['times_eager']:>8.2f} "
                    f"{row['accuracy']:>9.2%} {row['equal_answers']:>8.2%} {row['largest_difference']:>10.1e}"
                )
    print()


def _print_goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """How far auto is behind the quickest that gives the same answers, of ours and of all, and ahead of eager."""
    goals = []
    print(f"goals: auto at most {AUTO_GOAL} × the best; at least {EAGER_GOAL:g} × as quick as eager with one picture")
    for batch, threads in dict.fromkeys((row["batch"], row["threads"]) for row in rows):
        here = [row for row in rows if (row["batch"], row["threads"]) == (batch, threads)]
        auto = next(row for row in here if row["engine"] == AUTO)
        fit = [row for row in here if row is not auto and row["equal_answers"] >= INT8_AGREEMENT]
        goal: dict[str, Any] = {"batch": batch, "threads": threads, "picked": auto["picked"]}
        for whose, among in {"ours": [row for row in fit if row["engine"].startswith("Predictor")], "all": fit}.items():
            best = min(among, key=lambda row: row["seconds"])
            goal |= {
                f"best_of_{whose}": best["engine"],
                f"over_{whose}": _ratio(auto["each_round"], best["each_round"]),
            }
        goal["times_eager"] = auto["times_eager"]
        goal["reached"] = goal["over_all"] <= AUTO_GOAL and (batch > 1 or auto["times_eager"] >= EAGER_GOAL)
        goals.append(goal)
        print(
            f"{batch:>5} at once, {threads} thread{'s' * (threads > 1):1}: auto ({auto['picked']}) takes "
            f"{goal['over_ours']:.3f} × {goal['best_of_ours']}, {goal['over_all']:.3f} × {goal['best_of_all']}; "
            f"{auto['times_eager']:.1f} × as quick as eager: {'reached' if goal['reached'] else 'MISSED'}"
        )
    return goals
