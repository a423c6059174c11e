"""The time from moving a control to its figures: HyperparameterExplorer over every field, without a browser.

A move sets the trait `values`, as the browser does; the clock stops when `figures` holds the cost of the new values, on
every device with a card: parameters, FLOPs, bytes, seconds of an epoch. Each move begins once the figures of the one
before are there. A round uses a fresh explorer for each network of the zoo, so that all networks are counted anew. A
move to a network that has not been counted yet is reported separately ("first"): the worker has to count it, after
whatever it is counting ahead at the moment. With --rest, each control waits until everything is counted ahead, as for a
person who reads the figures before moving the next control.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.figures import machine, option_parser
from workbench.data.datasets import Data, load_dataset
from workbench.hyperparameters import HyperParameters, recommended
from workbench.machine.devices import find_device
from workbench.machine.threads import release_idle_threads
from workbench.training.models import ZOO
from workbench.widgets.hyperparameter_explorer import HyperparameterExplorer

GOAL_MS = 300.0
TIMEOUT_SECONDS = 300.0


class Clock:
    """Measures when an explorer shows the figures of the chosen values, or the reason why there are none."""

    def __init__(self, explorer: HyperparameterExplorer) -> None:
        self._explorer, self._shown = explorer, threading.Event()
        self._values: Mapping[str, Any] = {}
        self._shown_at = 0.0
        explorer.observe(self._note, "figures")

    def _note(self, change: Any) -> None:
        if change["new"].get("of") == self._values:
            self._shown_at = time.perf_counter()
            self._shown.set()

    def move(self, values: Mapping[str, Any]) -> float:
        """Set `values` and return the milliseconds until their figures are shown."""
        self._values = dict(values)
        self._shown.clear()
        start = time.perf_counter()
        self._explorer.values = self._values
        if not self._shown.wait(TIMEOUT_SECONDS):
            raise SystemExit(f"No figures within {TIMEOUT_SECONDS:g} s: {self._explorer.problem or values}")
        return 1e3 * (self._shown_at - start)


def moves(explorer: HyperparameterExplorer) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield moves of each field through all values of its control and back, with the field's name."""
    base = dict(explorer.values)
    for field in explorer.fields:
        name = field["name"]
        values = field.get("stops") or field.get("choices") or [True, False]
        for value in [*values, base[name]]:
            yield name, {**base, name: value}


def make_all_moves(data: Data, plan: HyperParameters, times: Mapping[tuple[str, str], list[float]], rest: bool) -> int:
    """Make all moves from `plan` in a fresh explorer, adding to `times`; return the number of devices with a figure."""
    explorer = HyperparameterExplorer(data, plan, device="cpu")
    clock = Clock(explorer)
    wait_until(lambda: explorer.figures)
    last, before = dict(explorer.values), ""
    for name, values in moves(explorer):
        if values == last:
            continue
        if rest and name != before and before:
            wait_until(lambda: explorer._counter.ended)
        is_first = explorer._followed._counts.known(HyperParameters.from_mapping(values)) is None
        times[name, "first" if is_first else "counted"].append(clock.move(values))
        last, before = values, name
    explorer.close()
    wait_until(lambda: explorer._counter.ended)
    return len(explorer.figures["devices"])


def wait_until(holds: Callable[[], Any]) -> None:
    """Raise SystemExit unless the condition holds within TIMEOUT_SECONDS."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while not holds():
        if time.monotonic() > end:
            raise SystemExit(f"The worker was not ready within {TIMEOUT_SECONDS:g} s.")
        time.sleep(0.001)


def describe(values: Sequence[float]) -> dict[str, float | int]:
    """Return the median, the 99th percentile and the maximum of milliseconds."""
    ordered = sorted(values)
    p99 = ordered[math.ceil(0.99 * len(ordered)) - 1]
    figures = {"median_ms": statistics.median(ordered), "p99_ms": p99, "highest_ms": ordered[-1]}
    return {"moves": len(ordered), **{name: round(value, 1) for name, value in figures.items()}}


def main() -> None:
    """Make all moves in several rounds, then print a table and one line of JSON."""
    parser = option_parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", default="animals", help="a data set of load_dataset")
    parser.add_argument("--models", nargs="+", default=list(ZOO), metavar="MODEL")
    parser.add_argument(
        "--rest", action="store_true", help="wait before each control until everything is counted ahead"
    )
    options = parser.parse_args()
    data = load_dataset(options.data)
    release_idle_threads()
    plans = [recommended(data.name, len(data.train)).replace(model=model) for model in options.models]
    make_all_moves(data, plans[0], defaultdict(list), rest=False)  # warm-up
    times: dict[tuple[str, str], list[float]] = defaultdict(list)
    for turn, plan in enumerate(plans * options.rounds, 1):
        devices = make_all_moves(data, plan, times, options.rest)
        print(f"{plan.model}: {turn} of {len(plans) * options.rounds}", file=sys.stderr)
    fields = {f"{name}{', first' * (kind == 'first')}": describe(values) for (name, kind), values in times.items()}
    everything = {
        kind: describe([value for (_, other), values in times.items() if other == kind for value in values])
        for kind in sorted({kind for _, kind in times})
    }
    print(f"{find_device('cpu').title}, {data.name}, {devices} devices, {options.rounds} rounds, measured:")
    print("| control | moves | median | p99 | at most |\n| --- | --: | --: | --: | --: |")
    rows = {**fields, **{f"**all, {kind}**": figures for kind, figures in everything.items()}}
    for name, row in rows.items():
        print(f"| {name} | {row['moves']} | {row['median_ms']} ms | {row['p99_ms']} ms | {row['highest_ms']} ms |")
    print(f"goal: figures within {GOAL_MS:g} ms")
    about = {"data": data.name, "devices": devices, "rounds": options.rounds, "models": options.models}
    about["rest"] = options.rest
    print(json.dumps({"benchmark": "explorer", **about, **everything, "fields": fields, "machine": machine()}))


if __name__ == "__main__":
    main()
