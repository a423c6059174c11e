"""An HTTP client for load tests: many connections, each sending the same request over and over."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field


@dataclass
class LoadTestResult:
    """seconds: latency of each answer; failed: answers other than 200; wall: seconds of the whole test."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0
    wall: float = 0.0


class Client(asyncio.Protocol):
    """A connection that sends a request as soon as the one before is answered, until a deadline."""

    def __init__(self, request: bytes, load: LoadTestResult, deadline: float, done: asyncio.Future[None]) -> None:
        self.request, self.load, self.deadline, self.done = request, load, deadline, done
        self.received, self.sent_at = bytearray(), 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._send()

    def _send(self) -> None:
        if time.perf_counter() >= self.deadline:
            self.transport.close()
            return
        self.sent_at = time.perf_counter()
        self.transport.write(self.request)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.received += data
        head = self.received.find(b"\r\n\r\n")
        if head < 0:
            return
        start = self.received.lower().find(b"content-length:")
        if not 0 <= start < head:
            raise SystemExit(f"an answer without a length: {bytes(self.received[:200])!r}")
        length = int(self.received[start + 15 : self.received.find(b"\r", start)])
        if len(self.received) < head + 4 + length:
            return
        if self.received.startswith(b"HTTP/1.1 200"):
            self.load.seconds.append(time.perf_counter() - self.sent_at)
        else:
            self.load.failed += 1
        self.received.clear()
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_result(None)


def run_load_test(port: int, request: bytes, concurrency: int, seconds: float) -> LoadTestResult:
    """Send `request` to 127.0.0.1 from `concurrency` connections for `seconds`."""
    test = _run(port, request, concurrency, seconds)
    try:
        import uvloop
    except ImportError:
        return asyncio.run(test)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(test)


async def _run(port: int, request: bytes, concurrency: int, seconds: float) -> LoadTestResult:
    load, loop = LoadTestResult(), asyncio.get_running_loop()
    start = time.perf_counter()
    ends = []
    for _ in range(concurrency):
        done = loop.create_future()
        await loop.create_connection(lambda d=done: Client(request, load, start + seconds, d), "127.0.0.1", port)
        ends.append(done)
    await asyncio.gather(*ends)
    load.wall = time.perf_counter() - start
    return load


def post(path: str, body: bytes, content_type: str, **headers: str) -> bytes:
    """Return a POST request in bytes; underscores in the names of headers become hyphens."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Type: {content_type}"]
    lines.append(f"Content-Length: {len(body)}")
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
