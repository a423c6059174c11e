"""Limits on request bodies and on requests in progress, enforced before a request costs anything."""

from __future__ import annotations

import asyncio
import zlib
from http import HTTPStatus

from prometheus_client import Gauge
from starlette.requests import Request

from workbench.serving.options import Options
from workbench.serving.problems import Problem, busy
from workbench.units import format_bytes

CONCURRENT_BODIES = 16  # bodies of the largest size that one worker holds in memory


class ClientGone(Exception):
    """The client disconnected before its request was complete."""


class Intake:
    """Admission control of one worker.

    receiving: bytes of request bodies in memory. waiting: requests read and not yet answered.
    """

    def __init__(self, options: Options, gauge: Gauge) -> None:
        self._options, self._gauge = options, gauge
        self.receiving = 0
        self.waiting = 0

    async def admit(self, request: Request) -> bytes:
        """Read the whole body and count the request as waiting, until `release` is called with that body.

        Raises Problem for a body over the limit, and if too many bodies or requests are in progress; ClientGone.
        """
        limit, held, parts, more = self._options.max_body_bytes, 0, [], True
        stated = request.headers.get("content-length", "")
        if stated.isdecimal() and int(stated) > limit:
            raise _too_large(limit)
        try:
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                part, more = message.get("body", b""), message.get("more_body", False)
                held += len(part)
                self.receiving += len(part)
                if held > limit:
                    raise _too_large(limit)
                if self.receiving > CONCURRENT_BODIES * limit:
                    raise busy("Too many large requests are on their way.")
                parts.append(part)
            if self.waiting >= self._options.max_waiting:
                raise busy(f"{self.waiting} requests are waiting already.")
        except BaseException:
            self.receiving -= held
            raise
        self.waiting += 1
        self._gauge.inc()
        body = parts[0] if len(parts) == 1 else b"".join(parts)
        try:
            # Yield once, so that requests that arrived in the same moment are all counted before the first is computed.
            await asyncio.sleep(0)
        except BaseException:
            self.release(body)
            raise
        return body

    def release(self, body: bytes) -> None:
        """End an admitted request, answered or not."""
        self.receiving -= len(body)
        self.waiting -= 1
        self._gauge.dec()


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """Return a body without its Content-Encoding, gzip or deflate.

    Raises Problem for any other encoding, a damaged body, and one that grows beyond `limit` bytes.
    """
    if encoding not in ("gzip", "x-gzip", "deflate"):
        detail = "Content-Encoding: send the body as it is, or compressed with gzip or deflate."
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, {"Accept-Encoding": "gzip, deflate"})
    decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # detects gzip or zlib by its first bytes
    try:
        content = decompressor.decompress(body, limit + 1)
    except zlib.error as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"The body is not valid {encoding}: {error}.") from error
    if len(content) > limit:
        raise _too_large(limit)
    if not decompressor.eof:
        raise Problem(HTTPStatus.BAD_REQUEST, f"The body is not valid {encoding}: it ends too early.")
    return content


def _too_large(limit: int) -> Problem:
    detail = f"The body is larger than the limit of {format_bytes(limit)}. Send smaller or fewer images in a request."
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, {"Connection": "close"})
