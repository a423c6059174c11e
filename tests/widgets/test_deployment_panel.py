"""The panel: what its buttons do to a real application, what it shows of it, and that it leaves none behind.

Covers: deployment_figures.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from serving.application import another, is_running

import workbench as wb
from workbench.bundle.manifest import read_bundle
from workbench.folders import REFERENCE
from workbench.widgets import view
from workbench.widgets.worker import Job

BUNDLE = read_bundle(REFERENCE)


@pytest.fixture(scope="module")
def running() -> Iterator[wb.DeploymentPanel]:
    """A panel that was started by its button."""
    panel = wb.DeploymentPanel(REFERENCE)
    click(panel, "start")
    until(lambda: panel.shown["state"] == "on" and panel.metrics)
    yield panel
    panel.close()


def click(panel: wb.DeploymentPanel, what: str) -> None:
    """What the browser does."""
    panel.set_state({"request": {"serial": panel.request["serial"] + 1, "action": what}})


def until(holds: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.02)


def figure(panel: wb.DeploymentPanel, name: str) -> str:
    return next(value for each, value, _ in panel.shown["figures"] if each == name)


def test_it_counts_what_the_next_cell_asks(running: wb.DeploymentPanel) -> None:
    assert running.deployment is not None
    assert running.deployment.is_running
    assert running.shown["address"] == running.deployment.address
    assert running.describe() == f"convnet {BUNDLE.version} (onnx, 1 worker) answers."
    before = running.metrics
    running.deployment.classify(BUNDLE.self_test_images)
    until(lambda: running.metrics.since(before).requests == {200: 1})
    until(lambda: len(running.history) > 2)
    assert running.history[-1] is running.metrics
    assert all(0.5 < later.at - earlier.at < 10 for earlier, later in pairwise(running.history))
    labels = [each["label"] for each in running.shown["answers"]]
    assert labels == list(BUNDLE.labels)
    total = sum(running.metrics.answers.values())
    assert total == sum(int(each["text"].split()[0]) for each in running.shown["answers"]) == len(BUNDLE.labels)
    assert running.shown["statuses"] == [["200", "answered", "1"]]
    assert figure(running, "Workers") == "1"
    assert json.loads(json.dumps(running.shown, allow_nan=False)) == running.shown


def test_the_load_test_of_the_button(running: wb.DeploymentPanel) -> None:
    running.set_state({"concurrency": 3})
    click(running, "load_test")
    until(lambda: running.shown["is_load_testing"])
    with pytest.raises(wb.WorkbenchError, match="A load test is running already"):
        running.load_test(1)
    until(lambda: running.load_tests)
    (load,) = running.load_tests
    assert load.concurrency == 3
    assert load.answered > 3
    assert not running.shown["is_load_testing"]
    assert running.shown["load_tests"][0][0] == "3"
    assert running.announcement == running.shown["load_summary"] in running.describe()
    assert "measured here, now" in running.announcement
    until(lambda: running.metrics.requests[200] > load.answered)
    most = max(rate for _, rate in running.shown["rates"])
    assert 0.2 < most * (load.seconds + 2) / load.answered < 5
    assert figure(running, "Median latency") != "–"
    load = running.load_test(0.3, concurrency=2)
    assert running.load_tests[-1] is load
    assert running.concurrency == 2


def test_the_worker_stays_free_and_a_swap_is_reported(running: wb.DeploymentPanel, tmp_path: Path) -> None:
    def steps() -> Generator[int, None, str]:
        yield 1
        return "trained"

    job = Job(steps()).start()
    assert job.wait(5)
    assert running.deployment is not None
    other = another(tmp_path / "other")
    running.deployment.swap(other)
    until(lambda: other.version in running.describe())
    assert running.announcement == f"convnet {other.version} (onnx, 1 worker) answers from now on."


def test_a_page_without_a_kernel_describes_it_in_the_past(running: wb.DeploymentPanel, tmp_path: Path) -> None:
    page = running.to_html(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page
    assert "answered when this page was written." in page
    assert "here, now" not in page
    assert '"live": false' in page
    assert "<caption>Counted by the application since it started</caption>" in page


def test_the_stop_button_leaves_no_process(running: wb.DeploymentPanel) -> None:
    """The last of those that share it."""
    assert running.deployment is not None
    processes = running.deployment.processes
    kept = running.metrics
    click(running, "stop")
    until(lambda: running.shown["state"] == "off")
    assert not any(map(is_running, processes))
    assert running.describe().startswith(
        f"The application at {running.deployment.address} finished what it had accepted"
    )
    assert not running.problem
    assert running.metrics.requests == kept.requests  # the numbers stay
    assert running.shown["address"] == ""
    with pytest.raises(wb.WorkbenchError, match="is not running: start it"):
        running.load_test(1)
    assert running.stop() in running.describe()


def test_one_that_dies_is_reported_and_can_be_started_again() -> None:
    panel = wb.DeploymentPanel(REFERENCE)
    first = panel.start()
    assert panel.start() is first
    os.kill(first.processes[0], signal.SIGKILL)
    until(lambda: panel.shown["state"] == "off")
    assert panel.problem.startswith(f"The application at {first.address} has ended (exit code -9); its last words: ")
    assert panel.announcement == "The figures are its last."
    again = panel.start()
    assert panel.problem == ""
    assert panel.deployment is again is not first
    processes = again.processes
    again.stop()  # not by the panel
    until(lambda: panel.shown["state"] == "off")
    assert panel.describe() == "The application was stopped."
    assert panel.problem == ""
    assert not any(map(is_running, processes))


def test_what_does_not_start_says_why(tmp_path: Path) -> None:
    altered = tmp_path / "bundle"
    shutil.copytree(REFERENCE, altered)
    (altered / "model.onnx").write_bytes(b"no network")
    panel = wb.DeploymentPanel(altered)
    click(panel, "start")
    until(lambda: panel.problem)
    assert "model.onnx" in panel.problem
    until(lambda: panel.shown["state"] == "off")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        panel = wb.DeploymentPanel(REFERENCE, port=taken.getsockname()[1])
        with pytest.raises(wb.WorkbenchError, match="something listens there already"):
            panel.start()
    assert "something listens there already" in panel.problem
    assert panel.announcement == "The application did not start."
    click(panel, "load_test")
    until(lambda: "is not running" in panel.problem)
    click(panel, "nonsense")


def test_run_again_the_cell_stops_what_it_started(monkeypatch: pytest.MonkeyPatch) -> None:
    run = "first"
    monkeypatch.setattr(view, "_current_cell", lambda: ("cell", run))
    panel = wb.DeploymentPanel(REFERENCE)
    starting = threading.Thread(target=panel.start)
    starting.start()
    until(lambda: panel.shown["state"] == "starting")
    run = "second"
    begun = wb.DeploymentPanel(REFERENCE)  # waits for the one that is just starting
    starting.join()
    assert panel.deployment is not None
    assert not panel.deployment.is_running
    assert panel.shown["state"] == "off"
    processes = begun.start().processes
    begun.close()
    assert not any(map(is_running, processes))
