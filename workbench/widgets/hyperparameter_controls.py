"""The controls for hyper-parameters: their kinds, the stops of their sliders, and short names for values."""

from __future__ import annotations

from typing import Any

from workbench.hyperparameters import HyperParameters
from workbench.units import format_number

MAIN = ("model", "width", "batch_size", "learning_rate")
_DECADE = (1, 1.5, 2, 3, 4, 5, 7)
WIDTHS = (0.125, 0.25, 0.375, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
_STOPS: dict[str, list[float]] = {
    "width": list(WIDTHS),
    "batch_size": [2**power for power in range(17)],
    "learning_rate": [float(f"{step}e{power}") for power in range(-7, 2) for step in _DECADE] + [100.0],
    "weight_decay": [0.0, *(float(f"{step}e{power}") for power in range(-6, 0) for step in _DECADE), 1.0],
    "momentum": [*(round(0.05 * step, 2) for step in range(20)), 0.99],
    "label_smoothing": [round(0.05 * step, 2) for step in range(19)],
    "warmup": [round(0.05 * step, 2) for step in range(19)],
    "epochs": list(range(1, 101)),
    "shift": list(range(33)),
    "seed": list(range(100)),
}


def fields_of(chosen: HyperParameters) -> list[dict[str, Any]]:
    """Return what the browser needs to draw a control for each field, as plain values; the main ones come first."""
    from workbench.training.models import ZOO

    found = []
    for name, known in HyperParameters.describe().items():
        field: dict[str, Any] = {"name": name, "label": name.replace("_", " "), "help": known["help"]}
        if isinstance(known["default"], bool):
            field["kind"] = "switch"
        elif name in _STOPS:
            field |= {"kind": "stops", "stops": _STOPS[name]}
        else:
            offered = list(known.get("choices", ZOO))
            own = getattr(chosen, name)
            field |= {"kind": "choice", "choices": offered if own in offered else [*offered, own]}
        found.append(field | {"main": name in MAIN})
    return sorted(found, key=lambda field: MAIN.index(field["name"]) if field["main"] else len(MAIN))


def short_name(name: str) -> str:
    """Return a field's name where space is scarce."""
    return "lr" if name == "learning_rate" else name.replace("_", " ")


def format_value(name: str, value: Any) -> str:
    """Return a value with its field's short name, as in the name of a run."""
    if isinstance(value, bool):
        return short_name(name) if value else f"no {short_name(name)}"
    return value if name in ("model", "optimizer") else f"{short_name(name)} {format_number(value)}"
