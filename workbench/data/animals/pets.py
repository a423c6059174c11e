"""Cat and dog."""

from __future__ import annotations

from random import Random

from workbench.data.animals.figure import Paint, Pen
from workbench.data.animals.limbs import Build, Traits, draw_legs, eye, stance

COAT, SECOND, FACE, DARK = Paint.COAT, Paint.SECOND, Paint.FACE, Paint.DARK
PINK, LIGHT, RED, IRIS = Paint.PINK, Paint.LIGHT, Paint.RED, Paint.IRIS


def draw_cat(pen: Pen, rng: Random) -> Traits:
    """Draw a round face with pointed ears and whiskers, and a long thin tail."""
    u = rng.uniform
    pose = rng.choices(("standing", "walking", "running", "sitting", "facing"), (2, 3, 1, 3, 2))[0]
    if pose == "facing":
        _cat_facing(pen, rng)
        return Traits("front", "sitting", "thin", "pointed")
    if pose == "sitting":
        tail_tip = u(-0.1, 0.5)
        pen.tube(
            [(-0.30, 0.08), (-0.58, 0.08), (-0.74, 0.20 + tail_tip * 0.3), (-0.68, 0.30 + tail_tip)],
            (0.07, 0.065, 0.06, 0.04),
            COAT,
            part="tail",
            shade=0.95,
        )
        neck = _sitting(pen, rng, slim=0.92)
        head_x, head_y = neck[0] + 0.04, neck[1] + 0.17
    else:
        leg = u(0.36, 0.44)
        lift = leg - 0.38
        build = Build((-0.38, 0.58 + lift), (0.32, 0.58 + lift), (0.11, 0.07, 0.046, 0.042), "paw", 0.10)
        feet = stance(rng, pose, leg)
        body = pen.at(0, lift)
        if pose == "running" or rng.random() < 0.3:
            way = [(-0.46, 0.66), (-0.72, 0.66 + u(-0.1, 0.1)), (-0.95, 0.80), (-1.12, 0.76 + u(-0.15, 0.2))]
        else:
            curl = u(-0.18, 0.2)
            way = [(-0.44, 0.64), (-0.66, 0.80), (-0.70 - curl * 0.3, 1.08), (-0.70 + curl, 1.30)]
        body.tube(way, (0.065, 0.06, 0.058, 0.04), COAT, part="tail", shade=0.95)
        draw_legs(pen, build, feet, near=False)
        body.tube([(0.30, 0.60), (0.52, 0.80)], (0.15, 0.11), COAT)
        body.blob([(-0.52, 0.60), (-0.42, 0.73), (-0.10, 0.72 + u(-0.02, 0.05)), (0.20, 0.72),
                   (0.42, 0.72), (0.48, 0.56), (0.32, 0.43), (0.0, 0.43),
                   (-0.28, 0.44), (-0.48, 0.48)], COAT, part="body")  # fmt: skip
        draw_legs(pen, build, feet, near=True)
        head_x, head_y = 0.60 + u(-0.03, 0.05), 0.92 + lift + u(-0.10, 0.06)
    if rng.random() < 0.72:
        _cat_face(pen.at(head_x, head_y, angle=u(-12, 12), size=u(0.27, 0.32)), rng)
    else:
        _cat_profile(pen.at(head_x, head_y, angle=u(-12, 10), size=u(0.25, 0.29)))
    return Traits("side", pose, "thin", "pointed")


def _sitting(pen: Pen, rng: Random, *, slim: float) -> tuple[float, float]:
    """Draw a sitting cat or dog from the side, without tail, neck and head, and return where the neck ends."""
    u = rng.uniform
    lean = u(-0.04, 0.06)
    pen.tube([(0.12, 0.60), (0.20, 0.34), (0.26, 0.05)], (0.10, 0.07, 0.05), COAT, part="leg", shade=0.74)
    pen.ellipse(0.31, 0.045, 0.085, 0.045, COAT, shade=0.74)
    pen.tube([(-0.16, 0.16), (0.0, 0.05), (0.13, 0.05)], (0.10, 0.05, 0.045), COAT, part="leg", shade=0.7)
    wide = u(0.92, 1.08)
    pen.blob([(-0.40 * wide, 0.06), (-0.45 * wide, 0.28), (-0.32 * wide, 0.60),
              (-0.10, 0.88), (0.10 + lean, 0.98), (0.22 * slim + lean, 0.84),
              (0.25 * slim, 0.55), (0.16, 0.20), (0.02, 0.05)], COAT, part="body")  # fmt: skip
    pen.tube(
        [(0.08, 0.60), (0.09, 0.34), (0.12, 0.05)], (0.11 * slim, 0.075 * slim, 0.052), COAT, part="leg", shade=1.06
    )
    pen.ellipse(0.17, 0.045, 0.09, 0.048, COAT, shade=1.06)
    pen.ellipse(-0.22, 0.23, 0.22, 0.21, COAT, shade=0.96)
    pen.ellipse(-0.06, 0.05, 0.16, 0.05, COAT, part="leg", shade=1.0)
    return 0.12 + lean, 0.92


