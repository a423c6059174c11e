"""One scene: an animal placed in a frame, painted in a style, lit, and partly hidden.

The animal is first drawn as a map of shape numbers (0 is the background). Colours, patterns, outlines and occlusion
follow from that map by a few array operations, which is both fast and exact: attributes can be verified on the map.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from workbench.data.animals.elephant import draw_elephant
from workbench.data.animals.figure import Pen, Points, Shape
from workbench.data.animals.hoofed import draw_cow, draw_horse, draw_sheep
from workbench.data.animals.limbs import Traits
from workbench.data.animals.occlusion import OCCLUDERS, draw_occluder, hides_too_much
from workbench.data.animals.painting import PATTERNS, STYLES, paint_colour, paint_line, patterned
from workbench.data.animals.pets import draw_cat, draw_dog
from workbench.data.animals.small import draw_butterfly, draw_chicken, draw_spider
from workbench.data.animals.squirrel import draw_squirrel
from workbench.data.animals.surroundings import CANVAS, coarse_noise, crop

ANIMALS: dict[str, Callable[[Pen, Random], Traits]] = {
    "cat": draw_cat,
    "dog": draw_dog,
    "horse": draw_horse,
    "cow": draw_cow,
    "sheep": draw_sheep,
    "elephant": draw_elephant,
    "chicken": draw_chicken,
    "butterfly": draw_butterfly,
    "spider": draw_spider,
    "squirrel": draw_squirrel,
}

# Odds of the patterns, in the order of PATTERNS: the only property of the coat that depends on the animal.
_PATTERN_ODDS = {
    "cat": (5, 2, 1, 4),
    "dog": (5, 3, 1, 0),
    "horse": (6, 2, 1, 0),
    "cow": (3, 5, 1, 0),
    "sheep": (10, 2, 1, 0),
    "elephant": (14, 1, 1, 0),
    "chicken": (6, 1, 2, 1),
    "squirrel": (8, 1, 1, 1),
}


@dataclass(frozen=True, eq=False)
class Scene:
    """A finished scene.

    image: uint8 (FULL_SIZE, FULL_SIZE, 3). numbers: uint8 (CANVAS, CANVAS), 1 + the index of the shape visible at each
    pixel before anything was put in front, or 0. hidden: bool (CANVAS, CANVAS), where an occluder is.
    """

    image: NDArray[np.uint8]
    shapes: list[Shape]
    traits: Traits
    style: str
    pattern: str
    background: str
    occluder: str
    numbers: NDArray[np.uint8]
    hidden: NDArray[np.bool_]
    mirrored: bool

    def parts(self) -> Counter[str]:
        """Count the shapes drawn of each part of the body."""
        return Counter(shape.part for shape in self.shapes)

    def occluded(self) -> float:
        """Return the share of the animal's pixels that an occluder hides."""
        mask = self.numbers > 0
        return np.count_nonzero(mask & self.hidden) / np.count_nonzero(mask) if self.occluder != "nothing" else 0.0

    def extent(self) -> float:
        """Return the longer side of the animal's bounding box, as a share of the image's side."""
        mask = self.numbers > 0
        return max(_span(mask, 0), _span(mask, 1)) / CANVAS


def _span(mask: NDArray[np.bool_], axis: int) -> int:
    line = np.logical_or.reduce(mask, axis=axis)
    return len(line) - int(line.argmax()) - int(line[::-1].argmax())


def draw_scene(animal: str, *, animal_rng: Random, rng: Random) -> Scene:
    """Draw a scene: the animal's build and pose come from `animal_rng`, everything else from `rng`."""
    style = rng.choices(STYLES, (0.40, 0.34, 0.26))[0]
    occluder = rng.choices(OCCLUDERS, (0.48, 0.13, 0.09, 0.10, 0.10, 0.10))[0]
    front = draw_occluder(rng, occluder)
    mirrored = rng.random() < 0.5

    shapes: list[Shape] = []
    traits = ANIMALS[animal](Pen(shapes), animal_rng)
    pattern = animal_rng.choices(PATTERNS, _PATTERN_ODDS.get(animal, (6, 1, 1, 1)))[0]
    numbers = _place(shapes, rng, mirrored)
    mask = numbers > 0
    area = np.count_nonzero(mask)
    if hides_too_much(front, mask):
        occluder, front = "nothing", np.zeros_like(front)
    coat = patterned(animal_rng, pattern, shapes, numbers)
    if np.count_nonzero(coat != numbers) <= 0.04 * area:  # too little of the pattern falls on the animal to be seen
        pattern = "plain"
    paint = paint_line if style == "line" else paint_colour
    painted = paint(rng, style, shapes, numbers, coat if pattern != "plain" else numbers, front)
    return Scene(
        image=painted.image,
        shapes=shapes,
        traits=traits,
        style=style,
        pattern=pattern if painted.patterned else "plain",
        background=painted.background,
        occluder=occluder,
        numbers=numbers,
        hidden=front > 0,
        mirrored=mirrored,
    )


def _place(shapes: list[Shape], rng: Random, mirrored: bool) -> NDArray[np.uint8]:
    """Draw the map of shape numbers: the animal turned, slightly stretched, fitted to the frame and shaken."""
    u = rng.uniform
    turn, shear = math.radians(u(-9, 9)), u(-0.10, 0.10)
    stretch = u(0.9, 1.12)
    sign = -1.0 if mirrored else 1.0
    cos, sin = math.cos(turn), math.sin(turn)
    # From here on x points right and y down.
    matrix = np.array([[cos * stretch * sign, -sin * stretch], [(shear - sin) * sign, -cos]])
    points: Points = np.concatenate([shape.points for shape in shapes]) @ matrix
    low, high = points.min(axis=0), points.max(axis=0)
    extent = high - low
    scale = CANVAS * u(0.70, 0.98) / float(extent.max())
    # Up to four pixels of the animal may leave the frame.
    corner = np.array([u(0, 1), u(0, 1)]) * (CANVAS - extent * scale + 8) - 4
    # In sixteenths of a pixel, so that the last bit of a sine cannot move an edge.
    flat = (np.round(((points - low) * scale + corner) * 16) / 16).ravel().tolist()
    image = Image.new("L", (CANVAS, CANVAS))
    pen = ImageDraw.Draw(image)
    start = 0
    for number, shape in enumerate(shapes, start=1):
        end = start + 2 * len(shape.points)
        if shape.width:
            pen.line(flat[start:end], fill=number, width=max(1, round(shape.width * scale)))
        else:
            pen.polygon(flat[start:end], fill=number)
        start = end
    return _shake(np.asarray(image), rng)


_LINE = np.arange(CANVAS, dtype=np.int16)


def _shake(numbers: NDArray[np.uint8], rng: Random) -> NDArray[np.uint8]:
    """Displace pixels by up to a few pixels, smoothly, so that straight edges look drawn by hand."""
    # Integers, in 1024ths of a pixel, take half the time of floats. The noise has a standard deviation of 32.
    strength = np.int16(round(rng.uniform(0, 1.5) * 32))
    noisy = coarse_noise(rng.choice((9, 17)))
    x, y = crop(noisy, rng) * strength, crop(noisy, rng) * strength
    for way, start in ((x, _LINE), (y, _LINE[:, None])):
        way >>= 10
        way += start
        np.maximum(way, 0, out=way)
        np.minimum(way, CANVAS - 1, out=way)
    return numbers.take(y.astype(np.intp) * CANVAS + x)
