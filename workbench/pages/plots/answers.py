"""What a network answers: the confusion matrix, and images with captions."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from workbench.errors import WorkbenchError
from workbench.pages.chart_style import INK, PAPER, TEXT_SIZE, VERMILLION, aspect_of, finish, plain, short, width_of
from workbench.units import format_share

if TYPE_CHECKING:
    from workbench.training.evaluation import Evaluation

_CELL_RIGHT, _CELL_WRONG = "#005a8e", "#b84a00"  # darker than the palette, because numbers are written on them
_NUMBERS_UP_TO, _NAMES_UP_TO = 15, 30  # classes
_CAPTION_SIZE = 8  # points


def confusion_matrix(evaluation: Evaluation, axes: Axes) -> Axes:
    """Draw how often each class (rows) was answered as each other one (columns), in images.

    The depth of colour grows with the square root of the share of the row, so that one mistake in a hundred shows.
    """
    counts = np.asarray(evaluation.confusion)
    classes = len(counts)
    alphas = np.sqrt(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    for row, column in zip(*counts.nonzero(), strict=True):
        colour, alpha = (_CELL_RIGHT if row == column else _CELL_WRONG), float(alphas[row, column])
        cell = (float(column) - 0.5, float(row) - 0.5)
        axes.add_patch(Rectangle(cell, 1, 1, facecolor=colour, alpha=alpha, linewidth=0))
        if classes <= _NUMBERS_UP_TO:
            ink = PAPER if _needs_white_ink(colour, alpha) else INK
            axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", color=ink, size=8.5)
    axes.set_xlim(-0.5, classes - 0.5)
    axes.set_ylim(classes - 0.5, -0.5)
    axes.set_aspect("equal")
    _class_ticks(axes, evaluation.labels)
    axes.set_xlabel("answer of the network")
    axes.set_ylabel("truth")
    wrong = int(counts.sum() - counts.trace())
    message = f"All {evaluation.count:,} answers are right"
    for truth, answer, count in evaluation.confusions(1):
        share = format_share(count / max(1, int(counts[evaluation.labels.index(truth)].sum())))
        message = f"Most often mistaken: {short(truth)} for {short(answer)} ({count}×, {share})"
    return finish(
        axes,
        message,
        f"Confusion matrix of {classes} classes on {evaluation.count:,} images: {wrong:,} off the diagonal, "
        f"{format_share(evaluation.accuracy)} on it.",
        grid=False,
        tick_size=TEXT_SIZE if classes <= _NUMBERS_UP_TO else 7.0,
    )


def image_grid(
    images: NDArray[np.uint8],
    captions: Sequence[str],
    axes: Axes,
    *,
    title: str = "",
    columns: int | None = None,
    wrong: Sequence[bool] | None = None,
) -> Axes:
    """Draw images, uint8 (N, H, W, C) with 1 or 3 channels, each above its caption.

    wrong: for each image whether to mark it with a frame and ✗ instead of ✓; None for no marks. Raises WorkbenchError
    for other arrays, and unless there is one caption per image.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.dtype != np.uint8 or images.shape[3] not in (1, 3) or not len(images):
        raise WorkbenchError(f"Images must be uint8 (N, H, W, 1 or 3), not {images.dtype} {images.shape}.")
    if len(captions) != len(images) or (wrong is not None and len(wrong) != len(images)):
        raise WorkbenchError(f"{len(images)} images need {len(images)} captions, not {len(captions)}.")
    height = images.shape[1] / images.shape[2]  # in widths of an image
    # An image with its caption is about a quarter taller than the image; the grid takes the shape of the Axes.
    columns = columns or min(len(images), math.ceil(math.sqrt(1.25 * height * len(images) * aspect_of(axes))))
    lines = _caption_lines(captions, axes, columns, has_marks=wrong is not None)
    step = height + 0.08 + max(map(len, lines)) * _line_height(axes, columns)
    for index, image in enumerate(images):
        left, top = 1.1 * (index % columns), step * (index // columns)
        pixels = image if image.shape[2] == 3 else image.repeat(3, axis=2)
        axes.imshow(pixels, extent=(left, left + 1, top + height, top), interpolation="nearest")
        text, weight = "\n".join(lines[index]), "normal"
        if wrong is not None:
            text, weight = (f"✗ {text}", "bold") if wrong[index] else (f"✓ {text}", "normal")
            if wrong[index]:
                frame = Rectangle((left, top), 1, height, fill=False, edgecolor=VERMILLION, linewidth=2.5)
                axes.add_patch(frame)
        axes.text(
            left + 0.5, top + height + 0.04, text, ha="center", va="top", size=_CAPTION_SIZE, color=INK,
            parse_math=False, fontweight=weight, linespacing=1.15,
        )  # fmt: skip
    axes.set_xlim(-0.02, 1.1 * columns - 0.08)
    axes.set_ylim(step * math.ceil(len(images) / columns), -0.02)
    axes.set_aspect("equal")
    axes.set_axis_off()
    return finish(axes, title, f"{len(images)} images: {'; '.join(map(plain, captions))}.", grid=False)


def _class_ticks(axes: Axes, labels: Sequence[str]) -> None:
    """Label every class with its name, or leave the numbers if there are too many."""
    if len(labels) > _NAMES_UP_TO:
        return
    names, is_crowded = [short(label) for label in labels], len(labels) > _NUMBERS_UP_TO
    slant: dict[str, Any] = {"rotation": 90 if is_crowded else 45, "ha": "right", "rotation_mode": "anchor"}
    slant |= {"va": "center"} if is_crowded else {}
    axes.set_xticks(range(len(labels)), names, parse_math=False, **slant)
    axes.set_yticks(range(len(labels)), names, parse_math=False)


def _needs_white_ink(colour: str, alpha: float) -> bool:
    """Return whether white is easier to read than ink on `colour` over white paper (relative luminance, WCAG)."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [(alpha * channel + 1 - alpha) ** 2.2 for channel in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] < 0.21


def _caption_lines(captions: Sequence[str], axes: Axes, columns: int, *, has_marks: bool) -> list[list[str]]:
    width = int(width_of(axes) * 1.25 / columns * 72 / (0.58 * _CAPTION_SIZE)) - (2 if has_marks else 0)
    return [textwrap.wrap(plain(caption), max(6, width))[:3] or [""] for caption in captions]


def _line_height(axes: Axes, columns: int) -> float:
    """Return the height of a line of a caption, in widths of an image."""
    return _CAPTION_SIZE * 1.3 / 72 / (width_of(axes) * 1.2 / (1.1 * columns))
