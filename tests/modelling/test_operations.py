"""Counted operations against counts by hand, PyTorch's own counter, and a run at the batch size itself."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from workbench.errors import WorkbenchError
from workbench.measuring.measurement import Phase
from workbench.modelling.operations import _counted, operations
from workbench.training.models import ZOO, build_model


class OneConvolution(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 16, 3, padding=1)

    def forward(self, images):
        return self.convolution(images).mean((2, 3))


def test_a_convolution_is_counted_as_by_hand():
    (counted,) = [one for one in operations(OneConvolution(), batch_size=5) if one.name == "convolution"]
    assert counted.flops == 5 * 2 * (3 * 3 * 3) * 16 * 32 * 32
    assert counted.bytes == 4 * (5 * 3 * 32 * 32 + 16 * 3 * 3 * 3 + 16 + 5 * 16 * 32 * 32)


def test_a_linear_layer_is_counted_as_by_hand():
    names = {one.name: one for one in operations("linear", batch_size=7)}
    values = 32 * 32 * 3
    assert names["addmm"].flops == 7 * 2 * values * 10
    assert names["addmm"].bytes == 4 * (10 + 7 * values + values * 10 + 7 * 10)
    assert names["_softmax"].bytes == 4 * 2 * 7 * 10


@pytest.mark.parametrize("name", ZOO)
def test_flops_are_those_of_pytorchs_own_counter(name):
    model = build_model(name).eval()
    with FlopCounterMode(display=False) as oracle, torch.no_grad():
        model(torch.zeros(4, 3, 32, 32))
    assert sum(one.flops for one in operations(name, batch_size=4)) == oracle.get_total_flops()
    with FlopCounterMode(display=False) as oracle:
        logits = model.train()(torch.zeros(4, 3, 32, 32))
        nn.functional.cross_entropy(logits, torch.zeros(4, dtype=torch.int64)).backward()
    assert sum(one.flops for one in operations(name, batch_size=4, phase="training")) == oracle.get_total_flops()


def test_fused_engines_drop_operations_and_bytes_but_no_arithmetic():
    eager, fused = operations("resnet", batch_size=4), operations("resnet", batch_size=4, engine="onnx")
    assert sum(one.flops for one in fused) == sum(one.flops for one in eager)
    assert sum(one.bytes for one in fused) < 0.6 * sum(one.bytes for one in eager)
    assert not {"native_batch_norm", "relu"} & {one.name for one in fused}
    assert operations("resnet", phase="training", engine="onnx") == operations("resnet", phase="training")


def test_a_narrower_format_moves_fewer_bytes():
    def moved(precision):
        return sum(one.bytes for one in operations("mlp", batch_size=4, precision=precision))

    images = 4 * 32 * 32 * 3  # stay uint8
    assert moved("bf16") - images == (moved("fp32") - images) / 2
    assert moved("int8") - images == (moved("fp32") - images) / 4


def test_counting_changes_neither_the_model_nor_the_random_numbers():
    model = OneConvolution().train()
    weights, state = model.convolution.weight.clone(), torch.get_rng_state()
    operations(model, phase="training")
    operations("mlp", batch_size=3)
    assert model.training
    assert model.convolution.weight.grad is None
    assert torch.equal(model.convolution.weight, weights)
    assert torch.equal(torch.get_rng_state(), state)


def test_wrong_arguments_and_images_are_named():
    for wrong in ({"phase": "sleep"}, {"engine": "steam"}, {"precision": "int4"}, {"batch_size": 0}):
        ((name, value),) = wrong.items()
        with pytest.raises(WorkbenchError, match=f"{name} = {value!r}: must be"):
            operations("mlp", **wrong)
    with pytest.raises(WorkbenchError, match="OneConvolution does not take images of 32×32×1"):
        operations(OneConvolution(), shape=(32, 32, 1))


@pytest.mark.parametrize("phase", ["inference", "training"])
def test_operations_at_any_batch_size_are_those_of_a_run_at_it(phase: Phase) -> None:
    for name in ("mlp", "resnet", "mobilenet_v3_small"):
        with torch.device("meta"):
            model = build_model(name)
        for size in (3, 7, 64, 1000):
            run = _counted(model, (32, 32, 3), size, phase, 4)
            assert operations(name, batch_size=size, phase=phase) == run
            assert operations(model, batch_size=size, phase=phase) == run
