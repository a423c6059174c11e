"""Export a PyTorch network as one ONNX file, without batch norm and without traces of this machine."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import torch
from torch import Tensor, nn

from workbench.bundle.preprocessing import Preprocessing
from workbench.errors import WorkbenchError
from workbench.training.models import ImageClassifier, Normalise, uncompiled
from workbench.wording import one_line

OPSET = 20  # ONNX Runtime 1.18 and later run it


def export_onnx(model: nn.Module, preprocessing: Preprocessing) -> bytes:
    """Return the network with its preprocessing and softmax as ONNX: uint8 (N, H, W, C) in, float32 (N, K) out.

    In fp32, whatever precision the model was trained in; batch norm is folded into the convolution before it. The file
    contains neither stack traces nor paths. Raises WorkbenchError if torch.onnx cannot follow the network.
    """
    bare = uncompiled(model)
    copied = copy.deepcopy(bare).float().cpu().to(memory_format=torch.contiguous_format)
    classifier = ImageClassifier(copied, preprocessing).eval().requires_grad_(False)
    classifier.normalise = _Contiguous(preprocessing)
    example = torch.zeros(2, *preprocessing.shape, dtype=torch.uint8)
    kind = type(bare).__qualname__
    proto = _export(classifier, example, kind)
    for value in (*proto.graph.input, *proto.graph.output):
        # If it cannot export a network for any batch size, the exporter silently uses that of the example.
        if value.type.tensor_type.shape.dim[0].HasField("dim_value"):
            raise WorkbenchError(
                f"torch.onnx cannot export this {kind} for any number of images: its {value.name} would always be "
                f"{len(example)}. Take the batch size from the input (x.shape[0]) instead of writing a number."
            )
    strip(proto)
    return bytes(proto.SerializeToString())


def strip(proto: onnx.ModelProto) -> None:
    """Remove everything that no engine needs, such as the source lines and paths that each node came from."""
    proto.doc_string = ""
    del proto.metadata_props[:]
    del proto.graph.metadata_props[:]
    del proto.graph.value_info[:]
    parts = (*proto.graph.node, *proto.graph.initializer, *proto.graph.input, *proto.graph.output)
    for part in (proto.graph, *parts):
        part.doc_string = ""
    for part in parts:
        del part.metadata_props[:]


@contextmanager
def quiet() -> Iterator[None]:
    """Suppress what the exporter and the quantizer warn and log about for developers."""
    root = logging.getLogger()
    # Without a handler the first message would give the root logger one for good (logging.basicConfig).
    silent = logging.NullHandler()
    root.addHandler(silent)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.removeHandler(silent)


class _Contiguous(Normalise):
    """Normalise without its channels-last result, which makes the exporter write pooling as strided gathers."""

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).contiguous()


def _export(classifier: nn.Module, example: Tensor, kind: str) -> onnx.ModelProto:
    try:
        with quiet():
            program = torch.onnx.export(
                classifier,
                (example,),
                input_names=["images"],
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
        raise WorkbenchError(
            f"torch.onnx cannot export this {kind}: {one_line(cause, 300)} — the network must work for any number of "
            "images, and without Python decisions that depend on their values."
        ) from error
    if program is None:
        raise WorkbenchError(f"torch.onnx returned nothing for this {kind}.")
    return program.model_proto
