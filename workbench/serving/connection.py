"""uvicorn's HTTP protocol with limits on what a client may keep open: connections, seconds, bytes of the headers."""

from __future__ import annotations

import asyncio
import socket
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from workbench.serving.options import Options
from workbench.serving.problems import MEDIA_TYPE, Problem, busy

MAX_HEAD_BYTES = 64 * 2**10


class _CoalescingTransport:
    """A transport that joins all writes within one turn of the event loop into a single send.

    uvicorn writes the headers and the body of a response separately, which costs two system calls and wakes the client
    twice.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._held: list[bytes] = []

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self._send)
        self._held.append(data)

    def close(self) -> None:
        self._send()
        self._transport.close()

    def _send(self) -> None:
        if self._held:
            self._transport.write(b"".join(self._held))
            self._held = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def limited_protocol(options: Options) -> type[HttpToolsProtocol]:
    """Return a protocol class for uvicorn, which makes an instance per connection, with the limits in `options`."""
    return type("LimitedProtocol", (_LimitedProtocol,), {"options": options})


class _LimitedProtocol(HttpToolsProtocol):
    options: ClassVar[Options]

    _timer: asyncio.TimerHandle | None = None
    _head_bytes = 0  # of headers still arriving; -1 while a body arrives
    _receiving = False  # a request has begun to arrive and is not complete

    # Callbacks of asyncio

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(_CoalescingTransport(transport, self.loop))  # type: ignore[arg-type]  # all uvicorn uses
        # Nagle's algorithm would hold a write back for 40 ms while an earlier one is unacknowledged.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        if len(self.connections) > self.options.max_connections:
            self._refuse(busy("Too many connections are open."))
            return
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._cancel_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._head_bytes >= 0:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES + len(data):
                self._refuse(Problem(431, "The headers of the request are too large."))
                return
        super().data_received(data)
        if self._receiving and self._timer is None:  # most requests arrive in one piece and need no timer
            self._start_timer()

    def eof_received(self) -> None:
        self.transport.close()  # asyncio would close its own transport and lose the writes we hold

    # Callbacks of uvicorn and its parser

    def send_400_response(self, msg: str) -> None:
        self._refuse(Problem(400, "This is not a valid HTTP request."))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._receiving = True

    def on_headers_complete(self) -> None:
        self._head_bytes = -1
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._head_bytes, self._receiving = 0, False
        self._cancel_timer()
        super().on_message_complete()

    # Time limit of a request

    def _start_timer(self) -> None:
        self._timer = self.loop.call_later(self.options.request_seconds, self._on_timeout)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _on_timeout(self) -> None:
        self._timer = None
        responding = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
        if self.transport.is_closing() or responding:
            self.transport.close()
        else:
            detail = f"The request did not arrive within {self.options.request_seconds:g} s."
            self._refuse(Problem(408, detail))

    def _refuse(self, problem: Problem) -> None:
        """Respond without the application, and close the connection."""
        content = problem.content()
        headers = problem.headers | {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(content))}
        lines = [f"HTTP/1.1 {problem.status} {problem.title}", *(f"{key}: {headers[key]}" for key in headers)]
        self.transport.write("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + content)
        self.transport.close()
