"""What a weights file holds: every figure against the tensors themselves, PyTorch's rounding and the files' bytes."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import workbench as wb
from workbench.data.datasets import Data
from workbench.errors import WorkbenchError
from workbench.folders import REFERENCE
from workbench.runs import Run
from workbench.training.checkpoint import load_resume_point, load_weights, save_weights
from workbench.training.weights_summary import resume_parts, summarise_weights

WEIGHTS = REFERENCE / "weights.safetensors"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, make_data: Callable[..., Data]) -> Run:
    """A short epoch, with its resume point."""
    run = Run(tmp_path_factory.mktemp("inspected"))
    data, hyperparameters = make_data(), wb.HyperParameters(epochs=1)
    model = wb.build_model("convnet", classes=4, shape=(16, 16, 3), width=0.25)
    for _ in wb.train(model, data, hyperparameters, device="cpu", resume_point=run.resume_point):
        pass
    save_weights(
        run.weights, model, labels=data.labels, preprocessing=data.preprocessing, hyperparameters=hyperparameters
    )
    return run


def test_every_tensor_is_reported_as_it_is() -> None:
    state = load_weights(WEIGHTS).model.state_dict()
    inspector = wb.WeightsInspector(WEIGHTS)
    assert {each["name"] for each in inspector.tensors} == set(state)
    total = sum(tensor.nbytes for tensor in state.values())
    for each in inspector.tensors:
        tensor = state[each["name"]]
        values = tensor.double()
        assert each["shape"] == list(tensor.shape)
        assert each["bytes"] == tensor.nbytes
        assert each["share"] == pytest.approx(tensor.nbytes / total)
        expected = [values.min(), values.max(), values.mean(), values.std(correction=0)]
        assert [each[key] for key in ("min", "max", "mean", "std")] == pytest.approx([float(one) for one in expected])
    assert [each["name"] for each in inspector.tensors][-2:] == ["14.bias", "14.weight"]  # after 4 and 9, as they come


def test_a_network_that_diverged_and_one_of_the_users_own(tmp_path: Path) -> None:
    """Neither is built; both are shown."""

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.matrix = nn.Parameter(torch.tensor([[1.0, float("nan")], [float("inf"), -3.0]]))
            self.register_buffer("sixteen", torch.ones(2, 3, dtype=torch.bfloat16))
            self.register_buffer("nothing", torch.empty(0, 4))
            self.register_buffer("flags", torch.tensor([[True, False]]))

    path, preprocessing = tmp_path / "own.safetensors", load_weights(WEIGHTS).preprocessing
    save_weights(path, Own(), labels=("a", "b"), preprocessing=preprocessing, hyperparameters=wb.HyperParameters())
    inspector = wb.WeightsInspector(str(path))
    json.dumps([inspector.tensors, inspector.details], allow_nan=False)
    matrix = next(tensor for tensor in summarise_weights(path).tensors if tensor.name == "matrix")
    assert (matrix.nonfinite, matrix.min, matrix.max) == (2, -3.0, 1.0)
    assert "2 of them are infinite or NaN" in matrix.describe()
    assert {tensor["name"]: tensor["dtype"] for tensor in inspector.tensors}["sixteen"] == "BF16"
    assert ["class", Own.__qualname__[:120]] in [[key, text] for key, text in inspector.facts]


def test_a_resume_point_beside_its_weights(run: Run) -> None:
    parts = resume_parts(run.resume_point)
    state = load_resume_point(run.resume_point)
    moments = [value for entry in state["optimizer"]["state"].values() for value in entry.values()]
    assert parts["weights"] == sum(tensor.nbytes for tensor in state["model"].values())
    assert parts["optimizer state"] == sum(value.nbytes for value in moments if torch.is_tensor(value))
    assert sum(parts.values()) == run.resume_point.stat().st_size
    assert all(size > 0 for size in parts.values())
    inspector = wb.WeightsInspector(run)
    assert [name for name, _ in inspector.files] == ["weights file", "resume point"]
    assert inspector.files[1][1] == parts
    assert "resume point takes" in inspector.sentence
    assert "optimizer state" in inspector.sentence
    assert wb.WeightsInspector(run.folder).files == inspector.files
    assert wb.WeightsInspector(run.weights, resume_point=run.resume_point).files == inspector.files
    assert [name for name, _ in wb.WeightsInspector(run.weights).files] == ["weights file"]


def test_selecting_from_the_next_cell() -> None:
    inspector = wb.WeightsInspector(WEIGHTS)
    assert inspector.chosen == "8.weight"  # the largest
    inspector.select("0.weight")
    assert inspector.chosen == "0.weight"
    with pytest.raises(WorkbenchError, match=r"has no tensor '0.wieght'. It has .*0.weight.* and others: see .tensors"):
        inspector.select("0.wieght")
    assert inspector.chosen == "0.weight"


def bad_files(folder: Path) -> dict[str, Any]:
    changed = bytearray(WEIGHTS.read_bytes())
    changed[-5] ^= 4
    contents = {
        "changed": bytes(changed),
        "cut": WEIGHTS.read_bytes()[:1000],
        "pickle": pickle.dumps({"a": 1}),
        "text": b"hello, I am no weights file",
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in (*contents, "missing")}


def test_damaged_and_foreign_files_are_reported_as_load_weights_tells_them(tmp_path: Path) -> None:
    for path in bad_files(tmp_path).values():
        with pytest.raises(WorkbenchError) as expected:
            load_weights(path)
        with pytest.raises(WorkbenchError) as found:
            wb.WeightsInspector(path)
        assert str(found.value) == str(expected.value)
    with pytest.raises(WorkbenchError, match="is not a resume point"):
        wb.WeightsInspector(WEIGHTS, resume_point=WEIGHTS)
    with pytest.raises(WorkbenchError, match="needs the path of a weights file or a Run, not '7'"):
        wb.WeightsInspector(7)  # type: ignore[arg-type]


def test_the_page_is_small_and_reported_without_scripts(tmp_path: Path) -> None:
    page = wb.WeightsInspector(WEIGHTS).to_html(tmp_path / "weights.html")
    assert len(page.encode()) < 500_000
    assert (tmp_path / "weights.html").read_text(encoding="utf-8") == page
    assert page.count("95,213 numbers in 20 tensors") >= 2  # the widget's own, and where scripts are off
    assert "cat, dog, horse" in page
