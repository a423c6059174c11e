"""What all widgets share: who may set which of their traits."""

from __future__ import annotations

from pathlib import Path

import anywidget
import pytest
import traitlets

import workbench as wb
from workbench.folders import REFERENCE
from workbench.widgets.view import View

# What a click, or the next cell, may set. All else shows what was found.
SETTABLE: dict[type[View], set[str]] = {
    wb.Classifier: {"request", "drawing", "file"},
    wb.Decide: {"requests", "draft", "refreshes"},
    wb.DeploymentPanel: {"request", "concurrency"},
    wb.DeviceComparison: {"request", "choice"},
    wb.HyperparameterExplorer: {"epochs_of_run", "hyperparameters", "starts", "stops", "trials", "values"},
    wb.Predict: {"requests", "draft"},
    wb.TrainingDashboard: {"learning_rate", "paused", "stops"},
    wb.WeightsInspector: {"chosen"},
}


@pytest.mark.parametrize("kind", SETTABLE, ids=lambda kind: kind.__name__)
def test_what_only_shows_something_is_read_only(kind: type[View]) -> None:
    own = {name: trait for name, trait in kind.class_traits().items() if not name.startswith("_")}
    own = {name: trait for name, trait in own.items() if name not in anywidget.AnyWidget.class_trait_names()}
    assert {name for name, trait in own.items() if not trait.read_only} == SETTABLE[kind]


def test_every_widget_is_looked_at() -> None:
    assert {kind for kind in vars(wb).values() if isinstance(kind, type) and issubclass(kind, View)} <= set(SETTABLE)
    files = Path(wb.__file__).parent.joinpath("widgets").glob("*.js")
    drawn = {file.stem for file in files if "export default" in file.read_text(encoding="utf-8")}
    assert {kind.module for kind in SETTABLE} == drawn


def test_a_cell_that_overwrites_what_is_shown_is_refused_and_does_no_harm(tmp_path: Path) -> None:
    inspector = wb.WeightsInspector(REFERENCE / "weights.safetensors")
    tensors = inspector.tensors
    guess = wb.Predict("How much?", record=tmp_path / "learner.json")
    guess.reveal(2.0)
    for widget, name, value in [
        (inspector, "tensors", []),
        (guess, "outcome", {"text": 3}),
        (guess, "live", False),
    ]:
        with pytest.raises(traitlets.TraitError, match=f'The "{name}" trait is read-only'):
            setattr(widget, name, value)
    assert inspector.tensors == tensors
    assert "2" in guess.describe()


def test_what_the_browser_sends_arrives_all_the_same(tmp_path: Path) -> None:
    inspector = wb.WeightsInspector(REFERENCE / "weights.safetensors")
    inspector.set_state({"chosen": "0.weight"})
    assert inspector.chosen == "0.weight"
    guess = wb.Predict("How much?", record=tmp_path / "learner.json")
    guess.set_state({"draft": "3", "requests": 1})
    assert (guess.value, guess.handled, guess.problem) == (3, 1, "")
    guess.set_state({"draft": "many", "requests": 2})
    assert guess.problem
    assert guess.value == 3
