"""From a trained network to a bundle: ONNX, int8, and the proof that both still answer as PyTorch does."""

from __future__ import annotations

import copy
import logging
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from torch import Tensor, nn

from workbench.bundle import SELF_TEST_PICTURES, Bundle, Engine, write_bundle
from workbench.checkpoint import weights_from_bytes
from workbench.data import Data, Split
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.inference import Predictor
from workbench.models import Classifier, Normalise, spec_of
from workbench.parity import Parity, compare
from workbench.preprocessing import Preprocessing
from workbench.sealed import shortened
from workbench.weights_format import read_file

OPSET = 20  # ONNX Runtime 1.18 and later run it
CALIBRATION_PICTURES = 512

# What ONNX Runtime computes in whole numbers; everything between two of them stays there.
_INT8_OPERATORS = ["Conv", "Gemm", "MatMul", "MaxPool", "Relu", "Add"]
_WEIGHTED_OPERATORS = ("Conv", "Gemm", "MatMul")

Progress = Callable[[str, int, int], None]


def export_bundle(
    folder: Path,
    model: nn.Module,
    data: Data,
    *,
    hyperparameters: HyperParameters,
    weights: Path,
    about: Mapping[str, Any] | None = None,
    int8: bool = True,
    threads: int | None = None,
    progress: Progress | None = None,
) -> Bundle:
    """Export `model`, whose saved weights are `weights`, prove it on the whole test set of `data`, and write `folder`.

    The reference is eager PyTorch in fp32 on the CPU. The int8 engine is calibrated on training pictures; where it
    answers too differently it is left out, with the reason in the manifest. about: further plain values to note.
    progress(what, done, total) is told of each of the four steps. The model is left as it was. Raises WorkbenchError,
    with nothing written, where the weights are not those of the model, the network cannot be exported, or the exported
    one does not answer as the original does.
    """
    tell = progress or (lambda what, done, total: None)
    weights_content = _checked_weights(Path(weights), model, data)
    tell("reference answers", 0, 4)
    labels, preprocessing, test = data.labels, data.preprocessing, data.test
    pictures, truth = _arrays(test)
    eager = Predictor.from_model(model, preprocessing, labels, threads=threads)
    reference = eager(pictures)

    def proof(content: bytes, engine: str) -> Parity:
        predictor = Predictor.from_onnx(content, preprocessing, labels, engine=engine, threads=threads)
        return compare(reference, predictor(pictures), truth)

    tell("ONNX export", 1, 4)
    content = export_onnx(model, preprocessing)
    parity = proof(content, "onnx")
    failure = parity.fp32_failure()
    if failure:
        raise WorkbenchError(
            f"The exported network does not answer as the original: {failure}. No bundle was written; an operation of "
            "the network behaves differently in ONNX Runtime, so try without the most unusual layer."
        )
    engines = {"onnx": _engine("onnx", content, parity)}
    left_out: dict[str, Any] = {}
    if int8:
        tell("int8 calibration", 2, 4)
        quantized = quantize(content, data.train, seed=hyperparameters.seed)
        parity = proof(quantized, "onnx-int8")
        failure = parity.int8_failure()
        if failure:
            left_out["onnx-int8"] = {"reason": failure, "bytes": len(quantized), "parity": parity.to_mapping()}
        else:
            engines["onnx-int8"] = _engine("onnx-int8", quantized, parity)
    tell("bundle", 3, 4)
    chosen = self_test_indices(truth, len(labels))
    bundle = write_bundle(
        folder,
        labels=labels,
        preprocessing=preprocessing,
        accuracy=parity.reference_accuracy,
        engines=engines,
        left_out=left_out,
        weights=weights_content,
        self_test_pictures=pictures[chosen],
        self_test_labels=[labels[truth[index]] for index in chosen],
        self_test_expected=reference[chosen],
        hyperparameters=asdict(hyperparameters),
        about={**_about(model, data), **(about or {})},
        packages=("torch", "onnx", "onnxscript", "onnxruntime"),
    )
    tell("bundle", 4, 4)
    return bundle


