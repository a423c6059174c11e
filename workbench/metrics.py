"""What devices are compared by: time, throughput, energy, memory, money; how each is read and told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from workbench.measurement import Measurement
from workbench.units import format_bytes, format_dollars, format_energy, format_rate, format_seconds

Metric = Literal["latency", "throughput", "energy", "memory", "cost"]


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One metric. value: of a measurement, None where it was not measurable. text: a value with its unit.

    assumed: what is modelled rests on an assumption besides the model, that it tells, so that it bears no ratio.
    """

    title: str
    value: Callable[[Measurement], float | None]
    text: Callable[[float], str]
    higher_wins: bool = False
    assumed: str = ""

    def told(self, measurement: Measurement) -> str:
        """The figure for people: "1.20 ms", "3.00 mJ at full power", "too little to measure"; "–" for none."""
        value = self.value(measurement)
        if value is None:
            return "–"
        if value == 0:
            return "too little to measure"
        return f"{self.text(value)} {self.assumed}" if self.assumes(measurement) else self.text(value)

    def assumes(self, measurement: Measurement) -> bool:
        """Whether its figure rests on more than the model of its time."""
        return bool(self.assumed) and measurement.origin == "modelled"


METRICS: dict[str, Quantity] = {
    "latency": Quantity(title="time of a batch (median)", value=lambda m: m.latency.p50, text=format_seconds),
    "throughput": Quantity(
        title="pictures a second",
        value=lambda m: m.pictures_per_second,
        text=lambda value: f"{format_rate(value)} pictures/s",
        higher_wins=True,
    ),
    # A modelled device is taken to draw all that it may, for all of the modelled time.
    "energy": Quantity(
        title="energy of a picture",
        value=lambda m: None if m.energy_joules is None else m.energy_joules / m.batch_size,
        text=format_energy,
        assumed="at full power",
    ),
    "memory": Quantity(
        title="working memory of a batch",
        value=lambda m: None if m.memory_bytes is None else float(m.memory_bytes),
        text=format_bytes,
    ),
}


def cost_at(prices: Mapping[str, float]) -> Quantity:
    """The metric "cost": US dollars that a million pictures take at what a device costs an hour, `prices` by device,
    while batches follow each other without a pause. A device without a price has no figure."""

    def value(measurement: Measurement) -> float | None:
        price = prices.get(measurement.device)
        return None if price is None else price / 3600 * measurement.seconds_per_picture * 1e6

    return Quantity(title="cost of a million pictures", value=value, text=format_dollars)


def told_origin(measurement: Measurement) -> str:
    """measured, recorded or modelled, with what belongs to it: "measured here, now", "recorded 2026-11-25"."""
    source = measurement.source.partition(", torch")[0].partition(", onnxruntime")[0]
    if measurement.origin == "modelled":
        return "modelled"
    return source if source.startswith(measurement.origin) else f"{measurement.origin} {source}"
