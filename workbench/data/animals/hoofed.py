"""Horse, cow and sheep."""

from __future__ import annotations

import math
from random import Random

from workbench.data.animals.figure import Paint, Pen
from workbench.data.animals.limbs import Build, Traits, draw_legs, eye, stance

COAT, SECOND, FACE, DARK = Paint.COAT, Paint.SECOND, Paint.FACE, Paint.DARK
PINK, LIGHT, HORN = Paint.PINK, Paint.LIGHT, Paint.HORN


def draw_horse(pen: Pen, rng: Random) -> Traits:
    """Draw long legs, an arched neck with a mane, a long face and a tail of hair."""
    u = rng.uniform
    pose = rng.choices(("standing", "walking", "running", "grazing"), (3, 3, 2, 2))[0]
    leg = u(0.56, 0.66)
    lift = leg - 0.55
    build = Build((-0.43, 0.78 + lift), (0.34, 0.74 + lift), (0.13, 0.085, 0.042, 0.036), "hoof", 0.09)
    feet = stance(rng, pose, leg)
    body = pen.at(0, lift)
    _horse_tail(body, rng, pose)
    draw_legs(pen, build, feet, near=False)
    if pose == "grazing":
        poll, angle = (0.86 + u(-0.06, 0.04), 0.36 - lift + u(0, 0.1)), u(-78, -60)
        neck = [(0.30, 0.80), (0.58, 0.66), poll]
    else:
        poll = (0.70 + u(-0.06, 0.08), 1.30 + u(-0.08, 0.08))
        angle = u(-52, -30)
        neck = [(0.30, 0.78), (0.50, 1.03), poll]
    # The crest is on the upper side of the neck, to the left of the line from chest to poll.
    crest = [(x - 0.09, y + 0.10) if pose != "grazing" else (x + 0.02, y + 0.13) for x, y in neck]
    crest[0] = (0.20, 0.95)
    body.tube([crest[0], crest[1], (poll[0] - 0.02, poll[1] + 0.1)], (0.03, 0.085, 0.05), SECOND, part="mane")
    body.tube(neck, (0.20, 0.155, 0.105), COAT, part="neck")
    top = u(-0.02, 0.02)
    body.blob([(-0.60, 0.80), (-0.53, 0.95), (-0.30, 1.01), (0.0, 0.94 + top),
               (0.22, 0.98), (0.42, 0.92), (0.53, 0.77), (0.44, 0.61),
               (0.18, 0.52), (-0.15, 0.54), (-0.38, 0.62), (-0.54, 0.66)], COAT, part="body")  # fmt: skip
    draw_legs(pen, build, feet, near=True)
    head = body.at(*poll, angle=angle, size=u(0.50, 0.56))
    head.polygon([(-0.02, 0.12), (-0.12, 0.44), (0.14, 0.20)], COAT, part="ear", shade=0.8)
    head.blob([(-0.12, 0.08), (0.02, 0.22), (0.28, 0.20), (0.62, 0.11),
               (0.90, 0.10), (1.02, -0.02), (0.97, -0.14), (0.78, -0.15),
               (0.52, -0.12), (0.26, -0.27), (0.0, -0.22)], COAT, part="head")  # fmt: skip
    if rng.random() < 0.5:
        head.blob([(0.80, 0.12), (1.02, 0.02), (0.97, -0.14), (0.80, -0.15), (0.74, 0.0)], FACE)
    elif rng.random() < 0.5:
        head.blob([(0.12, 0.20), (0.5, 0.16), (0.80, 0.11), (0.5, 0.08), (0.2, 0.12)], LIGHT)
    head.polygon([(-0.06, 0.14), (0.02, 0.48), (0.17, 0.18)], COAT, part="ear", shade=1.05)
    head.blob([(-0.05, 0.24), (0.12, 0.25), (0.30, 0.10), (0.14, 0.13), (-0.08, 0.04)], SECOND)  # forelock
    eye(head, 0.28, 0.05, 0.062)
    head.ellipse(0.90, -0.01, 0.045, 0.03, DARK, detail=True)
    head.line([(0.98, -0.09), (0.88, -0.08), (0.80, -0.07)], 0.025)
    return Traits("side", pose, "hair", "pointed")


