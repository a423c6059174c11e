"""Recorded latencies, used by the exercises on throughput and queues."""

from __future__ import annotations

_RECORDING = "amd-epyc-zen5-2-cores"


def recorded_latencies(threads: int) -> dict[int, float]:
    """Seconds per batch by batch size, as recorded for the convnet in ONNX Runtime."""
    from workbench.folders import DEVICES
    from workbench.measuring.recordings import read_recording

    setting = ("inference", "convnet", "onnx", threads)
    recorded = read_recording(DEVICES / f"{_RECORDING}.json").measurements
    return {m.batch_size: m.latency.p50 for m in recorded if (m.phase, m.model, m.engine, m.threads) == setting}
