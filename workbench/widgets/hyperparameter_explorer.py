"""`HyperparameterExplorer`: change hyper-parameters and see their cost at once, short runs, and a search's results."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import traitlets

from workbench.arguments import whole_number
from workbench.data.datasets import Data
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters, recommended
from workbench.modelling.cost import Cost
from workbench.training.records import Record
from workbench.units import format_number
from workbench.widgets.followed_cost import FollowedCost
from workbench.widgets.hyperparameter_controls import MAIN, fields_of, short_name
from workbench.widgets.parallel_coordinates import checked_trials, search_facts
from workbench.widgets.short_runs import ShortRuns
from workbench.widgets.view import View
from workbench.widgets.worker import Job
from workbench.wording import shorten

if TYPE_CHECKING:
    from workbench.training.search import Trial


class HyperparameterExplorer(View):
    """A control for every hyper-parameter, with their cost, short training runs, and the trials of a search.

    data: from `load_dataset`. hyperparameters: the current ones, to be passed to `train`; by default those recommended
    for `data`. trials: from `search_hyperparameters`; may be set again. images, validation_images: at most so many are
    used by a short run, the same for every run. device: "auto", "cpu", "cuda" or "mps".

    >>> explorer = wb.HyperparameterExplorer(wb.load_dataset("digits"))
    >>> before = explorer.cost.parameters
    >>> explorer.hyperparameters = explorer.hyperparameters.replace(width=2.0)
    >>> explorer.cost.parameters > 3 * before
    True
    >>> explorer.close()
    """

    module = "hyperparameter_explorer"
    title = "Hyper-parameter explorer"

    hyperparameters = traitlets.Instance(HyperParameters)
    trials = traitlets.Any(())
    values = traitlets.Dict().tag(sync=True)
    epochs_of_run = traitlets.Int(2, min=1, max=100).tag(sync=True)
    starts = traitlets.Int().tag(sync=True)  # the browser increments it to start a short run
    stops = traitlets.Int().tag(sync=True)  # likewise, to stop it
    fields: traitlets.List[Any] = traitlets.List(read_only=True).tag(sync=True)
    figures = traitlets.Dict(read_only=True).tag(sync=True)
    counting = traitlets.Unicode(read_only=True).tag(sync=True)
    change = traitlets.Unicode(read_only=True).tag(sync=True)  # the effect of the last change
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
        images: int = 2_000,
        validation_images: int = 1_000,
        device: str = "auto",
    ) -> None:
        if not hasattr(data, "preprocessing"):
            raise WorkbenchError(f"data = {shorten(repr(data))}: give a data set of wb.load_dataset.")
        if not len(data.train):
            raise WorkbenchError(f"data: {data.name} has no images to learn from, so there is nothing to choose for.")
        max_images = {
            "train": whole_number("images", images, 1, 2**31),
            "validation": whole_number("validation_images", validation_images, 1, 2**31),
        }
        default = recommended(data.name, len(data.train))
        chosen = default if hyperparameters is None else hyperparameters
        if not isinstance(chosen, HyperParameters):
            raise WorkbenchError(f"hyperparameters = {shorten(repr(chosen))}: give wb.HyperParameters(...).")
        self._followed = FollowedCost(data, chosen)
        self._short = ShortRuns(data, max_images, default, device, self._show_runs)
        self._lock = threading.RLock()  # the browser's messages are handled in other threads
        super().__init__(
            hyperparameters=chosen,
            values=asdict(chosen),
            fields=fields_of(chosen),
            subset=self._short.images_text(),
            trials=trials,
        )
        self._follow()

    @property
    def runs(self) -> dict[str, tuple[Record, ...]]:
        """The records of each short run, by its name."""
        return {name: tuple(records) for name, records in self._short.records.items()}

    @property
    def cost(self) -> Cost:
        """The cost of the current hyper-parameters. Raises WorkbenchError if the network does not take the images."""
        return self._followed.cost()

    def describe(self) -> str:
        """Describe the current hyper-parameters and their cost."""
        names = ", ".join(f"{short_name(name)} {format_number(getattr(self.hyperparameters, name))}" for name in MAIN)
        self._show()
        return f"{names}: {self.figures.get('summary', self.problem)} {self.search.get('summary', '')}".strip()

    def fallback(self) -> Iterable[Any]:
        """Return the description, and tables of the devices, the runs and the trials."""
        from workbench.pages.html import table, tag

        yield tag("p", self.describe())
        if self.figures:
            rows = [[each["device"], each["text"], each["origin_text"]] for each in self.figures["devices"]]
            yield table("An epoch on each device", ["device", "seconds", "origin"], rows)
        if self.table:
            rows = [[row["name"], row["accuracy"], row["seconds"], row["outcome"]] for row in self.table]
            yield table("Short runs", ["run", "validation accuracy", "time", "how it ended"], rows)
        if self.search:
            yield table("Trials", self.search["head"], [line["cells"] for line in self.search["lines"]])

    def to_html(self, path: Any = None) -> str:
        """As for every widget, with the figures of the current hyper-parameters."""
        self.describe()
        return super().to_html(path)

    def page_state(self) -> dict[str, Any]:
        """Show no work in progress."""
        return {"progress": {}, "counting": ""}

    def release(self) -> None:
        """Stop the short run and the counting."""
        super().release()
        if self._counter is not None:
            self._counter.stop()

    @traitlets.observe("values")
    def _apply_values(self, change: Any) -> None:
        with self._lock:
            try:
                chosen = HyperParameters.from_mapping(self.values)
            except WorkbenchError as error:
                self._set(problem=str(error))
                return
            self._set(problem="", hyperparameters=chosen, values=asdict(chosen))

    @traitlets.observe("hyperparameters")
    def _apply_hyperparameters(self, change: Any) -> None:
        if not isinstance(change.old, HyperParameters) or change.new == change.old:
            return
        with self._lock:
            self._followed.move(change.new)
            self.values = asdict(change.new)
            self._follow()

    def _follow(self) -> None:
        """Show the figures now if the network is counted, else once the worker has counted it."""
        if self._counter is not None:
            self._counter.stop()
        ahead = self._followed.is_moved and (self.job is None or self.job.ended)
        if self._followed.is_counted:
            self._show()
        else:
            self._set(counting="Counting this network, as soon as the worker is free …")
        if ahead or self.counting:
            if self.job is not None:
                self.job.pause()  # counting takes a moment, between two steps of the run
            steps = self._followed.counting(ahead=ahead)
            self._counter = Job(steps, on_step=self._show_counted, on_change=self._resume_run)
            self._counter.start()
        elif self.job is not None:
            self.job.resume()

    def _show_counted(self, _: None) -> None:
        with self._lock:
            if self.counting and self._followed.is_counted:
                self._show()

    def _resume_run(self, counter: Job) -> None:
        if counter.state == "failed" and counter is self._counter:
            self._set(counting="", problem=counter.error)
        if counter.ended and counter is self._counter and self.job is not None:
            self.job.resume()

    def _show(self) -> None:
        try:
            figures, change = self._followed.figures()
            self._set(counting="", figures=figures, change=change)
        except WorkbenchError as error:
            self._set(counting="", figures={}, change="", problem=str(error))

    @traitlets.observe("starts")
    def _run(self, change: Any) -> None:
        with self._lock:
            if not change.new or (self.job is not None and not self.job.ended):
                return
            if self._counter is not None and self._followed.is_counted:
                self._counter.stop()  # the networks ahead can wait
            self.job = self._short.start(self.hyperparameters, self.epochs_of_run)

    @traitlets.observe("stops")
    def _stop(self, change: Any) -> None:
        if change.new and self.job is not None:
            self.job.stop()

    def _show_runs(self, **shown: Any) -> None:
        with self._lock:
            self._set(**shown)

    @traitlets.validate("trials")
    def _check_trials(self, proposal: Any) -> tuple[Trial, ...]:
        return checked_trials(proposal.value)

    @traitlets.observe("trials")
    def _show_search(self, change: Any) -> None:
        self._set(search=search_facts(self.trials))
