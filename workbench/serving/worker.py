"""A worker process: a server on a given socket, and a pipe to the supervisor."""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import signal
import socket
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait

import uvicorn

from workbench.bundle.manifest import Bundle
from workbench.errors import WorkbenchError
from workbench.serving.app import build_app
from workbench.serving.connection import limited_protocol
from workbench.serving.network import Network, open_network
from workbench.serving.options import Options
from workbench.serving.service import Service


def run_worker(
    bundle: Bundle,
    options: Options,
    listener: socket.socket,
    pipe: Connection,
    inherited: Sequence[socket.socket] = (),
) -> None:
    """Serve until stopped.

    First sends ("ready", version) or ("refused", reason) through `pipe`; then receives ("prepare", bundle) and
    ("commit",), to which it replies in the same way, ("abort",) and ("stop",). inherited: the sockets of other workers,
    to be closed here.
    """
    _set_signal_handlers()
    for other in inherited:
        other.close()
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    try:
        network = open_network(bundle, options.engine, options.threads)
        service = Service(network, options)
        server = _Server(_server_config(service, options))
    except WorkbenchError as error:
        pipe.send(("refused", str(error)))
        return
    pipe.send(("ready", network.version))
    threading.Thread(target=_obey_supervisor, args=(pipe, service, server, options), daemon=True).start()
    server.run([listener])


def _set_signal_handlers() -> None:
    # A terminal sends these to every process of the group; the supervisor decides what they mean.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _server_config(service: Service, options: Options) -> uvicorn.Config:
    return uvicorn.Config(
        build_app(service),
        http=limited_protocol(options),
        loop="asyncio",  # uvloop accepts one connection per turn: under load, late clients wait for seconds
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=round(options.drain_seconds) or None,
    )


class _Server(uvicorn.Server):
    """A server that stops on SIGTERM or by `stop`, without raising the signal again as uvicorn does."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]  # as the method that it overrides
        signal.signal(signal.SIGTERM, lambda *_: self.stop())
        yield

    def stop(self) -> None:
        self.should_exit = True


def _obey_supervisor(pipe: Connection, service: Service, server: _Server, options: Options) -> None:
    """Carry out the supervisor's commands; when it is gone, drain and stop."""
    prepared: Network | None = None
    parent = multiprocessing.parent_process()
    assert parent is not None
    with contextlib.suppress(EOFError, OSError):
        while pipe in wait([pipe, parent.sentinel]):
            match pipe.recv():
                case ("prepare", bundle):
                    try:
                        prepared = open_network(bundle, options.engine, options.threads)
                        pipe.send(("ready", prepared.version))
                    except WorkbenchError as error:
                        pipe.send(("refused", str(error)))
                case ("commit",) if prepared is not None:
                    service.swap(prepared)
                    pipe.send(("ready", prepared.version))
                    prepared = None
                case ("abort",):
                    prepared = None
                case ("stop",):
                    break
    server.stop()
