"""DeviceComparison without a browser: what is chosen, what is measured, what is said, and what goes wrong.

Covers: comparison_choice, known_measurements.
"""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from workbench.comparing.all_devices import compare_recordings, hourly_prices
from workbench.comparing.comparison import Comparison
from workbench.errors import WorkbenchError
from workbench.machine.devices import find_device, list_devices
from workbench.measuring.measurement import Latency, Measurement
from workbench.measuring.measurement_cache import recall
from workbench.measuring.recordings import load_recordings
from workbench.runs import Run
from workbench.widgets.device_comparison import DeviceComparison

FEW = {"batch_sizes": (1, 4), "seconds": 0.005}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))


class Own(nn.Module):
    """A user's own network, for 8×8 grey images."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


def own_panel(model: nn.Module | None = None, engine: str = "eager") -> DeviceComparison:
    cards = [each for each in load_recordings() if each.name == "raspberry-pi-5"]
    panel = DeviceComparison(model or Own(), torch.rand(1, 1, 8, 8), recordings=cards, **FEW)
    panel.choice = {"engine": engine}
    return panel


def test_it_shows_what_the_comparison_computes() -> None:
    recordings = load_recordings()
    panel = DeviceComparison(recordings=recordings)
    known = compare_recordings(recordings, phase="inference", model="convnet").best_of_each()
    assert panel.results.measurements == known.measurements
    assert panel.sentences == known.sentences(1)
    panel.choice = {"batch_size": 64, "metric": "throughput", "phase": "training"}
    trained = compare_recordings(recordings, phase="training", model="convnet").best_of_each("throughput")
    assert panel.sentences == trained.sentences(64, "throughput")
    assert panel.choice["model"] == "convnet"  # what is not named stays
    assert {point["phase"] for point in panel.points} == {"inference", "training"}
    assert "measured here" not in panel.describe()
    assert "NUCLEO-H743ZI2 (Cortex-M7) has memory for batches of up to 15" in panel.notes["convnet"]["inference"][0]


def test_a_network_of_the_zoo_is_added_when_it_is_chosen() -> None:
    panel = DeviceComparison(recordings=load_recordings(), batch_sizes=(1,))
    assert {point["model"] for point in panel.points} == {"convnet"}
    panel.choice = {"model": "mlp"}
    assert {point["model"] for point in panel.points} == {"convnet", "mlp"}
    assert panel.results.models == ("mlp",)


def test_engine_precision_and_devices_narrow_what_is_compared() -> None:
    panel = DeviceComparison(recordings=load_recordings())
    panel.choice = {"engine": "eager", "precision": "bf16"}
    assert {(m.engine, m.precision) for m in panel.results.measurements} == {("eager", "bf16")}
    panel.choice = {"engine": "", "precision": "", "devices": ["Raspberry Pi 5, 8 GB"]}
    assert {m.device for m in panel.results.measurements} == {"Raspberry Pi 5, 8 GB"}
    panel.choice = {"devices": ["Raspberry Pi 5, 8 GB"], "engine": "compiled"}
    assert panel.sentences == ["One image at a time: nothing here has a figure."]


def test_cost_is_the_price_of_an_hour_over_the_images_of_an_hour() -> None:
    recordings = load_recordings()
    prices = hourly_prices(recordings)
    panel = DeviceComparison(recordings=recordings)
    panel.choice = {"metric": "cost", "batch_size": 64}
    for row in panel.results.rows(64, "cost"):
        price, m = prices.get(row.name), row.measurement
        if price is None:
            assert row.value is None
        else:
            assert row.value == pytest.approx(price / (3600 * 64 / m.latency.p50) * 1e6, rel=1e-12)
    card = next(recording.card for recording in recordings if recording.card.name == "NVIDIA H100 SXM")
    assert prices[card.name] == pytest.approx(card.price_dollars / 26_280 + 0.7 * 0.15)
    assert any(sentence.startswith("No hourly price is given for ") for sentence in panel.sentences)
    panel.choice = {"prices": {"AMD EPYC Zen 5 (2 cores)": 0.1}}
    assert panel.results.rows(64, "cost")[0].name == "AMD EPYC Zen 5 (2 cores)"


def test_a_budget_says_who_keeps_within_it() -> None:
    def timed(device: str, seconds: float) -> Measurement:
        latency = Latency(p50=seconds, p90=seconds, p99=seconds, count=9, warm_up=seconds)
        how = {"phase": "inference", "model": "convnet", "kind": "cpu", "engine": "onnx", "precision": "fp32"}
        return Measurement(device=device, threads=1, batch_size=1, latency=latency, **how)

    panel = DeviceComparison(recordings=(), also=[timed("quick", 9), timed("quick", 0.001), timed("slow", 0.004)])
    assert len(panel.points) == 2  # of equal settings the last one counts, for the page too
    panel.choice = {"budgets": {"latency": 0.002}}
    assert [sentence.replace("\N{NO-BREAK SPACE}", " ") for sentence in panel.sentences[-2:]] == [
        "Within the budget of 2.00 ms: quick.",
        "Over the budget of 2.00 ms: slow (4.00 ms).",
    ]
    panel.choice = {"budgets": {"latency": 0.0005}}
    assert panel.sentences[-2] == "Nothing keeps within the budget of 500\N{NO-BREAK SPACE}µs."
    panel.choice = {"metric": "throughput", "budgets": {"throughput": 500}}
    assert panel.sentences[-1] == "Short of the budget of 500 images/s: slow (250 images/s)."


def test_measuring_fills_the_results_and_is_kept_for_the_next_time() -> None:
    panel = own_panel(engine="")
    assert panel.choice["model"] == "Own"
    modelled = {m.device for m in panel.results.measurements}
    results = panel.measure()
    here = find_device("cpu").title
    mine = [m for m in results.measurements if m.device == here]
    assert {m.batch_size for m in mine} == {1, 4}
    assert {m.origin for m in mine} == {"measured"}
    assert {m.device for m in results.measurements} == modelled | {each.title for each in list_devices()}
    text = next(row for row in results.rows(1) if row.name == here)
    assert text.measurement.source == "here, now"
    assert panel.progress["state"] == "finished"
    assert panel.failures == []
    assert "here, now" not in panel.to_html()
    assert {m.engine for m in panel.comparison.measurements if m.device == here} == {"eager", "onnx"}
    again = own_panel(engine="")
    found = [m for m in again.results.measurements if m.device == here]
    assert {m.origin for m in found} == {"recorded"}
    assert {m.source[:10] for m in found} == {"recorded 2"}
    assert {(m.batch_size, m.latency.p50) for m in found} == {(m.batch_size, m.latency.p50) for m in mine}
    again.choice = {"engine": "eager"}
    again.measure()
    assert {m.origin for m in again.results.measurements if m.device == here} == {"measured"}
    other = own_panel(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)))
    assert here not in {m.device for m in other.results.measurements}


def test_a_training_step_is_measured_too() -> None:
    panel = own_panel()
    panel.choice = {"phase": "training", "precision": "fp32"}
    here = find_device("cpu").title
    assert {m.phase for m in panel.measure().measurements} == {"training"}
    assert {m.engine for m in panel.comparison.measurements if m.device == here} == {"eager"}


class Picky(Own):
    """Fails where there is more than one image, as many a hand-written network does."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > 1 and not images.is_meta:
            raise RuntimeError("only one image, please")
        return super().forward(images)


