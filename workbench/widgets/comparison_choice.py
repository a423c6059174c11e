"""Validate the choice of a DeviceComparison, made in a cell or in the browser."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from workbench.arguments import above_zero
from workbench.comparing.metrics import METRICS
from workbench.errors import WorkbenchError
from workbench.inference.predictor import ONNX_ENGINES, TORCH_ENGINES
from workbench.machine.devices import list_devices
from workbench.measuring.device_card import PRECISIONS
from workbench.measuring.measurement import Measurement, Phase
from workbench.wording import shorten

PHASES: tuple[Phase, ...] = ("inference", "training")
_NUMBERS = ("prices", "budgets")


def allowed_choices(
    models: Collection[str], batch_sizes: Collection[int], known: Collection[Measurement]
) -> dict[str, Collection[Any]]:
    """Return the values of each part of a choice: those of all known measurements, and of what can run here."""
    here = (device.title for device in list_devices())
    return {
        "phase": PHASES,
        "model": models,
        "engine": ["", *dict.fromkeys((*TORCH_ENGINES, *ONNX_ENGINES, *(m.engine for m in known)))],
        "precision": ["", *dict.fromkeys((*PRECISIONS, *(m.precision for m in known)))],
        "devices": list(dict.fromkeys((*here, *(m.device for m in known)))),
        "batch_size": batch_sizes,
        "metric": (*METRICS, "cost"),
    }


def checked_choice(choice: Mapping[str, Any], allowed: Mapping[str, Collection[Any]]) -> dict[str, Any]:
    """Return a copy of a valid choice. Raise WorkbenchError naming what is invalid.

    allowed: the values of each part; for `devices`, those of its elements. Prices and budgets map names to numbers
    above 0.
    """
    parts = (*allowed, *_NUMBERS)
    for name in choice:
        if name not in parts:
            raise WorkbenchError(f"choice has no {shorten(repr(name))}: it has {', '.join(parts)}.")
    checked = dict(choice)
    for name, values in allowed.items():
        value = choice.get(name)
        if name == "devices":
            if not isinstance(value, list | tuple):
                raise WorkbenchError(f"choice: devices = {shorten(repr(value))}: give a list of names, empty for all.")
            checked[name] = [_known(name, each, values) for each in value]
        else:
            _known(name, value, values)
    for name in _NUMBERS:
        if not isinstance(choice.get(name), Mapping):
            raise WorkbenchError(f"choice: {name} = {shorten(repr(choice.get(name)))}: give a mapping to numbers.")
        for key, value in choice[name].items():
            above_zero(f"choice: {name}[{key!r}]", value, 1e18)
        checked[name] = dict(choice[name])
    return checked


def _known(name: str, value: object, values: Collection[Any]) -> Any:
    if any(type(value) is type(each) and value == each for each in values):
        return value
    text = ", ".join(str(each) or '"" for any' for each in values)
    raise WorkbenchError(f"choice: {name} = {shorten(repr(value))}: choose {text}.")
