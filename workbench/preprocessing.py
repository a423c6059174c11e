"""What a network expects of a picture, and the one way to bring a picture to it. No torch: the production application
prepares its pictures with this module, the training its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workbench.errors import WorkbenchError
from workbench.pictures import PictureError

MAX_SIDE = 4096


@dataclass(frozen=True, kw_only=True)
class Preprocessing:
    """What a network expects of a picture: its size, and the mean and spread to remove, per channel, in [0, 1].

    height, width: 1 to 4096 pixels. channels: 1 (grey) or 3 (RGB). mean: 0 to 1 and std: above 0 and up to 1, one
    each per channel. Checked when it is made; raises WorkbenchError that names field and value.
    """

    height: int
    width: int
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def __post_init__(self) -> None:
        for name in ("height", "width"):
            if not _is_whole(getattr(self, name), 1, MAX_SIDE):
                raise WorkbenchError(
                    f"Preprocessing: {name} = {getattr(self, name)!r} must be a whole number from 1 to {MAX_SIDE}."
                )
        if not _is_whole(self.channels, 1, 3) or self.channels == 2:
            raise WorkbenchError(f"Preprocessing: channels = {self.channels!r} must be 1 (grey) or 3 (RGB).")
        for name, low in (("mean", 0.0), ("std", 1e-6)):
            object.__setattr__(self, name, _per_channel(name, getattr(self, name), self.channels, low))

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, as written in a manifest or a weights file."""
        values = asdict(self)
        return values | {"mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Preprocessing:
        """The inverse of `to_mapping`; missing, unknown or wrong values are a WorkbenchError."""
        wanted = [spec.name for spec in fields(cls)]
        if not isinstance(values, Mapping) or sorted(map(str, values)) != sorted(wanted):
            found = ", ".join(sorted(map(str, values))) if isinstance(values, Mapping) else type(values).__name__
            raise WorkbenchError(f"Preprocessing needs exactly {', '.join(wanted)}, and got {found or 'nothing'}.")
        return cls(**{name: values[name] for name in wanted})


def fit_picture(pixels: NDArray[np.uint8], preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Bring a picture, uint8 (H, W, 3) or (H, W, 1), to what a network expects: uint8 (height, width, channels).

    The one way used everywhere: grey, where one channel is wanted, is the luma of ITU-R BT.601; then the largest
    centred rectangle of the wanted shape (its corner on a whole pixel) is scaled with an antialiasing bilinear filter.
    A picture of the right size keeps its pixels; the same input gives the same bytes on every machine. The result
    never shares memory with the input.
    Raises PictureError for an array that is no picture.
    """
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 3 or 0 in pixels.shape:
        found = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise PictureError(f"A picture must be a uint8 array (height, width, 3), not {found}.")
    if pixels.shape[2] not in (1, 3):
        raise PictureError(f"A picture must have 1 or 3 channels, not {pixels.shape[2]}.")
    height, width = pixels.shape[:2]
    if pixels.shape == (preprocessing.height, preprocessing.width, preprocessing.channels):
        return pixels.copy()
    target = (preprocessing.width, preprocessing.height)
    image = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels))
    image = image.convert("L" if preprocessing.channels == 1 else "RGB")
    scale = min(width / target[0], height / target[1])
    box_width, box_height = (
        min(width, scale * target[0]),
        min(height, scale * target[1]),
    )
    left, top = int((width - box_width) / 2), int((height - box_height) / 2)
    box = (left, top, left + box_width, top + box_height)
    if (width, height) != target:
        image = image.resize(target, Image.Resampling.BILINEAR, box=box)
    return np.array(image, dtype=np.uint8).reshape(target[1], target[0], preprocessing.channels)


def _is_whole(value: Any, low: int, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def _per_channel(name: str, values: Any, channels: int, low: float) -> tuple[float, ...]:
    numbers = tuple(values) if isinstance(values, Sequence) and not isinstance(values, str) else ()
    valid = all(isinstance(v, (int, float)) and not isinstance(v, bool) and low <= v <= 1.0 for v in numbers)
    if len(numbers) != channels or not valid:
        raise WorkbenchError(
            f"Preprocessing: {name} = {values!r} must be {channels} number{'s' if channels > 1 else ''} "
            f"from {low:g} to 1, one per channel."
        )
    return tuple(float(number) for number in numbers)
