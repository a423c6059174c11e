"""Chicken, butterfly and spider."""

from __future__ import annotations

import math
from random import Random

from workbench.data.animals.figure import Paint, Pen
from workbench.data.animals.limbs import Traits, eye

COAT, SECOND, FACE, DARK = Paint.COAT, Paint.SECOND, Paint.FACE, Paint.DARK
LIGHT, RED, HORN, LEG = Paint.LIGHT, Paint.RED, Paint.HORN, Paint.LEG


def draw_chicken(pen: Pen, rng: Random) -> Traits:
    """Draw a hen or a cock: comb, wattle and beak, a plump breast, tail feathers, two thin legs with toes."""
    u = rng.uniform
    cock = rng.random() < 0.4
    pose = rng.choices(("standing", "walking", "pecking"), (3, 3, 2))[0]
    leg = u(0.28, 0.38)
    lift = leg - 0.30
    body = pen.at(0, lift)
    step = u(0.10, 0.17) * (1.6 if pose == "walking" else 1.0) * rng.choice((-1, 1))
    _chicken_leg(pen, (0.04, 0.36 + lift), step, u(0, 0.06) if pose == "walking" else 0.0, 0.78)
    _chicken_tail(body, rng, cock)
    if pose == "pecking":
        head_x, head_y, angle = 0.70 + u(-0.05, 0.05), 0.22 - lift + u(0, 0.12), u(-70, -35)
        neck = [(0.22, 0.60), (0.48, 0.50), (head_x, head_y)]
    else:
        head_x, head_y, angle = 0.40 + u(-0.06, 0.08), 1.06 + u(-0.06, 0.10), u(-12, 12)
        neck = [(0.18, 0.56), (0.33, 0.80), (head_x, head_y)]
    body.blob([(-0.48, 0.70), (-0.24, 0.66), (0.02, 0.68), (0.28, 0.78), (0.46, 0.66),
               (0.44, 0.46), (0.24, 0.30), (-0.08, 0.26), (-0.34, 0.38), (-0.50, 0.54)], COAT, part="body")  # fmt: skip
    body.tube(neck, (0.24, 0.16, 0.10), COAT, part="neck", shade=1.04)
    _chicken_leg(pen, (-0.02, 0.34 + lift), -step * 0.6, 0.0, 1.0)
    _chicken_head(body.at(head_x, head_y, angle=angle, size=u(0.15, 0.17) * (1.15 if cock else 1.0)), cock)
    droop = u(-0.05, 0.05)
    body.blob([(0.20, 0.58), (0.02, 0.64), (-0.26, 0.60),
               (-0.46, 0.50 + droop), (-0.26, 0.42 + droop), (-0.02, 0.38),
               (0.18, 0.46)], SECOND if rng.random() < 0.4 else COAT, part="wing", shade=0.84)  # fmt: skip
    for y in (0.55, 0.48):
        body.line([(0.10, y - 0.02), (-0.12, y - 0.04), (-0.34, y - 0.02 + droop)], 0.02, COAT, shade=0.6)
    return Traits("side", pose, "feathers", "none")


def _chicken_leg(pen: Pen, hip: tuple[float, float], step: float, lifted: float, shade: float) -> None:
    x, y = hip
    foot = x + step + 0.02
    pen.tube([(x, y), (x + step * 0.3, y - 0.12)], (0.10, 0.05), COAT, shade=shade)
    pen.tube(
        [(x + step * 0.3, y - 0.08), (foot, lifted + 0.02)], (0.030, 0.024), LEG, part="leg", shade=shade, detail=True
    )
    for toe in (-0.10, 0.08, 0.15):
        pen.tube(
            [(foot, lifted + 0.035), (foot + toe, lifted + (0.0 if toe != 0.15 else 0.03))],
            (0.022, 0.012),
            LEG,
            shade=shade,
            detail=True,
        )


