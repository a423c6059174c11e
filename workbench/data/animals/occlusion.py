"""What stands in front of the animal: a fence, a rock, grass; and how much of it they may hide."""

from __future__ import annotations

import math
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from workbench.data.animals.painting import OCCLUDER
from workbench.data.animals.surroundings import CANVAS

OCCLUDERS = ("nothing", "grass", "fence", "rock", "branch", "leaves")

_MOST_HIDDEN = 0.25  # share of the animal: an occluder that would hide more is left out


def draw_occluder(rng: Random, kind: str) -> NDArray[np.uint8]:
    """Return uint8 (CANVAS, CANVAS): OCCLUDER and OCCLUDER + 1, its two tints, where the occluder is; 0 elsewhere."""
    image = Image.new("L", (CANVAS, CANVAS))
    if kind != "nothing":
        _IN_FRONT[kind](rng, ImageDraw.Draw(image), OCCLUDER)
    return np.asarray(image)


def hides_too_much(front: NDArray[np.uint8], animal: NDArray[np.bool_]) -> bool:
    """Whether what was drawn in front hides more of the animal than it may."""
    return bool(np.count_nonzero(animal & (front > 0)) > _MOST_HIDDEN * np.count_nonzero(animal))


def _grass(rng: Random, pen: ImageDraw.ImageDraw, number: int) -> None:
    low = rng.randint(104, 128)
    for _ in range(rng.randint(10, 30)):
        x, tall, lean = rng.uniform(-4, CANVAS), rng.uniform(10, 40), rng.uniform(-10, 10)
        blade = [(x, low + 26), (x + 5, low + 26), (x + lean, low + 10 - tall)]
        pen.polygon(blade, fill=number + rng.randint(0, 1))


def _fence(rng: Random, pen: ImageDraw.ImageDraw, number: int) -> None:
    if rng.random() < 0.5:
        gap, wide = rng.randint(34, 56), rng.randint(4, 7)
        for x in range(rng.randint(0, gap), CANVAS, gap):
            pen.rectangle((x, rng.randint(30, 70), x + wide, CANVAS), fill=number)
    level = rng.randint(50, 104)
    pen.rectangle((0, level, CANVAS, level + rng.randint(3, 6)), fill=number + 1)


def _rock(rng: Random, pen: ImageDraw.ImageDraw, number: int) -> None:
    u = rng.uniform
    x, y, wide, high = u(-6, CANVAS), u(96, 128), u(12, 30), u(10, 26)
    points = []
    for step in range(9):
        angle, out = step * math.tau / 9, u(0.8, 1.15)
        points.append((x + wide * out * math.cos(angle), y + high * out * math.sin(angle)))
    pen.polygon(points, fill=number)
    pen.polygon([(px + 3, py + 5) for px, py in points[4:8]], fill=number + 1)


def _branch(rng: Random, pen: ImageDraw.ImageDraw, number: int) -> None:
    x, y, angle = rng.uniform(0, CANVAS), rng.uniform(0, CANVAS), rng.uniform(0, math.pi)
    along, up = 200 * math.cos(angle), 200 * math.sin(angle)
    pen.line((x - along, y - up, x + along, y + up), fill=number, width=rng.randint(3, 6))


def _leaves(rng: Random, pen: ImageDraw.ImageDraw, number: int) -> None:
    u = rng.uniform
    for _ in range(rng.randint(3, 8)):
        x, y, angle, half = u(0, CANVAS), u(0, CANVAS), u(0, math.tau), u(7, 15)
        along, up = half * math.cos(angle), half * math.sin(angle)
        leaf = [
            (x - along, y - up),
            (x - 0.4 * up, y + 0.4 * along),
            (x + along, y + up),
            (x + 0.4 * up, y - 0.4 * along),
        ]
        pen.polygon(leaf, fill=number + rng.randint(0, 1))


_IN_FRONT = {"grass": _grass, "fence": _fence, "rock": _rock, "branch": _branch, "leaves": _leaves}
