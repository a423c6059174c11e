"""The explorer without a browser: traits in, traits out.

Covers: cost_figures, followed_cost, hyperparameter_controls, network_counts, parallel_coordinates, short_runs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from workbench.data.datasets import Data
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.modelling.cost import cost_of
from workbench.training.search import Trial
from workbench.widgets.hyperparameter_explorer import HyperparameterExplorer
from workbench.widgets.parallel_coordinates import search_facts

# A network that is counted and trained in a moment.
QUICK = HyperParameters(model="mlp", width=0.125, batch_size=64, learning_rate=0.05, epochs=3, precision="fp32")


@pytest.fixture
def data(make_data: Callable[..., Data]) -> Data:
    return make_data(size=8)


@pytest.fixture
def explorer(data: Data) -> Iterator[HyperparameterExplorer]:
    made = HyperparameterExplorer(data, QUICK, images=256, validation_images=40, device="cpu")
    yield made
    made.close()


def until(holds: Callable[[], object], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.01)


def ran(explorer: HyperparameterExplorer) -> dict[str, Any]:
    """The row of a short run, started as a click does, after its end."""
    explorer.starts += 1
    until(lambda: explorer.outcome)
    return explorer.table[-1]


def make_trial(number: int, value: float | None, state: Any = "complete", **sampled: Any) -> Trial:
    hyperparameters = QUICK.replace(**sampled)
    return Trial(
        number=number, hyperparameters=hyperparameters, sampled=sampled, value=value, state=state, epochs=1, seconds=1.0
    )


def test_every_hyperparameter_has_a_control_that_can_show_it(explorer: HyperparameterExplorer) -> None:
    described = HyperParameters.describe()
    fields = {field["name"]: field for field in explorer.fields}
    assert set(fields) == set(described)
    assert [name for name, field in fields.items() if field["main"]] == list(fields)[:4]
    for name, field in fields.items():
        assert field["help"] == described[name]["help"]
        offered = field.get("stops") or field.get("choices") or [True, False]
        assert described[name]["default"] in offered
        for value in offered:
            QUICK.replace(**{name: value})


def test_the_figures_are_those_of_the_cost(explorer: HyperparameterExplorer, data: Data) -> None:
    expected = cost_of(QUICK, shape=data.shape, classes=4, images=len(data.train))
    assert explorer.cost == expected
    until(lambda: explorer.figures)
    training, inference = explorer.figures["bars"]
    assert training["bytes"] == expected.training_bytes == sum(part["bytes"] for part in training["parts"])
    assert inference["bytes"] == expected.inference_bytes == sum(part["bytes"] for part in inference["parts"])
    assert dict(explorer.figures["numbers"])["parameters"] == f"{expected.parameters:,}"
    assert explorer.figures["of"] == asdict(QUICK)
    assert len(explorer.figures["devices"]) >= 8
    assert explorer.counting == explorer.problem == ""


def test_what_the_browser_moves_is_chosen_and_reported(explorer: HyperparameterExplorer) -> None:
    until(lambda: explorer.figures)
    explorer.values = explorer.values | {"width": 0.25}
    until(lambda: explorer.figures["of"]["width"] == 0.25)
    assert explorer.hyperparameters == QUICK.replace(width=0.25)
    assert explorer.change.startswith("Twice the width: ")
    before = explorer.figures["before"]
    explorer.values = explorer.values | {"width": 0.5}
    until(lambda: explorer.figures["of"]["width"] == 0.5)
    assert explorer.figures["before"] == before, "a control that moves on is compared with where it was"
    explorer.values = explorer.values | {"batch_size": 128}
    until(lambda: explorer.change.startswith("Twice the batch size: "))
    assert explorer.figures["before"] != before


def test_a_network_once_counted_follows_at_once(explorer: HyperparameterExplorer) -> None:
    until(lambda: explorer.figures)
    for batch_size in (1, 2, 4):
        explorer.values = explorer.values | {"batch_size": batch_size}
        assert explorer.figures["of"]["batch_size"] == batch_size
    explorer.hyperparameters = QUICK.replace(learning_rate=0.3)
    assert explorer.values["learning_rate"] == explorer.figures["of"]["learning_rate"] == 0.3


def test_what_is_likely_next_is_counted_ahead(explorer: HyperparameterExplorer) -> None:
    until(lambda: explorer.figures)
    explorer.values = explorer.values | {"batch_size": 32}
    assert explorer.job is None
    until(lambda: explorer._counter is not None and explorer._counter.ended)
    for changes in ({"width": 8.0}, {"model": "resnet"}, {"precision": "bf16"}):
        explorer.values = asdict(QUICK) | changes
        assert explorer.figures["of"] == asdict(QUICK) | changes
        assert explorer.counting == ""


def test_what_cannot_be_is_reported_and_not_chosen(explorer: HyperparameterExplorer) -> None:
    explorer.values = explorer.values | {"batch_size": 0}
    assert explorer.problem.startswith("batch_size = 0: must be a whole number from 1")
    assert explorer.hyperparameters == QUICK
    explorer.values = asdict(QUICK)
    assert explorer.problem == ""
    explorer.values = explorer.values | {"model": "resnet18"}
    until(lambda: explorer.problem)
    assert "has a fixed width" in explorer.problem
    assert explorer.figures == {}
    with pytest.raises(WorkbenchError, match="fixed width"):
        _ = explorer.cost
    assert "fixed width" in repr(explorer)


def test_values_that_name_a_few_fields_are_filled_with_the_usual_ones(explorer: HyperparameterExplorer) -> None:
    for values in ({"width": 0.5}, {}):
        explorer.values = values
        assert explorer.hyperparameters == HyperParameters(**values)
        assert explorer.values == asdict(explorer.hyperparameters)
        assert "width" in repr(explorer)


def test_a_short_run_is_listed_and_its_records_are_there(explorer: HyperparameterExplorer) -> None:
    assert explorer.subset == (
        "256 of 768 training images, judged on 40 of 64 validation images; the same for every run"
    )
    row = ran(explorer)
    ((name, records),) = explorer.runs.items()
    assert row["name"] == name
    assert "lr 0.05" in name
    assert "mlp" in name
    assert row["state"] == "finished"
    assert records[-1].epochs == explorer.epochs_of_run == 2
    assert records[-1].steps == 2 * 256 // 64
    assert [point[1] for point in row["curve"]] == [r.validation_accuracy for r in records if r.kind == "epoch"]
    assert explorer.outcome.startswith(f"{name}: ")
    assert "measured here, now" in explorer.outcome
    assert explorer.progress == {}
    again = ran(explorer)
    assert again["name"] == f"{name} (2)"
    assert again["curve"] == row["curve"], "the same images and the same seed"
    assert "+0.0 points against" in explorer.outcome


def test_a_run_that_fails_is_reported_and_listed(explorer: HyperparameterExplorer) -> None:
    explorer.hyperparameters = QUICK.replace(learning_rate=100.0, weight_decay=1.0, epochs=50)
    explorer.epochs_of_run = 50
    row = ran(explorer)
    assert row["state"] == "failed"
    assert "too high" in row["outcome"]
    assert "too high" in explorer.outcome
    assert not explorer.progress


def test_a_run_is_stopped_and_figures_follow_while_it_goes_on(explorer: HyperparameterExplorer) -> None:
    explorer.hyperparameters = QUICK.replace(epochs=100)
    explorer.epochs_of_run = 100
    explorer.starts += 1
    until(lambda: explorer.progress.get("share"))
    explorer.starts += 1  # a second click starts no second run
    assert len(explorer.table) == 1
    explorer.values = explorer.values | {"width": 0.375}
    until(lambda: explorer.figures.get("of", {}).get("width") == 0.375)
    explorer.stops += 1
    until(lambda: explorer.outcome)
    assert explorer.table[0]["state"] == "stopped"
    assert 0 < len(explorer.runs[explorer.table[0]["name"]]) < 100 * 5


def test_the_axes_of_a_search() -> None:
    trials = [
        make_trial(0, 0.5, learning_rate=0.01, width=0.5),
        make_trial(1, 0.75, learning_rate=1.0, width=1.0),
        make_trial(2, 0.25, "pruned", learning_rate=0.1, width=1.0),
        make_trial(3, None, "failed", learning_rate=0.1, width=0.5),
    ]
    facts = search_facts(trials)
    assert [axis["label"] for axis in facts["axes"]] == ["lr", "width", "validation accuracy"]
    heights = [line["heights"] for line in facts["lines"]]
    assert heights[0] == [0.0, 0.0, 0.5]
    assert heights[1] == [1.0, 1.0, 1.0]
    assert heights[2] == [pytest.approx(0.5), 1.0, 0.0], "a rate over two decades is spread by its logarithm"
    assert heights[3][2] is None
    assert [line["best"] for line in facts["lines"]] == [False, True, False, False]
    assert facts["label"] == "best: trial 1, 75.0\N{NO-BREAK SPACE}%"
    assert "2 complete, 1 stopped early, 1 failed" in facts["summary"]
    assert facts["lines"][1]["values"] == asdict(trials[1].hyperparameters)
    json.dumps(facts)
    assert search_facts([]) == {}
    assert search_facts(trials[3:])["summary"].startswith("None of 1 trials is complete")


def test_trials_are_shown_and_their_values_can_be_taken(explorer: HyperparameterExplorer) -> None:
    explorer.trials = [make_trial(0, 0.5, learning_rate=0.0123), make_trial(1, 0.4, learning_rate=0.3)]
    assert len(explorer.search["lines"]) == 2
    explorer.values = explorer.search["lines"][0]["values"]
    assert explorer.hyperparameters == QUICK.replace(learning_rate=0.0123)
    with pytest.raises(WorkbenchError, match="search_hyperparameters"):
        explorer.trials = [1, 2]
    explorer.trials = ()
    assert explorer.search == {}


def test_a_page_holds_figures_runs_and_trials(explorer: HyperparameterExplorer, tmp_path: Path) -> None:
    explorer.trials = [make_trial(0, 0.5, learning_rate=0.0123)]
    page = explorer.to_html(tmp_path / "explorer.html")
    assert (tmp_path / "explorer.html").read_text(encoding="utf-8") == page
    assert explorer.describe() in page
    assert "NVIDIA H100 SXM" in page
    assert "An epoch on each device" in page


def test_wrong_arguments_are_named(data: Data) -> None:
    with pytest.raises(WorkbenchError, match=r"wb\.load_dataset"):
        HyperparameterExplorer("animals")  # type: ignore[arg-type]
    with pytest.raises(WorkbenchError, match=r"wb\.HyperParameters"):
        HyperparameterExplorer(data, {"width": 1})  # type: ignore[arg-type]
    with pytest.raises(WorkbenchError, match="images = 0"):
        HyperparameterExplorer(data, images=0)
    with pytest.raises(WorkbenchError, match="search_hyperparameters"):
        HyperparameterExplorer(data, QUICK, trials=[None])  # type: ignore[list-item]


def test_without_images_to_judge_by_nothing_is_run(data: Data) -> None:
    none = replace(data, validation=data.validation.subset([]))
    explorer = HyperparameterExplorer(none, QUICK)
    explorer.starts += 1
    assert "nothing can be run" in explorer.outcome
    assert explorer.table == []
    explorer.close()


def test_data_without_images_to_learn_from_are_refused(data: Data) -> None:
    with pytest.raises(WorkbenchError, match="stripes-and-spots has no images to learn from"):
        HyperparameterExplorer(replace(data, train=data.train.subset([])), QUICK)
