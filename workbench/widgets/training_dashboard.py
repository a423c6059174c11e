"""`TrainingDashboard`: training runs seen while they learn, held, slowed and stopped by hand; the kernel stays free."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterable, Mapping
from itertools import count
from typing import Any

import traitlets

from workbench.devices import release_idle_threads
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.sealed import shortened
from workbench.training import Record
from workbench.widgets.training_curve import TrainingCurve, checked_steps
from workbench.widgets.training_told import TABLE_HEAD, facts, sentence, table_row
from workbench.widgets.view import View
from workbench.widgets.worker import Job

Steps = Generator[Any, Any, Any]

_SECONDS_BETWEEN = 0.2  # pictures of the state; a reader sees no more
_SHARE_OF_TIME = 0.01  # that telling may take from training
_SECONDS_BETWEEN_EPOCHS = 3.0  # told to a screen reader
_UNFINISHED = "a page is made of runs that have ended. Wait for them with result(), or stop them."


class TrainingDashboard(View):
    """Trains what `train()` or `train_run()` would, in the worker's thread, and shows how it goes.

    steps: such a generator, or several by name; they run one after the other, and their curves lie over each other.
    paused, learning_rate: may be set, as the browser does; learning_rate is the peak of the schedule of the run at
    hand from here on, 0 where it cannot be changed. shown: what the browser shows.
    """

    module = "training_dashboard"
    title = "Training"

    shown = traitlets.Dict(read_only=True).tag(sync=True)
    said = traitlets.Unicode(read_only=True).tag(sync=True)  # for screen readers: changes of state and ends of epochs
    paused = traitlets.Bool(False).tag(sync=True)
    stops = traitlets.Int(0).tag(sync=True)  # the browser counts up: stop the run at hand
    learning_rate = traitlets.Float(0.0).tag(sync=True)

    def __init__(self, steps: Steps | Mapping[str, Steps]) -> None:
        self._runs: dict[str, TrainingCurve] = {}
        self._jobs: dict[str, Job] = {}
        named = dict(steps) if isinstance(steps, Mapping) else {"run": steps}
        if not named:
            raise WorkbenchError("There is no training to run: give a train(...), or a dict of them by name.")
        for name, each in named.items():
            checked_steps(name, each, named.values())
        self._telling = threading.RLock()  # the worker, a cell and a click may all have something to tell
        self._all_ended = threading.Event()
        self._told_at = self._next_at = 0.0
        super().__init__()
        self.observe(self._pause, "paused")
        self.observe(self._stop, "stops")
        self.observe(self._change_rate, "learning_rate")
        for name, each in named.items():
            self.add(name, each)

    def add(self, name: str | Steps, steps: Steps | None = None) -> None:
        """Run a further generator after those before it, in the same charts; without a name it becomes "run 2", ….

        Raises WorkbenchError for what cannot be run, and for a name that is taken.
        """
        with self._telling:
            given: Any = name if steps is None else steps
            name = next(free for n in count(2) if (free := f"run {n}") not in self._runs) if steps is None else name
            checked_steps(name, given, [*(run.steps for run in self._runs.values()), given])
            assert isinstance(name, str)
            if name in self._runs:
                raise WorkbenchError(f"There is a run {name!r} already: give this one another name.")
            run = self._runs[name] = TrainingCurve(name, given)
            job = Job(given, on_step=lambda record: self._note(run, record), on_change=lambda _: self._changed(run))
            self._jobs[name] = job
            self._all_ended.clear()
            if self.paused:
                job.pause()
            self._tell()
        release_idle_threads()  # those of this thread would slow the worker's
        job.start()

    @property
    def records(self) -> dict[str, tuple[Record, ...]]:
        """What each run has yielded so far."""
        return {name: tuple(run.records) for name, run in self._runs.items()}

    def result(self, name: str | None = None) -> Record:
        """The last record of a run, of the last one without `name`, once all have ended: finished, or stopped.

        An interrupt stops them first. Raises WorkbenchError where a run failed, has no record, or they are paused.
        """
        if name is not None and name not in self._runs:
            raise WorkbenchError(f"There is no run {shortened(repr(name))}, only {', '.join(map(repr, self._runs))}.")
        if self.paused and not self._all_ended.is_set():
            raise WorkbenchError("The runs are paused: press Resume, or set paused = False; then ask for the result.")
        try:
            while not self._all_ended.wait(0.2):  # on Windows an interrupt does not end a wait
                pass
        except KeyboardInterrupt:
            self.leave()
            self._all_ended.wait(60)
            raise
        for each in [name] if name is not None else self._runs:
            if self._jobs[each].state == "failed":
                raise WorkbenchError(self._sentence(each))
        found = self._runs[name if name is not None else [*self._runs][-1]]
        if not found.records:
            raise WorkbenchError(self._sentence(found.name))
        return found.records[-1]

    def leave(self) -> None:
        """Stop every run."""
        for job in self._jobs.values():
            job.stop()

    def told(self) -> str:
        """How the run at hand goes, or how all of them ended."""
        ended = all(job.ended for job in self._jobs.values())
        return " ".join(self._sentence(name) for name in (self._runs if ended else [self._at_hand().name]))

    def fallback(self) -> Iterable[Any]:
        """The sentence, and a table of the runs."""
        from workbench.page import table

        rows = [table_row(run) for run in self._runs.values() if run.records]
        return [*super().fallback(), table("The last record of each run", TABLE_HEAD, rows, numeric=range(1, 5))]

    def to_html(self, path: Any = None) -> str:
        """One page of runs that have ended: the charts, the table and the sentence, without the controls."""
        for name, job in self._jobs.items():
            if not job.ended:
                raise WorkbenchError(f"{name} has not ended: {_UNFINISHED}")
        return super().to_html(path)

    # In the worker's thread ---------------------------------------------------------------------------------------

    def _note(self, run: TrainingCurve, record: Record) -> None:
        with self._telling:
            first = not run.records
            changed = run.add(record)
            if first:
                self.learning_rate = run.peak
            if changed:
                self._put(said=f"{run.name}: peak learning rate {run.peak:.3g} from step {record.step:,} on.")
            now = time.monotonic()
            if record.kind == "epoch" and now > self._told_at + _SECONDS_BETWEEN_EPOCHS:
                self._told_at = now
                self._put(said=self._sentence(run.name))
            if first or now > self._next_at:
                self._tell()

    def _changed(self, run: TrainingCurve) -> None:
        try:
            with self._telling:
                self._tell()
                self._put(said=self._sentence(run.name))
        finally:
            with self._telling:
                if all(job.ended for job in self._jobs.values()):
                    self._all_ended.set()

    def _tell(self) -> None:
        """Show the state, and not again until a hundred times as long has gone by as that took."""
        begun = time.monotonic()
        self._put(shown=facts(self._runs, self._jobs, self._at_hand()) | {"sentence": self.told()})
        now = time.monotonic()
        self._next_at = now + max(_SECONDS_BETWEEN, (now - begun) / _SHARE_OF_TIME)

    def _at_hand(self) -> TrainingCurve:
        left = (name for name, job in self._jobs.items() if not job.ended)
        return self._runs[next(left, [*self._runs][-1])]

    def _sentence(self, name: str) -> str:
        return sentence(self._runs[name], self._jobs[name].state, self._jobs[name].error)

    # By hand: in a cell's thread, or in that of the browser's messages --------------------------------------------

    @traitlets.validate("learning_rate")
    def _valid_rate(self, proposal: Any) -> float:
        rate = float(proposal["value"])
        return HyperParameters(learning_rate=rate).learning_rate if rate else rate

    def _change_rate(self, change: Any) -> None:
        run = self._at_hand()
        if change["new"] and run.peak and change["new"] != run.peak:
            self._jobs[run.name].send({"learning_rate": change["new"]})

    def _pause(self, change: Any) -> None:
        for job in self._jobs.values():
            if change["new"]:
                job.pause()
            else:
                job.resume()

    def _stop(self, change: Any) -> None:
        self._jobs[self._at_hand().name].stop()
