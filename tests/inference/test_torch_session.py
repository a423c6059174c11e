"""PyTorch engines: a copy of the caller's network, in fp32 or bf16, that leaves the process as it found it."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch
from conftest import Exported
from torch import Tensor, nn

from workbench.inference.torch_session import TorchSession, without_tf32
from workbench.machine.devices import find_device
from workbench.training.models import ImageClassifier, build_model

STRESS = os.environ.get("WORKBENCH_STRESS") == "1"


def session_of(model: nn.Module, exported: Exported, **options: object) -> TorchSession:
    return TorchSession(model, exported.data.preprocessing, find_device("cpu"), **options)


def plain_answers(model: nn.Module, exported: Exported, images: Tensor) -> np.ndarray:
    """The oracle: the network in eager PyTorch with nothing around it."""
    with torch.inference_mode():
        return ImageClassifier(model, exported.data.preprocessing).eval()(images).numpy()


@pytest.mark.stress
def test_a_compiled_network_answers_the_same(exported: Exported) -> None:
    """A single matrix, unless under stress: the compiler takes seconds for each operation."""
    model = exported.model if STRESS else build_model("linear", classes=4, shape=(16, 16, 3))
    images = exported.data.test.images[:32]
    compiled = session_of(model, exported, compiled=True)
    assert np.abs(compiled(images.numpy()) - plain_answers(model, exported, images)).max() < 2e-6


def test_the_callers_model_is_copied(exported: Exported) -> None:
    model = nn.Sequential(build_model("convnet", classes=4, shape=(16, 16, 3), width=0.5)).train()
    model[0][4].eval()
    modes = [module.training for module in model.modules()]
    images = exported.data.test.images[:4].numpy()
    session = session_of(model, exported)
    before = session(images)
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.requires_grad for parameter in model.parameters())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert np.array_equal(session(images), before)


def test_a_model_trained_in_bf16_runs_in_fp32(exported: Exported) -> None:
    model = build_model("convnet", classes=4, shape=(16, 16, 3)).bfloat16()
    images = exported.data.test.images[:8]
    answers = session_of(model, exported)(images.numpy())
    assert np.abs(answers - plain_answers(model.float(), exported, images)).max() < 2e-6


def test_bf16_computes_with_fewer_digits_and_returns_fp32(exported: Exported) -> None:
    images = exported.data.test.images[:64]
    answers = session_of(exported.model, exported, precision="bf16")(images.numpy())
    difference = np.abs(answers - plain_answers(exported.model, exported, images)).max()
    assert answers.dtype == np.float32
    assert 1e-5 < difference < 0.1


def test_pytorchs_number_of_threads_is_set_for_the_call_and_restored(exported: Exported) -> None:
    seen = []

    class Watches(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            seen.append(torch.get_num_threads())
            return images.flatten(1)[:, :4]

    before = torch.get_num_threads()
    session = session_of(Watches(), exported, threads=1)
    torch.set_num_threads(3)
    try:
        session(exported.data.test.images[:2].numpy())
        assert seen == [1]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_tf32_is_disabled_inside_and_restored_after_an_error() -> None:
    """Only a GPU can show what the setting does to an answer; that it is set and restored, every machine can."""
    seen = []

    @without_tf32()
    def answer() -> None:
        seen.append(torch.backends.cudnn.conv.fp32_precision)
        raise ZeroDivisionError

    before = torch.backends.cudnn.conv.fp32_precision
    with pytest.raises(ZeroDivisionError):
        answer()
    assert seen == ["ieee"]
    assert torch.backends.cudnn.conv.fp32_precision == before != "ieee"