def _horse_tail(pen: Pen, rng: Random, pose: str) -> None:
    u = rng.uniform
    if pose == "running":
        way = [(-0.54, 0.92), (-0.74, 0.98 + u(-0.05, 0.08)), (-0.95, 0.88), (-1.12, 0.74 + u(-0.1, 0.1))]
    else:
        sway = u(-0.04, 0.10)
        way = [(-0.54, 0.92), (-0.70, 0.82), (-0.74 - sway, 0.52), (-0.72 - sway * 1.6, 0.22)]
    pen.tube(way, (0.045, 0.075, 0.10, 0.035), SECOND, part="tail")


def draw_cow(pen: Pen, rng: Random) -> Traits:
    """Draw a deep square body on short legs, horns, ears held sideways, an udder and a tail with a tuft."""
    u = rng.uniform
    pose = rng.choices(("standing", "walking", "grazing"), (4, 3, 2))[0]
    leg = u(0.40, 0.48)
    lift = leg - 0.40
    build = Build((-0.50, 0.66 + lift), (0.40, 0.60 + lift), (0.14, 0.085, 0.052, 0.050), "hoof", 0.06)
    feet = stance(rng, pose, leg)
    body = pen.at(0, lift)
    sway = u(-0.02, 0.14)
    body.tube([(-0.62, 0.90), (-0.71 - sway * 0.5, 0.78), (-0.73 - sway, 0.48)], (0.03, 0.024, 0.02), COAT, part="tail")
    body.ellipse(-0.735 - sway * 1.15, 0.38, 0.045, 0.10, SECOND, angle=-8)
    draw_legs(pen, build, feet, near=False)
    front = pose != "grazing" and rng.random() < 0.45
    poll = (0.80, 0.52 - lift) if pose == "grazing" else (0.74 + u(-0.04, 0.06), 0.98 + u(-0.10, 0.08))
    body.tube([(0.38, 0.72), (0.58, (0.74 + poll[1]) / 2 - 0.02), poll], (0.25, 0.20, 0.14), COAT, part="neck")
    body.ellipse(-0.32, 0.37, 0.13, 0.11, PINK, part="udder")
    for x in (-0.39, -0.28):
        body.tube([(x, 0.33), (x, 0.24)], (0.028, 0.022), PINK, shade=0.92)
    body.blob([(-0.67, 0.80), (-0.62, 0.95), (-0.42, 0.94),
               (-0.1, 0.91 + u(-0.02, 0.01)), (0.25, 0.94), (0.48, 0.96),
               (0.60, 0.80), (0.57, 0.55), (0.38, 0.41),
               (-0.05, 0.37 + u(-0.03, 0.02)), (-0.40, 0.43), (-0.64, 0.54)], COAT, part="body")  # fmt: skip
    draw_legs(pen, build, feet, near=True)
    horned = rng.random() < 0.8
    if front:
        _cow_face(body.at(poll[0] + 0.04, poll[1] - 0.02, angle=u(-8, 8), size=u(0.27, 0.31)), rng, horned)
    else:
        angle = u(-75, -60) if pose == "grazing" else u(-48, -28)
        _cow_head(body.at(*poll, angle=angle, size=u(0.44, 0.50)), rng, horned)
    return Traits("side", pose, "tufted", "sideways")


