"""Many measurements side by side: who is quickest where, from which batch size on that changes, and the same in words.

The sentences are templates filled with facts, so that a page without Python can fill them too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from workbench.errors import WorkbenchError
from workbench.measurement import Measurement
from workbench.sealed import shortened
from workbench.units import format_bytes, format_energy, format_ratio, format_seconds

Metric = Literal["latency", "throughput", "energy", "memory"]

# Two medians closer than this on a machine that does other things too are a draw: they lead by turns.
DRAW = 1.05

TEMPLATES = {
    "latency": "{batch}, {best} {does} in {value} ({origin}){lead}.",
    "throughput": "{batch}, {best} {does} at {value} ({origin}){lead}.",
    "energy": "{batch}, {best} {does} with {value} a picture ({origin}){lead}.",
    "memory": "{batch}, {best} {does} in {value} of working memory ({origin}){lead}.",
    "lead": ", {ratio} {better} {second} ({second_value}, {second_origin})",
    "draw": "; {second} is level with it ({second_value}, {second_origin})",
    "crossover": "From batch {batch_size} on {after} is ahead of {before}.",
    "no crossover": "{best} is ahead at every batch size from {first} to {last}.",
    "modelled": "Modelled figures are computed from data sheets; nobody measured them.",
    "not measurable": "Not measurable here: {names}.",
}
_BETTER = {"latency": "as fast as", "throughput": "as fast as", "energy": "as frugal as", "memory": "as small as"}


@dataclass(frozen=True)
class Subject:
    """What is compared: a device with an engine, a number format and a number of threads."""

    device: str
    engine: str
    precision: str
    threads: int
    origin: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """One subject at one batch size. value: in the metric's unit (seconds, pictures/s, joules a picture, bytes), None
    where it is not measurable; text: the same with its unit; spread: how far the slowest tenth lies above."""

    name: str
    value: float | None
    text: str
    spread: str
    measurement: Measurement


@dataclass(frozen=True, kw_only=True)
class Crossover:
    """From `batch_size` on, `after` is ahead of `before`, which led at the batch size measured before it."""

    batch_size: int
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class _Metric:
    title: str
    value: Callable[[Measurement], float | None]
    text: Callable[[float], str]
    higher_wins: bool = False


METRICS: dict[str, _Metric] = {
    "latency": _Metric(title="time of a batch (median)", value=lambda m: m.latency.p50, text=format_seconds),
    "throughput": _Metric(
        title="pictures a second",
        value=lambda m: m.pictures_per_second,
        text=lambda value: f"{value:,.0f} pictures/s" if value >= 9.95 else f"{value:.2g} pictures/s",
        higher_wins=True,
    ),
    "energy": _Metric(
        title="energy of a picture",
        value=lambda m: None if m.energy_joules is None else m.energy_joules / m.batch_size,
        text=format_energy,
    ),
    "memory": _Metric(
        title="working memory of a batch",
        value=lambda m: None if m.memory_bytes is None else float(m.memory_bytes),
        text=format_bytes,
    ),
}


@dataclass(frozen=True)
class Comparison:
    """Measurements of any origin, compared. `str()` of it is the table at its smallest batch size.

    Where several measurements say the same thing (same phase, model, device, engine, precision, threads, batch size),
    the last one counts.
    """

    measurements: tuple[Measurement, ...] = field(default=())

    def __init__(self, measurements: Iterable[Measurement] = ()) -> None:
        latest = {(m.phase, m.model, _subject(m), m.batch_size): m for m in measurements}
        object.__setattr__(self, "measurements", tuple(latest.values()))

    def __add__(self, other: Comparison | Iterable[Measurement]) -> Comparison:
        more = other.measurements if isinstance(other, Comparison) else tuple(other)
        return Comparison((*self.measurements, *more))

    def select(self, **wanted: Any) -> Comparison:
        """Those whose fields are as wanted: `select(phase="inference", engine=("onnx", "eager"), batch_size=1)`.

        A tuple or list gives several choices. Raises WorkbenchError for an unknown field.
        """
        for name in wanted:
            if name not in Measurement.__dataclass_fields__:
                known = ", ".join(Measurement.__dataclass_fields__)
                raise WorkbenchError(f"A measurement has no field {name!r}: choose from {known}.")
        choices = {name: value if isinstance(value, (tuple, list)) else (value,) for name, value in wanted.items()}
        return Comparison(
            m for m in self.measurements if all(getattr(m, name) in values for name, values in choices.items())
        )

    def best_of_each(self) -> Comparison:
        """One subject for each device and origin: the quickest over the batch sizes it was measured at, on average.

        Raises WorkbenchError where phases or models are mixed.
        """
        self._one_question("latency")
        grouped: dict[tuple[str, str], dict[Subject, list[Measurement]]] = {}
        for m in self.measurements:
            grouped.setdefault((m.device, m.origin), {}).setdefault(_subject(m), []).append(m)
        chosen: list[Measurement] = []
        for subjects in grouped.values():
            shared = set.intersection(*({m.batch_size for m in found} for found in subjects.values()))
            chosen += min(subjects.values(), key=lambda found: _slowness(found, shared))
        return Comparison(chosen)

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
        found = list(dict.fromkeys(_subject(m) for m in self.measurements))
        devices = {subject.device for subject in found}
        names = {}
        for subject in found:
            others = [other for other in found if other.device == subject.device]
            told = [subject.device] if len(devices) > 1 or len(others) == 1 else []
            if len({(other.engine, other.precision) for other in others}) > 1:
                told.append(_with(subject.engine, subject.precision))
            if len({other.threads for other in others}) > 1:
                told.append(_threads(subject.threads))
            if len({other.origin for other in others}) > 1:
                told.append(subject.origin)
            names[subject] = ", ".join(told)
        return names

    def name_of(self, measurement: Measurement) -> str:
        """What the subject of one of these measurements is called here."""
        return self.subjects[_subject(measurement)]

    def rows(self, batch_size: int, metric: Metric = "latency") -> list[Row]:
        """Every subject at `batch_size`, the best first, those without a figure last.

        Raises WorkbenchError for a batch size nobody was measured at, an unknown metric, or where phases or models are
        mixed: `select` one of each first.
        """
        how = self._one_question(metric)
        here = [m for m in self.measurements if m.batch_size == batch_size]
        if not here:
            known = ", ".join(map(str, self.batch_sizes)) or "none"
            raise WorkbenchError(f"Nothing was measured at batch size {batch_size}: there is {known}.")
        rows = [_row(self.name_of(m), m, how) for m in here]
        sign = -1.0 if how.higher_wins else 1.0
        return sorted(rows, key=lambda row: (row.value is None, sign * (row.value or 0.0)))

    def crossovers(self, metric: Metric = "latency") -> list[Crossover]:
        """The batch sizes at which another subject takes the lead, by more than a draw (DRAW)."""
        found: list[Crossover] = []
        leader: str | None = None
        for size in self.batch_sizes:
            ranked = [row for row in self.rows(size, metric) if row.value is not None]
            if not ranked:
                continue
            best = ranked[0]
            was = next((row for row in ranked if row.name == leader), None)
            if was is None or _ratio(best, was) > DRAW:
                if was is not None and leader is not None:
                    found.append(Crossover(batch_size=size, before=leader, after=best.name))
                leader = best.name
        return found

    def facts(self, batch_size: int, metric: Metric = "latency") -> list[tuple[str, dict[str, str]]]:
        """What there is to say at one batch size: the name of a template and what fills it, for each sentence."""
        rows = self.rows(batch_size, metric)
        known = [row for row in rows if row.value is not None]
        said: list[tuple[str, dict[str, str]]] = []
        if known:
            said.append((metric, self._first_fact(known, batch_size, metric)))
            if len(known) > 1 and len(self.batch_sizes) > 1:
                said += self._crossover_facts(metric)
        if len(known) < len(rows):
            missing = ", ".join(row.name for row in rows if row.value is None)
            said.append(("not measurable", {"names": f"{METRICS[metric].title} of {missing}"}))
        if any(row.measurement.origin == "modelled" for row in known):
            said.append(("modelled", {}))
        return said

    def sentences(self, batch_size: int, metric: Metric = "latency") -> list[str]:
        """What the figures say at one batch size, and where the lead changes; each figure with its origin."""
        return [TEMPLATES[name].format(**facts) for name, facts in self.facts(batch_size, metric)]

    def table(self, batch_size: int, metric: Metric = "latency") -> str:
        """The rows as text in columns, the best first, each with its spread, throughput and origin."""
        head = ("", METRICS[metric].title, "90 % within", "pictures/s", "with", "origin")
        lines = [head]
        for row in self.rows(batch_size, metric):
            found = row.measurement
            speed, setting = f"{found.pictures_per_second:,.0f}", _with(found.engine, found.precision)
            if found.kind == "cpu":
                setting += f", {_threads(found.threads)}"
            lines.append((row.name, row.text, row.spread, speed, setting, told_origin(found)))
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        right = (1, 2, 3)
        return "\n".join(
            "  ".join(
                cell.rjust(width) if column in right else cell.ljust(width)
                for column, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )

    def __str__(self) -> str:
        return self.table(self.batch_sizes[0]) if self.measurements else "nothing measured"

    def _one_question(self, metric: str) -> _Metric:
        if metric not in METRICS:
            raise WorkbenchError(f"metric = {shortened(repr(metric))}: choose {', '.join(METRICS)}.")
        for what, found in (("phase", self.phases), ("model", self.models)):
            if len(found) > 1:
                raise WorkbenchError(
                    f"These measurements are of more than one {what} ({', '.join(found)}): choose one with "
                    f"select({what}={found[0]!r})."
                )
        return METRICS[metric]

    def _first_fact(self, known: list[Row], batch_size: int, metric: Metric) -> dict[str, str]:
        best, trains = known[0], self.phases[0] == "training"
        one = "takes a training step" if trains else "answers"
        facts = {
            "batch": "One picture at a time" if batch_size == 1 else f"{batch_size:,} pictures at once",
            "best": best.name,
            "does": one,
            "value": best.text,
            "origin": told_origin(best.measurement),
            "lead": "",
        }
        if len(known) > 1:
            second = known[1]
            ratio = _ratio(best, second)
            template = TEMPLATES["lead" if ratio > DRAW else "draw"]
            facts["lead"] = template.format(
                ratio=format_ratio(ratio),
                better=_BETTER[metric],
                second=second.name,
                second_value=second.text,
                second_origin=told_origin(second.measurement),
            )
        return facts

    def _crossover_facts(self, metric: Metric) -> list[tuple[str, dict[str, str]]]:
        found = self.crossovers(metric)
        if not found:
            sizes = self.batch_sizes
            best = self.rows(sizes[0], metric)[0].name
            return [("no crossover", {"best": best, "first": f"{sizes[0]:,}", "last": f"{sizes[-1]:,}"})]
        return [
            ("crossover", {"batch_size": f"{each.batch_size:,}", "after": each.after, "before": each.before})
            for each in found
        ]


def told_origin(measurement: Measurement) -> str:
    """measured, recorded or modelled, with what belongs to it: "measured here, now", "recorded 2026-11-25"."""
    source = measurement.source.partition(", torch")[0].partition(", onnxruntime")[0]
    if measurement.origin == "modelled":
        return "modelled"
    return source if source.startswith(measurement.origin) else f"{measurement.origin} {source}"


def _slowness(found: Iterable[Measurement], batch_sizes: set[int]) -> float:
    """Mean logarithm of the times at these batch sizes."""
    logs = [math.log(m.latency.p50) for m in found if m.batch_size in batch_sizes]
    return sum(logs) / len(logs) if logs else math.inf


def _with(engine: str, precision: str) -> str:
    # "onnx-int8 int8" would say it twice.
    return engine if engine.endswith(precision) else f"{engine} {precision}"


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _subject(measurement: Measurement) -> Subject:
    return Subject(
        measurement.device, measurement.engine, measurement.precision, measurement.threads, measurement.origin
    )


def _row(name: str, measurement: Measurement, how: _Metric) -> Row:
    value, latency = how.value(measurement), measurement.latency
    slower = latency.p90 / latency.p50 - 1
    return Row(
        name=name,
        value=value,
        text="–" if value is None else how.text(value),
        spread=f"+{100 * slower:.0f} %" if latency.count else "–",
        measurement=measurement,
    )


def _ratio(best: Row, other: Row) -> float:
    """How many times better the first is, at least 1."""
    assert best.value is not None
    assert other.value is not None
    low, high = sorted((best.value, other.value))
    return high / low if low > 0 else 1.0 if high == low else float("inf")
