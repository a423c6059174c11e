"""Limits of a connection: slow clients, half-closed connections, too many of them, too large headers."""

from __future__ import annotations

import asyncio
import re
import socket

from serving.application import (
    BUNDLE,
    PNG,
    application,
    client,
    served_version,
)

from workbench.folders import REFERENCE


def test_slow_clients_are_cut_off() -> None:
    """Whoever sends nothing, half a head, or half a body; the others do not notice."""
    head = b"POST /classify HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\n"
    with application(REFERENCE, "--request-seconds", "1") as served, client(served) as asking:
        for sent in (b"", head[:30], head, head + bytes(500)):
            with socket.create_connection(("127.0.0.1", served.port), timeout=20) as slow:
                slow.sendall(sent)
                assert served_version(asking) == BUNDLE.version
                said = slow.recv(4096)
                assert said.startswith(b"HTTP/1.1 408 Request Timeout"), said
                assert b"did not arrive within 1 s" in said
                assert slow.recv(4096) == b""
        whole = b"GET /v2/health/live HTTP/1.1\r\nHost: here\r\n\r\n"
        for sent, then in ((whole + head[:30], b""), (whole + head, b""), (whole, head[:30]), (whole, head)):
            with socket.create_connection(("127.0.0.1", served.port), timeout=20) as slow:
                slow.sendall(sent)
                assert slow.recv(4096).endswith(b'{"live":true}')  # head and body in one piece
                slow.sendall(then)
                assert slow.recv(4096).startswith(b"HTTP/1.1 408 Request Timeout")


def test_a_half_closed_connection_is_answered() -> None:
    """It closes its own half of the connection (`nc -N`), and waits."""
    with application() as served:
        for _ in range(10):
            with socket.create_connection(("127.0.0.1", served.port), timeout=20) as line:
                line.sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: here\r\n\r\n")
                line.shutdown(socket.SHUT_WR)
                assert line.recv(4096).endswith(b'{"live":true}')


def test_too_many_connections_and_too_large_headers() -> None:
    with application(REFERENCE, "--max-connections", "3") as served:
        lines = [socket.create_connection(("127.0.0.1", served.port), timeout=20) for _ in range(4)]
        assert lines[3].recv(4096).startswith(b"HTTP/1.1 503 Service Unavailable")
        lines[0].sendall(b"GET / HTTP/1.1\r\nX: " + bytes([97]) * 200_000)
        assert lines[0].recv(4096).startswith(b"HTTP/1.1 431 Request Header Fields Too Large")
        lines[1].sendall(b"not http at all\r\n\r\n")
        assert re.match(rb"HTTP/1.1 400 Bad Request.*problem\+json", lines[1].recv(4096), re.DOTALL)
        lines[2].sendall(b"GET /v2/health/live HTTP/1.1\r\nHost: here\r\n\r\n" * 3)  # one after the other on one line
        received = b""
        while received.count(b'{"live":true}') < 3:
            part = lines[2].recv(4096)
            assert part
            received += part
        for line in lines:
            line.close()


def test_no_client_starves_under_load() -> None:
    head = f"POST /classify HTTP/1.1\r\nHost: x\r\nContent-Length: {len(PNG)}\r\n\r\n".encode()

    async def ask(port: int, counts: list[int], end: asyncio.Event) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        place = len(counts)
        counts.append(0)
        while not end.is_set():
            writer.write(head + PNG)
            answer = await reader.readuntil(b"\r\n\r\n")
            assert answer.startswith(b"HTTP/1.1 200"), answer
            await reader.readexactly(int(re.search(rb"content-length: (\d+)", answer)[1]))  # type: ignore[index]
            counts[place] += 1
        writer.close()

    async def many(port: int) -> list[int]:
        counts: list[int] = []
        end = asyncio.Event()
        asking = [asyncio.create_task(ask(port, counts, end)) for _ in range(48)]
        while sum(counts) < 48 * 20:
            await asyncio.sleep(0.05)
        end.set()
        await asyncio.gather(*asking)
        return counts

    with application() as served:
        counts = asyncio.run(many(served.port))
    assert min(counts) > max(counts) / 2, counts
