"""01-leak: a split that keeps together what belongs together, and looks at the training pictures alone."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import stdev
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.exercises.answers import called, function_of, is_close, number_of, shown
from workbench.exercises.exercise import Exercise, NotYet, Unanswered

_Array = NDArray[Any]
_SHARE_OFF = 0.1
_SEEDS, _SPREAD = 16, 0.02  # a coin for each of 80 animals spreads by 0.045 or more


class _Split(NamedTuple):
    """What a learner's split gave back, made plain."""

    train: _Array
    validation: _Array
    mean: float
    std: float


def _check_leak(answer: object) -> None:
    function = function_of(answer, "mended_split")
    draw = np.random.default_rng(7)
    with _random_state_kept():
        for share, seed in ((0.2, 0), (0.3, 5), (0.25, 1)):
            pictures, animals = _photographed(draw)
            split = _split_by(function, pictures, animals, share, seed)
            _judge_rows(split, animals, share)
            _judge_statistics(split, pictures)
            _judge_seed(function, split, pictures, animals, share, seed)
            _judge_draw(function, pictures, animals, share)


def _photographed(draw: np.random.Generator) -> tuple[_Array, _Array]:
    """Pictures (N, 8, 8) of animals of their own brightness, each taken 1 to 5 times, mixed; and whose each is."""
    names = draw.choice(10_000, 80, replace=False)
    animals = draw.permutation(np.repeat(names, draw.integers(1, 6, 80)))
    brightness = dict(zip(names.tolist(), draw.uniform(20, 235, 80).tolist(), strict=True))
    light = np.array([brightness[animal] for animal in animals.tolist()])
    return light[:, None, None] + draw.normal(0, 6, (len(animals), 8, 8)), animals


def _split_by(function: Callable[..., Any], pictures: _Array, animals: _Array, share: float, seed: int) -> _Split:
    told = f"{len(pictures)} pictures, share {share}, seed {seed}"
    found = called(function, pictures, animals, share, seed, told=told, kept="the arrays")
    if not isinstance(found, tuple | list) or len(found) != 4:
        raise NotYet("Give back four things, in this order: training rows, validation rows, mean, std.")
    if any(part is None for part in found):
        raise Unanswered("Of the four things that the function gives back, some are still None.")
    train, validation = (_rows(part, name) for part, name in zip(found[:2], ("training", "validation"), strict=True))
    return _Split(train, validation, _one_number(found[2], "mean"), _one_number(found[3], "std"))


def _rows(part: object, name: str) -> _Array:
    try:
        rows = np.asarray(part if hasattr(part, "__array__") else list(part))  # type: ignore[call-overload]
    except (TypeError, ValueError):
        raise NotYet(f"The {name} rows are no array and no list: {shown(part)}") from None
    if rows.ndim == 1 and not len(rows):
        raise NotYet(f"There is no {name} row at all: each side should get its share.")
    if rows.dtype == bool:
        raise NotYet(f"The {name} rows are a mask of True and False: np.flatnonzero makes rows of it.")
    if rows.ndim != 1 or not np.issubdtype(rows.dtype, np.integer):
        raise NotYet(f"The {name} rows should be whole numbers, one after the other: which pictures, not the pictures.")
    return rows


def _one_number(part: Any, name: str) -> float:
    if np.asarray(part).size != 1:
        raise NotYet(f"{name} should be one number, over all pixels of all its pictures.")
    return number_of(part, name)


