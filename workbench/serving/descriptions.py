"""What /openapi.json says of each route (OpenAPI 3.1): what it takes, and every answer it may give."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from workbench.serving import problems, tensors
from workbench.serving.network import Network

ABOUT = (
    "A trained network behind HTTP. Programs speak the Open Inference Protocol, version 2, with it; pictures are "
    "named at /classify; the page at / is for people."
)
_WHY = {
    400: "The request is not as it should be; the detail says where.",
    404: "There is no such thing here.",
    408: "The request took too long to arrive.",
    413: "The body is too large.",
    415: "The body is packed in an unknown way.",
    422: "What was sent cannot be read as a picture.",
    503: "Too much at once: ask again after Retry-After.",
}

About = dict[str, Any]  # an Operation Object of OpenAPI


def document(version: str, operations: Iterable[tuple[str, str, About]]) -> dict[str, Any]:
    """/openapi.json, from the method, the path and the description of each route."""
    paths: dict[str, dict[str, About]] = {}
    for method, path, about in operations:
        words = re.sub(r"[/.]", "_", re.sub(r"[{}]", "", path).strip("/"))
        told = {"operationId": f"{method.lower()}_{words}"} | about
        named = [
            {"name": name, "in": "path", "required": True, "schema": _TEXT} for name in re.findall(r"{(\w+)}", path)
        ]
        paths.setdefault(path, {})[method.lower()] = told | ({"parameters": named} if named else {})
    info = {"title": "Workbench", "description": ABOUT, "version": version}
    return {"openapi": "3.1.0", "info": info, "paths": paths}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _constant(name: str) -> dict[str, Any]:
    return _object(**{name: {"type": "boolean"}})


_TEXT = {"type": "string"}
_TENSOR = _object(name=_TEXT, datatype=_TEXT, shape={"type": "array", "items": {"type": "integer"}})
LIVE, READY = _constant("live"), _constant("ready")
SERVER = _object(name=_TEXT, version=_TEXT, extensions={"type": "array", "items": _TEXT})
MODEL = _object(
    name=_TEXT,
    versions={"type": "array", "items": _TEXT},
    platform=_TEXT,
    inputs={"type": "array", "items": _TENSOR},
    outputs={"type": "array", "items": _TENSOR},
)
MODEL_READY = _object(name=_TEXT, ready={"type": "boolean"})
CARD = _object(
    name=_TEXT,
    version=_TEXT,
    created=_TEXT,
    labels={"type": "array", "items": _TEXT},
    accuracy={"type": "number"},
    engine={"type": "object"},
    input={"type": "object"},
    examples={"type": "array", "items": _object(picture=_TEXT, label=_TEXT)},
    limits={"type": "object"},
)
_ANSWER = _object(
    model=_object(name=_TEXT, version=_TEXT, engine=_TEXT),
    answers={
        "type": "array",
        "description": "one for each picture, in their order",
        "items": _object(
            label=_TEXT,
            probability={"type": "number", "description": "0 to 1"},
            probabilities={"type": "object", "additionalProperties": {"type": "number"}},
            notes={"type": "array", "items": _TEXT, "description": "what had to be done to read it"},
        ),
    },
    seconds=_object(
        decoding={"type": "number", "description": "of all pictures, measured; waiting is not in it"},
        inference={"type": "number", "description": "measured; waiting is not in it"},
    ),
)


def answers(schema: dict[str, Any], *wrong: int, kind: str = "application/json") -> dict[str, dict[str, Any]]:
    """The `responses` of a route: 200 with `schema`, and problem details for each status in `wrong`."""
    told: dict[str, dict[str, Any]] = {"200": {"description": "The answer.", "content": {kind: {"schema": schema}}}}
    for status in wrong:
        told[str(status)] = {
            "description": _WHY[status],
            "content": {problems.MEDIA_TYPE: {"schema": problems.SCHEMA}},
        }
    return told


def telling(tag: str, summary: str, schema: dict[str, Any], *wrong: int) -> About:
    """Of a route that answers with JSON of this schema."""
    return {"tags": [tag], "summary": summary, "responses": answers(schema, *wrong)}


def infer(network: Network) -> About:
    """Of the route that infers."""
    shape = {
        "type": "array",
        "prefixItems": [{"type": "integer", "minimum": 1}, *({"const": side} for side in network.shape)],
        "minItems": 4,
        "maxItems": 4,
        "example": [1, *network.shape],
    }
    tensor = _object(name={"enum": [tensors.INPUT]}, datatype={"enum": ["UINT8"]}, shape=shape)
    numbers = {"type": "array", "description": "flat or nested, row by row; whole numbers from 0 to 255", "items": {}}
    tensor["properties"] |= {"parameters": {"type": "object"}, "data": numbers}
    asked = _object(inputs={"type": "array", "items": tensor, "minItems": 1, "maxItems": 1})
    output = _object(name={"enum": [tensors.OUTPUT]}) | {"additionalProperties": True}
    asked["properties"] |= {
        "id": {"type": "string", "description": "comes back with the answer"},
        "parameters": {"type": "object"},
        "outputs": {"type": "array", "items": output, "maxItems": 1},
    }
    told = _object(model_name=_TEXT, model_version=_TEXT, outputs={"type": "array", "items": _TENSOR, "minItems": 1})
    right = answers(told, 400, 404, 408, 413, 415, 503)
    right["200"]["content"]["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
    return {
        "summary": "Probabilities of pictures, as tensors.",
        "description": (
            f"Takes {tensors.INPUT!r}, UINT8 [N, {', '.join(map(str, network.shape))}], gives {tensors.OUTPUT!r}, "
            f"FP32 [N, {len(network.bundle.labels)}].\n\n"
            f"With the binary tensor extension the JSON is followed by the bytes of the tensors, and "
            f"{tensors.JSON_LENGTH} says where they begin."
        ),
        "tags": ["Open Inference Protocol"],
        "responses": right,
        "requestBody": {"required": True, "content": {"application/json": {"schema": asked}}},
    }


_BYTES = {"schema": {"type": "string", "format": "binary"}}
_FORM = {"schema": {"type": "object", "properties": {"picture": {"type": "array", "items": _BYTES["schema"]}}}}
CLASSIFY: About = {
    "summary": "Name what is in pictures.",
    "description": (
        "One picture as the body, or several as the files of a form. PNG, JPEG, WebP, GIF and BMP are read; the kind "
        "is judged by the content, not by a name. Larger pictures are cut to the middle and scaled.\n\n"
        "curl --data-binary @cat.jpg http://127.0.0.1:8000/classify\n\n"
        "curl -F picture=@cat.jpg -F picture=@dog.png http://127.0.0.1:8000/classify"
    ),
    "tags": ["Pictures"],
    "responses": answers(_ANSWER, 400, 408, 413, 415, 422, 503),
    "requestBody": {
        "required": True,
        "content": dict.fromkeys(("image/png", "image/jpeg", "image/webp", "application/octet-stream"), _BYTES)
        | {"multipart/form-data": _FORM},
    },
}
EXAMPLE: About = {
    "summary": "A picture that travels with the bundle.",
    "tags": ["For people"],
    "responses": answers(_BYTES["schema"], 404, kind="image/png"),
}
METRICS: About = {
    "summary": "Requests, times, answers by label, over all workers.",
    "tags": ["For operators"],
    "responses": answers(_TEXT, kind="text/plain"),
}
