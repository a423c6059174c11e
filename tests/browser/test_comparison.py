"""The browser compares devices, and words numbers, exactly as Python does."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser.lab import chromium

import workbench
from workbench.comparing.all_devices import compare_recordings
from workbench.comparing.comparison import Comparison
from workbench.comparing.metrics import METRICS
from workbench.comparing.page_data import points, rules
from workbench.comparing.sentences import budget_facts, facts_at, fill_templates
from workbench.measuring.measurement import Latency, Measurement
from workbench.measuring.recordings import load_recordings
from workbench.serving.javascript import join_modules
from workbench.units import format_bytes, format_dollars, format_energy, format_rate, format_ratio, format_seconds

PACKAGE = Path(workbench.__file__).parent
FORMATS = "formatBytes, formatDollars, formatEnergy, formatRate, formatRatio, formatSeconds"


@pytest.fixture(scope="module")
def page(browser: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A page whose global functions are those under test."""
    entry = tmp_path_factory.mktemp("page") / "entry.js"
    entry.write_text(
        f'import {{ compare }} from "{PACKAGE.as_posix()}/widgets/comparison.js";\n'
        f'import {{ {FORMATS} }} from "{PACKAGE.as_posix()}/serving/page/numbers.js";\n'
        f"Object.assign(window, {{ compare, {FORMATS} }});\n"
    )
    with chromium(browser) as running:
        opened = running.new_page()
        opened.add_script_tag(content=join_modules(entry))
        yield opened


def invented(chance: random.Random) -> list[Measurement]:
    """Measurements of everything that the rules tell apart: origins, draws, gaps, figures that are missing or zero."""
    found = []
    for device in range(chance.randint(1, 5)):
        pace, slope = 10 ** chance.uniform(-5, -2), chance.uniform(0, 1.2)
        for origin in chance.sample(["measured", "recorded", "modelled"], chance.randint(1, 2)):
            for engine in chance.sample(["onnx", "eager", "c"], chance.randint(1, 2)):
                for size in (1, 2, 8, 64, 1024):
                    if chance.random() < 0.15:
                        continue
                    p50 = chance.choice([pace, pace * 1.04, pace * 1.9]) * size**slope
                    memory = chance.choice([None, 0, 12_250, 24_500, chance.randint(1, 10**7)])
                    found.append(
                        Measurement(
                            phase="inference",
                            model="convnet",
                            device=f"device {device}",
                            kind="cpu",
                            engine=engine,
                            precision="fp32",
                            threads=chance.choice([1, 2]),
                            batch_size=size,
                            latency=Latency(p50=p50, p90=p50 * 1.2, p99=p50 * 2, count=9, warm_up=p50),
                            memory_bytes=None if origin == "modelled" else memory,
                            energy_joules=chance.choice([None, 0.0, p50 * 30]),
                            origin=origin,  # type: ignore[arg-type]
                            source="here, now" if origin == "measured" else f"{origin} 2026-11-25, torch 2",
                        )
                    )
    return list(Comparison.of(found).measurements)


def python_says(comparison: Comparison, choice: dict[str, Any]) -> list[str]:
    size, metric = choice["batch_size"], choice["metric"]
    ranking = comparison.best_of_each(metric).ranking(metric)
    facts = facts_at(ranking, size)
    if metric in choice["budgets"]:
        facts += budget_facts(ranking, size, choice["budgets"][metric])
    return fill_templates(facts)


def browser_says(page: Any, measurements: list[Measurement], choices: list[dict[str, Any]]) -> list[list[str]]:
    asked = json.dumps([rules(), points(measurements), choices])
    return page.evaluate(
        f"(() => {{ const [rules, points, choices] = {asked};"
        "return choices.map(choice => compare(rules, points, choice).sentences); })()"
    )


def choices_of(measurements: list[Measurement], phase: str, chance: random.Random) -> list[dict[str, Any]]:
    devices = sorted({m.device for m in measurements})
    fixed = {"phase": phase, "model": "convnet", "engine": "", "precision": "", "devices": []}
    return [
        {
            **fixed,
            "metric": metric,
            "batch_size": size,
            "prices": {device: chance.uniform(0.01, 3) for device in devices if chance.random() < 0.8},
            "budgets": {metric: 10 ** chance.uniform(-4, 1)} if chance.random() < 0.5 else {},
        }
        for metric in (*METRICS, "cost")
        for size in (1, 2, 8, 64, 1024)
    ]


def test_every_sentence_about_the_shipped_devices_is_the_same(page: Any) -> None:
    chance, recordings = random.Random(4), load_recordings()
    for phase in ("inference", "training"):
        known = list(compare_recordings(recordings, phase=phase, model="convnet").measurements)
        choices = choices_of(known, phase, chance)
        said = browser_says(page, known, choices)
        assert said == [python_says(Comparison.of(known, prices=each["prices"]), each) for each in choices]


def test_every_sentence_about_invented_devices_is_the_same(page: Any) -> None:
    for seed in range(60):
        chance = random.Random(seed)
        known = invented(chance)
        choices = choices_of(known, "inference", chance)
        said = browser_says(page, known, choices)
        for choice, words in zip(choices, said, strict=True):
            assert words == python_says(Comparison.of(known, prices=choice["prices"]), choice), (seed, choice)


@pytest.mark.parametrize(
    ("name", "python", "low", "high"),
    [
        ("formatSeconds", format_seconds, -9, 6),
        ("formatBytes", format_bytes, 0, 13),
        ("formatEnergy", format_energy, -9, 4),
        ("formatRate", format_rate, -3, 8),
        ("formatRatio", format_ratio, -3, 5),
        ("formatDollars", format_dollars, -6, 5),
    ],
)
def test_numbers_are_reported_in_the_same_words(page: Any, name: str, python: Any, low: int, high: int) -> None:
    chance = random.Random(1)
    values = [10 ** chance.uniform(low, high) for _ in range(2_000)]
    # What lies exactly between two roundings, and on either side of a change of unit.
    values += [12_250.0, 24_500.0, 2.5, 3.5, 0.125, 0.375, 999.5, 9.95, 9.945, 0.995, 59.95, 59.94, 3599.5, 4539.0, 1e3]
    values += [10.0**power * factor for power in range(low, high) for factor in (0.9994, 0.9995, 0.9996, 1.0, 1.0005)]
    values = [value for value in values if value >= 10.0**low]
    assert page.evaluate(f"{json.dumps(values)}.map({name})") == [python(value) for value in values]
