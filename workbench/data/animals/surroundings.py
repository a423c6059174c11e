"""Colours and backgrounds. Nothing here depends on which animal is drawn."""

from __future__ import annotations

import math
from colorsys import hsv_to_rgb
from functools import lru_cache
from random import Random
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

CANVAS = 128  # pixels a side on which a scene is drawn, before it is reduced

BACKGROUNDS = ("plain", "gradient", "meadow", "hills", "cloudy", "shapes", "room", "ruled paper", "squared paper")

Colour = tuple[int, int, int]
Number = TypeVar("Number", np.float32, np.int16)

_COATS = (
    (94, 62, 40),  # brown
    (138, 92, 54),
    (60, 44, 36),  # dark brown
    (38, 36, 40),  # black
    (112, 112, 118),  # grey
    (158, 156, 154),
    (84, 92, 106),  # blue grey
    (226, 222, 212),  # white
    (236, 226, 198),  # cream
    (204, 166, 112),  # tan
    (196, 112, 48),  # ginger
    (172, 72, 36),  # red brown
)


@lru_cache(maxsize=8)
def noise(grain: int) -> NDArray[np.float32]:
    """Return (256, 256) tileable noise of mean 0 and standard deviation 1, with lumps about `grain` pixels wide."""
    # NumPy guarantees RandomState's stream (NEP 19); sums only, so that every machine agrees.
    field = np.random.RandomState(grain).random_sample((256, 256))
    for _ in range(3 if grain > 1 else 0):
        for axis in (0, 1):
            field = sum(np.roll(field, shift, axis) for shift in range(-(grain // 2), grain // 2 + 1))  # type: ignore[assignment]
    field -= field.mean()
    return (field / field.std()).astype(np.float32)


@lru_cache(maxsize=1)
def fur() -> NDArray[np.float32]:
    """Return (256, 256) noise of mean 0 and standard deviation 1 in short slanted strokes."""
    field = np.zeros((256, 256), dtype=np.float32)
    for step in range(6):
        field += np.roll(noise(1), (2 * step // 3, step), (0, 1))
    strokes: NDArray[np.float32] = field / field.std()
    return strokes


@lru_cache(maxsize=4)
def coarse_noise(grain: int) -> NDArray[np.int16]:
    """Return `noise` as integers of mean 0 and standard deviation 32."""
    return np.round(noise(grain) * 32).astype(np.int16)


def crop(field: NDArray[Number], rng: Random, side: int = CANVAS) -> NDArray[Number]:
    """Return a random square of `field`, perhaps transposed, as a view."""
    y, x = rng.randrange(256 - side), rng.randrange(256 - side)
    square = field[y : y + side, x : x + side]
    return square.T if rng.random() < 0.5 else square


def near(rng: Random, colour: Colour, spread: float = 14) -> Colour:
    """Return a colour close to `colour`, lighter or darker as a whole and slightly off in each channel."""
    shift = rng.uniform(-spread, spread)
    red, green, blue = (min(255, max(0, round(c + shift + rng.uniform(-8, 8)))) for c in colour)
    return red, green, blue


def any_colour(rng: Random, low: float = 0.25, high: float = 1.0, strong: float = 0.9) -> Colour:
    """Return any hue, from `low` to `high` brightness; weak colours are likelier than strong ones."""
    saturation = strong * rng.random() ** 1.5
    red, green, blue = hsv_to_rgb(rng.random(), saturation, rng.uniform(low, high))
    return round(red * 255), round(green * 255), round(blue * 255)


def coat_colours(rng: Random) -> list[Colour]:
    """Return colours in the order of `figure.Paint`, with the same odds for every animal."""
    coat = near(rng, rng.choice(_COATS)) if rng.random() < 0.86 else any_colour(rng, 0.3, 0.95)
    dark_coat = sum(coat) < 230
    choice = rng.random()
    if choice < 0.45:
        factor = 1.9 if dark_coat else 0.5
        second = tuple(min(255, round(c * factor + (25 if dark_coat else 0))) for c in coat)
    elif choice < 0.8:
        second = near(rng, rng.choice(_COATS))
    else:
        second = (236, 232, 224) if dark_coat or rng.random() < 0.5 else (44, 38, 36)
    if abs(sum(second) - sum(coat)) < 90:
        second = tuple(min(255, c + 70) if dark_coat else round(c * 0.55) for c in coat)
    lighter = tuple(round(c + (255 - c) * 0.55) for c in coat)
    face = lighter if rng.random() < 0.7 else tuple(round(c * 0.45) for c in coat)
    legs = rng.choice(
        ((222, 160, 50), (62, 54, 52), (150, 120, 90), tuple(round(c * 0.8) for c in coat), (208, 120, 60))
    )
    horn = rng.choice(((226, 206, 150), (236, 180, 50), (206, 198, 176), (168, 150, 116), (236, 168, 60)))
    iris = rng.choice(((222, 190, 60), (150, 190, 90), (120, 170, 200), (200, 130, 50)))
    return [
        coat,
        second,  # type: ignore[list-item]  # tuples of three
        face,  # type: ignore[list-item]
        near(rng, (36, 32, 34), 8),
        near(rng, (226, 150, 148), 12),
        (244, 240, 228),
        near(rng, (204, 44, 40), 16),
        near(rng, horn, 10),
        near(rng, legs, 8),  # type: ignore[arg-type]
        near(rng, iris, 10),
    ]


def draw_background(rng: Random, kind: str) -> Image.Image:
    """Draw a background as an RGB image CANVAS pixels a side."""
    return _BACKGROUNDS[kind](rng)


def _plain(rng: Random) -> Image.Image:
    colour = any_colour(rng, 0.35, 1.0, 0.55)
    return Image.new("RGB", (CANVAS, CANVAS), colour)


def _vertical(top: Colour, bottom: Colour) -> Image.Image:
    strip = Image.new("RGB", (1, 2))
    strip.putdata([top, bottom])
    return strip.resize((CANVAS, CANVAS), Image.Resampling.BILINEAR)


def _gradient(rng: Random) -> Image.Image:
    image = _vertical(any_colour(rng, 0.3, 1.0, 0.6), any_colour(rng, 0.3, 1.0, 0.6))
    return image.transpose(Image.Transpose.ROTATE_90) if rng.random() < 0.3 else image


_SKIES = ((150, 190, 230), (200, 216, 232), (238, 206, 170), (120, 140, 180), (226, 226, 222), (70, 82, 120))
_LANDS = ((104, 150, 70), (150, 160, 84), (188, 164, 110), (120, 100, 76), (222, 224, 228), (86, 116, 84))


def _meadow(rng: Random) -> Image.Image:
    sky = near(rng, rng.choice(_SKIES), 20)
    land = near(rng, rng.choice(_LANDS), 24)
    image = _vertical(sky, near(rng, sky, 30))
    pen = ImageDraw.Draw(image)
    horizon = rng.randint(50, 112)
    pen.rectangle((0, horizon, CANVAS, CANVAS), fill=land)
    tint = near(rng, land, 30)
    for _ in range(rng.randint(10, 34)):
        x, y, tall = rng.randrange(CANVAS), rng.randint(horizon, CANVAS), rng.randint(3, 9)
        pen.line((x, y, x + rng.randint(-3, 3), y - tall), fill=tint, width=2)
    if rng.random() < 0.4:
        x, y, size = rng.randrange(CANVAS), rng.randrange(8, 44), rng.randint(5, 12)
        pen.ellipse((x - size, y - size, x + size, y + size), fill=near(rng, (246, 226, 150), 20))
    return image


def _hills(rng: Random) -> Image.Image:
    sky = near(rng, rng.choice(_SKIES), 20)
    image = _vertical(sky, near(rng, sky, 34))
    pen = ImageDraw.Draw(image)
    land = near(rng, rng.choice(_LANDS), 24)
    level = rng.randint(40, 80)
    for _ in range(rng.randint(2, 4)):
        bend, phase, high = rng.uniform(0.02, 0.07), rng.uniform(0, 6.3), rng.uniform(3, 14)
        ridge = [(x, level + high * math.sin(bend * x + phase)) for x in range(0, CANVAS + 8, 8)]
        pen.polygon([*ridge, (CANVAS, CANVAS), (0, CANVAS)], fill=land)
        land = near(rng, land, 36)
        level += rng.randint(10, 26)
    return image


def _cloudy(rng: Random) -> Image.Image:
    first, second = any_colour(rng, 0.3, 1.0, 0.6), any_colour(rng, 0.3, 1.0, 0.6)
    share = np.clip(crop(noise(rng.choice((5, 11, 21))), rng)[..., None] * 0.3 + 0.5, 0, 1)
    mixed = np.array(first, np.float32) * share + np.array(second, np.float32) * (1 - share)
    return Image.fromarray(mixed.astype(np.uint8))


def _shapes(rng: Random) -> Image.Image:
    image = _plain(rng)
    pen = ImageDraw.Draw(image)
    base = image.getpixel((0, 0))
    for _ in range(rng.randint(4, 12)):
        colour = near(rng, base, 60) if rng.random() < 0.7 else any_colour(rng)  # type: ignore[arg-type]
        x, y = rng.randint(-10, CANVAS), rng.randint(-10, CANVAS)
        wide, high = rng.randint(6, 50), rng.randint(6, 50)
        kind = rng.randrange(3)
        if kind == 0:
            pen.ellipse((x, y, x + wide, y + high), fill=colour)
        elif kind == 1:
            pen.polygon([(x, y), (x + wide, y + rng.randint(-20, 20)), (x + wide // 2, y + high)], fill=colour)
        else:
            pen.line((x, y, x + rng.randint(-60, 60), y + high), fill=colour, width=rng.randint(2, 7))
    return image


def _room(rng: Random) -> Image.Image:
    wall = any_colour(rng, 0.45, 0.95, 0.4)
    image = Image.new("RGB", (CANVAS, CANVAS), wall)
    pen = ImageDraw.Draw(image)
    floor = rng.randint(70, 114)
    if rng.random() < 0.5:  # striped paper
        tint, gap = near(rng, wall, 24), rng.randint(10, 24)
        for x in range(rng.randint(0, gap), CANVAS, gap):
            pen.rectangle((x, 0, x + gap // 3, floor), fill=tint)
    if rng.random() < 0.6:  # a window or an image
        x, y, wide, high = (
            rng.randint(-20, 100),
            rng.randint(-10, 40),
            rng.randint(18, 46),
            rng.randint(18, 40),
        )
        pen.rectangle((x, y, x + wide, y + high), fill=any_colour(rng), outline=near(rng, wall, 60), width=3)
    pen.rectangle((0, floor, CANVAS, CANVAS), fill=any_colour(rng, 0.25, 0.85, 0.5))
    if rng.random() < 0.5:
        pen.line((0, floor, CANVAS, floor), fill=near(rng, wall, 60), width=3)
    return image


def _paper(rng: Random) -> Colour:
    light = rng.randint(226, 255)
    return light, light - rng.randint(0, 6), light - rng.randint(0, 18)


def _ruled(rng: Random) -> Image.Image:
    paper = _paper(rng)
    image = Image.new("RGB", (CANVAS, CANVAS), paper)
    pen = ImageDraw.Draw(image)
    faint = tuple(c - rng.randint(14, 60) for c in paper)
    gap = rng.randint(12, 26)
    for y in range(rng.randrange(gap), CANVAS, gap):
        pen.line((0, y, CANVAS, y), fill=faint, width=2)
    return image


def _squared(rng: Random) -> Image.Image:
    image = _ruled(rng)
    pen = ImageDraw.Draw(image)
    paper = image.getpixel((0, 0))
    faint = tuple(max(0, c - 30) for c in paper)  # type: ignore[union-attr]
    gap = rng.randint(12, 26)
    for x in range(rng.randrange(gap), CANVAS, gap):
        pen.line((x, 0, x, CANVAS), fill=faint, width=2)
    return image


def draw_paper(rng: Random, kind: str) -> Image.Image:
    """Draw the light paper of a line drawing: plain, ruled or squared."""
    if kind == "plain":
        paper = (255, 255, 255) if rng.random() < 0.5 else _paper(rng)
        return Image.new("RGB", (CANVAS, CANVAS), paper)
    return _ruled(rng) if kind == "ruled paper" else _squared(rng)


_BACKGROUNDS = {
    "plain": _plain,
    "gradient": _gradient,
    "meadow": _meadow,
    "hills": _hills,
    "cloudy": _cloudy,
    "shapes": _shapes,
    "room": _room,
}
