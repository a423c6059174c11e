"""The metrics that devices are compared by: latency, throughput, energy, memory and cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from workbench.measuring.measurement import Measurement
from workbench.units import format_bytes, format_dollars, format_energy, format_rate, format_seconds

Metric = Literal["latency", "throughput", "energy", "memory", "cost"]


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """How a metric is read from a measurement and formatted.

    value: of a measurement, None if it has no such figure. text: a value with its unit. assumed: the assumption behind
    modelled values besides the model itself, in words; such values are shown, but no ratio is drawn from them.
    """

    title: str
    value: Callable[[Measurement], float | None]
    text: Callable[[float], str]
    higher_wins: bool = False
    assumed: str = ""

    def format(self, measurement: Measurement) -> str:
        """Return the figure as text: "1.20 ms", "3.00 mJ at full power", "too little to measure"; "–" for None."""
        value = self.value(measurement)
        if value is None:
            return "–"
        if value == 0:
            return "too little to measure"
        return f"{self.text(value)} {self.assumed}" if self.assumes(measurement) else self.text(value)

    def assumes(self, measurement: Measurement) -> bool:
        """Return whether the figure rests on an assumption besides the model."""
        return bool(self.assumed) and measurement.origin == "modelled"


METRICS: dict[str, Quantity] = {
    "latency": Quantity(title="time of a batch (median)", value=lambda m: m.latency.p50, text=format_seconds),
    "throughput": Quantity(
        title="images a second",
        value=lambda m: m.images_per_second,
        text=lambda value: f"{format_rate(value)} images/s",
        higher_wins=True,
    ),
    # A modelled device is assumed to draw its maximum power for the whole modelled time.
    "energy": Quantity(
        title="energy of an image",
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
METRIC_NAMES = (*METRICS, "cost")


def cost_at(prices: Mapping[str, float]) -> Quantity:
    """Return the metric "cost": US dollars for a million images in back-to-back batches.

    prices: US dollars an hour, by device; a device without a price has no figure.
    """

    def value(measurement: Measurement) -> float | None:
        price = prices.get(measurement.device)
        return None if price is None else price / 3600 * measurement.seconds_per_image * 1e6

    return Quantity(title="cost of a million images", value=value, text=format_dollars)


def describe_origin(measurement: Measurement) -> str:
    """Return the origin with its date, without versions: "measured here, now", "recorded 2026-11-25", "modelled"."""
    source = measurement.source.partition(", torch")[0].partition(", onnxruntime")[0]
    if measurement.origin == "modelled":
        return "modelled"
    return source if source.startswith(measurement.origin) else f"{measurement.origin} {source}"
