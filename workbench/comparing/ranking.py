"""Rank subjects by one metric at each batch size, and find the batch sizes at which the leader is overtaken."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from workbench.comparing.metrics import Metric, Quantity
from workbench.comparing.subjects import name_subjects, subject_of
from workbench.measuring.measurement import Measurement, Phase

# On a machine that also does other work, medians closer than this take turns being first: a draw.
DRAW = 1.05
# A modelled figure within this factor of another decides nothing: a fifth of the recorded points are further off
# (docs/devices.md has the distribution).
DOUBT = 3.0


@dataclass(frozen=True, kw_only=True)
class Row:
    """One subject at one batch size.

    value: in the unit of the metric (seconds, images/s, joules an image, bytes, dollars), None if there is no figure;
    text: the value as `Quantity.format` returns it; spread: by how much p90 exceeds the median.
    """

    name: str
    value: float | None
    text: str
    spread: str
    measurement: Measurement


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """The subjects of a comparison by one metric.

    by_device: whether the subjects are devices, whatever engine they use. names: of the subjects, in the order of the
    measurements. rows: for each batch size, in ascending order, the best first and those without a figure last.
    """

    metric: Metric
    quantity: Quantity
    phase: Phase
    by_device: bool
    names: Sequence[str]
    rows: Mapping[int, Sequence[Row]]


@dataclass(frozen=True, kw_only=True)
class Crossover:
    """`before` leads up to batch size `last`; at `batch_size`, `after` leads, clearly ahead of `before`.

    met: whether both have a figure at both batch sizes; otherwise one may lead only because the other is missing.
    lasting: whether `after` stays clearly ahead of `before` at every larger batch size at which both have a figure.
    """

    batch_size: int
    last: int
    before: str
    after: str
    met: bool
    lasting: bool


def rank(measurements: Iterable[Measurement], metric: Metric, quantity: Quantity, *, by_device: bool) -> Ranking:
    """Rank measurements of one phase and one model; of each subject there may be one at each batch size."""
    found = list(measurements)
    names = name_subjects(subject_of(m, by_device=by_device) for m in found)
    rows = {
        size: [
            _row(names[subject_of(m, by_device=by_device)], m, quantity)
            for m in sorted((m for m in found if m.batch_size == size), key=lambda m: rank_key(m, quantity))
        ]
        for size in sorted({m.batch_size for m in found})
    }
    return Ranking(
        metric=metric,
        quantity=quantity,
        phase=found[0].phase if found else "inference",
        by_device=by_device,
        names=tuple(names.values()),
        rows=rows,
    )


def rank_key(measurement: Measurement, quantity: Quantity) -> tuple[bool, float, float]:
    """Return a sort key: the best first, those without a figure last and by latency."""
    value = quantity.value(measurement)
    sign = -1.0 if quantity.higher_wins else 1.0
    return value is None, sign * (value or 0.0), measurement.latency.p50


def _row(name: str, measurement: Measurement, quantity: Quantity) -> Row:
    latency = measurement.latency
    return Row(
        name=name,
        value=quantity.value(measurement),
        text=quantity.format(measurement),
        spread=f"+{100 * (latency.p90 / latency.p50 - 1):.0f} %" if latency.count else "–",
        measurement=measurement,
    )


def front_runners(ranking: Ranking, count: int) -> list[Measurement]:
    """Return the measurements of the `count` subjects with the best rank at any batch size."""
    best: dict[str, int] = {}
    for rows in ranking.rows.values():
        for place, row in enumerate(rows):
            best[row.name] = min(place, best.get(row.name, place))
    kept = sorted(best, key=lambda name: best[name])[:count]
    return [
        row.measurement
        for name in ranking.names
        if name in kept
        for rows in ranking.rows.values()
        for row in rows
        if row.name == name
    ]


def margin(best: Row, other: Row) -> float:
    """Return the ratio above which a lead counts: DOUBT if either figure is modelled, otherwise DRAW."""
    is_modelled = "modelled" in (best.measurement.origin, other.measurement.origin)
    return DOUBT if is_modelled else DRAW


def leads(best: Row, other: Row) -> bool:
    """Return whether `best`, the better one, is ahead by more than chance or the error of the model."""
    return ratio_of(best, other) > margin(best, other)


def ratio_of(best: Row, other: Row) -> float:
    """Return how many times better one is than the other, at least 1. Both must have a figure."""
    assert best.value is not None
    assert other.value is not None
    low, high = sorted((best.value, other.value))
    return high / low if low > 0 else 1.0 if high == low else float("inf")


def contests_of(ranking: Ranking) -> list[tuple[int, list[Row]]]:
    """Return the batch sizes at which at least two subjects have a figure, with the rows of those, the best first.

    Empty if any figure rests on an assumption, since no ratio is drawn from it.
    """
    known = {size: [row for row in rows if row.value is not None] for size, rows in ranking.rows.items()}
    if any(ranking.quantity.assumes(row.measurement) for rows in known.values() for row in rows):
        return []
    return [(size, rows) for size, rows in known.items() if len(rows) > 1]


def crossovers_of(ranking: Ranking) -> list[Crossover]:
    """Return the batch sizes at which the leader is clearly overtaken, in ascending order."""
    contests = contests_of(ranking)
    found: list[Crossover] = []
    before: dict[str, Row] = {}
    leader, last = "", 0
    for place, (size, ranked) in enumerate(contests):
        here, best = {row.name: row for row in ranked}, ranked[0]
        if leader and (leader not in here or leads(best, here[leader])):
            found.append(
                Crossover(
                    batch_size=size,
                    last=last,
                    before=leader,
                    after=best.name,
                    met=leader in here and best.name in before,
                    lasting=all(_stays_ahead(best.name, leader, rows) for _, rows in contests[place:]),
                )
            )
            leader = ""
        leader = leader or best.name
        last = size if leader == best.name else last
        before = here
    return found


def _stays_ahead(after: str, before: str, ranked: Sequence[Row]) -> bool:
    """Return whether `after` clearly leads `before`, or one of them is missing."""
    both = [row for row in ranked if row.name in (after, before)]
    return len(both) < 2 or (both[0].name == after and leads(both[0], both[1]))
