"""Decide whether a network fits a device: for inference, for training, and for training with the data kept there.

All of it is *modelled*: counted from shapes (`workbench.modelling.cost`) and compared with the device's card. The
program, its libraries and the operating system are not counted: PyTorch alone takes hundreds of megabytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from workbench.arguments import above_zero, one_of, whole_number
from workbench.errors import WorkbenchError
from workbench.measuring.device_card import DeviceCard
from workbench.measuring.measurement import Phase
from workbench.modelling.cost import Cost
from workbench.units import BYTES_PER_VALUE, format_bytes

Limit = Literal["memory", "flash", "power"]

_LZ4_BLOCK_IMAGES = 1024  # compressed separately, so that a batch can be read without unpacking the rest


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Whether a device meets one need of a network.

    parts: the bytes of everything that has to be held. bytes: of those in the memory that is fullest, and limit_bytes:
    its size; a microcontroller has two memories, flash for constant weights and RAM. breaks: the limit exceeded, memory
    and flash before power; None if all hold or the device's power is unknown. verdict: "fits", "fits, power unknown",
    "does not fit: memory"; sentence: the verdict with figures.

    >>> card = next(each.card for each in wb.load_recordings() if each.card.is_microcontroller)
    >>> [fit.verdict for fit in wb.fits(card, wb.cost_of(wb.HyperParameters()))]
    ['fits', 'does not fit: memory']
    """

    device: str
    need: str
    parts: Mapping[str, int]
    bytes: int
    limit_bytes: int
    breaks: Limit | None
    verdict: str
    sentence: str

    @property
    def fits(self) -> bool:
        """Whether no limit is exceeded."""
        return self.breaks is None


def fits(
    card: DeviceCard,
    cost: Cost,
    data: Mapping[str, int] | None = None,
    watts: float | None = None,
    *,
    precision: str | None = None,
) -> tuple[Fit, ...]:
    """Return a `Fit` for inference, one for training, and one for training with each way of keeping the data.

    cost: from `cost_of`; training is counted as there, at its batch size. data: bytes of the training images by the way
    they are kept, as from `data_bytes`. watts: the power available (a battery, a USB port); None: unlimited. precision:
    of the weights and activations in inference; by default "int8" on a microcontroller and "fp32" elsewhere.

    >>> card = next(each.card for each in wb.load_recordings() if "Jetson" in each.card.name)
    >>> inference, training = wb.fits(card, wb.cost_of(wb.HyperParameters()), watts=10)
    >>> inference.verdict
    'does not fit: power'
    """
    precision = one_of("precision", precision or _usual_precision(card), BYTES_PER_VALUE)
    watts = None if watts is None else above_zero("watts", watts)
    weights, working = _inference_bytes(cost, precision)
    training = {
        "weights": cost.weight_bytes,
        "gradients": cost.gradient_bytes,
        "optimizer state": cost.optimizer_bytes,
        f"activations of {cost.batch_size} images": cost.activation_bytes,
    }
    flash = {"weights"} if card.flash_bytes is not None else set()
    results = [
        _fit(card, f"inference in {precision}", {"weights": weights, "working memory": working}, flash, watts),
        _fit(card, "training", training, set(), watts),
    ]
    for way, size in (data or {}).items():
        kept = {**training, f"data ({way})": whole_number(f"data ({way})", size, 0)}
        results.append(_fit(card, f"training with the data kept ({way})", kept, set(), watts))
    return tuple(results)


