"""What a network says of pictures: the pictures themselves, and how its answers spread."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from workbench.chart_style import (
    INK,
    PAPER,
    TEXT_SIZE,
    VERMILLION,
    aspect_of,
    finish,
    plain,
    short,
    width_of,
)
from workbench.errors import WorkbenchError
from workbench.units import format_share

if TYPE_CHECKING:
    from workbench.evaluation import Evaluation


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


_CELL_RIGHT, _CELL_WRONG = "#005a8e", "#b84a00"  # darker than the palette: numbers are written on them


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
