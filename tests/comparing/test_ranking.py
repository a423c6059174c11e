"""Who is first at each batch size, and where the leader is overtaken, on a case worked out by hand.

Covers: metrics.
"""

from __future__ import annotations

from typing import Any

import pytest
from comparing.rows import cpu_and_gpu, modelled_row, row

from workbench.comparing.comparison import Comparison
from workbench.comparing.ranking import front_runners
from workbench.measuring.measurement import Measurement


def test_the_best_comes_first_by_any_metric() -> None:
    found = cpu_and_gpu()
    assert [r.name for r in found.rows(1)] == ["CPU", "GPU"]
    assert [r.name for r in found.rows(64)] == ["GPU", "CPU"]
    assert [r.name for r in found.rows(64, "throughput")] == ["GPU", "CPU"]
    assert [r.value for r in found.rows(64, "throughput")] == pytest.approx([64_000, 10_000])
    assert found.rows(4)[0].text == "400\N{NO-BREAK SPACE}µs"
    assert found.rows(4)[0].spread == "+20 %"


def test_a_subject_without_a_figure_comes_last() -> None:
    frugal, unknown = row("A", 1, 2.0, energy_joules=1.0), row("B", 1, 1.0)
    found = Comparison.of([unknown, frugal]).rows(1, "energy")
    assert [(r.name, r.value, r.text) for r in found] == [("A", 1.0, "1.00\N{NO-BREAK SPACE}J"), ("B", None, "–")]


def test_a_cost_takes_the_price_of_its_device() -> None:
    """At 3.6 dollars an hour, a second costs a tenth of a cent: a million images of 1 ms cost a dollar."""
    found = Comparison.of([row("A", 4, 4e-3), row("B", 4, 4e-3)], prices={"A": 3.6}).rows(4, "cost")
    assert [(r.name, r.value) for r in found] == [("A", pytest.approx(1.0)), ("B", None)]
    assert found[0].text == "US$1.00"


def test_the_leader_is_overtaken_by_more_than_a_draw() -> None:
    (change,) = cpu_and_gpu().crossovers()
    assert (change.batch_size, change.before, change.after) == (16, "CPU", "GPU")
    level = Comparison.of([row("A", 1, 1.0), row("B", 1, 1.2), row("A", 2, 2.0), row("B", 2, 1.95)])
    assert level.crossovers() == []


def test_a_lead_without_a_rival_is_marked() -> None:
    gone = Comparison.of(
        [row("A", size, 1.0) for size in (1, 2)]
        + [row("B", size, 2.0) for size in (1, 2, 4)]
        + [row("C", size, 3.0) for size in (1, 2, 4)]
    )
    (change,) = gone.crossovers()
    assert (change.batch_size, change.before, change.after, change.met) == (4, "A", "B", False)
    late = Comparison.of(
        [row("A", size, 2.0) for size in (1, 4)] + [row("B", size, 3.0) for size in (1, 4)] + [row("C", 4, 1.0)]
    )
    assert [each.met for each in late.crossovers()] == [False]
    # A board that cannot take large batches hides nothing.
    small = cpu_and_gpu() + Comparison.of([row("Board", 1, 1.0)])
    assert [(each.batch_size, each.after, each.met) for each in small.crossovers()] == [(16, "GPU", True)]


def test_a_modelled_figure_overtakes_only_by_a_factor_of_three() -> None:
    near = Comparison.of([row("CPU", 1, 1.0), modelled_row("X", 1, 1.5), row("CPU", 2, 2.0), modelled_row("X", 2, 1.5)])
    assert near.crossovers() == []
    far = Comparison.of([row("CPU", 1, 1.0), modelled_row("X", 1, 1.5), row("CPU", 2, 5.0), modelled_row("X", 2, 1.5)])
    assert [(each.batch_size, each.after) for each in far.crossovers()] == [(2, "X")]


def test_an_assumed_power_overtakes_nothing() -> None:
    def joules(device: str, size: int, value: float, **more: Any) -> Measurement:
        return row(device, size, 1.0, energy_joules=value, **more)

    assumed = modelled_row("C", 64, 1.0, energy_joules=0.1)
    found = Comparison.of([joules("A", 1, 1.0), joules("B", 1, 2.0), joules("A", 64, 1.0), assumed])
    assert found.crossovers("energy") == []


def test_front_runners_are_those_with_the_best_rank_at_any_batch_size() -> None:
    ranking = (cpu_and_gpu() + Comparison.of([row("Board", 1, 1.0)])).ranking()
    assert [m.device for m in front_runners(ranking, 2)] == ["CPU"] * 4 + ["GPU"] * 4
    assert {m.device for m in front_runners(ranking, 9)} == {"CPU", "GPU", "Board"}
