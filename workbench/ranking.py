"""Who is ahead of whom: figures side by side, the best first, and the batch sizes at which the first is overtaken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from workbench.measurement import Measurement
from workbench.metrics import Quantity

# Two medians closer than this on a machine that does other things too are a draw: they lead by turns.
DRAW = 1.05
# A modelled figure that is nearer than this to another decides nothing: one recorded point in five is further off
# (docs/devices.md tells by how much).
DOUBT = 3.0


@dataclass(frozen=True, kw_only=True)
class Row:
    """One subject at one batch size. value: in the metric's unit (seconds, pictures/s, joules a picture, bytes), None
    where it is not measurable; text: the same as `Quantity.told`; spread: how far the slowest tenth lies above."""

    name: str
    value: float | None
    text: str
    spread: str
    measurement: Measurement


@dataclass(frozen=True, kw_only=True)
class Crossover:
    """`before` is first at batch size `last`; at `batch_size`, `after` is first, and clearly ahead of `before`.

    met: whether both have a figure at both of these sizes. If not, it may be first for want of a rival. lasting:
    whether it stays clearly ahead of `before` wherever both have a figure after that.
    """

    batch_size: int
    last: int
    before: str
    after: str
    met: bool
    lasting: bool


def rank(measurement: Measurement, how: Quantity) -> tuple[bool, float, float]:
    """Lower is better; without a figure, by time."""
    value = how.value(measurement)
    sign = -1.0 if how.higher_wins else 1.0
    return value is None, sign * (value or 0.0), measurement.latency.p50


def row_of(name: str, measurement: Measurement, how: Quantity) -> Row:
    """The row of a subject that is called `name`."""
    value, latency = how.value(measurement), measurement.latency
    slower = latency.p90 / latency.p50 - 1
    return Row(
        name=name,
        value=value,
        text=how.told(measurement),
        spread=f"+{100 * slower:.0f} %" if latency.count else "–",
        measurement=measurement,
    )


def margin(best: Row, other: Row) -> float:
    """How many times better the first has to be for that to mean something: DOUBT where one is modelled, else DRAW."""
    modelled = "modelled" in (best.measurement.origin, other.measurement.origin)
    return DOUBT if modelled else DRAW


def leads(best: Row, other: Row) -> bool:
    """Whether the first, which is the better one, is so by more than chance, or than a model's error."""
    return ratio_of(best, other) > margin(best, other)


def ratio_of(best: Row, other: Row) -> float:
    """How many times better one is than the other, at least 1."""
    assert best.value is not None
    assert other.value is not None
    low, high = sorted((best.value, other.value))
    return high / low if low > 0 else 1.0 if high == low else float("inf")


def crossovers(contests: Sequence[tuple[int, Sequence[Row]]]) -> list[Crossover]:
    """Where the first is overtaken clearly: of batch sizes, rising, each with those that have a figure, best first."""
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
                    lasting=all(_keeps_ahead(best.name, leader, rows) for _, rows in contests[place:]),
                )
            )
            leader = ""
        leader = leader or best.name
        last = size if leader == best.name else last
        before = here
    return found


def _keeps_ahead(after: str, before: str, ranked: Sequence[Row]) -> bool:
    """Whether `after` leads `before` in these rows, if both are among them."""
    both = [row for row in ranked if row.name in (after, before)]
    return len(both) < 2 or (both[0].name == after and leads(both[0], both[1]))
