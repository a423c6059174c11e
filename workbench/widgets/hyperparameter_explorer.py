"""Hyper-parameters to be moved: what they cost at once, what they do in a short run, and what a search found."""

from __future__ import annotations

import math
import threading
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import traitlets

from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters, recommended
from workbench.sealed import shortened
from workbench.units import format_bytes, format_number, format_ratio, format_seconds, format_share
from workbench.widgets.view import View
from workbench.widgets.worker import Job

if TYPE_CHECKING:
    from workbench.cost import Cost
    from workbench.data import Data, Split
    from workbench.epoch_times import NetworkCount
    from workbench.search import Trial
    from workbench.training import Record

MAIN = ("model", "width", "batch_size", "learning_rate")
_DECADE = (1, 1.5, 2, 3, 4, 5, 7)
_WIDTHS = (0.125, 0.25, 0.375, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
_STOPS: dict[str, list[float]] = {
    "width": list(_WIDTHS),
    "batch_size": [2**power for power in range(17)],
    "learning_rate": [float(f"{step}e{power}") for power in range(-7, 2) for step in _DECADE] + [100.0],
    "weight_decay": [0.0, *(float(f"{step}e{power}") for power in range(-6, 0) for step in _DECADE), 1.0],
    "momentum": [*(round(0.05 * step, 2) for step in range(20)), 0.99],
    "label_smoothing": [round(0.05 * step, 2) for step in range(19)],
    "warmup": [round(0.05 * step, 2) for step in range(19)],
    "epochs": list(range(1, 101)),
    "shift": list(range(33)),
    "seed": list(range(100)),
}


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
            fields=_fields(chosen),
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
        names = ", ".join(f"{_short(name)} {format_number(self.values[name])}" for name in MAIN)
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

        widths = sorted(_WIDTHS, key=lambda width: abs(math.log(width / chosen.width)))
        for width in [chosen.width, *(widths if nearby and chosen.model in ZOO else [])]:
            each = chosen.replace(width=width)
            key = network_key(each)
            if key not in self._counts:
                self._counts[key] = self._counted_or_told(each)
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
        self.figures = _figures(chosen, cost, was, times)
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
        changes = [_told_value(field, chosen[field]) for field in chosen if chosen[field] != usual[field]]
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


def _fields(chosen: HyperParameters) -> list[dict[str, Any]]:
    """What the browser needs to draw a control for each field."""
    from workbench.models import ZOO

    found = []
    for name, known in HyperParameters.describe().items():
        field: dict[str, Any] = {"name": name, "label": name.replace("_", " "), "help": known["help"]}
        if isinstance(known["default"], bool):
            field["kind"] = "switch"
        elif name in _STOPS:
            field |= {"kind": "stops", "stops": _STOPS[name]}
        else:
            offered = list(known.get("choices", ZOO))
            own = getattr(chosen, name)
            field |= {"kind": "choice", "choices": offered if own in offered else [*offered, own]}
        found.append(field | {"main": name in MAIN})
    return sorted(found, key=lambda field: MAIN.index(field["name"]) if field["main"] else len(MAIN))


def _figures(chosen: HyperParameters, cost: Cost, was: Cost | None, times: Sequence[Any]) -> dict[str, Any]:
    """What the browser draws, with every figure in words beside it."""
    bars = [
        {"name": name, "bytes": total, "text": format_bytes(total), "parts": [
            {"name": part, "bytes": size, "text": format_bytes(size)} for part, size in parts.items()
        ]}
        for name, total, parts in (
            ("Training", cost.training_bytes, {
                "weights": cost.weight_bytes, "gradients": cost.gradient_bytes,
                "optimizer state": cost.optimizer_bytes, "activations": cost.activation_bytes,
            }),
            ("Inference", cost.inference_bytes, {"weights": cost.weight_bytes, "working memory": cost.working_bytes}),
        )
    ]  # fmt: skip
    ratio = format_ratio(cost.training_bytes / cost.inference_bytes)
    able = [each for each in times if each.seconds is not None]
    summary = (
        f"{cost.parameters:,} parameters; {_flops(cost.training_flops)} a picture in training and "
        f"{_flops(cost.inference_flops)} in inference; {format_bytes(cost.training_bytes)} to train and "
        f"{format_bytes(cost.inference_bytes)} to infer (modelled)."
    )
    if able:
        quick, slow = able[0], able[-1]
        summary += f" An epoch takes {format_seconds(quick.seconds)} on {quick.device} ({quick.origin})"
        summary += (
            f" and {format_seconds(slow.seconds)} on {slow.device} ({slow.origin})." if slow is not quick else "."
        )
    auto = " Precision auto is counted as fp32." if chosen.precision == "auto" else ""
    return {
        "of": asdict(chosen),
        "summary": summary,
        "numbers": [
            ["parameters", f"{cost.parameters:,}"],
            ["inference, a picture", _flops(cost.inference_flops)],
            ["training, a picture", _flops(cost.training_flops)],
        ],
        "bars": bars,
        "before": None if was is None or was == cost else [was.training_bytes, was.inference_bytes],
        "beside": f"Training holds {ratio} the bytes of inference: a batch of {cost.batch_size:,} against one picture.",
        "basis": f"An epoch: {cost.steps_per_epoch:,} steps of up to {cost.batch_size:,} pictures, "
        f"{cost.pictures:,} in all, without validation.{auto}",
        "devices": [
            {
                "device": each.device, "seconds": each.seconds, "origin": each.origin,
                "text": "–" if each.seconds is None else format_seconds(each.seconds),
                "told": each.reason or each.source,
            }
            for each in times
        ],
    }  # fmt: skip


def search_facts(trials: Sequence[Trial]) -> dict[str, Any]:
    """Axes, lines, table and sentence of parallel coordinates; heights are from 0 to 1. Empty without trials."""
    if not trials:
        return {}
    names = list(dict.fromkeys(name for trial in trials for name in trial.sampled))
    complete = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    best = max(complete, key=lambda trial: trial.value or 0.0, default=None)
    axes = [_axis(_short(name), [trial.sampled.get(name) for trial in trials]) for name in names]
    reached = sorted(trial.value for trial in trials if trial.value is not None)
    axes.append(_axis("validation accuracy", [trial.value for trial in trials], share=True))
    middle = reached[len(reached) // 2] if reached else 0.0
    lines = []
    for place, trial in enumerate(trials):
        state = {"complete": "complete", "pruned": "stopped early", "failed": "failed"}[trial.state]
        sampled = [_brief(trial.sampled.get(name)) for name in names]
        accuracy = "–" if trial.value is None else format_share(trial.value)
        lines.append(
            {
                "number": trial.number, "value": trial.value, "state": trial.state, "best": trial is best,
                "strong": trial.value is not None and trial.value >= middle,
                "heights": [axis["heights"][place] for axis in axes],
                "cells": [str(trial.number), *sampled, accuracy, f"{state}: {trial.reason}" if trial.reason else state],
                "values": asdict(trial.hyperparameters),
            }
        )  # fmt: skip
    counts = [f"{sum(trial.state == state for trial in trials)} {word}" for state, word in
              (("complete", "complete"), ("pruned", "stopped early"), ("failed", "failed"))]  # fmt: skip
    said = f"None of {len(trials)} trials is complete ({', '.join(counts)})."
    if best is not None and best.value is not None:
        values = ", ".join(f"{_short(name)} {_brief(value)}" for name, value in best.sampled.items())
        said = f"Trial {best.number} is the best of {len(trials)}: {format_share(best.value)} with {values} "
        said += f"({', '.join(counts)}; measured in the search)."
    cuts = sorted({round(reached[len(reached) * part // 4], 3) for part in (1, 2, 3)}) if len(reached) > 3 else []
    offers = [[0, f"all {len(trials)} trials"]]
    offers += [[cut, f"{format_share(cut)} ({sum(value >= cut for value in reached)} trials)"] for cut in cuts]
    return {
        "axes": [{"label": axis["label"], "ticks": axis["ticks"]} for axis in axes],
        "lines": lines, "said": said, "cuts": offers,
        "head": ["trial", *map(_short, names), "validation accuracy", "how it ended"],
        "label": "" if best is None or best.value is None else f"best: trial {best.number}, {format_share(best.value)}",
    }  # fmt: skip


def _axis(label: str, column: Sequence[Any], share: bool = False) -> dict[str, Any]:
    """Heights of a column's values: numbers by size, logarithmic over a decade or more; others by name."""
    known = [value for value in column if value is not None]
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)
    texts = {value: format_share(value) if share else _brief(value) for value in known}
    places: Mapping[Any, float] = {value: float(at) for at, value in enumerate(sorted(set(known), key=str))}
    if numbers and known:
        ratio = min(known) > 0 and max(known) >= 10 * min(known)
        places = {value: math.log(value) if ratio else float(value) for value in known}
    low, high = min(places.values(), default=0.0), max(places.values(), default=0.0)
    heights = {value: (at - low) / (high - low) if high > low else 0.5 for value, at in places.items()}
    shown = sorted(heights, key=lambda value: heights[value])
    if len(shown) > 4:  # a few choices all get their name, a range its two ends
        shown = [shown[0], shown[-1]]
    return {
        "label": label,
        "heights": [heights.get(value) for value in column],
        "ticks": [[heights[value], texts[value]] for value in shown],
    }


def _some(split: Split, most: int) -> Split:
    """At most so many pictures, each class with its share."""
    from workbench.splits import stratified

    if len(split) <= most:
        return split
    return split.subset(stratified(split.labels.numpy(), [most], seed=0)[0].tolist())


def _curve(records: Iterable[Record]) -> list[list[float | None]]:
    return [
        [record.epoch, record.validation_accuracy, record.validation_loss]
        for record in records
        if record.kind == "epoch"
    ]


def _short(name: str) -> str:
    return "lr" if name == "learning_rate" else name.replace("_", " ")


def _brief(value: Any) -> str:
    """A value that nobody chose by hand needs no fourth digit."""
    return f"{value:.3g}" if isinstance(value, float) else format_number(value)


def _told_value(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return _short(name) if value else f"no {_short(name)}"
    return value if name in ("model", "optimizer") else f"{_short(name)} {format_number(value)}"


def _flops(count: float) -> str:
    for factor, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if count >= 0.9995 * factor:
            return f"{count / factor:#.3g} {word} FLOPs".replace(". ", " ")
    return f"{count:,.0f} FLOPs"
