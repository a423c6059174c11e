"""Load on an application: clients that ask it at once, and what they saw."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from itertools import count
from urllib.parse import urlsplit

import numpy as np

from workbench.arguments import above_zero, whole_number

ANSWER_SECONDS = 60.0
MAX_SECONDS, MAX_CLIENTS = 3600, 1024
_HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) .*?\r\n\r\n", re.DOTALL)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Load:
    """What an application carried, measured here and now, by clients that share its processor.

    at_once: clients, each of which asks again as soon as it is answered. seconds: that it went on. answered: requests
    with an answer; requests_per_second: those. busy: that were told to come back later (503). failed: the others by
    HTTP status, 0 where none came. p50, p99: seconds from a request to the end of its answer; None where none was
    answered.
    """

    at_once: int
    seconds: float
    answered: int
    busy: int
    failed: Mapping[int, int]
    requests_per_second: float
    p50: float | None
    p99: float | None


def press(
    address: str, pictures: Sequence[bytes], seconds: float, at_once: int, goes_on: Callable[[], bool] = lambda: True
) -> Load:
    """Have `at_once` clients post PNG `pictures` to address/classify, one by one, for so many seconds.

    The clients are threads of this Python. It ends early where `goes_on` says no. Raises WorkbenchError for seconds and
    clients that cannot be.
    """
    above_zero("seconds", seconds, MAX_SECONDS)
    whole_number("at_once", at_once, 1, MAX_CLIENTS)
    where = urlsplit(address)
    head = f"POST /classify HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Type: image/png\r\nContent-Length: "
    requests = [f"{head}{len(picture)}\r\n\r\n".encode() + picture for picture in pictures]
    told_by_all: list[tuple[int, float]] = []  # of each request its status and its seconds
    over = threading.Event()

    def client(first: int) -> None:
        line = _Line(str(where.hostname), where.port or 80)
        for place in count(first):
            if over.is_set():
                break
            begun = time.perf_counter()
            status = line.ask(requests[place % len(requests)])
            told_by_all.append((status, time.perf_counter() - begun))
            if not status:
                over.wait(0.05)
        line.close()

    clients = [threading.Thread(target=client, args=(first,), daemon=True) for first in range(at_once)]
    start = time.perf_counter()
    try:
        for each in clients:
            each.start()
        while (left := start + seconds - time.perf_counter()) > 0 and goes_on():
            over.wait(min(0.2, left))
    finally:
        over.set()
    for each in clients:
        each.join(ANSWER_SECONDS)
    return _summed(at_once, time.perf_counter() - start, told_by_all)


def _summed(at_once: int, seconds: float, told: Sequence[tuple[int, float]]) -> Load:
    good = [took for status, took in told if status == HTTPStatus.OK]
    failed = Counter(status for status, _ in told if status != HTTPStatus.OK)
    p50, p99 = np.percentile(good, (50, 99)).tolist() if good else (None, None)
    return Load(
        at_once=at_once,
        seconds=seconds,
        answered=len(good),
        busy=failed.pop(HTTPStatus.SERVICE_UNAVAILABLE, 0),
        failed=dict(failed),
        requests_per_second=len(good) / seconds,
        p50=p50,
        p99=p99,
    )


class _Line:
    """A connection that is kept, and opened again where the application closed it.

    http.client would do, but takes four times as much of the processor, which the application then lacks.
    """

    def __init__(self, host: str, port: int) -> None:
        self._where = host, port
        self._socket: socket.socket | None = None

    def ask(self, request: bytes) -> int:
        """The status of the answer, once all of it has come; 0 where it does not come."""
        try:
            if self._socket is None:
                self._socket = socket.create_connection(self._where, ANSWER_SECONDS)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(request)
            received = b""
            while (head := _HEAD.match(received)) is None:
                received += self._more(self._socket)
            length = _LENGTH.search(head[0])
            missing = head.end() + int(length[1] if length else 0) - len(received)
            while missing > 0:
                missing -= len(self._more(self._socket))
            if b"\r\nconnection: close" in head[0].lower():
                self.close()
            return int(head[1])
        except OSError:
            self.close()
            return 0

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _more(self, line: socket.socket) -> bytes:
        part = line.recv(65536)
        if not part:
            raise ConnectionError("it hung up")
        return part
