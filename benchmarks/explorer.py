"""From a moved control to its figures: HyperparameterExplorer over every field, in Python, without a browser.

A move sets the trait `values` as the browser does; the clock stops when `figures` holds what the new values cost, on
every device with a card: parameters, FLOPs, bytes, seconds of an epoch. Each move begins when the figures of the one
before are there. A round takes a fresh explorer for each network of the zoo, so that all networks are counted anew. A
move to a network that was not counted yet is told apart ("first"): the worker has to count it before, after whatever
it is just counting ahead. With --rest each control is left alone first until all that is counted ahead is there, as a
person does who reads the figures before going on to the next control.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.inference import machine
from workbench.data import Data, load_dataset
from workbench.devices import find_device, release_idle_threads
from workbench.hyperparameters import HyperParameters, recommended
from workbench.models import ZOO
from workbench.widgets.hyperparameter_explorer import HyperparameterExplorer

GOAL_MS = 300.0
PATIENCE = 300.0


class Clock:
    """Notes when an explorer has shown the figures, or the reason why there are none, of what is chosen."""

    def __init__(self, explorer: HyperparameterExplorer) -> None:
        self._explorer, self._shown = explorer, threading.Event()
        self._wanted: Mapping[str, Any] = {}
        self._at = 0.0
        explorer.observe(self._note, "figures")

    def _note(self, change: Any) -> None:
        if change["new"].get("of") == self._wanted:
            self._at = time.perf_counter()
            self._shown.set()

    def move(self, values: Mapping[str, Any]) -> float:
        """The milliseconds from here to the figures of `values`."""
        self._wanted = dict(values)
        self._shown.clear()
        start = time.perf_counter()
        self._explorer.values = self._wanted
        if not self._shown.wait(PATIENCE):
            raise SystemExit(f"No figures within {PATIENCE:g} s: {self._explorer.problem or values}")
        return 1e3 * (self._at - start)


def moves(explorer: HyperparameterExplorer) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each field in turn through all that its control offers, and back."""
    base = dict(explorer.values)
    for field in explorer.fields:
        name = field["name"]
        offered = field.get("stops") or field.get("choices") or [True, False]
        for value in [*offered, base[name]]:
            yield name, {**base, name: value}


def play(data: Data, plan: HyperParameters, taken: Mapping[tuple[str, str], list[float]], rest: bool) -> int:
    """All moves from `plan` on, in a fresh explorer; how many devices had a figure."""
    explorer = HyperparameterExplorer(data, plan, device="cpu")
    clock = Clock(explorer)
    until(lambda: explorer.figures)
    last, before = dict(explorer.values), ""
    for name, values in moves(explorer):
        if values == last:
            continue
        if rest and name != before and before:
            until(lambda: explorer._counter.ended)
        is_first = explorer._followed._counts.known(HyperParameters.from_mapping(values)) is None
        taken[name, "first" if is_first else "counted"].append(clock.move(values))
        last, before = values, name
    explorer.close()
    until(lambda: explorer._counter.ended)
    return len(explorer.figures["devices"])


def until(holds: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE
    while not holds():
        if time.monotonic() > end:
            raise SystemExit(f"The worker was not ready within {PATIENCE:g} s.")
        time.sleep(0.001)


def told(values: Sequence[float]) -> dict[str, float | int]:
    """Median, p99 and most of some milliseconds."""
    ordered = sorted(values)
    p99 = ordered[math.ceil(0.99 * len(ordered)) - 1]
    figures = {"median_ms": statistics.median(ordered), "p99_ms": p99, "most_ms": ordered[-1]}
    return {"moves": len(ordered), **{name: round(value, 1) for name, value in figures.items()}}


def main() -> None:
    """Print a table and one line of JSON."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks explorer", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data", default="animals", help="a data set of load_dataset")
    parser.add_argument("--models", nargs="+", default=list(ZOO), metavar="MODEL")
    parser.add_argument("--rest", action="store_true", help="before each control, until all is counted ahead")
    options = parser.parse_args()
    data = load_dataset(options.data)
    release_idle_threads()
    plans = [recommended(data.name, len(data.train)).replace(model=model) for model in options.models]
    play(data, plans[0], defaultdict(list), rest=False)  # warm-up: what is imported and done once
    taken: dict[tuple[str, str], list[float]] = defaultdict(list)
    for turn, plan in enumerate(plans * options.rounds, 1):
        devices = play(data, plan, taken, options.rest)
        print(f"{plan.model}: {turn} of {len(plans) * options.rounds}", file=sys.stderr)
    fields = {f"{name}{', first' * (kind == 'first')}": told(values) for (name, kind), values in taken.items()}
    everything = {
        kind: told([value for (_, other), values in taken.items() if other == kind for value in values])
        for kind in sorted({kind for _, kind in taken})
    }
    print(f"{find_device('cpu').title}, {data.name}, {devices} devices, {options.rounds} rounds, measured:")
    print("| control | moves | median | p99 | at most |\n| --- | --: | --: | --: | --: |")
    rows = {**fields, **{f"**all, {kind}**": figures for kind, figures in everything.items()}}
    for name, row in rows.items():
        print(f"| {name} | {row['moves']} | {row['median_ms']} ms | {row['p99_ms']} ms | {row['most_ms']} ms |")
    print(f"goal: figures within {GOAL_MS:g} ms")
    about = {"data": data.name, "devices": devices, "rounds": options.rounds, "models": options.models}
    about["rest"] = options.rest
    print(json.dumps({"benchmark": "explorer", **about, **everything, "fields": fields, "machine": machine()}))


if __name__ == "__main__":
    main()
