"""How long a call takes, measured fairly: warmed up, synchronised, interleaved with its rivals, with its spread."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

# A block of calls to one engine lasts about this long before the next engine's turn: long enough for its code and
# weights to be in the caches, short enough that a noisy moment of the machine hits all of them.
BLOCK_SECONDS = 0.02


@dataclass(frozen=True, kw_only=True)
class Latency:
    """Seconds a call took, here and now. p50, p90, p99: the median and the slowest tenth and hundredth of `count`
    calls; warm_up: the first call, which is not counted among them.
    """

    p50: float
    p90: float
    p99: float
    count: int
    warm_up: float
    origin: str = "measured"


def measure_latencies(
    calls: Mapping[str, Callable[[], object]],
    *,
    seconds: float = 1.0,
    synchronise: Callable[[], None] = lambda: None,
) -> dict[str, Latency]:
    """Race the calls against each other for about `seconds` each, in turns.

    synchronise: waits for the device; it is part of every timing, so that a GPU's answer has arrived when the clock
    stops.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    first: dict[str, float] = {}
    block: dict[str, int] = {}

    def once(call: Callable[[], object]) -> float:
        synchronise()
        start = time.perf_counter()
        call()
        synchronise()
        return time.perf_counter() - start

    for name, call in calls.items():
        first[name] = once(call)
        settled = min(once(call) for _ in range(3))
        block[name] = max(1, round(BLOCK_SECONDS / max(settled, 1e-7)))
    deadline = time.perf_counter() + seconds * len(calls)
    while time.perf_counter() < deadline:
        for name, call in calls.items():
            once(call)  # the caches still hold the rival's weights
            times[name] += [once(call) for _ in range(block[name])]
    return {name: _summary(values, first[name]) for name, values in times.items()}


def _summary(values: list[float], warm_up: float) -> Latency:
    p50, p90, p99 = (float(value) for value in np.percentile(values, [50, 90, 99]))
    return Latency(p50=p50, p90=p90, p99=p99, count=len(values), warm_up=warm_up)