def _cat_facing(pen: Pen, rng: Random) -> None:
    u = rng.uniform
    side = rng.choice((-1.0, 1.0))
    raised = u(-0.05, 0.45)
    pen.tube(
        [(0.2 * side, 0.10), (0.50 * side, 0.10), (0.66 * side, 0.24 + raised * 0.3), (0.58 * side, 0.34 + raised)],
        (0.06, 0.06, 0.055, 0.035),
        COAT,
        part="tail",
        shade=0.9,
    )
    for sign in (-1, 1):
        pen.ellipse(0.27 * sign, 0.17, 0.17, 0.18, COAT, shade=0.85)
        pen.ellipse(0.30 * sign, 0.05, 0.13, 0.055, COAT, part="leg", shade=0.95)
    pen.blob([(0.0, 0.90), (0.20, 0.80), (0.30, 0.40), (0.26, 0.08),
              (0.0, 0.04), (-0.26, 0.08), (-0.30, 0.40), (-0.20, 0.80)], COAT, part="body")  # fmt: skip
    if rng.random() < 0.5:
        pen.ellipse(0, 0.56, 0.13, 0.22, FACE)
    for sign in (-1, 1):
        pen.tube([(0.10 * sign, 0.50), (0.10 * sign, 0.06)], (0.075, 0.065), COAT, part="leg", shade=1.06)
        pen.ellipse(0.105 * sign, 0.045, 0.085, 0.05, COAT, shade=1.06)
    _cat_face(pen.at(u(-0.04, 0.04), 1.04, angle=u(-12, 12), size=u(0.29, 0.33)), rng)


def _cat_face(head: Pen, rng: Random) -> None:
    """Draw the face from the front, 2 units wide."""
    u = rng.uniform
    ear = u(0.95, 1.25)
    for mirror in (False, True):
        half = head.at(0, 0, mirror=mirror)
        half.polygon([(0.18, 0.62), (0.52, 1.0 + 0.2 * ear), (0.74, 0.44 + 0.84 * ear),
                      (0.90, 0.9), (0.94, 0.28)], COAT, part="ear", shade=0.92)  # fmt: skip
        half.polygon([(0.40, 0.62), (0.66, 0.36 + 0.74 * ear), (0.82, 0.40)], PINK)
    head.blob([(0.0, 0.78), (0.50, 0.74), (0.92, 0.32), (1.0, -0.12),
               (0.72, -0.58), (0.0, -0.82), (-0.72, -0.58), (-1.0, -0.12),
               (-0.92, 0.32), (-0.50, 0.74)], COAT, part="head")  # fmt: skip
    if rng.random() < 0.6:
        for side in (-1, 1):
            head.ellipse(0.22 * side, -0.42, 0.32, 0.26, FACE)
    for side in (-1, 1):
        head.ellipse(0.42 * side, 0.12, 0.22, 0.20, IRIS, angle=12 * side, part="eye", detail=False)
        head.ellipse(0.42 * side, 0.12, 0.085, 0.19, DARK, shade=0.5, detail=True)
        for y, tip in ((-0.28, -0.12), (-0.38, -0.42), (-0.46, -0.70)):
            head.line([(0.34 * side, y), (1.36 * side, tip)], 0.035, part="whisker", shade=0.9)
    head.polygon([(-0.14, -0.22), (0.14, -0.22), (0.0, -0.38)], PINK, shade=0.85, detail=True)
    head.line([(-0.26, -0.54), (-0.1, -0.58), (0.0, -0.40), (0.1, -0.58), (0.26, -0.54)], 0.05)


