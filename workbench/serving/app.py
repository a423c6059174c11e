"""The routes: the Open Inference Protocol for programs, /classify for image files, a page for people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from workbench.serving import descriptions, tensors
from workbench.serving.card import example_png, network_card
from workbench.serving.classify import classify
from workbench.serving.docs import docs_page
from workbench.serving.intake import ClientGone
from workbench.serving.javascript import join_modules
from workbench.serving.metrics import MetricsMiddleware
from workbench.serving.network import Network
from workbench.serving.problems import Problem
from workbench.serving.service import INLINE_BYTES, Service
from workbench.wording import versions

PAGE = Path(__file__).parent / "page"
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
COUNTED_ROUTES = frozenset({"classify", "infer", "live", "ready", "metrics", "card", "page", "docs", "openapi.json"})

Endpoint = Callable[[Request], Awaitable[Response]]


class Operation(NamedTuple):
    """A route and its OpenAPI description."""

    method: str
    path: str
    endpoint: Endpoint
    description: descriptions.OperationObject


def build_app(service: Service) -> ASGIApp:
    """Build the ASGI application of one worker."""
    server_version = versions()["workbench"]  # reads a file: once, not for each request
    # Starlette takes the first route that matches, so the time-critical ones come first.
    operations = [
        *_image_operations(service),
        *_InferenceProtocol(service, server_version).operations(),
        *_information_operations(service),
    ]
    routes = [Route(each.path, each.endpoint, methods=[each.method]) for each in operations]
    app = Starlette(routes=routes + _static_routes(operations, server_version), exception_handlers=_EXCEPTION_HANDLERS)
    return MetricsMiddleware(app, service.metrics, COUNTED_ROUTES)


def _image_operations(service: Service) -> Iterator[Operation]:
    async def classify_images(request: Request) -> Response:
        return Response(await classify(service, request), media_type="application/json")

    yield Operation("POST", "/classify", classify_images, descriptions.CLASSIFY)


class _InferenceProtocol:
    """The endpoints of the Open Inference Protocol, version 2."""

    def __init__(self, service: Service, server_version: str) -> None:
        self._service, self._server_version = service, server_version

    def operations(self) -> Iterator[Operation]:
        def get(path: str, endpoint: Endpoint, summary: str, schema: dict[str, Any], *errors: int) -> Operation:
            described = descriptions.json_operation("Open Inference Protocol", summary, schema, *errors)
            return Operation("GET", path, endpoint, described)

        infer = descriptions.infer_operation(self._service.network)
        for path in ("/v2/models/{name}", "/v2/models/{name}/versions/{version}"):
            yield Operation("POST", f"{path}/infer", self.infer, infer)
            yield get(f"{path}/ready", self.model_ready, "Is the model ready?", descriptions.MODEL_READY, 404)
            yield get(path, self.model, "The model's inputs and outputs.", descriptions.MODEL, 404)
        yield get("/v2/health/live", self.live, "Is the process alive?", descriptions.LIVE)
        ready = "Is the application ready? It only listens once it is."
        yield get("/v2/health/ready", self.ready, ready, descriptions.READY)
        yield get("/v2", self.server, "The server's name and version.", descriptions.SERVER)

    async def infer(self, request: Request) -> Response:
        service = self._service
        network = self._network(**request.path_params)
        body = await service.intake.admit(request)
        try:
            content = await service.decoded_body(request, body)
            length = tensors.json_length(request.headers.get(tensors.JSON_LENGTH), content)

            def read() -> tensors.TensorRequest:
                return tensors.read_request(content, length, network.shape, service.options.max_images)

            tensor_request = read() if length <= INLINE_BYTES else await service.in_thread(read)
            probabilities, _ = await service.infer(network, tensor_request.images)
        finally:
            service.intake.release(body)
        answer, headers = tensors.write_response(network, tensor_request, probabilities)
        return Response(answer, headers=headers)

    async def model(self, request: Request) -> Response:
        return JSONResponse(tensors.metadata(self._network(**request.path_params)))

    async def model_ready(self, request: Request) -> Response:
        return JSONResponse({"name": self._network(**request.path_params).name, "ready": True})

    async def live(self, _: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(self, _: Request) -> Response:
        return JSONResponse({"ready": True})

    async def server(self, _: Request) -> Response:
        extensions = ["binary_tensor_data"]
        return JSONResponse({"name": "workbench", "version": self._server_version, "extensions": extensions})

    def _network(self, name: str, version: str | None = None) -> Network:
        """Return the network with this name and version. Raises Problem if another one is served."""
        network = self._service.network
        if name != network.name:
            raise Problem(HTTPStatus.NOT_FOUND, f"No model of this name is served, only {network.name!r}.")
        if version not in (None, network.version):
            raise Problem(HTTPStatus.NOT_FOUND, f"{network.name} is served in version {network.version} only.")
        return network


def _information_operations(service: Service) -> Iterator[Operation]:
    async def card(_: Request) -> Response:
        return JSONResponse(network_card(service.network, service.options))

    async def example(request: Request) -> Response:
        index = request.path_params["index"]
        content = example_png(service.network, int(index)) if index.isdecimal() and len(index) < 6 else None
        if content is None:
            count = len(service.network.bundle.self_test_images)
            raise Problem(HTTPStatus.NOT_FOUND, f"The bundle has {count} example images: 0 to {count - 1}.")
        return Response(content, media_type="image/png")

    async def metrics(_: Request) -> Response:
        content, media_type = await service.in_thread(service.metrics.exposition)
        return Response(content, headers={"Content-Type": media_type})

    described = descriptions.json_operation("For people", "The network's card, from its bundle.", descriptions.CARD)
    yield Operation("GET", "/card", card, described)
    yield Operation("GET", "/examples/{index}.png", example, descriptions.EXAMPLE)
    yield Operation("GET", "/metrics", metrics, descriptions.METRICS)


def _static_routes(operations: list[Operation], server_version: str) -> list[Route]:
    """Return the routes that /openapi.json leaves out: itself, and the files of the page."""
    openapi = descriptions.document(server_version, ((each.method, each.path, each.description) for each in operations))
    files = {
        "/": ("text/html", (PAGE / "index.html").read_bytes()),
        "/page.css": ("text/css", (PAGE / "page.css").read_bytes()),
        "/page.js": ("text/javascript", join_modules(PAGE / "page.js").encode()),
        "/docs": ("text/html", docs_page(openapi).encode()),
        "/openapi.json": ("application/json", orjson.dumps(openapi)),
    }
    return [Route(path, _constant(content, media_type)) for path, (media_type, content) in files.items()]


def _constant(content: bytes, media_type: str) -> Endpoint:
    async def constant(_: Request) -> Response:
        return Response(content, headers=HEADERS, media_type=media_type)

    return constant


async def _on_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _on_client_gone(_: Request, error: Exception) -> Response:
    return Response(status_code=HTTPStatus.BAD_REQUEST)  # nobody is there to read it


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    details = {
        HTTPStatus.NOT_FOUND: "Nothing is at this address; /docs lists what is.",
        HTTPStatus.METHOD_NOT_ALLOWED: f"This address does not accept {request.method}; /docs lists what it does.",
    }
    detail = details.get(HTTPStatus(error.status_code), str(error.detail))
    return Problem(error.status_code, detail, error.headers).response()


async def _on_failure(_: Request, error: Exception) -> Response:
    detail = "The application failed on this request; its log shows where. This is a bug in the application."
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail).response()


_EXCEPTION_HANDLERS: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
    Problem: _on_problem,
    ClientGone: _on_client_gone,
    HTTPException: _on_http_exception,
    Exception: _on_failure,
}
