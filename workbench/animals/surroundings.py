"""What lies around the animal: colours, backgrounds and things in front. Nothing here knows which animal is drawn."""

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
OCCLUDERS = ("nothing", "grass", "fence", "rock", "branch", "leaves")

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
    """(256, 256) noise of mean 0 and spread 1 whose lumps are about `grain` pixels wide; it tiles."""
    # RandomState's stream is frozen by NumPy's policy (NEP 19); sums only, so that every machine agrees.
    field = np.random.RandomState(grain).random_sample((256, 256))
    for _ in range(3 if grain > 1 else 0):
        for axis in (0, 1):
            field = sum(np.roll(field, shift, axis) for shift in range(-(grain // 2), grain // 2 + 1))  # type: ignore[assignment]
    field -= field.mean()
    return (field / field.std()).astype(np.float32)


@lru_cache(maxsize=1)
def fur() -> NDArray[np.float32]:
    """(256, 256) noise of mean 0 and spread 1 in short slanted strokes."""
    field = np.zeros((256, 256), dtype=np.float32)
    for step in range(6):
        field += np.roll(noise(1), (2 * step // 3, step), (0, 1))
    strokes: NDArray[np.float32] = field / field.std()
    return strokes


@lru_cache(maxsize=4)
def coarse_noise(grain: int) -> NDArray[np.int16]:
    """`noise` in 32nds: whole numbers of mean 0 and spread 32."""
    return np.round(noise(grain) * 32).astype(np.int16)


def crop(field: NDArray[Number], chance: Random, side: int = CANVAS) -> NDArray[Number]:
    """A random square of `field`, perhaps turned: a view, no copy."""
    y, x = chance.randrange(256 - side), chance.randrange(256 - side)
    square = field[y : y + side, x : x + side]
    return square.T if chance.random() < 0.5 else square


def near(chance: Random, colour: Colour, spread: float = 14) -> Colour:
    """A colour close to `colour`, lighter or darker as a whole and a little off in each channel."""
    shift = chance.uniform(-spread, spread)
    red, green, blue = (min(255, max(0, round(c + shift + chance.uniform(-8, 8)))) for c in colour)
    return red, green, blue


def any_colour(chance: Random, low: float = 0.25, high: float = 1.0, strong: float = 0.9) -> Colour:
    """Any hue, from `low` to `high` brightness; weak colours are likelier than strong ones."""
    saturation = strong * chance.random() ** 1.5
    red, green, blue = hsv_to_rgb(chance.random(), saturation, chance.uniform(low, high))
    return round(red * 255), round(green * 255), round(blue * 255)


def coat_colours(chance: Random) -> list[Colour]:
    """Colours in the order of `figure.Paint`; the same chances for every animal."""
    coat = near(chance, chance.choice(_COATS)) if chance.random() < 0.86 else any_colour(chance, 0.3, 0.95)
    dark_coat = sum(coat) < 230
    choice = chance.random()
    if choice < 0.45:
        factor = 1.9 if dark_coat else 0.5
        second = tuple(min(255, round(c * factor + (25 if dark_coat else 0))) for c in coat)
    elif choice < 0.8:
        second = near(chance, chance.choice(_COATS))
    else:
        second = (236, 232, 224) if dark_coat or chance.random() < 0.5 else (44, 38, 36)
    if abs(sum(second) - sum(coat)) < 90:
        second = tuple(min(255, c + 70) if dark_coat else round(c * 0.55) for c in coat)
    lighter = tuple(round(c + (255 - c) * 0.55) for c in coat)
    face = lighter if chance.random() < 0.7 else tuple(round(c * 0.45) for c in coat)
    legs = chance.choice(
        ((222, 160, 50), (62, 54, 52), (150, 120, 90), tuple(round(c * 0.8) for c in coat), (208, 120, 60))
    )
    horn = chance.choice(((226, 206, 150), (236, 180, 50), (206, 198, 176), (168, 150, 116), (236, 168, 60)))
    iris = chance.choice(((222, 190, 60), (150, 190, 90), (120, 170, 200), (200, 130, 50)))
    return [
        coat,
        second,  # type: ignore[list-item]  # tuples of three
        face,  # type: ignore[list-item]
        near(chance, (36, 32, 34), 8),
        near(chance, (226, 150, 148), 12),
        (244, 240, 228),
        near(chance, (204, 44, 40), 16),
        near(chance, horn, 10),
        near(chance, legs, 8),  # type: ignore[arg-type]
        near(chance, iris, 10),
    ]


def draw_background(chance: Random, kind: str) -> Image.Image:
    """An RGB picture CANVAS pixels a side."""
    return _BACKGROUNDS[kind](chance)


def _plain(chance: Random) -> Image.Image:
    colour = any_colour(chance, 0.35, 1.0, 0.55)
    return Image.new("RGB", (CANVAS, CANVAS), colour)


def _vertical(top: Colour, bottom: Colour) -> Image.Image:
    strip = Image.new("RGB", (1, 2))
    strip.putdata([top, bottom])
    return strip.resize((CANVAS, CANVAS), Image.Resampling.BILINEAR)


def _gradient(chance: Random) -> Image.Image:
    picture = _vertical(any_colour(chance, 0.3, 1.0, 0.6), any_colour(chance, 0.3, 1.0, 0.6))
    return picture.transpose(Image.Transpose.ROTATE_90) if chance.random() < 0.3 else picture


_SKIES = ((150, 190, 230), (200, 216, 232), (238, 206, 170), (120, 140, 180), (226, 226, 222), (70, 82, 120))
_LANDS = ((104, 150, 70), (150, 160, 84), (188, 164, 110), (120, 100, 76), (222, 224, 228), (86, 116, 84))


def _meadow(chance: Random) -> Image.Image:
    sky = near(chance, chance.choice(_SKIES), 20)
    land = near(chance, chance.choice(_LANDS), 24)
    picture = _vertical(sky, near(chance, sky, 30))
    pen = ImageDraw.Draw(picture)
    horizon = chance.randint(50, 112)
    pen.rectangle((0, horizon, CANVAS, CANVAS), fill=land)
    tint = near(chance, land, 30)
    for _ in range(chance.randint(10, 34)):
        x, y, tall = chance.randrange(CANVAS), chance.randint(horizon, CANVAS), chance.randint(3, 9)
        pen.line((x, y, x + chance.randint(-3, 3), y - tall), fill=tint, width=2)
    if chance.random() < 0.4:
        x, y, size = chance.randrange(CANVAS), chance.randrange(8, 44), chance.randint(5, 12)
        pen.ellipse((x - size, y - size, x + size, y + size), fill=near(chance, (246, 226, 150), 20))
    return picture


def _hills(chance: Random) -> Image.Image:
    sky = near(chance, chance.choice(_SKIES), 20)
    picture = _vertical(sky, near(chance, sky, 34))
    pen = ImageDraw.Draw(picture)
    land = near(chance, chance.choice(_LANDS), 24)
    level = chance.randint(40, 80)
    for _ in range(chance.randint(2, 4)):
        bend, phase, high = chance.uniform(0.02, 0.07), chance.uniform(0, 6.3), chance.uniform(3, 14)
        ridge = [(x, level + high * math.sin(bend * x + phase)) for x in range(0, CANVAS + 8, 8)]
        pen.polygon([*ridge, (CANVAS, CANVAS), (0, CANVAS)], fill=land)
        land = near(chance, land, 36)
        level += chance.randint(10, 26)
    return picture


def _cloudy(chance: Random) -> Image.Image:
    first, second = any_colour(chance, 0.3, 1.0, 0.6), any_colour(chance, 0.3, 1.0, 0.6)
    share = np.clip(crop(noise(chance.choice((5, 11, 21))), chance)[..., None] * 0.3 + 0.5, 0, 1)
    mixed = np.array(first, np.float32) * share + np.array(second, np.float32) * (1 - share)
    return Image.fromarray(mixed.astype(np.uint8))


def _shapes(chance: Random) -> Image.Image:
    picture = _plain(chance)
    pen = ImageDraw.Draw(picture)
    base = picture.getpixel((0, 0))
    for _ in range(chance.randint(4, 12)):
        colour = near(chance, base, 60) if chance.random() < 0.7 else any_colour(chance)  # type: ignore[arg-type]
        x, y = chance.randint(-10, CANVAS), chance.randint(-10, CANVAS)
        wide, high = chance.randint(6, 50), chance.randint(6, 50)
        kind = chance.randrange(3)
        if kind == 0:
            pen.ellipse((x, y, x + wide, y + high), fill=colour)
        elif kind == 1:
            pen.polygon([(x, y), (x + wide, y + chance.randint(-20, 20)), (x + wide // 2, y + high)], fill=colour)
        else:
            pen.line((x, y, x + chance.randint(-60, 60), y + high), fill=colour, width=chance.randint(2, 7))
    return picture


def _room(chance: Random) -> Image.Image:
    wall = any_colour(chance, 0.45, 0.95, 0.4)
    picture = Image.new("RGB", (CANVAS, CANVAS), wall)
    pen = ImageDraw.Draw(picture)
    floor = chance.randint(70, 114)
    if chance.random() < 0.5:  # striped paper
        tint, gap = near(chance, wall, 24), chance.randint(10, 24)
        for x in range(chance.randint(0, gap), CANVAS, gap):
            pen.rectangle((x, 0, x + gap // 3, floor), fill=tint)
    if chance.random() < 0.6:  # a window or a picture
        x, y, wide, high = (
            chance.randint(-20, 100),
            chance.randint(-10, 40),
            chance.randint(18, 46),
            chance.randint(18, 40),
        )
        pen.rectangle((x, y, x + wide, y + high), fill=any_colour(chance), outline=near(chance, wall, 60), width=3)
    pen.rectangle((0, floor, CANVAS, CANVAS), fill=any_colour(chance, 0.25, 0.85, 0.5))
    if chance.random() < 0.5:
        pen.line((0, floor, CANVAS, floor), fill=near(chance, wall, 60), width=3)
    return picture


def _paper(chance: Random) -> Colour:
    light = chance.randint(226, 255)
    return light, light - chance.randint(0, 6), light - chance.randint(0, 18)


def _ruled(chance: Random) -> Image.Image:
    paper = _paper(chance)
    picture = Image.new("RGB", (CANVAS, CANVAS), paper)
    pen = ImageDraw.Draw(picture)
    faint = tuple(c - chance.randint(14, 60) for c in paper)
    gap = chance.randint(12, 26)
    for y in range(chance.randrange(gap), CANVAS, gap):
        pen.line((0, y, CANVAS, y), fill=faint, width=2)
    return picture


def _squared(chance: Random) -> Image.Image:
    picture = _ruled(chance)
    pen = ImageDraw.Draw(picture)
    paper = picture.getpixel((0, 0))
    faint = tuple(max(0, c - 30) for c in paper)  # type: ignore[union-attr]
    gap = chance.randint(12, 26)
    for x in range(chance.randrange(gap), CANVAS, gap):
        pen.line((x, 0, x, CANVAS), fill=faint, width=2)
    return picture


def draw_paper(chance: Random, kind: str) -> Image.Image:
    """What a line drawing lies on: light paper, plain, ruled or squared."""
    if kind == "plain":
        paper = (255, 255, 255) if chance.random() < 0.5 else _paper(chance)
        return Image.new("RGB", (CANVAS, CANVAS), paper)
    return _ruled(chance) if kind == "ruled paper" else _squared(chance)


_BACKGROUNDS = {
    "plain": _plain,
    "gradient": _gradient,
    "meadow": _meadow,
    "hills": _hills,
    "cloudy": _cloudy,
    "shapes": _shapes,
    "room": _room,
}


def draw_occluder(chance: Random, kind: str, pen: ImageDraw.ImageDraw, number: int) -> None:
    """Draws something in front, in the numbers `number` and `number + 1` for its two tints."""
    if kind != "nothing":
        _IN_FRONT[kind](chance, pen, number)


def _grass(chance: Random, pen: ImageDraw.ImageDraw, number: int) -> None:
    low = chance.randint(104, 128)
    for _ in range(chance.randint(10, 30)):
        x, tall, lean = chance.uniform(-4, CANVAS), chance.uniform(10, 40), chance.uniform(-10, 10)
        blade = [(x, low + 26), (x + 5, low + 26), (x + lean, low + 10 - tall)]
        pen.polygon(blade, fill=number + chance.randint(0, 1))


def _fence(chance: Random, pen: ImageDraw.ImageDraw, number: int) -> None:
    if chance.random() < 0.5:
        gap, wide = chance.randint(34, 56), chance.randint(4, 7)
        for x in range(chance.randint(0, gap), CANVAS, gap):
            pen.rectangle((x, chance.randint(30, 70), x + wide, CANVAS), fill=number)
    level = chance.randint(50, 104)
    pen.rectangle((0, level, CANVAS, level + chance.randint(3, 6)), fill=number + 1)


def _rock(chance: Random, pen: ImageDraw.ImageDraw, number: int) -> None:
    u = chance.uniform
    x, y, wide, high = u(-6, CANVAS), u(96, 128), u(12, 30), u(10, 26)
    points = []
    for step in range(9):
        angle, out = step * math.tau / 9, u(0.8, 1.15)
        points.append((x + wide * out * math.cos(angle), y + high * out * math.sin(angle)))
    pen.polygon(points, fill=number)
    pen.polygon([(px + 3, py + 5) for px, py in points[4:8]], fill=number + 1)


def _branch(chance: Random, pen: ImageDraw.ImageDraw, number: int) -> None:
    x, y, angle = chance.uniform(0, CANVAS), chance.uniform(0, CANVAS), chance.uniform(0, math.pi)
    along, up = 200 * math.cos(angle), 200 * math.sin(angle)
    pen.line((x - along, y - up, x + along, y + up), fill=number, width=chance.randint(3, 6))


def _leaves(chance: Random, pen: ImageDraw.ImageDraw, number: int) -> None:
    u = chance.uniform
    for _ in range(chance.randint(3, 8)):
        x, y, angle, half = u(0, CANVAS), u(0, CANVAS), u(0, math.tau), u(7, 15)
        along, up = half * math.cos(angle), half * math.sin(angle)
        leaf = [
            (x - along, y - up),
            (x - 0.4 * up, y + 0.4 * along),
            (x + along, y + up),
            (x + 0.4 * up, y - 0.4 * along),
        ]
        pen.polygon(leaf, fill=number + chance.randint(0, 1))


_IN_FRONT = {"grass": _grass, "fence": _fence, "rock": _rock, "branch": _branch, "leaves": _leaves}
