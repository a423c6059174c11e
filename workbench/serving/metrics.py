"""What Prometheus is told, added up over all workers.

The workers write into files that they share (prometheus_client's multiprocess mode): whichever of them is asked, the
answer counts for all. That mode is chosen by PROMETHEUS_MULTIPROC_DIR, before prometheus_client is first imported.
"""

from __future__ import annotations

import os
import time

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
# Seconds: from a tenth of a millisecond, which a small network needs, to the patience of a client.
_BUCKETS = (1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_HUNG_UP = 499  # as servers count what got no answer: the client had left, or the worker had to go


class Metrics:
    """The counters of one worker."""

    def __init__(self) -> None:
        self._registry = own = CollectorRegistry()
        self._requests = Counter(
            "workbench_requests", "Requests answered, by route and status.", ["route", "status"], registry=own
        )
        self._seconds = Histogram(
            "workbench_request_seconds",
            "From the head of a request to the end of its answer.",
            ["route"],
            buckets=_BUCKETS,
            registry=own,
        )
        self.decoding = Histogram(
            "workbench_decoding_seconds", "Decoding one picture, waiting not counted.", buckets=_BUCKETS, registry=own
        )
        self.inference = Histogram(
            "workbench_inference_seconds",
            "One call of the network, waiting not counted.",
            buckets=_BUCKETS,
            registry=own,
        )
        self.answers = Counter("workbench_answers", "Pictures, by the label of their answer.", ["label"], registry=own)
        self.waiting = Gauge(
            "workbench_waiting", "Requests read and not yet answered.", multiprocess_mode="livesum", registry=own
        )
        self._workers = Gauge(
            "workbench_workers",
            "Workers that answer with this bundle.",
            ["name", "version"],
            multiprocess_mode="livesum",
            registry=own,
        )
        self._swaps = Counter("workbench_swaps", "Bundles taken up by a worker while it ran.", registry=own)

    def request(self, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(route, status or _HUNG_UP).inc()
        self._seconds.labels(route).observe(seconds)

    def network(self, name: str, version: str, before: tuple[str, str] | None = None) -> None:
        """A worker answers with this network now, and no longer with the one `before`."""
        if before:
            self._workers.labels(*before).set(0)
            self._swaps.inc()
        self._workers.labels(name, version).set(1)

    def exposition(self) -> tuple[bytes, str]:
        """The metrics of all workers in Prometheus' text format, and its media type."""
        if FOLDER not in os.environ:
            return generate_latest(self._registry), CONTENT_TYPE_LATEST
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return generate_latest(registry), CONTENT_TYPE_LATEST


def totals() -> tuple[int, int]:
    """Of all workers, the living and the dead: requests that were answered, and those that were cut off unanswered."""
    registry, counts = CollectorRegistry(), {True: 0, False: 0}
    MultiProcessCollector(registry)
    for family in registry.collect():
        for sample in family.samples:
            if sample.name == "workbench_requests_total":
                counts[sample.labels["status"] != str(_HUNG_UP)] += int(sample.value)
    return counts[True], counts[False]


class Metered:
    """Counts and times each request to an app. routes: the last parts of the paths that are told apart."""

    def __init__(self, app: ASGIApp, metrics: Metrics, routes: frozenset[str]) -> None:
        self._app, self._metrics, self._routes = app, metrics, routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            last = scope["path"].rpartition("/")[2] or "page"
            route = last if last in self._routes else "other"
            self._metrics.request(route, status, time.perf_counter() - start)
