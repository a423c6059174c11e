"""Measuring against known truths: a sleep, a matrix product, PyTorch's own timer."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils import benchmark

from workbench.errors import WorkbenchError
from workbench.machine.devices import find_device
from workbench.measuring import measurement
from workbench.measuring.measurement import FEWEST_CALLS, Latency, Measurement, _summary, measure

ROW = Measurement(
    phase="inference",
    model="convnet",
    device="box",
    kind="cpu",
    engine="onnx",
    precision="fp32",
    threads=1,
    batch_size=8,
    latency=Latency(p50=0.004, p90=0.005, p99=0.006, count=100, warm_up=0.01),
    memory_bytes=1000,
    accuracy=0.9,
)


def test_a_sleep_is_measured_as_long_as_it_is():
    found = measure({"short": lambda: time.sleep(0.002), "long": lambda: time.sleep(0.006)}, seconds=0.1)
    assert 0.002 <= found["short"].latency.p50 < found["long"].latency.p50
    assert found["long"].latency.p50 >= 0.006
    assert found["long"].latency.p50 <= found["long"].latency.p90 <= found["long"].latency.p99
    assert found["short"].latency.count >= FEWEST_CALLS


def test_one_call_gives_one_reading():
    reading = measure(lambda: time.sleep(0.003), seconds=0.05)
    assert 0.003 <= reading.latency.p50 < 0.03
    assert reading.meter == find_device("cpu").power_meter


def test_slow_calls_are_timed_often_enough_for_a_median():
    calls = []
    reading = measure(lambda: calls.append(time.sleep(0.03)), seconds=0.01)
    assert reading.latency.count == FEWEST_CALLS


def test_a_matrix_product_takes_as_long_as_by_pytorchs_own_timer():
    """The oracle is torch.utils.benchmark on the same call, one call at a time; the two take turns, and may begin anew,
    so that a moment in which another process takes the core decides nothing. The product is large beside what a clock
    does between two calls: one of 256×256 was 8 % quicker by ours, whose calls follow each other closely."""
    left, right = torch.randn(512, 512), torch.randn(512, 512)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        timer = benchmark.Timer("left @ right", globals={"left": left, "right": right}, num_threads=1)
        for _ in range(5):
            ratios = []
            for _ in range(9):
                ours = measure(lambda: left @ right, seconds=0.05, device="cpu").latency.p50
                theirs = float(np.median([timer.timeit(1).median for _ in range(25)]))
                ratios.append(ours / theirs)
            if abs(np.median(ratios) - 1) < 0.05:
                break
    finally:
        torch.set_num_threads(before)
    assert np.median(ratios) == pytest.approx(1, abs=0.05)
    # A product of known FLOPs cannot be quicker than a core with eight 512-bit units at 10 GHz.
    assert 2 * 256**3 / ours < 10e9 * 8 * 32


def test_every_gpu_in_use_is_waited_for_inside_each_timing(monkeypatch: pytest.MonkeyPatch):
    """A call that only queues work looks instant unless the wait for it is part of the timing."""
    queued: list[float] = []

    def wait() -> None:
        while queued:
            time.sleep(queued.pop())

    monkeypatch.setattr(measurement, "synchroniser", lambda: wait)
    assert measure(lambda: queued.append(0.004), seconds=0.05).latency.p50 >= 0.004


def test_the_gpus_are_found_before_the_clock_runs_and_a_named_cpu_waits_for_none(monkeypatch: pytest.MonkeyPatch):
    found: list[int] = []
    waited: list[int] = []
    monkeypatch.setattr(measurement, "synchroniser", lambda: found.append(1) or (lambda: waited.append(1)))
    count = measure(lambda: time.sleep(0.0005), seconds=0.05).latency.count
    assert len(found) == 3 < count  # before and after the first call, and once for the race
    assert len(waited) > 2 * count
    waited.clear()
    measure(lambda: time.sleep(0.0005), seconds=0.05, device="cpu")
    assert not waited


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_gpus_product_cannot_be_timed_without_waiting_for_it():
    matrix = torch.randn(8192, 8192, device="cuda")
    reading = measure(lambda: matrix @ matrix, seconds=0.5, device="cuda")
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    _ = matrix @ matrix
    end.record()
    torch.cuda.synchronize()
    assert reading.latency.p50 > 0.5 * start.elapsed_time(end) / 1000
    assert reading.memory_bytes == pytest.approx(matrix.nbytes, rel=0.05)


def test_the_first_call_is_reported_separately():
    calls = []

    def slow_at_first() -> None:
        calls.append(1)
        time.sleep(0.05 if len(calls) == 1 else 0.001)

    found = measure(slow_at_first, seconds=0.05).latency
    assert found.warm_up >= 0.05
    assert found.p50 < 0.05


def test_calls_that_become_slow_do_not_hold_it_up():
    calls = []

    def tiring() -> None:
        calls.append(1)
        time.sleep(0.05 if len(calls) > 10 else 0)

    begun = time.perf_counter()
    assert measure(tiring, seconds=0.05).latency.count < 50
    assert time.perf_counter() - begun < 10  # a block of 20 ms, sized by the quick calls, would have taken minutes


def numbers() -> Iterator[int]:
    yield 1


def test_exceptions_of_a_call_propagate_and_wrong_arguments_are_named():
    with pytest.raises(ZeroDivisionError):
        measure(lambda: 1 / 0, seconds=0.01)
    with pytest.raises(WorkbenchError, match=r"x = 3 is not callable"):
        measure({"x": 3}, seconds=0.01)  # type: ignore[dict-item]
    with pytest.raises(WorkbenchError, match="returns before its work is done"):
        measure(numbers, seconds=0.01)
    with pytest.raises(WorkbenchError, match="no device is given for b"):
        measure({"a": int, "b": int}, seconds=0.01, device={"a": "cpu"})
    for wrong in (0, -1, float("nan"), float("inf"), "1"):
        with pytest.raises(WorkbenchError, match="seconds"):
            measure(lambda: None, seconds=wrong)  # type: ignore[arg-type]
    with pytest.raises(WorkbenchError, match="no device 'tpu'"):
        measure(lambda: None, seconds=0.01, device="tpu")


def test_percentiles_are_numpys():
    values = list(np.random.default_rng(0).exponential(size=1001))
    found = _summary(values, 0.0)
    assert (found.p50, found.p90, found.p99) == pytest.approx(tuple(np.quantile(values, [0.5, 0.9, 0.99])))
    assert found.count == 1001


def test_a_measurement_survives_plain_values():
    assert Measurement.from_mapping(ROW.to_mapping()) == ROW
    assert ROW.images_per_second == 2000
    assert ROW.seconds_per_image == 0.0005
    assert set(measurement._FIELDS) == {field.name for field in fields(Measurement)}
    assert set(measurement._LATENCY_FIELDS) == {field.name for field in fields(Latency)}


def refusal(values: dict[str, Any]) -> str | None:
    """Why these values are no measurement; None where they are one and come back as they are."""
    try:
        taken = Measurement.from_mapping(values)
    except WorkbenchError as error:
        return str(error)
    return None if taken.to_mapping() == values else "was changed on the way"


def test_an_altered_value_is_accepted_or_refused_by_its_key():
    odd = [None, True, -1, 0, 1.5, float("nan"), float("inf"), "", "a\nb", "x" * 300, [], {}, 10**400]
    rng = random.Random(0)
    for _ in range(400):
        values = ROW.to_mapping() | {"latency": dict(ROW.to_mapping()["latency"])}
        target = values if rng.random() < 0.6 else values["latency"]
        key = rng.choice([*target])
        change = rng.choice(["drop", "add", "set"])
        if change == "drop":
            target.pop(key)
        elif change == "add":
            key = "zz"
            target[key] = 1
        else:
            target[key] = rng.choice(odd)
        reason = refusal(values)
        assert reason is None or ((key in reason or "latency" in reason) and len(reason) < 400)
