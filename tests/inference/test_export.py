"""Bundles made from a trained network: what is measured, noted and refused."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
import torch
from inference.oracle import answers_of
from torch import Tensor, nn

from workbench.data.datasets import Data
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.inference.export import export_bundle, self_test_indices
from workbench.inference.predictor import Predictor
from workbench.training.checkpoint import save_weights
from workbench.training.models import ImageClassifier, build_model

if TYPE_CHECKING:
    from conftest import Exported


def test_parity_and_accuracy_are_those_of_the_whole_test_set(exported: Exported) -> None:
    data, bundle = exported.data, exported.bundle
    classifier = ImageClassifier(exported.model, data.preprocessing).eval()
    with torch.inference_mode():
        expected = classifier(data.test.images).numpy()
    truth = data.test.labels.numpy()
    assert bundle.accuracy == (expected.argmax(1) == truth).mean()
    assert bundle.accuracy > 0.8
    for name, engine in bundle.engines.items():
        answers = answers_of(
            (bundle.path / f"model{'-int8' if 'int8' in name else ''}.onnx").read_bytes(), data.test.images
        )
        assert engine.accuracy == (answers.argmax(1) == truth).mean()
        assert engine.parity["images"] == len(truth)
        assert engine.parity["agreement"] == (answers.argmax(1) == expected.argmax(1)).mean()
        assert engine.parity["largest_difference"] == pytest.approx(np.abs(answers - expected).max(), abs=2e-6)
    assert bundle.engines["onnx"].parity["largest_difference"] < 1e-5


def test_self_test_images_are_test_images_of_every_class(exported: Exported) -> None:
    bundle, test = exported.bundle, exported.data.test
    assert len(bundle.self_test_images) == 10
    labels = [entry["label"] for entry in bundle.manifest["self_test"]]
    assert set(labels) == set(bundle.labels)
    images = test.images.numpy()
    for image, label in zip(bundle.self_test_images, labels, strict=True):
        place = next(index for index, other in enumerate(images) if np.array_equal(image, other))
        assert bundle.labels[test.labels[place]] == label


def test_self_test_images_are_chosen_well() -> None:
    truth = np.array([0] * 50 + [1] * 50 + [2] * 50)
    assert self_test_indices(truth, 3) == [0, 1, 2, 3, 4, 5, 6, 7, 50, 100]
    assert self_test_indices(truth, 4) == [0, 1, 2, 3, 4, 5, 6, 7, 50, 100]  # no image of the fourth
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


class _ExportsDifferently(nn.Module):
    """Computes one thing while it is exported and another when it runs, as if an operation were translated wrongly."""

    def __init__(self, error: float) -> None:
        super().__init__()
        self.layer = nn.Linear(8 * 8 * 3, 4)
        self.error = error

    def forward(self, images: Tensor) -> Tensor:
        logits = self.layer(images.flatten(1))
        return logits + self.error * torch.arange(4) if torch.compiler.is_exporting() else logits


def test_an_unfaithful_export_writes_no_bundle(tmp_path: Path, make_data: Callable[..., Data]) -> None:
    data = make_data(size=8, test=40)
    with pytest.raises(
        WorkbenchError, match=r"does not answer like the original: its probabilities differ by up to 0\.0"
    ):
        small_export(tmp_path, _ExportsDifferently(0.01), data, int8=False)
    assert [path.name for path in tmp_path.iterdir()] == ["w.safetensors"]
    bundle = small_export(tmp_path, _ExportsDifferently(1e-6), data, int8=False)
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
    with pytest.raises(WorkbenchError, match=r"has a different '0\.weight' from the model in memory"):
        export_bundle(tmp_path / "b", other, exported.data, **options)
    with pytest.raises(WorkbenchError, match="no weights file"):
        export_bundle(tmp_path / "b", other, exported.data, **(options | {"weights": tmp_path / "none"}))
    assert not list(tmp_path.iterdir())


def test_progress_is_reported_and_nothing_is_printed(tmp_path: Path, make_data: Callable[..., Data]) -> None:
    """In a new process, as a user has it: no line on either stream, no handler left on the root logger."""
    code = (
        "import sys, logging, json; from pathlib import Path; sys.path.insert(0, sys.argv[2])\n"
        "from conftest import stripes_and_spots, export_trained, build_model\n"
        "data = stripes_and_spots(size=8, test=20)\n"
        "export_trained(Path(sys.argv[1]), build_model('linear', classes=4, shape=(8, 8, 3)), data)\n"
        "assert not logging.getLogger().handlers\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path), str(Path(__file__).parents[1])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    steps = []
    small_export(
        tmp_path,
        build_model("linear", classes=4, shape=(8, 8, 3)),
        make_data(size=8, test=20),
        progress=lambda *step: steps.append(step),
    )
    assert steps[0] == ("reference answers", 0, 4)
    assert [done for _, done, _ in steps] == [0, 1, 2, 3, 4]
    assert logging.getLogger().level == logging.WARNING
    json.dumps(steps)
