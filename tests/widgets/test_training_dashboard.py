"""The dashboard: what it does to a training, what it shows of it, and that a cell run again ends what it began.

Covers: training_curve, training_text.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from workbench.data.datasets import Data
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.runs import Run
from workbench.training.loop import train
from workbench.training.models import build_model
from workbench.training.records import Record
from workbench.training.resume import history
from workbench.widgets.training_curve import MAX_POINTS, Thinned, training_of
from workbench.widgets.training_dashboard import TrainingDashboard
from workbench.workflow import begin_run, train_run

PLAN = HyperParameters(epochs=3, batch_size=64, precision="fp32", learning_rate=0.05, width=0.25)


@pytest.fixture(autouse=True)
def _on_one_thread() -> Generator[None, None, None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data(make_data: Callable[..., Data]) -> Data:
    return make_data()


def network(data: Data) -> nn.Module:
    return build_model("convnet", classes=len(data.labels), shape=data.shape, width=0.25, seed=0)


def training(data: Data, model: nn.Module | None = None, **options: Any) -> Generator[Record, Any, None]:
    plan = PLAN.replace(epochs=options.pop("epochs", 3))
    return train(model or network(data), data, plan, device="cpu", record_every=2, **options)


def equal(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(left, right) for left, right in pairs)


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def without_time(records: Any) -> list[tuple[Any, ...]]:
    return [(r.kind, r.step, r.loss, r.accuracy, r.validation_loss, r.learning_rate) for r in records]


def test_it_trains_as_the_bare_loop_does_to_the_bit(data: Data) -> None:
    bare, seen = network(data), network(data)
    expected = list(training(data, bare))
    board = TrainingDashboard(training(data, seen))
    assert without_time([board.result()]) == without_time(expected[-1:])
    assert without_time(board.records["run"]) == without_time(expected)
    assert equal(bare, seen)
    assert not seen.training


def test_what_is_shown_is_plain_and_of_the_last_record(data: Data) -> None:
    board = TrainingDashboard(training(data))
    last = board.result()
    assert json.loads(json.dumps(board.shown, allow_nan=False)) == board.shown
    (run,) = board.shown["runs"]
    assert (run["name"], run["state"], run["of"]) == ("run", "finished", 3)
    epochs = [record for record in board.records["run"] if record.kind == "epoch"]
    assert [row[0] for row in run["epochs"]] == [1, 2, 3]
    assert [row[4] for row in run["epochs"]] == pytest.approx(
        [record.validation_accuracy for record in epochs], rel=1e-3
    )
    steps = [record for record in board.records["run"] if record.kind == "step"]
    assert [point[1] for point in run["line"]] == pytest.approx([record.loss for record in steps], rel=1e-3)
    assert board.shown["position"] == f"step {last.steps} of {last.steps}, epoch 3 of 3"
    assert board.shown["ended"]
    assert (
        f"{100 * (last.validation_accuracy or 0):.1f}\N{NO-BREAK SPACE}% of the validation images" in board.describe()
    )
    assert {name for name, *_ in board.shown["figures"]} >= {"Learning rate", "Memory", "Images per second", "Time"}
    assert board.shown["origin"].startswith("Measured here, now, on ")
    assert "fp32" in board.shown["recorded_origin"]


def test_pausing_holds_all_runs_and_a_page_is_refused_meanwhile(data: Data) -> None:
    board = TrainingDashboard({"a": training(data, epochs=500), "b": training(data, epochs=1)})
    until(lambda: len(board.records["a"]) > 3)
    board.paused = True
    until(lambda: board.shown["runs"][0]["state"] == "paused")
    time.sleep(0.2)  # the step at hand
    count = len(board.records["a"])
    time.sleep(0.2)
    assert len(board.records["a"]) == count
    assert not board.records["b"]
    assert "a is paused at step" in board.describe()
    with pytest.raises(WorkbenchError, match="a has not ended"):
        board.to_html()
    board.add("c", training(data, epochs=1))
    assert [run["state"] for run in board.shown["runs"]] == ["paused"] * 3
    board.paused = False
    board.stops += 1  # a only
    board.result()
    assert [run["state"] for run in board.shown["runs"]] == ["stopped by you", "finished", "finished"]
    assert board.result("a").step < board.result("a").steps
    assert board.describe().startswith("a was stopped by you at step")


def test_the_result_of_paused_runs_is_not_waited_for(data: Data) -> None:
    board = TrainingDashboard(training(data))
    board.paused = True
    if not board.shown["ended"]:
        with pytest.raises(WorkbenchError, match="The runs are paused: press Resume"):
            board.result()
    board.paused = False
    assert board.result().step


def test_a_changed_rate_arrives_as_if_sent_in_a_loop(data: Data) -> None:
    seen, bare = network(data), network(data)
    board = TrainingDashboard(training(data, seen, epochs=6))
    until(lambda: len(board.records["run"]) > 2 and board.learning_rate == PLAN.learning_rate)
    board.paused = True
    time.sleep(0.1)
    board.learning_rate = 0.02
    board.paused = False
    board.result()
    ((epoch, peak),) = board.shown["runs"][0]["changes"]
    assert peak == 0.02
    assert board.shown["figures"][2][2] == "peak 0.02"
    steps = training(data, bare, epochs=6)
    record = next(steps)
    while record.step < round(epoch * record.steps / record.epochs):
        record = next(steps)
    record = steps.send({"learning_rate": 0.02})
    rest = [record, *steps]
    assert without_time(board.records["run"][-len(rest) :]) == without_time(rest)
    assert equal(bare, seen)


@pytest.mark.parametrize("rate", [-1.0, 1e9, float("nan")])
def test_a_rate_that_cannot_be_is_refused_before_it_is_sent(data: Data, rate: float) -> None:
    board = TrainingDashboard(training(data, epochs=1))
    with pytest.raises(WorkbenchError, match="learning_rate"):
        board.learning_rate = rate
    assert board.result().step == board.result().steps


def test_stopped_it_leaves_a_resume_point_to_go_on_from(data: Data, tmp_path: Path) -> None:
    point, bare = tmp_path / "resume.pt", network(data)
    for _ in training(data, bare):
        pass
    board = TrainingDashboard(training(data, resume_point=point))
    until(lambda: len(board.records["run"]) > 2)
    board.stops += 1
    last = board.result()
    assert "stopped by you" in board.describe()
    assert board.describe().endswith("A resume point is kept.")
    assert without_time(history(point)) == without_time(board.records["run"])
    resumed = network(data)
    board = TrainingDashboard({"on": training(data, resumed, resume_point=point, resume=True)})
    assert board.result().step == board.result().steps
    assert board.records["on"][0].step > last.step
    assert equal(bare, resumed)


def test_a_run_of_the_workflow_can_be_shown_and_its_rate_changed(data: Data, tmp_path: Path) -> None:
    run = Run(tmp_path)
    begin_run(run, data, "digits", None, PLAN)
    steps = train_run(run, data, device="cpu")
    board = TrainingDashboard(steps)
    until(lambda: bool(board.records["run"]))
    assert board.learning_rate == PLAN.learning_rate
    board.result()
    assert run.weights.exists()


def test_a_generator_that_keeps_messages_to_itself_offers_no_rate(data: Data) -> None:
    inner = training(data, epochs=1)
    board = TrainingDashboard(record for record in inner)
    board.result()
    assert board.learning_rate == 0
    assert "cannot be changed" in board.shown["advice"]
    assert training_of(inner) is inner


def test_a_run_that_fails_says_why_and_the_next_one_runs(data: Data) -> None:
    def fails() -> Generator[Record, None, None]:
        yield next(training(data))
        raise ValueError("the disk is full")

    board = TrainingDashboard({"broken": fails(), "whole": training(data, epochs=1)})
    with pytest.raises(WorkbenchError, match=r"^broken failed at step 2 of 36: ValueError: the disk is full"):
        board.result()
    assert board.result("whole").kind == "epoch"
    assert "the disk is full" in board.describe()
    nonsense = TrainingDashboard(number for number in [1])
    with pytest.raises(WorkbenchError, match="run yields 1, not the Records"):
        nonsense.result()


def test_an_interrupt_stops_all_runs_and_is_raised_again(data: Data) -> None:
    board = TrainingDashboard({"a": training(data, epochs=100), "b": training(data, epochs=100)})
    until(lambda: bool(board.records["a"]))
    threading.Timer(0.2, interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        board.result()
    assert [run["state"] for run in board.shown["runs"]] == ["stopped by you"] * 2
    assert not board.records["b"]
    with pytest.raises(WorkbenchError, match="b was stopped by you before its first record"):
        board.result("b")


def test_closed_it_stops(data: Data) -> None:
    board = TrainingDashboard(training(data, epochs=100))
    until(lambda: bool(board.records["run"]))
    board.close()
    assert board.result().step < board.result().steps


def test_what_cannot_be_run_is_refused_in_a_sentence(data: Data) -> None:
    used = training(data, epochs=1)
    used.close()
    good = training(data, epochs=1)
    for steps, said in [
        (used, "run has ended already"),
        ({}, "no training to run"),
        ([good], "give what train"),
        (train, "give what train"),
        ({0.1: good}, "must be a non-empty string, not 0.1"),
        ({"a": good, "b": good}, "a is a training that another run has taken"),
    ]:
        with pytest.raises(WorkbenchError, match=said):
            TrainingDashboard(steps)  # type: ignore[arg-type]
    board = TrainingDashboard(good)
    with pytest.raises(WorkbenchError, match="a run 'run' already"):
        board.add("run", training(data))
    board.add(training(data, epochs=1))
    board.result()
    assert list(board.records) == ["run", "run 2"]
    with pytest.raises(WorkbenchError, match="There is no run 'rum', only 'run', 'run 2'"):
        board.result("rum")


def test_a_page_of_ended_runs_carries_them(data: Data, tmp_path: Path) -> None:
    board = TrainingDashboard({"<b>": training(data, epochs=1)})
    board.result()
    page = board.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page
    assert '"live": false' in page
    assert "<b>" not in page
    assert "&lt;b&gt; is finished" in page


def test_a_long_history_is_thinned_to_its_means() -> None:
    line, rows = Thinned(), Thinned(averaged=False)
    for number in range(1, 5 * MAX_POINTS + 4):
        line.add([number, float(number), None])
        rows.add([number, float(number)])
    for thinned in (line, rows):
        assert thinned.every == 8
        assert len(thinned.points()) <= MAX_POINTS
        assert thinned.points()[-1][0] == 5 * MAX_POINTS + 3
    assert line.points()[0] == [8, 4.5, None]
    assert rows.points()[0] == [8, 8.0]
