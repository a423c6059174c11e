"""Many measurements side by side: who is quickest where, from which batch size on that changes, and the same in words.

The sentences are templates filled with facts, so that a page without Python can fill them too.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from workbench.errors import WorkbenchError
from workbench.measurement import Measurement
from workbench.metrics import METRICS, Metric, Quantity, cost_at, told_origin
from workbench.ranking import DRAW, Crossover, Row, crossovers, leads, margin, rank, ratio_of, row_of
from workbench.sealed import shortened
from workbench.units import format_rate, format_ratio

TEMPLATES = {
    "latency": "{batch}, {best} {does} in {value} ({origin}){lead}.",
    "throughput": "{batch}, {best} {does} at {value} ({origin}){lead}.",
    "energy": "{batch}, {best} {does} with {value} a picture ({origin}){lead}.",
    "memory": "{batch}, {best} {does} in {value} of working memory ({origin}){lead}.",
    "cost": "{batch}, {best} {does} at {value} for a million pictures ({origin}){lead}.",
    "nothing": "{batch}, {best} {does} with too little {what} to measure ({origin}){lead}.",
    "lead": ", {ratio} {better} {second} ({second_value}, {second_origin})",
    "draw": "; {second} is level with it ({second_value}, {second_origin})",
    "doubt": "; {second} is too close to tell by a modelled figure ({second_value}, {second_origin})",
    "beside": "; {second}: {second_value} ({second_origin})",
    "crossover": "{before} is first at batch {last}; from batch {batch_size} on, {after} is clearly ahead of it.",
    "passing crossover": "{before} is first at batch {last}; at batch {batch_size}, {after} is clearly ahead of it.",
    "succession": "{before} is first at batch {last}; of those with a figure at batch {batch_size}, {after} is.",
    "no crossover": "{best} is clearly ahead at every batch size compared, from {first} to {last}.",
    "level": "Nobody is clearly ahead of {best} at any batch size compared, from {first} to {last}.",
    "modelled": "Modelled figures are computed from data sheets; nobody measured them.",
    "no figure": "No figure, for want of a meter or a model: {names}.",
    "no price": "No price an hour is given for {names}.",
    "within": "Within the budget of {budget}: {names}.",
    "breaks": "Over the budget of {budget}: {names}.",
    "below": "Short of the budget of {budget}: {names}.",
    "no size": "{batch}: nobody here has a figure.",
    "nobody": "Nobody keeps within the budget of {budget}.",
}
BETTER = {
    "latency": "as fast as",
    "throughput": "as fast as",
    "energy": "as frugal as",
    "memory": "as small as",
    "cost": "as cheap as",
}


@dataclass(frozen=True)
class Subject:
    """What is compared: a device with an engine, a number format and a number of threads, or a device alone."""

    device: str
    engine: str
    precision: str
    threads: int
    origin: str


@dataclass(frozen=True)
class Comparison:
    """Measurements of any origin, compared. `str()` of it is the table at its smallest batch size.

    Where several measurements say the same thing (same phase, model, device, engine, precision, threads, batch size),
    the last one counts. by_device: devices are compared, each with one measurement a batch size, whatever its engine.
    prices: US dollars an hour by device, for the metric "cost".
    """

    measurements: tuple[Measurement, ...] = field(default=())
    by_device: bool = False
    prices: Mapping[str, float] = field(default_factory=dict)

    def __init__(
        self,
        measurements: Iterable[Measurement] = (),
        *,
        by_device: bool = False,
        prices: Mapping[str, float] | None = None,
    ) -> None:
        object.__setattr__(self, "by_device", by_device)
        object.__setattr__(self, "prices", dict(prices or {}))
        latest = {(m.phase, m.model, self._subject(m), m.batch_size): m for m in measurements}
        object.__setattr__(self, "measurements", tuple(latest.values()))

    def __add__(self, other: Comparison | Iterable[Measurement]) -> Comparison:
        more = other if isinstance(other, Comparison) else Comparison(other)
        by_device, prices = self.by_device and more.by_device, {**self.prices, **more.prices}
        return Comparison((*self.measurements, *more.measurements), by_device=by_device, prices=prices)

    def select(self, **wanted: Any) -> Comparison:
        """Those whose fields are as wanted: `select(phase="inference", engine=("onnx", "eager"), batch_size=1)`.

        A tuple or list gives several choices. Raises WorkbenchError for an unknown field.
        """
        for name in wanted:
            if name not in Measurement.__dataclass_fields__:
                known = ", ".join(Measurement.__dataclass_fields__)
                raise WorkbenchError(f"A measurement has no field {name!r}: choose from {known}.")
        several = (tuple, list, set, frozenset, range)
        choices = {name: value if isinstance(value, several) else (value,) for name, value in wanted.items()}
        return self._of(
            m for m in self.measurements if all(getattr(m, name) in values for name, values in choices.items())
        )

    def best_of_each(self, metric: Metric = "latency") -> Comparison:
        """Devices beside each other: of each device and origin, at each batch size, the best that it does by `metric`.

        Where there is no such figure, the quickest stands for it. Raises WorkbenchError where phases or models are
        mixed.
        """
        how = self._one_question(metric)
        chosen: dict[tuple[str, str, int], Measurement] = {}
        for m in self.measurements:
            key = (m.device, m.origin, m.batch_size)
            if key not in chosen or rank(m, how) < rank(chosen[key], how):
                chosen[key] = m
        return Comparison(chosen.values(), by_device=True, prices=self.prices)

    def best(self, count: int, metric: Metric = "latency") -> Comparison:
        """The `count` subjects that come nearest to the first at any batch size: a chart cannot tell more apart."""
        places: dict[str, int] = {}
        for size in self.batch_sizes:
            for place, row in enumerate(self.rows(size, metric)):
                places[row.name] = min(place, places.get(row.name, place))
        kept = set(sorted(places, key=lambda name: places[name])[:count])
        return self._of(m for m in self.measurements if self.name_of(m) in kept)

    def _of(self, measurements: Iterable[Measurement]) -> Comparison:
        return Comparison(measurements, by_device=self.by_device, prices=self.prices)

    def _subject(self, m: Measurement) -> Subject:
        if self.by_device:
            return Subject(m.device, "", "", 0, m.origin)
        return Subject(m.device, m.engine, m.precision, m.threads, m.origin)

    @property
    def phases(self) -> tuple[str, ...]:
        """The phases that were measured, in the order of the measurements."""
        return tuple(dict.fromkeys(m.phase for m in self.measurements))

    @property
    def models(self) -> tuple[str, ...]:
        """The networks, likewise."""
        return tuple(dict.fromkeys(m.model for m in self.measurements))

    @property
    def batch_sizes(self) -> tuple[int, ...]:
        """All batch sizes, rising."""
        return tuple(sorted({m.batch_size for m in self.measurements}))

    @cached_property
    def subjects(self) -> dict[Subject, str]:
        """What is compared, and what each is called: only what tells them apart."""
        found = list(dict.fromkeys(self._subject(m) for m in self.measurements))
        devices = {subject.device for subject in found}
        names: dict[Subject, str] = {}
        for subject in found:
            others = [other for other in found if other.device == subject.device]
            told = []
            if len({(other.engine, other.precision) for other in others}) > 1:
                told.append(_with(subject.engine, subject.precision))
            if len({other.threads for other in others}) > 1:
                told.append(_threads(subject.threads))
            if len(devices) > 1 or not told:
                told.insert(0, subject.device)
            if len({other.origin for other in others}) > 1:
                told.append(subject.origin)
            names[subject] = ", ".join(told)
        # A device may be called what another is with its engine.
        used = Counter(names.values())
        return {subject: name if used[name] == 1 else _full_name(subject) for subject, name in names.items()}

    def name_of(self, measurement: Measurement) -> str:
        """What the subject of one of these measurements is called here."""
        return self.subjects[self._subject(measurement)]

    def rows(self, batch_size: int, metric: Metric = "latency") -> list[Row]:
        """Every subject at `batch_size`, the best first, those without a figure last.

        Raises WorkbenchError for a batch size nobody was measured at, an unknown metric, or where phases or models are
        mixed: `select` one of each first.
        """
        how = self._one_question(metric)
        here = [m for m in self.measurements if m.batch_size == batch_size]
        if not here:
            known = ", ".join(map(str, self.batch_sizes)) or "none"
            raise WorkbenchError(
                f"There is no figure at batch size {shortened(repr(batch_size))}; there is at {known}."
            )
        ranked = sorted(here, key=lambda m: rank(m, how))
        return [row_of(self.name_of(m), m, how) for m in ranked]

    def crossovers(self, metric: Metric = "latency") -> list[Crossover]:
        """The batch sizes at which another subject overtakes the first, by more than DRAW, or DOUBT for modelled ones.

        Sizes at which fewer than two have a figure are passed over.
        """
        return crossovers(self._contests(metric))

    def _contests(self, metric: Metric) -> list[tuple[int, list[Row]]]:
        """The batch sizes at which two or more have a figure, with these, the best first; none where figures rest on
        an assumption."""
        how = self._one_question(metric)
        if any(how.assumes(m) and how.value(m) is not None for m in self.measurements):
            return []
        ranked = {size: [row for row in self.rows(size, metric) if row.value is not None] for size in self.batch_sizes}
        return [(size, rows) for size, rows in ranked.items() if len(rows) > 1]

    def facts(self, batch_size: int, metric: Metric = "latency") -> list[tuple[str, dict[str, str]]]:
        """What there is to say at one batch size: the name of a template and what fills it, for each sentence."""
        rows, how = self.rows(batch_size, metric), self._one_question(metric)
        known = [row for row in rows if row.value is not None]
        said: list[tuple[str, dict[str, str]]] = []
        if known:
            name = "nothing" if known[0].value == 0 else metric
            said.append((name, self._first_fact(known, batch_size, metric)))
            if len(known) > 1:
                said += self.lead_facts(metric)
        if len(known) < len(rows):
            missing = ", ".join(row.name for row in rows if row.value is None)
            priced = metric == "cost"
            said.append(
                ("no price" if priced else "no figure", {"names": missing if priced else f"{how.title} of {missing}"})
            )
        if any(row.measurement.origin == "modelled" for row in known):
            said.append(("modelled", {}))
        return said

    def _told(self, measurement: Measurement) -> str:
        """Its origin, after the engine where the name does not say it."""
        origin = told_origin(measurement)
        return f"{setting_of(measurement)}, {origin}" if self.by_device else origin

    def lead_facts(self, metric: Metric = "latency") -> list[tuple[str, dict[str, str]]]:
        """Who leads over the batch sizes, as in `facts`; nothing where fewer than two sizes can be compared."""
        contests = self._contests(metric)
        if len(contests) < 2:
            return []
        found = self.crossovers(metric)
        if found:
            return [(_kind(each), {name: _text(value) for name, value in vars(each).items()}) for each in found]
        best = contests[0][1][0].name
        alone = all(best == rows[0].name and all(leads(rows[0], row) for row in rows[1:]) for _, rows in contests)
        facts = {"best": best, "first": _text(contests[0][0]), "last": _text(contests[-1][0])}
        return [("no crossover" if alone else "level", facts)]

    def budget_facts(self, batch_size: int, metric: Metric, limit: float) -> list[tuple[str, dict[str, str]]]:
        """Who keeps within `limit`, in the metric's unit, at one batch size, and who breaks it, as in `facts`: at most
        so much, or of a throughput at least."""
        rows, how = self.rows(batch_size, metric), self._one_question(metric)
        budget = how.text(limit)
        kept: list[Row] = []
        broken: list[Row] = []
        for row in rows:
            if row.value is not None:
                within = row.value >= limit if how.higher_wins else row.value <= limit
                (kept if within else broken).append(row)
        said = [("within", {"budget": budget, "names": ", ".join(row.name for row in kept)})] if kept else []
        if broken:
            said += [] if kept else [("nobody", {"budget": budget})]
            names = ", ".join(f"{row.name} ({row.text})" for row in broken)
            said.append(("below" if how.higher_wins else "breaks", {"budget": budget, "names": names}))
        return said

    def sentences(self, batch_size: int, metric: Metric = "latency") -> list[str]:
        """What the figures say at one batch size, and where the lead changes; each figure with its origin."""
        return [TEMPLATES[name].format(**facts) for name, facts in self.facts(batch_size, metric)]

    def table(self, batch_size: int, metric: Metric = "latency") -> str:
        """The rows as text in columns, the best first, each with its spread, throughput and origin."""
        rows = self.rows(batch_size, metric)
        settings = [setting_of(row.measurement) for row in rows]
        # Where the names say it already, it is not said again.
        named = all(setting in row.name for setting, row in zip(settings, rows, strict=True))
        twice = metric == "throughput"
        speeds = "" if twice else "pictures/s"
        lines = [("", self._one_question(metric).title, "time, 90 % within", speeds, "" if named else "with", "origin")]
        for row, setting in zip(rows, settings, strict=True):
            speed = "" if twice else format_rate(row.measurement.pictures_per_second)
            told = "" if named else setting
            lines.append((row.name, row.text, row.spread, speed, told, told_origin(row.measurement)))
        widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
        right = (1, 2, 3)
        return "\n".join(
            "  ".join(
                cell.rjust(width) if column in right else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
                if width
            ).rstrip()
            for line in lines
        )

    def __str__(self) -> str:
        return self.table(self.batch_sizes[0]) if self.measurements else "nothing measured"

    def _one_question(self, metric: str) -> Quantity:
        if not isinstance(metric, str) or metric not in (*METRICS, "cost"):
            raise WorkbenchError(f"metric = {shortened(repr(metric))}: choose {', '.join((*METRICS, 'cost'))}.")
        for what, found in (("phase", self.phases), ("model", self.models)):
            if len(found) > 1:
                raise WorkbenchError(
                    f"These measurements are of more than one {what} ({', '.join(found)}): choose one with "
                    f"select({what}={found[0]!r})."
                )
        return cost_at(self.prices) if metric == "cost" else METRICS[metric]

    def _first_fact(self, known: list[Row], batch_size: int, metric: Metric) -> dict[str, str]:
        best, trains = known[0], self.phases[0] == "training"
        one = "takes a training step" if trains else "answers"
        facts = {
            "batch": batch_words(batch_size),
            "best": best.name,
            "does": one,
            "what": metric,
            "value": best.text,
            "origin": self._told(best.measurement),
            "lead": "",
        }
        if len(known) > 1:
            second = known[1]
            ratio = ratio_of(best, second)
            how = self._one_question(metric)
            assumed = any(how.assumes(row.measurement) for row in (best, second))
            if assumed or math.isinf(ratio):
                kind = "beside"
            elif leads(best, second):
                kind = "lead"
            else:
                kind = "draw" if margin(best, second) == DRAW else "doubt"
            facts["lead"] = TEMPLATES[kind].format(
                ratio=format_ratio(ratio),
                better=BETTER[metric],
                second=second.name,
                second_value=second.text,
                second_origin=self._told(second.measurement),
            )
        return facts


def _kind(crossover: Crossover) -> str:
    """The template that tells it."""
    return "succession" if not crossover.met else "crossover" if crossover.lasting else "passing crossover"


def _text(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _with(engine: str, precision: str) -> str:
    # "onnx-int8 int8" would say it twice.
    return engine if engine.endswith(precision) else f"{engine} {precision}"


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def batch_words(batch_size: int) -> str:
    """One picture at a time, or so many pictures at once."""
    return "One picture at a time" if batch_size == 1 else f"{batch_size:,} pictures at once"


def setting_of(measurement: Measurement) -> str:
    """The engine, the number format where the engine does not say it, and on a CPU the threads."""
    told = _with(measurement.engine, measurement.precision)
    return f"{told}, {_threads(measurement.threads)}" if measurement.kind == "cpu" else told


def _full_name(subject: Subject) -> str:
    engine = _with(subject.engine, subject.precision)
    return f"{subject.device}, {engine}, {_threads(subject.threads)}, {subject.origin}"
