"""Prometheus metrics, summed over all workers.

The workers write to shared files (prometheus_client's multiprocess mode), so whichever of them is scraped reports for
all. prometheus_client selects that mode by PROMETHEUS_MULTIPROC_DIR when it is first imported.
"""

from __future__ import annotations

import os
import time

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
# Seconds, from a tenth of a millisecond (a small network) to the limit of a client's patience.
_BUCKETS = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_NO_RESPONSE = 499  # nginx's status for a request without a response: the client left, or the worker had to stop


class Metrics:
    """The metrics of one worker."""

    def __init__(self) -> None:
        self._registry = own = CollectorRegistry()
        self._requests = Counter(
            "workbench_requests", "Requests answered, by route and status.", ["route", "status"], registry=own
        )
        self._seconds = Histogram(
            "workbench_request_seconds",
            "From the request's headers to the end of the response.",
            ["route"],
            buckets=_BUCKETS,
            registry=own,
        )
        self.decoding = Histogram(
            "workbench_decoding_seconds", "Decoding one image, without queueing.", buckets=_BUCKETS, registry=own
        )
        self.inference = Histogram(
            "workbench_inference_seconds", "One call of the network, without queueing.", buckets=_BUCKETS, registry=own
        )
        self.answers = Counter("workbench_answers", "Images, by predicted label.", ["label"], registry=own)
        self.waiting = Gauge(
            "workbench_waiting", "Requests read and not yet answered.", multiprocess_mode="livesum", registry=own
        )
        self._workers = Gauge(
            "workbench_workers",
            "Workers that serve this bundle.",
            ["name", "version"],
            multiprocess_mode="livesum",
            registry=own,
        )
        self._swaps = Counter("workbench_swaps", "Bundles swapped in by a running worker.", registry=own)

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """Count a finished request; status 0 stands for no response."""
        self._requests.labels(route, status or _NO_RESPONSE).inc()
        self._seconds.labels(route).observe(seconds)

    def set_network(self, name: str, version: str, previous: tuple[str, str] | None = None) -> None:
        """Record the network this worker serves from now on, and the (name, version) that it replaces."""
        if previous:
            self._workers.labels(*previous).set(0)
            self._swaps.inc()
        self._workers.labels(name, version).set(1)

    def exposition(self) -> tuple[bytes, str]:
        """Return the metrics of all workers in Prometheus' text format, and its media type."""
        if FOLDER_VARIABLE not in os.environ:
            return generate_latest(self._registry), CONTENT_TYPE_LATEST
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return generate_latest(registry), CONTENT_TYPE_LATEST


def totals() -> tuple[int, int]:
    """Return how many requests all workers, living and dead, have answered and have cut off without an answer."""
    registry, answered, cut_off = CollectorRegistry(), 0, 0
    MultiProcessCollector(registry)
    for family in registry.collect():
        for sample in family.samples:
            if sample.name == "workbench_requests_total":
                if sample.labels["status"] == str(_NO_RESPONSE):
                    cut_off += int(sample.value)
                else:
                    answered += int(sample.value)
    return answered, cut_off


class MetricsMiddleware:
    """ASGI middleware that counts and times requests. routes: last path segments that are counted separately."""

    def __init__(self, app: ASGIApp, metrics: Metrics, routes: frozenset[str]) -> None:
        self._app, self._metrics, self._routes = app, metrics, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0

        async def send_and_note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note_status)
        finally:
            last = scope["path"].rpartition("/")[2] or "page"
            route = last if last in self._routes else "other"
            self._metrics.count_request(route, status, time.perf_counter() - start)
