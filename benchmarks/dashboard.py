"""The cost of watching: the same train() in the main thread, in the worker's thread, and shown by TrainingDashboard.

All in one real Jupyter kernel, whose messages are read as JupyterLab reads them. The main thread runs PyTorch first, as
a notebook does. They train the default convnet on Fashion-MNIST, interleaved, a chunk of steps each; ratios are taken
within a round, and a figure is the median over the rounds with the lowest and the highest as its spread.

    main thread    for record in train(...)
    worker         the same loop as a Job of workbench.widgets.worker, without a widget
    dashboard      the same through TrainingDashboard

Before the worker begins, the main thread's idle OpenMP threads are let go (devices.release_idle_threads), as the
dashboard does; with --keep-idle-threads they stay, to see what that is worth.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from typing import Any

from jupyter_client.manager import start_new_kernel

from benchmarks.inference import machine
from benchmarks.order import order
from workbench.devices import find_device

WAYS = ("main thread", "worker", "dashboard")

# In the kernel. A chunk is a generator of records that ends after so many steps.
PRELUDE = """
import time, torch
import workbench as wb
from workbench import devices
from workbench.widgets import training_dashboard
from workbench.widgets.worker import Job
if {keep}:
    devices.release_idle_threads = training_dashboard.release_idle_threads = lambda: False
torch.set_num_threads({threads})
data = wb.load_dataset("fashion-mnist")
plan = wb.hyperparameters.recommended("fashion-mnist").replace(epochs=100, precision={precision!r})
def chunk(seconds):
    run = wb.train(wb.build_model("convnet", shape=data.shape), data, plan, device="cpu")
    last = next(run)
    yield last  # warm-up: of the threads, and of what is done once a run
    begun, start = last.step, time.perf_counter()
    while last.step < begun + {steps}:
        last = next(run)
        yield last
    seconds.append((time.perf_counter() - start) / (last.step - begun))
def take(way):
    seconds = []
    if way == "main thread":
        for _ in chunk(seconds):
            pass
    elif way == "worker":
        devices.release_idle_threads()
        Job(chunk(seconds)).start().wait()
    else:
        from IPython.display import display
        board = wb.TrainingDashboard(chunk(seconds))
        display(board)
        board.result()
        board.close()
    return seconds[0]
for way in {ways}:
    take(way)
"""


def main() -> None:
    """Race, then print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=100, help="of each way in each round, within an epoch")
    parser.add_argument("--threads", type=int, default=find_device("cpu").cores)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--keep-idle-threads", action="store_true")
    options = parser.parse_args()
    if options.rounds < 5:
        parser.error("--rounds: at least 5, or the spread means nothing")
    manager, client = start_new_kernel(env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    messages = [0, 0]  # told by the kernel, and bytes of the widgets' state in them
    try:
        run(client, _prelude(options), messages)
        seconds: dict[str, list[float]] = {way: [] for way in WAYS}
        messages[:] = [0, 0]
        for round_number in range(options.rounds):
            for way in order(WAYS, round_number):
                seconds[way].append(float(run(client, f"print(take({way!r}))", messages)))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    _report(options, seconds, messages)


def run(client: Any, code: str, messages: list[int]) -> str:
    """What `code` prints in the kernel. Raises SystemExit with what it raises; counts the widgets' messages."""
    printed, failed = [], []

    def hear(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            printed.append(message["content"]["text"])
        elif message["msg_type"] == "error":
            failed.append(f"{message['content']['ename']}: {message['content']['evalue']}")
        elif message["msg_type"] == "comm_msg":
            messages[0] += 1
            messages[1] += len(json.dumps(message["content"]))

    client.execute_interactive(code, output_hook=hear, timeout=1800)
    if failed:
        raise SystemExit(failed[0])
    return "".join(printed)


def _prelude(options: argparse.Namespace) -> str:
    facts = {"threads": options.threads, "precision": options.precision, "steps": options.steps, "ways": WAYS}
    return "import workbench.hyperparameters\n" + PRELUDE.format(keep=options.keep_idle_threads, **facts)


def _report(options: argparse.Namespace, seconds: dict[str, list[float]], messages: list[int]) -> None:
    pairs = {
        "worker / main thread": ("worker", "main thread"),
        "dashboard / worker": ("dashboard", "worker"),
        "dashboard / main thread": ("dashboard", "main thread"),
    }
    ratios, rows = {}, {}
    told = {"data": "fashion-mnist", "precision": options.precision, "threads": options.threads} | machine()
    print(f"{told['processor']}, {options.threads} threads, {options.precision}; median (lowest – highest)")
    for way, values in seconds.items():
        rows[way] = {"seconds_per_step": statistics.median(values), "lowest": min(values), "highest": max(values)}
        print(f"  {way:<24}{1e3 * rows[way]['seconds_per_step']:>8.1f} ms a step "
              f"({1e3 * min(values):.1f} – {1e3 * max(values):.1f})")  # fmt: skip
    for name, (one, other) in pairs.items():
        found = [mine / its for mine, its in zip(seconds[one], seconds[other], strict=True)]
        ratios[name] = {"median": statistics.median(found), "lowest": min(found), "highest": max(found)}
        print(f"  {name:<24}{ratios[name]['median']:>8.3f} ({min(found):.3f} – {max(found):.3f})")
    print(f"  {messages[0]} messages of widgets, {messages[1] / 1e3:,.0f} kB; load average {told['load_average']}")
    rest = {"rounds": options.rounds, "steps": options.steps, "keep_idle_threads": options.keep_idle_threads}
    rest |= {"spin_count": os.environ.get("GOMP_SPINCOUNT"), "messages": messages[0], "message_bytes": messages[1]}
    print(json.dumps({"benchmark": "dashboard"} | told | rest | {"origin": "measured", "ways": rows, "ratios": ratios}))


if __name__ == "__main__":
    main()
