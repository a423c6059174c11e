"""The latencies that the exercises on throughput and queues reckon with."""

from __future__ import annotations

_RECORDING = "amd-epyc-zen5-2-cores"


def recorded_latencies(threads: int) -> dict[int, float]:
    """Seconds a batch by its size, as recorded of the convnet in ONNX Runtime."""
    from workbench.recordings import FOLDER, read_recording

    wanted = ("inference", "convnet", "onnx", threads)
    rows = read_recording(FOLDER / f"{_RECORDING}.json").measurements
    return {m.batch_size: m.latency.p50 for m in rows if (m.phase, m.model, m.engine, m.threads) == wanted}
