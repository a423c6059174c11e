"""Everything a page needs to compare devices without Python: measurements, metrics and templates as plain values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workbench.comparing.metrics import METRICS, cost_at, describe_origin
from workbench.comparing.ranking import DOUBT, DRAW
from workbench.comparing.sentences import BETTER, TEMPLATES
from workbench.comparing.subjects import describe_setting
from workbench.measuring.measurement import Measurement

# The functions of units.py with their namesakes in serving/page/numbers.js, by metric.
_FORMATS = {"latency": "seconds", "throughput": "rate", "energy": "energy", "memory": "bytes", "cost": "dollars"}


def rules() -> dict[str, Any]:
    """Return what holds for every comparison: the templates, the metrics, and the ratios above which a lead counts."""
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
                "unit": " images/s" if name == "throughput" else "",
            }
            for name, quantity in quantities.items()
        },
    }


def points(measurements: Iterable[Measurement]) -> list[dict[str, Any]]:
    """Return the part of each measurement that a page shows. Seconds, bytes and joules are those of a batch."""
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
            "origin_text": describe_origin(m),
            "setting": describe_setting(m),
        }
        for m in measurements
    ]
