"""Waiting times: imports, --help, the first answer of a bundle, JupyterLab's first widget, and the notebooks.

Each start is a new process, timed from before it is created until it has exited. The starts take turns in several
rounds after a warm-up round, so that the disk cache is warm for all; a figure is the median over the rounds, with the
lowest and the highest. The bare Python is the limit: no start can be shorter. `import torch` is what a command would
cost that loads it needlessly.

    --lab          `workbench lab --no-browser`, as in `make lab BROWSER=no`, on a copy of the lessons: from the command
                   until the server answers, the page's kernel is idle, and the first widget is there
    --notebooks    each lesson from top to bottom in its own kernel, without a browser, once and in order

The data sets should be in their cache: otherwise --notebooks includes loading them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.figures import check_rounds, machine, option_parser, spread
from benchmarks.order import order
from workbench.folders import REFERENCE
from workbench.inference.footprint import measure_footprint

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_SECONDS = 1800
FIRST_ANSWER = "first answer of a bundle, no torch"
# Seconds, for the median of the whole process.
GOALS = {"import workbench": 0.1, "workbench --help": 0.3}
NOTEBOOKS_GOAL = 360.0

sys.path.insert(0, str(ROOT / "tests"))


def main() -> None:
    """Time all starts in turns, then print tables and one line of JSON."""
    parser = option_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--lab", action="store_true", help="also start JupyterLab, up to its first widget")
    parser.add_argument("--notebooks", action="store_true", help="also run every lesson")
    options = parser.parse_args()
    check_rounds(parser, options.rounds)
    result: dict[str, Any] = {"benchmark": "start", "origin": "measured", "rounds": options.rounds, **machine()}
    print(f"{result['processor']}, {result['usable_cores']} usable cores; median (lowest – highest)")
    result["starts"] = _starts(options.rounds)
    if options.lab:
        result["lab"] = _lab(options.rounds)
    if options.notebooks:
        result["notebooks"] = _notebooks()
    print(f"load average at the start: {result['load_average']}; at the end: {machine()['load_average']}")
    print(json.dumps(result))


def _starts(rounds: int) -> dict[str, Any]:
    def python(*arguments: str) -> Callable[[], float]:
        return lambda: _seconds([sys.executable, *arguments])

    starts: dict[str, Callable[[], float]] = {
        "python -c pass": python("-c", "pass"),
        "import workbench": python("-c", "import workbench"),
        "import torch": python("-c", "import torch"),
        "workbench --help": python("-c", "from workbench.cli import main; main()", "--help"),
        FIRST_ANSWER: lambda: measure_footprint(REFERENCE).seconds_to_first_answer,
    }
    times: dict[str, list[float]] = {name: [] for name in starts}
    for round_number in range(rounds + 1):
        for name in order(starts, round_number):
            seconds = starts[name]()
            if round_number > 0:
                times[name].append(seconds)
    rows = {}
    for name, values in times.items():
        rows[name] = spread(values) | {"goal": GOALS.get(name)}
        _print_row(name, rows[name], "ms", 1e3)
    return rows


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - start


def _lab(rounds: int) -> dict[str, Any]:
    from browser.lab import NO_BROWSER, find_browser

    path = find_browser()
    stages: dict[str, list[float]] = {}
    for _ in range(rounds + 1):
        for stage, seconds in _lab_once(path).items():
            stages.setdefault(stage, []).append(seconds)
    rows = {stage: spread(values[1:]) for stage, values in stages.items()}  # the first is a warm-up
    print("workbench lab --no-browser, from the command")
    for stage, row in rows.items():
        _print_row(f"  until {stage}", row, "s", 1.0)
    if path is None:
        print(f"  {NO_BROWSER}: the time to the first widget was not measured")
    return {"browser": path is not None, "stages": rows}


def _lab_once(browser: str | None) -> dict[str, float]:
    """Return the seconds from the command to each stage, in a copy that leaves the user's files alone."""
    stages = {}
    with _copy("notebooks", "workbench") as folder:
        own = {f"JUPYTER_{kind}_DIR": str(folder / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
        own |= {f"JUPYTERLAB_{kind}_DIR": str(folder / kind.lower()) for kind in ("SETTINGS", "WORKSPACES")}
        environment = os.environ | own | {"WORKBENCH_LEARNER": str(folder / "learner.json")}
        command = [sys.executable, "-m", "workbench", "lab", "--no-browser"]
        with (folder / "server.log").open("wb") as log:
            start = time.perf_counter()
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        try:
            address = _address(process, folder)
            stages["the server answers"] = time.perf_counter() - start
            if browser is not None:
                for stage in _first_widget(browser, address):
                    stages[stage] = time.perf_counter() - start
        finally:
            process.terminate()  # the server ends its kernels
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    return stages


def _address(process: subprocess.Popen[bytes], folder: Path) -> str:
    """Return the address of the server from the file that it writes."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        for path in (folder / "runtime").glob("jpserver-*.json"):
            try:
                facts = json.loads(path.read_text(encoding="utf-8"))
            except ValueError:  # not completely written yet
                continue
            return f"{facts['url']}lab/tree/notebooks/00_start_here.ipynb?token={facts['token']}"
        time.sleep(0.02)
    raise SystemExit(f"JupyterLab did not start:\n{(folder / 'server.log').read_text()[-2000:]}")


def _first_widget(browser: str, address: str) -> Iterator[str]:
    """Open the page and run all cells; yield the name of each stage once it is reached."""
    from browser.lab import chromium

    with chromium(browser) as running:
        page = running.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(120_000)
        page.goto(address)
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        yield "the page's kernel is idle"
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        page.locator("section.wb").first.wait_for(state="attached")
        yield "its first widget is there"


def _notebooks() -> dict[str, Any]:
    from browser.lab import NOTEBOOKS

    rows = {}
    print(f"{'lesson':28} {'time':>8}   slowest cell")
    with _copy("notebooks") as folder:
        os.environ["WORKBENCH_LEARNER"] = str(folder / "learner.json")
        for path in NOTEBOOKS:
            row = rows[path.stem] = _lesson(folder / "notebooks" / path.name)
            failed = f", {row['failed_cells']} cells failed" if row["failed_cells"] else ""
            slowest = f"{row['slowest_cell']:.1f} s: …{row['ends_in'][-60:]}"
            print(f"{path.stem:28} {row['seconds']:>6.1f} s   {slowest}{failed}")
    total = sum(row["seconds"] for row in rows.values())
    print(f"{'together':28} {total:>6.1f} s   goal: {NOTEBOOKS_GOAL:.0f} s, {_verdict(total, NOTEBOOKS_GOAL)}")
    return {"lessons": rows, "seconds": total, "goal": NOTEBOOKS_GOAL}


def _lesson(path: Path) -> dict[str, Any]:
    """Run all cells, as for a learner without any answers yet; the start of the kernel counts too."""
    import nbformat
    from nbclient import NotebookClient

    cells: list[tuple[float, str]] = []
    started_at, failed = 0.0, 0

    def begin(**_: Any) -> None:
        nonlocal started_at
        started_at = time.perf_counter()

    def end(cell: Any, execute_reply: Any, **_: Any) -> None:
        nonlocal failed
        cells.append((time.perf_counter() - started_at, cell.source.strip().splitlines()[-1]))
        failed += execute_reply["content"]["status"] != "ok"

    about = {"timeout": TIMEOUT_SECONDS, "resources": {"metadata": {"path": path.parent}}}
    client = NotebookClient(nbformat.read(path, as_version=4), allow_errors=True, **about)
    client.on_cell_execute, client.on_cell_executed = begin, end
    start = time.perf_counter()
    client.execute()
    slowest, line = max(cells)
    row = {"seconds": time.perf_counter() - start, "slowest_cell": slowest, "ends_in": line}
    return row | {"failed_cells": failed}


@contextmanager
def _copy(*folders: str) -> Iterator[Path]:
    """Copy these folders of the checkout, so that the user's runs are neither read nor changed."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        for name in folders:
            shutil.copytree(ROOT / name, Path(scratch) / name, ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
        yield Path(scratch)


def _print_row(name: str, row: dict[str, Any], unit: str, factor: float) -> None:
    median, low, high, goal = (row.get(key) for key in ("median", "lowest", "highest", "goal"))
    verdict = "" if goal is None else f"   goal: {factor * goal:,.0f} {unit}, {_verdict(median, goal)}"
    digits = 0 if unit == "ms" else 1
    limits = f"({factor * low:,.{digits}f} – {factor * high:,.{digits}f})"
    print(f"{name:36} {factor * median:>8,.{digits}f} {unit} {limits:<20}{verdict}")


def _verdict(seconds: float, goal: float) -> str:
    return "met" if seconds < goal else "missed"


if __name__ == "__main__":
    main()