def _cat_profile(head: Pen) -> None:
    head.polygon([(-0.40, 0.55), (-0.10, 1.28), (0.34, 0.62)], COAT, part="ear", shade=0.75)
    head.blob([(-0.85, 0.0), (-0.66, 0.58), (-0.10, 0.80), (0.40, 0.62),
               (0.70, 0.24), (0.98, 0.04), (1.0, -0.22), (0.74, -0.50),
               (0.20, -0.66), (-0.50, -0.56)], COAT, part="head")  # fmt: skip
    head.polygon([(-0.62, 0.42), (-0.50, 1.34), (0.10, 0.72)], COAT, part="ear", shade=1.0)
    head.polygon([(-0.46, 0.60), (-0.42, 1.10), (-0.06, 0.74)], PINK)
    head.ellipse(0.42, 0.20, 0.15, 0.16, IRIS, part="eye")
    head.ellipse(0.47, 0.20, 0.07, 0.15, DARK, shade=0.5, detail=True)
    head.polygon([(0.90, 0.06), (1.06, 0.0), (0.98, -0.14)], PINK, shade=0.85, detail=True)
    head.line([(0.96, -0.24), (0.80, -0.34), (0.62, -0.30)], 0.05)
    for tip in (0.06, -0.26, -0.56):
        head.line([(0.66, -0.16), (0.10, tip - 0.08), (-0.2, tip - 0.16)], 0.035, part="whisker", shade=0.9)


def draw_dog(pen: Pen, rng: Random) -> Traits:
    """Draw a long snout with a black nose, ears that hang (or stand), a tongue, and a tail held up."""
    u = rng.uniform
    facing = rng.random() < 0.35
    # Pointed ears only in profile: from the front they make a dog look like a cat.
    floppy = facing or rng.random() < 0.65
    ear_shape = "floppy" if floppy else "pointed"
    pose = rng.choices(("standing", "walking", "running", "sitting"), (3, 3, 2, 3))[0]
    wag = u(-0.1, 0.15)
    if pose == "sitting":
        pen.tube(
            [(-0.34, 0.10), (-0.56, 0.16), (-0.66 - wag, 0.40)], (0.065, 0.055, 0.03), COAT, part="tail", shade=0.95
        )
        neck_x, neck_y = _sitting(pen, rng, slim=1.1)
        head_x, head_y = neck_x + 0.08, neck_y + 0.18
        pen.tube([(neck_x - 0.06, neck_y - 0.22), (head_x - 0.03, head_y)], (0.19, 0.15), COAT, part="neck")
    else:
        leg = u(0.30, 0.50)
        lift = leg - 0.44
        build = Build((-0.40, 0.66 + lift), (0.32, 0.66 + lift), (0.13, 0.075, 0.050, 0.046), "paw", 0.11)
        feet = stance(rng, pose, leg)
        body = pen.at(0, lift)
        if rng.random() < 0.3:  # curled over the back
            way = [(-0.46, 0.74), (-0.60, 0.92), (-0.46, 1.06), (-0.32, 0.96)]
        else:
            way = [(-0.46, 0.74), (-0.62, 0.84), (-0.74 - wag, 1.02), (-0.78 - wag * 2, 1.18)]
        body.tube(way, (0.065, 0.06, 0.05, 0.022), COAT, part="tail", shade=0.95)
        draw_legs(pen, build, feet, near=False)
        head_x, head_y = 0.62 + u(-0.04, 0.06), 1.04 + lift + u(-0.10, 0.06)
        body.tube([(0.32, 0.68), (0.46, 0.84), (head_x - 0.04, head_y - lift)], (0.19, 0.16, 0.13), COAT, part="neck")
        waist = u(0.44, 0.54)
        body.blob([(-0.52, 0.68), (-0.44, 0.81), (-0.10, 0.79), (0.20, 0.81),
                   (0.42, 0.80), (0.50, 0.62), (0.36, 0.42), (0.10, 0.41),
                   (-0.18, waist), (-0.44, 0.54)], COAT, part="body")  # fmt: skip
        draw_legs(pen, build, feet, near=True)
    if rng.random() < 0.35:
        pen.tube([(head_x - 0.19, head_y - 0.05), (head_x + 0.06, head_y - 0.21)], (0.035, 0.035), RED, part="collar")
    if facing:
        _dog_face(pen.at(head_x + 0.02, head_y + 0.04, angle=u(-12, 12), size=u(0.27, 0.31)), rng)
    else:
        _dog_profile(pen.at(head_x, head_y + 0.02, angle=u(-18, 14), size=u(0.42, 0.48)), rng, floppy)
    return Traits("side", pose, "thin", ear_shape)


