"""One process that answers: a server on the socket that it is given, and a line to the supervisor."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import signal
import socket
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from workbench.bundle import Bundle
from workbench.errors import WorkbenchError
from workbench.serving.app import build_app
from workbench.serving.network import Network, open_network
from workbench.serving.options import Options
from workbench.serving.problems import MEDIA_TYPE, Problem, busy
from workbench.serving.service import Service

MAX_HEAD_BYTES = 64 * 2**10


def run_worker(
    bundle: Bundle,
    options: Options,
    listener: socket.socket,
    line: Connection,
    inherited: Sequence[socket.socket] = (),
) -> None:
    """Answer until told to stop.

    On `line` it says ("ready", version) or ("refused", why), and hears ("prepare", bundle) and ("commit",), which it
    answers in the same way, ("abort",) and ("stop",). inherited: the other workers' sockets, which it lets go.
    """
    for asked in (signal.SIGINT, *_signals("SIGHUP")):
        signal.signal(asked, signal.SIG_IGN)  # a terminal sends them to every process; the supervisor decides
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    for other in inherited:
        other.close()
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    try:
        network = open_network(bundle, options.engine, options.threads)
        service = Service(network, options)
        config = uvicorn.Config(
            build_app(service),
            http=_bounded(options),
            loop="asyncio",  # uvloop accepts one connection a turn: under load, whoever comes late waits for seconds
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ws="none",
            timeout_graceful_shutdown=round(options.drain_seconds) or None,
        )
        server = _Server(config)
    except WorkbenchError as error:
        line.send(("refused", str(error)))
        return
    line.send(("ready", network.version))
    threading.Thread(target=_obey, args=(line, service, server, options), daemon=True).start()
    server.run([listener])


class _Server(uvicorn.Server):
    """Stops when it is told to, by SIGTERM or on its line; uvicorn would raise the signal again afterwards."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]  # as the method that it overrides
        signal.signal(signal.SIGTERM, lambda *_: self.stop())
        yield

    def stop(self) -> None:
        self.should_exit = True


def _obey(line: Connection, service: Service, server: _Server, options: Options) -> None:
    """Do what the supervisor says; when it is gone, finish and go too."""
    prepared: Network | None = None
    parent = multiprocessing.parent_process()
    assert parent is not None
    with contextlib.suppress(EOFError, OSError):
        while line in wait([line, parent.sentinel]):
            match line.recv():
                case ("prepare", bundle):
                    try:
                        prepared = open_network(bundle, options.engine, options.threads)
                        line.send(("ready", prepared.version))
                    except WorkbenchError as error:
                        line.send(("refused", str(error)))
                case ("commit",) if prepared is not None:
                    service.swap(prepared)
                    line.send(("ready", prepared.version))
                    prepared = None
                case ("abort",):
                    prepared = None
                case ("stop",):
                    break
    server.stop()


def _signals(*names: str) -> list[signal.Signals]:
    """Those of the signals that this system has."""
    return [signal.Signals[name] for name in names if name in signal.Signals.__members__]


class _Joined:
    """A transport that sends together, when the event loop's turn ends, what was written in it.

    uvicorn writes the head and the body of an answer apart: two calls of the system, and a client woken up twice.
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


def _bounded(options: Options) -> type[HttpToolsProtocol]:
    """uvicorn's protocol with an end to what a client may keep open: connections, seconds, bytes of a head."""

    class Bounded(HttpToolsProtocol):
        _timer: asyncio.TimerHandle | None = None
        _head = 0  # bytes of a head that is not complete; -1 while a body comes
        _asking = False  # a request has begun to arrive and is not complete

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(_Joined(transport, self.loop))  # type: ignore[arg-type]  # what it uses of one
            # Nagle's algorithm would hold back, for 40 ms, what follows on something that was not acknowledged yet.
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
            if len(self.connections) > options.max_connections:
                self._refuse(busy("Too many connections are open."))
                return
            self._wait()

        def connection_lost(self, exc: Exception | None) -> None:
            self._rest()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            if self._head >= 0:
                self._head += len(data)
                if self._head > MAX_HEAD_BYTES + len(data):
                    self._refuse(Problem(431, "The head of the request is too large."))
                    return
            super().data_received(data)
            if self._asking and self._timer is None:  # most requests come whole: those need no clock
                self._wait()

        def eof_received(self) -> None:
            self.transport.close()  # asyncio would close its own transport, and what is held would be lost

        def send_400_response(self, msg: str) -> None:
            self._refuse(Problem(400, "This is no HTTP request."))

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._asking = True

        def on_headers_complete(self) -> None:
            self._head = -1
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self._head, self._asking = 0, False
            self._rest()
            super().on_message_complete()

        def _wait(self) -> None:
            self._timer = self.loop.call_later(options.request_seconds, self._late)

        def _rest(self) -> None:
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

        def _late(self) -> None:
            self._timer = None
            answered = self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete
            if self.transport.is_closing() or answered:
                self.transport.close()
            else:
                told = f"The request did not arrive within {options.request_seconds:g} s."
                self._refuse(Problem(408, told))

        def _refuse(self, problem: Problem) -> None:
            """Answer without the application, and hang up."""
            content = problem.content()
            headers = problem.headers | {"Content-Type": MEDIA_TYPE, "Content-Length": str(len(content))}
            lines = [f"HTTP/1.1 {problem.status} {problem.title}", *(f"{key}: {headers[key]}" for key in headers)]
            self.transport.write("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + content)
            self.transport.close()

    return Bounded
