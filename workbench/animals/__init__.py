"""The ten animals: pictures drawn by code, with labels and attributes.

They need no download and no torch. Everything around the animal (background, colours, style, light, what is in front)
is drawn from a source of chance that does not know the label, so that only the animal gives the answer away.
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

from workbench.animals.attributes import ATTRIBUTES, Attribute, attributes_of, columns
from workbench.animals.painting import FULL_SIZE
from workbench.animals.scene import ANIMALS, Scene, draw_scene
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

# Raised whenever a drawing changes: a cache of pictures is good for one version only.
VERSION = 2

LABELS = tuple(ANIMALS)


@dataclass(frozen=True, eq=False)
class Drawings:
    """Pictures with their labels and attributes.

    pictures: uint8 (N, size, size, 3). labels: int64 (N,), indices into LABELS. attributes: for each name in
    ATTRIBUTES an array (N,), float32 for shares and int64 for counts, yes/no and codes.
    """

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]
    attributes: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.labels)


def draw_animals(
    count: int, *, seed: int, size: int = 32, first: int = 0, labels: Sequence[int | str] | None = None
) -> Drawings:
    """Draws `count` pictures, `size` pixels a side (8 to FULL_SIZE; 64 for people, 32 for the network).

    Picture i depends on `seed` and i alone: a longer call begins with the pictures of a shorter one, another `size`
    shows the same scenes, and `first` starts at a later picture. The kinds are balanced (each ten pictures in a row,
    from a multiple of ten, show each kind once) and shuffled. `labels` asks for the kinds instead, as names or
    indices, one for each picture; the surroundings stay what they would be. About a millisecond a picture.
    Raises WorkbenchError for a size or label that cannot be drawn.
    """
    if not 8 <= size <= FULL_SIZE:
        raise WorkbenchError(f"Animals can be drawn 8 to {FULL_SIZE} pixels a side, not {size}.")
    if count < 0 or first < 0:
        raise WorkbenchError(f"Asked for {count} pictures from number {first}; neither may be negative.")
    if labels is not None and len(labels) != count:
        raise WorkbenchError(f"Asked for {count} pictures but gave {len(labels)} labels: give one for each.")
    asked = None if labels is None else [_label_index(label) for label in labels]
    pictures = np.empty((count, size, size, 3), dtype=np.uint8)
    targets = np.empty(count, dtype=np.int64)
    rows = []
    for row in range(count):
        label = _balanced_label(seed, first + row) if asked is None else asked[row]
        scene = scene_of(label, seed=seed, index=first + row)
        targets[row] = label
        rows.append(attributes_of(scene))
        if size == FULL_SIZE:
            pictures[row] = scene.picture
        else:
            reduced = Image.fromarray(scene.picture).resize((size, size), Image.Resampling.BOX)
            pictures[row] = np.asarray(reduced)
    return Drawings(pictures, targets, columns(rows))


def scene_of(label: int | str, *, seed: int, index: int) -> Scene:
    """Picture `index` of `seed` with the given animal, and all that is known of how it was drawn."""
    # Text seeds: Python hashes them with SHA-512, so that neighbouring numbers give unrelated streams.
    return draw_scene(
        LABELS[_label_index(label)],
        animal_chance=Random(f"animal/{seed}/{index}"),
        chance=Random(f"scene/{seed}/{index}"),
    )


def contact_sheet(drawings: Drawings, columns: int) -> NDArray[np.uint8]:
    """All pictures on one light sheet, row by row, `columns` to a row, a few pixels apart: uint8 (H, W, 3)."""
    count, size = len(drawings), drawings.pictures.shape[1]
    gap = max(1, size // 16)
    height = -(-count // columns) * (size + gap) + gap
    sheet = np.full((height, columns * (size + gap) + gap, 3), 246, dtype=np.uint8)
    for index, picture in enumerate(drawings.pictures):
        y, x = (gap + (size + gap) * place for place in divmod(index, columns))
        sheet[y : y + size, x : x + size] = picture
    return sheet


def _balanced_label(seed: int, index: int) -> int:
    block, place = divmod(index, len(LABELS))
    return _shuffled_labels(seed, block)[place]


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
