"""The cost of any hyper-parameters, and the seconds of an epoch on each device with a card, quickly.

To count a network's FLOPs and bytes takes a tenth of a second to some seconds (`workbench.cost`, `operations`). All of
them grow with the batch in a straight line, so a network is counted once, at two batch sizes: the rest is arithmetic,
fast enough to follow a slider. A test holds each figure to those of `cost_of` and `roofline.parts_of`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.batches import steps_per_epoch
from workbench.capacity import fits, largest_batch
from workbench.cost import Cost, costs_at
from workbench.device_card import DeviceCard
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.measurement import Measurement, Origin
from workbench.models import build_model
from workbench.operations import Operation, operations
from workbench.recordings import Recording
from workbench.roofline import ARITHMETIC_REACH, BANDWIDTH_REACH, SOURCE, Parts
from workbench.units import format_bytes, format_number, format_ratio

Shape = tuple[int, int, int]

_COUNTED = (2, 4)  # batch norm learns from two values at least
_RECORDED_SHAPE, _RECORDED_CLASSES = (32, 32, 3), 10  # what `record_machine` measures with


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkCount:
    """A network counted at two batch sizes. costs: at each. flops, bytes: of the operations of a training step, a row
    for each batch size; fewer than `costs` say, as the loss and the optimizer are kernels too.
    """

    costs: tuple[Cost, Cost]
    flops: NDArray[np.float64]
    bytes: NDArray[np.float64]
    precision: str
    shape: Shape
    classes: int


@dataclass(frozen=True, kw_only=True)
class EpochTime:
    """The training steps of one epoch on one device. seconds: None where there is no room or the card does not tell
    enough, and then `reason` says so. source: where the figure comes from, in words.
    """

    device: str
    seconds: float | None
    origin: Origin = "modelled"
    source: str = SOURCE
    reason: str = ""


def network_key(chosen: HyperParameters) -> tuple[str, float, str]:
    """What a count depends on: hyper-parameters with the same key share it. precision "auto" is counted as fp32."""
    return chosen.model, chosen.width, "bf16" if chosen.precision == "bf16" else "fp32"


def count_network(chosen: HyperParameters, *, shape: Shape = (32, 32, 3), classes: int = 10) -> NetworkCount:
    """Count the network of `chosen`. Raises WorkbenchError for one that does not take such pictures."""
    name, width, precision = network_key(chosen)
    plain = chosen.replace(precision=precision)
    small, large = costs_at(_COUNTED, plain, shape=shape, classes=classes, pictures=_COUNTED[1])
    with torch.device("meta"):
        model = build_model(name, classes=classes, shape=shape, width=width)
    counted: list[Sequence[Operation]] = [
        operations(model, shape=shape, batch_size=batch, phase="training", precision=precision, classes=classes)
        for batch in _COUNTED
    ]
    return NetworkCount(
        costs=(small, large),
        flops=np.array([[each.flops for each in row] for row in counted], dtype=np.float64),
        bytes=np.array([[each.bytes for each in row] for row in counted], dtype=np.float64),
        precision=precision,
        shape=shape,
        classes=classes,
    )


def cost_at(count: NetworkCount, chosen: HyperParameters, *, pictures: int) -> Cost:
    """What `cost_of` gives for `chosen`, whose network is the one of `count`, on so many pictures."""
    small, large = count.costs
    batch = min(chosen.batch_size, pictures)
    states = 2 if chosen.optimizer == "adamw" else int(chosen.momentum > 0)
    each = (large.activation_bytes - small.activation_bytes) // (_COUNTED[1] - _COUNTED[0])
    return replace(
        small,
        optimizer_bytes=4 * small.parameters * states,
        activation_bytes=small.activation_bytes + each * (batch - _COUNTED[0]),
        batch_size=batch,
        steps_per_epoch=steps_per_epoch(pictures, chosen.batch_size),
        epochs=chosen.epochs,
        pictures=pictures,
    )


def step_seconds(card: DeviceCard, count: NetworkCount, batch_size: int) -> float:
    """The modelled seconds of one training step, as `roofline.parts_of` computes them. Raises WorkbenchError for what
    the card does not tell.
    """
    if count.precision not in card.peak_flops:
        raise WorkbenchError(f"its card has no peak for {count.precision}")
    if card.memory_bandwidth is None or card.launch_seconds is None:
        raise WorkbenchError("its card does not tell enough to be modelled")
    computing = _at(count.flops, batch_size) / (card.peak_flops[count.precision] * ARITHMETIC_REACH)
    moving = _at(count.bytes, batch_size) / (card.memory_bandwidth * BANDWIDTH_REACH)
    bound = computing > moving
    return Parts(
        batch_size=batch_size,
        copies=0.0,  # a training step finds its batch on the device
        launches=card.launch_seconds * len(computing),
        arithmetic=float(computing[bound].sum()),
        memory=float(moving[~bound].sum()),
        overlapped=card.is_gpu,
    ).seconds


def epoch_times(
    recordings: Iterable[Recording], count: NetworkCount, chosen: HyperParameters, cost: Cost
) -> tuple[EpochTime, ...]:
    """An epoch of `chosen` on each device, the quickest first, those without a figure last; validation is not in it.

    Recorded where a training step of exactly this network, batch size and precision was measured there; else modelled.
    """
    found = [_epoch_time(recording, count, chosen, cost) for recording in recordings]
    return tuple(sorted(found, key=lambda each: (each.seconds is None, each.seconds or 0.0, each.device)))


def _epoch_time(recording: Recording, count: NetworkCount, chosen: HyperParameters, cost: Cost) -> EpochTime:
    card = recording.card
    most = largest_batch(card, cost, phase="training")
    if most < cost.batch_size:
        room = f"has room for {most:,} at once" if most else "has no room even for one picture"
        need = fits(card, cost)[1]
        told = f"training needs {format_bytes(need.bytes)} of {format_bytes(need.limit_bytes)} and {room}"
        return EpochTime(device=card.name, seconds=None, reason=f"does not fit: {told}")
    steps = cost.pictures / cost.batch_size
    recorded = [each for each in recording.measurements if _is_same(each, count, chosen, cost)]
    if recorded:
        best = min(recorded, key=lambda each: each.latency.p50)
        return EpochTime(device=card.name, seconds=best.latency.p50 * steps, origin=best.origin, source=best.source)
    try:
        return EpochTime(device=card.name, seconds=step_seconds(card, count, cost.batch_size) * steps)
    except WorkbenchError as error:
        return EpochTime(device=card.name, seconds=None, reason=f"cannot be modelled: {error}")


def _is_same(measured: Measurement, count: NetworkCount, chosen: HyperParameters, cost: Cost) -> bool:
    usual = HyperParameters()
    return (
        (count.shape, count.classes, chosen.width) == (_RECORDED_SHAPE, _RECORDED_CLASSES, usual.width)
        and (chosen.optimizer, chosen.channels_last) == (usual.optimizer, usual.channels_last)
        and (measured.phase, measured.model) == ("training", chosen.model)
        and (measured.engine, measured.precision) == ("compiled" if chosen.compile else "eager", count.precision)
        and measured.batch_size == cost.batch_size
    )


def told_change(before: HyperParameters, after: HyperParameters, was: Cost, now: Cost) -> str:
    """What the step from `before` to `after` did to the cost, in a sentence; empty where nothing changed."""
    old, new = asdict(before), asdict(after)
    changed = [name for name in new if new[name] != old[name]]
    if not changed:
        return ""
    effects = []
    if now.training_flops != was.training_flops:
        effects.append(f"{format_ratio(now.training_flops / was.training_flops)} the FLOPs")
    if now.training_bytes != was.training_bytes:
        effects.append(f"{format_ratio(now.training_bytes / was.training_bytes)} the bytes of training")
    if now.weight_bytes != was.weight_bytes:
        way = "grow" if now.weight_bytes > was.weight_bytes else "shrink"
        effects.append(f"the weights {way} to {format_bytes(now.weight_bytes)}")
    if now.steps_per_epoch != was.steps_per_epoch:
        effects.append(f"{now.steps_per_epoch:,} steps in an epoch instead of {was.steps_per_epoch:,}")
    if now.epochs != was.epochs:
        effects.append(f"{format_ratio(now.run_flops / was.run_flops)} the FLOPs of the whole run")
    lead = _lead(changed, old, new)
    if effects:
        return f"{lead}: {_listed(effects)} (modelled)."
    if set(changed) <= {"channels_last", "compile", "precision"}:
        return f"{lead}: the modelled cost stays the same. Whether a machine gets quicker by it has to be measured."
    return f"{lead}: the cost stays the same. What is learned changes: run it to see."


def _lead(changed: Sequence[str], old: dict[str, object], new: dict[str, object]) -> str:
    if len(changed) > 3:
        return f"{len(changed)} hyper-parameters changed"
    if len(changed) == 1:
        (name,) = changed
        for factor, word in ((2, "Twice"), (0.5, "Half")):
            if name in ("width", "batch_size", "learning_rate") and new[name] == factor * old[name]:  # type: ignore[operator]
                return f"{word} the {spoken(name)}"
    parts = [f"{spoken(name)} {format_number(new[name])} instead of {format_number(old[name])}" for name in changed]
    text = _listed(parts)
    return text[0].upper() + text[1:]


def spoken(name: str) -> str:
    """A field's name for people: "learning_rate" -> "learning rate"."""
    return name.replace("_", " ")


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _at(rows: NDArray[np.float64], batch_size: int) -> NDArray[np.float64]:
    small, large = rows
    return small + (large - small) * ((batch_size - _COUNTED[0]) / (_COUNTED[1] - _COUNTED[0]))