def _chicken_tail(pen: Pen, rng: Random, cock: bool) -> None:
    u = rng.uniform
    paint = SECOND if rng.random() < 0.5 else COAT
    feathers = rng.randint(5, 6) if cock else rng.randint(4, 5)
    for feather in range(feathers):
        share = feather / (feathers - 1)
        angle = math.radians(150 - 62 * share if not cock else 165 - 75 * share)
        reach = u(0.34, 0.42)
        x, y = -0.40 + 0.14 * share, 0.62
        cos, sin = math.cos(angle), math.sin(angle)
        if cock:  # sickle feathers: up and over
            way = [
                (x, y),
                (x + reach * cos, y + reach * sin),
                (x + reach * 1.5 * cos - 0.16, y + reach * (1.35 * sin)),
                (x + reach * 1.5 * cos - 0.30, y + reach * sin),
            ]
            widths: tuple[float, ...] = (0.06, 0.07, 0.05, 0.012)
        else:
            way = [
                (x, y),
                (x + reach * cos * 0.7, y + reach * sin * 0.7),
                (x + reach * cos * 1.1, y + reach * sin * 1.1),
            ]
            widths = (0.08, 0.085, 0.03)
        pen.tube(way, widths, paint, part="tail feather", shade=0.72 + 0.22 * (feather % 2) + 0.04 * share)


def _chicken_head(head: Pen, cock: bool) -> None:
    comb = 1.25 if cock else 1.0
    for x, y, size in ((-0.42, 0.82, 0.30), (0.0, 1.02, 0.36), (0.44, 0.88, 0.32)):
        head.ellipse(x, y, size * 0.75, size * 1.15 * comb, RED, angle=-14 * x, part="comb lobe")
    head.ellipse(0.52, -0.92 * comb, 0.26, 0.46 * comb, RED, part="wattle")
    head.ellipse(0, 0, 0.92, 0.86, COAT, part="head", shade=1.04)
    head.polygon([(0.66, 0.34), (1.62, -0.06), (0.70, -0.34)], HORN, part="beak", detail=False)
    head.line([(0.72, -0.02), (1.45, -0.06)], 0.07, HORN, shade=0.55)
    eye(head, 0.30, 0.20, 0.18)


def draw_butterfly(pen: Pen, rng: Random) -> Traits:
    """Draw four wings with a border and spots on a thin body with antennae; or two folded pairs, from the side."""
    u = rng.uniform
    shape = [u(0.85, 1.2) for _ in range(6)]
    pattern = _WingPattern(
        border=rng.random() < 0.7, spots=rng.randint(0, 3), eye=rng.random() < 0.5, veins=rng.random() < 0.5
    )
    hind_paint = COAT if rng.random() < 0.6 else SECOND
    if rng.random() < 0.18:
        pen = pen.at(0, 0, angle=u(-30, 40))
        far = pen.at(0.10, -0.02, angle=-u(10, 18))
        _wing(far, shape, pattern, COAT, hind=False, shade=0.72)
        _wing(far, shape, pattern, hind_paint, hind=True, shade=0.68)
        _wing(pen.at(0, 0, angle=u(8, 20)), shape, pattern, COAT, hind=False, shade=1.0)
        _wing(pen.at(0, 0, angle=u(8, 20)), shape, pattern, hind_paint, hind=True, shade=0.96)
        body = pen.at(0.02, -0.04, angle=-72)
        _butterfly_body(body, rng, 0.8, side=True)
        return Traits("side", "folded", "none", "none")
    pen = pen.at(0, 0, angle=u(-55, 55))
    spread = u(-10, 14)
    squeeze = u(0.6, 1.0) if rng.random() < 0.35 else 1.0
    for mirror in (False, True):
        half = pen.at(0, 0, mirror=mirror, angle=-spread if mirror else spread)
        # One side may be foreshortened: the butterfly has turned away.
        ratio = squeeze if mirror else 1.0
        _wing(half, shape, pattern, hind_paint, hind=True, shade=0.94, wide=ratio)
        _wing(half, shape, pattern, COAT, hind=False, shade=1.0, wide=ratio)
    _butterfly_body(pen, rng, 1.0, side=False)
    return Traits("top", "spread", "none", "none")


class _WingPattern:
    def __init__(self, *, border: bool, spots: int, eye: bool, veins: bool) -> None:
        self.border, self.spots, self.eye, self.veins = border, spots, eye, veins


_FORE = ((0.02, 0.02), (0.16, 0.44), (0.56, 0.80), (0.92, 0.84), (0.96, 0.56), (0.72, 0.20), (0.30, 0.0))
_HIND = ((0.02, 0.06), (0.36, 0.10), (0.68, -0.06), (0.72, -0.40), (0.48, -0.72), (0.24, -0.60), (0.06, -0.24))


