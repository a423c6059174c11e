"""Colours, patterns, outlines and light: from the map of shape numbers to an image."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from workbench.data.animals.figure import Paint, Shape
from workbench.data.animals.surroundings import (
    BACKGROUNDS,
    CANVAS,
    any_colour,
    coat_colours,
    crop,
    draw_background,
    draw_paper,
    fur,
    near,
    noise,
)

FULL_SIZE = 64  # pixels a side at which a scene is lit; smaller images are reduced from it

STYLES = ("filled", "textured", "line")
PATTERNS = ("plain", "patches", "spots", "stripes")

# Numbers in the map: occluders (two tints), ink, and the offset of a shape's second colour.
OCCLUDER, _INK, _SECOND = 118, 126, 128

_LINE = np.arange(CANVAS, dtype=np.float32)


class Painted(NamedTuple):
    """An image, uint8 (FULL_SIZE, FULL_SIZE, 3), the name of its background, and whether the coat's pattern shows."""

    image: NDArray[np.uint8]
    background: str
    patterned: bool


def _edges(groups: NDArray[np.uint8], bare: NDArray[np.bool_], thick: int) -> NDArray[np.bool_]:
    """Return where neighbouring groups differ, `thick` pixels wide; bare groups have no outline."""
    edge = np.zeros(groups.shape, dtype=np.bool_)
    edge[:, 1:] = (groups[:, 1:] != groups[:, :-1]) & ~(bare[:, 1:] | bare[:, :-1])
    edge[1:] |= (groups[1:] != groups[:-1]) & ~(bare[1:] | bare[:-1])
    for step in range(thick - 1):
        wider = edge.copy()
        if step % 2 == 0:
            wider[:, :-1] |= edge[:, 1:]
            wider[:-1] |= edge[1:]
        else:
            wider[:, 1:] |= edge[:, :-1]
            wider[1:] |= edge[:-1]
        edge = wider
    return edge


_BODY = frozenset(("body", "head", "neck", "leg", "tail", "trunk", ""))


def _grouping(shapes: list[Shape], merged: bool) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return for each number the group that shares one outline, and whether it has none."""
    groups = np.arange(256, dtype=np.uint8)
    bare = np.zeros(256, dtype=np.bool_)
    for number, shape in enumerate(shapes, start=1):
        if shape.width or shape.detail:
            bare[number] = True
        elif merged and shape.paint is Paint.COAT and shape.shade > 0.9 and shape.part in _BODY:
            groups[number] = 255
    return groups, bare


def _pattern_mask(rng: Random, pattern: str) -> NDArray[np.bool_]:
    if pattern == "patches":
        return crop(noise(17), rng) > rng.uniform(0.0, 0.6)
    if pattern == "spots":
        return crop(noise(5), rng) > rng.uniform(0.8, 1.2)
    period = rng.uniform(9, 16)
    lean = rng.uniform(-0.4, 0.4)
    phase = (_LINE + lean * _LINE[:, None]) / period + crop(noise(9), rng) * 0.16
    return phase - np.floor(phase) < rng.uniform(0.35, 0.5)


def patterned(rng: Random, pattern: str, shapes: list[Shape], numbers: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the map with the patterned pixels of the coat moved to the numbers of the second colour."""
    if pattern == "plain":
        return numbers
    coat = np.zeros(256, dtype=np.uint8)
    for number, shape in enumerate(shapes, start=1):
        if shape.paint is Paint.COAT and not shape.width:
            coat[number] = _SECOND
    return numbers + coat.take(numbers) * _pattern_mask(rng, pattern)


def _packed(colour: NDArray[np.float32]) -> NDArray[np.uint32]:
    """Pack colours (256, 3) into 32-bit words: gathering words is faster than gathering triples."""
    table = np.full((256, 4), 255, dtype=np.uint8)
    table[:, :3] = np.clip(colour, 0, 255)
    return table.view(np.uint32)[:, 0]


def _compose(painted: NDArray[np.uint8], colour: NDArray[np.float32], background: Image.Image) -> Image.Image:
    """Draw the colours of the map over the background."""
    behind = np.asarray(background.convert("RGBA")).view(np.uint32)[..., 0]
    words = np.where(painted, _packed(colour).take(painted), behind)
    return Image.frombuffer("RGBA", (CANVAS, CANVAS), words.tobytes(), "raw", "RGBA", 0, 1)


