"""Exported networks answer as PyTorch does, hold no batch norm and no trace of this machine; int8 earns its place."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

import workbench
from workbench.checkpoint import save_weights
from workbench.data import Data
from workbench.errors import WorkbenchError
from workbench.export import _float_nodes, export_bundle, export_onnx, quantize, self_test_indices
from workbench.hyperparameters import HyperParameters
from workbench.inference import Predictor
from workbench.models import Classifier, build_model
from workbench.preprocessing import Preprocessing

if TYPE_CHECKING:
    from conftest import Exported


STRESS = os.environ.get("WORKBENCH_STRESS") == "1"


class OwnNetwork(nn.Module):
    """A user's own, with what a plain stack of layers lacks: a branch, dropout, and a size taken from the input."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Conv2d(3, 8, 3, padding=1)
        self.other = nn.Conv2d(3, 8, 5, padding=2)
        self.norm = nn.BatchNorm2d(16)
        self.last = nn.Linear(16, 4)

    def forward(self, pictures: Tensor) -> Tensor:
        both = torch.cat([self.one(pictures), self.other(pictures)], dim=1)
        both = nn.functional.dropout(torch.relu(self.norm(both)), training=self.training)
        return self.last(both.view(pictures.shape[0], 16, -1).mean(dim=2))


def preprocessing_of(size: int) -> Preprocessing:
    return Preprocessing(height=size, width=size, channels=3, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))


def unsettled(model: nn.Module) -> nn.Module:
    """Running statistics as after training, so that a batch norm that was dropped would show."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.copy_(torch.rand(module.running_mean.shape, generator=generator) - 0.5)
            module.running_var.copy_(torch.rand(module.running_var.shape, generator=generator) + 0.5)
    return model


def answers_of(content: bytes, pictures: Tensor) -> np.ndarray:
    """The oracle: ONNX Runtime with nothing of ours around it."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    return session.run(None, {"pictures": pictures.numpy()})[0]


def operators(content: bytes) -> list[str]:
    return [node.op_type for node in onnx.load_from_string(content).graph.node]


@pytest.mark.stress
@pytest.mark.parametrize(
    ("name", "size"),
    [
        *(("linear", 16), ("mlp", 16), ("convnet", 16), ("resnet", 16), ("squeezenet1_1", 32), ("own", 12)),
        *((("mobilenet_v3_small", 32), ("resnet18", 32), ("swin_t", 32)) if STRESS else ()),
    ],
)
def test_each_model_exports_with_equal_answers_for_any_batch(name: str, size: int) -> None:
    model = unsettled(OwnNetwork() if name == "own" else build_model(name, classes=4, shape=(size, size, 3)))
    preprocessing = preprocessing_of(size)
    content = export_onnx(model, preprocessing)
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    classifier = Classifier(model, preprocessing).eval()
    for count in (1, 3, 17):
        pictures = torch.randint(0, 256, (count, size, size, 3), dtype=torch.uint8)
        with torch.inference_mode():
            expected = classifier(pictures).numpy()
        assert np.abs(answers_of(content, pictures) - expected).max() < 2e-6
    if name != "own":  # there the branches meet before the batch norm
        assert "BatchNormalization" not in operators(content)


def test_the_convnet_leaves_as_nothing_but_its_layers(exported: Exported) -> None:
    block = ["Conv", "Relu", "MaxPool"]
    content = exported.bundle.engines["onnx"].content
    assert operators(content) == [
        *("Transpose", "Cast", "Mul", "Add"),
        *(block * 3),
        *("ReduceMean", "Reshape", "Gemm", "Softmax"),
    ]


def test_the_file_tells_nothing_of_this_machine(exported: Exported) -> None:
    places = {os.sep + part for part in Path(workbench.__file__).parts[1:3]} | {
        str(Path.home()),
        ".py",
        "site-packages",
    }
    for path in exported.bundle.path.rglob("*.onnx"):
        for place in places - {"/"}:
            assert place.encode() not in path.read_bytes(), place


def test_the_model_is_left_as_it_was() -> None:
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
    def forward(self, pictures: Tensor) -> Tensor:
        return pictures.flatten(1)[:, :4] if pictures.sum() > 0 else pictures.flatten(1)[:, 4:8]


class _OneBatchOnly(nn.Module):
    def forward(self, pictures: Tensor) -> Tensor:
        return pictures.reshape(2, 768)[:, :4]


@pytest.mark.parametrize("model", [_Decides(), _OneBatchOnly()])
def test_a_network_that_cannot_leave_is_told_in_one_sentence(model: nn.Module) -> None:
    with pytest.raises(WorkbenchError, match=rf"cannot export this {type(model).__qualname__}") as caught:
        export_onnx(model, preprocessing_of(16))
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


