"""Prometheus metrics, summed over all workers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from serving.application import (
    BUNDLE,
    PNG,
    application,
    client,
)

from workbench.folders import REFERENCE
from workbench.serving.metrics import Metrics, MetricsMiddleware


def test_metrics_are_summed_over_the_workers() -> None:
    with application(REFERENCE, "--workers", "2") as served:
        for _ in range(20):
            with client(served) as asking:
                asking.post("/classify", content=PNG)
        with client(served) as asking:
            asking.post("/classify", content=b"no image")
            text = asking.get("/metrics").text
        assert 'workbench_requests_total{route="classify",status="200"} 20.0' in text
        assert 'workbench_requests_total{route="classify",status="422"} 1.0' in text
        right = BUNDLE.labels[int(BUNDLE.self_test_expected[0].argmax())]
        assert f'workbench_answers_total{{label="{right}"}} 20.0' in text
        assert "workbench_inference_seconds_count 20.0" in text


def samples(metrics: Metrics) -> dict[tuple[str, str], float]:
    """All samples by name and label values, as Prometheus' own parser reads them."""
    content, media_type = metrics.exposition()
    assert media_type.startswith("text/plain")
    return {
        (sample.name, " ".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(content.decode())
        for sample in family.samples
    }


def test_the_middleware_counts_by_route_and_status() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/classify":
            await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/broken":
            raise RuntimeError("a bug")

    async def send(_: Any) -> None:
        pass

    metrics = Metrics()
    middleware = MetricsMiddleware(app, metrics, frozenset({"classify", "page"}))

    async def ask() -> None:
        for path in ("/classify", "/classify", "/", "/unknown/path"):
            await middleware({"type": "http", "path": path}, None, send)  # type: ignore[arg-type]
        with pytest.raises(RuntimeError):
            await middleware({"type": "http", "path": "/broken"}, None, send)  # type: ignore[arg-type]
        await middleware({"type": "lifespan", "path": "/"}, None, send)  # type: ignore[arg-type]

    asyncio.run(ask())
    found = samples(metrics)
    counts = {labels: count for (name, labels), count in found.items() if name == "workbench_requests_total"}
    assert counts == {"classify 200": 2, "page 499": 1, "other 499": 2}
    assert found["workbench_request_seconds_count", "classify"] == 2


def test_a_swap_moves_the_worker_to_the_other_bundle() -> None:
    metrics = Metrics()
    metrics.set_network("net", "first")
    metrics.set_network("net", "second", ("net", "first"))
    found = samples(metrics)
    assert found["workbench_workers", "net first"] == 0
    assert found["workbench_workers", "net second"] == 1
    assert found["workbench_swaps_total", ""] == 1
