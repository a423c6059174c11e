"""Bar charts of what a network costs: time and bytes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from workbench.errors import WorkbenchError
from workbench.measuring.measurement import Measurement
from workbench.pages.chart_style import (
    BLUE,
    GREEN,
    GRID,
    INK,
    MUTED,
    PAPER,
    PURPLE,
    SKY,
    VERMILLION,
    add_legend,
    finish,
    round_unit,
    short,
    width_of,
)
from workbench.units import format_bytes, format_ratio, format_seconds, format_share

_FILLS = ((BLUE, ""), (VERMILLION, "//"), (SKY, ".."), (GREEN, "xx"), (PURPLE, "\\\\"), (MUTED, "++"))
_LOGARITHMIC_FROM = 30  # times the smallest size: below, bars on a linear axis can still be compared


def latency_bars(rows: Sequence[Measurement], axes: Axes) -> Axes:
    """Draw the median latency of each engine for one batch, with a whisker to the 90th percentile.

    Raises WorkbenchError for no rows, and for rows of different batch sizes, whose bars could not be compared.
    """
    if not rows or len({row.batch_size for row in rows}) > 1:
        raise WorkbenchError("Latencies are compared at one batch size: give at least one row, all of the same.")
    order = sorted(rows, key=lambda row: -row.latency.p50)
    best, worst = order[-1], order[0]
    factor, unit = _time_unit(best.latency.p50)
    medians = np.array([row.latency.p50 for row in order]) / factor
    slow = np.array([max(row.latency.p90, row.latency.p50) for row in order]) / factor
    places = range(len(order))
    axes.barh(places, medians, color=[SKY] * (len(order) - 1) + [BLUE], height=0.62)
    whiskers = [np.zeros(len(order)), slow - medians]
    axes.errorbar(medians, places, xerr=whiskers, fmt="none", ecolor=INK, capsize=4, linewidth=1.2)
    _label_ends(axes, slow, [format_seconds(row.latency.p50) for row in order])
    axes.set_xlim(0, 1.28 * slow.max())
    names = [f"{short(row.engine)}\n{row.threads} thread{'s' if row.threads > 1 else ''}" for row in order]
    axes.set_yticks(places, names, parse_math=False)
    batch = "one image" if best.batch_size == 1 else f"{best.batch_size} images"
    origins = " and ".join(sorted({row.origin for row in rows}))
    axes.set_xlabel(f"{unit} for {batch}, {origins} (bar: median, whisker: p90)")
    message = f"{short(best.engine)} answers {batch} in {format_seconds(best.latency.p50)}"
    if len(order) > 1:
        message += f", {format_ratio(worst.latency.p50 / best.latency.p50)} as fast as {short(worst.engine)}"
    figures = ", ".join(f"{short(row.engine)} {format_seconds(row.latency.p50)}" for row in reversed(order))
    return finish(axes, message, f"Bar chart of the median time for {batch}, {origins}: {figures}.", grid="x")


def time_bars(seconds: Mapping[str, float], axes: Axes, *, title: str = "", origin: str = "measured") -> Axes:
    """Draw times by name, from the top in the order given; `title` defaults to what takes longest.

    Raises WorkbenchError for no times, and for one that is not above 0.
    """
    if not seconds or not all(0 < value < math.inf for value in seconds.values()):
        raise WorkbenchError("Times must be at least one, each above 0 seconds.")
    longest = max(seconds, key=lambda name: seconds[name])
    places, values = range(len(seconds)), list(seconds.values())
    axes.barh(places, values, color=[BLUE if name == longest else SKY for name in seconds], height=0.62)
    _label_ends(axes, values, map(format_seconds, values))
    axes.invert_yaxis()
    axes.set_xlim(0, 1.3 * max(values))
    axes.set_yticks(places, [short(name) for name in seconds], parse_math=False)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: round_unit(format_seconds(value))))
    axes.set_xlabel(f"time ({origin})")
    message = title or f"{short(longest)} takes {format_share(seconds[longest] / sum(values), 0)} of the time"
    figures = ", ".join(f"{short(name)} {format_seconds(value)}" for name, value in seconds.items())
    return finish(axes, message, f"Bar chart of times, {origin}: {figures}.", grid="x")


def stacked_bytes(
    needs: Mapping[str, Mapping[str, int]], axes: Axes, *, title: str = "", origin: str = "modelled"
) -> Axes:
    """Draw the memory that each need takes, by part, one bar each from the top: {need: {part: bytes}}.

    `title` defaults to the ratio of the largest need to the smallest. Raises WorkbenchError for no needs, and for more
    parts than there are distinct fills.
    """
    parts = list(dict.fromkeys(part for need in needs.values() for part in need))
    totals = {name: sum(need.values()) for name, need in needs.items()}
    if not totals or not all(1 <= total < math.inf for total in totals.values()) or len(parts) > len(_FILLS):
        raise WorkbenchError(f"Give at least one need of a byte or more, of up to {len(_FILLS)} parts.")
    left, places = np.zeros(len(needs)), range(len(needs))
    for part, (colour, hatch) in zip(parts, _FILLS, strict=False):
        widths = np.array([need.get(part, 0) for need in needs.values()], dtype=np.float64)
        axes.barh(places, widths, left=left, color=colour, hatch=hatch, edgecolor=PAPER, height=0.6, label=short(part))
        left += widths
    _label_ends(axes, totals.values(), map(format_bytes, totals.values()))
    axes.invert_yaxis()
    axes.set_xlim(0, 1.25 * left.max())
    axes.set_yticks(places, [short(name) for name in needs], parse_math=False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: round_unit(format_bytes(value))))
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel(f"memory ({origin})")
    add_legend(axes, ncols=3 if width_of(axes) > 5 else 2, loc="upper left", bbox_to_anchor=(0, -0.2))
    most, least = (pick(totals, key=lambda name: totals[name]) for pick in (max, min))
    message = f"{short(most)} needs {format_bytes(totals[most])}"
    if len(totals) > 1:
        message = f"{short(most)} needs {format_ratio(totals[most] / totals[least])} the memory of {short(least)}"
    figures = "; ".join(
        f"{short(name)} " + ", ".join(f"{short(part)} {format_bytes(size)}" for part, size in need.items())
        for name, need in needs.items()
    )
    return finish(axes, title or message, f"Stacked bar chart of bytes, {origin}: {figures}.", grid="x")


def bytes_bars(sizes: Mapping[str, int], axes: Axes, *, origin: str = "measured") -> Axes:
    """Draw sizes in bytes by name, the largest on top; points on a logarithmic axis if they span a factor above 30.

    Raises WorkbenchError for no sizes, and for one below a byte.
    """
    if not sizes or not all(1 <= value < math.inf for value in sizes.values()):
        raise WorkbenchError("Sizes must be at least one, each of a byte or more.")
    order = sorted(sizes.items(), key=lambda item: item[1])
    places, values = range(len(order)), [size for _, size in order]
    is_logarithmic = values[-1] > _LOGARITHMIC_FROM * values[0]
    if is_logarithmic:  # the length of a bar means nothing on an axis without a zero
        axes.set_xscale("log")
        axes.hlines(places, [values[0] / 3] * len(order), values, color=GRID, linewidth=1.5)
        axes.plot(values, list(places), "o", color=BLUE, markersize=8)
        axes.set_xlim(values[0] / 3, values[-1] * 12)
    else:
        axes.barh(places, values, color=BLUE, height=0.6)
        axes.set_xlim(0, 1.3 * values[-1])
        axes.xaxis.set_major_locator(MaxNLocator(4))
    _label_ends(axes, values, map(format_bytes, values))
    axes.set_yticks(places, [short(name) for name, _ in order], parse_math=False)
    axes.set_ylim(-0.6, len(order) - 0.4)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: round_unit(format_bytes(value))))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel(f"size ({origin}{'; logarithmic axis' if is_logarithmic else ''})")
    (small, least), (large, most) = order[0], order[-1]
    message = f"{short(large)}: {format_bytes(most)}"
    if len(order) > 1:
        message = f"{short(large)}: {format_ratio(most / least)} the size of {short(small)}"
    figures = ", ".join(f"{short(name)} {format_bytes(size)}" for name, size in reversed(order))
    return finish(axes, message, f"Chart of sizes, {origin}: {figures}.", grid="x")


def _label_ends(axes: Axes, ends: Iterable[float], texts: Iterable[str]) -> None:
    """Write a text beside the end of each horizontal bar."""
    for place, (end, text) in enumerate(zip(ends, texts, strict=True)):
        axes.annotate(text, (end, place), (6, 0), textcoords="offset points", va="center", color=INK)


def _time_unit(seconds: float) -> tuple[float, str]:
    return next(((factor, unit) for factor, unit in ((1.0, "s"), (1e-3, "ms")) if seconds >= factor), (1e-6, "µs"))
