"""Measure a network on the devices of this machine, step by step: what was found, who failed, how long it will take."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from workbench.devices import find_device, list_devices
from workbench.errors import WorkbenchError
from workbench.measured_before import remember
from workbench.measurement import Measurement, Phase
from workbench.networks import Failure, Network, contestants
from workbench.sweeps import BATCH_SIZES, Contestant, DropOut, sweep


@dataclass(frozen=True, kw_only=True)
class Step:
    """One thing more is known: a measurement, or a failure. share: of the whole work, 0 to 1; seconds_left: about how
    long the rest takes, None while that is not known; told: what is being done, in words."""

    found: Measurement | Failure | None
    share: float
    seconds_left: float | None
    told: str


def measure_here(
    network: Network,
    phase: Phase,
    *,
    devices: Sequence[str] = (),
    engine: str = "",
    precision: str = "",
    batch_sizes: Sequence[int] = BATCH_SIZES,
    seconds: float = 0.1,
) -> Generator[Step, None, None]:
    """Race all engines of this machine at each batch size, the smallest first, for `seconds` each.

    devices: their titles; all, if empty. engine, precision: only this one, if named. Who fails is told as a `Failure`
    while the others go on. After each batch size what was measured is kept on the disk (`recall` finds it). Leave the
    loop to stop. Raises WorkbenchError where nothing can run.
    """
    here = list_devices()
    places = [device.name for device in here if device.title in (devices or (device.title,))]
    racing: list[Contestant] = []
    for entrant in contestants(network, phase, places, engine=engine, precision=precision):
        if isinstance(entrant, Failure):
            yield Step(found=entrant, share=0.0, seconds_left=None, told=entrant.reason)
        else:
            racing.append(entrant)
            yield Step(found=None, share=0.0, seconds_left=None, told=f"{entrant.engine} {entrant.precision} is ready")
    if not racing:
        raise WorkbenchError("No device of this machine can run what was chosen.")
    labels = [0] * len(network.pictures)
    dropped: list[DropOut] = []
    started, done = time.monotonic(), 0.0
    whole = len(racing) * sum(map(_work, batch_sizes))
    for size in sorted(batch_sizes):
        known, fresh = len(dropped), list[Measurement]()
        going = [each for each in racing if all(each is not gone.contestant for gone in dropped)]
        if not going:
            return
        race = sweep(going, network.pictures, labels, batch_sizes=(size,), seconds=seconds, dropped=dropped)
        for measurement in race:
            fresh.append(measurement)
            done += _work(size)
            left = (time.monotonic() - started) * max(0.0, whole - done) / done
            told = f"{measurement.engine} {measurement.precision}, {size:,} at once"
            yield Step(found=measurement, share=min(1.0, done / whole), seconds_left=left, told=told)
        with suppress(WorkbenchError):  # a disk that is full or locked costs the memory of it, not the figures
            for device in here:
                remember(network.fingerprint, device, fresh)
        for gone in dropped[known:]:
            whole -= sum(_work(later) for later in batch_sizes if later >= size)
            yield Step(found=_failure(gone), share=min(1.0, done / whole), seconds_left=None, told=gone.reason)


def _work(batch_size: int) -> float:
    """How long a race at this batch size takes, beside others: a small one takes its seconds, a large one its calls."""
    return 1.0 + batch_size / 128


def _failure(gone: DropOut) -> Failure:
    each = gone.contestant
    return Failure(
        device=find_device(each.device).title,
        engine=each.engine,
        precision=each.precision,
        reason=gone.reason,
        batch_size=gone.batch_size,
    )