def _judge_rows(split: _Split, animals: _Array, share: float) -> None:
    count = len(animals)
    rows = np.concatenate([split.train, split.validation])
    if rows.min() < 0 or rows.max() >= count:
        told = f"Rows go from 0 to {count - 1}, and yours from {rows.min()} to {rows.max()}: "
        raise NotYet(told + "rows are asked for, not the numbers of the animals.")
    if np.intersect1d(split.train, split.validation).size:
        raise NotYet("Some pictures are on both sides: nothing that is learned from may judge.")
    if len(np.unique(rows)) < len(rows):
        raise NotYet("Some rows are there twice on one side: each picture once.")
    shared = np.intersect1d(animals[split.train], animals[split.validation])
    if len(rows) < count:
        raise NotYet(
            f"{count - len(rows)} of {count} pictures are on neither side: further pictures of an animal need not go, "
            "they need to stay together."
        )
    if len(shared):
        raise NotYet(
            f"{len(shared)} animals are on both sides: the network is asked about animals that it has learned from. "
            "What is it that has to go to one side whole?"
        )
    part = len(split.validation) / count
    if abs(part - share) > _SHARE_OFF:
        if abs(1 - part - share) <= _SHARE_OFF:
            raise NotYet("The sides are swapped: the training rows come first, and share is what validation gets.")
        raise NotYet(f"Asked for a share of {share:.0%} for validation, you set {part:.0%} of the pictures apart.")


def _judge_statistics(split: _Split, pictures: _Array) -> None:
    def is_of(pixels: _Array, close: float = 2e-4) -> tuple[bool, bool]:
        return is_close(split.mean, float(pixels.mean()), close), is_close(split.std, float(pixels.std()), close)

    own = pictures[split.train]
    if all(is_of(own)):
        return
    if any(is_of(pictures)):
        raise NotYet(
            "Nobody is on both sides any more, but mean or std still knows the validation pictures: "
            "of which pictures may they be taken?"
        )
    if any(is_of(pictures[split.validation])):
        raise NotYet("mean or std is that of the validation pictures, the very ones that must not take part.")
    if is_close(split.mean, float(own.std()), 2e-4) or is_close(split.std, float(own.var()), 2e-4):
        raise NotYet("Is mean the mean, and std the standard deviation, in this order?")
    raise NotYet(
        f"mean = {split.mean:.4g}, std = {split.std:.4g}: that is not the mean and the standard deviation of all "
        "pixels of the training pictures."
    )


def _judge_seed(
    function: Callable[..., Any], split: _Split, pictures: _Array, animals: _Array, share: float, seed: int
) -> None:
    def sides(other: int) -> frozenset[int]:
        return frozenset(_split_by(function, pictures, animals, share, other).validation.tolist())

    first = frozenset(split.validation.tolist())
    if sides(seed) != first:
        raise NotYet("Called twice with the same seed, it splits in two ways: draw from a generator made of the seed.")
    if sides(seed + 1) == first and sides(seed + 2) == first:
        raise NotYet("Every seed gives the same split: it is drawn by nothing, or not by the seed.")


def _judge_draw(function: Callable[..., Any], pictures: _Array, animals: _Array, share: float) -> None:
    """Over many seeds a fixed part, of the animals or of the pictures, hardly varies; what a coin decides does."""
    splits = [_split_by(function, pictures, animals, share, seed).validation for seed in range(_SEEDS)]
    drawn = [len(rows) / len(animals) for rows in splits]
    whole = len(np.unique(animals))
    if min(stdev(drawn), stdev(len(np.unique(animals[rows])) / whole for rows in splits)) > _SPREAD:
        raise NotYet(
            f"Over {_SEEDS} seeds validation gets from {min(drawn):.0%} to {max(drawn):.0%} of the pictures, and "
            f"{share:.0%} were asked for. A coin that is tossed for each animal meets its share on average only: fix "
            "how many go."
        )


@contextmanager
def _random_state_kept() -> Iterator[None]:
    """A learner's function may seed what everyone draws from."""
    import torch

    ours, numpys = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(ours)
        np.random.set_state(numpys)


EXERCISE = Exercise(
    id="01-leak",
    title="A split that leaks",
    kind="mend",
    level="core",
    hints=(
        "What could the network know of a validation picture, beside what it learned from other animals? "
        "There are two such things.",
        "Draw from the animals, not from the pictures: `np.unique(animals)` has each once. And ask of each line "
        "whether it looks at pictures that are to judge.",
        "Shuffle the animals by the seed, give the first share of them to validation; `np.isin(animals, chosen)` "
        "marks their pictures. Take mean and std last, of the training rows.",
    ),
    learned="What belongs together stays on one side, and every number is taken from the training pictures alone.",
    check=_check_leak,
)
