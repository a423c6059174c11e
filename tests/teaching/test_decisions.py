"""Decisions computed from a comparison, without the widget; tests/widgets/test_decide.py has the sentences."""

from __future__ import annotations

from typing import Any

import pytest

from workbench.comparing.comparison import Comparison
from workbench.comparing.metrics import METRICS
from workbench.errors import WorkbenchError
from workbench.measuring.measurement import Latency, Measurement
from workbench.teaching.decisions import (
    CHOICE,
    FACTS,
    LIMITS,
    TEMPLATES,
    checked_choice,
    facts_of,
    must_not_break,
    offers_of,
    sentences,
)


def measurement(batch_size: int, seconds: float, **changes: Any) -> Measurement:
    latency = Latency(p50=seconds, p90=seconds, p99=2 * seconds, count=50, warm_up=seconds)
    facts: dict[str, Any] = {"phase": "inference", "model": "convnet", "device": "CPU", "kind": "cpu"}
    facts |= {"engine": "onnx", "precision": "fp32", "threads": 2}
    return Measurement(**facts | changes, batch_size=batch_size, latency=latency)


@pytest.fixture
def offers() -> list[dict[str, Any]]:
    modelled = measurement(8, 0.02, origin="modelled", source="modelled from its data sheet")
    return offers_of(Comparison.of([measurement(1, 0.004, energy_joules=0.08), measurement(8, 0.016), modelled]))


def test_a_device_with_two_origins_is_two_devices(offers: list[dict[str, Any]]) -> None:
    assert [offer["device"] for offer in offers] == ["CPU (measured)", "CPU (measured)", "CPU (modelled)"]
    assert {offer["setting"] for offer in offers} == {"onnx fp32, 2 threads"}
    assert offers[0]["figures"].keys() == {"latency", "throughput", "energy"} <= METRICS.keys()


def test_mean_power_is_energy_over_time(offers: list[dict[str, Any]]) -> None:
    assert offers[0]["held"]["power"] == [pytest.approx(0.08 / 0.004), "20 W"]
    assert "power" not in offers[1]["held"]


def test_a_choice_has_these_names_and_its_facts_follow(offers: list[dict[str, Any]]) -> None:
    choice = checked_choice(offers, "CPU (measured)", "onnx", 8, limit="latency", at_most="16", proof=" more \n data ")
    assert tuple(choice) == CHOICE
    assert choice["proof"] == "more data"
    facts = facts_of(choice, offers)
    assert facts.keys() == FACTS
    assert (facts["value"], facts["threads"], facts["verdict"]) == (0.016, 2, "keeps")
    assert facts["must_not_break"] == must_not_break(choice) == "time of a batch, at most 16 ms"
    assert facts["sentences"] == sentences(choice, offers[1])
    tighter = facts_of(choice | {"at_most": "15.9"}, offers)
    assert tighter["verdict"] == "breaks"
    assert tighter["sentences"][2].startswith("It exceeds that: 16.0")


def test_a_batch_size_without_a_measurement_has_no_figure(offers: list[dict[str, Any]]) -> None:
    choice = checked_choice(offers, "CPU (modelled)", "onnx", 1, limit="memory", at_most=3, proof="it")
    facts = facts_of(choice, offers)
    assert (facts["value"], facts["text"], facts["verdict"]) == (None, "no figure", "unknown")
    assert facts["sentences"][2] == TEMPLATES["unknown"]


@pytest.mark.parametrize("name", LIMITS)
def test_only_a_limit_with_a_unit_takes_a_number(offers: list[dict[str, Any]], name: str) -> None:
    choice = {"metric": "latency", "limit": name, "words": "It fits.", "proof": "it"}
    if not LIMITS[name].unit:
        assert checked_choice(offers, "CPU (measured)", "onnx", 1, **choice, at_most="7")["at_most"] == ""
        return
    assert checked_choice(offers, "CPU (measured)", "onnx", 1, **choice, at_most=1234.5)["at_most"] == "1234.5"
    with pytest.raises(WorkbenchError, match=f"What it must not break, in {LIMITS[name].unit}: Write a number first"):
        checked_choice(offers, "CPU (measured)", "onnx", 1, **choice)


def test_without_options_nothing_can_be_chosen() -> None:
    with pytest.raises(WorkbenchError, match=r"Choose a device \(there are none yet\), not 'CPU'\."):
        checked_choice([], "CPU", "onnx", 1, proof="it")
