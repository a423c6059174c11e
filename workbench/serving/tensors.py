"""The Open Inference Protocol, version 2: tensors in, tensors out, as JSON or as bytes behind it.

Sources: the protocol's REST specification (kserve/open-inference-protocol) and Triton's binary tensor data extension,
in which the header Inference-Header-Content-Length says where the JSON ends and the tensors begin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from workbench.sealed import shortened
from workbench.serving.network import Network
from workbench.serving.problems import Problem

JSON_LENGTH = "Inference-Header-Content-Length"
INPUT, OUTPUT = "pictures", "probabilities"


@dataclass(frozen=True, kw_only=True, eq=False)
class TensorRequest:
    """What was asked. pictures: uint8 (N, H, W, C). binary: whether the answer shall come as bytes."""

    pictures: NDArray[np.uint8]
    binary: bool
    id: str | None


def metadata(network: Network) -> dict[str, Any]:
    """What the protocol tells of a model."""
    return {
        "name": network.name,
        "versions": [network.version],
        "platform": "onnxruntime_onnx",
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, *network.shape]}],
        "outputs": [{"name": OUTPUT, "datatype": "FP32", "shape": [-1, len(network.bundle.labels)]}],
    }


def json_length(stated: str | None, body: bytes) -> int:
    """Bytes of JSON at the beginning of a body. Raises Problem for a header that says what cannot be."""
    if stated is None:
        return len(body)
    if not stated.isdecimal() or len(stated) > 18 or not 0 < int(stated) <= len(body):
        told = f"{JSON_LENGTH} = {shortened(stated, 40)!r}"
        raise _wrong(f"{told}: must be from 1 to the {len(body):,} bytes of the body.")
    return int(stated)


def read_request(body: bytes, length: int, shape: tuple[int, int, int], most: int) -> TensorRequest:
    """Read a request for pictures of `shape`, `most` of them, whose first `length` bytes are JSON.

    Raises Problem, naming the key, for whatever is not as the protocol and the network want it.
    """
    try:
        asked = orjson.loads(memoryview(body)[:length])
    except orjson.JSONDecodeError as error:
        raise _wrong(f"The request is not valid JSON: {shortened(error)}.") from error
    given = _mapping(asked, "the request")
    inputs = given.get("inputs")
    if not isinstance(inputs, list) or len(inputs) != 1:
        raise _wrong(f"inputs: give a list of one tensor, {INPUT!r}.")
    identity = given.get("id")
    if identity is not None and not isinstance(identity, str):
        raise _wrong("id: must be a text.")
    tensor = _mapping(inputs[0], "inputs[0]")
    if tensor.get("name") != INPUT:
        raise _wrong(f"inputs[0].name = {_told(tensor.get('name'))}: this network takes {INPUT!r}.")
    if tensor.get("datatype") != "UINT8":
        raise _wrong(f"inputs[0].datatype = {_told(tensor.get('datatype'))}: this network takes UINT8, from 0 to 255.")
    return TensorRequest(
        pictures=_pixels(tensor, memoryview(body)[length:], _checked_shape(tensor.get("shape"), shape, most)),
        binary=_wants_bytes(given),
        id=identity,
    )


def write_answer(
    network: Network, asked: TensorRequest, probabilities: NDArray[np.float32]
) -> tuple[bytes, dict[str, str]]:
    """The body of an answer and its headers."""
    output: dict[str, Any] = {"name": OUTPUT, "datatype": "FP32", "shape": list(probabilities.shape)}
    content = np.ascontiguousarray(probabilities, dtype="<f4")
    if asked.binary:
        output["parameters"] = {"binary_data_size": content.nbytes}
    else:
        output["data"] = content.ravel()
    told = {"model_name": network.name, "model_version": network.version, "outputs": [output]}
    if asked.id is not None:
        told["id"] = asked.id
    head = orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY)
    if not asked.binary:
        return head, {"Content-Type": "application/json"}
    return head + content.tobytes(), {"Content-Type": "application/octet-stream", JSON_LENGTH: str(len(head))}


def _checked_shape(stated: Any, shape: tuple[int, int, int], most: int) -> tuple[int, ...]:
    wanted = f"[N, {', '.join(map(str, shape))}]"
    numbers = isinstance(stated, list) and all(type(each) is int for each in stated)
    if not numbers or len(stated) != 4 or tuple(stated[1:]) != shape:
        raise _wrong(f"inputs[0].shape = {_told(stated)}: this network takes {wanted}.")
    if not 1 <= stated[0] <= most:
        raise _wrong(f"inputs[0].shape = {_told(stated)}: N must be from 1 to {most:,}.")
    return tuple(stated)


def _pixels(tensor: dict[str, Any], behind: memoryview, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    size, parameters = math.prod(shape), _parameters(tensor, "inputs[0].")
    if "shared_memory_region" in parameters:
        raise _wrong("inputs[0].parameters.shared_memory_region: there is no shared memory here; send the tensor.")
    stated = parameters.get("binary_data_size")
    if stated is None:
        if len(behind):
            raise _wrong(f"{len(behind):,} bytes follow the JSON, and no input has a binary_data_size.")
        return _numbers(tensor.get("data"), size).reshape(shape)
    if "data" in tensor:
        raise _wrong("inputs[0]: has both data and a binary_data_size; one of them is the tensor.")
    if type(stated) is not int or stated != size or len(behind) != size:
        raise _wrong(
            f"inputs[0].parameters.binary_data_size = {_told(stated)}, and {len(behind):,} bytes follow the JSON: a "
            f"tensor of this shape has {size:,}."
        )
    return np.frombuffer(behind, dtype=np.uint8).reshape(shape)


def _numbers(data: Any, size: int) -> NDArray[np.uint8]:
    if not isinstance(data, list):
        raise _wrong("inputs[0].data: give the numbers as a list, flat or nested, or a binary_data_size.")
    try:
        numbers = np.array(data)
    except ValueError as error:
        raise _wrong("inputs[0].data: the lists inside have different lengths.") from error
    if numbers.dtype.kind not in "iu" or (numbers.size and not 0 <= numbers.min() <= numbers.max() <= 255):
        raise _wrong("inputs[0].data: must be whole numbers from 0 to 255.")
    if numbers.size != size:
        raise _wrong(f"inputs[0].data: has {numbers.size:,} numbers, and a tensor of this shape has {size:,}.")
    return numbers.astype(np.uint8)


def _wants_bytes(given: dict[str, Any]) -> bool:
    """Whether the one output shall come as bytes: as it says itself, or else as the request says for all."""
    binary = _flag(_parameters(given, ""), "binary_data_output", False)
    outputs = given.get("outputs", [])
    if not isinstance(outputs, list) or len(outputs) > 1:
        raise _wrong(f"outputs: give none, or a list of one, {OUTPUT!r}.")
    for output in outputs:
        wanted = _mapping(output, "outputs[0]")
        if wanted.get("name") != OUTPUT:
            raise _wrong(f"outputs[0].name = {_told(wanted.get('name'))}: this network gives {OUTPUT!r}.")
        parameters = _parameters(wanted, "outputs[0].")
        for unknown in ("classification", "shared_memory_region"):
            if unknown in parameters:
                raise _wrong(f"outputs[0].parameters.{unknown}: cannot be had here; POST /classify tells labels.")
        binary = _flag(parameters, "binary_data", binary)
    return binary


def _flag(parameters: dict[str, Any], name: str, otherwise: bool) -> bool:
    value = parameters.get(name, otherwise)
    if not isinstance(value, bool):
        raise _wrong(f"{name} = {_told(value)}: must be true or false.")
    return value


def _parameters(holder: dict[str, Any], where: str) -> dict[str, Any]:
    return _mapping(holder.get("parameters", {}), f"{where}parameters")


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(f"{what}: must be a JSON object.")
    return value


def _told(value: Any) -> str:
    return shortened(repr(value), 60)


def _wrong(detail: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, detail)