def _wing(
    pen: Pen,
    shape: list[float],
    pattern: _WingPattern,
    paint: Paint,
    *,
    hind: bool,
    shade: float,
    wide: float = 1.0,
) -> None:
    base = _HIND if hind else _FORE
    stretch_x, stretch_y = (shape[0], shape[1]) if not hind else (shape[2], shape[3])
    points = [(x * stretch_x * wide, y * stretch_y) for x, y in base]
    if hind and shape[4] > 1.08:  # swallowtail
        points.insert(5, (0.44 * stretch_x * wide, -1.0 * stretch_y))
    centre_x = sum(x for x, _ in points) / len(points)
    centre_y = sum(y for _, y in points) / len(points)

    def inside(scale: float) -> list[tuple[float, float]]:
        return [(centre_x + (x - centre_x) * scale, centre_y + (y - centre_y) * scale) for x, y in points]

    if pattern.border:
        pen.blob(points, DARK, part="wing", shade=shade)
        inner = [(x * 0.82 + 0.02, y * 0.82 + (0.01 if not hind else 0.0)) for x, y in points]
        pen.blob(inner, paint, shade=shade)
    else:
        pen.blob(points, paint, part="wing", shade=shade)
        if shape[5] > 1.0:
            pen.blob(inside(0.55), SECOND if paint is COAT else COAT, shade=shade)
    if pattern.veins:
        for x, y in points[2:5]:
            pen.line([(0.08 * wide, 0.02), (x * 0.86, y * 0.86)], 0.025)
    for spot in range(pattern.spots):
        x, y = points[2 + spot]
        pen.ellipse(x * 0.90, y * 0.90, 0.055 * wide, 0.055, LIGHT, shade=shade)
    if pattern.eye and not hind:
        pen.ellipse(centre_x * 1.25, centre_y * 1.15, 0.15 * wide, 0.15, DARK)
        pen.ellipse(centre_x * 1.25, centre_y * 1.15, 0.08 * wide, 0.08, LIGHT)
    elif pattern.eye:
        pen.ellipse(centre_x * 1.1, centre_y * 1.1, 0.12 * wide, 0.12, SECOND)


def _butterfly_body(pen: Pen, rng: Random, size: float, *, side: bool) -> None:
    u = rng.uniform
    pen.tube([(0, 0.30 * size), (0, 0.0), (0, -0.46 * size)], (0.055, 0.065, 0.03), DARK, part="body", shade=0.8)
    pen.ellipse(0, 0.37 * size, 0.065, 0.065, DARK, part="head", shade=0.8)
    reach, out = u(0.36, 0.5), u(0.16, 0.34)
    for sign in (-1, 1):
        tilt = out * sign if not side else out * 0.5 * sign + 0.1
        tip = (tilt, 0.40 * size + reach)
        pen.line([(0.02 * sign, 0.40 * size), (tilt * 0.5, 0.40 * size + reach * 0.6), tip], 0.028, part="antenna")
        pen.ellipse(*tip, 0.035, 0.035, DARK)


def draw_spider(pen: Pen, rng: Random) -> Traits:
    """Draw a round abdomen, a small front body and eight bent legs; sometimes on a thread."""
    u = rng.uniform
    if rng.random() < 0.3:
        return _spider_front(pen, rng)
    hanging = rng.random() < 0.25
    pen = pen.at(0, 0, angle=180 + u(-15, 15) if hanging else u(-60, 60))
    long, thick = u(0.8, 1.15), u(0.022, 0.038)
    if hanging:
        pen.line([(0, -0.5), (0, -1.5)], 0.02, LIGHT, part="thread", shade=0.9)
    paint = COAT if rng.random() < 0.6 else DARK
    _spider_legs(pen, rng, long, thick, paint)
    fat = u(0.24, 0.34)
    pen.ellipse(0, -0.08 - fat, fat * u(0.85, 1.0), fat * 1.15, COAT, part="abdomen")
    _spider_marks(pen, rng.randrange(4), fat)
    pen.ellipse(0, 0.14, 0.165, 0.19, COAT, part="head", shade=0.9)
    for x, y, size in ((0.055, 0.26, 0.034), (0.11, 0.20, 0.024)):
        for side in (-1, 1):
            pen.ellipse(x * side, y, size, size, LIGHT, part="eye")
    for side in (-1, 1):
        pen.tube([(0.05 * side, 0.30), (0.07 * side, 0.38), (0.03 * side, 0.44)], (0.03, 0.025, 0.012), paint)
    return Traits("top", "hanging" if hanging else "crouching", "none", "none")


