"""The built-in data sets as raw arrays: drawn, shipped with scikit-learn, or read from torchvision's files."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import numpy as np
from numpy.typing import NDArray

from workbench.bundle.preprocessing import Preprocessing, fit_image
from workbench.callbacks import Progress
from workbench.data.archives import Pair, read_archives
from workbench.data.cache import Array, Rows
from workbench.data.splits import stratified
from workbench.machine.processor import usable_cores

COUNTS = {"train": 10_000, "validation": 2_000, "test": 2_000, "new": 100}
DIGIT_COUNTS = {"validation": 200, "test": 300, "new": 100}
HELD_BACK = {"validation": 5_000, "new": 100}


@dataclass(frozen=True, eq=False)
class RawSplit:
    """One split before it is packed. images: uint8 (N, H, W, C). labels: int64 (N,). attributes: (N,) each."""

    images: Rows | Array
    labels: NDArray[np.int64]
    attributes: dict[str, Array] = field(default_factory=dict)
    names: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class RawData:
    """A data set as its source returns it, with the splits train, validation, test and new."""

    labels: tuple[str, ...]
    splits: dict[str, RawSplit]
    notes: tuple[str, ...] = ()


def make_animals(size: int, seed: int, progress: Progress) -> RawData:
    """Draw the ten animals, uint8 (N, size, size, 3), each split from its own seed."""
    from workbench.data.animals import LABELS
    from workbench.data.animals.parallel import draw_in_processes

    splits: dict[str, RawSplit] = {}
    total, done = sum(COUNTS.values()), 0
    for index, (name, count) in enumerate(COUNTS.items()):
        drawn = draw_in_processes(
            count,
            seed=int(np.random.SeedSequence([seed, index]).generate_state(1)[0]),
            size=size,
            processes=usable_cores(),
            report=partial(_report_drawn, progress, done, total),
        )
        splits[name] = RawSplit(drawn.images, drawn.labels, dict(drawn.attributes))
        done += count
    return RawData(tuple(LABELS), splits)


def _report_drawn(progress: Progress, before: int, total: int, drawn: int) -> None:
    progress("drawing animals", before + drawn, total)


def make_digits(size: int, seed: int, progress: Progress) -> RawData:
    """Return scikit-learn's 1,797 handwritten digits, scaled from 8×8 of 0 to 16 to uint8 (N, size, size, 1)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = digits.target.astype(np.int64)
    images = resize_images(pixels, size, "digits", progress)
    splits = _divide((images, labels), DIGIT_COUNTS, seed)
    notes = ("Enlarged from 8×8 pixels.",) if size != 8 else ()
    return RawData(tuple(str(k) for k in range(10)), splits, notes)


def make_from_archives(name: str, size: int, seed: int, progress: Progress) -> RawData:
    """Return a torchvision set: its test file stays whole, and validation and new come from its training file."""
    train, test, labels = read_archives(name, progress)
    train, test = ((resize_images(images, size, name, progress), truth) for images, truth in (train, test))
    return RawData(labels, split_official(train, test, seed))


def split_official(train: Pair, test: Pair, seed: int) -> dict[str, RawSplit]:
    """Return the four splits of a set that comes as a training and a test part."""
    return _divide(train, HELD_BACK, seed) | {"test": RawSplit(*test)}


def _divide(pair: Pair, counts: dict[str, int], seed: int) -> dict[str, RawSplit]:
    """Return stratified splits of the given sizes, and the rest for training."""
    images, labels = pair
    chosen = stratified(labels, list(counts.values()), seed=seed)
    return {
        name: RawSplit(Rows(images, rows), labels[rows]) for name, rows in zip((*counts, "train"), chosen, strict=True)
    }


def square(size: int, channels: int) -> Preprocessing:
    """Return the target of `fit_image` for square images, without normalisation."""
    return Preprocessing(height=size, width=size, channels=channels, mean=(0.0,) * channels, std=(1.0,) * channels)


def resize_images(pixels: Array, size: int, what: str, progress: Progress) -> Array:
    """Resize uint8 images (N, H, W, C) to (N, size, size, C); the same array is returned where that is its shape."""
    count, height, width, channels = pixels.shape
    if (height, width) == (size, size):
        return pixels
    target = square(size, channels)
    resized = np.empty((count, size, size, channels), dtype=np.uint8)
    for index, image in enumerate(pixels):
        resized[index] = fit_image(image, target)
        if index % 1000 == 999 or index == count - 1:
            progress(f"resizing {what}", index + 1, count)
    return resized
