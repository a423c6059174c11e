"""What a weights file holds: every figure against the tensors themselves, PyTorch's rounding and the files' bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from workbench.data.datasets import Data
from workbench.folders import REFERENCE
from workbench.hyperparameters import HyperParameters
from workbench.training.checkpoint import load_resume_point, load_weights, save_weights
from workbench.training.loop import train
from workbench.training.models import build_model
from workbench.training.weights_summary import BINS, describe_resume_point, resume_parts, round_to, summarise_weights

WEIGHTS = REFERENCE / "weights.safetensors"


def to_int8(tensor: torch.Tensor) -> torch.Tensor:
    """As lesson 03 has it."""
    scale = tensor.flatten(1).abs().amax(1).view(-1, *[1] * (tensor.ndim - 1)) / 127
    return (tensor / scale).round() * scale


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
    assert f"{sum(tensor.numel() for tensor in state.values()):,} numbers in {len(state)} tensors" in summary.describe()
    assert "8.weight alone is 77" in summary.describe()


def test_nonfinite_values_and_rows_of_zeros() -> None:
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
    how = {"preprocessing": load_weights(WEIGHTS).preprocessing, "hyperparameters": HyperParameters()}
    save_weights(tmp_path / "ends.safetensors", network, labels=("a", "b"), **how)
    found = next(each for each in summarise_weights(tmp_path / "ends.safetensors").tensors if each.name == "weight")
    assert sum(found.precisions["fp32"].counts) == 2
    assert found.precisions["fp32"].counts[0] == found.precisions["fp32"].counts[-1] == 1


def test_tied_weights_are_counted_once(tmp_path: Path, make_data: Callable[..., Data]) -> None:
    class Tied(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.Linear(768, 768, bias=False)
            self.again, self.last = self.inner, torch.nn.Linear(768, 4)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.last(self.again(self.inner(images.flatten(1)).relu()))

    model, point = Tied(), tmp_path / "resume.pt"
    for _ in train(model, make_data(), HyperParameters(epochs=1), device="cpu", resume_point=point):
        pass
    parts = resume_parts(point)
    assert parts["weights"] == sum(weight.nbytes for weight in model.parameters())
    assert sum(parts.values()) == point.stat().st_size
    assert all(size > 0 for size in parts.values())


def test_a_resume_point_is_counted_part_by_part(tmp_path: Path, make_data: Callable[..., Data]) -> None:
    point = tmp_path / "resume.pt"
    model = build_model("convnet", classes=4, shape=(16, 16, 3), width=0.25)
    for _ in train(model, make_data(), HyperParameters(epochs=1), device="cpu", resume_point=point):
        pass
    parts, state = resume_parts(point), load_resume_point(point)
    moments = [value for entry in state["optimizer"]["state"].values() for value in entry.values()]
    assert parts["weights"] == sum(tensor.nbytes for tensor in state["model"].values())
    assert parts["optimizer state"] == sum(value.nbytes for value in moments if torch.is_tensor(value))
    assert sum(parts.values()) == point.stat().st_size
    assert all(size > 0 for size in parts.values())
    sentence = describe_resume_point({"weights": 60_000, "rest": 60_000}, 60_000)
    assert "takes 120\N{NO-BREAK SPACE}kB, 2.0× the weights file" in sentence
