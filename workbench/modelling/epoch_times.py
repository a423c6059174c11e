"""Compute the cost of any hyper-parameters, and an epoch's seconds on each device with a card, as a slider moves.

Counting a network takes a tenth of a second to some seconds. All counts grow linearly with the batch size, so each
network is counted once, at the two LINE_BATCHES; the rest is arithmetic. Tests compare it with `cost_of` and
`parts_of`, which count at the batch size itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from workbench.bundle.preprocessing import Shape
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.measuring.measurement import Measurement, Origin
from workbench.measuring.recordings import Recording
from workbench.modelling.capacity import fits, largest_batch
from workbench.modelling.cost import Cost, CostCount, count_cost
from workbench.modelling.operations import LINE_BATCHES, Operation, operations, operations_at
from workbench.modelling.roofline import SOURCE, roofline
from workbench.training.models import build_model
from workbench.units import format_bytes

_RECORDED_SHAPE, _RECORDED_CLASSES = (32, 32, 3), 10  # of the networks that `record_machine` measures


@dataclass(frozen=True, kw_only=True)
class NetworkCount:
    """A network counted at the two LINE_BATCHES. small, large: the operations of a training step at each."""

    counted: CostCount
    small: tuple[Operation, ...]
    large: tuple[Operation, ...]
    precision: str
    shape: Shape
    classes: int

    def cost(self, chosen: HyperParameters, images: int) -> Cost:
        """Return what `cost_of` gives for `chosen`, which must have this network, on `images` images."""
        return self.counted.cost(chosen, images)

    def step_operations(self, batch_size: int) -> tuple[Operation, ...]:
        """Return the operations of a training step."""
        return operations_at(batch_size, self.small, self.large)


@dataclass(frozen=True, kw_only=True)
class EpochTime:
    """The training steps of one epoch on one device.

    seconds: None where training does not fit or the card says too little, and then `reason` says why. source: of the
    figure, in words.
    """

    device: str
    seconds: float | None
    origin: Origin = "modelled"
    source: str = SOURCE
    reason: str = ""


def network_key(chosen: HyperParameters) -> tuple[str, float, str]:
    """Return what a count depends on: choices with the same key share it. precision "auto" is counted as fp32."""
    return chosen.model, chosen.width, "bf16" if chosen.precision == "bf16" else "fp32"


def count_network(chosen: HyperParameters, *, shape: Shape = (32, 32, 3), classes: int = 10) -> NetworkCount:
    """Count the network of `chosen`. Raises WorkbenchError if it does not take such images.

    >>> count = count_network(wb.HyperParameters())
    >>> chosen = wb.HyperParameters(batch_size=700)
    >>> count.cost(chosen, images=10_000) == wb.cost_of(chosen, images=10_000)
    True
    """
    name, width, precision = network_key(chosen)
    with torch.device("meta"):
        model = build_model(name, classes=classes, shape=shape, width=width)
    small, large = (
        operations(model, shape=shape, batch_size=batch, phase="training", precision=precision, classes=classes)
        for batch in LINE_BATCHES
    )
    return NetworkCount(
        counted=count_cost(chosen, LINE_BATCHES, shape=shape, classes=classes),
        small=small,
        large=large,
        precision=precision,
        shape=shape,
        classes=classes,
    )


def epoch_times(
    recordings: Iterable[Recording], count: NetworkCount, chosen: HyperParameters, cost: Cost
) -> tuple[EpochTime, ...]:
    """Return an epoch of `chosen` on each device, quickest first, those without a figure last; without validation.

    Recorded where a training step of exactly this network, batch size and precision was measured; else modelled.
    """
    step = count.step_operations(cost.batch_size)
    times = [_epoch_time(recording, count, step, chosen, cost) for recording in recordings]
    return tuple(sorted(times, key=lambda each: (each.seconds is None, each.seconds or 0.0, each.device)))


def _epoch_time(
    recording: Recording, count: NetworkCount, step: Sequence[Operation], chosen: HyperParameters, cost: Cost
) -> EpochTime:
    card = recording.card
    most = largest_batch(card, cost, phase="training")
    if most < cost.batch_size:
        reach = f"holds {most:,} at a time" if most else "does not hold even one image"
        need = fits(card, cost)[1]
        reason = f"training needs {format_bytes(need.bytes)} of {format_bytes(need.limit_bytes)}, which {reach}"
        return EpochTime(device=card.name, seconds=None, reason=f"does not fit: {reason}")
    steps = cost.images / cost.batch_size
    recorded = _recorded_step(recording.measurements, count, chosen, cost)
    if recorded is not None:
        seconds = recorded.latency.p50 * steps
        return EpochTime(device=card.name, seconds=seconds, origin=recorded.origin, source=recorded.source)
    try:
        parts = roofline(card, step, batch_size=cost.batch_size, precision=count.precision)
    except WorkbenchError as error:
        return EpochTime(device=card.name, seconds=None, reason=str(error))
    return EpochTime(device=card.name, seconds=parts.seconds * steps)


def _recorded_step(
    measurements: Iterable[Measurement], count: NetworkCount, chosen: HyperParameters, cost: Cost
) -> Measurement | None:
    """Return the quickest recorded training step of exactly this network, batch size and precision, if there is one."""
    usual = HyperParameters()
    if (count.shape, count.classes, chosen.width) != (_RECORDED_SHAPE, _RECORDED_CLASSES, usual.width) or (
        chosen.optimizer,
        chosen.channels_last,
    ) != (usual.optimizer, usual.channels_last):
        return None
    engine = "compiled" if chosen.compile else "eager"
    setting = ("training", chosen.model, engine, count.precision, cost.batch_size)
    same = [m for m in measurements if (m.phase, m.model, m.engine, m.precision, m.batch_size) == setting]
    return min(same, key=lambda measurement: measurement.latency.p50, default=None)
