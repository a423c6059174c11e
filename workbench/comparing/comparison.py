"""`Comparison`: measurements side by side, of any origin."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from workbench.arguments import all_of, one_of
from workbench.comparing.metrics import METRIC_NAMES, METRICS, Metric, Quantity, cost_at
from workbench.comparing.ranking import Crossover, Ranking, Row, crossovers_of, rank
from workbench.comparing.selection import best_per_device, newest, select
from workbench.comparing.sentences import facts_at, fill_templates
from workbench.comparing.text_table import format_table
from workbench.errors import WorkbenchError
from workbench.measuring.measurement import Measurement
from workbench.wording import shorten


@dataclass(frozen=True)
class Comparison:
    """Measurements of one or more devices to be compared: an immutable value. Use `Comparison.of` to make one.

    measurements: all of different settings or origins. by_device: compare devices, each with one measurement per batch
    size, whatever its engine. prices: US dollars an hour by device, as pairs, for the metric "cost".

    >>> known = wb.known_devices(batch_sizes=(1, 64)).best_of_each()
    >>> two = known.select(device=("Raspberry Pi 5, 8 GB", "NVIDIA H100 SXM"))
    >>> [row.name for row in two.rows(64)]
    ['NVIDIA H100 SXM', 'Raspberry Pi 5, 8 GB']
    >>> two.sentences(64)[1]
    'Raspberry Pi 5, 8 GB is first at batch 1; from batch 64 on, NVIDIA H100 SXM is clearly ahead of it.'
    """

    measurements: tuple[Measurement, ...] = ()
    by_device: bool = False
    prices: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        given = self.measurements
        if not isinstance(given, tuple) or len(newest(given, by_device=self.by_device)) < len(given):
            raise WorkbenchError(
                "A Comparison holds different measurements in a tuple: use Comparison.of(measurements)."
            )

    @classmethod
    def of(
        cls,
        measurements: Iterable[Measurement] = (),
        *,
        by_device: bool = False,
        prices: Mapping[str, float] | None = None,
    ) -> Comparison:
        """Compare `measurements`; of several with the same setting and origin, the last one counts."""
        given = all_of("measurements", measurements, Measurement)
        return cls(newest(given, by_device=by_device), by_device, tuple(sorted((prices or {}).items())))

    def __add__(self, other: Comparison | Iterable[Measurement]) -> Comparison:
        more = other if isinstance(other, Comparison) else Comparison.of(other)
        return Comparison.of(
            (*self.measurements, *more.measurements),
            by_device=self.by_device and more.by_device,
            prices=dict(self.prices + more.prices),
        )

    def select(self, **fields: Any) -> Comparison:
        """Return those with the given fields: `select(phase="inference", engine=("onnx", "eager"), batch_size=1)`.

        A tuple, list, set or range gives alternatives. Raises WorkbenchError for an unknown field.
        """
        return replace(self, measurements=select(self.measurements, fields))

    def best_of_each(self, metric: Metric = "latency") -> Comparison:
        """Return the best of each device and origin at each batch size by `metric`, or by latency without a figure.

        Raises WorkbenchError if phases or models are mixed.
        """
        best = best_per_device(self.measurements, self._quantity(metric))
        return replace(self, measurements=best, by_device=True)

    def ranking(self, metric: Metric = "latency") -> Ranking:
        """Rank the subjects at each batch size.

        Raises WorkbenchError for an unknown metric, and if phases or models are mixed: `select` one of each first.
        """
        return rank(self.measurements, metric, self._quantity(metric), by_device=self.by_device)

    def rows(self, batch_size: int, metric: Metric = "latency") -> list[Row]:
        """Return every subject at `batch_size`, the best first, those without a figure last.

        Raises WorkbenchError for a batch size without a measurement, and as `ranking` does.
        """
        return list(self._ranking_with(batch_size, metric).rows[batch_size])

    def crossovers(self, metric: Metric = "latency") -> list[Crossover]:
        """Return the batch sizes at which the leader is overtaken, by more than DRAW, or DOUBT if modelled.

        Batch sizes at which fewer than two have a figure are skipped.
        """
        return crossovers_of(self.ranking(metric))

    def sentences(self, batch_size: int, metric: Metric = "latency") -> list[str]:
        """Return what the figures show at one batch size, and where the lead changes; every figure with its origin."""
        return fill_templates(facts_at(self._ranking_with(batch_size, metric), batch_size))

    def table(self, batch_size: int, metric: Metric = "latency") -> str:
        """Return the rows as text in columns, each with its spread, throughput and origin."""
        return format_table(self._ranking_with(batch_size, metric), batch_size)

    def __str__(self) -> str:
        return self.table(self.batch_sizes[0]) if self.measurements else "nothing measured"

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases, in the order of the measurements."""
        return tuple(dict.fromkeys(m.phase for m in self.measurements))

    @property
    def models(self) -> tuple[str, ...]:
        """The networks, in the order of the measurements."""
        return tuple(dict.fromkeys(m.model for m in self.measurements))

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """All batch sizes, in ascending order."""
        return tuple(sorted({m.batch_size for m in self.measurements}))

    def _ranking_with(self, batch_size: int, metric: Metric) -> Ranking:
        ranking = self.ranking(metric)
        if batch_size not in ranking.rows:
            known = ", ".join(map(str, ranking.rows)) or "none"
            raise WorkbenchError(f"There is no figure at batch size {shorten(repr(batch_size))}; there is at {known}.")
        return ranking

    def _quantity(self, metric: Metric) -> Quantity:
        one_of("metric", metric, METRIC_NAMES)
        for what, found in (("phase", self.phases), ("model", self.models)):
            if len(found) > 1:
                raise WorkbenchError(
                    f"These measurements are of more than one {what} ({', '.join(found)}): choose one with "
                    f"select({what}={found[0]!r})."
                )
        return cost_at(dict(self.prices)) if metric == "cost" else METRICS[metric]
