"""What may come in: how large, how much at once; the rest is told so before it costs anything."""

from __future__ import annotations

import asyncio
import zlib
from http import HTTPStatus

from prometheus_client import Gauge
from starlette.requests import Request

from workbench.serving.options import Options
from workbench.serving.problems import Problem, busy
from workbench.units import format_bytes

BODIES_AT_ONCE = 16  # as many of the largest may be on their way to one worker


class Gone(Exception):
    """The client hung up before it had asked."""


class Intake:
    """The door of one worker. receiving: bytes of bodies that it holds. waiting: requests read and not yet answered."""

    def __init__(self, options: Options, gauge: Gauge) -> None:
        self._options, self._gauge = options, gauge
        self.receiving = 0
        self.waiting = 0

    async def admit(self, request: Request) -> bytes:
        """Read the whole body and take a place among those that will be answered soon; `leave` gives both back.

        Raises Problem for a body that is too large, while too many are on their way, and where all places are taken;
        Gone.
        """
        limit, held, parts, more = self._options.max_body_bytes, 0, [], True
        stated = request.headers.get("content-length", "")
        if stated.isdecimal() and int(stated) > limit:
            raise _too_large(limit)
        try:
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise Gone
                part, more = message.get("body", b""), message.get("more_body", False)
                held += len(part)
                self.receiving += len(part)
                if held > limit:
                    raise _too_large(limit)
                if self.receiving > BODIES_AT_ONCE * limit:
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
            # Whoever came at the same moment is counted before the first of them is computed.
            await asyncio.sleep(0)
        except BaseException:
            self.leave(body)
            raise
        return body

    def leave(self, body: bytes) -> None:
        """An admitted request was answered, or never will be."""
        self.receiving -= len(body)
        self.waiting -= 1
        self._gauge.dec()


def unpack(body: bytes, encoding: str, limit: int) -> bytes:
    """A body sent with Content-Encoding gzip or deflate. Raises Problem for another, a damaged or too large one."""
    if encoding not in ("gzip", "x-gzip", "deflate"):
        detail = "Content-Encoding: send the body as it is, or packed with gzip or deflate."
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, {"Accept-Encoding": "gzip, deflate"})
    unpacker = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # either of the two, by its first bytes
    try:
        content = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise Problem(HTTPStatus.BAD_REQUEST, f"The body is not whole {encoding}: {error}.") from error
    if len(content) > limit:
        raise _too_large(limit)
    if not unpacker.eof:
        raise Problem(HTTPStatus.BAD_REQUEST, f"The body is not whole {encoding}: it ends too early.")
    return content


def _too_large(limit: int) -> Problem:
    detail = f"The body is larger than the limit of {format_bytes(limit)}. Send smaller pictures, or fewer at once."
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, {"Connection": "close"})
