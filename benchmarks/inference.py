"""CPU inference: the engines of a bundle beside PyTorch, on the same network, pictures and threads.

Every contender takes uint8 pictures (N, H, W, C) as a numpy array and gives probabilities as one, so that nobody leaves
out preprocessing. They run interleaved in one process, in several rounds; a figure is the median over the rounds of the
median in each, with the lowest and the highest round as its spread. Accuracy and the largest difference from eager
PyTorch on the whole test set stand beside the speed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from workbench.bundle import Bundle
from workbench.checkpoint import save_weights, weights_from_bytes
from workbench.data import Data, load_dataset
from workbench.export import export_bundle
from workbench.hyperparameters import recommended
from workbench.inference import ONNX_ENGINES, Predictor
from workbench.measurement import measure
from workbench.models import Classifier, build_model
from workbench.processor import processor_features, processor_name, usable_cores
from workbench.sealed import now, versions
from workbench.training import train

Call = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

BASELINE = "eager"


def main() -> None:
    """Train briefly, export, race, and print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="animals", help="data set, or a folder of pictures")
    parser.add_argument("--model", default="convnet", help="network to build")
    parser.add_argument("--epochs", type=int, help="of training; by default those recommended for the data")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64], help="pictures at once")
    parser.add_argument("--threads", type=int, nargs="+", default=[1], help="processor cores, for every contender")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each contender in each round")
    options = parser.parse_args()
    if options.rounds < 5:
        parser.error("--rounds: at least 5, or the spread means nothing")
    data = load_dataset(options.data)
    with tempfile.TemporaryDirectory() as scratch:
        bundle = _trained_bundle(Path(scratch), data, options)
        rows = [row for threads in options.threads for row in _race(bundle, data, threads, options)]
    result = {"benchmark": "inference", "data": data.name, "model": options.model, **machine(), "rows": rows}
    _print_table(result, bundle)
    print(json.dumps(result))


def _trained_bundle(folder: Path, data: Data, options: argparse.Namespace) -> Bundle:
    hyperparameters = recommended(data.name).replace(model=options.model)
    if options.epochs is not None:
        hyperparameters = hyperparameters.replace(epochs=options.epochs)
    model = build_model(options.model, classes=len(data.labels), shape=tuple(data.test.pictures.shape[1:]))
    for _ in train(model, data, hyperparameters, device="cpu"):
        pass
    weights = folder / "weights.safetensors"
    about = {"labels": data.labels, "preprocessing": data.preprocessing, "hyperparameters": hyperparameters}
    save_weights(weights, model, **about)
    return export_bundle(folder / "bundle", model, data, hyperparameters=hyperparameters, weights=weights)


def _contenders(bundle: Bundle, threads: int) -> dict[str, Call]:
    """Each from the same bundle; PyTorch's threads are set for the whole process before they run."""
    weights = weights_from_bytes(bundle.weights, bundle.path / "weights.safetensors")
    plain = Classifier(weights.model, bundle.preprocessing).eval()
    tuned = Classifier(weights_from_bytes(bundle.weights, weights.path).model, bundle.preprocessing).eval()
    tuned = tuned.to(memory_format=torch.channels_last)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, and still what many run in production
        example = torch.from_numpy(bundle.self_test_pictures[:2].copy())
        with torch.no_grad():
            frozen = torch.jit.freeze(torch.jit.trace(plain, example))

    def pytorch(network: Any, mode: Callable[[], Any]) -> Call:
        def call(pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
            with mode():
                return network(torch.from_numpy(pictures)).numpy()

        return call

    engines = {
        f"bundle {name}": Predictor.from_bundle(bundle, name, threads=threads)
        for name in ONNX_ENGINES
        if name in bundle.engines
    }
    return {
        BASELINE: pytorch(plain, torch.no_grad),
        "eager + inference_mode + channels_last": pytorch(tuned, torch.inference_mode),
        "traced and frozen": pytorch(frozen, torch.inference_mode),
        "bundle eager": Predictor.from_bundle(bundle, "eager", threads=threads),
        **engines,
    }


def _race(bundle: Bundle, data: Data, threads: int, options: argparse.Namespace) -> list[dict[str, Any]]:
    torch.set_num_threads(threads)
    contenders = _contenders(bundle, threads)
    truth, pictures = data.test.labels.numpy(), data.test.pictures.numpy().copy()
    answers = {
        name: np.concatenate([call(pictures[start : start + 256]) for start in range(0, len(pictures), 256)])
        for name, call in contenders.items()
    }
    rows = []
    for batch in options.batches:
        some = pictures[:batch].copy()
        calls = {name: (lambda call=call, some=some: call(some)) for name, call in contenders.items()}
        rounds = [measure(calls, seconds=options.seconds) for _ in range(options.rounds)]
        medians = {name: [found[name].latency.p50 for found in rounds] for name in contenders}
        baseline = statistics.median(medians[BASELINE])
        for name, values in medians.items():
            median = statistics.median(values)
            rows.append(
                {
                    "engine": name,
                    "batch": batch,
                    "threads": threads,
                    "seconds": median,
                    "lowest": min(values),
                    "highest": max(values),
                    "p99": statistics.median(found[name].latency.p99 for found in rounds),
                    "times_eager": baseline / median,
                    "accuracy": float((answers[name].argmax(axis=1) == truth).mean()),
                    "equal_answers": float((answers[name].argmax(axis=1) == answers[BASELINE].argmax(axis=1)).mean()),
                    "largest_difference": float(np.abs(answers[name] - answers[BASELINE]).max()),
                }
            )
    return rows


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
    heading = (
        f"{'engine':40} {'time':>10} {'spread':>19} {'× eager':>8} {'accuracy':>9} {'equal':>8} {'difference':>10}"
    )
    groups = dict.fromkeys((row["batch"], row["threads"]) for row in result["rows"])
    for batch, threads in groups:
        print(f"\n{batch} picture{'s' * (batch > 1)} at once, {threads} thread{'s' * (threads > 1)}\n{heading}")
        for row in result["rows"]:
            if (row["batch"], row["threads"]) == (batch, threads):
                spread = f"{row['lowest'] * 1e6:,.0f}–{row['highest'] * 1e6:,.0f} µs"
                print(
                    f"{row['engine']:40} {row['seconds'] * 1e6:>7,.0f} µs {spread:>19} {row['times_eager']:>8.2f} "
                    f"{row['accuracy']:>9.2%} {row['equal_answers']:>8.2%} {row['largest_difference']:>10.1e}"
                )
    print()
