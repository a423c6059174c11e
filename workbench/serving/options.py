"""What a person may set of the application; the defaults are safe ones."""

from __future__ import annotations

from dataclasses import dataclass, fields

from workbench.errors import WorkbenchError
from workbench.sealed import shortened

ENGINES = ("onnx", "onnx-int8")


@dataclass(frozen=True, kw_only=True)
class Options:
    """Checked when made: raises WorkbenchError that names the option and its value.

    host, port: where it listens; port 0 takes any that is free. workers: processes that answer. threads: processor
    cores that one of them computes with. engine: onnx or onnx-int8. max_body_bytes: of one request. max_pixels: of one
    picture. max_pictures: of one request. max_waiting: requests that one worker has read and not yet answered; what
    comes on top is told to come back. max_connections: of one worker. request_seconds: that a client may take to send
    a request. drain_seconds: that accepted requests are given when the application is stopped.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    threads: int = 1
    engine: str = "onnx"
    max_body_bytes: int = 8 * 2**20
    max_pixels: int = 40_000_000
    max_pictures: int = 64
    max_waiting: int = 64
    max_connections: int = 1024
    request_seconds: float = 10.0
    drain_seconds: float = 30.0

    def __post_init__(self) -> None:
        if not isinstance(self.host, str) or not self.host.strip():
            raise WorkbenchError(f"host = {shortened(repr(self.host))}: give a name or an address, such as 127.0.0.1.")
        if self.engine not in ENGINES:
            raise WorkbenchError(f"engine = {shortened(repr(self.engine))}: choose {' or '.join(ENGINES)}.")
        for field in fields(self):
            if field.name not in _RANGES:
                continue
            low, high = _RANGES[field.name]
            value = getattr(self, field.name)
            whole = isinstance(field.default, int)
            right = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
            if not right or not low <= value <= high:
                kind = "whole number" if whole else "number"
                raise WorkbenchError(
                    f"{field.name} = {shortened(repr(value))}: must be a {kind} from {low:,} to {high:,}."
                )


_RANGES: dict[str, tuple[float, float]] = {
    "port": (0, 65_535),
    "workers": (1, 256),
    "threads": (1, 1024),
    "max_body_bytes": (1024, 2**30),
    "max_pixels": (1024, 1_000_000_000),
    "max_pictures": (1, 65_536),
    "max_waiting": (1, 65_536),
    "max_connections": (1, 65_536),
    "request_seconds": (0.1, 3600),
    "drain_seconds": (0, 3600),
}
