"""Requests and responses of the Open Inference Protocol, version 2: tensors as JSON, or as bytes that follow it.

Sources: the protocol's REST specification (kserve/open-inference-protocol) and Triton's binary tensor data extension,
where the header Inference-Header-Content-Length says where the JSON ends and the tensors begin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from workbench.serving.network import Network
from workbench.serving.problems import Problem
from workbench.wording import shorten

JSON_LENGTH = "Inference-Header-Content-Length"
INPUT, OUTPUT = "images", "probabilities"


@dataclass(frozen=True, kw_only=True, eq=False)
class TensorRequest:
    """A parsed request. images: uint8 (N, H, W, C). binary: whether to return the probabilities as bytes."""

    images: NDArray[np.uint8]
    binary: bool
    id: str | None


def metadata(network: Network) -> dict[str, Any]:
    """Return the protocol's model metadata."""
    return {
        "name": network.name,
        "versions": [network.version],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, *network.shape]}],
        "outputs": [{"name": OUTPUT, "datatype": "FP32", "shape": [-1, len(network.bundle.labels)]}],
    }


def json_length(header: str | None, body: bytes) -> int:
    """Return the length in bytes of the JSON at the start of a body. Raises Problem for an impossible header."""
    if header is None:
        return len(body)
    if not header.isdecimal() or len(header) > 18 or not 0 < int(header) <= len(body):
        given = f"{JSON_LENGTH} = {shorten(header, 40)!r}"
        raise _bad_request(f"{given}: must be from 1 to the {len(body):,} bytes of the body.")
    return int(header)


def read_request(body: bytes, length: int, shape: tuple[int, int, int], max_images: int) -> TensorRequest:
    """Parse a request for up to `max_images` images of `shape`, whose first `length` bytes are JSON.

    Raises Problem naming the offending key.
    """
    try:
        value = orjson.loads(memoryview(body)[:length])
    except orjson.JSONDecodeError as error:
        raise _bad_request(f"The request is not valid JSON: {shorten(error)}.") from error
    request = _mapping(value, "the request")
    inputs = request.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1:
        raise _bad_request(f"inputs: give a list of one tensor, {INPUT!r}.")
    identity = request.get("id")
    if identity is not None and not isinstance(identity, str):
        raise _bad_request("id: must be a text.")
    tensor = _mapping(inputs[0], "inputs[0]")
    if tensor.get("name") != INPUT:
        raise _bad_request(f"inputs[0].name = {_format(tensor.get('name'))}: this network takes {INPUT!r}.")
    if tensor.get("datatype") != "UINT8":
        datatype = _format(tensor.get("datatype"))
        raise _bad_request(f"inputs[0].datatype = {datatype}: this network takes UINT8, from 0 to 255.")
    return TensorRequest(
        images=_pixels(tensor, memoryview(body)[length:], _tensor_shape(tensor.get("shape"), shape, max_images)),
        binary=_binary_output(request),
        id=identity,
    )


def write_response(
    network: Network, request: TensorRequest, probabilities: NDArray[np.float32]
) -> tuple[bytes, dict[str, str]]:
    """Return the body and the headers of a response."""
    output: dict[str, Any] = {"name": OUTPUT, "datatype": "FP32", "shape": list(probabilities.shape)}
    content = np.ascontiguousarray(probabilities, dtype="<f4")
    if request.binary:
        output["parameters"] = {"binary_data_size": content.nbytes}
    else:
        output["data"] = content.ravel()
    response = {"model_name": network.name, "model_version": network.version, "outputs": [output]}
    if request.id is not None:
        response["id"] = request.id
    head = orjson.dumps(response, option=orjson.OPT_SERIALIZE_NUMPY)
    if not request.binary:
        return head, {"Content-Type": "application/json"}
    return head + content.tobytes(), {"Content-Type": "application/octet-stream", JSON_LENGTH: str(len(head))}


