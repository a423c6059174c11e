"""What Prometheus' own client writes is read back; a quantile lies where the true one does."""

from __future__ import annotations

import math

import prometheus_client
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.deployment_metrics import read_metrics


@settings(max_examples=50)
@given(st.dictionaries(st.text(max_size=8), st.integers(1, 99), max_size=5))
def test_labels_of_any_kind_are_read_back(counts: dict[str, int]) -> None:
    registry = prometheus_client.CollectorRegistry()
    counter = prometheus_client.Counter("workbench_answers", "…", ["label"], registry=registry)
    for label, count in counts.items():
        counter.labels(label).inc(count)
    text = prometheus_client.generate_latest(registry).decode("utf-8")
    assert read_metrics(text, 0.0).answers == counts


@settings(max_examples=50)
@given(st.lists(st.floats(1e-6, 20), min_size=1, max_size=50), st.sampled_from([0.01, 0.5, 0.9, 0.99, 1.0]))
def test_a_quantile_lies_in_its_bucket(seconds: list[float], share: float) -> None:
    registry = prometheus_client.CollectorRegistry()
    histogram = prometheus_client.Histogram("workbench_request_seconds", "…", ["route"], registry=registry)
    for each in seconds:
        histogram.labels("classify").observe(each)
        histogram.labels("metrics").observe(1000)  # is not a request for an answer
    found = read_metrics(prometheus_client.generate_latest(registry).decode("utf-8"), 0.0)
    low, high = found.bounds(share) or (math.nan, math.nan)
    true = sorted(seconds)[max(0, math.ceil(share * len(seconds)) - 1)]
    assert low <= true <= high
    assert low <= (found.quantile(share) or math.nan) <= high
    assert found.since(found).quantile(share) is None
