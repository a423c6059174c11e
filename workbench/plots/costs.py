"""What a network costs: time, bytes, energy; by engine, device and batch size."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from workbench.chart_style import (
    BLUE,
    GREEN,
    GRID,
    INK,
    MUTED,
    PAPER,
    PURPLE,
    SKY,
    STYLES,
    TEXT_SIZE,
    VERMILLION,
    add_legend,
    add_legend_below,
    finish,
    plain,
    short,
    width_of,
)
from workbench.comparison import Comparison
from workbench.errors import WorkbenchError
from workbench.measurement import Measurement
from workbench.metrics import METRICS, Metric
from workbench.units import format_bytes, format_ratio, format_seconds, format_share

MOST_LINES = len(STYLES)


def latency_bars(rows: Sequence[Measurement], axes: Axes) -> Axes:
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
    origins = " and ".join(sorted({row.origin for row in rows}))
    axes.set_xlabel(f"{unit} for {what}, {origins} (bar: median, whisker: p90)")
    best, worst = order[-1], order[0]
    message = f"{short(best.engine)} answers {what} in {format_seconds(best.latency.p50)}"
    if len(order) > 1:
        message += f", {format_ratio(worst.latency.p50 / best.latency.p50)} as fast as {short(worst.engine)}"
    said = ", ".join(f"{short(row.engine)} {format_seconds(row.latency.p50)}" for row in reversed(order))
    return finish(axes, message, f"Bar chart of the median time for {what}, {origins}: {said}.", grid="x")


def batch_size_curves(
    comparison: Comparison, axes: Axes, metric: Metric = "latency", *, order: Sequence[str] = ()
) -> Axes:
    """A metric of each subject over the batch size, both axes logarithmic, with a band from the median to p90.

    What is measured is drawn solid with filled marks, recorded with hollow marks, modelled as a thin dotted line with
    small marks; the legend says it in words. order: names that keep their colours and marks in every chart drawn with
    it, by their places. Raises WorkbenchError where phases or models are mixed, or nothing has a figure.
    """
    sizes = comparison.batch_sizes
    lines: dict[str, list[tuple[int, float, float, Measurement]]] = {}
    for size in sizes:
        for row in comparison.rows(size, metric):
            if row.value:  # a logarithmic axis has no zero
                slowest = row.measurement.latency.p90 / row.measurement.latency.p50
                lines.setdefault(row.name, []).append((size, row.value, slowest, row.measurement))
    if not lines:
        raise WorkbenchError(
            f"None of these measurements has a figure above 0 for {metric}: it is not measurable here."
        )
    if len(lines) > MOST_LINES:
        raise WorkbenchError(f"{len(lines)} lines cannot be told apart in one chart: take best({MOST_LINES}) of them.")
    # In the order of the comparison, so that a device looks the same in every chart of it.
    names = [name for name in comparison.subjects.values() if name in lines]
    kept = list(dict.fromkeys((*order, *names)))
    places = {name: kept.index(name) % len(STYLES) for name in names}
    if len(set(places.values())) < len(names):
        places = {name: place for place, name in enumerate(names)}
    for name in names:
        style = STYLES[places[name]]
        points = lines[name]
        x, y, slow, found = (list(column) for column in zip(*points, strict=True))
        look = _BY_ORIGIN[found[0].origin]
        # The colour and the mark tell the subject, the line tells the origin.
        mark = {"color": style["color"], "marker": style["marker"], "markeredgecolor": style["color"]}
        axes.plot(x, y, label=_label(name, found[0].origin), **mark, **look)
        if metric == "latency" and found[0].latency.count:
            axes.fill_between(x, y, np.array(y) * np.array(slow), color=style["color"], alpha=0.15, linewidth=0)
    how = METRICS[metric]
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _round_unit(how.text(value))))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("batch size (pictures at once)")
    axes.set_ylabel(how.title)
    add_legend_below(axes, columns=2 if len(lines) > 1 and width_of(axes) > 5.5 else 1)
    for each in comparison.crossovers(metric)[:3]:
        axes.axvline(each.batch_size, color=GRID, linewidth=1.2, zorder=0)
    alt = " ".join(comparison.sentences(sizes[0], metric))
    message = _lead(comparison, metric) if len(lines) > 1 else f"{names[0]}: {how.title} by batch size"
    tick_size = TEXT_SIZE if len(sizes) < 9 else TEXT_SIZE - 1
    return finish(axes, message, f"Line chart of {how.title} by batch size. {alt}", tick_size=tick_size)


def _lead(comparison: Comparison, metric: Metric) -> str:
    """The first of what there is to say of the lead, as a title."""
    name, facts = next(iter(comparison.lead_facts(metric)), ("", {}))
    titles = {
        "crossover": "From batch {batch_size} on, {after} is clearly ahead of {before}",
        "passing crossover": "At batch {batch_size}, {after} is clearly ahead of {before}",
        "succession": "{before} is first at batch {last}, {after} at batch {batch_size}",
        "no crossover": "{best} is clearly ahead at every batch size compared",
        "level": "Nobody is clearly ahead of {best} at any batch size compared",
        "": f"{METRICS[metric].title[0].upper()}{METRICS[metric].title[1:]} by batch size",
    }
    by = f", by {METRICS[metric].title}" if name and metric != "latency" else ""  # two charts need two titles
    return titles[name].format(**facts) + by


def _label(name: str, origin: str) -> str:
    """For a legend: what tells it apart may stand at either end, so that it is cut in the middle."""
    name = plain(name).removesuffix(f", {origin}")
    cut = name if len(name) <= 40 else f"{name[:22]}…{name[-16:]}"
    return f"{cut} ({origin})"


def time_bars(seconds: Mapping[str, float], axes: Axes, *, title: str = "", origin: str = "measured") -> Axes:
    """Times by name, in the order given, from the top; `title` is the message, by default what takes longest.

    Raises WorkbenchError for no time or one that is not above 0.
    """
    if not seconds or not all(0 < value < math.inf for value in seconds.values()):
        raise WorkbenchError("Times must be at least one, each above 0 seconds.")
    names, values = list(seconds), list(seconds.values())
    places = range(len(names))
    longest = max(seconds, key=lambda name: seconds[name])
    axes.barh(list(places), values, color=[BLUE if name == longest else SKY for name in names], height=0.62)
    for place, value in zip(places, values, strict=True):
        axes.annotate(format_seconds(value), (value, place), (5, 0), textcoords="offset points", va="center", color=INK)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.3 * max(values))
    axes.set_yticks(list(places), [short(name) for name in names], parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _round_unit(format_seconds(value))))
    axes.set_xlabel(f"time ({origin})")
    share = format_share(seconds[longest] / sum(values), 0)
    message = title or f"{short(longest)} takes {share} of the time"
    said = ", ".join(f"{short(name)} {format_seconds(value)}" for name, value in seconds.items())
    return finish(axes, message, f"Bar chart of times, {origin}: {said}.", grid="x")


def stacked_bytes(
    needs: Mapping[str, Mapping[str, int]], axes: Axes, *, title: str = "", origin: str = "modelled"
) -> Axes:
    """What each need takes of memory, by part, one bar each from the top: {need: {part: bytes}}.

    `title` is the message, by default the largest need beside the smallest. Raises WorkbenchError for nothing to draw
    or more parts than can be told apart.
    """
    parts = list(dict.fromkeys(part for need in needs.values() for part in need))
    totals = {name: sum(need.values()) for name, need in needs.items()}
    if not totals or not all(1 <= total < math.inf for total in totals.values()) or len(parts) > len(_FILLS):
        raise WorkbenchError(f"Give at least one need of a byte or more, of up to {len(_FILLS)} parts.")
    left = np.zeros(len(needs))
    places = np.arange(len(needs))
    for part, (colour, hatch) in zip(parts, _FILLS, strict=False):
        widths = np.array([need.get(part, 0) for need in needs.values()], dtype=np.float64)
        axes.barh(places, widths, left=left, color=colour, hatch=hatch, edgecolor=PAPER, height=0.6, label=short(part))
        left += widths
    for place, total in zip(places, totals.values(), strict=True):
        axes.annotate(format_bytes(total), (total, place), (5, 0), textcoords="offset points", va="center", color=INK)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25 * left.max())
    axes.set_yticks(places, [short(name) for name in needs], parse_math=False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _round_bytes(value)))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel(f"memory ({origin})")
    add_legend(axes, ncols=3 if width_of(axes) > 5 else 2, loc="upper left", bbox_to_anchor=(0, -0.2))
    most, least = (pick(totals, key=lambda name: totals[name]) for pick in (max, min))
    message = f"{short(most)} needs {format_bytes(totals[most])}"
    if len(totals) > 1:
        message = f"{short(most)} needs {format_ratio(totals[most] / totals[least])} the memory of {short(least)}"
    said = "; ".join(
        f"{short(name)} " + ", ".join(f"{short(part)} {format_bytes(size)}" for part, size in need.items())
        for name, need in needs.items()
    )
    return finish(axes, title or message, f"Stacked bar chart of bytes, {origin}: {said}.", grid="x")


_BY_ORIGIN: dict[str, dict[str, Any]] = {
    "measured": {"linestyle": "-", "linewidth": 2.0, "markersize": 6},
    "recorded": {"linestyle": "--", "linewidth": 1.6, "markersize": 6, "markerfacecolor": PAPER},
    "modelled": {"linestyle": ":", "linewidth": 1.4, "markersize": 4, "markerfacecolor": PAPER},
}
_FILLS = ((BLUE, ""), (VERMILLION, "//"), (SKY, ".."), (GREEN, "xx"), (PURPLE, "\\\\"), (MUTED, "++"))


def bytes_bars(sizes: Mapping[str, int], axes: Axes, *, origin: str = "measured") -> Axes:
    """Sizes in bytes by name, largest on top; where they differ more than thirtyfold, points on a logarithmic axis.

    Raises WorkbenchError for no size or one below a byte.
    """
    if not sizes or not all(1 <= value < math.inf for value in sizes.values()):
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
    axes.set_xlabel(f"size ({origin}{'; logarithmic axis' if logarithmic else ''})")
    (small, least), (large, most) = order[0], order[-1]
    message = f"{short(large)}: {format_bytes(most)}"
    if len(order) > 1:
        message = f"{short(large)}: {format_ratio(most / least)} the size of {short(small)}"
    said = ", ".join(f"{short(name)} {format_bytes(size)}" for name, size in reversed(order))
    return finish(axes, message, f"Chart of sizes, {origin}: {said}.", grid="x")


def _round_bytes(count: float) -> str:
    return _round_unit(format_bytes(count))


def _round_unit(text: str) -> str:
    """For ticks: 1 MB, not 1.00 MB."""
    number, _, unit = text.replace(",", "").partition("\N{NO-BREAK SPACE}")
    try:
        return f"{float(number):g}\N{NO-BREAK SPACE}{unit}"
    except ValueError:
        return text


def _time_unit(seconds: float) -> tuple[float, str]:
    return next(((factor, unit) for factor, unit in ((1.0, "s"), (1e-3, "ms")) if seconds >= factor), (1e-6, "µs"))
