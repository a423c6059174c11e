"""The application run from the bench: real processes, used over HTTP, and none left behind."""

from __future__ import annotations

import gc
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from serving.application import another, failing, is_running, until

import workbench as wb
from workbench.bundle.manifest import read_bundle
from workbench.deployment.application import BATCH, Deployment
from workbench.folders import REFERENCE

BUNDLE = read_bundle(REFERENCE)
LINUX = sys.platform.startswith("linux")


@pytest.fixture(scope="module")
def served() -> Iterator[Deployment]:
    with wb.deploy(REFERENCE, workers=2) as running:
        yield running


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    """More than fit into two requests, all different."""
    noise = np.random.default_rng(0).integers(0, 40, (2 * BATCH + 10, *BUNDLE.self_test_images.shape[1:]))
    many = np.resize(BUNDLE.self_test_images, noise.shape)
    return np.clip(many + noise, 0, 255).astype(np.uint8)


def gone(processes: tuple[int, ...]) -> bool:
    return not any(is_running(each) for each in processes)


def test_answers_are_the_predictors_and_are_counted(served: Deployment, images: np.ndarray) -> None:
    before = served.metrics()
    expected = wb.Predictor.from_bundle(BUNDLE, "eager", threads=1)(images)
    found = served.classify(images)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() < 1e-4
    counted = served.metrics().since(before)
    assert counted.requests == {200: 3}
    assert counted.answers == Counter(BUNDLE.labels[place] for place in found.argmax(axis=1))
    assert counted.workers == {served.version: 2} == {BUNDLE.version: 2}
    assert counted.seconds[-1] == (math.inf, 3)
    low, high = counted.bounds(0.5) or (0, 0)
    assert 0 < low <= (counted.quantile(0.5) or 0) <= high
    np.testing.assert_array_equal(served.classify(torch.from_numpy(images[:5])), found[:5])
    assert served.classify(images[:0]).shape == (0, len(BUNDLE.labels))


def test_images_of_the_wrong_type_or_size_are_refused(served: Deployment, images: np.ndarray) -> None:
    for wrong in (images[0], images / 255, [["cat"]]):
        with pytest.raises(wb.WorkbenchError, match="give uint8 of the shape"):
            served.classify(wrong)
    with pytest.raises(wb.WorkbenchError, match=r"this network takes \[N, 32, 32, 3\]"):
        served.classify(images[:, :16])


def test_a_load_test_agrees_with_the_applications_own_counters(served: Deployment) -> None:
    before = served.metrics()
    load = served.load_test(1.0, concurrency=3)
    counted = served.metrics().since(before)
    assert load.concurrency == 3
    assert 1.0 <= load.seconds < 30
    assert (load.busy, load.failed) == (0, {})
    assert counted.requests == {200: load.answered}
    assert load.answered > 3
    assert load.requests_per_second == pytest.approx(load.answered / load.seconds)
    assert 0 < (load.p50 or 0) <= (load.p99 or 0) < load.seconds
    assert len(counted.answers) > 1  # every client begins with another image
    for seconds, concurrency, message in (
        (0, 1, "seconds = 0: must be a number above 0 and of at most 3,600"),
        (math.nan, 1, "seconds = nan: must be a number above 0 and of at most 3,600"),
        (1, 0, "concurrency = 0: must be a whole number from 1 to 1,024"),
        (1, 5000, "concurrency = 5000: must be a whole number from 1 to 1,024"),
    ):
        with pytest.raises(wb.WorkbenchError, match=message):
            served.load_test(seconds, concurrency)


def test_two_applications_side_by_side_one_of_them_overloaded(served: Deployment) -> None:
    other = wb.deploy(BUNDLE, max_waiting=1, max_images=3)
    processes = other.processes
    assert other.address != served.address
    assert not set(processes) & set(served.processes)
    assert np.abs(other.classify(BUNDLE.self_test_images) - BUNDLE.self_test_expected).max() < 1e-4
    assert other.metrics().requests == {200: 4}  # in requests as small as it takes
    load = other.load_test(1.0, concurrency=16)
    assert load.busy > 0
    assert load.answered > 0
    assert load.failed == {}
    assert other.metrics().requests == {200: 4 + load.answered, 503: load.busy}
    del other  # forgotten, it stops
    gc.collect()
    until(lambda: gone(processes))
    assert served.metrics().requests.keys() == {200, 400}


