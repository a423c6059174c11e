"""What is compared, and the shortest names that tell the subjects of a comparison apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from workbench.measuring.measurement import Measurement


@dataclass(frozen=True)
class Subject:
    """A device with an engine, a precision and a number of threads; or a device alone, the other fields empty."""

    device: str
    engine: str
    precision: str
    threads: int
    origin: str


def subject_of(measurement: Measurement, *, by_device: bool) -> Subject:
    """Return what was measured; with `by_device`, the device alone."""
    m = measurement
    return Subject(m.device, "", "", 0, m.origin) if by_device else Subject(
        m.device, m.engine, m.precision, m.threads, m.origin
    )  # fmt: skip


def name_subjects(subjects: Iterable[Subject]) -> dict[Subject, str]:
    """Return a name for each subject, all different, that contains only what tells it from the others."""
    distinct = list(dict.fromkeys(subjects))
    devices = {subject.device for subject in distinct}
    names: dict[Subject, str] = {}
    for subject in distinct:
        same_device = [other for other in distinct if other.device == subject.device]
        parts = []
        if len({(other.engine, other.precision) for other in same_device}) > 1:
            parts.append(_engine(subject.engine, subject.precision))
        if len({other.threads for other in same_device}) > 1:
            parts.append(_threads(subject.threads))
        if len(devices) > 1 or not parts:
            parts.insert(0, subject.device)
        if len({other.origin for other in same_device}) > 1:
            parts.append(subject.origin)
        names[subject] = ", ".join(parts)
    # One device may bear the name that another has together with its engine.
    used = Counter(names.values())
    return {subject: name if used[name] == 1 else _full_name(subject) for subject, name in names.items()}


def describe_setting(measurement: Measurement) -> str:
    """Return the engine, the precision unless the engine's name contains it, and on a CPU the threads."""
    engine = _engine(measurement.engine, measurement.precision)
    return f"{engine}, {_threads(measurement.threads)}" if measurement.kind == "cpu" else engine


def _engine(engine: str, precision: str) -> str:
    # "onnx-int8 int8" would repeat itself.
    return engine if engine.endswith(precision) else f"{engine} {precision}"


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _full_name(subject: Subject) -> str:
    engine = _engine(subject.engine, subject.precision)
    return f"{subject.device}, {engine}, {_threads(subject.threads)}, {subject.origin}"
