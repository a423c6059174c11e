"""Many devices, one line each: how quickly they answer one picture, and how quickly one of many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from workbench.chart_style import BLUE, GRID, VERMILLION, add_legend_below, finish, plain
from workbench.units import format_seconds


@dataclass(frozen=True, kw_only=True)
class Line:
    """A device by name. one: seconds to answer one picture; many: seconds a picture when `count` are handed over at
    once; None where that was not recorded."""

    name: str
    one: float | None
    many: float | None


def device_lines(lines: Sequence[Line], axes: Axes, *, count: int, title: str) -> Axes:
    """Draw the devices from the top in the order given, on a scale of seconds that is logarithmic."""
    for place, line in enumerate(lines):
        if line.one is not None and line.many is not None:
            axes.plot((line.many, line.one), (place, place), color=GRID, linewidth=2, zorder=1)
    for marker, colour, label, values in (
        ("o", BLUE, "one picture at a time", [line.one for line in lines]),
        ("D", VERMILLION, f"a picture of {count} at once", [line.many for line in lines]),
    ):
        found = [(value, place) for place, value in enumerate(values) if value is not None]
        if found:
            across, down = zip(*found, strict=True)
            axes.scatter(across, down, marker=marker, s=34, color=colour, label=label, zorder=2)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: format_seconds(value)))
    axes.set_yticks(range(len(lines)), [_cut(line.name) for line in lines], parse_math=False)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_xlabel("time of a picture (recorded; logarithmic scale)")
    add_legend_below(axes, 2)
    said = "; ".join(
        f"{plain(line.name)} {'no figure' if line.one is None else format_seconds(line.one)} one at a time, "
        f"{'no figure' if line.many is None else format_seconds(line.many)} of {count}"
        for line in lines
    )
    return finish(axes, title, f"Each device with two marks: {said}.", grid="x", tick_size=8.5)


def _cut(name: str) -> str:
    name = plain(name)
    return name if len(name) <= 34 else f"{name[:19]}…{name[-14:]}"
