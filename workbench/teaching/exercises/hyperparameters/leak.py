"""01-leak: a split that keeps each animal on one side and takes its statistics from the training images alone."""

from __future__ import annotations

from collections.abc import Callable
from statistics import stdev
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.teaching.exercises.answers import call, function_of, is_close, number_of, shown
from workbench.teaching.exercises.exercise import Exercise, NotYet, Unanswered

_Array = NDArray[Any]
_SHARE_OFF = 0.1
_SEEDS, _MAX_DEVIATION = 16, 0.02  # a coin toss for each of 80 animals has a standard deviation of 0.045 or more


class _Split(NamedTuple):
    """The result of a learner's split, with plain types."""

    train: _Array
    validation: _Array
    mean: float
    std: float


def _check_leak(answer: object) -> None:
    function = function_of(answer, "mended_split")
    draw = np.random.default_rng(7)
    for share, seed in ((0.2, 0), (0.3, 5), (0.25, 1)):
        images, animals = _photographed(draw)
        split = _split_by(function, images, animals, share, seed)
        _judge_rows(split, animals, share)
        _judge_statistics(split, images)
        _judge_seed(function, split, images, animals, share, seed)
        _judge_draw(function, images, animals, share)


def _photographed(draw: np.random.Generator) -> tuple[_Array, _Array]:
    """Shuffled float images (N, 8, 8), 1 to 5 of each animal, each animal with its own brightness; and the animals."""
    names = draw.choice(10_000, 80, replace=False)
    animals = draw.permutation(np.repeat(names, draw.integers(1, 6, 80)))
    brightness = dict(zip(names.tolist(), draw.uniform(20, 235, 80).tolist(), strict=True))
    light = np.array([brightness[animal] for animal in animals.tolist()])
    return light[:, None, None] + draw.normal(0, 6, (len(animals), 8, 8)), animals


def _split_by(function: Callable[..., Any], images: _Array, animals: _Array, share: float, seed: int) -> _Split:
    shown_as = f"{len(images)} images, share {share}, seed {seed}"
    found = call(function, images, animals, share, seed, shown_as=shown_as, unchanged="the arrays")
    if not isinstance(found, tuple | list) or len(found) != 4:
        raise NotYet("Return four things, in this order: training rows, validation rows, mean, std.")
    if any(part is None for part in found):
        raise Unanswered("Of the four things that the function returns, some are still None.")
    train, validation = (_rows(part, name) for part, name in zip(found[:2], ("training", "validation"), strict=True))
    return _Split(train, validation, _one_number(found[2], "mean"), _one_number(found[3], "std"))


def _rows(part: object, name: str) -> _Array:
    try:
        rows = np.asarray(part if hasattr(part, "__array__") else list(part))  # type: ignore[call-overload]
    except (TypeError, ValueError):
        raise NotYet(f"The {name} rows are neither an array nor a list: {shown(part)}") from None
    if rows.ndim == 1 and not len(rows):
        raise NotYet(f"There are no {name} rows at all: each side should get its share.")
    if rows.dtype == bool:
        raise NotYet(f"The {name} rows are a mask of True and False: np.flatnonzero turns it into rows.")
    if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer):
        raise NotYet(f"The {name} rows should be a list of whole numbers: the positions of the images, not the images.")
    return rows


def _one_number(part: Any, name: str) -> float:
    if np.asarray(part).size != 1:
        raise NotYet(f"{name} should be one number, over all pixels of all training images.")
    return number_of(part, name)


