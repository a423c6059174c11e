"""What a running application counted, as `DeploymentPanel` shows it: figures in words, with where they come from."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from itertools import pairwise
from typing import Any
from xml.etree.ElementTree import Element

from workbench.deployment import DeploymentFootprint
from workbench.deployment_metrics import DeploymentMetrics
from workbench.load import Load
from workbench.units import format_bytes, format_rate, format_seconds, format_share

MINUTE = 60.0
NOW_SECONDS = 3.5  # that a rate "now" looks back: three times asked, and a bit
MOST_LABELS, MOST_LOADS = 12, 8
COUNTED, MEASURED = "counted by the application", "measured here, now"
ORIGIN = f"Requests, seconds (of the last minute) and workers are {COUNTED}; memory and start are {MEASURED}."
STATUS_HEAD = ("Status", "Meaning", "Requests")
LOAD_HEAD = ("At once", "Answers a second", "Half within", "99 of 100 within", "Busy (503)", "Failed")
WORDS = {
    "origin": ORIGIN,
    "counted": "Counted by the application since it started",
    "loads": "Measured here, now, by clients that share its processor",
    "apart": "A client's seconds are longer than the application's own: they hold the way there and back, and the wait "
    "for a processor that both share.",
    "link": "opens on the machine that the kernel runs on",
    "no_kernel": "This page has no kernel: nothing can be started here.",
    "nothing": "Nothing was asked of it yet.",
}

_MEANT = {200: "answered", 422: "no picture", 499: "the client hung up", 503: "told to come back later"}


def numbers(
    history: Sequence[DeploymentMetrics],
    footprint: DeploymentFootprint | None,
    labels: Sequence[str],
    loads: Sequence[Load],
) -> dict[str, Any]:
    """All that the browser shows of what was counted and measured, as plain values."""
    metrics = history[-1] if history else None
    return {
        "figures": figures(history, footprint),
        "rates": rates(history),
        "rates_told": rates_told(history) if history else "",
        "statuses": statuses(metrics),
        "answers": answers(metrics, labels),
        "loads": load_rows(loads),
        "load_told": load_told(loads[-1]) if loads else "",
    }


def tables(shown: Mapping[str, Any]) -> list[Element]:
    """What `numbers` gives, for a page where scripts are off."""
    from workbench.page import table

    pictures = [(each["label"], each["told"]) for each in shown["answers"]]
    return [
        table(WORDS["counted"], STATUS_HEAD, shown["statuses"], numeric=[2]),
        table("Pictures by the label they were given", ("Label", "Pictures"), pictures, numeric=[1]),
        table(WORDS["loads"], LOAD_HEAD, shown["loads"], numeric=range(6)),
    ]


def rates(history: Sequence[DeploymentMetrics]) -> list[list[float]]:
    """For each time it was asked in the last minute: how many seconds ago that was, and requests a second since then
    and the time before."""
    found = []
    for before, after in pairwise(_last(history, MINUTE)):
        found.append([round(history[-1].at - after.at, 2), round(_per_second(before, after), 2)])
    return found


def rate_now(history: Sequence[DeploymentMetrics]) -> float:
    """Requests a second over the last seconds."""
    last = _last(history, NOW_SECONDS)
    return _per_second(last[0], last[-1]) if len(last) > 1 else 0.0


def rates_told(history: Sequence[DeploymentMetrics]) -> str:
    """The line in a sentence."""
    most = max((rate for _, rate in rates(history)), default=0.0)
    asked = f"{_rate(rate_now(history))} requests a second now, at most {_rate(most)} in the last minute"
    return f"{asked} ({COUNTED}; what asks for its pages and metrics does not count)."


def figures(history: Sequence[DeploymentMetrics], footprint: DeploymentFootprint | None) -> list[list[str]]:
    """What, how much, and what to know about it."""
    if not history:
        return []
    minute = history[-1].since(_last(history, MINUTE)[0])
    rows = [["Requests a second", _rate(rate_now(history)), "over the last seconds"]]
    for name, share in (("Half answered within", 0.5), ("99 of 100 within", 0.99)):
        seconds, bounds = minute.quantile(share), minute.bounds(share)
        if seconds is None or bounds is None:
            rows.append([name, "–", "no request in the last minute"])
        elif math.isinf(bounds[1]):
            rows.append([name, f"> {format_seconds(seconds)}", "more than is told apart"])
        else:
            between = f"{format_seconds(bounds[0])} and {format_seconds(bounds[1])}"
            rows.append([name, format_seconds(seconds), f"interpolated between {between}"])
    workers = history[-1].workers
    told = ", ".join(f"{count} with {version}" if len(workers) > 1 else version for version, count in workers.items())
    rows.append(["Workers", f"{sum(workers.values()):,}", f"version {told}" if workers else "none answers"])
    if footprint is not None:
        sizes = footprint.pss_bytes or footprint.resident_bytes
        kind = "what they share counted once" if footprint.pss_bytes else "what they share counted in each"
        rows.append(["Memory", format_bytes(sum(sizes.values())), f"of {len(sizes)} processes, {kind}"])
        rows.append(["Start", format_seconds(footprint.start_seconds), "until it listened"])
    return rows


def statuses(metrics: DeploymentMetrics | None) -> list[list[str]]:
    """Requests by what they were answered with: the status, its meaning, how many."""
    counted = metrics.requests if metrics else {}
    return [[str(status), _MEANT.get(status) or _phrase(status), f"{count:,}"] for status, count in counted.items()]


def answers(metrics: DeploymentMetrics | None, labels: Sequence[str]) -> list[dict[str, Any]]:
    """Pictures by the label they were given: all labels in their order, or where there are many, the most frequent."""
    counted = metrics.answers if metrics else {}
    shown: Sequence[str] = [*labels, *(label for label in counted if label not in labels)]
    if len(shown) > MOST_LABELS:
        shown = sorted(counted, key=lambda label: -counted[label])[:MOST_LABELS]
    total, most = max(1, sum(counted.values())), max(1, *counted.values(), 1)
    return [
        {
            "label": label,
            "bar": round(counted.get(label, 0) / most, 4),
            "told": f"{counted.get(label, 0):,} ({format_share(counted.get(label, 0) / total)})",
        }
        for label in shown
    ]


def load_told(load: Load) -> str:
    """What a load came to, in a sentence."""
    rate = _rate(load.requests_per_second)
    told = f"{load.at_once:,} at once for {format_seconds(load.seconds)}: {rate} answers a second"
    if load.p50 is not None and load.p99 is not None:
        told += f", half within {format_seconds(load.p50)}, 99 of 100 within {format_seconds(load.p99)}"
    if load.busy:
        told += f"; {load.busy:,} told to come back later"
    return f"{told}; {sum(load.failed.values()):,} failed ({MEASURED})."


def load_rows(loads: Sequence[Load]) -> list[list[str]]:
    """The newest loads as rows of a table, the newest first."""
    rows = []
    for load in reversed(loads[-MOST_LOADS:]):
        p50, p99 = ("–" if each is None else format_seconds(each) for each in (load.p50, load.p99))
        failed = sum(load.failed.values())
        rows.append([f"{load.at_once:,}", _rate(load.requests_per_second), p50, p99, f"{load.busy:,}", f"{failed:,}"])
    return rows


def _last(history: Sequence[DeploymentMetrics], seconds: float) -> list[DeploymentMetrics]:
    return [each for each in history if history[-1].at - each.at <= seconds]


def _per_second(before: DeploymentMetrics, after: DeploymentMetrics) -> float:
    return sum(after.since(before).requests.values()) / max(after.at - before.at, 1e-3)


def _rate(per_second: float) -> str:
    return format_rate(per_second) if per_second else "0"


def _phrase(status: int) -> str:
    return HTTPStatus(status).phrase if status in {*HTTPStatus} else "unknown"
