"""Devices compared: over the batch size, and many of them in one chart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from workbench.comparing.comparison import Comparison
from workbench.comparing.metrics import Metric, Quantity
from workbench.comparing.ranking import Ranking, Row, crossovers_of
from workbench.comparing.sentences import facts_at, fill_templates, lead_facts
from workbench.errors import WorkbenchError
from workbench.pages.chart_style import (
    BLUE,
    GRID,
    PAPER,
    STYLES,
    TEXT_SIZE,
    VERMILLION,
    add_legend_below,
    cut_middle,
    finish,
    plain,
    round_unit,
    width_of,
)
from workbench.units import format_seconds

MOST_LINES = len(STYLES)
MOST_CROSSOVERS = 3

_BY_ORIGIN: dict[str, dict[str, Any]] = {
    "measured": {"linestyle": "-", "linewidth": 2.0, "markersize": 6},
    "recorded": {"linestyle": "--", "linewidth": 1.6, "markersize": 6, "markerfacecolor": PAPER},
    "modelled": {"linestyle": ":", "linewidth": 1.4, "markersize": 4, "markerfacecolor": PAPER},
}
_LEAD_TITLES = {
    "crossover": "From batch {batch_size} on, {after} is clearly ahead of {before}",
    "passing crossover": "At batch {batch_size}, {after} is clearly ahead of {before}",
    "succession": "{before} is first at batch {last}, {after} at batch {batch_size}",
    "no crossover": "{best} is clearly ahead at every batch size compared",
    "level": "Nothing is clearly ahead of {best} at any batch size compared",
}


def batch_size_curves(
    comparison: Comparison, axes: Axes, metric: Metric = "latency", *, order: Sequence[str] = ()
) -> Axes:
    """Draw a metric of each subject over the batch size, both axes logarithmic; for latency with a band up to p90.

    Measured lines are solid with filled markers, recorded ones dashed with hollow markers, and modelled ones dotted
    with small markers; the legend says so in words. order: names that keep their colours and markers in every chart
    drawn with the same order. Raises WorkbenchError if phases or models are mixed, and if nothing has a figure.
    """
    ranking = comparison.ranking(metric)
    lines: dict[str, list[Row]] = {}
    for rows in ranking.rows.values():
        for row in rows:
            if row.value:  # a logarithmic axis has no zero
                lines.setdefault(row.name, []).append(row)
    if not lines:
        raise WorkbenchError(
            f"None of these measurements has a figure above 0 for {metric}: it is not measurable here."
        )
    if len(lines) > MOST_LINES:
        raise WorkbenchError(f"{len(lines)} lines are too many for one chart: select {MOST_LINES} of them.")
    names = [name for name in ranking.names if name in lines]
    for name, style in _styles(names, order).items():
        _draw_line(axes, name, lines[name], style, has_band=metric == "latency")
    _scale_axes(axes, list(ranking.rows), ranking.quantity)
    add_legend_below(axes, columns=2 if len(lines) > 1 and width_of(axes) > 5.5 else 1)
    for each in crossovers_of(ranking)[:MOST_CROSSOVERS]:
        axes.axvline(each.batch_size, color=GRID, linewidth=1.2, zorder=0)
    title = ranking.quantity.title
    message = _lead_title(ranking) if len(lines) > 1 else f"{names[0]}: {title} by batch size"
    sentences = " ".join(fill_templates(facts_at(ranking, min(ranking.rows))))
    tick_size = TEXT_SIZE if len(ranking.rows) < 9 else TEXT_SIZE - 1
    return finish(axes, message, f"Line chart of {title} by batch size. {sentences}", tick_size=tick_size)


def _styles(names: Sequence[str], order: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return a style for each name, by its place in `order`, or by its place in `names` if two would share one."""
    kept = list(dict.fromkeys((*order, *names)))
    places = {name: kept.index(name) % len(STYLES) for name in names}
    if len(set(places.values())) < len(names):
        places = {name: place for place, name in enumerate(names)}
    return {name: STYLES[place] for name, place in places.items()}


def _draw_line(axes: Axes, name: str, rows: Sequence[Row], style: dict[str, Any], *, has_band: bool) -> None:
    """Draw a line whose colour and marker identify the subject, and whose dashes identify the origin."""
    first = rows[0].measurement
    sizes = [row.measurement.batch_size for row in rows]
    values = np.array([row.value for row in rows], dtype=np.float64)
    colour = style["color"]
    marks = {"color": colour, "marker": style["marker"], "markeredgecolor": colour}
    label = f"{cut_middle(plain(name).removesuffix(f', {first.origin}'), 40)} ({first.origin})"
    axes.plot(sizes, values, label=label, **marks, **_BY_ORIGIN[first.origin])
    if has_band and first.latency.count:
        slowest = [row.measurement.latency.p90 / row.measurement.latency.p50 for row in rows]
        axes.fill_between(sizes, values, values * slowest, color=colour, alpha=0.15, linewidth=0)


def _scale_axes(axes: Axes, sizes: Sequence[int], quantity: Quantity) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xticks(sizes, [f"{size:,}" for size in sizes])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: round_unit(quantity.text(value))))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("batch size (images at once)")
    axes.set_ylabel(quantity.title)


def _lead_title(ranking: Ranking) -> str:
    title = ranking.quantity.title
    for template, values in lead_facts(ranking):
        by = f", by {title}" if ranking.metric != "latency" else ""  # charts of two metrics need two titles
        return _LEAD_TITLES[template].format(**values) + by
    return f"{title[0].upper()}{title[1:]} by batch size"


@dataclass(frozen=True, kw_only=True)
class Line:
    """A device in a chart of many.

    single: seconds for an image by itself. batched: seconds per image in a batch. None if not recorded.
    """

    name: str
    single: float | None
    batched: float | None


def device_lines(lines: Sequence[Line], axes: Axes, *, batch_size: int, title: str) -> Axes:
    """Draw one line per device, from the top in the order given, on a logarithmic scale of seconds per image."""
    for place, line in enumerate(lines):
        if line.single is not None and line.batched is not None:
            axes.plot((line.batched, line.single), (place, place), color=GRID, linewidth=2, zorder=1)
    for marker, colour, label, values in (
        ("o", BLUE, "one image at a time", [line.single for line in lines]),
        ("D", VERMILLION, f"an image in a batch of {batch_size}", [line.batched for line in lines]),
    ):
        marks = [(value, place) for place, value in enumerate(values) if value is not None]
        if marks:
            across, down = zip(*marks, strict=True)
            axes.scatter(across, down, marker=marker, s=34, color=colour, label=label, zorder=2)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_seconds(value)))
    axes.set_yticks(range(len(lines)), [cut_middle(plain(line.name), 34) for line in lines], parse_math=False)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_xlabel("time of an image (recorded; logarithmic scale)")
    add_legend_below(axes, 2)
    figures = "; ".join(
        f"{plain(line.name)} {_seconds(line.single)} one at a time, {_seconds(line.batched)} in a batch of {batch_size}"
        for line in lines
    )
    return finish(axes, title, f"Each device with two markers: {figures}.", grid="x", tick_size=8.5)


def _seconds(seconds: float | None) -> str:
    return "no figure" if seconds is None else format_seconds(seconds)
