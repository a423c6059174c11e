"""Hyper-parameters to be moved: what they cost at once, what they do in a short run, and what a search found."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterable
from dataclasses import asdict
from itertools import chain
from typing import TYPE_CHECKING, Any

import traitlets

from workbench.arguments import whole_number
from workbench.cost import Cost
from workbench.data import Data
from workbench.epoch_times import NetworkCount, cost_at, epoch_times, network_key, told_change
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters, recommended
from workbench.recordings import load_recordings
from workbench.sealed import shortened
from workbench.training import Record
from workbench.units import format_number
from workbench.widgets.cost_figures import figures_of
from workbench.widgets.hyperparameter_controls import MAIN, fields_of, short
from workbench.widgets.network_counts import NetworkCounts
from workbench.widgets.parallel_coordinates import checked_trials, search_facts
from workbench.widgets.short_runs import ShortRuns
from workbench.widgets.view import View
from workbench.widgets.worker import Job

if TYPE_CHECKING:
    from workbench.search import Trial


class HyperparameterExplorer(View):
    """Controls for every hyper-parameter; their cost follows at once, a short run on request, a search beside it.

    data: of `load_dataset`. hyperparameters: to begin with, by default those recommended for `data`; then those chosen
    now, to be handed to `train`. trials: of `search_hyperparameters`; may be set anew. pictures, validation_pictures:
    how many of `data` a short run learns from and is judged on, at most; the same for every run. device: "auto",
    "cpu", "cuda" or "mps". `runs` are the records of the short runs by name, `cost` that of the hyper-parameters.
    """

    module = "hyperparameter_explorer"
    title = "Hyper-parameter explorer"

    hyperparameters = traitlets.Instance(HyperParameters)
    trials = traitlets.Any(())
    values = traitlets.Dict().tag(sync=True)
    epochs_of_run = traitlets.Int(2, min=1, max=100).tag(sync=True)
    started = traitlets.Int().tag(sync=True)  # the browser counts up: run what is chosen
    stopped = traitlets.Int().tag(sync=True)  # likewise: stop the run
    fields: traitlets.List[Any] = traitlets.List(read_only=True).tag(sync=True)
    figures = traitlets.Dict(read_only=True).tag(sync=True)
    counting = traitlets.Unicode(read_only=True).tag(sync=True)
    said = traitlets.Unicode(read_only=True).tag(sync=True)
    problem = traitlets.Unicode(read_only=True).tag(sync=True)
    subset = traitlets.Unicode(read_only=True).tag(sync=True)
    progress = traitlets.Dict(read_only=True).tag(sync=True)
    table: traitlets.List[Any] = traitlets.List(read_only=True).tag(sync=True)
    outcome = traitlets.Unicode(read_only=True).tag(sync=True)
    search = traitlets.Dict(read_only=True).tag(sync=True)
    _counter: Job | None = None

    def __init__(
        self,
        data: Data,
        hyperparameters: HyperParameters | None = None,
        *,
        trials: Iterable[Trial] = (),
        pictures: int = 2_000,
        validation_pictures: int = 1_000,
        device: str = "auto",
    ) -> None:
        if not hasattr(data, "preprocessing"):
            raise WorkbenchError(f"data = {shortened(repr(data))}: give a data set of wb.load_dataset.")
        if not len(data.train):
            raise WorkbenchError(f"data: {data.name} has no pictures to learn from, so there is nothing to choose for.")
        most = {
            "train": whole_number("pictures", pictures, 1, 2**31),
            "validation": whole_number("validation_pictures", validation_pictures, 1, 2**31),
        }
        usual = recommended(data.name, len(data.train))
        chosen = usual if hyperparameters is None else hyperparameters
        if not isinstance(chosen, HyperParameters):
            raise WorkbenchError(f"hyperparameters = {shortened(repr(chosen))}: give wb.HyperParameters(...).")
        self._pictures = len(data.train)
        self._counts = NetworkCounts(data.shape, len(data.labels))
        self._short = ShortRuns(data, most, usual, device)
        try:
            self._recordings = load_recordings(skipped=[])
        except WorkbenchError:  # without the project's files there are no cards
            self._recordings = ()
        self._lock = threading.RLock()  # the browser's wishes come in threads of their own
        self._before = chosen
        self._touched: tuple[str, ...] = ()
        super().__init__(
            hyperparameters=chosen,
            values=asdict(chosen),
            fields=fields_of(chosen),
            subset=self._short.told_pictures(),
            trials=trials,
        )
        self._follow()

    @property
    def runs(self) -> dict[str, tuple[Record, ...]]:
        """The records of each short run, by what it changed."""
        return {name: tuple(records) for name, records in self._short.records.items()}

    @property
    def cost(self) -> Cost:
        """Of the hyper-parameters chosen now. Raises WorkbenchError for a network that does not take the pictures."""
        count = self._counts.count(self.hyperparameters)
        if isinstance(count, str):
            raise WorkbenchError(count)
        return cost_at(count, self.hyperparameters, pictures=self._pictures)

    def told(self) -> str:
        """What is chosen and what it costs, in two sentences."""
        names = ", ".join(f"{short(name)} {format_number(getattr(self.hyperparameters, name))}" for name in MAIN)
        count = self._counts.count(self.hyperparameters)
        if isinstance(count, str):
            return f"{names}: {count}"
        self._show(count)
        return f"{names}: {self.figures['summary']} {self.search.get('said', '')}".strip()

    def fallback(self) -> Iterable[Any]:
        """The sentence, the devices, the runs and the trials."""
        from workbench.page import table, tag

        yield tag("p", self.told())
        if self.figures:
            rows = [[each["device"], each["text"], each["told"]] for each in self.figures["devices"]]
            yield table("An epoch on each device", ["device", "seconds", "origin"], rows)
        if self.table:
            rows = [[row["name"], row["accuracy"], row["seconds"], row["told"]] for row in self.table]
            yield table("Short runs", ["run", "validation accuracy", "time", "how it ended"], rows)
        if self.search:
            yield table("Trials", self.search["head"], [line["cells"] for line in self.search["lines"]])

    def to_html(self, path: Any = None) -> str:
        """As every widget's, with the figures of the hyper-parameters chosen now."""
        self.told()
        return super().to_html(path)

    def page_state(self) -> dict[str, Any]:
        """Nothing is going on there."""
        return {"progress": {}, "counting": ""}

    def leave(self) -> None:
        """Stop the run and the counting."""
        super().leave()
        if self._counter is not None:
            self._counter.stop()

    # What is chosen, and its figures -----------------------------------------------------------------------------

    @traitlets.observe("values")
    def _take(self, change: Any) -> None:
        with self._lock:
            try:
                chosen = HyperParameters.from_mapping(self.values)
            except WorkbenchError as error:
                self._put(problem=str(error))
                return
            self._put(problem="", hyperparameters=chosen, values=asdict(chosen))

    @traitlets.observe("hyperparameters")
    def _choose(self, change: Any) -> None:
        if not isinstance(change.old, HyperParameters) or change.new == change.old:
            return
        with self._lock:
            before, after = asdict(change.old), asdict(change.new)
            touched = tuple(name for name in after if after[name] != before[name])
            if touched != self._touched:  # while one control is moved, all is compared with where it was
                self._before, self._touched = change.old, touched
            self.values = after
            self._follow()

    def _follow(self) -> None:
        """Put the figures, now where the network is counted, else as soon as the worker has counted it."""
        if self._counter is not None:
            self._counter.stop()
        resting = self.job is None or self.job.ended
        nearby = bool(self._touched) and resting
        count = self._counts.known(self.hyperparameters)
        if count is None:
            self._put(counting="Counting this network, as soon as the worker is free …")
        else:
            self._show(count)
        if count is None or nearby:
            steps = self._count(self.hyperparameters, nearby=nearby)
            self._counter = Job(steps, on_step=self._note, on_change=self._go_on)
            if self.job is not None:
                self.job.pause()  # a moment's work, between two steps of the run
            self._counter.start()
        elif self.job is not None:
            self.job.resume()

    def _count(self, chosen: HyperParameters, *, nearby: bool) -> Generator[HyperParameters, Any, None]:
        for each in chain([chosen], self._counts.ahead(chosen) if nearby else ()):
            self._counts.count(each)
            yield each

    def _note(self, counted: HyperParameters) -> None:
        with self._lock:
            if network_key(counted) == network_key(self.hyperparameters):
                self._show(self._counts.count(counted))

    def _go_on(self, counter: Job) -> None:
        if counter.state == "failed" and counter is self._counter:
            self._put(counting="", problem=counter.error)
        if counter.ended and counter is self._counter and self.job is not None:
            self.job.resume()

    def _show(self, count: NetworkCount | str) -> None:
        if isinstance(count, str):
            self._put(counting="", problem=count, figures={}, said="")
            return
        chosen, before = self.hyperparameters, self._before
        cost = cost_at(count, chosen, pictures=self._pictures)
        earlier = self._counts.known(before)
        was = cost_at(earlier, before, pictures=self._pictures) if isinstance(earlier, NetworkCount) else None
        figures = figures_of(chosen, cost, was, epoch_times(self._recordings, count, chosen, cost))
        self._put(counting="", figures=figures, said="" if was is None else told_change(before, chosen, was, cost))

    # Short runs, and a search ------------------------------------------------------------------------------------

    @traitlets.observe("started")
    def _run(self, change: Any) -> None:
        with self._lock:
            if not change.new or (self.job is not None and not self.job.ended):
                return
            if lacking := self._short.lacking():
                self._put(outcome=lacking)
                return
            if self._counter is not None and self._counts.known(self.hyperparameters) is not None:
                self._counter.stop()  # the other widths can wait
            name, steps = self._short.begin(self.hyperparameters, self.epochs_of_run)
            self._put(table=self._short.rows, progress={"share": 0, "told": "getting ready …"}, outcome="")
            self.job = Job(
                steps,
                on_step=lambda record: self._learn(name, record),
                on_change=lambda job: self._end(name, job),
            ).start()

    @traitlets.observe("stopped")
    def _stop(self, change: Any) -> None:
        if change.new and self.job is not None:
            self.job.stop()

    def _learn(self, name: str, record: Record) -> None:
        self._put(progress=self._short.note(name, record), table=self._short.rows)

    def _end(self, name: str, job: Job) -> None:
        if not job.ended:
            return
        with self._lock:
            outcome = self._short.end(name, job)
            self._put(table=self._short.rows, progress={}, outcome=outcome)

    @traitlets.validate("trials")
    def _check_trials(self, proposal: Any) -> tuple[Trial, ...]:
        return checked_trials(proposal.value)

    @traitlets.observe("trials")
    def _show_search(self, change: Any) -> None:
        self._put(search=search_facts(self.trials))