def _dog_profile(head: Pen, rng: Random, floppy: bool) -> None:
    u = rng.uniform
    long = u(0.84, 1.08)
    if not floppy:
        head.polygon([(-0.22, 0.30), (-0.04, 0.80), (0.16, 0.34)], COAT, part="ear", shade=0.75)
    if rng.random() < 0.6:
        head.tube(
            [(long * 0.66, -0.14), (long * 0.78, -0.26), (long * 0.76, -0.42)], (0.06, 0.07, 0.06), PINK, part="tongue"
        )
    head.blob([(-0.44, 0.0), (-0.34, 0.32), (-0.05, 0.44), (0.22, 0.36),
               (0.38, 0.16), (long * 0.82, 0.10), (long, 0.04), (long * 0.98, -0.12),
               (0.62, -0.20), (0.25, -0.28), (-0.20, -0.34)], COAT, part="head")  # fmt: skip
    if rng.random() < 0.4:
        head.blob([(0.44, 0.14), (long, 0.06), (long * 0.98, -0.13), (0.60, -0.21), (0.36, -0.1)], FACE)
    head.ellipse(long * 0.98, 0.06, 0.10, 0.085, DARK, part="nose", shade=0.5, detail=True)
    head.line([(long * 0.94, -0.10), (0.66, -0.12), (0.48, -0.06)], 0.03)
    eye(head, 0.18, 0.18, 0.062)
    if floppy:
        drop = u(-0.06, 0.08)
        head.blob(
            [(-0.14, 0.38), (0.06, 0.22), (0.04, -0.16 - drop), (-0.14, -0.40 - drop), (-0.32, -0.26), (-0.34, 0.16)],
            SECOND if rng.random() < 0.5 else COAT,
            part="ear",
            shade=0.78,
        )
        # The edge of the far ear shows above the skull.
        head.blob([(-0.02, 0.40), (0.10, 0.46), (0.20, 0.38), (0.08, 0.34)], COAT, part="ear", shade=0.72)
    else:
        head.polygon([(-0.36, 0.24), (-0.26, 0.82), (0.04, 0.38)], COAT, part="ear", shade=0.94)


def _dog_face(head: Pen, rng: Random) -> None:
    """Draw the face from the front, 1.6 units wide without its ears."""
    u = rng.uniform
    if rng.random() < 0.6:
        head.tube([(0.0, -0.70), (0.02, -0.95), (0.0, -1.14)], (0.17, 0.18, 0.15), PINK, part="tongue")
    head.blob([(0.0, 0.86), (0.54, 0.74), (0.80, 0.28), (0.62, -0.22),
               (0.48, -0.64), (0.0, -0.86), (-0.48, -0.64), (-0.62, -0.22),
               (-0.80, 0.28), (-0.54, 0.74)], COAT, part="head")  # fmt: skip
    head.ellipse(0, -0.44, 0.46, 0.38, FACE)
    paint = SECOND if rng.random() < 0.5 else COAT
    drop = u(-0.1, 0.15)
    for mirror in (False, True):
        half = head.at(0, 0, mirror=mirror)
        half.blob([(0.36, 0.80), (0.74, 0.74),
                   (1.06, 0.10), (1.02, -0.40 - drop),
                   (0.78, -0.46 - drop), (0.70, 0.10)], paint, part="ear", shade=0.78)  # fmt: skip
    for side in (-1, 1):
        eye(head, 0.33 * side, 0.18, 0.12)
    head.ellipse(0, -0.20, 0.20, 0.15, DARK, part="nose", shade=0.5, detail=True)
    head.line([(-0.28, -0.60), (-0.1, -0.66), (0.0, -0.40), (0.1, -0.66), (0.28, -0.60)], 0.05)
