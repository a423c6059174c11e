"""Compare this tree with an older checkout: has anything become slower?

    python -m benchmarks regression --against ../older-checkout

Both run in this environment, in turns within one run, each in its own processes: importing the package, `--help`, a
training step, ten steps of train(), one answer of ONNX Runtime on one thread, and requests of 16 concurrent clients
to one worker. A figure is the median over the rounds with the lowest and the highest; ratios are computed
within a round, and above 1 this tree is slower. Only public names are used, so that any two trees can be compared.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.figures import check_rounds, format_range, machine, option_parser, ratios, spread
from benchmarks.http_load import post, run_load_test
from benchmarks.order import order

HERE = Path(__file__).resolve().parents[1]
CLIENTS, LOAD_SECONDS = 16, 2.0
REFERENCE = "datasets/devices/reference"

# Each reads a line, works, and answers with the seconds of one piece of work.
_CHILD = """
import itertools, sys, time
import numpy as np, torch, workbench as wb
torch.set_num_threads({threads})
{prepare}
for _ in sys.stdin:
    start = time.perf_counter()
    for _ in range({repeats}):
        {work}
    print((time.perf_counter() - start) / {repeats}, flush=True)
"""
_STEP = """
model = wb.build_model("convnet", classes=10, shape=(32, 32, 3))
plain = wb.Preprocessing(height=32, width=32, channels=3, mean=(0.5,) * 3, std=(0.25,) * 3)
step = wb.TrainingStep(model, wb.HyperParameters(), plain, threads={threads})
batch = step.place(torch.randint(0, 256, (128, 32, 32, 3), dtype=torch.uint8), torch.randint(0, 10, (128,)))
"""
_TRAIN = """
data = wb.load_dataset("digits")
model = wb.build_model("convnet", classes=10, shape=data.shape)
plan = wb.HyperParameters(epochs=10_000, batch_size=64, precision="fp32")
records = (each for each in wb.train(model, data, plan, device="cpu", record_every=10) if each.kind == "step")
"""
_ANSWER = """
predictor = wb.Predictor.from_bundle("{tree}/datasets/devices/reference", "onnx", threads=1)
batch = np.zeros((1, 32, 32, 3), dtype=np.uint8)
"""
_WORK = {
    "a training step, batch 128": (_STEP, "step(*batch)", 10),
    "10 steps of train(), batch 64": (_TRAIN, "next(records)", 3),
    "one answer, one thread": (_ANSWER, "predictor(batch)", 1000),
}


def main() -> None:
    """Race, then print a line per task and one line of JSON."""
    parser = option_parser(__doc__)
    parser.add_argument("--against", type=Path, required=True, help="the older checkout")
    parser.add_argument("--rounds", type=int, default=10)
    options = parser.parse_args()
    check_rounds(parser, options.rounds)
    if not (options.against / "workbench" / "__init__.py").is_file():
        parser.error(f"--against {options.against}: there is no checkout of the workbench")
    trees = {"this": HERE, "older": options.against.resolve()}
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    result = {}
    print(f"{machine()['processor']}, {threads} threads; this tree, the older one, their ratio: median (range)")
    for task in ("import workbench", "workbench --help", *_WORK, f"a request, {CLIENTS} concurrent"):
        with ExitStack() as stack:
            turns = {name: stack.enter_context(_turn(task, tree, threads)) for name, tree in trees.items()}
            seconds = _race(turns, options.rounds)
        ratio = spread(ratios(seconds["this"], seconds["older"]))
        rows = {name: spread([1e3 * each for each in found]) for name, found in seconds.items()}
        figures = "  ".join(f"{format_range(row, '.3f'):28}" for row in rows.values())
        print(f"  {task:32}{figures}  {format_range(ratio, '.3f')}", flush=True)
        result[task] = {"milliseconds": rows, "ratio": ratio}
    about = {"benchmark": "regression", "origin": "measured", "rounds": options.rounds, "threads": threads}
    print(json.dumps(about | machine() | {"tasks": result}))


def _race(turns: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {name: [] for name in turns}
    for number in range(rounds + 1):
        for name in order(turns, number):
            found[name].append(turns[name]())
    return {name: seconds[1:] for name, seconds in found.items()}  # the first round warms up


@contextmanager
def _turn(task: str, tree: Path, threads: int) -> Iterator[Callable[[], float]]:
    """Yield a function that measures the task once in this tree, in seconds."""
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"}
    if task in ("import workbench", "workbench --help"):
        what = ["-c", "import workbench"] if task.startswith("import") else ["-m", "workbench", "--help"]
        yield lambda: _timed([sys.executable, *what], environment)
        return
    if task in _WORK:
        prepare, work, repeats = _WORK[task]
        code = _CHILD.format(
            threads=threads, prepare=prepare.format(threads=threads, tree=tree), work=work, repeats=repeats
        )
        command = [sys.executable, "-c", code]
    else:
        command = [sys.executable, "-m", "workbench", "serve", str(tree / REFERENCE), "--port", "0"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
    try:
        yield _asking(child) if task in _WORK else _loading(child, tree)
    finally:
        child.terminate()
        child.wait(60)


def _timed(command: list[str], environment: dict[str, str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def _asking(child: subprocess.Popen[str]) -> Callable[[], float]:
    def ask() -> float:
        assert child.stdin
        assert child.stdout
        child.stdin.write("\n")
        child.stdin.flush()
        return float(child.stdout.readline())

    return ask


def _loading(child: subprocess.Popen[str], tree: Path) -> Callable[[], float]:
    assert child.stdout
    port = next(int(line.rpartition(":")[2].split()[0]) for line in child.stdout if "http://" in line)
    request = post("/classify", (tree / REFERENCE / "self_test" / "00.png").read_bytes(), "image/png")

    def load() -> float:
        found = run_load_test(port, request, CLIENTS, LOAD_SECONDS)
        return found.wall / len(found.seconds)

    return load
