"""Measure a network on the devices of this machine, step by step, with progress and failures."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from workbench.comparing.contestants import find_contestants
from workbench.comparing.networks import Network
from workbench.comparing.sweeps import BATCH_SIZES, Contestant, Excluded, remaining, sweep
from workbench.errors import WorkbenchError
from workbench.machine.devices import list_devices
from workbench.measuring.measurement import Measurement, Phase
from workbench.measuring.measurement_cache import remember


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step of the work.

    found: a new measurement or exclusion, if there is one. share: done of the whole work, 0 to 1. seconds_left: an
    estimate for the rest, None while there is none. text: what was done, in words.
    """

    found: Measurement | Excluded | None
    share: float
    seconds_left: float | None
    text: str


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

    devices: their titles; all if empty. engine, precision: only this one, unless empty. Those that fail are excluded
    while the others go on. After each batch size the measurements are kept on disk, where `recall` finds them. Leave
    the loop to stop. Raises WorkbenchError if nothing can run.
    """
    here = list_devices()
    names = [device.name for device in here if not devices or device.title in devices]
    racing: list[Contestant] = []
    for found in find_contestants(network, phase, names, engine=engine, precision=precision):
        if isinstance(found, Excluded):
            yield Step(found=found, share=0.0, seconds_left=None, text=found.reason)
        else:
            racing.append(found)
            yield Step(found=None, share=0.0, seconds_left=None, text=f"{found.engine} {found.precision} is ready")
    if not racing:
        raise WorkbenchError("No device of this machine can run what was chosen.")
    sizes = sorted(batch_sizes)
    started, done, whole = time.monotonic(), 0.0, len(racing) * sum(map(_work, sizes))
    for index, size in enumerate(sizes):
        excluded: list[Excluded] = []
        fresh: list[Measurement] = []
        race = sweep(
            racing, network.images, [0] * len(network.images), batch_sizes=(size,), seconds=seconds, excluded=excluded
        )
        for measurement in race:
            fresh.append(measurement)
            done += _work(size)
            left = (time.monotonic() - started) * max(0.0, whole - done) / done
            text = f"{measurement.engine} {measurement.precision}, batch size {size:,}"
            yield Step(found=measurement, share=min(1.0, done / whole), seconds_left=left, text=text)
        with suppress(WorkbenchError):  # a full or locked disk loses what would be kept, not the measurements
            for device in here:
                remember(network.fingerprint, device, fresh)
        for each in excluded:
            whole -= sum(map(_work, sizes[index:]))
            yield Step(found=each, share=min(1.0, done / whole) if whole else 1.0, seconds_left=None, text=each.reason)
        racing = remaining(racing, excluded)
        if not racing:
            return


def _work(batch_size: int) -> float:
    """Return the relative time of a race: with small batches its fixed seconds, with large ones its calls."""
    return 1.0 + batch_size / 128
