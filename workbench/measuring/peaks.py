"""Measure what this CPU reaches where no data sheet says so: FLOP/s, bytes/s and seconds per launch.

`workbench.modelling.roofline` needs these three figures to model a machine that records itself.
"""

from __future__ import annotations

from typing import Any

import torch

from workbench.machine.devices import Device
from workbench.machine.threads import torch_threads
from workbench.measuring.measurement import Call, measure, time_call

SIDE, SMALLEST = 1024, 64
SLOW_SECONDS = 0.25  # a CPU that emulates a number format takes seconds for what others do in milliseconds
COPIED_BYTES = 256 * 2**20
LAUNCHES = 1000
SECONDS = 0.5

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def measure_peaks(device: Device, day: str) -> dict[str, Any]:
    """Return the fields of a `DeviceCard` that can be measured on this CPU, with their sources; none for a GPU.

    peak_flops: a product of two square matrices on all cores, FLOP/s. memory_bandwidth: a copy on all cores, bytes/s.
    launch_seconds: an addition of 8 values on one core. Medians. day: of the measurement, ISO 8601, for the sources.
    """
    if device.kind != "cpu":  # a GPU's copies and its queue take more than three figures
        return {}
    # Written to once: memory never written to is a single page of zeros, which would be read from the cache.
    source, target = torch.ones(2, COPIED_BYTES, dtype=torch.uint8)
    values, result = torch.ones(8), torch.ones(8)

    def add_often() -> None:
        for _ in range(LAUNCHES):
            torch.add(values, values, out=result)

    with torch.inference_mode():
        with torch_threads(device.cores):
            sides = {name: _side(dtype) for name, dtype in _DTYPES.items()}
            products = measure({name: _product(_DTYPES[name], side) for name, side in sides.items()}, seconds=SECONDS)
            copy = measure(lambda: target.copy_(source), seconds=SECONDS).latency.p50
        with torch_threads(1):
            launch = measure(add_often, seconds=SECONDS).latency.p50 / LAUNCHES
    squares = " and ".join(f"{side}×{side} ({name})" for name, side in sides.items())
    origin = f"measured on it {day} by `workbench record`"
    return {
        "peak_flops": {name: 2 * sides[name] ** 3 / reading.latency.p50 for name, reading in products.items()},
        "memory_bandwidth": 2 * COPIED_BYTES / copy,
        "launch_seconds": launch,
        "sources": {
            "peak_flops": f"{origin}: a product of {squares} matrices in PyTorch; the true peak is higher",
            "memory_bandwidth": f"{origin}: copying {COPIED_BYTES // 2**20} MiB in PyTorch, bytes read and written",
            "launch_seconds": f"{origin}: an addition of 8 values in PyTorch on one core",
        },
    }


def _side(dtype: torch.dtype) -> int:
    """Return the side of the largest matrices up to SIDE whose product takes at most SLOW_SECONDS, or SMALLEST."""
    _product(dtype, SMALLEST)()  # one-time initialisation, before the clock starts
    side = SIDE
    while side > SMALLEST and time_call(_product(dtype, side)) > SLOW_SECONDS:
        side //= 2
    return side


def _product(dtype: torch.dtype, side: int) -> Call:
    left, right = torch.rand(2, side, side).to(dtype)
    return lambda: left @ right
