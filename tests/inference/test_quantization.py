"""int8 engines: what is quantized, what stays in float, and that calibration is repeatable."""

from __future__ import annotations

from typing import TYPE_CHECKING

import onnx
from inference.oracle import answers_of, preprocessing_of

from workbench.inference.onnx_export import export_onnx
from workbench.inference.predictor import Predictor
from workbench.inference.quantization import float_nodes, quantize
from workbench.training.models import build_model

if TYPE_CHECKING:
    from conftest import Exported


def test_int8_weights_are_integers_and_answers_agree(exported: Exported) -> None:
    content = exported.bundle.engines["onnx-int8"].content
    assert len(content) < 0.4 * len(exported.bundle.engines["onnx"].content)
    graph = onnx.load_from_string(content).graph
    weights = [tensor for tensor in graph.initializer if len(tensor.dims) == 4 and tensor.dims[2] == 3]
    assert len(weights) == 3
    assert {tensor.data_type for tensor in weights} == {onnx.TensorProto.INT8}
    # Per channel: one scale for each output channel.
    by_name = {tensor.name: tensor for tensor in graph.initializer}
    dequantized = [node for node in graph.node if node.op_type == "DequantizeLinear" and node.input[0] in by_name]
    scales = {node.input[0]: list(by_name[node.input[1]].dims) for node in dequantized}
    assert all(scales[tensor.name] == [tensor.dims[0]] for tensor in weights)
    test = exported.data.test
    same = answers_of(content, test.images).argmax(1) == Predictor.from_bundle(exported.bundle)(test.images).argmax(1)
    assert same.mean() >= 0.99


def test_preprocessing_and_softmax_stay_in_float(exported: Exported) -> None:
    proto = onnx.load_from_string(exported.bundle.engines["onnx"].content)
    kept = [node.op_type for node in proto.graph.node if node.name in float_nodes(proto)]
    assert kept == ["Transpose", "Cast", "Mul", "Add", "Gemm"]
    graph = onnx.load_from_string(exported.bundle.engines["onnx-int8"].content).graph
    by_output = {output: node.op_type for node in graph.node for output in node.output}
    for node in graph.node:
        if node.op_type in ("Softmax", "Cast", "Mul", "Add", "Gemm"):
            assert by_output.get(node.input[0]) != "DequantizeLinear", node.op_type


def test_calibration_sees_training_images_only_and_is_repeatable(exported: Exported) -> None:
    content, train = exported.bundle.engines["onnx"].content, exported.data.train
    assert quantize(content, train) == exported.bundle.engines["onnx-int8"].content
    assert quantize(content, train, seed=1, count=40) != quantize(content, train, seed=2, count=40)


def test_a_linear_model_is_quantized_too() -> None:
    content = export_onnx(build_model("linear", classes=4, shape=(16, 16, 3)), preprocessing_of(16))
    proto = onnx.load_from_string(content)
    assert "Gemm" not in [node.op_type for node in proto.graph.node if node.name in float_nodes(proto)]
