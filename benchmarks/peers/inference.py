"""The same network in other engines, run by hand: uint8 images (N, H, W, C) in, probabilities out.

Each uses `threads` cores. Those of PyTorch use the process's `torch.set_num_threads`, which the caller sets.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from workbench.bundle.manifest import Bundle
from workbench.training.checkpoint import weights_from_bytes
from workbench.training.models import ImageClassifier

Images = NDArray[np.uint8]
Call = Callable[[Images], NDArray[np.float32]]

EAGER = "PyTorch eager"
SPINS = "ONNX Runtime by hand"  # its threads spin after a query, as they do by default
HOW_TO_ADD_OPENVINO = (
    "OpenVINO is not installed, so it does not race. To add it: uv pip install --no-deps --target FOLDER openvino "
    "openvino-telemetry, then run this with PYTHONPATH=FOLDER."
)


def peers(bundle: Bundle, threads: int) -> dict[str, Call]:
    """Return the installed peers by name, with the weights of `bundle`."""

    def classifier() -> torch.nn.Module:
        weights = weights_from_bytes(bundle.weights, bundle.path / "weights.safetensors")
        return ImageClassifier(weights.model, bundle.preprocessing).eval().requires_grad_(False)

    found = {
        EAGER: _pytorch(classifier(), torch.no_grad),
        "PyTorch traced and frozen": _pytorch(_frozen(classifier(), bundle), torch.inference_mode),
        "PyTorch compiled": _pytorch(torch.compile(classifier()), torch.inference_mode),
        SPINS: _onnx_runtime(bundle, threads),
    }
    openvino = openvino_module()
    if openvino is not None:
        found["OpenVINO, fp32"] = _openvino(openvino, bundle, {"INFERENCE_PRECISION_HINT": "f32"}, threads)
        found["OpenVINO, its own choice"] = _openvino(openvino, bundle, {}, threads)
    return found


def openvino_module() -> Any:
    """Return OpenVINO, or None if it is not installed."""
    try:
        import openvino
    except ImportError:
        return None
    return openvino


def _pytorch(network: Any, mode: Callable[[], Any]) -> Call:
    def call(images: Images) -> NDArray[np.float32]:
        with mode():
            return network(torch.from_numpy(images)).numpy()

    return call


def _frozen(classifier: torch.nn.Module, bundle: Bundle) -> Any:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # TorchScript is deprecated, but still common in production
        return torch.jit.freeze(torch.jit.trace(classifier, torch.from_numpy(bundle.self_test_images[:2].copy())))


def _onnx_runtime(bundle: Bundle, threads: int) -> Call:
    """Return the bare network exported by the official recipe, in a session with defaults, the rest in numpy."""
    model = weights_from_bytes(bundle.weights, bundle.path / "weights.safetensors").model.eval()
    preprocessing = bundle.preprocessing
    example = torch.zeros(2, preprocessing.channels, preprocessing.height, preprocessing.width)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own code
        program = torch.onnx.export(
            model, (example,), dynamic_shapes=({0: torch.export.Dim("N")},), dynamo=True, verbose=False
        )
    content = io.BytesIO()
    program.save(content, external_data=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(content.getvalue(), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    mean, std = (np.array(each, dtype=np.float32)[:, None, None] for each in (preprocessing.mean, preprocessing.std))

    def call(images: Images) -> NDArray[np.float32]:
        pixels = (images.transpose(0, 3, 1, 2).astype(np.float32) / 255 - mean) / std
        logits = session.run(None, {name: pixels})[0]
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        return raised / raised.sum(axis=1, keepdims=True)

    return call


def _openvino(openvino: Any, bundle: Bundle, settings: dict[str, Any], threads: int) -> Call:
    """Return the bundle's ONNX file, which includes the preprocessing, as OpenVINO's guide advises."""
    settings = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"} | settings
    core = openvino.Core()
    request = core.compile_model(
        core.read_model(bundle.engines["onnx"].content), "CPU", settings
    ).create_infer_request()

    def call(images: Images) -> NDArray[np.float32]:
        return request.infer({0: images}, share_inputs=True)[0]

    return call
