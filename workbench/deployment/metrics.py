"""The counters of a running application: Prometheus' text format as plain values that can be subtracted."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from workbench.errors import WorkbenchError
from workbench.wording import shorten

ROUTES = ("classify", "infer")  # requests for pages, cards and metrics are not counted

Key = TypeVar("Key", int, str)


@dataclass(frozen=True, kw_only=True)
class DeploymentMetrics:
    """Counters since the application started, summed over all workers.

    at: when they were read, in seconds since 1970.
    requests: classification requests (/classify and the protocol's infer) by HTTP status.
    answers: images by predicted label.
    seconds: cumulative histogram of those requests' durations, from the headers of a request to the end of its
    response: (upper bound, requests up to it) per bucket; the last bound is infinite.
    workers: workers by the bundle version they serve. swaps: bundles swapped in by running workers.
    """

    at: float
    requests: Mapping[int, int]
    answers: Mapping[str, int]
    seconds: tuple[tuple[float, int], ...]
    workers: Mapping[str, int]
    swaps: int

    def quantile(self, share: float) -> float | None:
        """Estimate the duration, in seconds, that this share (0 to 1) of the requests stayed within; None without any.

        Interpolates linearly within the bucket, like Prometheus' histogram_quantile: the histogram only tells that the
        value lies between the two `bounds`. If the upper bound is infinite, returns the lower one.
        """
        bucket = self._bucket(share)
        if bucket is None:
            return None
        low, high, fraction = bucket
        return low if math.isinf(high) else low + fraction * (high - low)

    def bounds(self, share: float) -> tuple[float, float] | None:
        """Return the bounds in seconds that `quantile` is certain to lie between."""
        bucket = self._bucket(share)
        return bucket[:2] if bucket else None

    def since(self, earlier: DeploymentMetrics) -> DeploymentMetrics:
        """Return what was counted after `earlier`, from the same application; `workers` and `at` stay as they are."""
        before = dict(earlier.seconds)
        return replace(
            self,
            requests=_increase(self.requests, earlier.requests),
            answers=_increase(self.answers, earlier.answers),
            seconds=tuple((bound, count - before.get(bound, 0)) for bound, count in self.seconds),
            swaps=self.swaps - earlier.swaps,
        )

    def _bucket(self, share: float) -> tuple[float, float, float] | None:
        """Return the bounds of the bucket with this quantile, and the quantile's position within it, 0 to 1."""
        rank = share * (self.seconds[-1][1] if self.seconds else 0)
        low, below = 0.0, 0
        for high, count in self.seconds:
            if count >= rank and count > below:
                return low, high, (rank - below) / (count - below)
            low, below = high, count
        return None


def read_metrics(text: str, at: float) -> DeploymentMetrics:
    """Parse `text`, the response of /metrics at the time `at`.

    Raises WorkbenchError for anything but Prometheus' text format, and if prometheus-client is not installed.
    """
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ModuleNotFoundError as error:
        raise WorkbenchError("Reading metrics needs prometheus-client: pip install '.[serve]' brings it.") from error

    requests, answers, seconds, workers = Counter[int](), Counter[str](), Counter[float](), Counter[str]()
    swaps = 0
    try:
        for sample in (each for family in text_string_to_metric_families(text) for each in family.samples):
            labels, value = sample.labels, sample.value
            match sample.name:
                case "workbench_requests_total" if labels["route"] in ROUTES:
                    requests[int(labels["status"])] += int(value)
                case "workbench_answers_total":
                    answers[labels["label"]] += int(value)
                case "workbench_request_seconds_bucket" if labels["route"] in ROUTES:
                    seconds[float(labels["le"])] += int(value)
                case "workbench_workers" if value:  # a version that was swapped out stays listed, with 0 workers
                    workers[labels["version"]] += int(value)
                case "workbench_swaps_total":
                    swaps = int(value)
    except (ValueError, KeyError, OverflowError) as error:
        raise WorkbenchError(f"The metrics are not in Prometheus' text format ({shorten(error)}).") from error
    return DeploymentMetrics(
        at=at,
        requests=dict(sorted(requests.items())),
        answers=dict(answers),
        seconds=tuple(sorted(seconds.items())),
        workers=dict(workers),
        swaps=swaps,
    )


def _increase(now: Mapping[Key, int], before: Mapping[Key, int]) -> dict[Key, int]:
    return {key: more for key, count in now.items() if (more := count - before.get(key, 0))}
