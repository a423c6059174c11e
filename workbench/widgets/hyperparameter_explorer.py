"""Hyper-parameters to be moved: what they cost at once, what they do in a short run, and what a search found."""

from __future__ import annotations

import math
import threading
from collections.abc import Generator, Iterable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import traitlets

from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters, recommended
from workbench.sealed import shortened
from workbench.units import format_number, format_seconds, format_share
from workbench.widgets.cost_figures import figures_of
from workbench.widgets.hyperparameter_controls import MAIN, WIDTHS, fields_of, short, told_value
from workbench.widgets.parallel_coordinates import search_facts
from workbench.widgets.view import View
from workbench.widgets.worker import Job

if TYPE_CHECKING:
    from workbench.cost import Cost
    from workbench.data import Data, Split
    from workbench.epoch_times import NetworkCount
    from workbench.search import Trial
    from workbench.training import Record


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
    fields: traitlets.List[Any] = traitlets.List().tag(sync=True)
    values = traitlets.Dict().tag(sync=True)
    figures = traitlets.Dict().tag(sync=True)
    counting = traitlets.Unicode().tag(sync=True)
    said = traitlets.Unicode().tag(sync=True)
    problem = traitlets.Unicode().tag(sync=True)
    subset = traitlets.Unicode().tag(sync=True)
    epochs_of_run = traitlets.Int(2, min=1, max=100).tag(sync=True)
    started = traitlets.Int().tag(sync=True)
    stopped = traitlets.Int().tag(sync=True)
    progress = traitlets.Dict().tag(sync=True)
    table: traitlets.List[Any] = traitlets.List().tag(sync=True)
    outcome = traitlets.Unicode().tag(sync=True)
    search = traitlets.Dict().tag(sync=True)
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
        from workbench.recordings import load_recordings

        if not hasattr(data, "preprocessing"):
            raise WorkbenchError(f"data = {shortened(repr(data))}: give a data set of wb.load_dataset.")
        if not len(data.train):
            raise WorkbenchError(f"data: {data.name} has no pictures to learn from, so there is nothing to choose for.")
        for name, most in (("pictures", pictures), ("validation_pictures", validation_pictures)):
            if type(most) is not int or most < 1:
                raise WorkbenchError(f"{name} = {shortened(repr(most))}: must be a whole number of at least 1.")
        self._usual = recommended(data.name, len(data.train))
        chosen = self._usual if hyperparameters is None else hyperparameters
        if not isinstance(chosen, HyperParameters):
            raise WorkbenchError(f"hyperparameters = {shortened(repr(chosen))}: give wb.HyperParameters(...).")
        self._data, self._device = data, device
        self._most = {"train": pictures, "validation": validation_pictures}
        self._small: Data | None = None
        try:
            self._recordings = load_recordings(skipped=[])
        except WorkbenchError:  # without the project's files there are no cards
            self._recordings = ()
        self._lock = threading.RLock()  # the browser's wishes come in threads of their own
        self._counts: dict[tuple[str, float, str], NetworkCount | str] = {}
        self._before = chosen
        self._touched: tuple[str, ...] = ()
        self._records: dict[str, list[Record]] = {}
        super().__init__(
            hyperparameters=chosen,
            values=asdict(chosen),
            fields=fields_of(chosen),
            subset=self._told_subset(),
            trials=trials,
        )
        self._show()

    @property
    def runs(self) -> dict[str, tuple[Record, ...]]:
        """The records of each short run, by what it changed."""
        return {name: tuple(records) for name, records in self._records.items()}

    @property
    def cost(self) -> Cost:
        """Of the hyper-parameters chosen now. Raises WorkbenchError for a network that does not take the pictures."""
        from workbench.epoch_times import cost_at

        return cost_at(self._counted(), self.hyperparameters, pictures=len(self._data.train))

    def told(self) -> str:
        """What is chosen and what it costs, in two sentences."""
        names = ", ".join(f"{short(name)} {format_number(self.values[name])}" for name in MAIN)
        try:
            self._put(self._counted())
        except WorkbenchError as error:
            return f"{names}: {error}"
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
                self.problem = str(error)
                return
            self.problem = ""
            self.hyperparameters = chosen

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
            self._show()

    def _show(self) -> None:
        """Put the figures, now where the network is counted, else as soon as the worker has counted it."""
        from workbench.epoch_times import network_key

        if self._counter is not None:
            self._counter.stop()
        resting = self.job is None or self.job.ended
        count = self._counts.get(network_key(self.hyperparameters))
        if count is None:
            self.counting = "Counting this network, as soon as the worker is free …"
        else:
            self._put(count)
        if count is None or (self._touched and resting):
            steps = self._count(self.hyperparameters, nearby=bool(self._touched) and resting)
            self._counter = Job(steps, on_step=self._note, on_change=self._go_on)
            if self.job is not None:
                self.job.pause()  # a moment's work, between two steps of the run
            self._counter.start()
        elif self.job is not None:
            self.job.resume()

    def _count(self, chosen: HyperParameters, *, nearby: bool) -> Generator[Any, None, None]:
        """Count the network, and `nearby` the other widths too, which are likely to be next where things are moved."""
        from workbench.epoch_times import network_key
        from workbench.models import ZOO

        widths = sorted(WIDTHS, key=lambda width: abs(math.log(width / chosen.width)))
        for width in [chosen.width, *(widths if nearby and chosen.model in ZOO else [])]:
            each = chosen.replace(width=width)
            key = network_key(each)
            fresh = key not in self._counts
            if fresh:
                self._counts[key] = self._counted_or_told(each)
            if fresh or each == chosen:
                yield key

    def _counted_or_told(self, chosen: HyperParameters) -> NetworkCount | str:
        from workbench.epoch_times import count_network

        try:
            return count_network(chosen, shape=self._data.shape, classes=len(self._data.labels))
        except WorkbenchError as error:
            return str(error)

    def _note(self, key: tuple[str, float, str]) -> None:
        from workbench.epoch_times import network_key

        with self._lock:
            if key == network_key(self.hyperparameters):
                self._put(self._counts[key])

    def _go_on(self, counter: Job) -> None:
        if counter.state == "failed" and counter is self._counter:
            self.counting, self.problem = "", counter.error
        if counter.ended and counter is self._counter and self.job is not None:
            self.job.resume()

    def _counted(self) -> NetworkCount:
        from workbench.epoch_times import network_key

        key = network_key(self.hyperparameters)
        count = self._counts.get(key) or self._counted_or_told(self.hyperparameters)
        self._counts[key] = count
        if isinstance(count, str):
            raise WorkbenchError(count)
        return count

    def _put(self, count: NetworkCount | str) -> None:
        self.counting = ""
        if isinstance(count, str):
            self.problem, self.figures, self.said = count, {}, ""
            return
        from workbench.epoch_times import cost_at, epoch_times, network_key, told_change

        chosen, before = self.hyperparameters, self._before
        cost = cost_at(count, chosen, pictures=len(self._data.train))
        earlier = self._counts.get(network_key(before))
        was = None if earlier is None or isinstance(earlier, str) else cost_at(earlier, before, pictures=cost.pictures)
        times = epoch_times(self._recordings, count, chosen, cost)
        self.figures = figures_of(chosen, cost, was, times)
        self.said = told_change(before, chosen, was, cost) if was is not None else ""

    # Short runs --------------------------------------------------------------------------------------------------

    @traitlets.observe("started")
    def _run(self, change: Any) -> None:
        from workbench.epoch_times import network_key

        with self._lock:
            if not change.new or (self.job is not None and not self.job.ended):
                return
            if not len(self._data.train) or not len(self._data.validation):
                self.outcome = f"{self._data.name} lacks pictures to learn from or to be judged on: nothing can be run."
                return
            if self._counter is not None and network_key(self.hyperparameters) in self._counts:
                self._counter.stop()  # the other widths can wait
            plan = self.hyperparameters
            chosen = plan.replace(epochs=min(plan.epochs, self.epochs_of_run))
            name = self._free_name(plan)
            self._records[name] = []
            row = {"name": name, "state": "running", "told": "running", "accuracy": "", "seconds": "", "curve": []}
            self.table = [*self.table, row | {"epochs": chosen.epochs}]
            self.progress, self.outcome = {"share": 0, "told": "getting ready …"}, ""
            self.job = Job(
                self._train(chosen),
                on_step=lambda record: self._learn(name, record),
                on_change=lambda job: self._end(name, job),
            ).start()

    @traitlets.observe("stopped")
    def _stop(self, change: Any) -> None:
        if change.new and self.job is not None:
            self.job.stop()

    def _train(self, chosen: HyperParameters) -> Generator[Record, None, None]:
        from workbench.models import build_model
        from workbench.training import train

        if self._small is None:
            data, most = self._data, self._most
            train_few, validation_few = _some(data.train, most["train"]), _some(data.validation, most["validation"])
            self._small = replace(data, train=train_few, validation=validation_few)
        data = self._small
        shape, classes = data.shape, len(data.labels)
        model = build_model(chosen.model, classes=classes, shape=shape, width=chosen.width, seed=chosen.seed)
        yield from train(model, data, chosen, device=self._device, record_every=5)

    def _learn(self, name: str, record: Record) -> None:
        self._records[name].append(record)
        left = record.seconds * (record.steps / record.step - 1)
        told_left = f"step {record.step:,} of {record.steps:,}, about {format_seconds(left)} left"
        self.progress = {"share": record.step / record.steps, "told": told_left}
        if record.kind == "epoch":
            self._write(name, curve=_curve(self._records[name]))

    def _end(self, name: str, job: Job) -> None:
        if not job.ended:
            return
        records = self._records[name]
        ends = [record for record in records if record.validation_accuracy is not None]
        accuracy = ends[-1].validation_accuracy if ends else None
        seconds = format_seconds(records[-1].seconds) if records else ""
        where = (
            f"measured here, now, {records[-1].device}, {records[-1].precision}" if records else "measured here, now"
        )
        ending = {"finished": f"finished ({where})", "stopped": f"stopped ({where})", "failed": f"failed: {job.error}"}
        share = "" if accuracy is None else format_share(accuracy)
        self._write(name, state=job.state, told=ending[job.state], accuracy=share, seconds=seconds)
        self.progress = {}
        if job.state == "finished" and accuracy is not None:
            self.outcome = (
                f"{name}: {share} of the validation pictures named rightly after {seconds}{self._beside(name)}"
            )
        else:
            self.outcome = f"{name}: {ending[job.state].rstrip('.')}."

    def _beside(self, name: str) -> str:
        """How a finished run compares with the best one before it."""
        reached = {
            row["name"]: row["curve"][-1][1] for row in self.table if row["state"] == "finished" and row["curve"]
        }
        mine = reached.pop(name)
        if not reached:
            return " (measured here, now)."
        best = max(reached, key=lambda other: reached[other])
        points = 100 * (mine - reached[best])
        return (
            f", {points:+.1f} points against {best} (measured here, now). One run of each does not tell that from luck."
        )

    def _write(self, name: str, **values: Any) -> None:
        with self._lock:
            self.table = [row | values if row["name"] == name else row for row in self.table]

    def _free_name(self, plan: HyperParameters) -> str:
        usual, chosen = asdict(self._usual), asdict(plan)
        changes = [told_value(field, chosen[field]) for field in chosen if chosen[field] != usual[field]]
        name = ", ".join(changes) or "as recommended"
        number = 1 + sum(row["name"] == name or row["name"].startswith(f"{name} (") for row in self.table)
        return name if number == 1 else f"{name} ({number})"

    def _told_subset(self) -> str:
        parts = []
        for split, what in ((self._data.train, "training"), (self._data.validation, "validation")):
            taken = min(len(split), self._most[split.name])
            parts.append(
                f"{taken:,} of {len(split):,} {what} pictures"
                if taken < len(split)
                else f"all {taken:,} {what} pictures"
            )
        return f"{parts[0]}, judged on {parts[1]}; the same for every run"

    # A search ----------------------------------------------------------------------------------------------------

    @traitlets.validate("trials")
    def _check_trials(self, proposal: Any) -> tuple[Trial, ...]:
        trials = tuple(proposal.value) if isinstance(proposal.value, Iterable) else (proposal.value,)
        for trial in trials:
            if not hasattr(trial, "sampled"):
                raise WorkbenchError(
                    f"trials = {shortened(repr(proposal.value))}: give a list of what wb.search_hyperparameters yields."
                )
        return trials

    @traitlets.observe("trials")
    def _show_search(self, change: Any) -> None:
        self.search = search_facts(self.trials)


def _some(split: Split, most: int) -> Split:
    """At most so many pictures, each class with its share."""
    from workbench.splits import stratified

    if len(split) <= most:
        return split
    return split.subset(stratified(split.labels.numpy(), [most], seed=0)[0].tolist())


def _curve(records: Iterable[Record]) -> list[list[float]]:
    """Epoch, validation accuracy and loss; a loss that is no number ends a run, and is no point."""
    return [
        [record.epoch, record.validation_accuracy, record.validation_loss]
        for record in records
        if record.validation_accuracy is not None
        and record.validation_loss is not None
        and math.isfinite(record.validation_loss)
    ]