def _tensor_shape(given: Any, shape: tuple[int, int, int], max_images: int) -> tuple[int, ...]:
    is_shape = isinstance(given, list) and all(type(size) is int for size in given)
    if not is_shape or len(given) != 4 or tuple(given[1:]) != shape:
        expected = f"[N, {', '.join(map(str, shape))}]"
        raise _bad_request(f"inputs[0].shape = {_format(given)}: this network takes {expected}.")
    if not 1 <= given[0] <= max_images:
        raise _bad_request(f"inputs[0].shape = {_format(given)}: N must be from 1 to {max_images:,}.")
    return tuple(given)


def _pixels(tensor: dict[str, Any], tail: memoryview, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return the tensor, from its `data` or from the bytes that follow the JSON."""
    size, parameters = math.prod(shape), _parameters(tensor, "inputs[0].")
    if "shared_memory_region" in parameters:
        raise _bad_request("inputs[0].parameters.shared_memory_region: not supported; send the tensor.")
    stated = parameters.get("binary_data_size")
    if stated is None:
        if len(tail):
            raise _bad_request(f"{len(tail):,} bytes follow the JSON, and no input has a binary_data_size.")
        return _numbers(tensor.get("data"), size).reshape(shape)
    if "data" in tensor:
        raise _bad_request("inputs[0]: has both data and a binary_data_size; give one of them.")
    if type(stated) is not int or stated != size or len(tail) != size:
        raise _bad_request(
            f"inputs[0].parameters.binary_data_size = {_format(stated)}, and {len(tail):,} bytes follow the JSON: "
            f"a tensor of this shape has {size:,}."
        )
    return np.frombuffer(tail, dtype=np.uint8).reshape(shape)


def _numbers(data: Any, size: int) -> NDArray[np.uint8]:
    if not isinstance(data, list):
        raise _bad_request("inputs[0].data: give the numbers as a list, flat or nested, or a binary_data_size.")
    try:
        numbers = np.array(data)
    except ValueError as error:
        raise _bad_request("inputs[0].data: the nested lists have different lengths.") from error
    if numbers.dtype.kind not in "iu" or (numbers.size and not 0 <= numbers.min() <= numbers.max() <= 255):
        raise _bad_request("inputs[0].data: must be whole numbers from 0 to 255.")
    if numbers.size != size:
        raise _bad_request(f"inputs[0].data: has {numbers.size:,} numbers, and a tensor of this shape has {size:,}.")
    return numbers.astype(np.uint8)


def _binary_output(request: dict[str, Any]) -> bool:
    """Return whether to send the output as bytes: its own parameter overrides the request's."""
    binary = _flag(_parameters(request, ""), "binary_data_output", False)
    outputs = request.get("outputs", [])
    if not isinstance(outputs, list) or len(outputs) > 1:
        raise _bad_request(f"outputs: give none, or a list of one, {OUTPUT!r}.")
    for item in outputs:
        output = _mapping(item, "outputs[0]")
        if output.get("name") != OUTPUT:
            raise _bad_request(f"outputs[0].name = {_format(output.get('name'))}: this network gives {OUTPUT!r}.")
        parameters = _parameters(output, "outputs[0].")
        for unsupported in ("classification", "shared_memory_region"):
            if unsupported in parameters:
                raise _bad_request(f"outputs[0].parameters.{unsupported}: not supported; POST /classify gives labels.")
        binary = _flag(parameters, "binary_data", binary)
    return binary


def _flag(parameters: dict[str, Any], name: str, default: bool) -> bool:
    value = parameters.get(name, default)
    if not isinstance(value, bool):
        raise _bad_request(f"{name} = {_format(value)}: must be true or false.")
    return value


def _parameters(holder: dict[str, Any], prefix: str) -> dict[str, Any]:
    return _mapping(holder.get("parameters", {}), f"{prefix}parameters")


def _mapping(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _bad_request(f"{name}: must be a JSON object.")
    return value


def _format(value: Any) -> str:
    return shorten(repr(value), 60)


def _bad_request(detail: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, detail)
