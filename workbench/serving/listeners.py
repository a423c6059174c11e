"""The listening sockets of the workers, all on one address."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from workbench.errors import WorkbenchError
from workbench.serving.options import Options


@contextmanager
def open_listeners(options: Options) -> Iterator[list[socket.socket]]:
    """Open one socket for each worker. Raises WorkbenchError if the address is not available.

    Linux distributes connections over sockets that share a port (SO_REUSEPORT); among processes that share one socket,
    the first to wake up takes nearly all. Other systems do not distribute them, so all workers get the same socket. The
    supervisor keeps the sockets open, so a connection queued at a worker that died is answered by its replacement.
    """
    reuse_port = sys.platform == "linux"
    listeners: list[socket.socket] = []
    with ExitStack() as stack:
        try:
            family, *_, resolved = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0]
            address: tuple[Any, Any] = (resolved[0], resolved[1])
            # SO_REUSEPORT would share the port with any other server, so first make sure that it is free.
            with socket.create_server(address, family=family) as probe:
                address = address[0], probe.getsockname()[1]
            for _ in range(options.workers):
                if listeners and not reuse_port:
                    listeners.append(listeners[0])
                    continue
                listener = socket.create_server(address, family=family, backlog=2048, reuse_port=reuse_port)
                listeners.append(stack.enter_context(listener))
        except OSError as error:
            taken = "something listens there already: choose another --port, 0 for any."
            reason = taken if error.errno == errno.EADDRINUSE else f"{error.strerror or error}."
            raise WorkbenchError(f"{options.host}, port {options.port}: {reason}") from error
        yield listeners
