"""The look that all charts share: palette, sizes, titles, alt text. `plots` draws with it, `page` gives it dark mode.

Colours are those of Okabe & Ito (2008), which colour-blind readers tell apart too.
"""

from __future__ import annotations

import textwrap
from typing import Any, Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, MUTED, GRID, PAPER = "#1f2328", "#57606a", "#d8dee4", "#ffffff"
BLUE, VERMILLION, SKY = "#0072b2", "#d55e00", "#56b4e9"

GREEN, PURPLE, ORANGE = "#007d5a", "#aa4f88", "#9a6700"  # Okabe and Ito's, darkened to 4.5:1 on white where they lacked

# Lines that are told apart without their colours: each has its own marker and dashes.
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
    """A figure of so many inches with one Axes, laid out so that no label is cut off."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def alt_text(axes: Axes) -> str:
    """A sentence or two that say what a function of this module drew: for readers who do not see it."""
    return str(axes.get_label())


def finish(
    axes: Axes, title: str, alt: str, grid: Literal["x", "y", False] = "y", tick_size: float = TEXT_SIZE
) -> Axes:
    """The look that all figures share; the alt text is kept as the Axes' own label."""
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
        room = max(20, int(width_of(axes) * 72 / (0.56 * TITLE_SIZE)))
        axes.set_title(
            _balanced(plain(title), room),
            loc="left",
            size=TITLE_SIZE,
            weight="bold",
            color=INK,
            pad=10,
            parse_math=False,
        )
    axes.set_label(f"{plain(title)}. {alt}" if title else alt)
    return axes


def add_legend(axes: Axes, size: float = TEXT_SIZE, **options: Any) -> None:
    """A legend without a frame, whose words are taken as they are."""
    for text in axes.legend(frameon=False, fontsize=size, labelcolor=INK, **options).get_texts():
        text.set_parse_math(False)


def add_legend_below(axes: Axes, columns: int) -> None:
    """A legend under the whole figure, where it takes no room from the lines."""
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    legend = figure.legend(
        frameon=False, fontsize=TEXT_SIZE - 1, labelcolor=INK, loc="outside lower left", ncols=columns, columnspacing=1
    )
    for text in legend.get_texts():
        text.set_parse_math(False)


def _balanced(text: str, room: int) -> str:
    """Text in as few lines of `room` characters as it needs, all of about the same length."""
    lines = textwrap.wrap(text, room, break_on_hyphens=False)
    while room > 10:
        room -= 1
        narrower = textwrap.wrap(text, room, break_on_hyphens=False)
        if len(narrower) > len(lines):
            break
        lines = narrower
    return "\n".join(lines)


def width_of(axes: Axes) -> float:
    """Width in inches, before the layout makes room for labels."""
    figure = axes.get_figure(root=True)
    return float(axes.get_position().width * figure.get_figwidth()) if figure is not None else 4.0


def aspect_of(axes: Axes) -> float:
    """Width over height, likewise."""
    figure, place = axes.get_figure(root=True), axes.get_position()
    return float(width_of(axes) / (place.height * figure.get_figheight())) if figure is not None else 1.6


def plain(text: str) -> str:
    """One line without control characters."""
    kept = (c if c.isprintable() or c == "\N{NO-BREAK SPACE}" else " " for c in str(text))
    return "".join(kept).strip()


def short(label: str) -> str:
    """One line, of limited length."""
    label = plain(label)
    return label if len(label) <= LONGEST_LABEL else label[: LONGEST_LABEL - 1] + "…"
