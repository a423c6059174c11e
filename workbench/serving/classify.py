"""POST /classify: images in, labels out; one image as the body, or several in a multipart form."""

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

from workbench.bundle.images import ImageError, read_image
from workbench.bundle.preprocessing import fit_image
from workbench.serving.network import Network
from workbench.serving.problems import Problem
from workbench.serving.service import INLINE_BYTES, Service
from workbench.wording import shorten

INLINE_PIXELS = 256 * 256


async def classify(service: Service, request: Request) -> bytes:
    """Return the JSON of labels and probabilities. Raises Problem for a request that cannot be answered."""
    body = await service.intake.admit(request)
    try:
        network = service.network
        content = await service.decoded_body(request, body)
        images, notes, decoding = [], [], 0.0
        for name, upload in await _uploads(service, request, content):
            pixels, image_notes, seconds = await _decode(service, network, name, upload)
            service.metrics.decoding.observe(seconds)
            images.append(pixels)
            notes.append(image_notes)
            decoding += seconds
        probabilities, inference = await service.infer(network, np.array(images))
    finally:
        service.intake.release(body)
    labels = network.bundle.labels
    answers = []
    for row, image_notes in zip(probabilities, notes, strict=True):
        best = int(row.argmax())
        by_label = dict(zip(labels, row, strict=True))
        answers.append(
            {"label": labels[best], "probability": row[best], "probabilities": by_label, "notes": image_notes}
        )
    response = {
        "model": {"name": network.name, "version": network.version, "engine": network.engine},
        "answers": answers,
        "seconds": {"decoding": decoding, "inference": inference},
    }
    return orjson.dumps(response, option=orjson.OPT_SERIALIZE_NUMPY)


async def _decode(
    service: Service, network: Network, name: str, content: bytes
) -> tuple[NDArray[np.uint8], tuple[str, ...], float]:
    """Return an image at the network's input size, notes on how it was converted, and the seconds that took."""
    options = service.options

    def decode(max_pixels: int) -> tuple[NDArray[np.uint8], tuple[str, ...], float]:
        start = time.perf_counter()
        image = read_image(content, name=name, max_bytes=options.max_body_bytes, max_pixels=max_pixels)
        pixels = fit_image(image.pixels, network.bundle.preprocessing)
        return pixels, image.notes, time.perf_counter() - start

    if len(content) <= INLINE_BYTES:
        try:
            return decode(min(INLINE_PIXELS, options.max_pixels))
        except ImageError:  # too many pixels to decode inline, or invalid: the thread finds out which
            pass
    try:
        return await service.in_thread(lambda: decode(options.max_pixels))
    except ImageError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error)) from error


class _InMemoryParser(MultiPartParser):
    """A form parser without temporary files: the body is in memory, within its limit, already."""

    spool_max_size = 2**31


async def _uploads(service: Service, request: Request, body: bytes) -> list[tuple[str, bytes]]:
    """Return the images of a request, each with its name for error messages."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "multipart/form-data":
        return [("the image", body)]
    limit = service.options.max_images

    async def stream() -> AsyncIterator[bytes]:
        yield body

    try:
        parser = _InMemoryParser(request.headers, stream(), max_files=limit, max_fields=limit)  # type: ignore[arg-type]
        form = await parser.parse()
    except MultiPartException as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"The form cannot be read: {error.message}") from error
    except Exception as error:  # python-multipart does not document what it raises for damaged forms
        raise Problem(HTTPStatus.BAD_REQUEST, f"The form cannot be read: {shorten(error)}.") from error
    uploads: list[tuple[str, bytes]] = []
    for field, value in form.multi_items():
        if not isinstance(value, UploadFile):
            raise Problem(HTTPStatus.BAD_REQUEST, f"The field {shorten(field, 40)!r} is text; send files only.")
        uploads.append((shorten(value.filename or field, 80), await value.read()))
    if not uploads:
        raise Problem(HTTPStatus.BAD_REQUEST, "The form holds no file: send one image in each file field.")
    return uploads
