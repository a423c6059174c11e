"""What a running application counts of itself: Prometheus' text, as plain values that can be subtracted."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

ROUTES = ("classify", "infer")  # who asks for pages, cards and metrics does not count

_SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
Key = TypeVar("Key", int, str)

_ESCAPED = {r"\\": "\\", r"\"": '"', r"\n": "\n"}


@dataclass(frozen=True, kw_only=True)
class DeploymentMetrics:
    """Counted by the application since it started, over all its workers.

    at: seconds since 1970 when it was asked. requests: for answers (/classify and the protocol's infer) by HTTP status.
    answers: pictures by the label they were given. seconds: how many of the requests took at most so long, from the
    head of the request to the end of the answer: (seconds, requests) for each bucket's upper end, the last infinite.
    workers: by the version of the bundle they answer with. swaps: bundles that a worker took up while it ran.
    """

    at: float
    requests: Mapping[int, int]
    answers: Mapping[str, int]
    seconds: tuple[tuple[float, int], ...]
    workers: Mapping[str, int]
    swaps: int

    @property
    def p50(self) -> float | None:
        """Seconds within which half of the requests were answered, estimated as `quantile` does."""
        return self.quantile(0.5)

    @property
    def p99(self) -> float | None:
        """Seconds within which 99 of 100 requests were answered, estimated as `quantile` does."""
        return self.quantile(0.99)

    def quantile(self, share: float) -> float | None:
        """Seconds within which this share (0 to 1) of the requests were answered; None where there were none.

        Interpolated inside its bucket, as Prometheus does: all that was counted is that it lies between the two ends
        that `bounds` gives. Where the upper one is infinite, it is the lower one.
        """
        found = self._bucket(share)
        if found is None:
            return None
        low, high, part = found
        return low if math.isinf(high) else low + part * (high - low)

    def bounds(self, share: float) -> tuple[float, float] | None:
        """The seconds between which `quantile` lies for certain."""
        found = self._bucket(share)
        return found[:2] if found else None

    def since(self, earlier: DeploymentMetrics) -> DeploymentMetrics:
        """What was counted after `earlier`, of the same application; workers and at are those of now."""
        before = dict(earlier.seconds)
        return replace(
            self,
            requests=_without(self.requests, earlier.requests),
            answers=_without(self.answers, earlier.answers),
            seconds=tuple((end, count - before.get(end, 0)) for end, count in self.seconds),
            swaps=self.swaps - earlier.swaps,
        )

    def _bucket(self, share: float) -> tuple[float, float, float] | None:
        """Lower and upper end of the bucket that the quantile lies in, and how far inside of it, 0 to 1."""
        wanted = share * (self.seconds[-1][1] if self.seconds else 0)
        low, below = 0.0, 0
        for high, count in self.seconds:
            if count >= wanted and count > below:
                return low, high, (wanted - below) / (count - below)
            low, below = high, count
        return None


def read_metrics(text: str, at: float) -> DeploymentMetrics:
    """What `text`, the answer of /metrics at the time `at`, tells. Lines of another kind are passed over."""
    requests, answers, seconds, workers = Counter[int](), Counter[str](), Counter[float](), Counter[str]()
    swaps = 0.0
    for line in text.split("\n"):  # a label may hold what splits lines elsewhere
        sample = _SAMPLE.fullmatch(line)
        if sample is None:
            continue
        labels, value = _labels(sample[2] or ""), int(float(sample[3]))
        match sample[1]:
            case "workbench_requests_total" if labels["route"] in ROUTES:
                requests[int(labels["status"])] += value
            case "workbench_answers_total":
                answers[labels["label"]] += value
            case "workbench_request_seconds_bucket" if labels["route"] in ROUTES:
                seconds[float(labels["le"])] += value
            case "workbench_workers" if value:  # a version that was swapped for another stays, with none
                workers[labels["version"]] += value
            case "workbench_swaps_total":
                swaps = value
    return DeploymentMetrics(
        at=at,
        requests=dict(sorted(requests.items())),
        answers=dict(answers),
        seconds=tuple(sorted(seconds.items())),
        workers=dict(workers),
        swaps=int(swaps),
    )


def _labels(text: str) -> dict[str, str]:
    def plain(escaped: re.Match[str]) -> str:
        return _ESCAPED.get(escaped[0], escaped[0])

    return {name: re.sub(r"\\.", plain, value) for name, value in _LABEL.findall(text)}


def _without(now: Mapping[Key, int], before: Mapping[Key, int]) -> dict[Key, int]:
    return {key: more for key, count in now.items() if (more := count - before.get(key, 0))}
