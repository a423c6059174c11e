"""Figures: functions that take data and a matplotlib Axes, draw one message, state it in the title, return the Axes.

Colours are those of Okabe & Ito (2008), told apart by colour-blind readers too, and never the only signal: markers,
line styles and words go with them. `alt_text(axes)` is a sentence that says what was drawn. Nothing here uses pyplot,
so that figures can be made in any thread and without a display. `new_figure()` gives an Axes where you have none.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator, PercentFormatter
from numpy.typing import NDArray

from workbench.chart_style import (
    BLUE,
    GRID,
    INK,
    MUTED,
    PAPER,
    SKY,
    TEXT_SIZE,
    VERMILLION,
    aspect_of,
    finish,
    plain,
    short,
    width_of,
)
from workbench.chart_style import alt_text as alt_text
from workbench.chart_style import new_figure as new_figure
from workbench.errors import WorkbenchError
from workbench.measurement import Latency
from workbench.units import format_bytes, format_number, format_ratio, format_seconds, format_share

if TYPE_CHECKING:
    from workbench.evaluation import Evaluation
    from workbench.search import Trial
    from workbench.training import Record


@dataclass(frozen=True, kw_only=True)
class LatencyRow:
    """How long one engine took, with so many threads, for one batch of `batch_size` pictures."""

    engine: str
    batch_size: int
    threads: int
    latency: Latency


def learning_curves(records: Sequence[Record], axes: Axes, measure: Literal["accuracy", "loss"] = "accuracy") -> Axes:
    """Accuracy or loss by epoch, on training and validation pictures. Raises WorkbenchError before the first epoch."""
    ends = _epoch_ends(records)
    epochs = [record.epoch for record in ends]
    training = [getattr(record, measure) for record in ends]
    validation = [getattr(record, f"validation_{measure}") for record in ends]
    validated = [(epoch, value) for epoch, value in zip(epochs, validation, strict=True) if value is not None]
    every = max(1, len(ends) // 15)
    axes.plot(epochs, training, "--o", color=VERMILLION, label="training", markersize=5, markevery=every)
    if validated:
        axes.plot(*zip(*validated, strict=True), "-s", color=BLUE, label="validation", markersize=5, markevery=every)
    axes.set_ylabel("accuracy" if measure == "accuracy" else "loss (nats per picture)")
    if measure == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1, symbol="\N{NO-BREAK SPACE}%"))
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    kind, curve = ("Validation", validated) if validated else ("Training", list(zip(epochs, training, strict=True)))
    legend = axes.legend(frameon=False, fontsize=TEXT_SIZE, labelcolor=INK)
    legend.set_in_layout(False)
    said = format_share if measure == "accuracy" else format_number
    return finish(
        axes,
        _accuracy_message(kind, curve) if measure == "accuracy" else _loss_message(kind, curve),
        f"Line chart of {measure} by epoch, {epochs[0]} to {epochs[-1]}: training from {said(training[0])} to "
        f"{said(training[-1])}"
        + (f", validation from {said(curve[0][1])} to {said(curve[-1][1])}." if validated else "."),
    )


def learning_rate_curve(records: Sequence[Record], axes: Axes) -> Axes:
    """The learning rate over the run, from records of both kinds. Raises WorkbenchError where there is none."""
    if not records:
        raise WorkbenchError("There is no record of a training run to draw.")
    epochs = [record.step * record.epochs / record.steps for record in records]
    rates = [record.learning_rate for record in records]
    axes.plot(epochs, rates, color=BLUE)
    axes.set_ylim(0, 1.12 * max(rates))
    axes.set_xlabel("epoch")
    axes.set_ylabel("learning rate")
    top = rates.index(max(rates))
    message = f"The learning rate stays at {rates[0]:.2g}"
    if max(rates) > 1.001 * min(rates):
        axes.plot(epochs[top], rates[top], "o", color=BLUE, markersize=5)
        end = "near 0" if rates[-1] < 0.01 * rates[top] else f"at {rates[-1]:.2g}"
        message = f"The learning rate peaks at {rates[top]:.2g} after {epochs[top]:.1f} epochs and ends {end}"
    return finish(axes, message, f"Line chart of the learning rate over {records[-1].epochs} epochs.")


def confusion_matrix(evaluation: Evaluation, axes: Axes) -> Axes:
    """How often each class (rows) was answered as each other (columns); numbers are pictures.

    Depth of colour grows with the square root of the share of the row, so that a mistake in a hundred still shows.
    """
    counts = np.asarray(evaluation.confusion)
    classes = len(counts)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    alphas = np.sqrt(shares)
    for row, column in zip(*counts.nonzero(), strict=True):
        colour, alpha = (_CELL_RIGHT if row == column else _CELL_WRONG), float(alphas[row, column])
        cell = (float(column) - 0.5, float(row) - 0.5)
        axes.add_patch(Rectangle(cell, 1, 1, facecolor=colour, alpha=alpha, linewidth=0))
        if classes <= 15:
            ink = PAPER if _darkness(colour, alpha) else INK
            axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", color=ink, size=8.5)
    axes.set_xlim(-0.5, classes - 0.5)
    axes.set_ylim(classes - 0.5, -0.5)
    axes.set_aspect("equal")
    _class_ticks(axes, evaluation.labels)
    axes.set_xlabel("answer of the network")
    axes.set_ylabel("truth")
    wrong = int(counts.sum() - counts.trace())
    worst = evaluation.confusions(1)
    message = f"All {evaluation.count:,} answers are right"
    if worst:
        truth, answer, often = worst[0]
        share = format_share(often / max(1, int(counts[evaluation.labels.index(truth)].sum())))
        message = f"Most often mistaken: {short(truth)} for {short(answer)} ({often}×, {share})"
    return finish(
        axes,
        message,
        f"Confusion matrix of {classes} classes on {evaluation.count:,} pictures: {wrong:,} off the diagonal, "
        f"{format_share(evaluation.accuracy)} on it.",
        grid=False,
        tick_size=TEXT_SIZE if classes <= 15 else 7.0,
    )


def picture_grid(
    pictures: NDArray[np.uint8],
    captions: Sequence[str],
    axes: Axes,
    *,
    title: str = "",
    columns: int | None = None,
    wrong: Sequence[bool] | None = None,
) -> Axes:
    """Pictures, uint8 (N, H, W, C) with 1 or 3 channels, each above its caption.

    `wrong`: where given, captions begin with ✓ or ✗, and what is wrong is framed. Raises WorkbenchError for arrays
    that are no pictures or captions that are not one each.
    """
    pictures = np.asarray(pictures)
    if pictures.ndim != 4 or pictures.dtype != np.uint8 or pictures.shape[3] not in (1, 3) or not len(pictures):
        raise WorkbenchError(f"Pictures must be uint8 (N, H, W, 1 or 3), not {pictures.dtype} {pictures.shape}.")
    if len(captions) != len(pictures) or (wrong is not None and len(wrong) != len(pictures)):
        raise WorkbenchError(f"{len(pictures)} pictures need {len(pictures)} captions, not {len(captions)}.")
    height, width = pictures.shape[1:3]
    cell = height / width
    # A picture with its caption is about a quarter taller than the picture; the grid takes the shape of the Axes.
    columns = columns or min(len(pictures), math.ceil(math.sqrt(1.25 * cell * len(pictures) * aspect_of(axes))))
    rows = math.ceil(len(pictures) / columns)
    lines = _caption_lines(captions, axes, columns, marked=wrong is not None)
    step = cell + 0.08 + max(map(len, lines)) * _line_height(axes, columns)
    for index, picture in enumerate(pictures):
        left, top = 1.1 * (index % columns), step * (index // columns)
        shown = picture if picture.shape[2] == 3 else picture.repeat(3, axis=2)
        axes.imshow(shown, extent=(left, left + 1, top + cell, top), interpolation="nearest")
        bad = bool(wrong[index]) if wrong is not None else False
        if bad:
            frame = Rectangle((left, top), 1, cell, fill=False, edgecolor=VERMILLION, linewidth=2.5)
            axes.add_patch(frame)
        text = "\n".join(lines[index])
        text = text if wrong is None else f"{'✗' if bad else '✓'} {text}"
        axes.text(
            left + 0.5, top + cell + 0.04, text, ha="center", va="top", size=8, color=INK, parse_math=False,
            fontweight="bold" if bad else "normal", linespacing=1.15,
        )  # fmt: skip
    axes.set_xlim(-0.02, 1.1 * columns - 0.08)
    axes.set_ylim(step * rows, -0.02)
    axes.set_aspect("equal")
    axes.set_axis_off()
    return finish(axes, title, f"{len(pictures)} pictures: {'; '.join(map(plain, captions))}.", grid=False)


def latency_bars(rows: Sequence[LatencyRow], axes: Axes) -> Axes:
    """Median time of each engine for one batch, with a whisker to the 90th percentile; give rows of one batch size.

    Raises WorkbenchError without rows, or for rows of different batch sizes: their bars could not be compared.
    """
    if not rows or len({row.batch_size for row in rows}) > 1:
        raise WorkbenchError("Latencies are compared at one batch size: give at least one row, all of the same.")
    order = sorted(rows, key=lambda row: -row.latency.p50)
    factor, unit = _time_unit(order[-1].latency.p50)
    medians = np.array([row.latency.p50 for row in order]) / factor
    slow = np.array([max(row.latency.p90, row.latency.p50) for row in order]) / factor
    places = np.arange(len(order))
    colours = [SKY] * (len(order) - 1) + [BLUE]
    axes.barh(places, medians, color=colours, height=0.62)
    axes.errorbar(
        medians, places, xerr=[np.zeros(len(order)), slow - medians], fmt="none", ecolor=INK, capsize=4, linewidth=1.2
    )
    for place, end, row in zip(places, slow, order, strict=True):
        axes.annotate(
            format_seconds(row.latency.p50), (end, place), (6, 0), textcoords="offset points", va="center", color=INK
        )
    axes.set_xlim(0, 1.28 * slow.max())
    names = [f"{short(row.engine)}\n{row.threads} thread{'s' if row.threads > 1 else ''}" for row in order]
    axes.set_yticks(places, names, parse_math=False)
    count = order[0].batch_size
    what = "one picture" if count == 1 else f"{count} pictures"
    origins = " and ".join(sorted({row.latency.origin for row in rows}))
    axes.set_xlabel(f"{unit} for {what}, {origins} (bar: median, whisker: p90)")
    best, worst = order[-1], order[0]
    message = f"{short(best.engine)} answers {what} in {format_seconds(best.latency.p50)}"
    if len(order) > 1:
        message += f", {format_ratio(worst.latency.p50 / best.latency.p50)} as fast as {short(worst.engine)}"
    said = ", ".join(f"{short(row.engine)} {format_seconds(row.latency.p50)}" for row in reversed(order))
    return finish(axes, message, f"Bar chart of the median time for {what}, {origins}: {said}.", grid="x")


def bytes_bars(sizes: Mapping[str, int], axes: Axes) -> Axes:
    """Sizes in bytes by name, largest on top; where they differ more than thirtyfold, points on a logarithmic axis.

    Raises WorkbenchError for no size or one below a byte.
    """
    if not sizes or min(sizes.values()) < 1:
        raise WorkbenchError("Sizes must be at least one, each of a byte or more.")
    order = sorted(sizes.items(), key=lambda item: item[1])
    values = [size for _, size in order]
    places = range(len(order))
    logarithmic = values[-1] > 30 * values[0]
    if logarithmic:  # a bar's length means nothing where the axis has no zero
        axes.set_xscale("log")
        axes.hlines(places, [values[0] / 3] * len(order), values, color=GRID, linewidth=1.5)
        axes.plot(values, list(places), "o", color=BLUE, markersize=8)
        axes.set_xlim(values[0] / 3, values[-1] * 12)
    else:
        axes.barh(list(places), values, color=BLUE, height=0.6)
        axes.set_xlim(0, 1.3 * values[-1])
    for place, size in zip(places, values, strict=True):
        text = (7 if logarithmic else 5, 0)
        axes.annotate(format_bytes(size), (size, place), text, textcoords="offset points", va="center", color=INK)
    axes.set_yticks(list(places), [short(name) for name, _ in order], parse_math=False)
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _round_bytes(value)))
    axes.xaxis.set_minor_locator(NullLocator())
    if not logarithmic:
        axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel("size" + (" (logarithmic axis)" if logarithmic else ""))
    (small, least), (large, most) = order[0], order[-1]
    message = f"{short(large)}: {format_bytes(most)}"
    if len(order) > 1:
        message = f"{short(large)}: {format_ratio(most / least)} the size of {short(small)}"
    said = ", ".join(f"{short(name)} {format_bytes(size)}" for name, size in reversed(order))
    return finish(axes, message, f"Chart of sizes: {said}.", grid="x")


def search_history(trials: Sequence[Trial], axes: Axes) -> Axes:
    """Validation accuracy of each trial of a search, with the best so far as a line."""
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
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol="\N{NO-BREAK SPACE}%"))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlabel("trial")
    axes.set_ylabel("validation accuracy")
    axes.legend(frameon=False, fontsize=TEXT_SIZE, labelcolor=INK)
    message = f"Trial {best.number} is the best of {len(trials)}: {format_share(best.value)} of the validation pictures"
    said = f"{len(complete)} complete, {len(pruned)} stopped early, {len(failed)} failed"
    return finish(axes, message, f"Chart of validation accuracy by trial: {said}.")


def parallel_coordinates(trials: Sequence[Trial], axes: Axes) -> Axes:
    """Each trial as a line across its searched hyper-parameters to its validation accuracy; the best is thick.

    Raises WorkbenchError where no trial is complete or nothing was searched.
    """
    complete, best = _complete(trials)
    names = list(best.sampled)
    if not names:
        raise WorkbenchError("Nothing was searched: there is no hyper-parameter to draw.")
    columns = [[trial.sampled[name] for trial in complete] for name in names]
    columns.append([trial.value for trial in complete])
    places = np.array([_spread(column) for column in columns]).T
    ranks = np.argsort(np.argsort([trial.value for trial in complete])) / max(1, len(complete) - 1)
    for line, rank, trial in zip(places, ranks, complete, strict=True):
        if trial is not best:
            axes.plot(range(len(columns)), line, color=BLUE, alpha=0.15 + 0.45 * float(rank), linewidth=1.1)
    chosen = places[complete.index(best)]
    axes.plot(range(len(columns)), chosen, "-o", color=VERMILLION, linewidth=2.8, label=f"best: trial {best.number}")
    for place, column in enumerate(columns):
        axes.axvline(place, color=GRID, linewidth=1, zorder=0)
        _spread_ticks(axes, place, column, is_share=place == len(names))
    axes.set_xlim(-0.4, len(names) + 0.4)
    axes.set_ylim(-0.14, 1.14)
    axes.set_yticks([])
    axes.set_xticks(range(len(columns)), [name.replace("_", "\n") for name in [*names, "validation_accuracy"]])
    axes.spines["left"].set_visible(False)
    axes.spines["bottom"].set_visible(False)
    said = ", ".join(f"{name} {format_number(best.sampled[name])}" for name in names)
    axes.legend(frameon=False, fontsize=TEXT_SIZE, labelcolor=INK, loc="upper center", bbox_to_anchor=(0.5, -0.2))
    return finish(
        axes,
        f"Best of {len(complete)} complete trials: {format_share(best.value)} with {said}",
        f"Parallel coordinates of {len(complete)} trials over {', '.join(names)} and validation accuracy.",
        grid=False,
    )


def importance_bars(importances: Mapping[str, float], axes: Axes) -> Axes:
    """How much of the differences between trials each hyper-parameter explains (shares that sum to 1)."""
    if not importances:
        raise WorkbenchError("There is no importance to draw: it takes at least two different complete trials.")
    order = sorted(importances.items(), key=lambda item: item[1])
    axes.barh([name for name, _ in order], [share for _, share in order], color=BLUE, height=0.6)
    for place, (_, share) in enumerate(order):
        axes.annotate(
            format_share(share, 0), (share, place), (5, 0), textcoords="offset points", va="center", color=INK
        )
    axes.set_xlim(0, 1.2 * order[-1][1])
    axes.xaxis.set_major_formatter(PercentFormatter(1, symbol="\N{NO-BREAK SPACE}%"))
    axes.set_xlabel("share of the differences in validation accuracy")
    said = ", ".join(f"{name} {format_share(share, 0)}" for name, share in reversed(order))
    return finish(axes, f"{order[-1][0]} matters most in this search", f"Bar chart of importance: {said}.", grid="x")


_CELL_RIGHT, _CELL_WRONG = "#005a8e", "#b84a00"  # darker than the palette: numbers are written on them


def _epoch_ends(records: Sequence[Record]) -> list[Record]:
    ends = [record for record in records if record.kind == "epoch"]
    if not ends:
        raise WorkbenchError("There is no finished epoch to draw: learning curves begin after the first.")
    return ends


def _accuracy_message(kind: str, curve: Sequence[tuple[int, float]]) -> str:
    epoch, best = max(curve, key=lambda point: point[1])
    return f"{kind} accuracy reaches {format_share(best)} in epoch {epoch}"


def _loss_message(kind: str, curve: Sequence[tuple[int, float]]) -> str:
    epoch, best = min(curve, key=lambda point: point[1])
    last = curve[-1][1]
    if last > 1.05 * best:
        return f"{kind} loss is lowest in epoch {epoch} ({best:.3g}), then rises to {last:.3g}"
    if len(curve) == 1:
        return f"{kind} loss is {last:.3g} after one epoch"
    return f"{kind} loss falls from {curve[0][1]:.3g} to {last:.3g} in {len(curve)} epochs"


def _class_ticks(axes: Axes, labels: Sequence[str]) -> None:
    """Every class by name up to thirty; beyond that, numbers of classes."""
    if len(labels) > 30:
        return
    names, many = [short(label) for label in labels], len(labels) > 15
    slant: dict[str, Any] = {"rotation": 90 if many else 45, "ha": "right", "rotation_mode": "anchor"}
    slant |= {"va": "center"} if many else {}
    axes.set_xticks(range(len(labels)), names, parse_math=False, **slant)
    axes.set_yticks(range(len(labels)), names, parse_math=False)


def _darkness(colour: str, alpha: float) -> bool:
    """Whether white is easier to read than ink on `colour` laid over white paper."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [(alpha * channel + 1 - alpha) ** 2.2 for channel in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] < 0.21


