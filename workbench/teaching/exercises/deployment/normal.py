"""05-normal: preprocessing, whose mistakes neither types nor shapes reveal."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.teaching.exercises.answers import call, function_of, shown
from workbench.teaching.exercises.exercise import Exercise, NotYet

_Array = NDArray[Any]
_RED_LAST = "Red and blue are swapped: red comes first in the images, and in mean and std."
_ORDERS: dict[str, Callable[[_Array], _Array]] = {"": lambda x: x, _RED_LAST: lambda x: x[..., ::-1]}
_SCALES: dict[str, Callable[[_Array], _Array]] = {
    "": lambda x: x / 255,
    "After your scaling only 0 and 1 are left, 1 where a colour was at its maximum: everything between was cut to "
    "whole numbers.": lambda x: x // 255 * 1.0,
    "The values still go from 0 to 255, but mean and std are those of values from 0 to 1.": lambda x: x * 1.0,
    "The largest value is 255, and it should become 1: what did you divide by?": lambda x: x / 256,
}


_LAYOUTS: dict[str, Callable[[_Array], _Array]] = {
    "": lambda x: x.transpose(0, 3, 1, 2),
    "The three colours of a pixel are still next to each other, but each belongs in its own channel. (reshape changes "
    "the shape without moving any number.)": (lambda x: x.reshape(len(x), x.shape[3], *x.shape[1:3])),
    "Rows and columns are swapped: the image lies on its side.": lambda x: x.transpose(0, 3, 2, 1),
}


_NORMALS: dict[str, Callable[[_Array, _Array, _Array], _Array]] = {
    "": lambda x, mean, std: (x - mean) / std,
    "Scaled, but not normalised: mean and std are not used yet.": lambda x, mean, std: x,
    "The mean is not subtracted.": lambda x, mean, std: x / std,
    "The mean is subtracted, but nothing is divided by std.": lambda x, mean, std: x - mean,
    "Subtract the mean first, then divide by std: you divide too early.": lambda x, mean, std: x / std - mean,
    "One mean and one std for all three channels: each has its own.": (
        lambda x, mean, std: (x - mean.mean()) / std.mean()
    ),
    "The mean is each channel's own, but there is one std for all three.": lambda x, mean, std: (x - mean) / std.mean(),
    "The std is each channel's own, but there is one mean for all three.": lambda x, mean, std: (x - mean.mean()) / std,
    "Divide by std: you multiply.": lambda x, mean, std: (x - mean) * std,
    "You normalise first and scale afterwards: mean and std are those of values from 0 to 1.": (
        lambda x, mean, std: (x * 255 - mean) / std / 255
    ),
    "You use the mean and std of the images just given: use those of the training images, which are passed to "
    "you.": lambda x, mean, std: (x - _own(x, mean, np.mean)) / _own(x, mean, np.std),
}


_WRONG_AXIS = (
    "Mean and std have three numbers, one per channel, and you apply them along the rows or the columns: with images "
    "of 32 × 32 that would raise an error. Which axis has the channels at that point?"
)


def _own(x: _Array, like: _Array, figure: Callable[..., Any]) -> _Array:
    axes = tuple(axis for axis, size in enumerate(like.shape) if size == 1)
    return np.asarray(figure(x, axis=axes, keepdims=True))


def _check_normal(answer: object) -> None:
    function = function_of(answer, "prepare")
    random = np.random.default_rng(5)
    # With 3 rows and 3 columns a mean along the wrong axis raises no error, so that the mistake can be recognised.
    for shape in ((4, 3, 3, 3), (1, 6, 5, 3), (2, 32, 32, 3)):
        images = random.integers(0, 256, shape, np.uint8)
        images[random.random(shape) < 0.4] = 255
        mean, std = random.uniform(0.3, 0.7, 3), random.uniform(0.2, 0.4, 3)
        shown_as = f"{shape[0]} images of {shape[1]} × {shape[2]}, mean, std"
        given = images, tuple(map(float, mean)), tuple(map(float, std))
        found = call(function, *given, shown_as=shown_as, unchanged="the images")
        _compare_prepared(_array_of(found), images, mean, std)


def _array_of(found: object) -> _Array:
    array = np.asarray(found)
    if array.dtype.kind not in "fiub":
        raise NotYet(f"Your function returns {shown(found)}: return an array of numbers.")
    if array.dtype.kind != "f":
        raise NotYet(f"It returns whole numbers ({array.dtype}): everything between them is lost.")
    return array


def _compare_prepared(found: _Array, images: _Array, mean: _Array, std: _Array) -> None:
    count, height, width, channels = images.shape
    if found.shape != (count, channels, height, width):
        raise NotYet(
            f"Images of shape {images.shape} become {found.shape}: the axes should be images, channels, rows, columns, "
            "in this order."
        )
    expected = (images.transpose(0, 3, 1, 2) / 255 - mean[:, None, None]) / std[:, None, None]
    if np.allclose(found, expected, rtol=1e-5, atol=1e-5):
        if found.dtype != np.float32:
            raise NotYet(f"The values are right, but in {found.dtype}: the network takes only float32.")
        return
    # Only with this shape does no mistake raise an error.
    if (height, width) == (channels, channels):
        mistakes = _mistakes(found, images, mean, std)
        if mistakes:
            left = "One mistake is left" if len(mistakes) == 1 else f"{len(mistakes)} mistakes are left; one of them"
            raise NotYet(f"{left}: {mistakes[0]}")
    if found.dtype == np.float16:
        raise NotYet("float16 keeps only three digits of each value: the network takes float32.")
    raise NotYet(
        "The shape is right, the values are not. Compute one pixel by hand: its red, divided by 255, minus the first "
        "mean, divided by the first std."
    )


def _mistakes(found: _Array, images: _Array, mean: _Array, std: _Array) -> list[str]:
    """The hints for the fewest known mistakes that together produce the array found; empty if none do."""
    best: list[str] = []
    for (order, reorder), (scale, rescale) in product(_ORDERS.items(), _SCALES.items()):
        values = rescale(reorder(images))
        for layout, normal, value in _laid_out(values, mean, std):
            mistakes = [hint for hint in (order, scale, layout, normal) if hint]
            if np.allclose(found, value, rtol=1e-5, atol=1e-5) and (not best or len(mistakes) < len(best)):
                best = mistakes
    return best


def _laid_out(values: _Array, mean: _Array, std: _Array) -> Iterator[tuple[str, str, _Array]]:
    """Every layout with every normalisation, before and after it: the hints for the two, and the result."""
    for layout, lay in _LAYOUTS.items():
        for normal, value in _normalised(lay(values), mean, std, 1):
            yield layout, normal, value
        for normal, value in _normalised(values, mean, std, 3):
            yield layout, normal, lay(value)


def _normalised(values: _Array, mean: _Array, std: _Array, axis: int) -> Iterator[tuple[str, _Array]]:
    along = [each for each in (1, 2, 3) if each != axis]
    right_mean, right_std = _along(mean, axis), _along(std, axis)
    for hint, normalise in _NORMALS.items():
        yield hint, normalise(values, right_mean, right_std)
    for first, second in product((axis, *along), repeat=2):
        if (first, second) != (axis, axis):
            yield _WRONG_AXIS, (values - _along(mean, first)) / _along(std, second)


def _along(per_channel: _Array, axis: int) -> _Array:
    return per_channel.reshape([3 if each == axis else 1 for each in range(4)])


EXERCISE = Exercise(
    id="05-normal",
    title="The right shape, the wrong image",
    kind="fix",
    level="core",
    hints=(
        "Say in words what each line does to a single pixel. None of them raises an error, and that is the trouble.",
        "Each of the three lines goes wrong somewhere. Pass it one image whose pixels are all the same, say 254, 10 "
        "and 0, and follow the three numbers from line to line.",
        "Divide by 255 with a single / while the channels are still last: mean and std, as arrays, then apply to the "
        "last axis automatically. Move that axis afterwards, with `transpose`, and convert to float32 at the end.",
    ),
    learned="Four silent mistakes, which neither types nor shapes reveal: that is why the preprocessing belongs "
    "inside the exported network.",
    check=_check_normal,
)
