"""Two ways to race contenders that take turns: some steps each in every round, or an epoch each until the end."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from benchmarks.order import order
from benchmarks.peers.referee import Contender, Dropped, drop, tell
from workbench.devices import torch_threads
from workbench.measurement import measure
from workbench.operations import operations

_SIDE = 1024

Turn = dict[str, Any]  # pictures, steps, seconds, and after an epoch accuracy


class Limit:
    """What the arithmetic allows: the FLOP/s that a product of 1024×1024 matrices reaches here on so many threads, over
    the counted FLOPs of training the convnet on a picture. Measured once a round; the highest rate counts.
    """

    def __init__(self, threads: int, precisions: Sequence[str]) -> None:
        counted = operations("convnet", shape=(28, 28, 1), batch_size=128, phase="training")
        self.flops_per_picture = sum(each.flops for each in counted) / 128
        self.peak_flops: dict[str, float] = dict.fromkeys(precisions, 0.0)
        self._threads = threads
        self._matrix = torch.rand(_SIDE, _SIDE)

    def measure(self) -> None:
        """Another reading."""
        halved = {"fp32": self._matrix, "bf16": self._matrix.bfloat16()}
        calls = {name: (lambda matrix=halved[name]: matrix @ matrix) for name in self.peak_flops}
        with torch.inference_mode(), torch_threads(self._threads):
            found = measure(calls, seconds=0.3)
        for name, reading in found.items():
            self.peak_flops[name] = max(self.peak_flops[name], 2 * _SIDE**3 / reading.latency.p50)

    def share(self, pictures_per_second: float, precision: str) -> float:
        """Of the limit, in this precision."""
        return pictures_per_second * self.flops_per_picture / self.peak_flops[precision]

    def to_mapping(self) -> dict[str, Any]:
        """For JSON."""
        return {"flops_per_picture": self.flops_per_picture, "peak_flops": self.peak_flops}


def by_steps(
    racing: Sequence[Contender], failed: dict[str, str], limit: Limit, *, rounds: int, steps: int
) -> dict[str, list[Turn]]:
    """The turns of each that lasted all `rounds`; a round before them warms up."""
    turns: dict[str, list[Turn]] = {each.entry.name: [] for each in racing}
    for number in range(rounds + 1):
        tell(f"Round {number} of {rounds} …" if number else "Warming up …")
        limit.measure()
        for name, turn in _round(racing, failed, number, lambda contender: contender.turn(steps)).items():
            turns[name].append(turn)
    return {name: done[1:] for name, done in turns.items() if name not in failed}


def by_epochs(
    racing: Sequence[Contender], failed: dict[str, str], limit: Limit, *, target: float | None = None
) -> dict[str, list[Turn]]:
    """The epochs of each, up to the one that reached `target`, or all that it has."""
    turns: dict[str, list[Turn]] = {each.entry.name: [] for each in racing}

    def going(contender: Contender) -> bool:
        done = turns[contender.entry.name]
        reached = target is not None and done and done[-1]["accuracy"] >= target
        return not reached and len(done) < contender.epochs and contender.entry.name not in failed

    number = 0
    while still := [contender for contender in racing if going(contender)]:
        limit.measure()
        for name, turn in _round(still, failed, number, Contender.turn).items():
            turns[name].append(turn)
            told = f"{name}: epoch {len(turns[name])}, {turn['seconds']:.1f} s, accuracy {turn['accuracy']:.4f}"
            tell(f"{told}, {turn['pictures'] / turn['seconds']:,.0f} pictures/s")
        number += 1
    return {name: done for name, done in turns.items() if name not in failed}


def _round(
    racing: Sequence[Contender], failed: dict[str, str], number: int, take: Callable[[Contender], Turn]
) -> dict[str, Turn]:
    done: dict[str, Turn] = {}
    for contender in order(racing, number):
        if contender.entry.name in failed:
            continue
        try:
            done[contender.entry.name] = take(contender)
        except Dropped as reason:
            drop(failed, contender.entry, reason)
    return done


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}


def told_spread(values: Mapping[str, float], form: str) -> str:
    """Such as "2,310 (2,250 – 2,400)"."""
    return f"{values['median']:{form}} ({values['lowest']:{form}} – {values['highest']:{form}})"


def row_of(contender: Contender, turns: Sequence[Turn], limit: Limit) -> dict[str, Any]:
    """What one contender did: its speed, and how near to the limit of the arithmetic in its precision."""
    speeds = [turn["pictures"] / turn["seconds"] for turn in turns]
    steps = [turn["seconds"] / turn["steps"] for turn in turns]
    return {
        **contender.about,
        "setup_seconds": contender.setup_seconds,
        "pictures_per_second": spread(speeds),
        "seconds_per_step": spread(steps),
        "share_of_limit": limit.share(statistics.median(speeds), contender.about["precision"]),
        "turns": list(turns),
    }