def _spider_legs(pen: Pen, rng: Random, long: float, thick: float, paint: Paint) -> None:
    u = rng.uniform
    # Angles of knee and foot from straight ahead: two pairs reach forward, two back.
    for mirror in (False, True):
        half = pen.at(0, 0.14, mirror=mirror)
        for knee, foot, reach in ((46, 14, 1.06), (76, 54, 0.88), (104, 126, 0.86), (134, 165, 1.06)):
            sway, reach = u(-6, 6), reach * long * u(0.92, 1.08)
            root, bent = math.radians(0.5 * (knee + foot)), math.radians(knee + sway)
            tip = math.radians(foot + sway + u(-5, 5))
            half.tube(
                [
                    (0.11 * math.sin(root), 0.14 * math.cos(root)),
                    (0.58 * reach * math.sin(bent), 0.58 * reach * math.cos(bent)),
                    (reach * math.sin(tip), reach * math.cos(tip)),
                ],
                (thick * 1.3, thick * 1.15, thick * 0.6),
                paint,
                part="leg",
                shade=0.86,
                detail=True,
            )


def _spider_marks(pen: Pen, mark: int, fat: float) -> None:
    if mark == 0:
        pen.ellipse(0, -0.08 - fat, fat * 0.28, fat * 0.8, SECOND)
    elif mark == 1:
        for down in (0.4, 0.95, 1.5):
            pen.ellipse(0, -0.10 - fat * down, fat * (0.62 - 0.3 * abs(down - 0.95)), fat * 0.13, SECOND)
    elif mark == 2:
        for side in (-1, 1):
            for down in (0.6, 1.25):
                pen.ellipse(fat * 0.34 * side, -0.08 - fat * down, fat * 0.16, fat * 0.2, SECOND)


def _spider_front(pen: Pen, rng: Random) -> Traits:
    """Draw it from the front: the four knees on each side are higher than the body."""
    u = rng.uniform
    high, thick = u(0.26, 0.42), u(0.018, 0.032)
    paint = COAT if rng.random() < 0.6 else DARK
    fat = u(0.24, 0.33)
    # From the hind legs, which are farthest away, to the front legs.
    legs = [(0.60, 0.74, 0.14), (1.36, 0.60, 0.08), (1.04, 0.44, 0.03), (0.62, 0.24, 0.0)]
    spread, lean = u(0.85, 1.1), u(-0.08, 0.08)

    def draw(foot: float, knee: float, far: float) -> None:
        for side in (-1, 1):
            foot_x = side * foot * spread + lean + u(-0.05, 0.05)
            way = [
                (side * 0.12, high),
                (side * foot * spread * 0.52 + lean * 0.5, high + knee * u(0.85, 1.1)),
                (foot_x * 0.86, high * 0.6 + far),
                (foot_x, far + u(0.0, 0.03)),
            ]
            pen.tube(
                way,
                (thick * 1.3, thick * 1.2, thick, thick * 0.55),
                paint,
                part="leg",
                shade=0.97 - 1.4 * far,
                detail=True,
            )

    for leg in legs[:3]:
        draw(*leg)
    pen.ellipse(lean * 0.5, high + fat * 0.55, fat * 1.05, fat * u(0.85, 1.0), COAT, part="abdomen", shade=0.85)
    if rng.random() < 0.5:
        pen.ellipse(lean * 0.5, high + fat * 1.0, fat * 0.5, fat * 0.22, SECOND)
    draw(*legs[3])
    pen.ellipse(0, high - 0.02, 0.20, 0.165, COAT, part="head", shade=1.05)
    for x, y, size in ((0.065, 0.05, 0.056), (0.15, 0.065, 0.038)):
        for side in (-1, 1):
            pen.ellipse(x * side, high + y, size, size, LIGHT, part="eye")
            pen.ellipse(x * side, high + y, size * 0.5, size * 0.5, DARK, shade=0.5, detail=True)
    for side in (-1, 1):
        pen.tube([(0.05 * side, high - 0.12), (0.055 * side, high - 0.24)], (0.035, 0.012), paint, shade=0.8)
    return Traits("front", "standing", "none", "none")
