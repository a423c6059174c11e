"""Measurements made up for the tests of comparisons."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from workbench.comparing.comparison import Comparison
from workbench.measuring.measurement import Latency, Measurement


def row(device: str, batch_size: int, seconds: float, **changes: Any) -> Measurement:
    base = Measurement(
        phase="inference",
        model="convnet",
        device=device,
        kind="cpu",
        engine="onnx",
        precision="fp32",
        threads=1,
        batch_size=batch_size,
        latency=Latency(p50=seconds, p90=1.2 * seconds, p99=2 * seconds, count=100, warm_up=seconds),
        memory_bytes=1000 * batch_size,
    )
    return replace(base, **changes)


def modelled_row(device: str, batch_size: int, seconds: float, **changes: Any) -> Measurement:
    return row(device, batch_size, seconds, origin="modelled", source="modelled from its data sheet", **changes)


def cpu_and_gpu() -> Comparison:
    """The CPU takes 100 µs an image; the GPU 1 ms for up to 64 of them."""
    sizes = (1, 4, 16, 64)
    gpu = {"origin": "recorded", "source": "recorded 2026-01-02, torch 2.15.0", "kind": "cuda", "engine": "eager"}
    return Comparison.of(
        [row("CPU", size, 100e-6 * size) for size in sizes] + [row("GPU", size, 1e-3, **gpu) for size in sizes]
    )
