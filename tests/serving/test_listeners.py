"""The listening sockets: ports in use, and connections distributed over the workers."""

from __future__ import annotations

import os
import socket
import sys

import pytest
from serving.application import (
    application,
    run_command,
    until,
)

from workbench.folders import REFERENCE


def test_a_port_in_use_is_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run_command("serve", REFERENCE, "--port", taken.getsockname()[1])
    assert done.returncode == 2
    assert "something listens there already: choose another --port, 0 for any" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux spreads connections over sockets that share a port")
def test_connections_are_distributed_over_the_workers() -> None:
    with application(REFERENCE, "--workers", "2") as served:
        lines = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(24)]
        for line in lines:
            line.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: here\r\n\r\n")
            assert line.recv(4096).startswith(b"HTTP/1.1 200")
        held = [len(os.listdir(f"/proc/{worker}/fd")) for worker in served.workers]
        for line in lines:
            line.close()
        until(lambda: sum(len(os.listdir(f"/proc/{worker}/fd")) for worker in served.workers) <= sum(held) - 24)
        after = [len(os.listdir(f"/proc/{worker}/fd")) for worker in served.workers]
        assert sum(held) - sum(after) == 24
        assert all(before - now > 0 for before, now in zip(held, after, strict=True))