def _judge_rows(split: _Split, animals: _Array, share: float) -> None:
    count = len(animals)
    rows = np.concatenate([split.train, split.validation])
    if rows.min() < 0 or rows.max() >= count:
        ranges = f"Rows go from 0 to {count - 1}, yours from {rows.min()} to {rows.max()}: "
        raise NotYet(ranges + "return rows, not the numbers of the animals.")
    if np.intersect1d(split.train, split.validation).size:
        raise NotYet("Some images are on both sides: an image that is trained on must not validate.")
    if len(np.unique(rows)) < len(rows):
        raise NotYet("Some rows appear twice on one side: use each image once.")
    shared = np.intersect1d(animals[split.train], animals[split.validation])
    if len(rows) < count:
        raise NotYet(
            f"{count - len(rows)} of {count} images are on neither side: do not drop an animal's other images, keep "
            "them together."
        )
    if len(shared):
        raise NotYet(
            f"{len(shared)} animals are on both sides: the network is validated on animals that it was trained on. "
            "What has to go to one side as a whole?"
        )
    part = len(split.validation) / count
    if abs(part - share) > _SHARE_OFF:
        if abs(1 - part - share) <= _SHARE_OFF:
            raise NotYet("The sides are swapped: the training rows come first, and share is what validation gets.")
        raise NotYet(f"The share for validation should be {share:.0%} of the images, and yours is {part:.0%}.")


def _judge_statistics(split: _Split, images: _Array) -> None:
    def is_of(pixels: _Array, close: float = 2e-4) -> tuple[bool, bool]:
        return is_close(split.mean, float(pixels.mean()), close), is_close(split.std, float(pixels.std()), close)

    own = images[split.train]
    if all(is_of(own)):
        return
    if any(is_of(images)):
        raise NotYet(
            "No animal is on both sides any more, but mean or std still depends on the validation images: "
            "from which images may they be computed?"
        )
    if any(is_of(images[split.validation])):
        raise NotYet("mean or std is that of the validation images, the very ones that must not be used.")
    if is_close(split.mean, float(own.std()), 2e-4) or is_close(split.std, float(own.var()), 2e-4):
        raise NotYet("Is mean the mean, and std the standard deviation, in this order?")
    raise NotYet(
        f"mean = {split.mean:.4g}, std = {split.std:.4g}: that is not the mean and the standard deviation of all "
        "pixels of the training images."
    )


def _judge_seed(
    function: Callable[..., Any], split: _Split, images: _Array, animals: _Array, share: float, seed: int
) -> None:
    def sides(other: int) -> frozenset[int]:
        return frozenset(_split_by(function, images, animals, share, other).validation.tolist())

    first = frozenset(split.validation.tolist())
    if sides(seed) != first:
        raise NotYet(
            "Called twice with the same seed, it returns different splits: draw from a generator made with the seed."
        )
    if sides(seed + 1) == first and sides(seed + 2) == first:
        raise NotYet("Every seed gives the same split: it is not drawn at random, or not with this seed.")


def _judge_draw(function: Callable[..., Any], images: _Array, animals: _Array, share: float) -> None:
    """Over many seeds, a fixed share of the animals or of the images hardly varies; a coin toss for each one does."""
    splits = [_split_by(function, images, animals, share, seed).validation for seed in range(_SEEDS)]
    drawn = [len(rows) / len(animals) for rows in splits]
    count = len(np.unique(animals))
    if min(stdev(drawn), stdev(len(np.unique(animals[rows])) / count for rows in splits)) > _MAX_DEVIATION:
        raise NotYet(
            f"Over {_SEEDS} seeds validation gets from {min(drawn):.0%} to {max(drawn):.0%} of the images instead of "
            f"{share:.0%}. A coin toss for each animal meets the share only on average: fix how many animals go."
        )


EXERCISE = Exercise(
    id="01-leak",
    title="A split that leaks",
    kind="fix",
    level="core",
    hints=(
        "What could the network know about a validation image, besides what it learned from other animals? "
        "There are two such things.",
        "Draw from the animals, not from the images: `np.unique(animals)` has each once. And ask of each line "
        "whether it uses images that are meant for validation.",
        "Shuffle the animals with the seed, and give the first share of them to validation; `np.isin(animals, chosen)` "
        "marks their images. Compute mean and std last, from the training rows.",
    ),
    learned="What belongs together stays on one side, and every statistic comes from the training images alone.",
    check=_check_leak,
)
