"""A search as parallel coordinates: an axis for each hyper-parameter that was searched, a line for each trial."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.sealed import shortened
from workbench.units import format_number, format_share
from workbench.widgets.hyperparameter_controls import short

if TYPE_CHECKING:
    from workbench.search import Trial


def checked_trials(given: Any) -> tuple[Trial, ...]:
    """`given` as trials. Raises WorkbenchError for anything else."""
    trials = tuple(given) if isinstance(given, Iterable) else (given,)
    if not all(hasattr(trial, "sampled") for trial in trials):
        raise WorkbenchError(
            f"trials = {shortened(repr(given))}: give a list of what wb.search_hyperparameters yields."
        )
    return trials


def search_facts(trials: Sequence[Trial]) -> dict[str, Any]:
    """Axes, lines, table and sentence of parallel coordinates; heights are from 0 to 1. Empty without trials."""
    if not trials:
        return {}
    names = list(dict.fromkeys(name for trial in trials for name in trial.sampled))
    complete = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    best = max(complete, key=lambda trial: trial.value or 0.0, default=None)
    axes = [_axis(short(name), [trial.sampled.get(name) for trial in trials]) for name in names]
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
        values = ", ".join(f"{short(name)} {_brief(value)}" for name, value in best.sampled.items())
        said = f"Trial {best.number} is the best of {len(trials)}: {format_share(best.value)} with {values} "
        said += f"({', '.join(counts)}; measured in the search)."
    cuts = sorted({round(reached[len(reached) * part // 4], 3) for part in (1, 2, 3)}) if len(reached) > 3 else []
    offers = [[0, f"all {len(trials)} trials"]]
    offers += [[cut, f"{format_share(cut)} ({sum(value >= cut for value in reached)} trials)"] for cut in cuts]
    return {
        "axes": [{"label": axis["label"], "ticks": axis["ticks"]} for axis in axes],
        "lines": lines, "said": said, "cuts": offers,
        "head": ["trial", *map(short, names), "validation accuracy", "how it ended"],
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


def _brief(value: Any) -> str:
    """A value that nobody chose by hand needs no fourth digit."""
    return f"{value:.3g}" if isinstance(value, float) else format_number(value)
