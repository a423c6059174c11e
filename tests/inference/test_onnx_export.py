"""Exported networks answer like PyTorch, and contain no batch norm and no trace of this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
import torch
from inference.oracle import answers_of, operators, preprocessing_of
from torch import Tensor, nn

import workbench
from workbench.errors import WorkbenchError
from workbench.inference.onnx_export import export_onnx
from workbench.training.models import ImageClassifier, build_model

if TYPE_CHECKING:
    from conftest import Exported

STRESS = os.environ.get("WORKBENCH_STRESS") == "1"


class BranchingNetwork(nn.Module):
    """What a plain stack of layers lacks: a branch, dropout, and a size taken from the input."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 8, 3, padding=1)
        self.other = nn.Conv2d(3, 8, 5, padding=2)
        self.norm = nn.BatchNorm2d(16)
        self.last = nn.Linear(16, 4)

    def forward(self, images: Tensor) -> Tensor:
        both = torch.cat([self.one(images), self.other(images)], dim=1)
        both = nn.functional.dropout(torch.relu(self.norm(both)), training=self.training)
        return self.last(both.view(images.shape[0], 16, -1).mean(dim=2))


def with_statistics(model: nn.Module) -> nn.Module:
    """Give batch norms the statistics of a trained network, so that a dropped one would show."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(torch.rand(module.running_mean.shape, generator=generator) - 0.5)
            module.running_var.copy_(torch.rand(module.running_var.shape, generator=generator) + 0.5)
    return model


@pytest.mark.stress
@pytest.mark.parametrize(
    ("name", "size"),
    [
        *(("linear", 16), ("mlp", 16), ("convnet", 16), ("resnet", 16), ("squeezenet1_1", 32), ("own", 12)),
        *((("mobilenet_v3_small", 32), ("resnet18", 32), ("swin_t", 32)) if STRESS else ()),
    ],
)
def test_each_model_exports_with_equal_answers_for_any_batch(name: str, size: int) -> None:
    model = with_statistics(
        BranchingNetwork() if name == "own" else build_model(name, classes=4, shape=(size, size, 3))
    )
    preprocessing = preprocessing_of(size)
    content = export_onnx(model, preprocessing)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    classifier = ImageClassifier(model, preprocessing).eval()
    for count in (1, 3, 17):
        images = torch.randint(0, 256, (count, size, size, 3), dtype=torch.uint8)
        with torch.inference_mode():
            expected = classifier(images).numpy()
        assert np.abs(answers_of(content, images) - expected).max() < 2e-6
    if name != "own":  # there the branches meet before the batch norm
        assert "BatchNormalization" not in operators(content)


def test_the_exported_convnet_is_nothing_but_its_layers(exported: Exported) -> None:
    block = ["Conv", "Relu", "MaxPool"]
    content = exported.bundle.engines["onnx"].content
    assert operators(content) == [
        *("Transpose", "Cast", "Mul", "Add"),
        *(block * 3),
        *("ReduceMean", "Reshape", "Gemm", "Softmax"),
    ]


def test_the_file_contains_no_path_of_this_machine(exported: Exported) -> None:
    places = {os.sep + part for part in Path(workbench.__file__).parts[1:3]} | {
        str(Path.home()),
        ".py",
        "site-packages",
    }
    for path in exported.bundle.path.rglob("*.onnx"):
        for place in places - {"/"}:
            assert place.encode() not in path.read_bytes(), place


def test_the_model_is_not_changed() -> None:
    model = (
        build_model("convnet", classes=4, shape=(16, 16, 3)).to(memory_format=torch.channels_last).bfloat16().train()
    )
    model[4].eval()
    modes = [module.training for module in model.modules()]
    content = export_onnx(model, preprocessing_of(16))
    assert [module.training for module in model.modules()] == modes
    assert model[0].weight.dtype == torch.bfloat16
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert all(parameter.requires_grad for parameter in model.parameters())
    kinds = {tensor.data_type for tensor in onnx.load_from_string(content).graph.initializer if len(tensor.dims) == 4}
    assert kinds == {onnx.TensorProto.FLOAT}


class _Decides(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :4] if images.sum() > 0 else images.flatten(1)[:, 4:8]


class _OneBatchOnly(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.reshape(2, 768)[:, :4]


@pytest.mark.parametrize("model", [_Decides(), _OneBatchOnly()])
def test_a_network_that_cannot_be_exported_is_reported_in_one_sentence(model: nn.Module) -> None:
    with pytest.raises(WorkbenchError, match=rf"cannot export this {type(model).__qualname__}") as caught:
        export_onnx(model, preprocessing_of(16))
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)
