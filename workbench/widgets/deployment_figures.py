"""What `DeploymentPanel` shows of a running application: counted and measured figures in words, with their origin."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from itertools import pairwise
from typing import Any
from xml.etree.ElementTree import Element

from workbench.deployment.application import DeploymentFootprint
from workbench.deployment.load_test import LoadTestResult
from workbench.deployment.metrics import DeploymentMetrics
from workbench.units import format_bytes, format_rate, format_seconds, format_share

MINUTE = 60.0
NOW_SECONDS = 3.5  # the span of a rate "now": three polls, with some slack
MAX_LABELS, MAX_LOAD_TESTS = 12, 8
COUNTED, MEASURED = "counted by the application", "measured here, now"
STATUS_HEAD = ("Status", "Meaning", "Requests")
LOAD_TEST_HEAD = ("Clients", "Answers a second", "Median", "p99", "Busy (503)", "Failed")
WORDS = {
    "origin": f"Requests, seconds (of the last minute) and workers are {COUNTED}; memory and start are {MEASURED}.",
    "counted": "Counted by the application since it started",
    "load_tests": "Measured here, now, by clients that share its processor",
    "difference": "A client's seconds are longer than the application's own: they include the way there and back, and "
    "the wait for a processor that both share.",
    "link": "opens on the machine that the kernel runs on",
    "no_kernel": "This page has no kernel: nothing can be started here.",
    "nothing": "It has received no requests yet.",
}

_MEANINGS = {200: "answered", 422: "no image", 499: "the client hung up", 503: "refused: try again later"}


def figures_of(
    history: Sequence[DeploymentMetrics],
    footprint: DeploymentFootprint | None,
    labels: Sequence[str],
    load_tests: Sequence[LoadTestResult],
) -> dict[str, Any]:
    """Return everything the browser shows of what was counted and measured, as plain values."""
    metrics = history[-1] if history else None
    return {
        "figures": figures(history, footprint),
        "rates": rates(history),
        "rates_summary": rates_summary(history) if history else "",
        "statuses": statuses(metrics),
        "answers": answers(metrics, labels),
        "load_tests": load_test_rows(load_tests),
        "load_summary": load_summary(load_tests[-1]) if load_tests else "",
    }


def tables(shown: Mapping[str, Any]) -> list[Element]:
    """Return the tables of `figures_of` for a page without scripts."""
    from workbench.pages.html import table

    images = [(each["label"], each["text"]) for each in shown["answers"]]
    return [
        table(WORDS["counted"], STATUS_HEAD, shown["statuses"], numeric=[2]),
        table("Images by the label they were given", ("Label", "Images"), images, numeric=[1]),
        table(WORDS["load_tests"], LOAD_TEST_HEAD, shown["load_tests"], numeric=range(6)),
    ]


def rates(history: Sequence[DeploymentMetrics]) -> list[list[float]]:
    """Return, for each poll in the last minute, its age in seconds and the requests a second since the poll before."""
    return [
        [round(history[-1].at - after.at, 2), round(_rate_between(before, after), 2)]
        for before, after in pairwise(_last(history, MINUTE))
    ]


def rate_now(history: Sequence[DeploymentMetrics]) -> float:
    """Return the requests a second over the last seconds."""
    last = _last(history, NOW_SECONDS)
    return _rate_between(last[0], last[-1]) if len(last) > 1 else 0.0


def rates_summary(history: Sequence[DeploymentMetrics]) -> str:
    """Describe the curve of `rates` in a sentence."""
    most = max((rate for _, rate in rates(history)), default=0.0)
    summary = f"{_rate_text(rate_now(history))} requests a second now, at most {_rate_text(most)} in the last minute"
    return f"{summary} ({COUNTED}, without requests for its pages and metrics)."


def figures(history: Sequence[DeploymentMetrics], footprint: DeploymentFootprint | None) -> list[list[str]]:
    """Return rows of a name, a value and a remark."""
    if not history:
        return []
    workers = history[-1].workers
    text = ", ".join(f"{count} with {version}" if len(workers) > 1 else version for version, count in workers.items())
    rows = [
        ["Requests a second", _rate_text(rate_now(history)), "over the last seconds"],
        *_latency_rows(history),
        ["Workers", f"{sum(workers.values()):,}", f"version {text}" if workers else "none answers"],
    ]
    if footprint is not None:
        sizes = footprint.pss_bytes or footprint.resident_bytes
        remark = "shared memory counted once" if footprint.pss_bytes else "shared memory counted in each"
        rows.append(["Memory", format_bytes(sum(sizes.values())), f"of {len(sizes)} processes, {remark}"])
        rows.append(["Start", format_seconds(footprint.start_seconds), "until it listened"])
    return rows


def _latency_rows(history: Sequence[DeploymentMetrics]) -> list[list[str]]:
    minute = history[-1].since(_last(history, MINUTE)[0])
    rows = []
    for name, share in (("Median latency", 0.5), ("p99 latency", 0.99)):
        seconds, bounds = minute.quantile(share), minute.bounds(share)
        if seconds is None or bounds is None:
            rows.append([name, "–", "no request in the last minute"])
        elif math.isinf(bounds[1]):
            rows.append([name, f"> {format_seconds(seconds)}", "beyond the last bucket"])
        else:
            low, high = map(format_seconds, bounds)
            rows.append([name, format_seconds(seconds), f"interpolated between {low} and {high}"])
    return rows


def statuses(metrics: DeploymentMetrics | None) -> list[list[str]]:
    """Return a row for each HTTP status: the status, its meaning, and the number of requests."""
    counted = metrics.requests if metrics else {}
    return [[str(status), _MEANINGS.get(status) or _phrase(status), f"{count:,}"] for status, count in counted.items()]


def answers(metrics: DeploymentMetrics | None, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return the number of images given each label, in the order of `labels`; of many labels, the most frequent ones.

    share: of the most frequent label's number, in [0, 1].
    """
    counted = metrics.answers if metrics else {}
    shown: Sequence[str] = [*labels, *(label for label in counted if label not in labels)]
    if len(shown) > MAX_LABELS:
        shown = sorted(counted, key=lambda label: -counted[label])[:MAX_LABELS]
    total, most = max(1, sum(counted.values())), max(1, *counted.values(), 1)
    return [
        {
            "label": label,
            "share": round(counted.get(label, 0) / most, 4),
            "text": f"{counted.get(label, 0):,} ({format_share(counted.get(label, 0) / total)})",
        }
        for label in shown
    ]


