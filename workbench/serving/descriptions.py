"""The OpenAPI 3.1 description of every route: its parameters, its body and each response it may give."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from workbench.serving import problems, tensors
from workbench.serving.network import Network

SUMMARY = (
    "A trained network behind HTTP. Programs use the Open Inference Protocol, version 2; /classify takes image files; "
    "the page at / is for people."
)
_MEANINGS = {
    400: "The request is malformed; the detail says where.",
    404: "No such thing is here.",
    408: "The request took too long to arrive.",
    413: "The body is too large.",
    415: "The body has an unsupported Content-Encoding.",
    422: "The content cannot be read as an image.",
    503: "Too busy: ask again after Retry-After.",
}

OperationObject = dict[str, Any]


def document(version: str, operations: Iterable[tuple[str, str, OperationObject]]) -> dict[str, Any]:
    """Return /openapi.json for operations given as (method, path, description)."""
    paths: dict[str, dict[str, OperationObject]] = {}
    for method, path, operation in operations:
        words = re.sub(r"[/.]", "_", re.sub(r"[{}]", "", path).strip("/"))
        described = {"operationId": f"{method.lower()}_{words}"} | operation
        parameters = [
            {"name": name, "in": "path", "required": True, "schema": _TEXT} for name in re.findall(r"{(\w+)}", path)
        ]
        paths.setdefault(path, {})[method.lower()] = described | ({"parameters": parameters} if parameters else {})
    info = {"title": "Workbench", "description": SUMMARY, "version": version}
    return {"openapi": "3.1.0", "info": info, "paths": paths}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _array(items: dict[str, Any], **constraints: Any) -> dict[str, Any]:
    return {"type": "array", "items": items} | constraints


_TEXT = {"type": "string"}
_FLAG = {"type": "boolean"}
_BYTES = {"type": "string", "format": "binary"}
_TENSOR = _object(name=_TEXT, datatype=_TEXT, shape=_array({"type": "integer"}))
LIVE, READY = _object(live=_FLAG), _object(ready=_FLAG)
SERVER = _object(name=_TEXT, version=_TEXT, extensions=_array(_TEXT))
MODEL = _object(name=_TEXT, versions=_array(_TEXT), platform=_TEXT, inputs=_array(_TENSOR), outputs=_array(_TENSOR))
MODEL_READY = _object(name=_TEXT, ready=_FLAG)
CARD = _object(
    name=_TEXT,
    version=_TEXT,
    created=_TEXT,
    labels=_array(_TEXT),
    accuracy={"type": "number"},
    engine={"type": "object"},
    input={"type": "object"},
    examples=_array(_object(image=_TEXT, label=_TEXT)),
    limits={"type": "object"},
)
_CLASSIFICATION = _object(
    model=_object(name=_TEXT, version=_TEXT, engine=_TEXT),
    answers=_array(
        _object(
            label=_TEXT,
            probability={"type": "number", "description": "0 to 1"},
            probabilities={"type": "object", "additionalProperties": {"type": "number"}},
            notes=_array(_TEXT, description="how the image was converted"),
        ),
        description="one for each image, in order",
    ),
    seconds=_object(
        decoding={"type": "number", "description": "of all images, measured, without queueing"},
        inference={"type": "number", "description": "measured, without queueing"},
    ),
)


def responses(schema: dict[str, Any], *errors: int, media_type: str = "application/json") -> dict[str, dict[str, Any]]:
    """Return the `responses` of an operation: 200 with `schema`, and problem details for each status in `errors`."""
    content = {problems.MEDIA_TYPE: {"schema": problems.SCHEMA}}
    return {"200": {"description": "The answer.", "content": {media_type: {"schema": schema}}}} | {
        str(status): {"description": _MEANINGS[status], "content": content} for status in errors
    }


def json_operation(tag: str, summary: str, schema: dict[str, Any], *errors: int) -> OperationObject:
    """Describe an operation that returns JSON of this schema."""
    return {"tags": [tag], "summary": summary, "responses": responses(schema, *errors)}


def infer_operation(network: Network) -> OperationObject:
    """Describe the protocol's `infer` for this network."""
    shape = {
        "type": "array",
        "prefixItems": [{"type": "integer", "minimum": 1}, *({"const": side} for side in network.shape)],
        "minItems": 4,
        "maxItems": 4,
        "example": [1, *network.shape],
    }
    tensor = _object(name={"enum": [tensors.INPUT]}, datatype={"enum": ["UINT8"]}, shape=shape)
    tensor["properties"] |= {
        "parameters": {"type": "object"},
        "data": _array({}, description="flat or nested, row by row; whole numbers from 0 to 255"),
    }
    request = _object(inputs=_array(tensor, minItems=1, maxItems=1))
    output = _object(name={"enum": [tensors.OUTPUT]}) | {"additionalProperties": True}
    request["properties"] |= {
        "id": {"type": "string", "description": "returned with the answer"},
        "parameters": {"type": "object"},
        "outputs": _array(output, maxItems=1),
    }
    answer = _object(model_name=_TEXT, model_version=_TEXT, outputs=_array(_TENSOR, minItems=1))
    described = responses(answer, 400, 404, 408, 413, 415, 503)
    described["200"]["content"]["application/octet-stream"] = {"schema": _BYTES}
    return {
        "summary": "Probabilities of images, as tensors.",
        "description": (
            f"Takes {tensors.INPUT!r}, UINT8 [N, {', '.join(map(str, network.shape))}], and returns "
            f"{tensors.OUTPUT!r}, FP32 [N, {len(network.bundle.labels)}].\n\n"
            f"With the binary tensor extension the bytes of the tensors follow the JSON, and {tensors.JSON_LENGTH} "
            f"says where they begin."
        ),
        "tags": ["Open Inference Protocol"],
        "responses": described,
        "requestBody": {"required": True, "content": {"application/json": {"schema": request}}},
    }


_IMAGE_TYPES = ("image/png", "image/jpeg", "image/webp", "application/octet-stream")
CLASSIFY: OperationObject = {
    "summary": "Classify images.",
    "description": (
        "One image as the body, or several as the files of a form: PNG, JPEG, WebP, GIF or BMP, recognised by their "
        "content, not by a name. Larger images are cropped to the centre and scaled.\n\n"
        "curl --data-binary @cat.jpg http://127.0.0.1:8000/classify\n\n"
        "curl -F image=@cat.jpg -F image=@dog.png http://127.0.0.1:8000/classify"
    ),
    "tags": ["Images"],
    "responses": responses(_CLASSIFICATION, 400, 408, 413, 415, 422, 503),
    "requestBody": {
        "required": True,
        "content": {media_type: {"schema": _BYTES} for media_type in _IMAGE_TYPES}
        | {"multipart/form-data": {"schema": {"type": "object", "properties": {"image": _array(_BYTES)}}}},
    },
}
EXAMPLE: OperationObject = {
    "summary": "An example image of the bundle.",
    "tags": ["For people"],
    "responses": responses(_BYTES, 404, media_type="image/png"),
}
METRICS: OperationObject = {
    "summary": "Requests, times and predicted labels, summed over all workers.",
    "tags": ["For operators"],
    "responses": responses(_TEXT, media_type="text/plain"),
}
