"""Invalid arguments are reported in one sentence that names them, and NumPy's scalars count as plain values."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import workbench as wb
from workbench import arguments
from workbench.deployment.application import deploy
from workbench.errors import WorkbenchError
from workbench.folders import REFERENCE

WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "no batch sizes": (lambda: wb.DeviceComparison(batch_sizes=()), "batch_sizes: give at least one"),
    "a batch size alone": (lambda: wb.DeviceComparison(batch_sizes="3"), "batch_sizes: '3' is not of type int"),
    "a batch of none": (lambda: wb.DeviceComparison(batch_sizes=[0]), "batch_sizes = 0: must be a whole number"),
    "half an image": (lambda: wb.DeviceComparison(batch_sizes=[1.5]), "batch_sizes: 1.5 is not of type int"),
    "recordings of text": (lambda: wb.DeviceComparison(recordings=["x"]), "recordings: 'x' is not of type Recording"),
    "also nothing": (lambda: wb.DeviceComparison(also=None), "also: None is not of type Measurement"),
    "less than no time": (lambda: wb.DeviceComparison(seconds=-1), "seconds = -1: must be a number above 0"),
    "no number": (lambda: wb.DeviceComparison(seconds=float("nan")), "seconds = nan: must be a number above 0"),
    "no bundle": (lambda: deploy(None), "bundle = None: must be the path"),
    "no bundle for a panel": (lambda: wb.DeploymentPanel(3), "bundle = 3: must be the path"),
    "a list of Pythons": (lambda: deploy(REFERENCE, python=[]), r"python = \[\]: must be the path"),
    "a file of weights of nobody": (lambda: wb.WeightsInspector("~no-such-user/x"), "source = '~no-such-user/x'"),
    "a resume point of 3": (lambda: wb.WeightsInspector(REFERENCE / "weights.safetensors", resume_point=3), "resume_p"),
    "a unit of nothing": (lambda: wb.Predict("How long?", unit=None), "unit = None: must be text"),
    "no choices": (lambda: wb.Predict("Which?", choices=None), "choices: None is not of type str"),
    "an empty choice": (lambda: wb.Predict("Which?", choices=["a", " "]), "one of them is empty"),
    "a record of zero bytes": (lambda: wb.Predict("How long?", record="a\0b"), "record = 'a.*: must be the path"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_reported(name: str) -> None:
    call, message = WRONG[name]
    with pytest.raises(WorkbenchError, match=message):
        call()


@pytest.fixture(scope="module")
def panel() -> wb.DeviceComparison:
    return wb.DeviceComparison(batch_sizes=[1, 4])


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"prices": None}, "prices = None: give a mapping"),
        ({"budgets": [1]}, r"budgets = \[1\]: give a mapping"),
        ({"budgets": {"latency": "x"}}, r"budgets\['latency'\] = 'x': must be a number above 0"),
        ({"devices": 3}, "devices = 3: give a list of names"),
        ({"devices": ["nobody's"]}, 'devices = "nobody\'s": choose '),
        ({"engine": "steam"}, "engine = 'steam': choose .*eager"),
        ({"precision": 16}, "precision = 16: choose .*fp32"),
        ({"batch_size": True}, "batch_size = True: choose 1, 4"),
        ({"batch_size": 2}, "batch_size = 2: choose 1, 4"),
        ({"phase": ["x"]}, r"phase = \['x'\]: choose inference, training"),
        ({"pace": 1}, "choice has no 'pace': it has phase, model"),
    ],
)
def test_a_wrong_choice_is_reported_and_the_old_one_kept(
    panel: wb.DeviceComparison, chosen: dict, message: str
) -> None:
    before = panel.choice
    with pytest.raises(WorkbenchError, match=message):
        panel.choice = {**panel.choice, **chosen}
    assert panel.choice == before
    assert panel.describe()


def test_a_partial_choice_leaves_the_rest_unchanged(panel: wb.DeviceComparison) -> None:
    before = panel.choice
    panel.set_state({"choice": {"batch_size": 4}})
    assert panel.choice == {**before, "batch_size": 4}


def test_a_page_needs_a_path_that_can_be_written(panel: wb.DeviceComparison, tmp_path: Path) -> None:
    for path in (3, "a\0b", ""):
        with pytest.raises(WorkbenchError, match=r"path = .*: must be the path"):
            panel.to_html(path)  # type: ignore[arg-type]
    with pytest.raises(WorkbenchError, match=r"Cannot write .*File name too long"):
        panel.to_html(tmp_path / ("x" * 300))


def test_invalid_loads_are_refused() -> None:
    from workbench.deployment.load_test import run_load_test

    for seconds, concurrency, message in (
        ("x", 1, "seconds = 'x'"),
        (1, "x", "concurrency = 'x'"),
        (1, 1.5, "concurrency = 1.5"),
    ):
        with pytest.raises(WorkbenchError, match=message):
            run_load_test("http://127.0.0.1:9", [b"x"], seconds, concurrency)  # type: ignore[arg-type]
    deployment = wb.DeploymentPanel(REFERENCE)
    with pytest.raises(WorkbenchError, match="concurrency = -1: must be a whole number from 1 to 1,024"):
        deployment.concurrency = -1
    assert deployment.concurrency == 8


def test_invalid_guesses_and_decisions_are_refused(tmp_path: Path) -> None:
    guess = wb.Predict("How long?", unit="ms", record=tmp_path / "record.json")
    for wrong in (None, 1e308, -1):
        with pytest.raises(WorkbenchError, match=r"guess = .*: must be a number from 0"):
            guess.lock(wrong)  # type: ignore[arg-type]
    with pytest.raises(WorkbenchError, match="origin = None: must be text"):
        guess.reveal(1.0, origin=None)  # type: ignore[arg-type]
    panel = wb.DeviceComparison(batch_sizes=[1])
    decision = wb.Decide("Which?", panel, record=tmp_path / "record.json")
    offer = decision.offers[0]
    with pytest.raises(WorkbenchError, match="What could prove it wrong: say it in a few words"):
        decision.decide(offer["device"], offer["setting"], 1, proof=None)  # type: ignore[arg-type]
    with pytest.raises(WorkbenchError, match=r"decide\(\) takes no 'zz': .* metric, limit, at_most, words"):
        decision.decide(offer["device"], offer["setting"], 1, proof="a clock", zz=1)


def test_a_classifier_survives_nonsense_from_the_browser() -> None:
    classifier = wb.Classifier(REFERENCE)
    for asked in ({"serial": "abc"}, {"serial": 5, "source": "image", "index": "x"}, {}):
        classifier.asked = asked
        image = np.zeros((32, 32, 3), np.uint8)
        assert classifier.classify(image)
        assert not classifier.problem


def test_a_network_without_output_is_reported() -> None:
    class Silent(torch.nn.Module):
        def forward(self, images: torch.Tensor) -> None:
            return None

    with pytest.raises(WorkbenchError, match="Silent"):
        wb.DeviceComparison(Silent(), torch.zeros(1, 3, 8, 8))


def test_a_path_is_a_path(tmp_path: Path) -> None:
    assert arguments.path("x", str(tmp_path)) == tmp_path
    assert arguments.path("x", "~") == Path.home()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (arguments.whole_number("n", np.int64(3), 1, 10), 3),
        (arguments.whole_number("n", np.uint8(255), 0, 255), 255),
        (arguments.whole_number("n", 2**70, 1), 2**70),
        (arguments.number("n", np.float32(0.5), 0, 1), 0.5),
        (arguments.number("n", np.int16(1), 0, 1), 1.0),
        (arguments.above_zero("n", np.float64(0.25)), 0.25),
        (arguments.above_zero("n", Fraction(1, 4), most=1), 0.25),
        (arguments.boolean("n", np.bool_(True)), True),
        (arguments.one_of("n", np.str_("sgd"), ("sgd", "adamw")), "sgd"),
        (arguments.all_of("n", np.array([1, 64]), int), (1, 64)),
        (arguments.all_of("n", (np.int32(1),), int), (1,)),
    ],
)
def test_numpy_scalars_become_plain_values(value: Any, expected: Any) -> None:
    assert value == expected
    assert type(value) is type(expected)
    assert json.loads(json.dumps(value)) == (list(expected) if isinstance(expected, tuple) else expected)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: arguments.whole_number("n", np.int64(11), 1, 10), "n = 11: must be a whole number from 1 to 10"),
        (lambda: arguments.whole_number("n", np.bool_(True), 0), "n = True: must be a whole number of at least 0"),
        (lambda: arguments.whole_number("n", np.float64(3), 1, 10), "n = 3.0: must be a whole number"),
        (lambda: arguments.whole_number("n", np.array([1, 2]), 1, 10), "must be a whole number"),
        (lambda: arguments.number("n", np.float32("nan"), 0, 1), "n = nan: must be a number from 0 to 1"),
        (lambda: arguments.number("n", float("inf"), 0), "n = inf: must be a number of at least 0"),
        (lambda: arguments.number("n", 10**400, 0), "must be a number of at least 0"),
        (lambda: arguments.above_zero("n", np.float64(0)), "n = 0.0: must be a number above 0"),
        (lambda: arguments.above_zero("n", 2, most=1), "n = 2: must be a number above 0 and of at most 1"),
        (lambda: arguments.above_zero("n", 10**400), "must be a number above 0"),
        (lambda: arguments.boolean("n", 1), "n = 1: must be true or false"),
        (lambda: arguments.one_of("n", 3, ("a", "b")), "n = 3: must be one of a, b"),
        (lambda: arguments.one_of("n", np.array(["a", "b"]), ("a", "b")), "must be one of a, b"),
        (lambda: arguments.text("n", b"a"), "n = b'a': must be text"),
    ],
)
def test_numpy_scalars_are_refused_like_plain_values(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(WorkbenchError, match=message):
        call()