def load_summary(load: LoadTestResult) -> str:
    """Describe a load test in a sentence."""
    clients = f"{load.concurrency:,} concurrent client{'s' * (load.concurrency > 1)}"
    text = f"{clients} for {format_seconds(load.seconds)}: {_rate_text(load.requests_per_second)} answers a second"
    if load.p50 is not None and load.p99 is not None:
        text += f", median {format_seconds(load.p50)}, p99 {format_seconds(load.p99)}"
    if load.busy:
        text += f"; {load.busy:,} refused as busy"
    return f"{text}; {sum(load.failed.values()):,} failed ({MEASURED})."


def load_test_rows(load_tests: Sequence[LoadTestResult]) -> list[list[str]]:
    """Return the latest load tests as rows under LOAD_TEST_HEAD, the latest first."""
    rows = []
    for load in reversed(load_tests[-MAX_LOAD_TESTS:]):
        seconds = ("–" if each is None else format_seconds(each) for each in (load.p50, load.p99))
        counts = (f"{count:,}" for count in (load.busy, sum(load.failed.values())))
        rows.append([f"{load.concurrency:,}", _rate_text(load.requests_per_second), *seconds, *counts])
    return rows


def _last(history: Sequence[DeploymentMetrics], seconds: float) -> list[DeploymentMetrics]:
    return [each for each in history if history[-1].at - each.at <= seconds]


def _rate_between(before: DeploymentMetrics, after: DeploymentMetrics) -> float:
    return sum(after.since(before).requests.values()) / max(after.at - before.at, 1e-3)


def _rate_text(per_second: float) -> str:
    return format_rate(per_second) if per_second else "0"


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in {*HTTPStatus} else "unknown"
