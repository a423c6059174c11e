"""Draw the README's image of the ten animals: `python -m workbench.data.animals docs/animals.png`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from workbench.atomic import whole_file
from workbench.data.animals import FULL_SIZE, LABELS, Drawings, contact_sheet, draw_animals

_STYLES = (0, 1, 2, 1, 0, 1, 2, 0)  # codes of the images in a row
_INK, _PAPER = (40, 40, 46), (246, 246, 246)


def poster(seed: int = 30) -> Image.Image:
    """Draw ten labelled rows of eight clear images: large in the frame and with nothing in front."""
    rows = [_clear(label, seed + label) for label in range(len(LABELS))]
    chosen = Drawings(np.concatenate([row.images for row in rows]), np.concatenate([row.labels for row in rows]), {})
    sheet = contact_sheet(chosen, len(_STYLES))
    margin = 78
    image = Image.new("RGB", (sheet.shape[1] + margin, sheet.shape[0]), _PAPER)
    image.paste(Image.fromarray(sheet), (margin, 0))
    pen = ImageDraw.Draw(image)
    step = sheet.shape[0] / len(LABELS)
    for row, label in enumerate(LABELS):
        pen.text((margin - 4, round(step * (row + 0.5))), label, _INK, ImageFont.load_default(14), anchor="rm")
    # Five bits a channel are enough under the grain, and halve the file.
    return image.point([value & 0xF8 | 4 for value in range(256)] * 3)


def _clear(label: int, seed: int) -> Drawings:
    count = 150
    drawn = draw_animals(count, seed=seed, size=FULL_SIZE, labels=[label] * count)
    clear = (drawn.attributes["occluded"] < 0.02) & (drawn.attributes["extent"] > 0.82)
    chosen: list[int] = []
    for style in _STYLES:
        fits = clear & (drawn.attributes["style"] == style)
        chosen.append(next(index for index in np.flatnonzero(fits).tolist() if index not in chosen))
    return Drawings(drawn.images[chosen], drawn.labels[chosen], {})


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("Name the file to write: python -m workbench.data.animals docs/animals.png")
    with whole_file(Path(sys.argv[1])) as unfinished:
        poster().save(unfinished, "png", optimize=True)
