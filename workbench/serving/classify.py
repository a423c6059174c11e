"""Pictures in, labels out: one picture as the body, or several in a form."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from http import HTTPStatus

import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from workbench.pictures import PictureError, read_picture
from workbench.preprocessing import fit_picture
from workbench.sealed import shortened
from workbench.serving.network import Network
from workbench.serving.problems import Problem
from workbench.serving.service import INLINE_BYTES, Service

INLINE_PIXELS = 256 * 256


async def classify(service: Service, request: Request) -> bytes:
    """Answer a request with the JSON of labels and probabilities. Raises Problem for whatever cannot be answered."""
    body = await service.intake.admit(request)
    try:
        network = service.network
        content = await service.unpacked(request, body)
        pictures, notes, decoding = [], [], 0.0
        for name, upload in await _uploads(service, request, content):
            pixels, said, seconds = await _decoded(service, network, name, upload)
            service.metrics.decoding.observe(seconds)
            pictures.append(pixels)
            notes.append(said)
            decoding += seconds
        probabilities, inference = await service.infer(network, np.array(pictures))
    finally:
        service.intake.leave(body)
    labels = network.bundle.labels
    answers = []
    for row, said in zip(probabilities, notes, strict=True):
        best = int(row.argmax())
        told = dict(zip(labels, row, strict=True))
        answers.append({"label": labels[best], "probability": row[best], "probabilities": told, "notes": said})
    answer = {
        "model": {"name": network.name, "version": network.version, "engine": network.engine},
        "answers": answers,
        "seconds": {"decoding": decoding, "inference": inference},
    }
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


async def _decoded(
    service: Service, network: Network, name: str, content: bytes
) -> tuple[NDArray[np.uint8], tuple[str, ...], float]:
    """A picture as the network sees it, what had to be done to it, and the seconds that took."""
    options = service.options

    def decode(max_pixels: int) -> tuple[NDArray[np.uint8], tuple[str, ...], float]:
        start = time.perf_counter()
        picture = read_picture(content, name=name, max_bytes=options.max_body_bytes, max_pixels=max_pixels)
        pixels = fit_picture(picture.pixels, network.bundle.preprocessing)
        return pixels, picture.notes, time.perf_counter() - start

    if len(content) <= INLINE_BYTES:
        try:
            return decode(min(INLINE_PIXELS, options.max_pixels))
        except PictureError:  # too many pixels to decode them here, or truly wrong: a thread will tell
            pass
    try:
        return await service.aside(lambda: decode(options.max_pixels))
    except PictureError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error


class _InMemory(MultiPartParser):
    """The body is held and capped already: no part of it needs a file."""

    spool_max_size = 2**31


async def _uploads(service: Service, request: Request, body: bytes) -> list[tuple[str, bytes]]:
    """The pictures of a request, each with the name that messages call it by."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        return [("the picture", body)]
    most = service.options.max_pictures

    async def stream() -> AsyncIterator[bytes]:
        yield body

    try:
        form = await _InMemory(request.headers, stream(), max_files=most, max_fields=most).parse()  # type: ignore[arg-type]
    except MultiPartException as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"The form cannot be read: {error.message}") from error
    except Exception as error:  # python-multipart promises no list of what it raises on damaged forms
        raise Problem(HTTPStatus.BAD_REQUEST, f"The form cannot be read: {shortened(error)}.") from error
    found: list[tuple[str, bytes]] = []
    for field, value in form.multi_items():
        if not isinstance(value, UploadFile):
            raise Problem(HTTPStatus.BAD_REQUEST, f"The field {shortened(field, 40)!r} is text; give files only.")
        name = shortened(value.filename or field, 80)
        found.append((name, await value.read()))
    if not found:
        raise Problem(HTTPStatus.BAD_REQUEST, "The form holds no file: give one picture in each file field.")
    return found
