"""The routes: the Open Inference Protocol for programs, /classify for pictures, a page for people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from workbench.sealed import versions
from workbench.serving import descriptions, tensors
from workbench.serving.card import card, example
from workbench.serving.classify import classify
from workbench.serving.docs import docs_page
from workbench.serving.intake import Gone
from workbench.serving.metrics import Metered
from workbench.serving.network import Network
from workbench.serving.problems import Problem
from workbench.serving.service import INLINE_BYTES, Service

PAGE = Path(__file__).parent / "page"
SCRIPTS = ("elements.js", "numbers.js", "paper.js", "page.js")  # read one after the other, as one file
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
ROUTES = frozenset({"classify", "infer", "live", "ready", "metrics", "card", "page", "docs", "openapi.json"})


Endpoint = Callable[[Request], Awaitable[Response]]


class Operation(NamedTuple):
    """A route and what /openapi.json says of it."""

    method: str
    path: str
    endpoint: Endpoint
    about: descriptions.About


def build_app(service: Service) -> ASGIApp:
    """The application of one worker."""
    own_version = versions()["workbench"]  # read from the disk: once, not for each request
    # The first that fits is taken: those that are in a hurry come first.
    operations = [*_pictures(service), *_protocol(service, own_version), *_people(service)]
    routes = [Route(each.path, each.endpoint, methods=[each.method]) for each in operations]
    app = Starlette(routes=routes + _pages(operations, own_version), exception_handlers=_problems())
    return Metered(app, service.metrics, ROUTES)


def _pictures(service: Service) -> Iterator[Operation]:
    async def classify_pictures(request: Request) -> Response:
        return Response(await classify(service, request), media_type="application/json")

    yield Operation("POST", "/classify", classify_pictures, descriptions.CLASSIFY)


def _protocol(service: Service, own_version: str) -> Iterator[Operation]:
    def named(name: str, version: str | None = None) -> Network:
        network = service.network
        if name != network.name:
            raise Problem(HTTPStatus.NOT_FOUND, f"There is no model of this name here, only {network.name!r}.")
        if version not in (None, network.version):
            raise Problem(HTTPStatus.NOT_FOUND, f"{network.name} is here in the version {network.version} only.")
        return network

    async def infer(request: Request) -> Response:
        network = named(**request.path_params)
        body = await service.intake.admit(request)
        try:
            content = await service.unpacked(request, body)
            length = tensors.json_length(request.headers.get(tensors.JSON_LENGTH), content)

            def read() -> tensors.TensorRequest:
                return tensors.read_request(content, length, network.shape, service.options.max_pictures)

            asked = read() if length <= INLINE_BYTES else await service.aside(read)
            probabilities, _ = await service.infer(network, asked.pictures)
        finally:
            service.intake.leave(body)
        answer, headers = tensors.write_answer(network, asked, probabilities)
        return Response(answer, headers=headers)

    async def live(_: Request) -> Response:
        return _json({"live": True})

    async def ready(_: Request) -> Response:
        return _json({"ready": True})

    async def server(_: Request) -> Response:
        return _json({"name": "workbench", "version": own_version, "extensions": ["binary_tensor_data"]})

    async def model(request: Request) -> Response:
        return _json(tensors.metadata(named(**request.path_params)))

    async def model_ready(request: Request) -> Response:
        return _json({"name": named(**request.path_params).name, "ready": True})

    def get(path: str, endpoint: Endpoint, summary: str, schema: dict[str, Any], *wrong: int) -> Operation:
        about = descriptions.telling("Open Inference Protocol", summary, schema, *wrong)
        return Operation("GET", path, endpoint, about)

    for model_path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
        yield Operation("POST", f"{model_path}/infer", infer, descriptions.infer(service.network))
        yield get(f"{model_path}/ready", model_ready, "Whether it can infer.", descriptions.MODEL_READY, 404)
        yield get(model_path, model, "What goes in and what comes out.", descriptions.MODEL, 404)
    yield get("/v2/health/live", live, "Whether the process answers.", descriptions.LIVE)
    yield get("/v2/health/ready", ready, "Whether it can infer. It does not listen before it can.", descriptions.READY)
    yield get("/v2", server, "Who serves.", descriptions.SERVER)


def _people(service: Service) -> Iterator[Operation]:
    async def tell(_: Request) -> Response:
        return _json(card(service.network, service.options))

    async def picture(request: Request) -> Response:
        place = request.path_params["place"]
        content = example(service.network, int(place)) if place.isdecimal() and len(place) < 6 else None
        if content is None:
            count = len(service.network.bundle.self_test_pictures)
            raise Problem(HTTPStatus.NOT_FOUND, f"The bundle brings {count} pictures: 0 to {count - 1}.")
        return Response(content, media_type="image/png")

    async def metrics(_: Request) -> Response:
        content, kind = await service.aside(service.metrics.exposition)
        return Response(content, headers={"Content-Type": kind})

    about = descriptions.telling("For people", "What the bundle says of its network.", descriptions.CARD)
    yield Operation("GET", "/card", tell, about)
    yield Operation("GET", "/examples/{place}.png", picture, descriptions.EXAMPLE)
    yield Operation("GET", "/metrics", metrics, descriptions.METRICS)


def _pages(operations: list[Operation], own_version: str) -> list[Route]:
    """What /openapi.json does not describe: itself, and what a browser shows."""
    described = descriptions.document(own_version, ((each.method, each.path, each.about) for each in operations))
    files = {
        "/": ("text/html", (PAGE / "index.html").read_bytes()),
        "/page.css": ("text/css", (PAGE / "page.css").read_bytes()),
        "/page.js": ("text/javascript", b"\n".join((PAGE / name).read_bytes() for name in SCRIPTS)),
        "/docs": ("text/html", docs_page(described).encode()),
        "/openapi.json": ("application/json", orjson.dumps(described)),
    }
    return [Route(path, _constant(content, kind)) for path, (kind, content) in files.items()]


def _problems() -> dict[Any, Callable[[Request, Exception], Awaitable[Response]]]:
    """How each kind of failure is answered."""

    async def problem(_: Request, error: Exception) -> Response:
        assert isinstance(error, Problem)
        return error.response()

    async def gone(_: Request, error: Exception) -> Response:
        return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody is there to read it

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        said = {
            HTTPStatus.NOT_FOUND: "There is nothing at this address: /docs tells what there is.",
            HTTPStatus.METHOD_NOT_ALLOWED: f"{request.method} is not answered at this address: /docs tells what is.",
        }
        detail = said.get(HTTPStatus(error.status_code), str(error.detail))
        return Problem(error.status_code, detail, _plain(error.headers)).response()

    async def failed(_: Request, error: Exception) -> Response:
        detail = "The application failed on this request; its log says where. This is a mistake in the application."
        return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail).response()

    return {Problem: problem, Gone: gone, HTTPException: http, Exception: failed}


def _constant(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def constant(_: Request) -> Response:
        return Response(content, headers=HEADERS, media_type=kind)

    return constant


def _json(value: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")


def _plain(headers: Mapping[str, str] | None) -> dict[str, str]:
    return dict(headers or {})