# --- int8 -------------------------------------------------------------------------------------------------------------


def test_int8_holds_whole_numbers_and_answers_alike(exported: Exported) -> None:
    content = exported.bundle.engines["onnx-int8"].content
    assert len(content) < 0.4 * len(exported.bundle.engines["onnx"].content)
    graph = onnx.load_from_string(content).graph
    weights = [tensor for tensor in graph.initializer if len(tensor.dims) == 4 and tensor.dims[2] == 3]
    assert len(weights) == 3
    assert {tensor.data_type for tensor in weights} == {onnx.TensorProto.INT8}
    # Per channel: as many scales as output channels.
    by_name = {tensor.name: tensor for tensor in graph.initializer}
    dequantized = [node for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in by_name]
    scales = {node.input[0]: list(by_name[node.input[1]].dims) for node in dequantized}
    assert all(scales[tensor.name] == [tensor.dims[0]] for tensor in weights)
    test = exported.data.test
    same = answers_of(content, test.pictures).argmax(1) == Predictor.from_bundle(exported.bundle)(test.pictures).argmax(
        1
    )
    assert same.mean() >= 0.99


def test_preprocessing_and_softmax_stay_in_float(exported: Exported) -> None:
    proto = onnx.load_from_string(exported.bundle.engines["onnx"].content)
    kept = [node.op_type for node in proto.graph.node if node.name in _float_nodes(proto)]
    assert kept == ["Transpose", "Cast", "Mul", "Add", "Gemm"]
    graph = onnx.load_from_string(exported.bundle.engines["onnx-int8"].content).graph
    by_output = {output: node.op_type for node in graph.node for output in node.output}
    for node in graph.node:
        if node.op_type in ("Softmax", "Cast", "Mul", "Add", "Gemm"):
            assert by_output.get(node.input[0]) != "DequantizeLinear", node.op_type


def test_calibration_sees_training_pictures_only_and_is_repeatable(exported: Exported) -> None:
    content, train = exported.bundle.engines["onnx"].content, exported.data.train
    assert quantize(content, train) == exported.bundle.engines["onnx-int8"].content
    assert quantize(content, train, seed=1, count=40) != quantize(content, train, seed=2, count=40)


def test_a_linear_model_is_quantized_too() -> None:
    content = export_onnx(build_model("linear", classes=4, shape=(16, 16, 3)), preprocessing_of(16))
    proto = onnx.load_from_string(content)
    assert "Gemm" not in [node.op_type for node in proto.graph.node if node.name in _float_nodes(proto)]


# --- the bundle -------------------------------------------------------------------------------------------------------


def test_parity_and_accuracy_are_those_of_the_whole_test_set(exported: Exported) -> None:
    data, bundle = exported.data, exported.bundle
    classifier = Classifier(exported.model, data.preprocessing).eval()
    with torch.inference_mode():
        expected = classifier(data.test.pictures).numpy()
    truth = data.test.labels.numpy()
    assert bundle.accuracy == (expected.argmax(1) == truth).mean()
    assert bundle.accuracy > 0.8
    for name, engine in bundle.engines.items():
        answers = answers_of(
            (bundle.path / f"model{'-int8' if 'int8' in name else ''}.onnx").read_bytes(), data.test.pictures
        )
        assert engine.accuracy == (answers.argmax(1) == truth).mean()
        assert engine.parity["pictures"] == len(truth)
        assert engine.parity["agreement"] == (answers.argmax(1) == expected.argmax(1)).mean()
        assert engine.parity["largest_difference"] == pytest.approx(np.abs(answers - expected).max(), abs=2e-6)
    assert bundle.engines["onnx"].parity["largest_difference"] < 1e-5


def test_self_test_pictures_are_test_pictures_of_every_class(exported: Exported) -> None:
    bundle, test = exported.bundle, exported.data.test
    assert len(bundle.self_test_pictures) == 10
    labels = [entry["label"] for entry in bundle.manifest["self_test"]]
    assert set(labels) == set(bundle.labels)
    pictures = test.pictures.numpy()
    for picture, label in zip(bundle.self_test_pictures, labels, strict=True):
        place = next(index for index, other in enumerate(pictures) if np.array_equal(picture, other))
        assert bundle.labels[test.labels[place]] == label


def test_self_test_pictures_are_chosen_well() -> None:
    truth = np.array([0] * 50 + [1] * 50 + [2] * 50)
    assert self_test_indices(truth, 3) == [0, 1, 2, 3, 4, 5, 6, 7, 50, 100]
    assert self_test_indices(truth, 4) == [0, 1, 2, 3, 4, 5, 6, 7, 50, 100]  # no picture of the fourth
    many = np.arange(40)
    assert self_test_indices(many, 40) == list(range(10))
    assert self_test_indices(np.array([1, 0]), 2) == [0, 1]


