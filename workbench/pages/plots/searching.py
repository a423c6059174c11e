"""The course of a search for hyper-parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.pages.chart_style import BLUE, GRID, INK, MUTED, VERMILLION, add_legend, finish, percent_formatter
from workbench.units import format_number, format_share

if TYPE_CHECKING:
    from workbench.training.search import Trial


def search_history(trials: Sequence[Trial], axes: Axes) -> Axes:
    """Draw the validation accuracy of each trial, and the best so far as a line.

    Raises WorkbenchError if no trial is complete.
    """
    complete, best = _complete(trials)
    pruned = [trial for trial in trials if trial.state == "pruned" and trial.value is not None]
    failed = [trial for trial in trials if trial.state == "failed"]
    reached = np.maximum.accumulate([trial.value for trial in complete])
    numbers = [trial.number for trial in complete]
    end = max(trial.number for trial in trials)
    axes.step([*numbers, end], [*reached, reached[-1]], where="post", color=BLUE, label="best so far")
    axes.plot(numbers, [trial.value for trial in complete], "o", color=BLUE, label="complete")
    if pruned:
        values = np.array([trial.value for trial in pruned], dtype=np.float64)
        axes.plot([trial.number for trial in pruned], values, "x", color=VERMILLION, label="stopped early")
    if failed:
        low = axes.get_ylim()[0]
        axes.plot([trial.number for trial in failed], [low] * len(failed), "v", color=MUTED, label="failed")
    axes.yaxis.set_major_formatter(percent_formatter())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("trial")
    axes.set_ylabel("validation accuracy (measured)")
    add_legend(axes)
    message = f"Trial {best.number} is the best of {len(trials)}: {format_share(best.value)} of the validation images"
    counts = f"{len(complete)} complete, {len(pruned)} stopped early, {len(failed)} failed"
    return finish(axes, message, f"Chart of validation accuracy by trial: {counts}.")


def parallel_coordinates(trials: Sequence[Trial], axes: Axes) -> Axes:
    """Draw each trial as a line across its searched hyper-parameters to its validation accuracy; the best is thick.

    Raises WorkbenchError if no trial is complete or nothing was searched.
    """
    complete, best = _complete(trials)
    names = list(best.sampled)
    if not names:
        raise WorkbenchError("Nothing was searched: there is no hyper-parameter to draw.")
    columns = [[trial.sampled[name] for trial in complete] for name in names]
    columns.append([trial.value for trial in complete])
    heights = np.array([_heights(column) for column in columns]).T
    ranks = np.argsort(np.argsort([trial.value for trial in complete])) / max(1, len(complete) - 1)
    for line, rank, trial in zip(heights, ranks, complete, strict=True):
        if trial is not best:
            axes.plot(range(len(columns)), line, color=BLUE, alpha=0.15 + 0.45 * float(rank), linewidth=1.1)
    thick = heights[complete.index(best)]
    axes.plot(range(len(columns)), thick, "-o", color=VERMILLION, linewidth=2.8, label=f"best: trial {best.number}")
    for place, column in enumerate(columns):
        axes.axvline(place, color=GRID, linewidth=1, zorder=0)
        _label_range(axes, place, column, is_share=place == len(names))
    axes.set_xlim(-0.4, len(names) + 0.4)
    axes.set_ylim(-0.14, 1.14)
    axes.set_yticks([])
    axes.set_xticks(range(len(columns)), [name.replace("_", "\n") for name in [*names, "validation_accuracy"]])
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_visible(False)
    add_legend(axes, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    chosen = ", ".join(f"{name} {format_number(best.sampled[name])}" for name in names)
    return finish(
        axes,
        f"Best of {len(complete)} complete trials: {format_share(best.value)} with {chosen}",
        f"Parallel coordinates of {len(complete)} trials over {', '.join(names)} and validation accuracy.",
        grid=False,
    )


def importance_bars(importances: Mapping[str, float], axes: Axes) -> Axes:
    """Draw the share of the variation between trials that each hyper-parameter explains; the shares sum to 1.

    Raises WorkbenchError for no importances.
    """
    if not importances:
        raise WorkbenchError("There is no importance to draw: it takes at least two different complete trials.")
    order = sorted(importances.items(), key=lambda item: item[1])
    axes.barh([name for name, _ in order], [share for _, share in order], color=BLUE, height=0.6)
    for place, (_, share) in enumerate(order):
        axes.annotate(
            format_share(share, 0), (share, place), (5, 0), textcoords="offset points", va="center", color=INK
        )
    axes.set_xlim(0, 1.2 * order[-1][1])
    axes.xaxis.set_major_formatter(percent_formatter())
    axes.set_xlabel("share of the differences in validation accuracy")
    figures = ", ".join(f"{name} {format_share(share, 0)}" for name, share in reversed(order))
    return finish(axes, f"{order[-1][0]} matters most in this search", f"Bar chart of importance: {figures}.", grid="x")


def _complete(trials: Sequence[Trial]) -> tuple[list[Any], Any]:
    complete = [trial for trial in trials if trial.state == "complete"]
    if not complete:
        raise WorkbenchError(f"None of {len(trials)} trials is complete: there is nothing to draw.")
    return complete, max(complete, key=lambda trial: trial.value or 0.0)


def _heights(column: Sequence[Any]) -> NDArray[np.float64]:
    """Return values as heights from 0 to 1: numbers by size (logarithmic across a decade or more), others by name."""
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in column):
        heights = np.array(column, dtype=np.float64)
        if heights.min() > 0 and heights.max() >= 10 * heights.min():
            heights = np.log(heights)
    else:
        names = sorted(set(map(str, column)))
        heights = np.array([names.index(str(value)) for value in column], dtype=np.float64)
    low, high = heights.min(), heights.max()
    return (heights - low) / (high - low) if high > low else np.full(len(column), 0.5)


def _label_range(axes: Axes, place: int, column: Sequence[Any], *, is_share: bool) -> None:
    """Write the lowest and the highest value at the ends of one axis of the parallel coordinates."""
    heights = _heights(column)
    for end, offset in ((int(heights.argmin()), -7), (int(heights.argmax()), 7)):
        text = format_share(column[end]) if is_share else format_number(column[end])
        axes.annotate(
            text, (place, float(heights[end])), (0, offset), textcoords="offset points", ha="center",
            va="top" if offset < 0 else "bottom", size=8.5, color=INK,
        )  # fmt: skip
