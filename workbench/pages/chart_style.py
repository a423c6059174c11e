"""The look shared by all charts: palette, sizes, titles, alt text. `html` maps the palette to light and dark schemes.

The colours are those of Okabe & Ito (2008), which remain distinct for colour-blind readers.
"""

from __future__ import annotations

import textwrap
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

INK, MUTED, GRID, PAPER = "#1f2328", "#57606a", "#d8dee4", "#ffffff"
BLUE, VERMILLION, SKY = "#0072b2", "#d55e00", "#56b4e9"
# Okabe and Ito's green, purple and orange, darkened to a contrast of 4.5:1 on white.
GREEN, PURPLE, ORANGE = "#007d5a", "#aa4f88", "#9a6700"

# Each line also has its own marker and dashes, so that lines remain distinct without colour.
STYLES: tuple[dict[str, Any], ...] = (
    {"color": BLUE, "marker": "o", "linestyle": "-"},
    {"color": VERMILLION, "marker": "s", "linestyle": "--"},
    {"color": GREEN, "marker": "^", "linestyle": "-."},
    {"color": PURPLE, "marker": "D", "linestyle": ":"},
    {"color": ORANGE, "marker": "v", "linestyle": (0, (5, 1, 1, 1, 1, 1))},
    {"color": INK, "marker": "P", "linestyle": (0, (8, 2))},
    {"color": SKY, "marker": "X", "linestyle": (0, (1, 1))},
    {"color": MUTED, "marker": "*", "linestyle": (0, (3, 1, 1, 1))},
    {"color": BLUE, "marker": "<", "linestyle": "--"},
    {"color": VERMILLION, "marker": ">", "linestyle": "-."},
    {"color": GREEN, "marker": "p", "linestyle": ":"},
    {"color": PURPLE, "marker": "h", "linestyle": "-"},
)

TEXT_SIZE, TITLE_SIZE = 9.5, 11.0
LONGEST_LABEL = 18


def new_figure(width: float = 4.8, height: float = 3.4) -> tuple[Figure, Axes]:
    """Return a figure of this size in inches with one Axes, laid out so that no label is cut off."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def alt_text(axes: Axes) -> str:
    """Return the description of a finished chart for readers who do not see it."""
    return str(axes.get_label())


def finish(
    axes: Axes, title: str, alt: str, grid: Literal["x", "y", False] = "y", tick_size: float = TEXT_SIZE
) -> Axes:
    """Apply the shared look, and keep the alt text as the label of the Axes."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GRID)
    if grid:
        axes.grid(axis=grid, color=GRID, linewidth=0.8)
        axes.spines["left" if grid == "y" else "bottom"].set_visible(False)
    axes.set_axisbelow(True)
    axes.tick_params(colors=MUTED, labelcolor=INK, labelsize=tick_size, length=0)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=MUTED, size=TEXT_SIZE, parse_math=False)
    for text in axes.texts:
        text.set_parse_math(False)
    if title:
        # An average character is 0.56 times as wide as the font size.
        characters = max(20, int(width_of(axes) * 72 / (0.56 * TITLE_SIZE)))
        look: dict[str, Any] = {"size": TITLE_SIZE, "weight": "bold", "color": INK, "parse_math": False}
        axes.set_title(_balanced(plain(title), characters), loc="left", pad=10, **look)
    axes.set_label(f"{plain(title)}. {alt}" if title else alt)
    return axes


def percent_formatter() -> PercentFormatter:
    """Return a formatter for an axis of shares from 0 to 1."""
    return PercentFormatter(1, symbol="\N{NO-BREAK SPACE}%")


def add_legend(axes: Axes, size: float = TEXT_SIZE, **options: Any) -> None:
    """Add a legend without a frame, its text verbatim."""
    for text in axes.legend(frameon=False, fontsize=size, labelcolor=INK, **options).get_texts():
        text.set_parse_math(False)


def add_legend_below(axes: Axes, columns: int) -> None:
    """Add a legend below the whole figure, where it takes no space from the lines."""
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    legend = figure.legend(
        frameon=False, fontsize=TEXT_SIZE - 1, labelcolor=INK, loc="outside lower left", ncols=columns, columnspacing=1
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _balanced(text: str, width: int) -> str:
    """Wrap text to as few lines of `width` characters as possible, all of about the same length."""
    lines = textwrap.wrap(text, width, break_on_hyphens=False)
    while width > 10:
        width -= 1
        narrower = textwrap.wrap(text, width, break_on_hyphens=False)
        if len(narrower) > len(lines):
            break
        lines = narrower
    return "\n".join(lines)


def width_of(axes: Axes) -> float:
    """Return the width in inches, before the layout makes space for labels."""
    figure = axes.get_figure(root=True)
    return float(axes.get_position().width * figure.get_figwidth()) if figure is not None else 4.0


def aspect_of(axes: Axes) -> float:
    """Return width over height, before the layout makes space for labels."""
    figure, box = axes.get_figure(root=True), axes.get_position()
    return float(width_of(axes) / (box.height * figure.get_figheight())) if figure is not None else 1.6


def plain(text: str) -> str:
    """Return text on one line, without control characters."""
    kept = (c if c.isprintable() or c == "\N{NO-BREAK SPACE}" else " " for c in str(text))
    return "".join(kept).strip()


def short(label: str) -> str:
    """Return a label on one line, cut at the end to LONGEST_LABEL characters."""
    label = plain(label)
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"


def cut_middle(name: str, length: int) -> str:
    """Return a name cut in the middle, because either end may tell it from another one."""
    if len(name) <= length:
        return name
    end = 3 * length // 7
    return f"{name[: length - 1 - end]}…{name[-end:]}"


def round_unit(text: str) -> str:
    """Return a tick label without trailing zeros: "1 MB", not "1.00 MB"."""
    number, _, unit = text.replace(",", "").partition("\N{NO-BREAK SPACE}")
    try:
        return f"{float(number):g}\N{NO-BREAK SPACE}{unit}"
    except ValueError:
        return text
