"""`TrainingDashboard`: watch training runs, pause and stop them, change their learning rate; the kernel stays free."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Mapping
from itertools import count
from typing import Any

import traitlets

from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.machine.threads import release_idle_threads
from workbench.training.records import Record
from workbench.widgets.training_curve import TrainingCurve, check_steps
from workbench.widgets.training_text import TABLE_HEAD, facts, sentence, table_row
from workbench.widgets.view import View
from workbench.widgets.worker import Job
from workbench.wording import shorten

Steps = Generator[Any, Any, Any]

_SECONDS_BETWEEN_UPDATES = 0.2  # a reader sees no more
_SHARE_OF_TIME = 0.01  # that updates may take from training
_SECONDS_BETWEEN_ANNOUNCEMENTS = 3.0  # of epochs
_UNFINISHED = "a page shows runs that have ended. Wait for them with result(), or stop them."


class TrainingDashboard(View):
    """Runs `train()` or `train_run()` in the worker thread and shows the progress.

    steps: such a generator, or several by name; they run one after the other, in the same charts. paused and
    learning_rate may be set, as the browser does; learning_rate is the peak of the current run's schedule from now on,
    0 if it cannot be changed. shown: what the browser shows.

    >>> data = wb.load_dataset("digits")
    >>> model, plan = wb.build_model("linear", shape=data.shape), wb.HyperParameters(model="linear", epochs=2)
    >>> board = wb.TrainingDashboard(wb.train(model, data, plan, device="cpu"))
    >>> board.result().epoch
    2
    """

    module = "training_dashboard"
    title = "Training"

    shown = traitlets.Dict(read_only=True).tag(sync=True)
    announcement = traitlets.Unicode(read_only=True).tag(sync=True)  # for screen readers: states and ends of epochs
    paused = traitlets.Bool(False).tag(sync=True)
    stops = traitlets.Int(0).tag(sync=True)  # the browser increments it to stop the current run
    learning_rate = traitlets.Float(0.0).tag(sync=True)

    def __init__(self, steps: Steps | Mapping[str, Steps]) -> None:
        self._runs: dict[str, TrainingCurve] = {}
        self._jobs: dict[str, Job] = {}
        named = dict(steps) if isinstance(steps, Mapping) else {"run": steps}
        if not named:
            raise WorkbenchError("There is no training to run: give a train(...), or a dict of them by name.")
        for name, each in named.items():
            check_steps(name, each, named.values())
        self._updating = threading.RLock()  # by the worker, a cell, or a click
        self._all_ended = threading.Event()
        self._announced_at = self._next_at = 0.0
        super().__init__()
        self.observe(self._pause, "paused")
        self.observe(self._stop, "stops")
        self.observe(self._change_rate, "learning_rate")
        for name, each in named.items():
            self.add(name, each)

    def add(self, name: str | Steps, steps: Steps | None = None) -> None:
        """Run another generator after the earlier ones, in the same charts; without a name it becomes "run 2", ….

        Raise WorkbenchError for anything that cannot be run, and for a name that is taken.
        """
        with self._updating:
            given: Any = name if steps is None else steps
            name = next(free for n in count(2) if (free := f"run {n}") not in self._runs) if steps is None else name
            check_steps(name, given, [*(run.steps for run in self._runs.values()), given])
            assert isinstance(name, str)
            if name in self._runs:
                raise WorkbenchError(f"There is a run {name!r} already: give this one another name.")
            run = self._runs[name] = TrainingCurve(name, given)
            job = Job(
                given, on_step=lambda record: self._add_record(run, record), on_change=lambda _: self._report(run)
            )
            self._jobs[name] = job
            self._all_ended.clear()
            if self.paused:
                job.pause()
            self._update()
        release_idle_threads()  # those of this thread would slow down the worker's
        job.start()

    @property
    def records(self) -> dict[str, tuple[Record, ...]]:
        """The records of each run so far."""
        return {name: tuple(run.records) for name, run in self._runs.items()}

    def result(self, name: str | None = None) -> Record:
        """Wait until all runs have ended; return the last record of one, by default of the last run.

        An interrupt stops them first. Raise WorkbenchError if a run failed or has no record, or if they are paused.
        """
        if name is not None and name not in self._runs:
            raise WorkbenchError(f"There is no run {shorten(repr(name))}, only {', '.join(map(repr, self._runs))}.")
        if self.paused and not self._all_ended.is_set():
            raise WorkbenchError("The runs are paused: press Resume, or set paused = False; then ask for the result.")
        try:
            while not self._all_ended.wait(0.2):  # on Windows an interrupt does not end a wait
                pass
        except KeyboardInterrupt:
            self.release()
            self._all_ended.wait(60)
            raise
        for each in [name] if name is not None else self._runs:
            if self._jobs[each].state == "failed":
                raise WorkbenchError(self._sentence(each))
        found = self._runs[name if name is not None else [*self._runs][-1]]
        if not found.records:
            raise WorkbenchError(self._sentence(found.name))
        return found.records[-1]

    def release(self) -> None:
        """Stop every run."""
        for job in self._jobs.values():
            job.stop()

    def describe(self) -> str:
        """Describe the state of the current run, or of all once they have ended."""
        ended = all(job.ended for job in self._jobs.values())
        return " ".join(self._sentence(name) for name in (self._runs if ended else [self._current().name]))

    def fallback(self) -> Iterable[Any]:
        """Return the description, and a table of the runs."""
        from workbench.pages.html import table

        rows = [table_row(run) for run in self._runs.values() if run.records]
        return [*super().fallback(), table("The last record of each run", TABLE_HEAD, rows, numeric=range(1, 5))]

    def to_html(self, path: Any = None) -> str:
        """As for every widget, for runs that have ended: charts, table and description, without the controls."""
        for name, job in self._jobs.items():
            if not job.ended:
                raise WorkbenchError(f"{name} has not ended: {_UNFINISHED}")
        return super().to_html(path)

    def _add_record(self, run: TrainingCurve, record: Record) -> None:
        with self._updating:
            first = not run.records
            changed = run.add(record)
            if first:
                self.learning_rate = run.peak
            if changed:
                self._set(announcement=f"{run.name}: peak learning rate {run.peak:.3g} from step {record.step:,} on.")
            now = time.monotonic()
            if record.kind == "epoch" and now > self._announced_at + _SECONDS_BETWEEN_ANNOUNCEMENTS:
                self._announced_at = now
                self._set(announcement=self._sentence(run.name))
            if first or now > self._next_at:
                self._update()

    def _report(self, run: TrainingCurve) -> None:
        try:
            with self._updating:
                self._update()
                self._set(announcement=self._sentence(run.name))
        finally:
            with self._updating:
                if all(job.ended for job in self._jobs.values()):
                    self._all_ended.set()

    def _update(self) -> None:
        """Show the state; the next update waits until a hundred times as long has passed."""
        begun = time.monotonic()
        self._set(shown=facts(self._runs, self._jobs, self._current()) | {"sentence": self.describe()})
        now = time.monotonic()
        self._next_at = now + max(_SECONDS_BETWEEN_UPDATES, (now - begun) / _SHARE_OF_TIME)

    def _current(self) -> TrainingCurve:
        left = (name for name, job in self._jobs.items() if not job.ended)
        return self._runs[next(left, [*self._runs][-1])]

    def _sentence(self, name: str) -> str:
        return sentence(self._runs[name], self._jobs[name].state, self._jobs[name].error)

    @traitlets.validate("learning_rate")
    def _valid_rate(self, proposal: Any) -> float:
        rate = float(proposal["value"])
        return HyperParameters(learning_rate=rate).learning_rate if rate else rate

    def _change_rate(self, change: Any) -> None:
        run = self._current()
        if change["new"] and run.peak and change["new"] != run.peak:
            self._jobs[run.name].send({"learning_rate": change["new"]})

    def _pause(self, change: Any) -> None:
        for job in self._jobs.values():
            if change["new"]:
                job.pause()
            else:
                job.resume()

    def _stop(self, change: Any) -> None:
        self._jobs[self._current().name].stop()
