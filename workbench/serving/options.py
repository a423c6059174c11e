"""Options of the production application, with safe defaults."""

from __future__ import annotations

from dataclasses import dataclass

from workbench.arguments import number, one_of, whole_number
from workbench.errors import WorkbenchError
from workbench.wording import shorten

ENGINES = ("onnx", "onnx-int8")
DRAIN_SECONDS = 30.0  # default grace period for accepted requests when the application stops
KILL_SECONDS = 5.0  # on top of it, before a worker that is still running is killed


@dataclass(frozen=True, kw_only=True)
class Options:
    """Validated options. Raises WorkbenchError naming the option and its value.

    host, port: address to listen on; port 0 takes any free one.
    workers: processes that answer requests. threads: cores one worker computes on. engine: onnx or onnx-int8.
    max_body_bytes: of a request. max_pixels: of an image. max_images: of a request.
    max_waiting: requests a worker may have read but not answered; further ones get 503.
    max_connections: open connections of a worker.
    request_seconds: time a client may take to send a request.
    drain_seconds: grace period for accepted requests when the application stops.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    threads: int = 1
    engine: str = "onnx"
    max_body_bytes: int = 8 * 2**20
    max_pixels: int = 40_000_000
    max_images: int = 64
    max_waiting: int = 64
    max_connections: int = 1024
    request_seconds: float = 10.0
    drain_seconds: float = DRAIN_SECONDS

    def __post_init__(self) -> None:
        if not isinstance(self.host, str) or not self.host.strip():
            raise WorkbenchError(f"host = {shorten(repr(self.host))}: give a name or an address, such as 127.0.0.1.")
        one_of("engine", self.engine, ENGINES)
        for name, (low, high) in _WHOLE_NUMBERS.items():
            object.__setattr__(self, name, whole_number(name, getattr(self, name), low, high))
        for name, shortest in (("request_seconds", 0.1), ("drain_seconds", 0.0)):
            object.__setattr__(self, name, number(name, getattr(self, name), shortest, 3600))


_WHOLE_NUMBERS = {
    "port": (0, 65_535),
    "workers": (1, 256),
    "threads": (1, 1024),
    "max_body_bytes": (1024, 2**30),
    "max_pixels": (1024, 1_000_000_000),
    "max_images": (1, 65_536),
    "max_waiting": (1, 65_536),
    "max_connections": (1, 65_536),
}
