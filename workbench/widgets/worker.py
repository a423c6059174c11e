"""One thread that does the long work of all widgets, one step of a generator after the other.

All of it in ONE thread that stays: PyTorch's cores are woken and put to sleep by the thread that uses them, and two
threads that take turns at it cost each other up to a quarter of their time.
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
from workbench.sealed import shortened

State = Literal["waiting", "running", "paused", "finished", "stopped", "failed"]

_changed = threading.Condition()
_jobs: list[Job] = []
_thread: threading.Thread | None = None


class Job:
    """A generator whose steps are taken in the worker's thread, in the order in which jobs were started.

    A paused job lets the next one go on. on_step: is given what each step yields, in the worker's thread; on_change:
    the job, whenever its state is another. state: "waiting" for the jobs before it, "running", "paused", "finished",
    "stopped" on request, "failed" with `error`, a sentence. last: what the newest step yielded; result: what the
    generator returned.
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
        self._stopping = self._begun = self._told = False
        self._threads: int | None = None
        self.state: State = "waiting"
        self.error = ""
        self.last: Any = None
        self.result: Any = None

    @property
    def ended(self) -> bool:
        """Whether no further step will be taken."""
        return self.state in ("finished", "stopped", "failed")

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping

    def start(self) -> Job:
        """Join the queue of the worker, which is started where it is not alive."""
        global _thread
        # PyTorch's number of threads is each thread's own: the worker works with that of whoever gives it the work.
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
        """Take no further step for now; what is being computed is finished first."""
        self._become("paused", when=("waiting", "running"))

    def resume(self) -> None:
        """Go on after `pause`."""
        self._become("waiting", when=("paused",))

    def stop(self) -> None:
        """Close the generator after the step at hand, so that it can put its things in order."""
        with _changed:
            self._stopping = True
            _changed.notify_all()

    def send(self, message: Any) -> None:
        """Give `message` to the generator at its next step, as `generator.send` does; of several, the last counts."""
        with _changed:
            self._message = message

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until the job has ended, or for so long; whether it has. An interrupt stops the job first."""
        try:
            return self._wait(seconds)
        except KeyboardInterrupt:
            self.stop()
            self._wait(60)
            raise

    def _wait(self, seconds: float | None) -> bool:
        until = math.inf if seconds is None else time.monotonic() + seconds
        with _changed:
            # In the worker's own thread nothing would ever end. On Windows an interrupt does not end a long wait.
            while not self._told and threading.current_thread() is not _thread and time.monotonic() < until:
                _changed.wait(min(0.2, max(0.0, until - time.monotonic())))
            return self._told

    def _become(self, state: State, when: tuple[State, ...]) -> None:
        with _changed:
            if self.state not in when:
                return
            self.state = state
            _changed.notify_all()
        self._tell()

    def _step(self) -> None:
        """In the worker's thread: one step, or the end."""
        if self._stopping:
            self._end("stopped", self._steps.close)
            return
        self._become("running", when=("waiting",))
        try:
            message = None
            if self._begun:  # a generator takes no message before its first step
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
        except BaseException as error:  # whatever it is, the worker goes on and the widget says so
            self.error = told(error)
            self._end("failed", self._steps.close)

    def _end(self, state: State, close: Callable[[], object] = lambda: None) -> None:
        try:
            close()
        except BaseException as error:
            state, self.error = "failed", self.error or told(error)
        with _changed:
            self.state = state
        self._tell()  # before those who wait go on
        with _changed:
            self._told = True
            _jobs.remove(self)
            _changed.notify_all()

    def _tell(self) -> None:
        with suppress(Exception):  # who listens may be gone; the jobs of others go on
            self._on_change(self)


def told(error: BaseException) -> str:
    """An error as a sentence of limited length; one that the workbench did not word is told with its kind."""
    text = shortened(" ".join(str(error).split()), 400)
    if isinstance(error, WorkbenchError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _work() -> None:
    while True:
        with _changed:
            _changed.wait_for(lambda: _next() is not None)
            job = _next()
        if job is not None:
            job._step()


def _next() -> Job | None:
    """Who is to be closed comes first: that takes a moment, and the job at hand is between two steps."""
    ready = sorted(_jobs, key=lambda job: not job._stopping)
    return next((job for job in ready if job._stopping or job.state != "paused"), None)
