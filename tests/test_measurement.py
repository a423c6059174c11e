import time

import numpy as np
import pytest

from workbench.measurement import _summary, measure_latencies


def test_a_sleep_is_measured_as_long_as_it_is():
    found = measure_latencies({"short": lambda: time.sleep(0.002), "long": lambda: time.sleep(0.006)}, seconds=0.1)
    assert 0.002 <= found["short"].p50 < found["long"].p50
    assert found["long"].p50 >= 0.006
    assert found["long"].p50 <= found["long"].p90 <= found["long"].p99
    assert found["short"].count > 3
    assert found["short"].origin == "measured"


def test_the_device_is_waited_for_inside_each_timing():
    """A call that only queues work looks instant unless its synchronisation is part of the timing."""
    queued = []

    def wait():
        while queued:
            time.sleep(queued.pop())

    found = measure_latencies({"queued": lambda: queued.append(0.004)}, seconds=0.05, synchronise=wait)
    assert found["queued"].p50 >= 0.004


def test_the_first_call_is_told_apart():
    calls = []

    def slow_at_first():
        calls.append(1)
        time.sleep(0.05 if len(calls) == 1 else 0.001)

    found = measure_latencies({"call": slow_at_first}, seconds=0.05)["call"]
    assert found.warm_up >= 0.05
    assert found.p50 < 0.05


def test_percentiles_are_numpys():
    values = list(np.random.default_rng(0).exponential(size=1001))
    found = _summary(values, 0.0)
    assert (found.p50, found.p90, found.p99) == pytest.approx(tuple(np.quantile(values, [0.5, 0.9, 0.99])))
    assert found.count == 1001
