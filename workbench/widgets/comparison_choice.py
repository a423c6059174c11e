"""What is chosen in a DeviceComparison, checked: by a cell as by the browser."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from workbench.arguments import above_zero
from workbench.device_card import PRECISIONS
from workbench.devices import list_devices
from workbench.errors import WorkbenchError
from workbench.inference import ONNX_ENGINES, TORCH_ENGINES
from workbench.measurement import Measurement, Phase
from workbench.metrics import METRICS
from workbench.sealed import shortened

PHASES: tuple[Phase, ...] = ("inference", "training")
_NUMBERS = ("prices", "budgets")


def allowed_choices(
    models: Collection[str], batch_sizes: Collection[int], known: Collection[Measurement]
) -> dict[str, Collection[Any]]:
    """What may be chosen: of whatever is known of any network looked at so far, and what runs here."""
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
    """`choice`, with plain copies of its lists and mappings.

    allowed: the values of each part of it; of `devices`, what may stand in the list. Prices and budgets are mappings to
    numbers above 0. Raises WorkbenchError that names what is none of them.
    """
    parts = (*allowed, *_NUMBERS)
    for name in choice:
        if name not in parts:
            raise WorkbenchError(f"choice has no {shortened(repr(name))}: it has {', '.join(parts)}.")
    checked = dict(choice)
    for name, values in allowed.items():
        value = choice.get(name)
        if name == "devices":
            if not isinstance(value, list | tuple):
                raise WorkbenchError(
                    f"choice: devices = {shortened(repr(value))}: give a list of names, empty for all."
                )
            checked[name] = [_known(name, each, values) for each in value]
        else:
            _known(name, value, values)
    for name in _NUMBERS:
        if not isinstance(choice.get(name), Mapping):
            raise WorkbenchError(f"choice: {name} = {shortened(repr(choice.get(name)))}: give a mapping to numbers.")
        for key, value in choice[name].items():
            above_zero(f"choice: {name}[{key!r}]", value, 1e18)
        checked[name] = dict(choice[name])
    return checked


def _known(name: str, value: object, values: Collection[Any]) -> Any:
    if any(type(value) is type(each) and value == each for each in values):
        return value
    told = ", ".join(str(each) or '"" for any' for each in values)
    raise WorkbenchError(f"choice: {name} = {shortened(repr(value))}: choose {told}.")
