"""The ten animals: images drawn by code, with labels and attributes.

They need no download and no torch. Everything but the animal (background, colours, style, light, occluders) is drawn
from a random stream that does not depend on the label, so that only the animal gives the class away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workbench import arguments
from workbench.data.animals.attributes import ATTRIBUTES, Attribute, attributes_of, columns
from workbench.data.animals.painting import FULL_SIZE
from workbench.data.animals.scene import ANIMALS, Scene, draw_scene
from workbench.errors import WorkbenchError

__all__ = [
    "ATTRIBUTES",
    "FULL_SIZE",
    "LABELS",
    "VERSION",
    "Attribute",
    "Drawings",
    "contact_sheet",
    "draw_animals",
    "scene_of",
]

# Raise it whenever a drawing changes: a cache of images is valid for one version only.
VERSION = 2

LABELS = tuple(ANIMALS)


@dataclass(frozen=True, eq=False)
class Drawings:
    """Images with their labels and attributes.

    images: uint8 (N, size, size, 3). labels: int64 (N,), indices into LABELS. attributes: an array (N,) for each name
    in ATTRIBUTES, float32 for shares and int64 for counts, flags and codes.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    attributes: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.labels)


def draw_animals(
    count: int, *, seed: int, size: int = 32, first: int = 0, labels: Sequence[int | str] | None = None
) -> Drawings:
    """Draw `count` images, `size` pixels a side (8 to 64; the network takes 32).

    Image i depends only on `seed` and i: a longer call begins with the images of a shorter one, another `size` shows
    the same scenes, and `first` starts at a later image. Classes are balanced (every ten images from a multiple of ten
    show each class once) and shuffled. labels: the class of each image instead, as names or indices; the surroundings
    do not change. About a millisecond an image. Raises WorkbenchError for a size or label that cannot be drawn.

    >>> drawings = wb.draw_animals(2, seed=1, labels=["spider", "cat"])
    >>> drawings.images.shape, drawings.attributes["legs"].tolist()
    ((2, 32, 32, 3), [8, 4])
    """
    size = arguments.whole_number("size", size, 8, FULL_SIZE)
    count = arguments.whole_number("count", count, 0, 10**9)
    first = arguments.whole_number("first", first, 0, 10**9)
    if labels is not None and len(labels) != count:
        raise WorkbenchError(f"{len(labels)} labels for {count} images: give one for each.")
    given = None if labels is None else [_label_index(label) for label in labels]
    images = np.empty((count, size, size, 3), dtype=np.uint8)
    targets = np.empty(count, dtype=np.int64)
    rows = []
    for row in range(count):
        label = _balanced_label(seed, first + row) if given is None else given[row]
        scene = scene_of(label, seed=seed, index=first + row)
        targets[row] = label
        rows.append(attributes_of(scene))
        if size == FULL_SIZE:
            images[row] = scene.image
        else:
            reduced = Image.fromarray(scene.image).resize((size, size), Image.Resampling.BOX)
            images[row] = np.asarray(reduced)
    return Drawings(images, targets, columns(rows))


def scene_of(label: int | str, *, seed: int, index: int) -> Scene:
    """Draw image `index` of `seed` with the given animal, and return everything known of how it was drawn."""
    # Python hashes text seeds with SHA-512, so that neighbouring numbers give unrelated streams.
    return draw_scene(
        LABELS[_label_index(label)],
        animal_rng=Random(f"animal/{seed}/{index}"),
        rng=Random(f"scene/{seed}/{index}"),
    )


def contact_sheet(drawings: Drawings, columns: int) -> NDArray[np.uint8]:
    """Return all images on one light sheet, uint8 (H, W, 3), row by row, `columns` per row, a few pixels apart."""
    count, size = len(drawings), drawings.images.shape[1]
    gap = max(1, size // 16)
    height = -(-count // columns) * (size + gap) + gap
    sheet = np.full((height, columns * (size + gap) + gap, 3), 246, dtype=np.uint8)
    for index, image in enumerate(drawings.images):
        y, x = (gap + (size + gap) * cell for cell in divmod(index, columns))
        sheet[y : y + size, x : x + size] = image
    return sheet


def _balanced_label(seed: int, index: int) -> int:
    block, position = divmod(index, len(LABELS))
    return _shuffled_labels(seed, block)[position]


@lru_cache(maxsize=1)
def _shuffled_labels(seed: int, block: int) -> tuple[int, ...]:
    order = list(range(len(LABELS)))
    Random(f"labels/{seed}/{block}").shuffle(order)
    return tuple(order)


def _label_index(label: int | str) -> int:
    if isinstance(label, str) and label in LABELS:
        return LABELS.index(label)
    if not isinstance(label, str) and 0 <= label < len(LABELS):
        return int(label)
    raise WorkbenchError(f"There is no animal {label!r}; there are {', '.join(LABELS)} (0 to {len(LABELS) - 1}).")
