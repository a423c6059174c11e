"""What a weights file holds: every figure against the tensors themselves, PyTorch's rounding and the files' bytes."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import workbench as wb
from workbench.checkpoint import load_resume_point, load_weights, save_weights
from workbench.data import Data
from workbench.errors import WorkbenchError
from workbench.recordings import REFERENCE
from workbench.runs import Run
from workbench.weights_summary import BINS, resume_parts, round_to, summarise_weights

WEIGHTS = REFERENCE / "weights.safetensors"


def to_int8(tensor: torch.Tensor) -> torch.Tensor:
    """As lesson 03 has it."""
    scale = tensor.flatten(1).abs().amax(1).view(-1, *[1] * (tensor.ndim - 1)) / 127
    return (tensor / scale).round() * scale


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


def test_every_tensor_is_told_as_it_is() -> None:
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


def test_rounding_is_that_of_pytorch_and_of_the_lesson() -> None:
    state = load_weights(WEIGHTS).model.state_dict()
    for tensor in summarise_weights(WEIGHTS).tensors:
        values = state[tensor.name]
        low, high = tensor.min, tensor.max
        if values.ndim < 2:
            assert set(tensor.precisions) == {"fp32"}
            assert tensor.precisions["fp32"].bytes == values.nbytes
        for name, kind in tensor.precisions.items():
            rounded = {"fp32": values.clone, "bf16": lambda v=values: v.bfloat16().float(), "int8": None}[name]
            there = to_int8(values) if rounded is None else rounded()
            error = (there.double() - values.double()).abs()
            assert kind.largest_error == pytest.approx(float(error.max()), rel=1e-3, abs=1e-7)
            assert kind.mean_error == pytest.approx(float(error.mean()), rel=1e-3, abs=1e-9)
            expected = np.histogram(np.clip(there.double().numpy(), low, high), BINS, (low, high))[0]
            assert sum(kind.counts) == values.numel()
            # A number on the border of two bins may fall on either side.
            assert np.abs(np.cumsum(expected) - np.cumsum(kind.counts)).max() <= max(2, 0.002 * values.numel())


def test_totals_are_counted_from_the_shapes() -> None:
    state = load_weights(WEIGHTS).model.state_dict()
    summary = summarise_weights(WEIGHTS)
    held = sum(tensor.nbytes for tensor in state.values())
    large = [tensor for tensor in state.values() if tensor.ndim > 1]
    numbers = sum(tensor.numel() for tensor in large)
    assert summary.file_bytes == WEIGHTS.stat().st_size == held + summary.text_bytes
    assert summary.precisions == {
        "fp32": held,
        "bf16": held - 2 * numbers,
        "int8": held - 3 * numbers + 4 * sum(len(tensor) for tensor in large),
    }
    assert f"{sum(tensor.numel() for tensor in state.values()):,} numbers in {len(state)} tensors" in summary.told()
    assert "8.weight alone is 77" in summary.told()


def test_odd_numbers_and_rows_of_zeros() -> None:
    rows = np.array([[0, 0, 0], [1, -2, 0.7]], dtype=np.float32)
    assert (round_to(rows, "int8")[0] == 0).all()
    assert round_to(rows, "int8")[1] == pytest.approx([1, -2, 0.7], abs=2 / 127 / 2)
    odd = np.array([[np.nan, np.inf, -np.inf, 3.4e38]], dtype=np.float32)
    expected = torch.from_numpy(odd).bfloat16().float().numpy()
    np.testing.assert_array_equal(round_to(odd, "bf16")[:, :3], expected[:, :3])
    random = np.random.default_rng(0).standard_normal((64, 999)).astype(np.float32)
    np.testing.assert_array_equal(round_to(random, "bf16"), torch.from_numpy(random).bfloat16().float().numpy())


@pytest.mark.parametrize("ends", [(0.999999, 1.000001), (1.0, 1 + 2**-22), (-2e38, 2e38)])
def test_values_close_together_and_far_apart_fill_their_bins(tmp_path: Path, ends: tuple[float, float]) -> None:
    network = nn.BatchNorm1d(2)
    network.weight.data = torch.tensor(ends)
    how = {"preprocessing": load_weights(WEIGHTS).preprocessing, "hyperparameters": wb.HyperParameters()}
    save_weights(tmp_path / "ends.safetensors", network, labels=("a", "b"), **how)
    found = next(each for each in summarise_weights(tmp_path / "ends.safetensors").tensors if each.name == "weight")
    assert sum(found.precisions["fp32"].counts) == 2
    assert found.precisions["fp32"].counts[0] == found.precisions["fp32"].counts[-1] == 1


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
    assert (matrix.odd, matrix.min, matrix.max) == (2, -3.0, 1.0)
    assert "2 of them are infinite or no numbers" in matrix.told()
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


def test_tied_weights_are_counted_once(tmp_path: Path, make_data: Callable[..., Data]) -> None:
    class Tied(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.Linear(768, 768, bias=False)
            self.again, self.last = self.inner, torch.nn.Linear(768, 4)

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return self.last(self.again(self.inner(pictures.flatten(1)).relu()))

    model, point = Tied(), tmp_path / "resume.pt"
    for _ in wb.train(model, make_data(), wb.HyperParameters(epochs=1), device="cpu", resume_point=point):
        pass
    parts = resume_parts(point)
    assert parts["weights"] == sum(weight.nbytes for weight in model.parameters())
    assert sum(parts.values()) == point.stat().st_size
    assert all(size > 0 for size in parts.values())


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


def test_damaged_and_foreign_files_are_told_as_load_weights_tells_them(tmp_path: Path) -> None:
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


def test_the_page_is_small_and_told_without_scripts(tmp_path: Path) -> None:
    page = wb.WeightsInspector(WEIGHTS).to_html(tmp_path / "weights.html")
    assert len(page.encode()) < 500_000
    assert (tmp_path / "weights.html").read_text(encoding="utf-8") == page
    assert page.count("95,213 numbers in 20 tensors") >= 2  # the widget's own, and where scripts are off
    assert "cat, dog, horse" in page
