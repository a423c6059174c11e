"""The squirrel."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from workbench.data.animals.figure import Paint, Pen
from workbench.data.animals.limbs import Build, Point, Traits, draw_legs, eye, stance

COAT, SECOND, FACE, DARK = Paint.COAT, Paint.SECOND, Paint.FACE, Paint.DARK


def draw_squirrel(pen: Pen, rng: Random) -> Traits:
    """Draw a bushy tail as large as the body, tufted ears, and paws that may hold a nut."""
    u = rng.uniform
    if rng.random() < 0.72:
        _squirrel_sitting(pen, rng)
        return Traits("side", "sitting", "bushy", "tufted")
    stretch = u(0.9, 1.1)
    rise = u(-0.05, 0.2)
    _bush(pen, rng, [(-0.36, 0.34), (-0.62, 0.44), (-0.86, 0.62 + rise),
                     (-1.12, 0.60 + rise), (-1.30, 0.46 + rise)], (0.07, 0.16, 0.20, 0.17, 0.06))  # fmt: skip
    build = Build((-0.28, 0.28), (0.26, 0.27), (0.13, 0.08, 0.045, 0.04), "paw", 0.16)
    feet = stance(rng, rng.choice(("running", "walking", "standing")), 0.27)
    draw_legs(pen, build, feet, near=False)
    pen.blob([(-0.42, 0.28), (-0.34, 0.44), (-0.08, 0.48), (0.20, 0.44), (0.40 * stretch, 0.42),
              (0.42 * stretch, 0.28), (0.20, 0.19), (-0.10, 0.17), (-0.34, 0.17)], COAT, part="body")  # fmt: skip
    if rng.random() < 0.6:
        pen.blob([(0.38, 0.26), (0.20, 0.185), (-0.10, 0.165), (-0.25, 0.19), (0.10, 0.24)], FACE)
    draw_legs(pen, build, feet, near=True)
    _squirrel_head(pen.at(0.48 * stretch, 0.47, angle=u(-22, 10), size=u(0.20, 0.23)))
    return Traits("side", "running", "bushy", "tufted")


def _squirrel_sitting(pen: Pen, rng: Random) -> None:
    u = rng.uniform
    wide, tall, out = u(0.9, 1.15), u(-0.05, 0.18), u(-0.16, 0.12)
    _bush(
        pen,
        rng,
        [
            (-0.16, 0.08),
            (-0.42, 0.16),
            (-0.54, 0.50),
            (-0.42, 0.86 + tall * 0.6),
            (-0.40 + out * 0.6, 1.06 + tall),
            (-0.56 + out * 1.8, 1.14 + tall),
        ],
        [width * wide for width in (0.05, 0.15, 0.20, 0.20, 0.16, 0.06)],
    )
    pen.ellipse(0.20, 0.04, 0.15, 0.045, COAT, part="leg", shade=0.72)
    arm = u(-0.03, 0.05)
    pen.tube([(0.14, 0.50), (0.30, 0.42), (0.37, 0.54 + arm)], (0.06, 0.048, 0.034), COAT, part="leg", shade=0.74)
    pen.blob([(-0.24, 0.06), (-0.30, 0.26), (-0.20, 0.50), (0.0, 0.70),
              (0.16, 0.72), (0.26, 0.56), (0.25, 0.32), (0.16, 0.08)], COAT, part="body")  # fmt: skip
    if rng.random() < 0.7:
        pen.blob([(0.17, 0.64), (0.265, 0.50), (0.25, 0.28), (0.16, 0.12), (0.10, 0.30), (0.12, 0.50)], FACE)
    pen.ellipse(-0.08, 0.21, 0.19, 0.18, COAT, shade=0.93)
    pen.ellipse(0.10, 0.04, 0.16, 0.05, COAT, part="leg", shade=1.0)
    _squirrel_head(pen.at(0.20 + u(-0.03, 0.04), 0.86, angle=u(-16, 10), size=u(0.21, 0.24)))
    if rng.random() < 0.6:
        pen.ellipse(0.41, 0.57 + arm, 0.06, 0.07, SECOND, angle=20, part="nut", shade=0.8)
    pen.tube([(0.10, 0.52), (0.26, 0.42), (0.37, 0.53 + arm)], (0.065, 0.052, 0.036), COAT, part="leg", shade=1.05)


def _bush(pen: Pen, rng: Random, way: Sequence[Point], widths: Sequence[float]) -> None:
    """Draw a bushy tail: tufts of hair along the way, then the tail itself over their roots."""
    for (x0, y0), (x1, y1), wide in zip(way[1:-1], way[2:], widths[1:-1], strict=True):
        dx, dy = x1 - x0, y1 - y0
        norm = (dx * dx + dy * dy) ** 0.5 or 1.0
        nx, ny = -dy / norm * wide, dx / norm * wide
        for side in (-1, 1):
            out = rng.uniform(1.15, 1.4)
            tip = (x0 + side * nx * out + dx * 0.75, y0 + side * ny * out + dy * 0.75)
            pen.polygon(
                [
                    (x0 + side * nx * 0.2, y0 + side * ny * 0.2),
                    (x0 + side * nx - dx * 0.1, y0 + side * ny - dy * 0.1),
                    tip,
                    (x1, y1),
                ],
                COAT,
                shade=0.9,
            )
    pen.tube(way, widths, COAT, part="tail", shade=0.9, per=5)
    pen.tube(way[1:-1], [width * 0.4 for width in widths[1:-1]], FACE if rng.random() < 0.3 else COAT, shade=1.08)


def _squirrel_head(head: Pen) -> None:
    head.polygon([(-0.30, 0.55), (-0.16, 1.30), (0.20, 0.66)], COAT, part="ear", shade=0.75)
    head.blob([(-0.80, 0.0), (-0.60, 0.52), (-0.10, 0.74), (0.36, 0.58), (0.78, 0.16),
               (0.98, -0.12), (0.78, -0.36), (0.25, -0.58), (-0.45, -0.54)], COAT, part="head")  # fmt: skip
    head.polygon([(-0.56, 0.46), (-0.58, 1.12), (-0.42, 1.42), (-0.30, 1.08), (-0.04, 0.66)], COAT, part="ear")
    eye(head, 0.28, 0.22, 0.15)
    head.ellipse(0.93, -0.10, 0.10, 0.09, DARK, detail=True)
    head.ellipse(0.42, -0.26, 0.30, 0.20, FACE)
    for tip in (0.1, -0.3):
        head.line([(0.66, -0.20), (0.2, tip - 0.1)], 0.04, part="whisker")
