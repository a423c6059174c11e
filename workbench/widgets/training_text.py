"""Training runs in words: the state of each, its figures, and what the controls do to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.training.records import Record
from workbench.units import format_bytes, format_rate, format_seconds, format_share
from workbench.widgets.training_curve import TrainingCurve
from workbench.widgets.worker import Job, State

TABLE_HEAD = ("run", "epoch", "training loss", "training accuracy", "validation accuracy")
_STATES: dict[State, str] = {"stopped": "stopped by you"}
_WITHOUT_RECORD: dict[State, str] = {
    "waiting": "waits for its turn",
    "running": "is getting ready",
    "paused": "is paused before its first step",
    "finished": "ended without a record",
}


def facts(runs: Mapping[str, TrainingCurve], jobs: Mapping[str, Job], run: TrainingCurve) -> dict[str, Any]:
    """Return everything the browser shows, as plain values; the figures are those of `run`, the current one."""
    ended = jobs[run.name].ended
    states = {name: _STATES.get(job.state, job.state) for name, job in jobs.items()}
    return {
        "runs": [each.to_mapping() | {"state": states[name]} for name, each in runs.items()],
        "ended": ended,
        "figures": figures(run.records, run.peak, ended),
        "share": run.records[-1].step / run.records[-1].steps if run.records else 0.0,
        "origin": origin(run, here=True),
        "recorded_origin": origin(run, here=False),
        "start": run.start,
        "position": position(run.records),
        "advice": advice(run),
    }


def table_row(run: TrainingCurve) -> tuple[str, ...]:
    """Return the last record of a run that has one, as a row under TABLE_HEAD."""
    last = run.records[-1]
    validation = "–" if run.validation is None else format_share(run.validation)
    return run.name, f"{last.epoch:,}", f"{last.loss:.3g}", format_share(last.accuracy), validation


def figures(records: list[Record], peak: float, ended: bool) -> list[list[str]]:
    """Return the current figures as rows of a name, a value and a remark."""
    if not records:
        return []
    last = records[-1]
    validated = next((record for record in reversed(records) if record.validation_accuracy is not None), None)
    since = f"mean of epoch {last.epoch}" if last.kind == "epoch" else "since the last record"
    rows = [["Training accuracy", format_share(last.accuracy), f"loss {last.loss:.3g}, {since}"]]
    if validated is None or validated.validation_accuracy is None or validated.validation_loss is None:
        rows.append(["Validation accuracy", "–", "follows after an epoch"])
    else:
        remark = f"loss {validated.validation_loss:.3g}, after epoch {validated.epoch}"
        rows.append(["Validation accuracy", format_share(validated.validation_accuracy), remark])
    rows.append(["Learning rate", f"{last.learning_rate:.3g}", f"peak {peak:.3g}" if peak else "of the last step"])
    rows.append(["Images per second", format_rate(last.images_per_second), "in training"])
    kind = "of this process" if last.device == "cpu" else "peak on the GPU"
    rows.append(["Memory", format_bytes(last.memory_bytes), kind])
    if ended:
        rows.append(["Time", format_seconds(last.seconds), "training and validation"])
    else:
        rows.append(["Time left", format_seconds(_left(last)), "at the pace so far"])
    return rows


def origin(run: TrainingCurve, *, here: bool) -> str:
    """Return where the figures were measured: "here, now", or with the date for a page that is read elsewhere."""
    if not run.records:
        return ""
    when = "here, now," if here else f"{run.date},"
    return f"Measured {when} on {run.device}, in {run.records[-1].precision}."


def position(records: list[Record]) -> str:
    """Return the current step and epoch of a run."""
    if not records:
        return ""
    last = records[-1]
    return f"step {last.step:,} of {last.steps:,}, epoch {last.epoch:,} of {last.epochs:,}"


def advice(run: TrainingCurve) -> str:
    """Describe what the controls do to this run."""
    if not run.records:
        return ""
    stop = "Stop keeps the network as it then is"
    stop += ", and a resume point to continue from." if run.resume_point is not None else "; there is no resume point."
    return stop if run.start else f"{stop} The learning rate of this run cannot be changed from here."


def sentence(run: TrainingCurve, state: State, error: str) -> str:
    """Describe the state of a run."""
    last = run.records[-1] if run.records else None
    step = f"step {last.step:,} of {last.steps:,}" if last else "its first record"
    where = f"{'at' if last else 'before'} {step}"
    if state == "failed":
        return f"{run.name} failed {where}: {error}"
    if state == "stopped":
        kept = " A resume point is kept." if last and run.resume_point is not None else ""
        return f"{run.name} was stopped by you {where}.{kept}"
    if last is None:
        return f"{run.name} {_WITHOUT_RECORD[state]}."
    share, kind = (last.accuracy, "training") if run.validation is None else (run.validation, "validation")
    right = f"{format_share(share)} of the {kind} images right"
    if state == "finished":
        return f"{run.name} is finished: {right} after {_counted(last.epochs)}, in {format_seconds(last.seconds)}."
    if state == "paused":
        return f"{run.name} is paused at {step}: {right}."
    return f"{run.name}: epoch {last.epoch} of {last.epochs}, {right}; {format_seconds(_left(last))} left."


def _counted(epochs: int) -> str:
    return f"{epochs:,} epoch{'s' if epochs != 1 else ''}"


def _left(record: Record) -> float:
    return record.seconds / record.step * (record.steps - record.step)
