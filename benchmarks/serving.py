"""The application under load, beside LitServe, BentoML and FastAPI with eager PyTorch: same network, same images.

    python -m benchmarks serving --peers PYTHON

PYTHON: of an environment with the peers (`pip install litserve bentoml onnxruntime numpy pillow`); without it only
those race that need nothing more. Every server has the same number of workers. They take turns of a few seconds in
several rounds, and the others are stopped meanwhile (one of them is busy even without requests); a figure is the median
over the rounds, with the lowest and the highest. The load comes from this process, on the same cores, which costs all
servers alike.

Then overload: how long the requests that the application accepts have to wait, and how many it refuses. A refused
client sends its request again at once, so refusing takes its share of the cores too.

Last tensors: requests of 32 images and of one, as bytes, beside a bare loop over the ONNX Runtime session in as many
processes, which is the most that this network can do on these cores.
"""

from __future__ import annotations

import json
import multiprocessing
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.figures import check_rounds, format_range, machine, option_parser, spread
from benchmarks.http_load import LoadTestResult, post, run_load_test
from benchmarks.order import order
from benchmarks.peers.servers import OURS, cold_start, image_request, memory, resumed, running, server_commands
from workbench.bundle.manifest import Bundle, read_bundle
from workbench.bundle.onnx_session import OnnxSession
from workbench.folders import REFERENCE

CONCURRENCIES = (1, 16)
OVERLOAD = (16, 64, 256, 1024)  # concurrent requests
TENSOR_IMAGES = (1, 32)
GOAL_CONCURRENCY = 16


@dataclass
class Figures:
    """What the rounds found: load tests by server and concurrency, and images/s of tensors."""

    loads: dict[tuple[str, int], list[LoadTestResult]] = field(default_factory=dict)
    overload: dict[int, list[LoadTestResult]] = field(default_factory=dict)
    served: dict[int, list[float]] = field(default_factory=dict)
    bare: dict[int, list[float]] = field(default_factory=dict)


def main() -> None:
    """Race, then print a table and one line of JSON."""
    parser = option_parser(__doc__)
    parser.add_argument("--peers", help="the Python of an environment with litserve and bentoml")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    check_rounds(parser, options.rounds)
    starts = [cold_start() for _ in range(options.rounds)]
    figures, bundle = Figures(), read_bundle(REFERENCE)
    with running(server_commands(options.peers, options.workers), options.workers) as ready:
        for number in range(options.rounds):
            _test_servers(figures, ready, number, options.seconds)
            _test_overload(figures, ready[OURS], options.seconds)
            _test_tensors(figures, ready[OURS], bundle, options.seconds, options.workers)
        sizes = {name: memory(process) for name, (_, process) in ready.items()}
    result = {"benchmark": "serving", "machine": machine(), "workers": options.workers, "rounds": options.rounds}
    result |= {"seconds": options.seconds, **_report_servers(figures), "overload": _report_overload(figures)}
    result |= _report_tensors(figures) | {"cold_start_seconds": spread(starts), "pss_bytes": sizes}
    print(f"cold start to the first answer: {format_range(result['cold_start_seconds'], '.2f')} s")
    for name, each in sizes.items():
        print(f"{name}: {sum(each) / 1e6:.0f} MB in {len(each)} processes; the largest {each[0] / 1e6:.0f} MB (PSS)")
    print(json.dumps(result))


def _test_servers(figures: Figures, ready: dict[str, tuple[int, int]], number: int, seconds: float) -> None:
    for concurrency in CONCURRENCIES:
        for name, (port, process) in order(ready.items(), number):
            with resumed(process):
                run_load_test(port, image_request(name), concurrency, seconds / 4)  # warm-up
                load = run_load_test(port, image_request(name), concurrency, seconds)
            figures.loads.setdefault((name, concurrency), []).append(load)


def _test_overload(figures: Figures, ours: tuple[int, int], seconds: float) -> None:
    port, process = ours
    with resumed(process):
        for concurrency in OVERLOAD:
            load = run_load_test(port, image_request(OURS), concurrency, seconds)
            figures.overload.setdefault(concurrency, []).append(load)


