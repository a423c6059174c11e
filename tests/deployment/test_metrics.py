"""What prometheus_client writes is read back; a quantile lies in the bucket of the true one."""

from __future__ import annotations

import math
import sys

import prometheus_client
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workbench.deployment.metrics import read_metrics
from workbench.errors import WorkbenchError


@settings(max_examples=100)
@given(st.dictionaries(st.text(max_size=8), st.integers(1, 99), max_size=5))
@example(dict.fromkeys(('"', "\\", '\\"', "\\n", "\n", "\r\n", "\x85", "}", "{", " # ", 'x="y",z', "", "é"), 7))
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


def test_a_version_without_workers_is_left_out() -> None:
    text = 'workbench_workers{name="a",version="old"} 0.0\nworkbench_workers{name="a",version="new"} 2.0\n'
    found = read_metrics(f"{text}workbench_swaps_total 2.0\nother_metric NaN\n", 1.5)
    assert (found.at, found.workers, found.swaps, found.quantile(0.5)) == (1.5, {"new": 2}, 2, None)


@pytest.mark.parametrize("text", ["<html>", "workbench_answers_total 1.0", 'workbench_answers_total{label="x} 1'])
def test_what_is_not_prometheus_text_is_refused(text: str) -> None:
    with pytest.raises(WorkbenchError, match="not in Prometheus' text format"):
        read_metrics(text, 0.0)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client.parser", None)
    with pytest.raises(WorkbenchError, match=r"needs prometheus-client: pip install '\.\[serve\]'"):
        read_metrics("", 0.0)