def largest_batch(card: DeviceCard, cost: Cost, *, phase: Phase = "inference") -> int:
    """Return the largest batch that fits into the device's memory, counted as in `fits`; 0 if no image does."""
    if phase == "training":
        kept = cost.weight_bytes + cost.gradient_bytes + cost.optimizer_bytes
        return max(0, (card.memory_bytes - kept) * cost.batch_size // max(cost.activation_bytes, 1))
    weights, working = _inference_bytes(cost, _usual_precision(card))
    if card.flash_bytes is not None:
        return card.memory_bytes // working if weights <= card.flash_bytes else 0
    return max(0, (card.memory_bytes - weights) // working)


def _usual_precision(card: DeviceCard) -> str:
    return "int8" if card.is_microcontroller else "fp32"


def _inference_bytes(cost: Cost, precision: str) -> tuple[int, int]:
    """Return the bytes of the weights, and of the working memory for one image."""
    per_value = BYTES_PER_VALUE[precision]
    return cost.weight_bytes * per_value // 4, cost.working_bytes * per_value // 4


def data_bytes(data: Any) -> dict[str, int]:
    """Return the bytes of the training images, kept in three ways.

    "raw": float32, as a network reads them. "packed": uint8. "LZ4": uint8 in LZ4 frames, compressed here and now.
    data: a data set of `load_dataset`, one of its splits, or uint8 images (N, H, W, C).

    >>> sizes = wb.data_bytes(np.zeros((100, 8, 8, 3), np.uint8))
    >>> sizes["raw"], sizes["packed"], sizes["LZ4"] < sizes["packed"]
    (76800, 19200, True)
    """
    split = getattr(data, "train", data)
    images = np.asarray(getattr(split, "images", split))
    if images.dtype != np.uint8 or images.ndim != 4:
        raise WorkbenchError(
            f"data_bytes: needs uint8 images (N, H, W, C), not {images.dtype} with {images.ndim} dimensions."
        )
    import lz4.frame

    blocks = (images[start : start + _LZ4_BLOCK_IMAGES] for start in range(0, len(images), _LZ4_BLOCK_IMAGES))
    packed = sum(len(lz4.frame.compress(np.ascontiguousarray(block).data)) for block in blocks)
    return {"raw": 4 * images.size, "packed": images.size, "LZ4": packed}


def _fit(card: DeviceCard, need: str, parts: Mapping[str, int], in_flash: set[str], watts: float | None) -> Fit:
    memories: dict[Limit, tuple[int, int]] = {
        "memory": (sum(size for name, size in parts.items() if name not in in_flash), card.memory_bytes)
    }
    if in_flash and card.flash_bytes is not None:
        memories["flash"] = (sum(size for name, size in parts.items() if name in in_flash), card.flash_bytes)
    fullest = max(memories, key=lambda name: memories[name][0] / memories[name][1])
    size, limit = memories[fullest]
    breaks: Limit | None = fullest if size > limit else None
    if breaks is None and watts is not None and card.watts is not None and card.watts > watts:
        breaks = "power"
    unknown = ", power unknown" if watts is not None and card.watts is None else ""
    verdict = f"fits{unknown}" if breaks is None else f"does not fit: {breaks}"
    return Fit(
        device=card.name,
        need=need,
        parts=dict(parts),
        bytes=size,
        limit_bytes=limit,
        breaks=breaks,
        verdict=verdict,
        sentence=_sentence(card, need, memories, fullest, breaks, watts),
    )


def _sentence(
    card: DeviceCard,
    need: str,
    memories: Mapping[Limit, tuple[int, int]],
    fullest: Limit,
    breaks: Limit | None,
    watts: float | None,
) -> str:
    names = {"memory": "RAM" if card.is_microcontroller else "memory", "flash": "flash"}
    needed = " and ".join(
        f"{format_bytes(size)} of {format_bytes(limit)} of {names[name]}" for name, (size, limit) in memories.items()
    )
    verdict = "fits" if breaks is None else "does not fit"
    text = f"{need[0].upper()}{need[1:]} {verdict} on {card.name}: it needs {needed}"
    if breaks == "power":
        text += f", but the device may draw {card.watts:g} W and only {watts:g} W are available"
    elif breaks is not None:
        size, limit = memories[fullest]
        text += f", {_times(size / limit)} what there is"
    elif watts is not None:
        text += f", and {card.watts:g} of {watts:g} W" if card.watts is not None else "; its power is not known"
    return text + " (modelled)."


def _times(ratio: float) -> str:
    """Return a ratio above 1 in words: rounded to "1.0 times" it would seem to fit."""
    return f"{ratio:,.1f} times" if ratio >= 1.05 else "just more than"
