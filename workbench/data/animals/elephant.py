"""The elephant."""

from __future__ import annotations

from random import Random

from workbench.data.animals.figure import Paint, Pen
from workbench.data.animals.limbs import Build, Traits, draw_legs, eye, stance

COAT, DARK, LIGHT = Paint.COAT, Paint.DARK, Paint.LIGHT


def draw_elephant(pen: Pen, rng: Random) -> Traits:
    """Draw a massive body on four columns, with ears like fans, a trunk and often tusks."""
    u = rng.uniform
    pose = rng.choices(("standing", "walking"), (1, 1))[0]
    leg = u(0.40, 0.48)
    lift = leg - 0.42
    build = Build((-0.45, 0.62 + lift), (0.34, 0.60 + lift), (0.18, 0.14, 0.115, 0.125), "column", 0.03)
    feet = stance(rng, pose, leg * 0.8)
    body = pen.at(0, lift)
    sway = u(-0.06, 0.05)
    body.tube([(-0.66, 0.86), (-0.76 + sway, 0.66), (-0.76 + sway * 2, 0.44)], (0.03, 0.024, 0.018), COAT, part="tail")
    body.ellipse(-0.76 + sway * 2.2, 0.39, 0.032, 0.07, DARK)
    draw_legs(pen, build, feet, near=False)
    nod = u(-0.05, 0.05)
    head = body.at(0.58, 0.96 + nod, angle=u(-8, 8))
    tusks = rng.random() < 0.75
    head.blob([(0.0, 0.2), (0.18, 0.36), (0.34, 0.26), (0.22, 0.02)], COAT, part="ear", shade=0.72)
    body.blob([(-0.69, 0.74), (-0.63, 0.96), (-0.36, 1.12), (0.05, 1.13 + u(-0.04, 0.04)), (0.38, 1.08),
               (0.54, 0.80), (0.42, 0.46), (0.0, 0.38), (-0.40, 0.42), (-0.65, 0.52)], COAT, part="body")  # fmt: skip
    draw_legs(pen, build, feet, near=True)
    if tusks:
        head.tube([(0.20, -0.16), (0.42, -0.30), (0.58, -0.22)], (0.045, 0.038, 0.014), LIGHT, part="tusk", shade=0.85)
    pose_of_trunk = rng.choices(("down", "forward", "raised"), (5, 3, 3))[0]
    if pose_of_trunk == "down":
        way = [(0.14, -0.04), (0.30, -0.30), (0.32, -0.62), (0.40 + u(-0.12, 0.10), -0.84)]
    elif pose_of_trunk == "forward":
        way = [(0.14, -0.04), (0.36, -0.30), (0.54, -0.52), (0.72, -0.44 + u(-0.1, 0.1))]
    else:
        way = [(0.12, -0.02), (0.44, -0.14), (0.58, 0.16), (0.46 + u(-0.06, 0.2), 0.48 + u(0, 0.12))]
    head.tube(way, (0.19, 0.115, 0.075, 0.05), COAT, part="trunk", per=6)
    head.blob([(-0.22, -0.12), (-0.20, 0.16), (-0.02, 0.31), (0.16, 0.28),
               (0.28, 0.08), (0.26, -0.14), (0.10, -0.30), (-0.10, -0.28)], COAT, part="head")  # fmt: skip
    for step in (0.45, 0.62, 0.78):  # folds of the trunk
        (x0, y0), (x1, y1) = way[1], way[2]
        x, y = x0 + (x1 - x0) * (step - 0.3), y0 + (y1 - y0) * (step - 0.3)
        head.line([(x - 0.04, y - 0.01), (x + 0.05, y + 0.02)], 0.018, COAT, shade=0.6)
    if tusks:
        head.tube([(0.12, -0.20), (0.26, -0.36), (0.44, -0.34)], (0.05, 0.042, 0.012), LIGHT, part="tusk")
    flap = u(-0.08, 0.06)
    head.blob([(-0.02, 0.20), (-0.20, 0.30), (-0.42 + flap, 0.22),
               (-0.50 + flap, -0.04), (-0.38 + flap, -0.34), (-0.20 + flap / 2, -0.46),
               (-0.06, -0.28), (0.02, -0.04)], COAT, part="ear", shade=0.8)  # fmt: skip
    eye(head, 0.14, 0.08, 0.036)
    return Traits("side", pose, "tufted", "fan")
