"""What a ranking says in words: value, ratio, origin and crossover, and no more than the figures."""

from __future__ import annotations

import re
from dataclasses import replace

from comparing.rows import cpu_and_gpu, modelled_row, row

from workbench.comparing.comparison import Comparison
from workbench.comparing.metrics import METRICS
from workbench.comparing.sentences import TEMPLATES, budget_facts, facts_at, fill_templates, lead_facts
from workbench.measuring.measurement import Measurement


def plain(sentence: str) -> str:
    return sentence.replace("\N{NO-BREAK SPACE}", " ")


def leads(*found: Measurement) -> list[str]:
    return fill_templates(lead_facts(Comparison.of(found).ranking()))


def test_sentences_give_value_ratio_origin_and_crossover() -> None:
    first, second = cpu_and_gpu().sentences(1)
    assert plain(first) == (
        "One image at a time, CPU answers in 100 µs (measured here, now), 10× as fast as GPU (1.00 ms, recorded "
        "2026-01-02)."
    )
    assert second == "CPU is first at batch 4; from batch 16 on, GPU is clearly ahead of it."
    training = Comparison.of(replace(m, phase="training") for m in cpu_and_gpu().measurements)
    assert training.sentences(64)[0].startswith("64 images at once, GPU takes a training step in 1.00")


def test_a_lead_over_all_batch_sizes_is_said_only_beyond_a_draw() -> None:
    level = Comparison.of([row("A", 1, 1.0), row("B", 1, 1.2), row("A", 2, 2.0), row("B", 2, 1.95)])
    assert "Nothing is clearly ahead of A at any batch size compared, from 1 to 2." in level.sentences(1)
    clear = Comparison.of([row("A", 1, 1.0), row("B", 1, 1.2), row("A", 2, 2.0), row("B", 2, 2.2)])
    assert "A is clearly ahead at every batch size compared, from 1 to 2." in clear.sentences(1)


def test_a_lead_without_a_rival_is_worded_as_such() -> None:
    gone = [row("A", size, 1.0) for size in (1, 2)] + [row("B", size, 2.0) for size in (1, 2, 4)]
    gone += [row("C", size, 3.0) for size in (1, 2, 4)]
    assert leads(*gone) == ["A is first at batch 2; of those with a figure at batch 4, B is."]
    # One size in common is no comparison over sizes.
    assert leads(row("A", 1, 1.0), row("B", 1, 2.0), row("A", 2, 9.0)) == []


def test_a_lead_says_no_more_than_the_figures() -> None:
    def board(size: int, seconds: float) -> Measurement:
        return modelled_row("X", size, seconds)

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
    assert leads(*near) == ["Nothing is clearly ahead of A at any batch size compared, from 1 to 2."]


def test_an_assumed_power_bears_no_ratio_and_no_lead() -> None:
    power = (("A", 1e-3), ("B", 3e-3))
    found = Comparison.of(
        [modelled_row(name, size, 0.01, energy_joules=joules) for size in (1, 2) for name, joules in power]
    )
    first, last = map(plain, found.sentences(1, "energy"))
    assert first == (
        "One image at a time, A answers with 1.00 mJ at full power an image (modelled); B: 3.00 mJ at full power "
        "(modelled)."
    )
    assert last == TEMPLATES["modelled"]
    assert lead_facts(found.ranking("energy")) == []


def test_too_little_to_measure_is_not_zero() -> None:
    found = Comparison.of([row("A", 1, 1.0, memory_bytes=0), row("B", 1, 1.0, memory_bytes=1000)])
    assert plain(found.sentences(1, "memory")[0]) == (
        "One image at a time, A answers with too little memory to measure (measured here, now); B: 1.00 kB "
        "(measured here, now)."
    )
    assert found.rows(1, "memory")[0].text == "too little to measure"
    idle = Comparison.of([row("A", 1, 1.0, energy_joules=0.0), row("B", 1, 1.0, energy_joules=1.0)])
    assert idle.sentences(1, "energy")[0].startswith("One image at a time, A answers with too little energy to measure")


def test_a_near_modelled_figure_is_too_close_to_call() -> None:
    near = Comparison.of([row("CPU", 1, 1.0), modelled_row("Board", 1, 1.5)])
    assert plain(near.sentences(1)[0]).endswith(
        "; Board is too close to call with a modelled figure (1.50 s, modelled)."
    )


def test_every_template_can_be_filled() -> None:
    board = modelled_row("Board", 1, 0.01, memory_bytes=None)
    used = set()
    for metric in METRICS:
        for size in (1, 64):
            ranking = (cpu_and_gpu() + Comparison.of([replace(board, batch_size=size)])).ranking(metric)
            limit = 15_000 if metric == "throughput" else 1e-3
            for fact in [*facts_at(ranking, size), *budget_facts(ranking, size, limit), *facts_at(ranking, 3)]:
                used.add(fact[0])
                assert not re.search(r"[{}]|None", fill_templates([fact])[0])
    assert {
        "latency",
        "throughput",
        "memory",
        "crossover",
        "modelled",
        "no figure",
        "within",
        "breaks",
        "below",
    } <= used
    assert cpu_and_gpu().sentences(1, "energy") == ["Neither measured nor modelled: energy of an image of CPU, GPU."]


def test_a_budget_says_who_keeps_within_it() -> None:
    ranking = cpu_and_gpu().ranking()
    said = [plain(text) for text in fill_templates(budget_facts(ranking, 64, 2e-3))]
    assert said == ["Within the budget of 2.00 ms: GPU.", "Over the budget of 2.00 ms: CPU (6.40 ms)."]
    said = [plain(text) for text in fill_templates(budget_facts(ranking, 64, 1e-6))]
    assert said[0] == "Nothing keeps within the budget of 1.00 µs."
    assert budget_facts(ranking, 3, 1.0) == []


def test_a_batch_size_without_a_figure_is_a_sentence_too() -> None:
    assert fill_templates(facts_at(cpu_and_gpu().ranking(), 3)) == ["3 images at once: nothing here has a figure."]
