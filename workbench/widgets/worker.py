"""A single worker thread that runs the long work of all widgets, one generator step at a time.

It must be one persistent thread: PyTorch's cores are woken and put to sleep by the thread that uses them, and two
threads that alternate cost each other up to a quarter of their time.
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Generator
from contextlib import suppress
from typing import Any, Literal

from workbench.errors import WorkbenchError
from workbench.wording import describe_error, one_line

State = Literal["waiting", "running", "paused", "finished", "stopped", "failed"]

_changed = threading.Condition()
_jobs: list[Job] = []
_thread: threading.Thread | None = None


class Job:
    """A generator that the worker thread runs step by step, after the jobs started before it.

    While a job is paused, the next one runs. on_step receives what each step yields and runs in the worker thread;
    on_change receives the job after each change of state. state: "waiting", "running", "paused", "finished",
    "stopped" (on request), or "failed" with a sentence in `error`. last: what the latest step yielded; result: what
    the generator returned.
    """

    def __init__(
        self,
        steps: Generator[Any, Any, Any],
        *,
        on_step: Callable[[Any], object] = lambda _: None,
        on_change: Callable[[Job], object] = lambda _: None,
    ) -> None:
        self._steps = steps
        self._on_step, self._on_change = on_step, on_change
        self._message: Any = None
        self._stopping = self._begun = self._reported = False
        self._threads: int | None = None
        self.state: State = "waiting"
        self.error = ""
        self.last: Any = None
        self.result: Any = None

    @property
    def ended(self) -> bool:
        """Whether no further step will run."""
        return self.state in ("finished", "stopped", "failed")

    @property
    def stopping(self) -> bool:
        """Whether a stop was requested."""
        return self._stopping

    def start(self) -> Job:
        """Join the worker's queue, starting its thread if necessary, and return the job itself."""
        global _thread
        # PyTorch's thread count is per thread: the worker uses that of the thread that starts the job.
        torch = sys.modules.get("torch")
        self._threads = torch.get_num_threads() if torch is not None else None
        with _changed:
            _jobs.append(self)
            if _thread is None or not _thread.is_alive():
                _thread = threading.Thread(target=_work, name="workbench worker", daemon=True)
                _thread.start()
            _changed.notify_all()
        return self

    def pause(self) -> None:
        """Pause after the current step."""
        self._set_state("paused", when=("waiting", "running"))

    def resume(self) -> None:
        """Continue after `pause`."""
        self._set_state("waiting", when=("paused",))

    def stop(self) -> None:
        """Close the generator after the current step, so that it can clean up."""
        with _changed:
            self._stopping = True
            _changed.notify_all()

    def send(self, message: Any) -> None:
        """Pass `message` to the generator at its next step, as `generator.send` does; only the latest is kept."""
        with _changed:
            self._message = message

    def wait(self, seconds: float | None = None) -> bool:
        """Wait for the end of the job, at most `seconds`; return whether it has ended. An interrupt stops it first."""
        try:
            return self._wait(seconds)
        except KeyboardInterrupt:
            self.stop()
            self._wait(60)
            raise

    def _wait(self, seconds: float | None) -> bool:
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        with _changed:
            # The worker's own thread would wait for ever. On Windows an interrupt does not end a long wait.
            while not self._reported and threading.current_thread() is not _thread and time.monotonic() < deadline:
                _changed.wait(min(0.2, max(0.0, deadline - time.monotonic())))
            return self._reported

    def _set_state(self, state: State, when: tuple[State, ...]) -> None:
        with _changed:
            if self.state not in when:
                return
            self.state = state
            _changed.notify_all()
        self._report()

    def _step(self) -> None:
        """Run one step, or end, in the worker thread."""
        if self._stopping:
            self._end("stopped", self._steps.close)
            return
        self._set_state("running", when=("waiting",))
        try:
            message = None
            if self._begun:  # a generator accepts no message before its first step
                with _changed:
                    message, self._message = self._message, None
            if self._threads is not None and (torch := sys.modules["torch"]).get_num_threads() != self._threads:
                torch.set_num_threads(self._threads)
            self.last = self._steps.send(message)
            self._begun = True
            self._on_step(self.last)
        except StopIteration as end:
            self.result = end.value
            self._end("finished")
        except BaseException as error:  # the worker survives whatever it is, and the widget reports it
            self.error = error_text(error)
            self._end("failed", self._steps.close)

    def _end(self, state: State, close: Callable[[], object] = lambda: None) -> None:
        try:
            close()
        except BaseException as error:
            state, self.error = "failed", self.error or error_text(error)
        with _changed:
            self.state = state
        self._report()  # before waiting threads continue
        with _changed:
            self._reported = True
            _jobs.remove(self)
            _changed.notify_all()

    def _report(self) -> None:
        with suppress(Exception):  # the listener may be gone; other jobs continue
            self._on_change(self)


def error_text(error: BaseException) -> str:
    """Return an error on one line, with its type unless the workbench worded it."""
    return one_line(error, 400) if isinstance(error, WorkbenchError) else describe_error(error, 400)


def _work() -> None:
    while True:
        with _changed:
            _changed.wait_for(lambda: _next() is not None)
            job = _next()
        if job is not None:
            job._step()


def _next() -> Job | None:
    """Return the next job. Stopping ones come first: closing takes a moment, and the others are between steps."""
    ready = sorted(_jobs, key=lambda job: not job._stopping)
    return next((job for job in ready if job._stopping or job.state != "paused"), None)
