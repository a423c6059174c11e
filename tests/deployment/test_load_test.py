"""The clients of a load test: responses in pieces, refusals, and a server that closes the connection."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from workbench.deployment.load_test import run_load_test
from workbench.errors import WorkbenchError

IMAGES = [b"one", b"another"]
HEAD = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n"


@contextmanager
def server(answer: Callable[[int, socket.socket], bool]) -> Iterator[tuple[str, list[bytes]]]:
    """A server that calls `answer` with the number of a request and its connection; the result says if that stays open.

    Yields its address, and the list of requests as they arrive.
    """
    asked: list[bytes] = []

    def serve(line: socket.socket) -> None:
        with line:
            while True:
                received = b""
                while not re.search(rb"\r\n\r\n(one|another)$", received):
                    part = line.recv(4096)
                    if not part:
                        return
                    received += part
                asked.append(received)
                if not answer(len(asked), line):
                    return

    def accept() -> None:
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(line,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", asked
        listener.shutdown(socket.SHUT_RDWR)


def test_responses_in_pieces_are_read_completely() -> None:
    def answer(_: int, line: socket.socket) -> bool:
        for piece in (b"HTTP/1.1 20", b"0 OK\r\nA: b\r\ncontent-LENGTH:5\r\n", b"\r\nab", b"cde"):
            line.sendall(piece)
            time.sleep(0.01)
        return True

    with server(answer) as (address, asked):
        load = run_load_test(address, IMAGES, 0.5, 1)
    assert load.failed == {}
    assert load.answered == len(asked) > 3
    assert 0.03 < (load.p50 or 0) <= (load.p99 or 0) < 0.5
    assert load.requests_per_second == pytest.approx(load.answered / load.seconds)
    assert asked[0].startswith(b"POST /classify HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"Content-Length: 3\r\n" in asked[0]
    assert asked[0].endswith(b"\r\n\r\none")
    assert asked[1].endswith(b"\r\n\r\nanother")


def test_refusals_and_closed_connections_are_counted_separately() -> None:
    """Every third request is refused and closed, every fifth gets nothing, every seventh half of its response."""

    def answer(number: int, line: socket.socket) -> bool:
        if number % 5 == 0:
            return False
        if number % 3 == 0:
            line.sendall(HEAD % (b"503 Service Unavailable", 2, b"Connection: close\r\n") + b"no")
            return False
        line.sendall(HEAD % (b"200 OK", 4, b"") + (b"ye" if number % 7 == 0 else b"yes!"))
        return number % 7 != 0

    with server(answer) as (address, asked):
        load = run_load_test(address, IMAGES, 1.0, 1)
        numbers = range(1, len(asked) + 1)
    silent = [number for number in numbers if number % 5 == 0]
    busy = [number for number in numbers if number % 5 and number % 3 == 0]
    halves = [number for number in numbers if number % 5 and number % 3 and number % 7 == 0]
    assert len(numbers) > 20
    assert load.busy == len(busy)
    assert load.failed == {0: len(silent) + len(halves)}
    assert load.answered == len(numbers) - len(busy) - len(silent) - len(halves)


def test_an_address_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    load = run_load_test(address, IMAGES, 0.3, 2)
    assert load.answered == 0
    assert load.p50 is None
    assert load.failed.keys() == {0}
    began = time.monotonic()
    run_load_test(address, IMAGES, 60, 2, lambda: False)
    assert time.monotonic() - began < 5
    with pytest.raises(WorkbenchError, match="concurrency = 0: must be a whole number from 1 to 1,024"):
        run_load_test(address, IMAGES, 1, 0)