def paint_colour(
    rng: Random,
    style: str,
    shapes: list[Shape],
    numbers: NDArray[np.uint8],
    coat: NDArray[np.uint8],
    front: NDArray[np.uint8],
) -> Painted:
    """Paint filled areas, with an outline or with hair and rounding."""
    u = rng.uniform
    kind = rng.choice(BACKGROUNDS[:7])
    background = draw_background(rng, kind)
    around = np.asarray(background.reduce(CANVAS // 4), dtype=np.float32).mean(axis=(0, 1))
    for _ in range(6):
        colours = np.array(coat_colours(rng), dtype=np.float32)
        if np.abs(colours[0] - around).sum() > 150:
            break
    flatness = np.float32(u(0.0, 0.5) if style == "filled" else 0.0)
    shades = np.array([shape.shade for shape in shapes], dtype=np.float32)[:, None]
    shades += (1 - shades) * flatness
    colour = np.zeros((256, 3), dtype=np.float32)
    colour[1 : len(shapes) + 1] = colours.take([shape.paint for shape in shapes], axis=0) * shades
    colour[_SECOND + 1 : _SECOND + len(shapes) + 1] = colours[Paint.SECOND] * shades
    thing = any_colour(rng, 0.25, 0.85, 0.7)
    colour[OCCLUDER], colour[OCCLUDER + 1] = thing, near(rng, thing, 40)
    colour[_INK] = colours[0] * 0.3 if rng.random() < 0.5 else (30, 26, 30)

    painted = coat
    if style == "filled" and rng.random() < 0.55:
        groups, bare = _grouping(shapes, rng.random() < 0.5)
        edge = _edges(groups.take(numbers), bare.take(numbers), rng.choice((1, 2, 2, 3)))
        painted = np.where(edge, np.uint8(_INK), painted)
    painted = np.where(front, front, painted)
    light = _light(numbers > 0, painted > 0, rng, style)
    grain = u(0, 5) if style == "filled" else u(1, 6)
    return Painted(_develop(_compose(painted, colour, background), light, rng, grain), kind, True)


def _light(mask: NDArray[np.bool_], covered: NDArray[np.bool_], rng: Random, style: str) -> NDArray[np.float32]:
    """Return factors (FULL_SIZE, FULL_SIZE): light from one side, a cast shadow, rounded bodies, hair."""
    u = rng.uniform
    side = np.linspace(-1, 1, FULL_SIZE, dtype=np.float32)
    light = (np.float32(u(0.82, 1.12)) + np.float32(u(-0.14, 0.14)) * side) + np.float32(u(-0.14, 0.14)) * side[:, None]
    inside = mask[::2, ::2]
    if rng.random() < 0.6:
        dx, dy = rng.randint(-4, 4), rng.randint(1, 4)
        # At most a few pixels roll over the edge of the frame.
        shadow = np.roll(inside, (dy, dx), (0, 1)) & ~covered[::2, ::2]
        light -= shadow * np.float32(u(0.12, 0.32))
    if style == "textured":
        small = Image.fromarray(mask.view(np.uint8) * np.uint8(255)).reduce(4).filter(ImageFilter.BoxBlur(2))
        height = np.asarray(small.resize((FULL_SIZE, FULL_SIZE), Image.Resampling.BILINEAR), dtype=np.float32)
        slope = np.zeros_like(height)
        slope[2:] = height[2:] - height[:-2]  # lit from above
        slope[:, 2:] += np.float32(u(-1, 1)) * (height[:, 2:] - height[:, :-2])
        hair = crop(fur(), rng, FULL_SIZE) * np.float32(u(0.03, 0.12))
        light += inside * (slope * np.float32(u(0.003, 0.007)) + hair)
    return light


def _develop(canvas: Image.Image, light: NDArray[np.float32], rng: Random, grain: float) -> NDArray[np.uint8]:
    """Reduce the canvas to FULL_SIZE, light it and add the grain of a photograph."""
    image = np.asarray(canvas.reduce(CANVAS // FULL_SIZE))[..., :3].astype(np.float32)
    image *= light[..., None]
    image += crop(noise(1), rng, FULL_SIZE)[..., None] * np.float32(grain)
    return np.clip(image, 0, 255, out=image).astype(np.uint8)


def paint_line(
    rng: Random,
    style: str,
    shapes: list[Shape],
    numbers: NDArray[np.uint8],
    coat: NDArray[np.uint8],
    front: NDArray[np.uint8],
) -> Painted:
    """Paint dark lines on light paper, perhaps with a wash of colour."""
    u = rng.uniform
    kind = rng.choices(("plain", "ruled paper", "squared paper"), (6, 1, 1))[0]
    background = draw_paper(rng, kind)
    paper = np.array(background.getpixel((0, 0)) if kind == "plain" else (248, 248, 246), dtype=np.float32)
    wash = 0.0 if rng.random() < 0.55 else u(0.1, 0.5)
    ink = np.array((u(0, 70),) * 3 if rng.random() < 0.75 else any_colour(rng, 0.1, 0.6), dtype=np.float32)
    colours = np.array(coat_colours(rng), dtype=np.float32)
    washed = paper + (colours - paper) * np.float32(wash)
    second = ink + (paper - ink) * np.float32(0.45) if wash == 0 else washed[Paint.SECOND]
    fill = rng.random() < 0.5  # dark areas are filled with ink
    colour = np.zeros((256, 3), dtype=np.float32)
    for number, shape in enumerate(shapes, start=1):
        inked = shape.width > 0 or shape.detail or (fill and shape.paint is Paint.DARK)
        colour[number] = ink if inked else washed[shape.paint]
    colour[_SECOND + 1 : _SECOND + len(shapes) + 1] = second
    colour[OCCLUDER : OCCLUDER + 2] = paper
    colour[_INK] = ink
    shown = wash > 0 or rng.random() < 0.4
    painted = np.where(front, front, coat if shown else numbers)
    groups, bare = _grouping(shapes, rng.random() < 0.6)
    outlined = np.where(front, front, groups.take(numbers))
    edge = _edges(outlined, bare.take(numbers) & (front == 0), rng.choice((2, 3, 3, 4)))
    painted = np.where(edge, np.uint8(_INK), painted)
    light = np.ones((FULL_SIZE, FULL_SIZE), dtype=np.float32)
    return Painted(_develop(_compose(painted, colour, background), light, rng, u(0, 4)), kind, shown)
