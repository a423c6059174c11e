"""The steps in one go: what a run leaves behind, resumed or begun from saved weights, and what it refuses."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from workbench.bundle.manifest import read_bundle
from workbench.data.datasets import Data, load_dataset
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.inference.predictor import Predictor
from workbench.runs import Run
from workbench.training.checkpoint import load_weights
from workbench.workflow import Stopwatch, begin_run, load_run_data, require_test, run_workflow, train_run

PLAN = HyperParameters(model="linear", epochs=2, batch_size=64, precision="fp32")


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_dataset("digits")


def begun(folder: Path, data: Data, **options: object) -> Run:
    run = Run(folder)
    begin_run(run, data, "digits", None, PLAN, **options)
    return run


def weights_of(run: Run) -> dict[str, torch.Tensor]:
    return load_weights(run.weights).model.state_dict()


def test_the_whole_workflow_leaves_files_that_agree(tmp_path: Path, digits: Data) -> None:
    run, stopwatch, progress = begun(tmp_path / "run", digits), Stopwatch(), []
    with stopwatch.step("data", "cpu", "loaded"):
        pass
    records = list(
        run_workflow(run, digits, device="cpu", stopwatch=stopwatch, progress=lambda *step: progress.append(step))
    )
    summary, bundle = json.loads(run.summary.read_text()), read_bundle(run.bundle)
    answers = Predictor.from_bundle(bundle, "onnx", threads=1)(digits.test.images)
    assert summary["test_accuracy"] == bundle.accuracy == np.mean(answers.argmax(1) == digits.test.labels.numpy())
    assert list(summary["seconds"]) == ["data", "training", "weight saving", "CPU inference", "export"]
    assert summary["validation_accuracy"] == records[-1].validation_accuracy
    assert len(json.loads(run.history.read_text())) == len(records)
    assert {row["batch_size"] for row in summary["latency"]} == {1, 64}
    assert summary["origin"] == "measured"
    assert "digits" in run.report.read_text(encoding="utf-8")
    assert {what for what, _, _ in progress} >= {"reference answers", "ONNX export", "measuring latency"}
    assert progress[-1] == ("measuring latency", 2, 2)


def test_an_interrupted_run_resumes_to_the_same_weights(tmp_path: Path, digits: Data) -> None:
    whole, interrupted = begun(tmp_path / "whole", digits), begun(tmp_path / "interrupted", digits)
    list(train_run(whole, digits, device="cpu"))
    records = train_run(interrupted, digits, device="cpu")
    next(record for record in records if record.kind == "epoch")
    records.close()
    assert not interrupted.weights.exists()
    list(train_run(interrupted, digits, device="cpu", resume=True))
    assert all(torch.equal(a, weights_of(interrupted)[name]) for name, a in weights_of(whole).items())


def test_a_run_may_start_from_saved_weights(tmp_path: Path, digits: Data) -> None:
    first = begun(tmp_path / "first", digits)
    fresh = list(train_run(first, digits, device="cpu"))
    second = begun(tmp_path / "second", digits, weights=first.weights)
    assert second.read_about()["initial_weights"] == str(first.weights.resolve())
    assert next(train_run(second, digits, device="cpu")).loss < fresh[0].loss


def test_changed_data_are_refused(tmp_path: Path, digits: Data) -> None:
    run = begun(tmp_path / "run", digits)
    assert load_run_data(run).fingerprint == digits.fingerprint
    run.write_about("digits", None, "another fingerprint")
    with pytest.raises(WorkbenchError, match=r"digits has changed since .*run was started"):
        load_run_data(run)


def test_data_without_a_test_set_are_refused_before_training(tmp_path: Path, digits: Data) -> None:
    empty = dataclasses.replace(digits, test=digits.test.subset([]))
    with pytest.raises(WorkbenchError, match="digits has too few images for a test set"):
        require_test(empty)
    run = begun(tmp_path / "run", digits)
    with pytest.raises(WorkbenchError, match="too few images"):
        next(run_workflow(run, empty, device="cpu"))
    assert not run.resume_point.exists()
