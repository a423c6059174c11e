"""What four-legged animals share: legs that stand, walk and run, and eyes."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import NamedTuple

from workbench.data.animals.figure import Paint, Pen

Point = tuple[float, float]


class Traits(NamedTuple):
    """Properties of one drawn animal beyond the parts that can be counted."""

    view: str
    pose: str
    tail: str
    ear_shape: str


class Build(NamedTuple):
    """The legs of an animal seen from the side: where they start and how they are shaped.

    widths: half widths from the top of the leg to the foot.
    """

    rump: Point
    shoulder: Point
    widths: Sequence[float]
    foot: str  # "hoof", "paw" or "column"
    bend: float  # how far knee and hock protrude, as a share of the leg's length
    paint: Paint = Paint.COAT


class Stance(NamedTuple):
    """Positions of the feet, each as (distance forward of the top of its leg, height above the ground)."""

    far_hind: Point
    far_front: Point
    near_hind: Point
    near_front: Point


def stance(rng: Random, pose: str, reach: float) -> Stance:
    """Draw the positions of the feet in a pose; `reach` is about the length of a leg."""
    if pose == "walking":
        return _walking(rng, reach)
    if pose == "running":
        return _running(rng, reach)
    u = rng.uniform
    # The far legs stand slightly before or behind the near ones, or they would not be seen.
    far = reach * u(0.2, 0.34) * rng.choice((-1.0, 1.0))
    return Stance(
        (far + reach * u(-0.05, 0.05), 0.0),
        (far + reach * u(-0.05, 0.05), 0.0),
        (reach * u(-0.1, 0.05), 0.0),
        (reach * u(-0.05, 0.1), 0.0),
    )


def _walking(rng: Random, reach: float) -> Stance:
    u = rng.uniform
    step = reach * u(0.28, 0.48) * rng.choice((-1.0, 1.0))
    lift = reach * u(0.0, 0.12)
    return Stance(
        (step, lift if step > 0 else 0.0),
        (-step, lift if step < 0 else 0.0),
        (-step * u(0.7, 1.1), 0.0),
        (step * u(0.7, 1.1), 0.0),
    )


def _running(rng: Random, reach: float) -> Stance:
    stretched = rng.random() < 0.5
    low, high = (0.85, 1.2) if stretched else (0.7, 1.0)

    def foot(forward: float) -> Point:
        return forward * reach * rng.uniform(low, high), reach * rng.uniform(0.05, 0.32)

    if stretched:
        return Stance(foot(-0.8), foot(1.0), foot(-1.15), foot(1.25))
    return Stance(foot(0.5), foot(-0.3), foot(0.9), foot(-0.65))


def draw_legs(pen: Pen, build: Build, stance: Stance, *, near: bool) -> None:
    """Draw the two far legs (before the body) or the two near ones (after it)."""
    hind, front = (stance.near_hind, stance.near_front) if near else (stance.far_hind, stance.far_front)
    shade = 1.0 if near else 0.74
    offset = 0.0 if near else 0.03
    for (x, y), (forward, lifted), is_hind in (
        (build.rump, hind, True),
        (build.shoulder, front, False),
    ):
        _draw_leg(pen, build, (x + offset, y), (x + forward + offset, lifted + offset), is_hind, shade)


def _draw_leg(pen: Pen, build: Build, top: Point, foot: Point, hind: bool, shade: float) -> None:
    (x, y), (foot_x, foot_y) = top, foot
    length = y - foot_y
    swing = foot_x - x
    thin = build.widths[-1]
    # A lifted leg folds: its joint moves out.
    fold = build.bend * length + 0.45 * foot_y
    if hind:
        joints = [
            top,
            (x + 0.30 * swing + fold * 0.9, y - 0.36 * length),
            (x + 0.72 * swing - fold * 0.9, y - 0.64 * length),
            (foot_x, foot_y + thin * 0.8),
        ]
    else:
        joints = [
            top,
            (x + 0.30 * swing - fold * 0.35, y - 0.30 * length),
            (x + 0.66 * swing + fold * 0.55, y - 0.62 * length),
            (foot_x, foot_y + thin * 0.8),
        ]
    pen.tube(joints, build.widths, build.paint, part="leg", shade=shade)
    if build.foot == "hoof":
        top_y = foot_y + thin * 1.7
        hoof = [(-1.1, top_y), (1.2, top_y), (1.7, foot_y), (-1.15, foot_y)]
        pen.polygon([(foot_x + dx * thin, dy) for dx, dy in hoof], Paint.DARK, shade=shade, detail=True)
    elif build.foot == "paw":
        pen.ellipse(foot_x + thin * 0.7, foot_y + thin * 0.85, thin * 1.9, thin * 1.0, build.paint, shade=shade)
    else:
        for nail in (-0.1, 0.45, 0.9):
            pen.ellipse(
                foot_x + nail * thin, foot_y + thin * 0.1, thin * 0.22, thin * 0.22, Paint.LIGHT, shade=shade * 0.95
            )


def eye(pen: Pen, x: float, y: float, size: float, *, white: bool = False) -> None:
    """Draw a dark eye with a glint, on a white if `white`."""
    if white:
        pen.ellipse(x, y, size * 1.35, size * 1.35, Paint.LIGHT)
    pen.ellipse(x, y, size, size, Paint.DARK, part="eye", shade=0.6, detail=True)
    if size > 0.03:
        pen.ellipse(x + size * 0.3, y + size * 0.35, size * 0.3, size * 0.3, Paint.LIGHT)
