"""What the processor here reaches, where no data sheet tells it: products a second, bytes a second, launches.

With these three the model of `workbench.roofline` can be applied to a machine that records itself.
"""

from __future__ import annotations

from typing import Any

import torch

from workbench.devices import Device, torch_threads
from workbench.measurement import Call, measure

SIDE = 1024
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
    left, right = torch.rand(2, SIDE, SIDE)
    halves = {name: (left.to(dtype), right.to(dtype)) for name, dtype in _DTYPES.items()}
    products: dict[str, Call] = {name: lambda a=a, b=b: a @ b for name, (a, b) in halves.items()}  # type: ignore[misc]
    # Written once: memory that nobody wrote to is one page of zeros, read from the cache.
    source, target = torch.ones(2, COPIED_BYTES, dtype=torch.uint8)
    values, result = torch.ones(8), torch.ones(8)

    def add_often() -> None:
        for _ in range(LAUNCHES):
            torch.add(values, values, out=result)

    with torch.inference_mode():
        with torch_threads(place.cores):
            found = measure(products, seconds=SECONDS)
            copy = measure(lambda: target.copy_(source), seconds=SECONDS).latency.p50
        with torch_threads(1):
            launch = measure(add_often, seconds=SECONDS).latency.p50 / LAUNCHES
    told = f"measured on it {day} by `workbench record`"
    return {
        "peak_flops": {name: 2 * SIDE**3 / reading.latency.p50 for name, reading in found.items()},
        "memory_bandwidth": 2 * COPIED_BYTES / copy,
        "launch_seconds": launch,
        "sources": {
            "peak_flops": f"{told}: a product of {SIDE}×{SIDE} matrices in PyTorch; the true peak is higher",
            "memory_bandwidth": f"{told}: copying {COPIED_BYTES // 2**20} MiB in PyTorch, bytes read and written",
            "launch_seconds": f"{told}: an addition of 8 values in PyTorch on one core",
        },
    }
