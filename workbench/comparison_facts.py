"""What a page needs to compare devices by itself, as `Comparison` does: the measurements, the rules, the templates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workbench.comparison import BETTER, TEMPLATES, setting_of
from workbench.measurement import Measurement
from workbench.metrics import METRICS, cost_at, told_origin
from workbench.ranking import DOUBT, DRAW

# The functions of units.py, and their namesakes in numbers.js, which widgets and application share.
_FORMATS = {"latency": "seconds", "throughput": "rate", "energy": "energy", "memory": "bytes", "cost": "dollars"}


def rules() -> dict[str, Any]:
    """What holds for every comparison, as plain values: the templates, the metrics, and when a lead counts."""
    quantities = {**METRICS, "cost": cost_at({})}
    return {
        "templates": dict(TEMPLATES),
        "draw": DRAW,
        "doubt": DOUBT,
        "metrics": {
            name: {
                "title": quantity.title,
                "higher_wins": quantity.higher_wins,
                "assumed": quantity.assumed,
                "better": BETTER[name],
                "format": _FORMATS[name],
                "unit": " pictures/s" if name == "throughput" else "",
            }
            for name, quantity in quantities.items()
        },
    }


def points(measurements: Iterable[Measurement]) -> list[dict[str, Any]]:
    """Measurements as plain values, no more than a page shows. Seconds, bytes and joules are those of a batch."""
    return [
        {
            "phase": m.phase,
            "model": m.model,
            "device": m.device,
            "engine": m.engine,
            "precision": m.precision,
            "threads": m.threads,
            "batch_size": m.batch_size,
            "p50": m.latency.p50,
            "p90": m.latency.p90,
            "count": m.latency.count,
            "energy": m.energy_joules,
            "memory": m.memory_bytes,
            "origin": m.origin,
            "told": told_origin(m),
            "setting": setting_of(m),
        }
        for m in measurements
    ]
