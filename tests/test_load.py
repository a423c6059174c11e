"""The clients of a load: what they make of answers in pieces, of refusals, and of a server that hangs up."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from workbench.errors import WorkbenchError
from workbench.load import press

PICTURES = [b"one", b"another"]
HEAD = b"HTTP/1.1 %s\r\nContent-Length: %d\r\n%s\r\n"


@contextmanager
def server(answer: Callable[[int, socket.socket], bool]) -> Iterator[tuple[str, list[bytes]]]:
    """One whose `answer` is given the number of the request and its connection, and says whether it stays open.

    Gives its address, and the requests as they come.
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


def test_answers_in_pieces_are_waited_for() -> None:
    def answer(_: int, line: socket.socket) -> bool:
        for piece in (b"HTTP/1.1 20", b"0 OK\r\nA: b\r\ncontent-LENGTH:5\r\n", b"\r\nab", b"cde"):
            line.sendall(piece)
            time.sleep(0.01)
        return True

    with server(answer) as (address, asked):
        load = press(address, PICTURES, 0.5, 1)
    assert load.failed == {}
    assert load.answered == len(asked) > 3
    assert 0.03 < (load.p50 or 0) <= (load.p99 or 0) < 0.5
    assert load.requests_per_second == pytest.approx(load.answered / load.seconds)
    assert asked[0].startswith(b"POST /classify HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"Content-Length: 3\r\n" in asked[0]
    assert asked[0].endswith(b"\r\n\r\none")
    assert asked[1].endswith(b"\r\n\r\nanother")


def test_refusals_and_hanging_up_are_told_apart() -> None:
    """Every third is busy and hangs up, every fifth says nothing, every seventh stops in the middle."""

    def answer(number: int, line: socket.socket) -> bool:
        if number % 5 == 0:
            return False
        if number % 3 == 0:
            line.sendall(HEAD % (b"503 Service Unavailable", 2, b"Connection: close\r\n") + b"no")
            return False
        line.sendall(HEAD % (b"200 OK", 4, b"") + (b"ye" if number % 7 == 0 else b"yes!"))
        return number % 7 != 0

    with server(answer) as (address, asked):
        load = press(address, PICTURES, 1.0, 1)
        numbers = range(1, len(asked) + 1)
    silent = [number for number in numbers if number % 5 == 0]
    busy = [number for number in numbers if number % 5 and number % 3 == 0]
    halves = [number for number in numbers if number % 5 and number % 3 and number % 7 == 0]
    assert len(numbers) > 20
    assert load.busy == len(busy)
    assert load.failed == {0: len(silent) + len(halves)}
    assert load.answered == len(numbers) - len(busy) - len(silent) - len(halves)


def test_where_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
    load = press(address, PICTURES, 0.3, 2)
    assert load.answered == 0
    assert load.p50 is None
    assert load.failed.keys() == {0}
    began = time.monotonic()
    press(address, PICTURES, 60, 2, lambda: False)
    assert time.monotonic() - began < 5
    with pytest.raises(WorkbenchError, match="at_once = 0: must be a whole number from 1 to 1,024"):
        press(address, PICTURES, 1, 0)