def _test_tensors(figures: Figures, ours: tuple[int, int], bundle: Bundle, seconds: float, workers: int) -> None:
    port, process = ours
    for count in TENSOR_IMAGES:
        images = np.resize(bundle.self_test_images, (count, *bundle.self_test_images.shape[1:]))
        with resumed(process):
            load = run_load_test(port, tensor_request(images), GOAL_CONCURRENCY, seconds)
        assert not load.failed
        figures.served.setdefault(count, []).append(count * len(load.seconds) / load.wall)
        bare = bare_images_per_second(bundle.engines["onnx"].content, images, seconds, workers)
        figures.bare.setdefault(count, []).append(bare)


def tensor_request(images: np.ndarray) -> bytes:
    """Return the request for images as a binary tensor of the Open Inference Protocol, answered in bytes too."""
    tensor = {"name": "images", "datatype": "UINT8", "shape": list(images.shape)}
    tensor["parameters"] = {"binary_data_size": images.nbytes}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    return post(
        "/v2/models/convnet/infer",
        head + images.tobytes(),
        "application/octet-stream",
        Inference_Header_Content_Length=str(len(head)),
    )


def bare_images_per_second(content: bytes, images: np.ndarray, seconds: float, workers: int) -> float:
    """Return the throughput of a bare loop over the session in `workers` processes."""
    context = multiprocessing.get_context("spawn")
    counter = context.Value("q", 0)
    processes = [context.Process(target=_bare_loop, args=(content, images, seconds, counter)) for _ in range(workers)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return float(counter.value) / seconds


def _bare_loop(content: bytes, images: np.ndarray, seconds: float, counter: Any) -> None:
    session, done = OnnxSession(content, 1), 0
    session(images)
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        session(images)
        done += len(images)
    with counter.get_lock():
        counter.value += done


def _rates_and_latencies(loads: Sequence[LoadTestResult]) -> dict[str, dict[str, float]]:
    return {
        "requests_per_second": spread([len(load.seconds) / load.wall for load in loads]),
        "refused_per_second": spread([load.failed / load.wall for load in loads]),
        "p50_ms": spread([1e3 * float(np.percentile(load.seconds, 50)) for load in loads]),
        "p99_ms": spread([1e3 * float(np.percentile(load.seconds, 99)) for load in loads]),
    }


def _report_servers(figures: Figures) -> dict[str, Any]:
    rows = [
        {"server": name, "concurrency": concurrency, "failed": sum(load.failed for load in loads)}
        | _rates_and_latencies(loads)
        for (name, concurrency), loads in figures.loads.items()
    ]
    for row in rows:
        rates = "  ".join(format_range(row[key], ",.1f") for key in ("requests_per_second", "p50_ms", "p99_ms"))
        print(f"{row['server']:16} concurrency {row['concurrency']:>4}  {rates}  failed {row['failed']}")
    compared = {
        row["server"]: row["requests_per_second"]["median"] for row in rows if row["concurrency"] == GOAL_CONCURRENCY
    }
    best = max((name for name in compared if name != OURS), key=lambda name: compared[name])
    ratio = compared[OURS] / compared[best]
    print(f"at concurrency {GOAL_CONCURRENCY}: {ratio:.2f} times the requests/s of {best}")
    return {"servers": rows, "ratio_to_best_peer": ratio, "best_peer": best}


def _report_overload(figures: Figures) -> list[dict[str, Any]]:
    rows = []
    for concurrency, loads in figures.overload.items():
        row = _rates_and_latencies(loads)
        rows.append({"concurrency": concurrency, **row})
        rates = "  ".join(format_range(values, ",.1f") for values in row.values())
        print(f"{OURS} alone, concurrency {concurrency:>5}  {rates}")
    return rows


def _report_tensors(figures: Figures) -> dict[str, Any]:
    shares = {}
    for count in TENSOR_IMAGES:
        served, bare = statistics.median(figures.served[count]), statistics.median(figures.bare[count])
        shares[count] = served / bare
        print(f"tensors of {count}: {served:,.0f} images/s served, {bare:,.0f} in a bare loop: {served / bare:.0%}")
    tensors = {f"served, {count}": spread(values) for count, values in figures.served.items()}
    tensors |= {f"bare loop, {count}": spread(values) for count, values in figures.bare.items()}
    return {"tensors": tensors, "share_of_bare_loop": shares}


if __name__ == "__main__":
    main()
