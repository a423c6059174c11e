"""What a network expects of an image, and how any image is fitted to it. No torch: production uses this module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workbench.arguments import number, whole_number
from workbench.bundle.images import ImageError
from workbench.errors import WorkbenchError

MAX_SIDE = 4096

Shape = tuple[int, int, int]  # height, width, channels


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What a network expects of an image: its size, and the mean and standard deviation of each channel in [0, 1].

    height, width: 1 to 4096 pixels. channels: 1 (grey) or 3 (RGB). mean: 0 to 1, std: 1e-6 to 1, one per channel.
    Raises WorkbenchError, naming field and value, for anything else.

    >>> wb.Preprocessing(height=28, width=28, channels=1, mean=(0.29,), std=(0.35,)).shape
    (28, 28, 1)
    """

    height: int
    width: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        for name, high in (("height", MAX_SIDE), ("width", MAX_SIDE), ("channels", 3)):
            object.__setattr__(self, name, whole_number(f"Preprocessing: {name}", getattr(self, name), 1, high))
        if self.channels == 2:
            raise WorkbenchError("Preprocessing: channels = 2: must be 1 (grey) or 3 (RGB).")
        for name, low in (("mean", 0.0), ("std", 1e-6)):
            object.__setattr__(self, name, _per_channel(name, getattr(self, name), self.channels, low))

    @property
    def shape(self) -> Shape:
        """(height, width, channels) of the network's input."""
        return self.height, self.width, self.channels

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values, as written in a manifest or a weights file."""
        values = asdict(self)
        return values | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Read `to_mapping()` back. Raises WorkbenchError for missing, unknown or invalid values."""
        names = [spec.name for spec in fields(cls)]
        if not isinstance(values, Mapping) or sorted(map(str, values)) != sorted(names):
            found = ", ".join(sorted(map(str, values))) if isinstance(values, Mapping) else type(values).__name__
            raise WorkbenchError(f"Preprocessing needs exactly {', '.join(names)}, and got {found or 'nothing'}.")
        return cls(**{name: values[name] for name in names})


def fit_image(pixels: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Fit an image, uint8 (H, W, 3) or (H, W, 1), to a network's input: uint8 (height, width, channels).

    Grey is the luma of ITU-R BT.601. The largest centred rectangle of the input's proportions, with its corner on a
    whole pixel, is scaled with an antialiasing bilinear filter. An image of the right size keeps its pixels; the same
    input gives the same bytes on every machine. The result never shares memory with the input. Raises ImageError for
    an array that is not an image.

    >>> from workbench.folders import REFERENCE
    >>> fit_image(np.zeros((48, 64, 3), np.uint8), wb.read_bundle(REFERENCE).preprocessing).shape
    (32, 32, 3)
    """
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 3 or 0 in pixels.shape:
        found = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise ImageError(f"An image must be a uint8 array (height, width, 3), not {found}.")
    if pixels.shape[2] not in (1, 3):
        raise ImageError(f"An image must have 1 or 3 channels, not {pixels.shape[2]}.")
    height, width = pixels.shape[:2]
    if pixels.shape == preprocessing.shape:
        return pixels.copy()
    target = (preprocessing.width, preprocessing.height)
    image = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))
    image = image.convert("L" if preprocessing.channels == 1 else "RGB")
    scale = min(width / target[0], height / target[1])
    box_width, box_height = min(width, scale * target[0]), min(height, scale * target[1])
    left, top = int((width - box_width) / 2), int((height - box_height) / 2)
    box = (left, top, left + box_width, top + box_height)
    if (width, height) != target:
        image = image.resize(target, Image.Resampling.BILINEAR, box=box)
    return np.array(image, dtype=np.uint8).reshape(preprocessing.shape)


def _per_channel(name: str, values: Any, channels: int, low: float) -> tuple[float, ...]:
    given = list(values) if isinstance(values, Sequence | np.ndarray) and not isinstance(values, str) else []
    if len(given) != channels:
        count = f"{channels} number{'s' if channels > 1 else ''}, one per channel"
        raise WorkbenchError(f"Preprocessing: {name} = {values!r}: must be {count}.")
    return tuple(number(f"Preprocessing: {name}", value, low, 1.0) for value in given)
