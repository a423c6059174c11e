"""The routes: the Open Inference Protocol for programs, /classify for pictures, a page for people."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

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


def build_app(service: Service) -> ASGIApp:
    """The application of one worker."""
    app = FastAPI(
        title="Workbench",
        description=descriptions.ABOUT,
        version=version("workbench"),
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    _handle_problems(app)
    _add_protocol(app, service)
    _add_classify(app, service)
    _add_people(app, service)
    return Metered(app, service.metrics, ROUTES)


def _add_protocol(app: FastAPI, service: Service) -> None:
    def named(name: str, version: str | None = None) -> Network:
        network = service.network
        if name != network.name:
            raise Problem(HTTPStatus.NOT_FOUND, f"There is no model of this name here, only {network.name!r}.")
        if version not in (None, network.version):
            raise Problem(HTTPStatus.NOT_FOUND, f"{network.name} is here in the version {network.version} only.")
        return network

    get = descriptions.getter(app, "Open Inference Protocol")

    @get("/v2/health/live", "Whether the process answers.", descriptions.LIVE)
    async def live() -> Response:
        return _json({"live": True})

    @get("/v2/health/ready", "Whether it can infer. It does not listen before it can.", descriptions.READY)
    async def ready() -> Response:
        return _json({"ready": True})

    @get("/v2", "Who serves.", descriptions.SERVER)
    async def server() -> Response:
        return _json({"name": "workbench", "version": app.version, "extensions": ["binary_tensor_data"]})

    @get("/v2/models/{name}", "What goes into the network and what comes out.", descriptions.MODEL, 404)
    @get("/v2/models/{name}/versions/{version}", "The same of one version.", descriptions.MODEL, 404)
    async def model(name: str, version: str | None = None) -> Response:
        return _json(tensors.metadata(named(name, version)))

    @get("/v2/models/{name}/ready", "Whether the network can infer.", descriptions.MODEL_READY, 404)
    @get("/v2/models/{name}/versions/{version}/ready", "The same of one version.", descriptions.MODEL_READY, 404)
    async def model_ready(name: str, version: str | None = None) -> Response:
        return _json({"name": named(name, version).name, "ready": True})

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

    for path in ("/v2/models/{name}/infer", "/v2/models/{name}/versions/{version}/infer"):
        _add_quick(app, path, infer, **descriptions.infer(service.network, path))


def _add_classify(app: FastAPI, service: Service) -> None:
    async def classify_pictures(request: Request) -> Response:
        return Response(await classify(service, request), media_type="application/json")

    _add_quick(app, "/classify", classify_pictures, **descriptions.CLASSIFY)


def _add_quick(app: FastAPI, path: str, endpoint: Callable[[Request], Awaitable[Response]], **about: Any) -> None:
    """A route that is described as any other, and answered without FastAPI's handler: to solve the dependencies that
    there are none of, and to check what is no model, takes as long as the inference."""
    app.router.routes.insert(0, Route(path, endpoint, methods=["POST"], include_in_schema=False))

    async def described() -> None: ...

    app.post(path, **about)(described)


def _add_people(app: FastAPI, service: Service) -> None:
    files = {
        "": ("text/html", (PAGE / "index.html").read_bytes()),
        "page.css": ("text/css", (PAGE / "page.css").read_bytes()),
        "page.js": ("text/javascript", b"\n".join((PAGE / name).read_bytes() for name in SCRIPTS)),
    }
    for path, (kind, content) in files.items():
        app.add_route(f"/{path}", _constant(content, kind), include_in_schema=False)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> Response:
        return Response(docs_page(app.openapi()), headers=HEADERS, media_type="text/html")

    get = descriptions.getter(app, "For people")

    @get("/card", "What the bundle says of its network.", descriptions.CARD)
    async def tell() -> Response:
        return _json(card(service.network, service.options))

    @app.get("/examples/{place}.png", **descriptions.EXAMPLE)
    async def picture(place: str) -> Response:
        content = example(service.network, int(place)) if place.isdecimal() and len(place) < 6 else None
        if content is None:
            count = len(service.network.bundle.self_test_pictures)
            raise Problem(HTTPStatus.NOT_FOUND, f"The bundle brings {count} pictures: 0 to {count - 1}.")
        return Response(content, media_type="image/png")

    @app.get("/metrics", **descriptions.METRICS)
    async def metrics() -> Response:
        content, kind = await service.aside(service.metrics.exposition)
        return Response(content, headers={"Content-Type": kind})


def _handle_problems(app: FastAPI) -> None:
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

    async def invalid(_: Request, error: Exception) -> Response:
        return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "The address is not as /docs has it.").response()

    async def failed(_: Request, error: Exception) -> Response:
        detail = "The application failed on this request; its log says where. This is a mistake in the application."
        return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail).response()

    for kind, handler in (
        (Problem, problem),
        (Gone, gone),
        (HTTPException, http),
        (RequestValidationError, invalid),
        (Exception, failed),
    ):
        app.add_exception_handler(kind, handler)


def _constant(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    async def constant(_: Request) -> Response:
        return Response(content, headers=HEADERS, media_type=kind)

    return constant


def _json(value: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(value), media_type="application/json")


def _plain(headers: Mapping[str, str] | None) -> dict[str, str]:
    return dict(headers or {})
