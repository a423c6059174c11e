"""Shapes: an animal is a list of filled outlines, from back to front, in its own plane (x right, y up).

Every shape carries its colour and its part of the body, so that the attributes of an image are counted from what was
drawn rather than declared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Points = NDArray[np.float64]


class Paint(IntEnum):
    """What a shape is painted with; the scene chooses the colours."""

    COAT = 0
    SECOND = 1  # mane, patches, wing borders
    FACE = 2
    DARK = 3  # eyes, noses, hooves
    PINK = 4
    LIGHT = 5  # tusks, eye whites
    RED = 6
    HORN = 7  # horns and beaks
    LEG = 8  # bare legs: a chicken's
    IRIS = 9


class Shape(NamedTuple):
    """One filled outline, or an open line when `width` is above 0."""

    points: Points  # (n, 2)
    paint: Paint
    shade: float  # brightness relative to the paint: 1 is the paint itself
    part: str  # the part of the body, to be counted, or "" for a detail
    width: float  # of a line, in the animal's units
    detail: bool  # too small for an outline: solid ink in a line drawing


@lru_cache(maxsize=64)
def _closed_basis(count: int, per: int) -> Points:
    """Return the matrix (count * per, count) from control points to a closed Catmull-Rom curve through them."""
    basis = np.zeros((count * per, count))
    for segment in range(count):
        for step in range(per):
            for offset, weight in zip((-1, 0, 1, 2), _catmull_rom(step / per), strict=True):
                basis[segment * per + step, (segment + offset) % count] += weight
    return basis


@lru_cache(maxsize=64)
def _open_basis(count: int, per: int) -> Points:
    """Return the matrix from control points to an open curve through them, stacked on that to its direction."""
    basis = np.zeros(((count - 1) * per + 1, count))
    for row in range(len(basis)):
        segment = min(row // per, count - 2)
        weights = _catmull_rom(row / per - segment)
        for offset, weight in zip((-1, 0, 1, 2), weights, strict=True):
            # The curve is extended linearly beyond either end.
            column = segment + offset
            if column < 0:
                basis[row, 0] += 2 * weight
                basis[row, 1] -= weight
            elif column >= count:
                basis[row, count - 1] += 2 * weight
                basis[row, count - 2] -= weight
            else:
                basis[row, column] += weight
    slope = np.asarray(np.gradient(basis, axis=0))
    return np.concatenate([basis, slope])


def _catmull_rom(t: float) -> tuple[float, float, float, float]:
    return (
        (-t + 2 * t**2 - t**3) / 2,
        (2 - 5 * t**2 + 3 * t**3) / 2,
        (t + 4 * t**2 - 3 * t**3) / 2,
        (-(t**2) + t**3) / 2,
    )


@lru_cache(maxsize=8)
def _circle(count: int) -> Points:
    angles = np.arange(count) * (2 * math.pi / count)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


_LEFT = np.array([-1.0, 1.0])  # reversing (x, y) and multiplying by this turns it 90° to the left


class Pen:
    """Draws shapes into a shared list, in a coordinate frame that may be moved, rotated, scaled or mirrored."""

    def __init__(self, shapes: list[Shape], matrix: Points | None = None, origin: Points | None = None) -> None:
        self.shapes = shapes
        self._matrix = matrix
        self._origin = np.zeros(2) if origin is None else origin

    def at(self, x: float, y: float, *, angle: float = 0.0, size: float = 1.0, mirror: bool = False) -> Pen:
        """Return a pen with its origin at (x, y), rotated by `angle` degrees anticlockwise and scaled by `size`."""
        cos, sin = size * math.cos(math.radians(angle)), size * math.sin(math.radians(angle))
        matrix = np.array([[cos, sin], [-sin, cos]])
        if mirror:
            matrix[0] = -matrix[0]
        return Pen(
            self.shapes,
            matrix if self._matrix is None else matrix @ self._matrix,
            self._place(np.array([(x, y)]))[0],
        )

    def polygon(
        self, points: ArrayLike, paint: Paint, *, part: str = "", shade: float = 1.0, detail: bool = False
    ) -> None:
        """Draw a polygon through the points (n, 2)."""
        placed = self._place(np.asarray(points, dtype=np.float64))
        self.shapes.append(Shape(placed, paint, shade, part, 0.0, detail))

    def blob(
        self, points: ArrayLike, paint: Paint, *, part: str = "", shade: float = 1.0, detail: bool = False, per: int = 4
    ) -> None:
        """Draw a smooth closed outline through the points (n, 2)."""
        control = np.asarray(points, dtype=np.float64)
        self.polygon(_closed_basis(len(control), per) @ control, paint, part=part, shade=shade, detail=detail)

    def ellipse(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        paint: Paint,
        *,
        angle: float = 0.0,
        part: str = "",
        shade: float = 1.0,
        detail: bool = False,
    ) -> None:
        """Draw an ellipse about (x, y) with the semi-axes `width` and `height`, rotated by `angle` degrees."""
        points = _circle(18 if max(width, height) > 0.1 else 10) * np.array((width, height))
        if angle:
            cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            points = points @ np.array([[cos, sin], [-sin, cos]])
        self.polygon(points + np.array((x, y)), paint, part=part, shade=shade, detail=detail)

    def tube(
        self,
        points: ArrayLike,
        widths: Sequence[float],
        paint: Paint,
        *,
        part: str = "",
        shade: float = 1.0,
        detail: bool = False,
        per: int = 4,
    ) -> None:
        """Draw a limb: a smooth line through the points (n, 2) with a half width at each, rounded at both ends."""
        control = np.empty((len(widths), 3))
        control[:, :2], control[:, 2] = points, widths
        curve = _open_basis(len(control), per) @ control
        count = len(curve) // 2
        centre, half, along = curve[:count, :2], curve[:count, 2:], curve[count:, :2]
        along *= half / np.sqrt((along * along).sum(axis=1, keepdims=True) + 1e-18)
        side = along[:, ::-1] * _LEFT
        outline = np.empty((2 * count + 2, 2))
        outline[0] = centre[0] - along[0] * 0.8
        outline[1 : count + 1] = centre + side
        outline[count + 1] = centre[-1] + along[-1] * 0.8
        outline[count + 2 :] = (centre - side)[::-1]
        self.polygon(outline, paint, part=part, shade=shade, detail=detail)

    def line(
        self, points: ArrayLike, width: float, paint: Paint = Paint.DARK, *, part: str = "", shade: float = 1.0
    ) -> None:
        """Draw a thin smooth line through the points (n, 2), `width` units wide."""
        control = np.asarray(points, dtype=np.float64)
        if len(control) > 2:
            control = _open_basis(len(control), 4)[: 4 * len(control) - 3] @ control
        scale = 1.0 if self._matrix is None else float(np.hypot(*self._matrix[0]))
        self.shapes.append(Shape(self._place(control), paint, shade, part, width * scale, True))

    def _place(self, points: Points) -> Points:
        return points + self._origin if self._matrix is None else points @ self._matrix + self._origin
