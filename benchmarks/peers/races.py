"""Race training contenders that take turns: some steps each in every round, or an epoch each until the end."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import torch

from benchmarks.figures import spread
from benchmarks.order import order
from benchmarks.peers.referee import Contender, ContenderFailed, note_failure, print_status
from workbench.machine.threads import torch_threads
from workbench.measuring.measurement import measure
from workbench.modelling.operations import operations

_SIDE = 1024

Turn = dict[str, Any]  # images, steps, seconds, and after an epoch accuracy


class Limit:
    """The arithmetic limit of training the convnet here.

    The FLOP/s of a product of 1024×1024 matrices on `threads` threads, over the counted FLOPs of training on an image.
    Measured once a round; the highest rate counts.
    """

    def __init__(self, threads: int, precisions: Sequence[str]) -> None:
        counted = operations("convnet", shape=(28, 28, 1), batch_size=128, phase="training")
        self.flops_per_image = sum(each.flops for each in counted) / 128
        self.peak_flops: dict[str, float] = dict.fromkeys(precisions, 0.0)
        self._threads = threads
        self._matrix = torch.rand(_SIDE, _SIDE)

    def measure(self) -> None:
        """Measure the product again."""
        matrices = {"fp32": self._matrix, "bf16": self._matrix.bfloat16()}
        calls = {name: (lambda matrix=matrices[name]: matrix @ matrix) for name in self.peak_flops}
        with torch.inference_mode(), torch_threads(self._threads):
            readings = measure(calls, seconds=0.3)
        for name, reading in readings.items():
            self.peak_flops[name] = max(self.peak_flops[name], 2 * _SIDE**3 / reading.latency.p50)

    def share(self, images_per_second: float, precision: str) -> float:
        """Return a speed as a share of the limit in this precision."""
        return images_per_second * self.flops_per_image / self.peak_flops[precision]

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {"flops_per_image": self.flops_per_image, "peak_flops": self.peak_flops}


def by_steps(
    racing: Sequence[Contender], failed: dict[str, str], limit: Limit, *, rounds: int, steps: int
) -> dict[str, list[Turn]]:
    """Return the turns of each contender that lasted all `rounds`, without those of a warm-up round."""
    turns: dict[str, list[Turn]] = {each.entry.name: [] for each in racing}
    for number in range(rounds + 1):
        print_status(f"Round {number} of {rounds} …" if number else "Warming up …")
        limit.measure()
        for name, turn in _round(racing, failed, number, lambda contender: contender.turn(steps)).items():
            turns[name].append(turn)
    return {name: done[1:] for name, done in turns.items() if name not in failed}


def by_epochs(
    racing: Sequence[Contender], failed: dict[str, str], limit: Limit, *, target: float | None = None
) -> dict[str, list[Turn]]:
    """Return the epochs of each contender, up to the one that reached `target`, or all of them."""
    turns: dict[str, list[Turn]] = {each.entry.name: [] for each in racing}

    def continues(contender: Contender) -> bool:
        done = turns[contender.entry.name]
        has_reached = target is not None and done and done[-1]["accuracy"] >= target
        return not has_reached and len(done) < contender.epochs and contender.entry.name not in failed

    number = 0
    while still := [contender for contender in racing if continues(contender)]:
        limit.measure()
        for name, turn in _round(still, failed, number, Contender.turn).items():
            turns[name].append(turn)
            text = f"{name}: epoch {len(turns[name])}, {turn['seconds']:.1f} s, accuracy {turn['accuracy']:.4f}"
            print_status(f"{text}, {turn['images'] / turn['seconds']:,.0f} images/s")
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
        except ContenderFailed as reason:
            note_failure(failed, contender.entry, reason)
    return done


def row_of(contender: Contender, turns: Sequence[Turn], limit: Limit) -> dict[str, Any]:
    """Return a contender's speed, and its share of the arithmetic limit in its precision."""
    speeds = [turn["images"] / turn["seconds"] for turn in turns]
    steps = [turn["seconds"] / turn["steps"] for turn in turns]
    return {
        **contender.about,
        "setup_seconds": contender.setup_seconds,
        "images_per_second": spread(speeds),
        "seconds_per_step": spread(steps),
        "share_of_limit": limit.share(statistics.median(speeds), contender.about["precision"]),
        "turns": list(turns),
    }
