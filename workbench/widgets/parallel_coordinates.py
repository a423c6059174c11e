"""A hyper-parameter search as parallel coordinates: an axis for each hyper-parameter, a line for each trial."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.units import format_number, format_share
from workbench.widgets.hyperparameter_controls import short_name
from workbench.wording import shorten

if TYPE_CHECKING:
    from workbench.training.search import Trial

_STATES = {"complete": "complete", "pruned": "stopped early", "failed": "failed"}
_ACCURACY = "validation accuracy"


def checked_trials(given: Any) -> tuple[Trial, ...]:
    """Return `given` as trials; raise WorkbenchError for anything else."""
    trials = tuple(given) if isinstance(given, Iterable) else (given,)
    if not all(hasattr(trial, "sampled") for trial in trials):
        raise WorkbenchError(f"trials = {shorten(repr(given))}: give a list of what wb.search_hyperparameters yields.")
    return trials


def search_facts(trials: Sequence[Trial]) -> dict[str, Any]:
    """Return axes, lines, table and summary of the trials, heights being in [0, 1]; {} without trials."""
    if not trials:
        return {}
    names = list(dict.fromkeys(name for trial in trials for name in trial.sampled))
    accuracies = sorted(trial.value for trial in trials if trial.value is not None)
    best = _best(trials)
    axes = [_axis(short_name(name), [trial.sampled.get(name) for trial in trials]) for name in names]
    axes.append(_axis(_ACCURACY, [trial.value for trial in trials], share=True))
    median = accuracies[len(accuracies) // 2] if accuracies else 0.0
    lines = [
        {
            "number": trial.number,
            "value": trial.value,
            "state": trial.state,
            "best": trial is best,
            "strong": trial.value is not None and trial.value >= median,
            "heights": [axis["heights"][index] for axis in axes],
            "cells": _cells(trial, names),
            "values": asdict(trial.hyperparameters),
        }
        for index, trial in enumerate(trials)
    ]
    return {
        "axes": [{"label": axis["label"], "ticks": axis["ticks"]} for axis in axes],
        "lines": lines,
        "summary": _summary(trials, best),
        "cuts": _cuts(accuracies, len(trials)),
        "head": ["trial", *map(short_name, names), _ACCURACY, "how it ended"],
        "label": "" if best is None else f"best: trial {best.number}, {format_share(best.value or 0.0)}",
    }


def _best(trials: Sequence[Trial]) -> Trial | None:
    complete = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    return max(complete, key=lambda trial: trial.value or 0.0, default=None)


def _cells(trial: Trial, names: Sequence[str]) -> list[str]:
    """Return a row of the table under `head`."""
    accuracy = "–" if trial.value is None else format_share(trial.value)
    reason = f": {trial.reason}" if trial.reason else ""
    return [
        str(trial.number),
        *(_brief(trial.sampled.get(name)) for name in names),
        accuracy,
        f"{_STATES[trial.state]}{reason}",
    ]


def _summary(trials: Sequence[Trial], best: Trial | None) -> str:
    counts = ", ".join(f"{sum(trial.state == state for trial in trials)} {word}" for state, word in _STATES.items())
    if best is None:
        return f"None of {len(trials)} trials is complete ({counts})."
    values = ", ".join(f"{short_name(name)} {_brief(value)}" for name, value in best.sampled.items())
    share = format_share(best.value or 0.0)
    return (
        f"Trial {best.number} is the best of {len(trials)}: {share} with {values} ({counts}; measured in the search)."
    )


def _cuts(accuracies: Sequence[float], count: int) -> list[list[Any]]:
    """Return the accuracies to filter by, the quartiles, each with its text; 0 stands for all trials."""
    quartiles = {round(accuracies[len(accuracies) * part // 4], 3) for part in (1, 2, 3)} if len(accuracies) > 3 else ()
    cuts: list[list[Any]] = [[0, f"all {count} trials"]]
    for cut in sorted(quartiles):
        cuts.append([cut, f"{format_share(cut)} ({sum(value >= cut for value in accuracies)} trials)"])
    return cuts


def _axis(label: str, column: Sequence[Any], share: bool = False) -> dict[str, Any]:
    """Return the heights of a column's values: numbers by size, logarithmic from a decade on; others by name."""
    known = [value for value in column if value is not None]
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in known)
    texts = {value: format_share(value) if share else _brief(value) for value in known}
    positions: Mapping[Any, float] = {value: float(at) for at, value in enumerate(sorted(set(known), key=str))}
    if numeric and known:
        logarithmic = min(known) > 0 and max(known) >= 10 * min(known)
        positions = {value: math.log(value) if logarithmic else float(value) for value in known}
    low, high = min(positions.values(), default=0.0), max(positions.values(), default=0.0)
    heights = {value: (at - low) / (high - low) if high > low else 0.5 for value, at in positions.items()}
    shown = sorted(heights, key=lambda value: heights[value])
    if len(shown) > 4:  # a few choices are all named, a range by its two ends
        shown = [shown[0], shown[-1]]
    return {
        "label": label,
        "heights": [heights.get(value) for value in column],
        "ticks": [[heights[value], texts[value]] for value in shown],
    }


def _brief(value: Any) -> str:
    """Return a sampled value as text: it needs no fourth digit."""
    return f"{value:.3g}" if isinstance(value, float) else format_number(value)