def _cow_head(head: Pen, rng: Random, horned: bool) -> None:
    u = rng.uniform
    curl = u(0.0, 0.15)
    if horned:
        head.tube([(0.06, 0.20), (0.10, 0.44), (0.26 + curl, 0.56)], (0.08, 0.07, 0.025), HORN, part="horn", shade=0.85)
    head.blob([(-0.02, 0.10), (-0.25, 0.24), (-0.38, 0.12), (-0.22, 0.0)], COAT, part="ear", shade=0.8)
    head.blob([(-0.16, 0.0), (-0.04, 0.24), (0.24, 0.24), (0.58, 0.15),
               (0.88, 0.16), (1.0, 0.02), (0.96, -0.18), (0.74, -0.22),
               (0.50, -0.20), (0.22, -0.30), (-0.04, -0.24)], COAT, part="head")  # fmt: skip
    head.blob([(0.70, 0.16), (0.90, 0.17), (1.03, 0.02), (0.97, -0.19), (0.74, -0.23), (0.64, -0.03)], PINK)
    head.ellipse(0.88, 0.04, 0.05, 0.04, DARK, detail=True)
    head.line([(0.98, -0.12), (0.84, -0.12), (0.72, -0.09)], 0.03)
    eye(head, 0.28, 0.08, 0.068)
    if horned:
        head.tube([(0.10, 0.20), (0.18, 0.46), (0.40 + curl, 0.56)], (0.085, 0.075, 0.025), HORN, part="horn")
    head.blob([(0.0, 0.10), (-0.16, 0.20), (-0.40, 0.10), (-0.30, -0.06), (-0.06, -0.02)], COAT, part="ear", shade=1.05)


def _cow_face(head: Pen, rng: Random, horned: bool) -> None:
    u = rng.uniform
    curl = u(-0.1, 0.15)
    for mirror in (False, True):
        half = head.at(0, 0, mirror=mirror)
        if horned:
            half.tube(
                [(0.28, 0.62), (0.62, 0.80), (0.62 - curl, 1.20)], (0.12, 0.10, 0.03), HORN, part="horn", shade=1.0
            )
        half.blob([(0.38, 0.50), (0.72, 0.66), (1.08, 0.44), (0.82, 0.24), (0.45, 0.26)], COAT, part="ear", shade=0.9)
        half.blob([(0.55, 0.47), (0.78, 0.54), (0.96, 0.43), (0.78, 0.34)], PINK)
    head.blob([(0.0, 0.72), (0.40, 0.66), (0.50, 0.35), (0.36, -0.2),
               (0.46, -0.55), (0.28, -0.86), (-0.28, -0.86), (-0.46, -0.55),
               (-0.36, -0.2), (-0.50, 0.35), (-0.40, 0.66)], COAT, part="head")  # fmt: skip
    if rng.random() < 0.4:
        head.blob([(0.0, 0.68), (0.15, 0.3), (0.13, -0.3), (-0.13, -0.3), (-0.15, 0.3)], LIGHT)
    head.ellipse(0, -0.60, 0.50, 0.34, PINK)
    for side in (-1, 1):
        eye(head, 0.30 * side, 0.18, 0.1)
        head.ellipse(0.20 * side, -0.55, 0.075, 0.06, DARK, detail=True)
    head.line([(-0.2, -0.76), (0.0, -0.80), (0.2, -0.76)], 0.05)


def _wool(pen: Pen, rng: Random, x: float, y: float, width: float, height: float, puffs: int) -> None:
    """Draw a cloud: a superellipse with a wavy edge."""
    start = rng.random() * math.tau
    points = []
    for step in range(puffs * 4):
        angle = start + math.tau * step / (puffs * 4)
        out = 1 + (0.05, 0.115, 0.05, -0.075)[step % 4]
        cos, sin = math.cos(angle), math.sin(angle)
        fuller = (cos**4 + sin**4) ** -0.12
        points.append((x + width * out * fuller * cos, y + height * out * fuller * sin))
    pen.blob(points, COAT, part="wool", per=2)


