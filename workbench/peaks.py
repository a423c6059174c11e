"""What the processor here reaches, where no data sheet tells it: products a second, bytes a second, launches.

With these three the model of `workbench.roofline` can be applied to a machine that records itself.
"""

from __future__ import annotations

from typing import Any

import torch

from workbench.devices import Device, torch_threads
from workbench.measurement import Call, measure, timed

SIDE, SMALLEST = 1024, 64
SLOW_SECONDS = 0.25  # a processor that emulates a number format takes seconds for what others do in milliseconds
COPIED_BYTES = 256 * 2**20
LAUNCHES = 1000
SECONDS = 0.5

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def cpu_figures(place: Device, day: str) -> dict[str, Any]:
    """Figures for the `DeviceCard` of this CPU, and their sources; nothing for a GPU, whose copies and queue need more.

    peak_flops by the product of two square matrices on all cores, memory_bandwidth by a copy, both operations a second
    or bytes a second; launch_seconds by an addition of 8 values on one core. Medians.
    """
    if place.kind != "cpu":
        return {}
    # Written once: memory that nobody wrote to is one page of zeros, read from the cache.
    source, target = torch.ones(2, COPIED_BYTES, dtype=torch.uint8)
    values, result = torch.ones(8), torch.ones(8)

    def add_often() -> None:
        for _ in range(LAUNCHES):
            torch.add(values, values, out=result)

    with torch.inference_mode():
        with torch_threads(place.cores):
            sides = {name: _side(dtype) for name, dtype in _DTYPES.items()}
            found = measure({name: _product(_DTYPES[name], side) for name, side in sides.items()}, seconds=SECONDS)
            copy = measure(lambda: target.copy_(source), seconds=SECONDS).latency.p50
        with torch_threads(1):
            launch = measure(add_often, seconds=SECONDS).latency.p50 / LAUNCHES
    squares = " and ".join(f"{side}×{side} ({name})" for name, side in sides.items())
    told = f"measured on it {day} by `workbench record`"
    return {
        "peak_flops": {name: 2 * sides[name] ** 3 / reading.latency.p50 for name, reading in found.items()},
        "memory_bandwidth": 2 * COPIED_BYTES / copy,
        "launch_seconds": launch,
        "sources": {
            "peak_flops": f"{told}: a product of {squares} matrices in PyTorch; the true peak is higher",
            "memory_bandwidth": f"{told}: copying {COPIED_BYTES // 2**20} MiB in PyTorch, bytes read and written",
            "launch_seconds": f"{told}: an addition of 8 values in PyTorch on one core",
        },
    }


def _side(dtype: torch.dtype) -> int:
    """SIDE, or as large as a product may be that takes no more than SLOW_SECONDS; SMALLEST at least."""
    _product(dtype, SMALLEST)()  # what happens only once, before the clock runs
    side = SIDE
    while side > SMALLEST and timed(_product(dtype, side)) > SLOW_SECONDS:
        side //= 2
    return side


def _product(dtype: torch.dtype, side: int) -> Call:
    left, right = torch.rand(2, side, side).to(dtype)
    return lambda: left @ right
