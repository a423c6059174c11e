"""A decision follows from a comparison, is told in words, kept, and revised without losing the one before."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from comparing.rows import row

from workbench.comparing.comparison import Comparison
from workbench.comparing.metrics import METRICS, describe_origin
from workbench.errors import WorkbenchError
from workbench.teaching.decisions import CHOICE, FACTS, offers_of
from workbench.teaching.learner import LearnerRecord
from workbench.widgets.decide import NOTHING, Decide

QUESTION = "Which machine for the gate?"
SPACE = "\N{NO-BREAK SPACE}"


def three_machines() -> Comparison:
    gpu = {"origin": "recorded", "source": "recorded 2026-01-02, torch 2.15.0", "kind": "cuda", "engine": "eager"}
    modelled = {
        "origin": "modelled",
        "source": "modelled from its data sheet",
        "energy_joules": 0.01,
        "memory_bytes": 0,
    }
    return Comparison.of(
        [row("CPU", size, 1e-4 * size) for size in (1, 4, 16, 1024)]
        + [row("CPU", 1, 2e-4, engine="eager"), row("CPU", 1, 3e-4, engine="eager", threads=2)]
        + [row("GPU", size, 1e-3, energy_joules=0.1, **gpu) for size in (1, 4, 16)]
        + [row("Board", size, 2e-3 * size, **modelled) for size in (1, 4)]
        + [row("Board", 1, 3e-3)]
    )


@pytest.fixture
def decide(tmp_path: Path) -> Decide:
    return Decide(QUESTION, three_machines(), id="00-gate", record=tmp_path / "learner.json")


def again(decide: Decide) -> Decide:
    return Decide(QUESTION, three_machines(), id="00-gate", record=decide.record.path)


def test_a_decision_follows_from_the_comparison(decide: Decide):
    assert decide.decision is None
    assert repr(decide) == f"Decide: {QUESTION} Not decided yet."
    made = decide.decide("GPU", "eager", 16, limit="latency", at_most=5, proof="a p99 above 5 ms.")
    assert decide.decision == made
    assert made["sentences"] == [
        f"GPU with eager fp32, 16 images at once; chosen for its time of a batch (median): 1.00{SPACE}ms "
        "(recorded 2026-01-02).",
        "It must not break: time of a batch, at most 5 ms.",
        f"It stays within that: 1.00{SPACE}ms (recorded 2026-01-02).",
        "It would be proved wrong by: a p99 above 5 ms.",
    ]
    assert decide.describe() == f"{QUESTION} {' '.join(made['sentences'])}"
    wanted = {"device": "GPU", "engine": "eager", "precision": "fp32", "batch_size": 16, "metric": "latency"}
    wanted |= {"value": 1e-3, "text": f"1.00{SPACE}ms", "source": "recorded 2026-01-02, torch 2.15.0"}
    wanted |= {"must_not_break": "time of a batch, at most 5 ms", "verdict": "keeps", "proof": "a p99 above 5 ms."}
    assert {name: made[name] for name in wanted} == wanted
    assert set(made) == FACTS | {"decided"}
    (kept,) = LearnerRecord(decide.record.path).find("decided", "00-gate")
    assert {name: kept[name] for name in FACTS} == {name: made[name] for name in FACTS}
    assert kept["question"] == QUESTION
    assert kept["when"] == made["decided"]


def test_every_figure_and_origin_is_that_of_the_measurement(decide: Decide):
    by_place = zip(three_machines().measurements, decide.offers, strict=True)
    for m, offer in by_place:
        assert offer["origin"] == describe_origin(m)
        for name, how in METRICS.items():
            if how.value(m) is None:
                assert name not in offer["figures"]
                continue
            made = decide.decide(offer["device"], offer["setting"], m.batch_size, metric=name, proof="it")
            assert (made["value"], made["text"]) == (how.value(m), how.format(m))
            assert (made["origin"], made["threads"]) == (describe_origin(m), m.threads)


@pytest.mark.parametrize(
    ("device", "size", "limit", "at_most", "verdict"),
    [
        ("CPU", 1, "latency", 0.1, "keeps"),
        ("CPU", 1, "latency", "0.099", "breaks"),
        ("CPU", 16, "memory", "0,016 MB", "keeps"),
        ("GPU", 1, "energy", 99, "breaks"),
        ("GPU", 4, "energy", 25, "keeps"),
        ("GPU", 4, "power", 100, "keeps"),
        ("GPU", 4, "power", 99, "breaks"),
        ("CPU", 1, "energy", 5, "unknown"),
        ("CPU", 1, "price", 200, "unknown"),
        ("CPU", 1, "none", "", ""),
        ("Board (modelled)", 1, "latency", 2.1, "doubt"),
        ("Board (modelled)", 1, "latency", 6, "keeps"),
        ("Board (modelled)", 1, "latency", 1.1, "doubt"),
        ("Board (modelled)", 1, "latency", 0.6, "breaks"),
        ("Board (modelled)", 1, "memory", 0, "keeps"),
        ("Board (measured)", 1, "latency", 2.9, "breaks"),
        ("Board (measured)", 4, "latency", 2.9, "unknown"),
    ],
)
def test_a_limit_is_kept_or_broken(decide: Decide, device: str, size: int, limit: str, at_most: Any, verdict: str):
    engine = "eager" if device == "GPU" else "onnx"
    made = decide.decide(device, engine, size, limit=limit, at_most=at_most, proof="it")
    assert made["verdict"] == verdict
    assert len(made["sentences"]) == (4 if verdict else 3)
    assert bool(made["must_not_break"]) == (limit != "none")


def test_a_limit_in_words_and_a_size_nobody_measured(decide: Decide):
    words = "It must fit  into\nthe box."
    made = decide.decide("Board (modelled)", "onnx", 1024, limit="other", words=words, proof="  two\n lines ")
    assert made["must_not_break"] == "It must fit into the box."
    assert made["sentences"] == [
        "Board (modelled) with onnx fp32, 1 thread, 1,024 images at once; chosen for its time of a batch (median): "
        "no figure.",
        "It must not break: It must fit into the box.",
        "It would be proved wrong by: two lines.",
    ]
    assert (made["value"], made["text"], made["origin"], made["source"]) == (None, "no figure", "", "")


def test_revised_the_one_before_is_kept_and_run_anew_nothing_is_kept_twice(decide: Decide):
    decide.decide("CPU", "onnx", 1, proof="it")
    decide.decide("GPU", "eager", 1, proof="it")
    decide.decide("CPU", "onnx", 1, proof="it")
    assert "Your earlier decisions (2) are kept in your record." in decide.decided_text
    anew = again(decide)
    assert anew.decision == decide.decision
    assert [anew.draft[name] for name in CHOICE[:3]] == ["CPU", "onnx fp32, 1 thread", 1]
    anew.decide("CPU", "onnx", 1, proof="it")
    slower = Comparison.of([row("CPU", 1, 5e-4)])  # measured again, it has another figure
    remeasured = Decide(QUESTION, slower, id="00-gate", record=decide.record.path)
    assert remeasured.decide("CPU", "onnx", 1, proof="it")["value"] == 5e-4
    kept = LearnerRecord(decide.record.path).find("decided", "00-gate")
    assert [(each["device"], each["value"]) for each in kept] == [("CPU", 1e-4), ("GPU", 1e-3), ("CPU", 5e-4)]
    assert kept[-1]["first"]["value"] == 1e-4
    assert Decide("Another question?", slower, id="00-gate", record=decide.record.path).decision is None


def test_a_click_decides_or_says_what_is_missing(decide: Decide):
    def click(**draft: Any) -> str:
        decide.set_state({"draft": draft, "requests": decide.requests + 1})
        assert decide.handled == decide.requests
        return decide.problem

    chosen = {"device": "CPU", "setting": "onnx fp32, 1 thread", "batch_size": 4, "metric": "throughput"}
    chosen |= {"limit": "none", "at_most": "", "words": "", "proof": "it"}
    assert click(**chosen | {"device": ""}) == "Choose a device first."
    assert click(**chosen | {"proof": " "}) == "What could prove it wrong: say it in a few words."
    assert "501 characters are too many; the maximum is 500" in click(**chosen | {"proof": "x" * 501})
    assert "“fast” is not a number of 0 or more" in click(**chosen | {"limit": "latency", "at_most": "fast"})
    assert "say it in a few words" in click(**chosen | {"limit": "other"})
    assert decide.decision is None
    assert not decide.record.path.exists()
    assert click(**chosen) == ""
    assert decide.decision is not None
    assert decide.decision["text"] == "10,000 images/s"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"device": "TPU"}, "Choose a device (CPU; GPU; Board (modelled); Board (measured)), not 'TPU'."),
        ({"setting": "eager"}, "Choose an engine of CPU (onnx fp32, 1 thread; eager fp32, 1 thread; eager fp32, 2 thr"),
        ({"batch_size": 3}, "Choose a batch size (1; 4; 16; 1024), not 3."),
        ({"metric": "beauty"}, "Choose what it is chosen for (latency; throughput; energy; memory), not 'beauty'."),
        ({"limit": "beauty"}, "Choose what it must not break (none; latency; energy; memory; power; price; other), n"),
        ({"limit": "power", "at_most": -1}, "What it must not break, in W: “-1” is not a number of 0 or more"),
    ],
)
def test_what_cannot_be_chosen_is_a_sentence(decide: Decide, changes: dict[str, Any], text: str):
    chosen = {"device": "CPU", "setting": "onnx", "batch_size": 1, "proof": "it"} | changes
    with pytest.raises(WorkbenchError) as refused:
        decide.decide(**chosen)
    assert str(refused.value).startswith(text)


def test_devices_alone_and_devices_of_a_widget(tmp_path: Path):
    best = three_machines().best_of_each()
    assert len(offers_of(best)) == len(best.measurements)
    panel = SimpleNamespace(results=None)
    decide = Decide(QUESTION, panel, record=tmp_path / "learner.json")
    assert decide.offers == []
    assert decide.is_refreshable
    assert NOTHING in decide.rules["nothing"]
    panel.results = three_machines()
    decide.set_state({"refreshes": 1})
    assert decide.offers == offers_of(three_machines())
    panel.results = Comparison.of([row("A", 1, 1.0), row("A", 1, 1.0, phase="training")])
    decide.set_state({"refreshes": 2})
    assert "more than one phase" in decide.problem
    assert decide.offers == offers_of(three_machines())
    with pytest.raises(WorkbenchError, match="more than one phase"):
        Decide(QUESTION, panel.results, record=tmp_path / "learner.json")
    with pytest.raises(WorkbenchError, match="give a Comparison, or a widget whose results are one"):
        Decide(QUESTION, 3, record=tmp_path / "learner.json")
    with pytest.raises(WorkbenchError, match="question = "):
        Decide("", best, record=tmp_path / "learner.json")


def test_its_page_shows_the_decision(decide: Decide, tmp_path: Path):
    decide.decide("CPU", "onnx", 1, limit="other", words="</script><b>x", proof="<i>it</i>")
    page = decide.to_html(tmp_path / "decision.html")
    assert "It would be proved wrong by: &lt;i&gt;it&lt;/i&gt;." in page  # where scripts are off
    assert "<i>" not in page
    assert "</script><b>" not in page