def test_hyperparameters_and_versions_are_noted(exported: Exported) -> None:
    manifest = exported.bundle.manifest
    assert HyperParameters.from_mapping(manifest["hyperparameters"]) == HyperParameters()
    assert manifest["versions"]["onnxruntime"] == onnxruntime.__version__
    assert manifest["about"]["data"] == exported.data.name
    assert exported.bundle.weights == exported.weights.read_bytes()


def small_export(folder: Path, model: nn.Module, data: Data, **options: object) -> object:
    weights = folder / "w.safetensors"
    save_weights(
        weights, model, labels=data.labels, preprocessing=data.preprocessing, hyperparameters=HyperParameters()
    )
    return export_bundle(
        folder / "bundle", model, data, hyperparameters=HyperParameters(), weights=weights, threads=1, **options
    )


class _AnswersOtherwise(nn.Module):
    """One sum while it is exported and another when it runs, as an operation that was translated wrongly."""

    def __init__(self, error: float) -> None:
        super().__init__()
        self.layer = nn.Linear(8 * 8 * 3, 4)
        self.error = error

    def forward(self, pictures: Tensor) -> Tensor:
        logits = self.layer(pictures.flatten(1))
        return logits + self.error * torch.arange(4) if torch.compiler.is_exporting() else logits


def test_an_unfaithful_export_writes_no_bundle(tmp_path: Path, make_data: Callable[..., Data]) -> None:
    data = make_data(size=8, test=40)
    with pytest.raises(
        WorkbenchError, match=r"does not answer as the original: its probabilities differ by up to 0\.0"
    ):
        small_export(tmp_path, _AnswersOtherwise(0.01), data, int8=False)
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]
    bundle = small_export(tmp_path, _AnswersOtherwise(1e-6), data, int8=False)
    assert list(bundle.engines) == ["onnx"]
    assert bundle.left_out == {}


def test_a_poor_int8_engine_is_left_out_with_its_reason(tmp_path: Path, make_data: Callable[..., Data]) -> None:
    # One hidden unit a thousand times as large as the others: on its scale they all round to the same number.
    data, model = make_data(size=8), build_model("mlp", classes=4, shape=(8, 8, 3), width=0.25)
    with torch.no_grad():
        model[3].weight[0] *= 1000
        model[5].weight[:, 0] /= 1000
    bundle = small_export(tmp_path, model, data)
    assert list(bundle.engines) == ["onnx"]
    assert "same answer on" in bundle.left_out["onnx-int8"]["reason"]
    assert bundle.left_out["onnx-int8"]["parity"]["agreement"] < 0.99
    assert not (bundle.path / "model-int8.onnx").exists()
    with pytest.raises(WorkbenchError, match=r"left out of .* at export: it gives the same answer on"):
        Predictor.from_bundle(bundle, "onnx-int8")


def test_weights_that_are_not_the_models_are_refused(tmp_path: Path, exported: Exported) -> None:
    other = build_model("convnet", classes=4, shape=(16, 16, 3), width=0.5, seed=5)
    options = {"hyperparameters": HyperParameters(), "weights": exported.weights}
    with pytest.raises(WorkbenchError, match=r"holds another '0\.weight' than the model in memory"):
        export_bundle(tmp_path / "b", other, exported.data, **options)
    with pytest.raises(WorkbenchError, match="no weights file"):
        export_bundle(tmp_path / "b", other, exported.data, **(options | {"weights": tmp_path / "none"}))
    assert not list(tmp_path.iterdir())


def test_progress_is_told_and_nothing_is_printed(tmp_path: Path, make_data: Callable[..., Data]) -> None:
    """In a fresh process, as a user has it: no line on either stream, no handler left on the root logger."""
    code = (
        "import sys, logging, json; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from conftest import stripes_and_spots, export_trained, build_model\n"
        "data = stripes_and_spots(size=8, test=20)\n"
        "export_trained(Path(sys.argv[1]), build_model('linear', classes=4, shape=(8, 8, 3)), data)\n"
        "assert not logging.getLogger().handlers\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    told = []
    small_export(
        tmp_path,
        build_model("linear", classes=4, shape=(8, 8, 3)),
        make_data(size=8, test=20),
        progress=lambda *step: told.append(step),
    )
    assert told[0] == ("reference answers", 0, 4)
    assert [done for _, done, _ in told] == [0, 1, 2, 3, 4]
    assert logging.getLogger().level == logging.WARNING
    json.dumps(told)
