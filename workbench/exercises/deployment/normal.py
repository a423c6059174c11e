"""05-normal: preprocessing whose mistakes no type and no shape gives away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.exercises.answers import called, function_of, shown
from workbench.exercises.exercise import Exercise, NotYet

_Array = NDArray[Any]
_RED_LAST = "Red and blue have changed places: the pictures come with red first, and so do mean and std."
_ORDERS: dict[str, Callable[[_Array], _Array]] = {"": lambda x: x, _RED_LAST: lambda x: x[..., ::-1]}
_SCALES: dict[str, Callable[[_Array], _Array]] = {
    "": lambda x: x / 255,
    "After your scaling nothing but 0 and 1 is left, 1 where a colour was at its fullest: all that lay between was "
    "cut to whole numbers.": lambda x: x // 255 * 1.0,
    "The values still go from 0 to 255, and mean and std are those of values from 0 to 1.": lambda x: x * 1.0,
    "The largest value is 255, and it should become 1: what did you divide by?": lambda x: x / 256,
}


_LAYOUTS: dict[str, Callable[[_Array], _Array]] = {
    "": lambda x: x.transpose(0, 3, 1, 2),
    "The three colours of a pixel still lie side by side, and each belongs in a channel of its own. (reshape gives "
    "numbers another shape, and moves none of them.)": (lambda x: x.reshape(len(x), x.shape[3], *x.shape[1:3])),
    "Rows and columns have changed places: the picture lies on its side.": lambda x: x.transpose(0, 3, 2, 1),
}


_NORMALS: dict[str, Callable[[_Array, _Array, _Array], _Array]] = {
    "": lambda x, mean, std: (x - mean) / std,
    "Scaled, and not normalised: mean and std play no part yet.": lambda x, mean, std: x,
    "The mean is still in it.": lambda x, mean, std: x / std,
    "The mean is out of it; the spread is still that of the pictures.": lambda x, mean, std: x - mean,
    "First the mean goes out, then the spread: you divide too early.": lambda x, mean, std: x / std - mean,
    "One mean and one spread for all three channels: each has its own.": (
        lambda x, mean, std: (x - mean.mean()) / std.mean()
    ),
    "The mean is each channel's own; the spread is one for all three.": lambda x, mean, std: (x - mean) / std.mean(),
    "The spread is each channel's own; the mean is one for all three.": lambda x, mean, std: (x - mean.mean()) / std,
    "To take the spread out, divide by it: you multiply.": lambda x, mean, std: (x - mean) * std,
    "You normalise first and scale afterwards: mean and std are those of values from 0 to 1.": (
        lambda x, mean, std: (x * 255 - mean) / std / 255
    ),
    "You use the mean and the spread of the pictures just given: the network knows those of its training, which are "
    "handed to you.": lambda x, mean, std: (x - _own(x, mean, np.mean)) / _own(x, mean, np.std),
}


_WRONG_AXIS = (
    "Mean and std have three numbers, one a channel, and you lay them along the rows or the columns: with pictures of "
    "32 × 32 it would stop. Which axis has the channels at that moment?"
)


def _own(x: _Array, like: _Array, figure: Callable[..., Any]) -> _Array:
    axes = tuple(axis for axis, size in enumerate(like.shape) if size == 1)
    return np.asarray(figure(x, axis=axes, keepdims=True))


def _check_normal(answer: object) -> None:
    function = function_of(answer, "prepare")
    random = np.random.default_rng(5)
    # With 3 rows and 3 columns a mean laid along the wrong axis does not stop, so that it can be told what it is.
    for shape in ((4, 3, 3, 3), (1, 6, 5, 3), (2, 32, 32, 3)):
        pictures = random.integers(0, 256, shape, np.uint8)
        pictures[random.random(shape) < 0.4] = 255
        mean, std = random.uniform(0.3, 0.7, 3), random.uniform(0.2, 0.4, 3)
        told = f"{shape[0]} pictures of {shape[1]} × {shape[2]}, mean, std"
        given = pictures, tuple(map(float, mean)), tuple(map(float, std))
        found = called(function, *given, told=told, kept="the pictures")
        _compare_prepared(_array_of(found), pictures, mean, std)


def _array_of(found: object) -> _Array:
    array = np.asarray(found)
    if array.dtype.kind not in "fiub":
        raise NotYet(f"Your function gives back {shown(found)}: an array of numbers is wanted.")
    if array.dtype.kind != "f":
        raise NotYet(f"It gives back whole numbers ({array.dtype}): all that lay between them is lost.")
    return array


def _compare_prepared(found: _Array, pictures: _Array, mean: _Array, std: _Array) -> None:
    count, height, width, channels = pictures.shape
    if found.shape != (count, channels, height, width):
        raise NotYet(
            f"Pictures {pictures.shape} come out as {found.shape}: wanted are pictures, channels, rows, columns, in "
            "this order."
        )
    expected = (pictures.transpose(0, 3, 1, 2) / 255 - mean[:, None, None]) / std[:, None, None]
    if np.allclose(found, expected, rtol=1e-5, atol=1e-5):
        if found.dtype != np.float32:
            raise NotYet(f"The values are right, in {found.dtype}: the network takes float32 and refuses any other.")
        return
    # Only there can every mistake be made without stopping.
    if (height, width) == (channels, channels):
        faults = _faults(found, pictures, mean, std)
        if faults:
            left = "One mistake is left" if len(faults) == 1 else f"{len(faults)} mistakes are left; one of them"
            raise NotYet(f"{left}: {faults[0]}")
    if found.dtype == np.float16:
        raise NotYet("float16 keeps three digits of each value: the network takes float32.")
    raise NotYet(
        "The shape is right, the values are not. Take one pixel by hand: its red, divided by 255, less the first mean, "
        "divided by the first std."
    )


def _faults(found: _Array, pictures: _Array, mean: _Array, std: _Array) -> list[str]:
    """The fewest of the known mistakes that together give what was found, in words; none where they do not."""
    best: list[str] = []
    for (order, reorder), (scale, rescale) in product(_ORDERS.items(), _SCALES.items()):
        values = rescale(reorder(pictures))
        for layout, said, value in _laid_out(values, mean, std):
            faults = [words for words in (order, scale, layout, said) if words]
            if np.allclose(found, value, rtol=1e-5, atol=1e-5) and (not best or len(faults) < len(best)):
                best = faults
    return best


def _laid_out(values: _Array, mean: _Array, std: _Array) -> Iterator[tuple[str, str, _Array]]:
    """Each layout with each way to normalise, before it and after it: the layout's fault, the other's, the result."""
    for layout, lay in _LAYOUTS.items():
        for said, value in _normalised(lay(values), mean, std, 1):
            yield layout, said, value
        for said, value in _normalised(values, mean, std, 3):
            yield layout, said, lay(value)


def _normalised(values: _Array, mean: _Array, std: _Array, axis: int) -> Iterator[tuple[str, _Array]]:
    along = [each for each in (1, 2, 3) if each != axis]
    right_mean, right_std = _along(mean, axis), _along(std, axis)
    for said, normalise in _NORMALS.items():
        yield said, normalise(values, right_mean, right_std)
    for first, second in product((axis, *along), repeat=2):
        if (first, second) != (axis, axis):
            yield _WRONG_AXIS, (values - _along(mean, first)) / _along(std, second)


def _along(three: _Array, axis: int) -> _Array:
    return three.reshape([3 if each == axis else 1 for each in range(4)])


EXERCISE = Exercise(
    id="05-normal",
    title="The right shape, the wrong picture",
    kind="mend",
    level="core",
    hints=(
        "Say in words what each line does to a single pixel. Nothing of it stops, and that is the trouble.",
        "Each of the three lines goes wrong somewhere. Give it one picture whose pixels are all alike, say 254, 10 "
        "and 0, and follow the three numbers from line to line.",
        "Divide by 255 with a single / while the channels are still last: mean and std, as arrays, then meet the "
        "last axis by themselves. Move that axis afterwards, with `transpose`, and make it float32 in the end.",
    ),
    learned="Four silent mistakes, none of which any type or shape gives away: that is why the preprocessing "
    "belongs inside the exported network.",
    check=_check_normal,
)
