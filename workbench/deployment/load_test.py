"""Load-test an application: closed-loop clients, and the throughput and latency they saw."""

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

RESPONSE_SECONDS = 60.0  # after which a request counts as failed
MAX_SECONDS, MAX_CLIENTS = 3600, 1024
_HEAD = re.compile(rb"HTTP/1\.1 (\d{3}) .*?\r\n\r\n", re.DOTALL)
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class LoadTestResult:
    """What an application sustained, measured here and now, by clients that share its processor.

    concurrency: clients, each of which sends its next request as soon as it has a response. seconds: duration.
    answered: requests with status 200. requests_per_second: of those. busy: requests refused with 503. failed: all
    others by HTTP status, 0 for no response. p50, p99: seconds from a request to the end of its response, None if
    nothing was answered.
    """

    concurrency: int
    seconds: float
    answered: int
    busy: int
    failed: Mapping[int, int]
    requests_per_second: float
    p50: float | None
    p99: float | None


def run_load_test(
    address: str,
    images: Sequence[bytes],
    seconds: float,
    concurrency: int,
    continues: Callable[[], bool] = lambda: True,
) -> LoadTestResult:
    """Let `concurrency` clients post the PNG `images` to address/classify, one per request, for `seconds`.

    The clients are threads of this process. The test ends early when `continues` returns False. Raises WorkbenchError
    for invalid `seconds` or `concurrency`.
    """
    seconds = above_zero("seconds", seconds, MAX_SECONDS)
    concurrency = whole_number("concurrency", concurrency, 1, MAX_CLIENTS)
    url = urlsplit(address)
    head = f"POST /classify HTTP/1.1\r\nHost: {url.netloc}\r\nContent-Type: image/png\r\nContent-Length: "
    requests = [f"{head}{len(image)}\r\n\r\n".encode() + image for image in images]
    outcomes: list[tuple[int, float]] = []  # status and seconds of each request
    over = threading.Event()

    def run_client(first: int) -> None:
        connection = _Connection(str(url.hostname), url.port or 80)
        for number in count(first):
            if over.is_set():
                break
            start = time.perf_counter()
            status = connection.send(requests[number % len(requests)])
            outcomes.append((status, time.perf_counter() - start))
            if not status:
                over.wait(0.05)
        connection.close()

    clients = [threading.Thread(target=run_client, args=(first,), daemon=True) for first in range(concurrency)]
    start = time.perf_counter()
    try:
        for client in clients:
            client.start()
        while (left := start + seconds - time.perf_counter()) > 0 and continues():
            over.wait(min(0.2, left))
    finally:
        over.set()
    for client in clients:
        client.join(RESPONSE_SECONDS)
    return _summarize(concurrency, time.perf_counter() - start, outcomes)


def _summarize(concurrency: int, seconds: float, outcomes: Sequence[tuple[int, float]]) -> LoadTestResult:
    latencies = [latency for status, latency in outcomes if status == HTTPStatus.OK]
    failed = Counter(status for status, _ in outcomes if status != HTTPStatus.OK)
    p50, p99 = np.percentile(latencies, (50, 99)).tolist() if latencies else (None, None)
    return LoadTestResult(
        concurrency=concurrency,
        seconds=seconds,
        answered=len(latencies),
        busy=failed.pop(HTTPStatus.SERVICE_UNAVAILABLE, 0),
        failed=dict(failed),
        requests_per_second=len(latencies) / seconds,
        p50=p50,
        p99=p99,
    )


class _Connection:
    """A persistent connection, reopened after the application closes it.

    http.client would do, but uses four times as much of the processor, which the application then lacks.
    """

    def __init__(self, host: str, port: int) -> None:
        self._address = host, port
        self._socket: socket.socket | None = None

    def send(self, request: bytes) -> int:
        """Return the status of the response once it has arrived completely, or 0 if it does not."""
        try:
            if self._socket is None:
                self._socket = socket.create_connection(self._address, RESPONSE_SECONDS)
                self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.sendall(request)
            received = b""
            while (head := _HEAD.match(received)) is None:
                received += self._receive(self._socket)
            length = _LENGTH.search(head[0])
            missing = head.end() + int(length[1] if length else 0) - len(received)
            while missing > 0:
                missing -= len(self._receive(self._socket))
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

    def _receive(self, connection: socket.socket) -> bytes:
        part = connection.recv(65536)
        if not part:
            raise ConnectionError("the application closed the connection")
        return part
