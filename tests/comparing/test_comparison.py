"""`Comparison` as a value: made, added up, selected from, narrowed to the best of each device, shown as a table.

Covers: selection, text_table.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from comparing.rows import cpu_and_gpu, row

from workbench.comparing.comparison import Comparison
from workbench.errors import WorkbenchError


def test_it_is_an_immutable_hashable_value() -> None:
    found = cpu_and_gpu()
    assert found == cpu_and_gpu()
    assert {found: 1}[cpu_and_gpu()] == 1
    assert found == Comparison(found.measurements)
    assert Comparison.of(prices={"B": 2.0, "A": 1.0}) == Comparison.of(prices={"A": 1.0, "B": 2.0})
    with pytest.raises(FrozenInstanceError):
        found.by_device = True  # type: ignore[misc]


def test_the_last_of_equal_measurements_counts() -> None:
    twice = [row("A", 1, 1.0), row("A", 1, 0.5)]
    assert [r.value for r in Comparison.of(iter(twice)).rows(1)] == [0.5]
    for wrong in (tuple(twice), twice[:1]):
        with pytest.raises(WorkbenchError, match=r"use Comparison\.of"):
            Comparison(wrong)  # type: ignore[arg-type]
    with pytest.raises(WorkbenchError, match="measurements: 3 is not of type Measurement"):
        Comparison.of([3])  # type: ignore[list-item]


def test_adding_keeps_what_both_have() -> None:
    priced = Comparison.of([row("A", 1, 1.0)], prices={"A": 1.0, "B": 1.0})
    both = priced + Comparison.of([row("A", 1, 0.5), row("B", 1, 1.0)], prices={"B": 2.0})
    assert [m.latency.p50 for m in both.measurements] == [0.5, 1.0]
    assert both.prices == (("A", 1.0), ("B", 2.0))


def test_devices_are_compared_by_the_best_that_each_does_at_each_batch_size() -> None:
    # A second engine of the CPU is faster with many images, and slower with one.
    many = [row("CPU", size, 200e-6 + 50e-6 * size, engine="eager", threads=2) for size in (1, 4, 16, 64)]
    best = (cpu_and_gpu() + many).best_of_each()
    assert best.ranking().names == ("CPU", "GPU")
    engines = {m.batch_size: m.engine for m in best.measurements if m.device == "CPU"}
    assert engines == {1: "onnx", 4: "onnx", 16: "eager", 64: "eager"}
    assert "eager fp32, 2 threads" in best.table(64)
    assert [(each.batch_size, each.after) for each in best.crossovers()] == [(64, "GPU")]
    assert best.select(batch_size=1).by_device
    said = best.sentences(16)[0].replace("\N{NO-BREAK SPACE}", " ")
    assert "CPU answers in 1.00 ms (eager fp32, 2 threads, measured here, now); GPU is level with it" in said
    assert (best + best).by_device
    assert not (best + cpu_and_gpu()).by_device
    # Another metric may choose another engine; without a figure, the fastest is chosen.
    lean = cpu_and_gpu() + Comparison.of(
        [row("CPU", size, 1.0 * size, engine="lean", memory_bytes=1) for size in (1, 4, 16, 64)]
    )
    assert {m.engine for m in lean.best_of_each("memory").measurements if m.device == "CPU"} == {"lean"}
    assert {m.engine for m in lean.best_of_each("energy").measurements if m.device == "CPU"} == {"onnx"}


def test_select_takes_one_or_several_values() -> None:
    found = cpu_and_gpu()
    assert found.select(batch_size=(1, 4), device="CPU").batch_sizes == (1, 4)
    assert found.select(origin="modelled").measurements == ()
    assert found.select(batch_size={1, 4}) == found.select(batch_size=range(1, 5))
    assert found.select(batch_size=np.int64(4)) == found.select(batch_size=4)
    with pytest.raises(WorkbenchError, match="no field 'colour'"):
        found.select(colour="red")


def test_the_table_has_a_line_for_each_with_its_origin() -> None:
    lines = cpu_and_gpu().table(1).splitlines()
    assert len(lines) == 3
    assert "measured here, now" in lines[1]
    assert "recorded 2026-01-02" in lines[2]
    assert str(cpu_and_gpu()) == cpu_and_gpu().table(1)
    assert str(Comparison()) == "nothing measured"


def test_the_table_repeats_nothing() -> None:
    two = Comparison.of([row("A", 1, 1), row("A", 1, 1, threads=2), row("A", 1, 1, engine="eager")])
    assert two.table(1).count("onnx fp32") == 2
    assert "with" in cpu_and_gpu().table(1).splitlines()[0]
    assert cpu_and_gpu().table(1, "throughput").count("images/s") == 2  # one in each figure, none in the head


def test_fewer_than_one_image_a_second_is_no_zero() -> None:
    assert " 0.4 " in Comparison.of([row("A", 1, 2.5)]).table(1)


def test_mixed_phases_or_models_and_unknown_names_are_refused_in_a_sentence() -> None:
    mixed = cpu_and_gpu() + Comparison.of([row("CPU", 1, 1.0, phase="training")])
    with pytest.raises(WorkbenchError, match="more than one phase"):
        mixed.rows(1)
    with pytest.raises(WorkbenchError, match="more than one model"):
        (cpu_and_gpu() + Comparison.of([row("CPU", 1, 1.0, model="mlp")])).sentences(1)
    with pytest.raises(WorkbenchError, match="There is no figure at batch size 3; there is at 1, 4, 16, 64"):
        cpu_and_gpu().rows(3)
    with pytest.raises(WorkbenchError, match="metric = 'beauty'"):
        cpu_and_gpu().rows(1, "beauty")  # type: ignore[arg-type]
