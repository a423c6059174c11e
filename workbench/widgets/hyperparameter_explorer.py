"""Hyper-parameters to be moved: what they cost at once, what they do in a short run, and what a search found."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import traitlets

from workbench.arguments import whole_number
from workbench.cost import Cost
from workbench.data import Data
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters, recommended
from workbench.sealed import shortened
from workbench.training import Record
from workbench.units import format_number
from workbench.widgets.followed_cost import FollowedCost
from workbench.widgets.hyperparameter_controls import MAIN, fields_of, short
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
        self._followed = FollowedCost(data, chosen)
        self._short = ShortRuns(data, most, usual, device, self._tell)
        self._lock = threading.RLock()  # the browser's wishes come in threads of their own
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
        return self._followed.cost()

    def told(self) -> str:
        """What is chosen and what it costs, in two sentences."""
        names = ", ".join(f"{short(name)} {format_number(getattr(self.hyperparameters, name))}" for name in MAIN)
        self._show()
        return f"{names}: {self.figures.get('summary', self.problem)} {self.search.get('said', '')}".strip()

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
            self._followed.move(change.new)
            self.values = asdict(change.new)
            self._follow()

    def _follow(self) -> None:
        """Put the figures, now where the network is counted, else as soon as the worker has counted it."""
        if self._counter is not None:
            self._counter.stop()
        ahead = self._followed.is_moved and (self.job is None or self.job.ended)
        if self._followed.is_counted:
            self._show()
        else:
            self._put(counting="Counting this network, as soon as the worker is free …")
        if ahead or self.counting:
            if self.job is not None:
                self.job.pause()  # a moment's work, between two steps of the run
            steps = self._followed.counting(ahead=ahead)
            self._counter = Job(steps, on_step=self._note, on_change=self._go_on)
            self._counter.start()
        elif self.job is not None:
            self.job.resume()

    def _note(self, _: None) -> None:
        with self._lock:
            if self.counting and self._followed.is_counted:
                self._show()

    def _go_on(self, counter: Job) -> None:
        if counter.state == "failed" and counter is self._counter:
            self._put(counting="", problem=counter.error)
        if counter.ended and counter is self._counter and self.job is not None:
            self.job.resume()

    def _show(self) -> None:
        try:
            figures, said = self._followed.figures()
            self._put(counting="", figures=figures, said=said)
        except WorkbenchError as error:
            self._put(counting="", figures={}, said="", problem=str(error))

    # Short runs, and a search ------------------------------------------------------------------------------------

    @traitlets.observe("started")
    def _run(self, change: Any) -> None:
        with self._lock:
            if not change.new or (self.job is not None and not self.job.ended):
                return
            if self._counter is not None and self._followed.is_counted:
                self._counter.stop()  # the other widths can wait
            self.job = self._short.start(self.hyperparameters, self.epochs_of_run)

    @traitlets.observe("stopped")
    def _stop(self, change: Any) -> None:
        if change.new and self.job is not None:
            self.job.stop()

    def _tell(self, **shown: Any) -> None:
        with self._lock:
            self._put(**shown)

    @traitlets.validate("trials")
    def _check_trials(self, proposal: Any) -> tuple[Trial, ...]:
        return checked_trials(proposal.value)

    @traitlets.observe("trials")
    def _show_search(self, change: Any) -> None:
        self._put(search=search_facts(self.trials))