def test_who_fails_is_named_with_the_reason_and_the_others_go_on() -> None:
    panel = own_panel(Picky())
    assert {failure["device"] for failure in panel.failures} == {"devices of data sheets"}
    results = panel.measure()
    assert panel.progress["state"] == "finished"
    here = find_device("cpu").title
    assert {m.batch_size for m in results.measurements if m.device == here} >= {1}
    eager = [failure for failure in panel.failures if failure["engine"] == "eager"]
    assert {failure["batch_size"] for failure in eager} == {4}
    assert {failure["device"] for failure in eager} == {each.title for each in list_devices()}
    assert all("only one image, please" in failure["reason"] for failure in eager)


def test_stopping_keeps_what_was_measured() -> None:
    panel = own_panel()
    half = threading.Event()

    def stop(change: object) -> None:
        if any(point["origin"] == "measured" for point in panel.points) and not half.is_set():
            half.set()
            panel.request = {"action": "stop", "serial": 2}

    panel.observe(stop, "points")
    panel.request = {"action": "measure", "serial": 1}
    assert panel.job is not None
    assert panel.job.wait(60)
    assert panel.progress["state"] == "stopped"
    assert "Stopped by you" in panel.progress["text"]
    kept = [point for point in panel.points if point["origin"] == "measured"]
    assert 1 <= len(kept) < 8
    panel.measure()
    assert panel.progress["state"] == "finished"


