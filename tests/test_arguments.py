"""What a person may give wrongly is told in one sentence that names it, wherever it is given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import workbench as wb
from workbench import arguments
from workbench.deployment import deploy
from workbench.errors import WorkbenchError
from workbench.recordings import REFERENCE

WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "no batch sizes": (lambda: wb.DeviceComparison(batch_sizes=()), "batch_sizes: give at least one"),
    "a batch size alone": (lambda: wb.DeviceComparison(batch_sizes="3"), "batch_sizes: '3' is no int"),
    "a batch of none": (lambda: wb.DeviceComparison(batch_sizes=[0]), "batch_sizes = 0: must be a whole number"),
    "half a picture": (lambda: wb.DeviceComparison(batch_sizes=[1.5]), "batch_sizes: 1.5 is no int"),
    "recordings of text": (lambda: wb.DeviceComparison(recordings=["x"]), "recordings: 'x' is no Recording"),
    "also nothing": (lambda: wb.DeviceComparison(also=None), "also: None is no Measurement"),
    "less than no time": (lambda: wb.DeviceComparison(seconds=-1), "seconds = -1: must be a number above 0"),
    "no number": (lambda: wb.DeviceComparison(seconds=float("nan")), "seconds = nan: must be a number above 0"),
    "no bundle": (lambda: deploy(None), "bundle = None: must be the path"),
    "no bundle for a panel": (lambda: wb.DeploymentPanel(3), "bundle = 3: must be the path"),
    "a list of Pythons": (lambda: deploy(REFERENCE, python=[]), r"python = \[\]: must be the path"),
    "a file of weights of nobody": (lambda: wb.WeightsInspector("~no-such-user/x"), "source = '~no-such-user/x'"),
    "a resume point of 3": (lambda: wb.WeightsInspector(REFERENCE / "weights.safetensors", resume_point=3), "resume_p"),
    "a unit of nothing": (lambda: wb.Predict("How long?", unit=None), "unit = None: must be a text"),
    "no choices": (lambda: wb.Predict("Which?", choices=None), "choices: None is no str"),
    "an empty choice": (lambda: wb.Predict("Which?", choices=["a", " "]), "one of them is empty"),
    "a record of zero bytes": (lambda: wb.Predict("How long?", record="a\0b"), "record = 'a.*: must be the path"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_told(name: str) -> None:
    call, said = WRONG[name]
    with pytest.raises(WorkbenchError, match=said):
        call()


@pytest.fixture(scope="module")
def panel() -> wb.DeviceComparison:
    return wb.DeviceComparison(batch_sizes=[1, 4])


@pytest.mark.parametrize(
    ("chosen", "said"),
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
def test_a_wrong_choice_is_told_and_the_old_one_stays(panel: wb.DeviceComparison, chosen: dict, said: str) -> None:
    before = panel.choice
    with pytest.raises(WorkbenchError, match=said):
        panel.choice = {**panel.choice, **chosen}
    assert panel.choice == before
    assert panel.told()


def test_a_part_of_a_choice_leaves_the_rest_as_it_is(panel: wb.DeviceComparison) -> None:
    before = panel.choice
    panel.set_state({"choice": {"batch_size": 4}})
    assert panel.choice == {**before, "batch_size": 4}


def test_a_page_goes_only_where_a_file_can_be(panel: wb.DeviceComparison, tmp_path: Path) -> None:
    for path in (3, "a\0b", ""):
        with pytest.raises(WorkbenchError, match=r"path = .*: must be the path"):
            panel.to_html(path)  # type: ignore[arg-type]
    with pytest.raises(WorkbenchError, match=r"Cannot write .*File name too long"):
        panel.to_html(tmp_path / ("x" * 300))


def test_what_no_load_can_be() -> None:
    from workbench.load import press

    for seconds, at_once, said in (("x", 1, "seconds = 'x'"), (1, "x", "at_once = 'x'"), (1, 1.5, "at_once = 1.5")):
        with pytest.raises(WorkbenchError, match=said):
            press("http://127.0.0.1:9", [b"x"], seconds, at_once)  # type: ignore[arg-type]
    deployment = wb.DeploymentPanel(REFERENCE)
    with pytest.raises(WorkbenchError, match="at_once = -1: must be a whole number from 1 to 1,024"):
        deployment.at_once = -1
    assert deployment.at_once == 8


def test_what_no_guess_and_no_decision_can_be(tmp_path: Path) -> None:
    guess = wb.Predict("How long?", unit="ms", record=tmp_path / "record.json")
    for wrong in (None, 1e308, -1):
        with pytest.raises(WorkbenchError, match=r"guess = .*: write a number of 0 or more"):
            guess.lock(wrong)  # type: ignore[arg-type]
    with pytest.raises(WorkbenchError, match="origin = None: must be a text"):
        guess.reveal(1.0, origin=None)  # type: ignore[arg-type]
    panel = wb.DeviceComparison(batch_sizes=[1])
    decision = wb.Decide("Which?", panel, record=tmp_path / "record.json")
    offer = decision.offers[0]
    with pytest.raises(WorkbenchError, match="What could prove it wrong: say it in a few words"):
        decision.decide(offer["device"], offer["setting"], 1, proof=None)  # type: ignore[arg-type]
    with pytest.raises(WorkbenchError, match=r"decide\(\) takes no 'zz': .* metric, limit, at_most, words"):
        decision.decide(offer["device"], offer["setting"], 1, proof="a clock", zz=1)


def test_a_classifier_outlives_nonsense_from_the_browser() -> None:
    classifier = wb.Classifier(REFERENCE)
    for asked in ({"serial": "abc"}, {"serial": 5, "source": "picture", "index": "x"}, {}):
        classifier.asked = asked
        picture = np.zeros((32, 32, 3), np.uint8)
        assert classifier.classify(picture)
        assert not classifier.problem


def test_a_network_that_answers_nothing_is_told() -> None:
    class Silent(torch.nn.Module):
        def forward(self, pictures: torch.Tensor) -> None:
            return None

    with pytest.raises(WorkbenchError, match="Silent"):
        wb.DeviceComparison(Silent(), torch.zeros(1, 3, 8, 8))


def test_a_path_is_a_path(tmp_path: Path) -> None:
    assert arguments.path("x", str(tmp_path)) == tmp_path
    assert arguments.path("x", "~") == Path.home()
