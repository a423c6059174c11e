"""Attributes of each image, which are true of what was drawn.

Counts are of the shapes drawn in this view, before anything was put in front: a horse in profile has one eye. With
the labels they let rules be learned ("eight legs: a spider") and verified.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.data.animals.occlusion import OCCLUDERS
from workbench.data.animals.painting import PATTERNS, STYLES
from workbench.data.animals.scene import Scene
from workbench.data.animals.surroundings import BACKGROUNDS

_POSES = ("standing", "walking", "running", "grazing", "sitting", "pecking", "spread", "folded", "crouching", "hanging")


@dataclass(frozen=True)
class Attribute:
    """What an attribute means. values: names of the codes 0, 1, 2…; empty for a count, a flag or a share."""

    meaning: str
    values: tuple[str, ...] = ()


ATTRIBUTES: dict[str, Attribute] = {
    # Counts.
    "legs": Attribute("legs drawn; a squirrel's arms are legs"),
    "ears": Attribute("ears drawn, the far one included"),
    "eyes": Attribute("eyes drawn: 1 in profile, 2 from the front"),
    "wings": Attribute("wings drawn: 4 on a butterfly, the near one of a chicken"),
    "horns": Attribute("horns drawn"),
    "tusks": Attribute("tusks drawn"),
    "antennae": Attribute("antennae drawn"),
    "whiskers": Attribute("whiskers drawn"),
    # Flags.
    "neck": Attribute("a neck that stands out from the body: 1 yes, 0 no"),
    "trunk": Attribute("a trunk: 1 yes, 0 no"),
    "mane": Attribute("a mane: 1 yes, 0 no"),
    "udder": Attribute("an udder: 1 yes, 0 no"),
    "wool": Attribute("a woolly outline: 1 yes, 0 no"),
    "beak": Attribute("a beak: 1 yes, 0 no"),
    "comb": Attribute("a comb on the head: 1 yes, 0 no"),
    "tongue": Attribute("a tongue that hangs out: 1 yes, 0 no"),
    "collar": Attribute("a collar: 1 yes, 0 no"),
    "nut": Attribute("a nut in the paws: 1 yes, 0 no"),
    "thread": Attribute("a thread to hang from: 1 yes, 0 no"),
    "mirrored": Attribute("turned round: a side view faces left; 1 yes, 0 no"),
    # Codes.
    "tail": Attribute("what the tail is like", ("none", "thin", "tufted", "hair", "bushy", "feathers", "short")),
    "ear_shape": Attribute("what the ears are like", ("none", "pointed", "floppy", "sideways", "fan", "tufted")),
    "view": Attribute("from where the body is seen", ("side", "front", "top")),
    "pose": Attribute("what it does", _POSES),
    "pattern": Attribute("what the coat is like, as far as it shows", PATTERNS),
    "style": Attribute("how it is drawn", STYLES),
    "background": Attribute("what is behind it", BACKGROUNDS),
    "occluder": Attribute("what is in front of the scene, not necessarily of the animal", OCCLUDERS),
    # Shares, 0 to 1.
    "occluded": Attribute("share of the animal, of what lies in the frame, that is hidden by something in front"),
    "extent": Attribute("longer side of the animal's bounding box as a share of the image's side"),
}

_PARTS = {
    "legs": "leg",
    "ears": "ear",
    "eyes": "eye",
    "wings": "wing",
    "horns": "horn",
    "tusks": "tusk",
    "antennae": "antenna",
    "whiskers": "whisker",
}
_PRESENT = {
    name: name for name in ("neck", "trunk", "mane", "udder", "wool", "beak", "tongue", "collar", "nut", "thread")
} | {"comb": "comb lobe"}


def attributes_of(scene: Scene) -> dict[str, int | float]:
    """Return one number for each of ATTRIBUTES."""
    parts = scene.parts()
    numbers: dict[str, int | float] = {name: parts[part] for name, part in _PARTS.items()}
    numbers |= {name: int(parts[part] > 0) for name, part in _PRESENT.items()}
    words = {
        "tail": scene.traits.tail,
        "ear_shape": scene.traits.ear_shape,
        "view": scene.traits.view,
        "pose": scene.traits.pose,
        "pattern": scene.pattern,
        "style": scene.style,
        "background": scene.background,
        "occluder": scene.occluder,
    }
    numbers |= {name: ATTRIBUTES[name].values.index(word) for name, word in words.items()}
    numbers |= {"mirrored": int(scene.mirrored), "occluded": scene.occluded(), "extent": scene.extent()}
    return {name: numbers[name] for name in ATTRIBUTES}


def columns(rows: Sequence[dict[str, int | float]]) -> dict[str, NDArray[Any]]:
    """Return one array for each attribute: float32 for shares, int64 for everything else."""
    shares = ("occluded", "extent")
    return {
        name: np.array([row[name] for row in rows], dtype=np.float32 if name in shares else np.int64)
        for name in ATTRIBUTES
    }