def export_onnx(model: nn.Module, preprocessing: Preprocessing) -> bytes:
    """The network with its preprocessing and softmax as one ONNX file: uint8 (N, H, W, C) in, float32 (N, K) out.

    In fp32 whatever the model was trained in; batch norm is folded into the convolution before it. The file holds
    neither stack traces nor paths of this machine. Raises WorkbenchError where torch.onnx cannot follow the network.
    """
    bare = getattr(model, "_orig_mod", model)
    copied = copy.deepcopy(bare).float().cpu().to(memory_format=torch.contiguous_format)
    classifier = Classifier(copied, preprocessing).eval().requires_grad_(False)
    classifier.normalise = _Contiguous(preprocessing)
    example = torch.zeros(2, preprocessing.height, preprocessing.width, preprocessing.channels, dtype=torch.uint8)
    kind = type(bare).__qualname__
    proto = _exported(classifier, example, kind)
    for value in (*proto.graph.input, *proto.graph.output):
        # Where it cannot follow a network for any batch, the exporter falls back to the batch of the example.
        if value.type.tensor_type.shape.dim[0].HasField("dim_value"):
            raise WorkbenchError(
                f"torch.onnx cannot export this {kind} for any number of pictures: its {value.name} would always be "
                f"{len(example)} at once. Take the batch size from the input (x.shape[0]) instead of writing a number."
            )
    _strip(proto)
    return bytes(proto.SerializeToString())


def _exported(classifier: nn.Module, example: Tensor, kind: str) -> onnx.ModelProto:
    try:
        with _quiet():
            program = torch.onnx.export(
                classifier,
                (example,),
                input_names=["pictures"],
                output_names=["probabilities"],
                dynamic_shapes=({0: torch.export.Dim("N")},),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                optimize=True,
                verbose=False,
            )
    except Exception as error:  # a user's network can fail in any way
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = shortened(" ".join(str(cause).split()), 300)
        raise WorkbenchError(
            f"torch.onnx cannot export this {kind}: {reason} — the network must work for any number of pictures, and "
            "without Python decisions that depend on their values."
        ) from error
    if program is None:
        raise WorkbenchError(f"torch.onnx gave nothing for this {kind}.")
    return program.model_proto


def quantize(content: bytes, train: Split, *, seed: int = 0, count: int = CALIBRATION_PICTURES) -> bytes:
    """An exported network at 8 bits: static, QDQ, weights per channel, calibrated on `count` training pictures.

    Preprocessing, softmax and (where there are others) the last matrix stay in float: the last costs next to nothing
    and decides close calls. Returns the bytes of an ONNX file.
    """
    proto = onnx.load_from_string(content)
    # A no-op for an optimised graph; the mark keeps ONNX Runtime from recommending it on the root logger.
    proto.metadata_props.add(key="onnx.quant.pre_process", value="onnxruntime.quant")
    with tempfile.TemporaryDirectory() as scratch, _quiet():
        source, target = Path(scratch) / "fp32.onnx", Path(scratch) / "int8.onnx"
        onnx.save(proto, source)
        quantize_static(
            source,
            target,
            _TrainingPictures(train, seed, count),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            # Signed activations ran 2.6 times slower on a small residual net (ONNX Runtime 1.32, x86-64).
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=_INT8_OPERATORS,
            nodes_to_exclude=_float_nodes(proto),
        )
        quantized = onnx.load(target)
    _strip(quantized)
    return bytes(quantized.SerializeToString())


def self_test_indices(truth: NDArray[np.int64], classes: int) -> list[int]:
    """Up to SELF_TEST_PICTURES places in `truth` (N,): the first picture of each class, then the first others."""
    first = [int(np.flatnonzero(truth == label)[0]) for label in range(classes) if (truth == label).any()]
    others = [index for index in range(min(len(truth), 2 * SELF_TEST_PICTURES)) if index not in first]
    return sorted((first + others)[:SELF_TEST_PICTURES])