def test_two_widgets_measure_one_after_the_other() -> None:
    first, second = own_panel(), own_panel()
    states: list[tuple[str, str]] = []
    for name, panel in (("first", first), ("second", second)):
        panel.observe(lambda change, name=name: states.append((name, change["new"]["state"])), "progress")
    first.request = {"action": "measure", "serial": 1}
    second.measure()
    running = [name for name, state in states if state == "running"]
    assert running.index("second") > len(running) - 1 - running[::-1].index("first")
    assert ("second", "waiting") in states
    assert {thread.name for thread in threading.enumerate() if "workbench" in thread.name} == {"workbench worker"}


def test_nothing_that_can_run_is_reported_and_asking_again_works() -> None:
    panel = own_panel()
    panel.choice = {"engine": "onnx-int8"}
    with pytest.raises(WorkbenchError, match="No device of this machine can run what was chosen"):
        panel.measure()
    assert panel.progress["state"] == "failed"
    panel.choice = {"engine": "eager"}
    panel.measure()
    assert panel.progress["state"] == "finished"


@pytest.mark.parametrize(
    ("example", "said"),
    [
        (None, "Own is a network of your own: give an example of what it takes"),
        (torch.rand(1, 1, 9, 9), "Own does not take images of 9×9×1"),
        (torch.rand(64), r"The example for Own has the shape \(64,\)"),
        (torch.zeros(1, 2, 8, 8), "has 2 channels"),
        (np.zeros((1, 8, 8, 1), np.int64), "is of int64"),
    ],
)
def test_an_example_that_does_not_fit_is_refused_in_a_sentence(example: object, said: str) -> None:
    with pytest.raises(WorkbenchError, match=said):
        DeviceComparison(Own(), example)


def test_what_is_no_choice_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    panel = DeviceComparison(recordings=load_recordings(), batch_sizes=(1,))
    before = dict(panel.choice)
    for wrong in ({"phase": "dreaming"}, {"batch_size": 3}, {"metric": "beauty"}, {"prices": {"x": -1}}):
        with pytest.raises(WorkbenchError, match=f"choice: {next(iter(wrong))}"):
            panel.choice = wrong
    assert panel.choice == before
    with pytest.raises(WorkbenchError, match="Unknown model 'cnn'"):
        DeviceComparison("cnn")
    with pytest.raises(WorkbenchError, match="is not a network"):
        DeviceComparison(3)  # type: ignore[arg-type]
    with pytest.raises(WorkbenchError):
        DeviceComparison(Run(tmp_path))


def test_what_was_kept_and_is_damaged_is_passed_over(tmp_path: Path) -> None:
    panel = own_panel()
    panel.choice = {"engine": "eager", "precision": "fp32"}
    panel.measure()
    network = panel._networks["Own"]
    kept = [*(tmp_path / "cache").rglob("measurements/*.json")]
    assert len(kept) == len(list_devices())
    assert all(recall(network.fingerprint, device) for device in list_devices())
    for content in ("", "{", "[]", '{"format": "workbench measurements 3", "days": {"x": 3}}'):
        for path in kept:
            path.write_text(content)
        assert not any(recall(network.fingerprint, device) for device in list_devices())


def test_its_page_needs_no_kernel(tmp_path: Path) -> None:
    panel = DeviceComparison(recordings=load_recordings())
    page = panel.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text() == page
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "<noscript>" in page
    for sentence in panel.sentences:
        assert sentence in page
    assert Comparison.of(panel.results.measurements).measurements