def draw_sheep(pen: Pen, rng: Random) -> Traits:
    """Draw a cloud of wool on four thin legs, with a bare face and ears that hang sideways."""
    u = rng.uniform
    pose = rng.choices(("standing", "walking", "grazing"), (4, 3, 3))[0]
    leg = u(0.34, 0.44)
    lift = leg - 0.36
    build = Build((-0.36, 0.50 + lift), (0.28, 0.50 + lift), (0.07, 0.052, 0.038, 0.036), "hoof", 0.05, FACE)
    feet = stance(rng, pose, leg * 0.9)
    body = pen.at(0, lift)
    draw_legs(pen, build, feet, near=False)
    body.blob([(-0.52, 0.84), (-0.66, 0.82), (-0.70, 0.66), (-0.60, 0.58), (-0.48, 0.66)], COAT, part="tail", shade=0.9)
    draw_legs(pen, build, feet, near=True)
    high = u(0.31, 0.36)
    _wool(body, rng, -0.06, 0.68, u(0.50, 0.56), high, rng.randint(9, 12))
    for _ in range(rng.randint(3, 7)):  # curls
        x, y, size = u(-0.42, 0.28), u(0.52, 0.84), u(0.05, 0.08)
        body.line([(x - size, y), (x - size * 0.4, y - size), (x + size * 0.7, y - size * 0.5), (x + size, y)], 0.02)
    grazing = pose == "grazing"
    front = not grazing and rng.random() < 0.45
    x, y = (0.56, 0.44 - lift * 0.5) if grazing else (0.50 + u(-0.03, 0.06), 0.92 + u(-0.06, 0.08))
    horned = rng.random() < 0.2
    if front:
        _sheep_face(body.at(x, y, angle=u(-8, 8), size=u(0.27, 0.31)), rng, horned)
    else:
        angle = u(-80, -60) if grazing else u(-45, -22)
        _sheep_head(body.at(x, y, angle=angle, size=u(0.40, 0.46)), rng, horned)
    return Traits("side", pose, "short", "sideways")


def _sheep_head(head: Pen, rng: Random, horned: bool) -> None:
    head.blob([(-0.16, 0.06), (0.05, 0.24), (0.36, 0.20), (0.68, 0.10), (0.80, -0.04),
               (0.72, -0.18), (0.40, -0.22), (0.05, -0.26), (-0.16, -0.16)], FACE, part="head")  # fmt: skip
    _wool(head, rng, -0.06, 0.14, 0.27, 0.22, 7)
    eye(head, 0.30, 0.05, 0.062)
    head.ellipse(0.72, -0.01, 0.04, 0.03, DARK, detail=True)
    head.line([(0.74, -0.12), (0.62, -0.11), (0.54, -0.06)], 0.03)
    if horned:
        head.tube([(0.02, 0.18), (-0.26, 0.20), (-0.36, -0.08),
                   (-0.14, -0.26), (0.06, -0.14)], (0.10, 0.10, 0.085, 0.06, 0.03), HORN, part="horn")  # fmt: skip
    head.blob(
        [(0.08, 0.08), (-0.02, -0.06), (-0.10, -0.30), (-0.22, -0.22), (-0.14, 0.02)], FACE, part="ear", shade=0.9
    )


def _sheep_face(head: Pen, rng: Random, horned: bool) -> None:
    for mirror in (False, True):
        half = head.at(0, 0, mirror=mirror)
        half.blob([(0.34, 0.40), (0.70, 0.44), (1.0, 0.16), (0.76, 0.06), (0.40, 0.16)], FACE, part="ear", shade=0.85)
    head.blob([(0.0, 0.58), (0.44, 0.44), (0.46, 0.05), (0.28, -0.55),
               (0.0, -0.78), (-0.28, -0.55), (-0.46, 0.05), (-0.44, 0.44)], FACE, part="head")  # fmt: skip
    _wool(head, rng, 0, 0.60, 0.46, 0.28, 8)
    for side in (-1, 1):
        if horned:
            half = head.at(0, 0, mirror=side < 0)
            half.tube(
                [(0.30, 0.62), (0.66, 0.66), (0.80, 0.26), (0.54, 0.08)],
                (0.14, 0.14, 0.11, 0.05),
                HORN,
                part="horn",
            )
        eye(head, 0.26 * side, 0.08, 0.075)
        head.line([(0.0, -0.58), (0.13 * side, -0.46)], 0.05)
    head.line([(0.0, -0.58), (0.0, -0.70)], 0.05)
