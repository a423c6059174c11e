"""How training runs are told to people: where each stands, its numbers, and what the controls do to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.training import Record
from workbench.units import format_bytes, format_rate, format_seconds, format_share
from workbench.widgets.training_curve import TrainingCurve
from workbench.widgets.worker import Job, State

TABLE_HEAD = ("run", "epoch", "training loss", "training accuracy", "validation accuracy")
_STATES: dict[State, str] = {"stopped": "stopped by you"}


def facts(runs: Mapping[str, TrainingCurve], jobs: Mapping[str, Job], run: TrainingCurve) -> dict[str, Any]:
    """All that the browser shows, as plain values; the numbers are those of `run`, the one at hand."""
    ended = jobs[run.name].ended
    states = {name: _STATES.get(job.state, job.state) for name, job in jobs.items()}
    return {
        "runs": [each.to_mapping() | {"state": states[name]} for name, each in runs.items()],
        "at_hand": run.name,
        "ended": ended,
        "figures": figures(run.records, run.peak, ended),
        "share": run.records[-1].step / run.records[-1].steps if run.records else 0.0,
        "origin": origin(run, here=True),
        "recorded": origin(run, here=False),
        "start": run.start,
        "place": place(run.records),
        "advice": advice(run),
    }


def table_row(run: TrainingCurve) -> tuple[str, ...]:
    """The last record of a run that has one, under TABLE_HEAD."""
    last = run.records[-1]
    validation = "–" if run.validation is None else format_share(run.validation)
    return run.name, f"{last.epoch:,}", f"{last.loss:.3g}", format_share(last.accuracy), validation


def figures(records: list[Record], peak: float, ended: bool) -> list[list[str]]:
    """The current numbers as people read them: what, how much, and what to know about it."""
    if not records:
        return []
    last = records[-1]
    found = next((record for record in reversed(records) if record.validation_accuracy is not None), None)
    since = f"mean of epoch {last.epoch}" if last.kind == "epoch" else "since the last record"
    rows = [["Training accuracy", format_share(last.accuracy), f"loss {last.loss:.3g}, {since}"]]
    if found is None or found.validation_accuracy is None or found.validation_loss is None:
        rows.append(["Validation accuracy", "–", "comes after an epoch"])
    else:
        note = f"loss {found.validation_loss:.3g}, after epoch {found.epoch}"
        rows.append(["Validation accuracy", format_share(found.validation_accuracy), note])
    rows.append(["Learning rate", f"{last.learning_rate:.3g}", f"peak {peak:.3g}" if peak else "of the last step"])
    rows.append(["Pictures per second", format_rate(last.pictures_per_second), "in training"])
    kind = "of this process" if last.device == "cpu" else "peak on the GPU"
    rows.append(["Memory", format_bytes(last.memory_bytes), kind])
    if ended:
        rows.append(["Time", format_seconds(last.seconds), "training and validation"])
    else:
        rows.append(["Time left", format_seconds(_left(last)), "at the pace so far"])
    return rows


def origin(run: TrainingCurve, *, here: bool) -> str:
    """Where the figures were measured: told on this machine, or on a page that may be read anywhere."""
    if not run.records:
        return ""
    when = "here, now," if here else f"{run.date},"
    return f"Measured {when} on {run.device}, in {run.records[-1].precision}."


def place(records: list[Record]) -> str:
    """How far a run has come."""
    if not records:
        return ""
    last = records[-1]
    return f"step {last.step:,} of {last.steps:,}, epoch {last.epoch:,} of {last.epochs:,}"


def advice(run: TrainingCurve) -> str:
    """What the controls do to this run."""
    if not run.records:
        return ""
    stop = "Stop keeps the network as it is by then"
    stop += ", and a resume point to go on from." if run.resume_point is not None else "; there is no resume point."
    return stop if run.start else f"{stop} The learning rate of this run cannot be changed from here."


def sentence(run: TrainingCurve, state: State, error: str) -> str:
    """How it stands with a run."""
    last = run.records[-1] if run.records else None
    place = f"step {last.step:,} of {last.steps:,}" if last else "its first record"
    at = f"at {place}" if last else f"before {place}"
    if state == "failed":
        return f"{run.name} failed {at}: {error}"
    if state == "stopped":
        kept = " A resume point is kept." if last and run.resume_point is not None else ""
        return f"{run.name} was stopped by you {at}.{kept}"
    if last is None:
        waits = {"paused": "is paused before its first step", "finished": "ended without a record"}
        return f"{run.name} {waits.get(state, 'is getting ready' if state == 'running' else 'waits for its turn')}."
    share, kind = (last.accuracy, "training") if run.validation is None else (run.validation, "validation")
    right = f"{format_share(share)} of the {kind} pictures right"
    if state == "finished":
        return f"{run.name} is finished: {right} after {_counted(last.epochs)}, in {format_seconds(last.seconds)}."
    if state == "paused":
        return f"{run.name} is paused at {place}: {right}."
    return f"{run.name}: epoch {last.epoch} of {last.epochs}, {right}; {format_seconds(_left(last))} left."


def _counted(epochs: int) -> str:
    return f"{epochs:,} epoch{'s' if epochs != 1 else ''}"


def _left(record: Record) -> float:
    return record.seconds / record.step * (record.steps - record.step)
