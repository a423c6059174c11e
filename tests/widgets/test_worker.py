"""The worker: one thread, jobs in order, and an end to each of them that is told."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import pytest
import torch
from jupyter_client.manager import start_new_kernel

from workbench.errors import WorkbenchError
from workbench.widgets.worker import Job


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def until(condition: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def endless(log: list[Any]) -> Generator[int, Any, str]:
    """Steps of a moment each; notes what it is sent, where it runs and that it is closed."""
    try:
        for number in range(10**6):
            time.sleep(0.002)
            log.append((yield number))
    finally:
        log.append(("closed in", threading.current_thread().name))
    return "never"


def few(log: list[Any], name: str, steps: int = 3) -> Generator[str, None, str]:
    for number in range(steps):
        log.append((name, number, threading.get_ident()))
        yield f"{name} {number}"
    return f"{name} is done"


def test_jobs_run_in_order_all_in_one_thread() -> None:
    log: list[Any] = []
    states: list[str] = []
    first = Job(few(log, "a"), on_change=lambda job: states.append(job.state))
    second = Job(few(log, "b"))
    first.start()
    second.start()
    assert second.wait(120)
    assert [(name, number) for name, number, _ in log] == [(name, n) for name in "ab" for n in range(3)]
    assert len({thread for *_, thread in log}) == 1
    assert log[0][2] != threading.get_ident()
    assert (first.state, first.last, first.result) == ("finished", "a 2", "a is done")
    assert states == ["running", "finished"]


def test_a_paused_job_lets_the_next_one_go_on_and_goes_on_itself() -> None:
    log: list[Any] = []
    held = Job(endless(log)).start()
    until(lambda: held.last is not None)
    held.pause()
    after = Job(few([], "b")).start()
    assert after.wait(120)
    assert held.state == "paused"
    steps = len(log)
    time.sleep(0.05)
    assert len(log) == steps
    held.resume()
    until(lambda: len(log) > steps)
    held.stop()
    assert held.wait(120)


def test_stop_closes_the_generator_in_the_workers_thread() -> None:
    log: list[Any] = []
    job = Job(endless(log)).start()
    until(lambda: job.last is not None)
    job.pause()
    job.stop()  # also while it is held
    assert job.wait(120)
    assert job.state == "stopped"
    assert log[-1] == ("closed in", "workbench worker")


def test_what_is_sent_arrives_once_and_never_before_the_first_step() -> None:
    log: list[Any] = []
    job = Job(endless(log))
    job.send("early")
    job.start()
    until(lambda: len(log) > 3)
    job.send("later")
    until(lambda: "later" in log)
    job.stop()
    assert job.wait(120)
    assert [message for message in log[:-1] if message] == ["early", "later"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (WorkbenchError("The rate is too high."), "The rate is too high."),
        (ValueError("no\nsuch value"), "ValueError: no such value"),
        (SystemExit(), "SystemExit"),
    ],
)
def test_a_failure_is_reported_and_the_worker_goes_on(error: BaseException, said: str) -> None:
    def fails() -> Generator[int, None, None]:
        yield 1
        raise error

    failed = Job(fails()).start()
    after = Job(few([], "b")).start()
    assert after.wait(120)
    assert (failed.state, failed.error, failed.last) == ("failed", said, 1)
    assert after.state == "finished"


def test_a_listener_that_fails_makes_its_own_job_fail() -> None:
    closed: list[Any] = []

    def refuse(step: int) -> None:
        raise WorkbenchError(f"{step} is no record.")

    job = Job(endless(closed), on_step=refuse).start()
    assert job.wait(120)
    assert (job.state, job.error) == ("failed", "0 is no record.")
    assert closed == [("closed in", "workbench worker")]


def test_a_job_stopped_before_it_began_never_runs_and_waits_for_nobody() -> None:
    log: list[Any] = []
    before = Job(endless([])).start()
    job = Job(few(log, "a")).start()
    job.stop()
    assert job.wait(120)
    assert (job.state, log) == ("stopped", [])
    assert not before.ended
    before.stop()
    assert before.wait(120)


def test_waiting_for_so_long() -> None:
    job = Job(endless([])).start()
    begun = time.monotonic()
    assert not job.wait(0.05)
    assert time.monotonic() - begun < 5
    job.stop()
    assert job.wait(120)


def test_an_interrupt_while_waiting_stops_the_job() -> None:
    job = Job(endless([])).start()
    until(lambda: job.last is not None)
    threading.Timer(0.1, interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        job.wait()
    assert job.state == "stopped"


def test_it_works_with_the_threads_of_who_gives_it_the_work() -> None:
    before = torch.get_num_threads()

    def describe() -> Generator[int, None, None]:
        yield torch.get_num_threads()

    try:
        for threads in (1, 2, 1):
            torch.set_num_threads(threads)
            job = Job(describe()).start()
            assert job.wait(120)
            assert job.last == threads
    finally:
        torch.set_num_threads(before)


CELL = """import time
from workbench.widgets.view import View
from workbench.widgets.worker import Job
class Clock(View):
    module = "training_dashboard"
    title = "a clock"
    def told(self): return "it ticks"
def ticks():
    while True:
        time.sleep(0.005)
        yield 1
try: clocks
except NameError: clocks = []
clocks.append(Clock())
clocks[-1].job = Job(ticks()).start()
print([clock.job.wait(2) if clock is not clocks[-1] else clock.job.ended for clock in clocks])"""


def test_a_cell_run_again_stops_what_its_run_before_began_and_no_other_cells() -> None:
    manager, client = start_new_kernel(extra_arguments=["--log-level=ERROR"])
    try:
        assert [run(client, CELL, cell) for cell in ("a", "b", "a")] == [
            "[False]",
            "[False, False]",
            "[True, False, False]",
        ]
        assert run(client, "clocks[1].close(); print(clocks[1].job.wait(20))", "c") == "True"
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def run(client: Any, code: str, cell: str) -> str:
    """What `code` prints, as the cell of a notebook."""
    request = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
    message = client.session.msg("execute_request", request, metadata={"cellId": cell})
    client.shell_channel.send(message)
    printed = []
    while True:
        heard = client.get_iopub_msg(timeout=120)
        if heard["parent_header"].get("msg_id") != message["header"]["msg_id"]:
            continue
        if heard["msg_type"] in ("stream", "error"):
            printed.append(heard["content"].get("text") or heard["content"]["evalue"])
        if heard["msg_type"] == "status" and heard["content"]["execution_state"] == "idle":
            return "".join(printed).strip()
