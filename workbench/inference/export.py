"""From a trained network to a bundle: export to ONNX and int8, and verify that both answer like PyTorch."""

from __future__ import annotations

import copy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from workbench.bundle.manifest import Bundle, Engine
from workbench.bundle.parity import Parity, compare
from workbench.bundle.writer import write_bundle
from workbench.callbacks import Progress
from workbench.data.datasets import Data
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.inference.onnx_export import export_onnx
from workbench.inference.predictor import Predictor
from workbench.inference.quantization import quantize
from workbench.training.checkpoint import weights_from_bytes
from workbench.training.models import spec_of, uncompiled
from workbench.training.weights_format import read_file

SELF_TEST_IMAGES = 10


def export_bundle(
    folder: Path,
    model: nn.Module,
    data: Data,
    *,
    hyperparameters: HyperParameters,
    weights: Path,
    int8: bool = True,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Bundle:
    """Export `model`, whose saved weights are `weights`, verify it on the whole test set of `data`, write `folder`.

    The reference is eager PyTorch in fp32 on the CPU. The int8 engine is calibrated on training images, and left out,
    with the reason in the manifest, if its answers differ too much. progress: called as progress(step, done, 4). The
    model is not changed. Raises WorkbenchError, with nothing written, if the weights are not those of the model, or the
    network cannot be exported or answers differently once exported.

    >>> data, setting = wb.load_dataset("digits"), wb.HyperParameters(model="linear")
    >>> model = wb.build_model("linear", shape=data.shape)
    >>> how = {"labels": data.labels, "preprocessing": data.preprocessing, "hyperparameters": setting}
    >>> saved = wb.save_weights("weights.safetensors", model, **how)
    >>> bundle = wb.export_bundle("bundle", model, data, hyperparameters=setting, weights="weights.safetensors")
    >>> bundle.engines["onnx"].parity["agreement"]
    1.0
    """
    report = progress or (lambda step, done, total: None)
    saved = _checked_weights(Path(weights), model, data)
    report("reference answers", 0, 4)
    reference = _Reference(model, data, threads)
    engines, left_out = _export_engines(model, reference, hyperparameters.seed, int8, report)
    report("bundle", 3, 4)
    chosen = self_test_indices(reference.truth, len(data.labels))
    bundle = write_bundle(
        folder,
        labels=data.labels,
        preprocessing=data.preprocessing,
        accuracy=reference.accuracy,
        engines=engines,
        left_out=left_out,
        weights=saved,
        self_test_images=reference.images[chosen],
        self_test_labels=[data.labels[index] for index in reference.truth[chosen]],
        self_test_expected=reference.answers[chosen],
        hyperparameters=asdict(hyperparameters),
        about=_about(model, data),
        packages=("torch", "onnx", "onnxscript", "onnxruntime"),
    )
    report("bundle", 4, 4)
    return bundle


def self_test_indices(truth: NDArray[np.int64], classes: int) -> list[int]:
    """Return up to SELF_TEST_IMAGES indices into `truth` (N,): the first image of each class, then the first others."""
    first = [int(np.flatnonzero(truth == label)[0]) for label in range(classes) if (truth == label).any()]
    others = [index for index in range(min(len(truth), 2 * SELF_TEST_IMAGES)) if index not in first]
    return sorted((first + others)[:SELF_TEST_IMAGES])


class _Reference:
    """The test set and the answers of eager PyTorch, with which exported engines are compared."""

    def __init__(self, model: nn.Module, data: Data, threads: int | None) -> None:
        self.data, self.threads = data, threads
        self.images, self.truth = data.test.images.cpu().numpy(), data.test.labels.cpu().numpy()
        self.answers = Predictor.from_model(model, data.preprocessing, data.labels, threads=threads)(self.images)
        self.accuracy = float((self.answers.argmax(axis=1) == self.truth).mean())

    def parity(self, engine: str, content: bytes) -> Parity:
        labels, preprocessing = self.data.labels, self.data.preprocessing
        predictor = Predictor.from_onnx(content, preprocessing, labels, engine=engine, threads=self.threads)
        return compare(self.answers, predictor(self.images), self.truth)


def _export_engines(
    model: nn.Module, reference: _Reference, seed: int, int8: bool, report: Progress
) -> tuple[dict[str, Engine], dict[str, Any]]:
    """Return the engines that answer like the reference, and why int8 was left out, if it was."""
    report("ONNX export", 1, 4)
    content = export_onnx(model, reference.data.preprocessing)
    parity = reference.parity("onnx", content)
    failure = parity.fp32_failure()
    if failure:
        raise WorkbenchError(
            f"The exported network does not answer like the original: {failure}. No bundle was written. An operation "
            "of the network behaves differently in ONNX Runtime: try without the most unusual layer."
        )
    engines = {"onnx": _engine("onnx", content, parity)}
    if not int8:
        return engines, {}
    report("int8 calibration", 2, 4)
    content = quantize(content, reference.data.train, seed=seed)
    parity = reference.parity("onnx-int8", content)
    failure = parity.int8_failure()
    if failure:
        return engines, {"onnx-int8": {"reason": failure, "bytes": len(content), "parity": parity.to_mapping()}}
    return engines | {"onnx-int8": _engine("onnx-int8", content, parity)}, {}


def _engine(name: str, content: bytes, parity: Parity) -> Engine:
    return Engine(name=name, content=content, accuracy=parity.accuracy, parity=parity.to_mapping())


def _checked_weights(path: Path, model: nn.Module, data: Data) -> bytes:
    """Return the bytes of the weights file, once they are verified to be this model's and this data's."""
    if not len(data.test):
        raise WorkbenchError(f"{data.name} has no test images: parity cannot be verified, so nothing is exported.")
    content = read_file(path, "weights file")
    bare = uncompiled(model)
    twin = copy.deepcopy(bare).cpu()
    weights = weights_from_bytes(content, path, twin, labels=data.labels)
    if weights.preprocessing != data.preprocessing:
        raise WorkbenchError(
            f"{path} was trained with different preprocessing from that of {data.name} now. Train again."
        )
    loaded = twin.state_dict()
    for name, tensor in bare.state_dict().items():
        if not torch.equal(tensor.cpu(), loaded[name]):
            raise WorkbenchError(f"{path} has a different {name!r} from the model in memory. Save the weights again.")
    return content


def _about(model: nn.Module, data: Data) -> dict[str, Any]:
    bare = uncompiled(model)
    spec = spec_of(bare)
    return {
        "data": data.name,
        "model": None if spec is None else spec.to_mapping(),
        "class_name": type(bare).__qualname__,
        "test_images": len(data.test),
    }
