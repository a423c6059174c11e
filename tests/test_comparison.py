"""Measurements side by side, on a case worked out by hand: a CPU quick with one picture, a GPU quick with many."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from workbench.comparison import METRICS, TEMPLATES, Comparison
from workbench.errors import WorkbenchError
from workbench.measurement import Latency, Measurement


def row(device: str, batch_size: int, seconds: float, **changes: Any) -> Measurement:
    base = Measurement(
        phase="inference",
        model="convnet",
        device=device,
        kind="cpu",
        engine="onnx",
        precision="fp32",
        threads=1,
        batch_size=batch_size,
        latency=Latency(p50=seconds, p90=1.2 * seconds, p99=2 * seconds, count=100, warm_up=seconds),
        memory_bytes=1000 * batch_size,
    )
    return replace(base, **changes)


def cpu_and_gpu() -> Comparison:
    """The CPU takes 100 µs a picture; the GPU 1 ms for up to 64 of them."""
    sizes = (1, 4, 16, 64)
    gpu = {"origin": "recorded", "source": "recorded 2026-01-02, torch 2.15.0", "kind": "cuda", "engine": "eager"}
    return Comparison(
        [row("CPU", size, 100e-6 * size) for size in sizes] + [row("GPU", size, 1e-3, **gpu) for size in sizes]
    )


def test_the_best_comes_first_by_any_metric():
    found = cpu_and_gpu()
    assert [r.name for r in found.rows(1)] == ["CPU", "GPU"]
    assert [r.name for r in found.rows(64)] == ["GPU", "CPU"]
    assert [r.name for r in found.rows(64, "throughput")] == ["GPU", "CPU"]
    assert [r.value for r in found.rows(64, "throughput")] == pytest.approx([64_000, 10_000])
    assert found.rows(4)[0].text == "400\N{NO-BREAK SPACE}µs"
    assert found.rows(4)[0].spread == "+20 %"


def test_the_lead_changes_where_it_does_and_only_by_more_than_a_draw():
    (change,) = cpu_and_gpu().crossovers()
    assert (change.batch_size, change.before, change.after) == (16, "CPU", "GPU")
    level = Comparison([row("A", 1, 1.0), row("B", 1, 1.2), row("A", 2, 2.0), row("B", 2, 1.95)])
    assert level.crossovers() == []
    assert "Nobody is clearly ahead of A at any batch size compared, from 1 to 2." in level.sentences(1)
    clear = Comparison([row("A", 1, 1.0), row("B", 1, 1.2), row("A", 2, 2.0), row("B", 2, 2.2)])
    assert "A is clearly ahead at every batch size compared, from 1 to 2." in clear.sentences(1)


def test_a_lead_for_want_of_a_rival_is_told_as_such():
    gone = Comparison([row("A", size, 1.0) for size in (1, 2)] + [row("B", size, 2.0) for size in (1, 2, 4)]
                      + [row("C", size, 3.0) for size in (1, 2, 4)])  # fmt: skip
    (change,) = gone.crossovers()
    assert (change.batch_size, change.before, change.after, change.met) == (4, "A", "B", False)
    assert "A is first at batch 2; of those with a figure at batch 4, B is." in gone.sentences(1)
    late = Comparison([row("A", size, 2.0) for size in (1, 4)] + [row("B", size, 3.0) for size in (1, 4)]
                      + [row("C", 4, 1.0)])  # fmt: skip
    assert [each.met for each in late.crossovers()] == [False]
    # One size in common is no comparison over sizes, and a board that cannot take large batches hides nothing.
    assert Comparison([row("A", 1, 1.0), row("B", 1, 2.0), row("A", 2, 9.0)]).lead_facts() == []
    small = cpu_and_gpu() + Comparison([row("Board", 1, 1.0)])
    assert [(each.batch_size, each.after, each.met) for each in small.crossovers()] == [(16, "GPU", True)]


def test_an_assumed_power_bears_no_ratio_and_no_lead():
    def board(name: str, size: int, joules: float) -> Measurement:
        return row(name, size, 0.01, origin="modelled", source="modelled from its data sheet", energy_joules=joules)

    found = Comparison([board(name, size, joules) for size in (1, 2) for name, joules in (("A", 1e-3), ("B", 3e-3))])
    first, last = (sentence.replace("\N{NO-BREAK SPACE}", " ") for sentence in found.sentences(1, "energy"))
    assert first == (
        "One picture at a time, A answers with 1.00 mJ at full power a picture (modelled); B: 3.00 mJ at full power "
        "(modelled)."
    )
    assert last == TEMPLATES["modelled"]


def test_a_lead_says_nothing_of_third_parties_and_no_more_than_the_figures():
    def board(size: int, seconds: float) -> Measurement:
        return row("X", size, seconds, origin="modelled", source="modelled from its data sheet")

    def leads(*found: Measurement) -> list[str]:
        return [TEMPLATES[name].format(**facts) for name, facts in Comparison(found).lead_facts()]

    doubtful = (row("A", 1, 1.0), board(1, 1.1), row("A", 2, 2.9), board(2, 1.0), row("A", 4, 3.1), board(4, 1.0))
    assert leads(*doubtful) == ["A is first at batch 1; from batch 4 on, X is clearly ahead of it."]
    back = (row("A", 1, 1.0), row("B", 1, 2.0), row("A", 2, 2.0), row("B", 2, 1.0), row("A", 4, 1.0), row("B", 4, 1.0))
    assert leads(*back) == ["A is first at batch 1; at batch 2, B is clearly ahead of it."]
    again = (*back[:4], row("A", 4, 1.0), row("B", 4, 3.0))
    assert leads(*again) == [
        "A is first at batch 1; at batch 2, B is clearly ahead of it.",
        "B is first at batch 2; from batch 4 on, A is clearly ahead of it.",
    ]
    near = [part for size in (1, 2) for part in (row("A", size, 1.0), row("B", size, 1.06), board(size, 1.07))]
    assert leads(*near) == ["Nobody is clearly ahead of A at any batch size compared, from 1 to 2."]


def test_nothing_is_led_by_an_assumed_power():
    def joules(device: str, size: int, value: float, **more: Any) -> Measurement:
        return row(device, size, 1.0, energy_joules=value, **more)

    modelled = {"origin": "modelled", "source": "modelled from its data sheet"}
    found = Comparison(
        [joules("A", 1, 1.0), joules("B", 1, 2.0), joules("A", 64, 1.0), joules("C", 64, 0.1, **modelled)]
    )
    assert found.lead_facts("energy") == []
    assert found.crossovers("energy") == []
    nothing = Comparison([joules("A", 1, 0.0), joules("B", 1, 1.0)]).sentences(1, "energy")[0]
    assert nothing.startswith("One picture at a time, A answers with too little energy to measure (measured here, now)")


def test_memory_too_little_to_measure_is_said_so():
    found = Comparison([row("A", 1, 1.0, memory_bytes=0), row("B", 1, 1.0, memory_bytes=1000)])
    assert found.sentences(1, "memory")[0].replace("\N{NO-BREAK SPACE}", " ") == (
        "One picture at a time, A answers with too little memory to measure (measured here, now); B: 1.00 kB "
        "(measured here, now)."
    )
    assert found.rows(1, "memory")[0].text == "too little to measure"


def test_fewer_than_one_picture_a_second_is_no_zero():
    assert " 0.4 " in Comparison([row("A", 1, 2.5)]).table(1)


def test_the_table_repeats_no_setting_that_the_names_say():
    two = Comparison([row("A", 1, 1), row("A", 1, 1, threads=2), row("A", 1, 1, engine="eager")])
    assert two.table(1).count("onnx fp32") == 2
    assert "with" in cpu_and_gpu().table(1)


def test_the_sentences_say_value_ratio_origin_and_crossover():
    first, second = cpu_and_gpu().sentences(1)
    assert first.replace("\N{NO-BREAK SPACE}", " ") == (
        "One picture at a time, CPU answers in 100 µs (measured here, now), 10× as fast as GPU (1.00 ms, recorded "
        "2026-01-02)."
    )
    assert second == "CPU is first at batch 4; from batch 16 on, GPU is clearly ahead of it."
    training = Comparison(replace(m, phase="training") for m in cpu_and_gpu().measurements)
    assert training.sentences(64)[0].startswith("64 pictures at once, GPU takes a training step in 1.00")


def test_every_template_can_be_filled_and_is_the_only_wording():
    found = cpu_and_gpu()
    modelled = replace(
        row("Board", 1, 0.01), origin="modelled", source="modelled from its data sheet", memory_bytes=None
    )
    used = set()
    for metric in METRICS:
        for size in (1, 64):
            both = found + Comparison([replace(modelled, batch_size=size)])
            for name, facts in both.facts(size, metric):
                used.add(name)
                assert not re.search(r"[{}]|None", TEMPLATES[name].format(**facts))
    assert {"latency", "throughput", "memory", "crossover", "modelled", "no figure"} <= used
    said = " ".join(found.sentences(1, "energy"))
    assert said == "No figure, for want of a meter or a model: energy of a picture of CPU, GPU."


def test_names_hold_only_what_tells_apart():
    def names(*found: Measurement) -> set[str]:
        return set(Comparison(found).subjects.values())

    assert names(row("A", 1, 1), row("B", 1, 1)) == {"A", "B"}
    assert names(row("A", 1, 1), row("A", 1, 1, threads=2)) == {"1 thread", "2 threads"}
    assert names(row("A", 1, 1), row("A", 1, 1, engine="onnx-int8", precision="int8")) == {"onnx fp32", "onnx-int8"}
    assert names(row("A", 1, 1)) == {"A"}
    two = names(row("A", 1, 1), row("A", 1, 1, origin="recorded", source="recorded 2026-01-02"), row("B", 1, 1))
    assert two == {"A, measured", "A, recorded", "B"}
    assert names(row("A", 1, 1), row("A", 1, 1, origin="recorded")) == {"A, measured", "A, recorded"}
    assert len(names(row("A", 1, 1), row("A", 1, 1, threads=2), row("A, 1 thread", 1, 1), row("B", 1, 1))) == 4


def test_the_last_of_equal_measurements_counts():
    found = Comparison([row("A", 1, 1.0), row("A", 1, 0.5)])
    assert [r.value for r in found.rows(1)] == [0.5]


def test_devices_are_compared_by_the_best_that_each_does_at_each_batch_size():
    # A second engine of the CPU is quicker with many pictures, and slower with one.
    many = [row("CPU", size, 200e-6 + 50e-6 * size, engine="eager", threads=2) for size in (1, 4, 16, 64)]
    best = (cpu_and_gpu() + many).best_of_each()
    assert set(best.subjects.values()) == {"CPU", "GPU"}
    engines = {m.batch_size: m.engine for m in best.measurements if m.device == "CPU"}
    assert engines == {1: "onnx", 4: "onnx", 16: "eager", 64: "eager"}
    assert "eager fp32, 2 threads" in best.table(64)
    assert [(each.batch_size, each.after) for each in best.crossovers()] == [(64, "GPU")]
    assert best.select(batch_size=1).by_device
    said = best.sentences(16)[0].replace("\N{NO-BREAK SPACE}", " ")
    assert "CPU answers in 1.00 ms (eager fp32, 2 threads, measured here, now); GPU is level with it" in said
    assert (best + best).by_device
    assert not (best + cpu_and_gpu()).by_device
    # By another metric another engine may stand for it; without a figure the quickest does.
    lean = cpu_and_gpu() + [row("CPU", size, 1.0 * size, engine="lean", memory_bytes=1) for size in (1, 4, 16, 64)]
    assert {m.engine for m in lean.best_of_each("memory").measurements if m.device == "CPU"} == {"lean"}
    assert {m.engine for m in lean.best_of_each("energy").measurements if m.device == "CPU"} == {"onnx"}


def test_a_modelled_figure_decides_nothing_that_is_near():
    def board(size: int, seconds: float) -> Measurement:
        return row("Board", size, seconds, origin="modelled", source="modelled from its data sheet")

    near = Comparison([row("CPU", 1, 1.0), board(1, 1.5), row("CPU", 2, 2.0), board(2, 1.5)])
    first = near.sentences(1)[0].replace("\N{NO-BREAK SPACE}", " ")
    assert first.endswith("; Board is too close to tell by a modelled figure (1.50 s, modelled).")
    assert near.crossovers() == []
    far = Comparison([row("CPU", 1, 1.0), board(1, 1.5), row("CPU", 2, 5.0), board(2, 1.5)])
    assert [(each.batch_size, each.after) for each in far.crossovers()] == [(2, "Board")]


def test_select_takes_one_or_several_values():
    found = cpu_and_gpu()
    assert found.select(batch_size=(1, 4), device="CPU").batch_sizes == (1, 4)
    assert found.select(origin="modelled").measurements == ()
    assert found.select(batch_size={1, 4}) == found.select(batch_size=range(1, 5))
    assert {m.device for m in (found + Comparison([row("Board", 1, 1.0)])).best(2).measurements} == {"CPU", "GPU"}
    with pytest.raises(WorkbenchError, match="no field 'colour'"):
        found.select(colour="red")


def test_the_table_has_a_line_for_each_and_says_the_origin():
    lines = cpu_and_gpu().table(1).splitlines()
    assert len(lines) == 3
    assert "measured here, now" in lines[1]
    assert "recorded 2026-01-02" in lines[2]
    assert str(cpu_and_gpu()) == cpu_and_gpu().table(1)
    assert str(Comparison()) == "nothing measured"


def test_mixed_questions_and_unknown_answers_are_sentences():
    mixed = cpu_and_gpu() + Comparison([row("CPU", 1, 1.0, phase="training")])
    with pytest.raises(WorkbenchError, match="more than one phase"):
        mixed.rows(1)
    with pytest.raises(WorkbenchError, match="more than one model"):
        (cpu_and_gpu() + Comparison([row("CPU", 1, 1.0, model="mlp")])).sentences(1)
    with pytest.raises(WorkbenchError, match="There is no figure at batch size 3; there is at 1, 4, 16, 64"):
        cpu_and_gpu().rows(3)
    with pytest.raises(WorkbenchError, match="metric = 'beauty'"):
        cpu_and_gpu().rows(1, "beauty")  # type: ignore[arg-type]