def test_a_swap_and_its_refusal(tmp_path: Path, served: Deployment) -> None:
    """There and back, as other tests share the application."""
    with pytest.raises(wb.WorkbenchError, match=f"fails its own self-test: .* {BUNDLE.version} stays in service"):
        served.swap(failing(tmp_path / "bad").path)
    other = another(tmp_path / "other")
    assert "is in service now" in served.swap(other)
    assert served.version == other.version != BUNDLE.version
    assert served.metrics().workers == {other.version: 2}
    served.swap(REFERENCE)
    assert served.version == BUNDLE.version
    assert served.metrics().swaps == 4  # two workers, twice


def test_the_footprint_covers_every_process(served: Deployment) -> None:
    assert len(served.processes) == 3
    found = served.footprint()
    assert found.start_seconds == served.start_seconds > 0.1
    assert tuple(found.resident_bytes) == served.processes
    assert min(found.resident_bytes.values()) > 10e6
    if LINUX:
        assert found.pss_bytes is not None
        assert 10e6 < sum(found.pss_bytes.values()) < sum(found.resident_bytes.values())


def test_stopping_leaves_nothing_behind() -> None:
    deployment = wb.deploy(REFERENCE)
    processes = deployment.processes
    assert len(processes) == 2
    assert deployment.is_running
    assert deployment.address in repr(deployment)
    assert deployment.stop().endswith("finished what it had accepted and ended.")
    assert gone(processes)
    assert deployment.processes == ()
    assert deployment.stop().endswith("has ended already.")
    assert not deployment.failure
    assert "stopped" in deployment.log
    for name, *arguments in (("metrics",), ("footprint",), ("card",), ("swap", REFERENCE), ("load_test", 1)):
        with pytest.raises(wb.WorkbenchError, match="was stopped: start another"):
            getattr(deployment, name)(*arguments)


def test_an_application_that_died_says_why() -> None:
    deployment = wb.deploy(REFERENCE)
    processes = deployment.processes
    for _ in range(6):
        until(lambda: len(deployment.processes) == 2 or not deployment.is_running)
        for worker in deployment.processes[1:]:
            os.kill(worker, signal.SIGKILL)
            until(lambda gone_one=worker: not is_running(gone_one))
    until(lambda: not deployment.is_running)
    assert deployment.failure.endswith("workers die too often: giving up.")
    with pytest.raises(wb.WorkbenchError, match=r"has ended \(exit code 1\); its last words: .*giving up"):
        deployment.metrics()
    assert gone(processes)


@pytest.mark.skipif(os.name != "posix", reason="ended by a signal")
def test_it_ends_with_the_python_that_started_it_which_imports_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys, time, workbench as wb\n"
        f"served = wb.deploy({str(REFERENCE)!r})\n"
        "print(*served.processes, 'torch' in sys.modules, flush=True)\n"
        "time.sleep(600)"
    )
    kernel = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert kernel.stdout is not None
    *processes, torch_loaded = kernel.stdout.readline().split()
    assert torch_loaded == "False"
    assert len(processes) == 2
    kernel.kill()
    kernel.wait()
    kernel.stdout.close()
    until(lambda: gone(tuple(map(int, processes))))


def test_what_cannot_be_deployed(tmp_path: Path) -> None:
    altered = tmp_path / "bundle"
    shutil.copytree(REFERENCE, altered)
    (altered / "model.onnx").write_bytes(b"no network")
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    python = next(path for path in (bare / "bin/python", bare / "Scripts/python.exe") if path.exists())
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for bundle, options, message in (
            (altered, {}, "did not start: .*model.onnx"),
            (REFERENCE, {"port": taken.getsockname()[1]}, "something listens there already"),
            (REFERENCE, {"max_bodies": 3}, "unrecognized arguments: --max-bodies=3"),
            (REFERENCE, {"python": python}, "No module named '?workbench"),
            (REFERENCE, {"python": tmp_path / "nothing"}, "nothing' cannot be started: No such file"),
        ):
            with pytest.raises(wb.WorkbenchError, match=message):
                wb.deploy(bundle, **options)