class _Contiguous(Normalise):
    """Normalise without its channels-last result, which makes the exporter spell pooling as strided gathers."""

    def forward(self, pictures: Tensor) -> Tensor:
        return super().forward(pictures).contiguous()


class _TrainingPictures(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime ships no types
    """Feeds a seeded sample of the training pictures to the calibrator, 32 at a time."""

    def __init__(self, train: Split, seed: int, count: int) -> None:
        if not len(train):
            raise WorkbenchError("int8 is calibrated on training pictures and there are none; export with int8=False.")
        chosen = np.random.default_rng(seed).permutation(len(train))[:count]
        pictures = train.pictures[torch.from_numpy(np.sort(chosen))].numpy()
        self._batches = iter([pictures[start : start + 32] for start in range(0, len(pictures), 32)])

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"pictures": batch}


def _float_nodes(proto: onnx.ModelProto) -> list[str]:
    """Names of the nodes that stay in float: those that normalise, and the last matrix if there are others."""
    nodes = list(proto.graph.node)
    weighted = [index for index, node in enumerate(nodes) if node.op_type in _WEIGHTED_OPERATORS]
    before = nodes[: weighted[0]] if weighted else nodes
    last = [nodes[weighted[-1]]] if len(weighted) > 1 else []
    return [node.name for node in (*before, *last)]


def _strip(proto: onnx.ModelProto) -> None:
    # The exporter notes for each node the lines of Python it came from, with the paths of this machine.
    proto.doc_string = ""
    del proto.metadata_props[:]
    del proto.graph.metadata_props[:]
    del proto.graph.value_info[:]
    for part in (proto.graph, *proto.graph.node, *proto.graph.initializer, *proto.graph.input, *proto.graph.output):
        part.doc_string = ""
    for node in (*proto.graph.node, *proto.graph.initializer, *proto.graph.input, *proto.graph.output):
        del node.metadata_props[:]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's and the quantizer's remarks to developers away from the user."""
    root = logging.getLogger()
    # Without any handler the first remark would give the root logger one for good (logging.basicConfig).
    silent = logging.NullHandler()
    root.addHandler(silent)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeHandler(silent)


def _checked_weights(path: Path, model: nn.Module, data: Data) -> bytes:
    """The bytes of the weights file, once it is sure that they are this model's and this data's."""
    if not len(data.test):
        raise WorkbenchError(f"{data.name} has no test pictures: parity cannot be shown, so nothing is exported.")
    content = read_file(path, "weights file")
    bare = getattr(model, "_orig_mod", model)
    twin = copy.deepcopy(bare).cpu()
    weights = weights_from_bytes(content, path, twin, labels=data.labels)
    if weights.preprocessing != data.preprocessing:
        raise WorkbenchError(f"{path} was trained with another preprocessing than {data.name} has now. Train again.")
    loaded = twin.state_dict()
    for name, tensor in bare.state_dict().items():
        if not torch.equal(tensor.cpu(), loaded[name]):
            raise WorkbenchError(f"{path} holds another {name!r} than the model in memory. Save the weights again.")
    return content


def _arrays(split: Split) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    return split.pictures.cpu().numpy(), split.labels.cpu().numpy()


def _engine(name: str, content: bytes, parity: Parity) -> Engine:
    return Engine(name=name, content=content, accuracy=parity.accuracy, parity=parity.to_mapping())


def _about(model: nn.Module, data: Data) -> dict[str, Any]:
    bare = getattr(model, "_orig_mod", model)
    spec = spec_of(bare)
    return {
        "data": data.name,
        "model": None if spec is None else spec.to_mapping(),
        "class_name": type(bare).__qualname__,
        "test_pictures": len(data.test),
    }
