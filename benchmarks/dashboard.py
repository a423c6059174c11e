"""The cost of watching a training: train() in the main thread, in the worker thread, and in TrainingDashboard.

All run in one real Jupyter kernel, whose messages are received as by JupyterLab. The main thread runs PyTorch first, as
in a notebook. They train the default convnet on Fashion-MNIST, interleaved in chunks of steps; ratios are computed
within a round, and a figure is the median over the rounds with the lowest and the highest.

    main thread    for record in train(...)
    worker         the same loop as a Job of workbench.widgets.worker, without a widget
    dashboard      the same through TrainingDashboard

Before the worker begins, the main thread's idle OpenMP threads are released (`release_idle_threads`), as the dashboard
does; with --keep-idle-threads they remain, to show what that is worth.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any

from jupyter_client.manager import start_new_kernel

from benchmarks.figures import check_rounds, format_range, machine, option_parser, ratios, spread
from benchmarks.order import order
from workbench.machine.devices import find_device

MODES = ("main thread", "worker", "dashboard")

# In the kernel. A chunk is a generator of records that ends after so many steps.
PRELUDE = """
import time, torch
import workbench as wb
from workbench.machine import threads
from workbench.widgets import training_dashboard
from workbench.widgets.worker import Job
if {keep}:
    threads.release_idle_threads = training_dashboard.release_idle_threads = lambda: False
torch.set_num_threads({threads})
data = wb.load_dataset("fashion-mnist")
plan = wb.recommended("fashion-mnist").replace(epochs=100, precision={precision!r})
def chunk(seconds):
    run = wb.train(wb.build_model("convnet", shape=data.shape), data, plan, device="cpu")
    last = next(run)
    yield last  # warms up the threads, and does the set-up of a run
    first, start = last.step, time.perf_counter()
    while last.step < first + {steps}:
        last = next(run)
        yield last
    seconds.append((time.perf_counter() - start) / (last.step - first))
def seconds_per_step(mode):
    seconds = []
    if mode == "main thread":
        for _ in chunk(seconds):
            pass
    elif mode == "worker":
        threads.release_idle_threads()
        Job(chunk(seconds)).start().wait()
    else:
        from IPython.display import display
        board = wb.TrainingDashboard(chunk(seconds))
        display(board)
        board.result()
        board.close()
    return seconds[0]
for mode in {modes}:
    seconds_per_step(mode)
"""


def main() -> None:
    """Race, then print a table and one line of JSON."""
    parser = option_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=100, help="of each mode in each round, within an epoch")
    parser.add_argument("--threads", type=int, default=find_device("cpu").cores)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16"))
    parser.add_argument("--keep-idle-threads", action="store_true")
    options = parser.parse_args()
    check_rounds(parser, options.rounds)
    manager, client = start_new_kernel(env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)})
    messages = [0, 0]  # number of widget messages from the kernel, and their bytes
    try:
        run(client, _prelude(options), messages)
        seconds: dict[str, list[float]] = {mode: [] for mode in MODES}
        messages[:] = [0, 0]
        for round_number in range(options.rounds):
            for mode in order(MODES, round_number):
                seconds[mode].append(float(run(client, f"print(seconds_per_step({mode!r}))", messages)))
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    _report(options, seconds, messages)


def run(client: Any, code: str, messages: list[int]) -> str:
    """Return what `code` prints in the kernel; count widget messages. Raises SystemExit with the error of the code."""
    printed, failed = [], []

    def receive(message: dict[str, Any]) -> None:
        if message["msg_type"] == "stream" and message["content"]["name"] == "stdout":
            printed.append(message["content"]["text"])
        elif message["msg_type"] == "error":
            failed.append(f"{message['content']['ename']}: {message['content']['evalue']}")
        elif message["msg_type"] == "comm_msg":
            messages[0] += 1
            messages[1] += len(json.dumps(message["content"]))

    client.execute_interactive(code, output_hook=receive, timeout=1800)
    if failed:
        raise SystemExit(failed[0])
    return "".join(printed)


def _prelude(options: argparse.Namespace) -> str:
    facts = {"threads": options.threads, "precision": options.precision, "steps": options.steps, "modes": MODES}
    return PRELUDE.format(keep=options.keep_idle_threads, **facts)


def _report(options: argparse.Namespace, seconds: dict[str, list[float]], messages: list[int]) -> None:
    pairs = {
        "worker / main thread": ("worker", "main thread"),
        "dashboard / worker": ("dashboard", "worker"),
        "dashboard / main thread": ("dashboard", "main thread"),
    }
    result = {"benchmark": "dashboard", "data": "fashion-mnist", "precision": options.precision}
    result |= {"threads": options.threads, **machine()}
    print(f"{result['processor']}, {options.threads} threads, {options.precision}; median (lowest – highest)")
    rows = {mode: spread(values) for mode, values in seconds.items()}
    for mode, values in seconds.items():
        print(f"  {mode:<24}{format_range(spread([1e3 * each for each in values]), '.1f')} ms per step")
    result["ratios"] = {name: spread(ratios(seconds[one], seconds[other])) for name, (one, other) in pairs.items()}
    for name, row in result["ratios"].items():
        print(f"  {name:<24}{format_range(row, '.3f')}")
    size = f"{messages[1] / 1e3:,.0f} kB"
    print(f"  {messages[0]} widget messages, {size}; load average {result['load_average']}")
    result |= {"rounds": options.rounds, "steps": options.steps, "keep_idle_threads": options.keep_idle_threads}
    result |= {"spin_count": os.environ.get("GOMP_SPINCOUNT"), "messages": messages[0], "message_bytes": messages[1]}
    print(json.dumps(result | {"origin": "measured", "seconds_per_step": rows}))


if __name__ == "__main__":
    main()
