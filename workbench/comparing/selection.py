"""Choose measurements: the newest of each setting, those with given fields, the best of each device."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workbench.comparing.metrics import Quantity
from workbench.comparing.ranking import rank_key
from workbench.comparing.subjects import subject_of
from workbench.errors import WorkbenchError
from workbench.measuring.measurement import Measurement

_SEVERAL = (tuple, list, set, frozenset, range)


def newest(measurements: Iterable[Measurement], *, by_device: bool = False) -> tuple[Measurement, ...]:
    """Return one measurement of each subject, phase, model and batch size: where there are several, the last."""
    return tuple(
        {(m.phase, m.model, subject_of(m, by_device=by_device), m.batch_size): m for m in measurements}.values()
    )


def select(measurements: Iterable[Measurement], fields: dict[str, Any]) -> tuple[Measurement, ...]:
    """Return the measurements whose fields have the given values; a tuple, list, set or range gives alternatives.

    Raises WorkbenchError for a field that measurements do not have.
    """
    known = Measurement.__dataclass_fields__
    for name in fields:
        if name not in known:
            raise WorkbenchError(f"A measurement has no field {name!r}: choose from {', '.join(known)}.")
    choices = {name: value if isinstance(value, _SEVERAL) else (value,) for name, value in fields.items()}
    return tuple(m for m in measurements if all(getattr(m, name) in values for name, values in choices.items()))


def best_per_device(measurements: Iterable[Measurement], quantity: Quantity) -> tuple[Measurement, ...]:
    """Return, for each device, origin and batch size, the measurement that is best by `quantity`.

    Where none has such a figure, the one with the lowest latency stands in.
    """
    best: dict[tuple[str, str, int], Measurement] = {}
    for m in measurements:
        key = (m.device, m.origin, m.batch_size)
        if key not in best or rank_key(m, quantity) < rank_key(best[key], quantity):
            best[key] = m
    return tuple(best.values())