def _caption_lines(captions: Sequence[str], axes: Axes, columns: int, *, marked: bool) -> list[list[str]]:
    width = max(6, int(width_of(axes) * 1.25 / columns * 72 / (0.58 * 8)) - (2 if marked else 0))
    return [textwrap.wrap(plain(caption), width)[:3] or [""] for caption in captions]


def _line_height(axes: Axes, columns: int) -> float:
    """Height of a caption's line in widths of a picture."""
    return 8 * 1.3 / 72 / (width_of(axes) * 1.2 / (1.1 * columns))


def _round_bytes(count: float) -> str:
    """For ticks: 1 MB, not 1.00 MB."""
    number, unit = format_bytes(count).split("\N{NO-BREAK SPACE}")
    return f"{float(number):g}\N{NO-BREAK SPACE}{unit}"


def _time_unit(seconds: float) -> tuple[float, str]:
    return next(((factor, unit) for factor, unit in ((1.0, "s"), (1e-3, "ms")) if seconds >= factor), (1e-6, "µs"))


def _complete(trials: Sequence[Trial]) -> tuple[list[Any], Any]:
    complete = [trial for trial in trials if trial.state == "complete"]
    if not complete:
        raise WorkbenchError(f"None of {len(trials)} trials is complete: there is nothing to draw.")
    return complete, max(complete, key=lambda trial: trial.value or 0.0)


def _spread(column: Sequence[Any]) -> NDArray[np.float64]:
    """Values as heights from 0 to 1: numbers by size (logarithmic where they span a decade), others by name."""
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in column):
        heights = np.array(column, dtype=np.float64)
        if heights.min() > 0 and heights.max() >= 10 * heights.min():
            heights = np.log(heights)
    else:
        names = sorted(set(map(str, column)))
        heights = np.array([names.index(str(value)) for value in column], dtype=np.float64)
    low, high = heights.min(), heights.max()
    return (heights - low) / (high - low) if high > low else np.full(len(column), 0.5)


def _spread_ticks(axes: Axes, place: int, column: Sequence[Any], *, is_share: bool) -> None:
    """Write the lowest and the highest value at the ends of one axis of the parallel coordinates."""
    heights = _spread(column)
    for end, offset in ((int(heights.argmin()), -7), (int(heights.argmax()), 7)):
        text = format_share(column[end]) if is_share else format_number(column[end])
        axes.annotate(
            text, (place, float(heights[end])), (0, offset), textcoords="offset points", ha="center",
            va="top" if offset < 0 else "bottom", size=8.5, color=INK,
        )  # fmt: skip
