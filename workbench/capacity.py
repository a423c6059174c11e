"""Fits or does not fit: what a network needs on a device, for inference, for training, and with the data kept there.

All of it is *modelled*: counted from shapes (`workbench.cost`) and set against the device's card. The program itself,
its libraries and the operating system are not counted: PyTorch alone takes hundreds of megabytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

import numpy as np

from workbench.cost import Cost
from workbench.device_card import DeviceCard
from workbench.errors import WorkbenchError
from workbench.measurement import Phase
from workbench.units import format_bytes

Limit = Literal["memory", "flash", "power"]

_BYTES_PER_VALUE = {"fp32": 4, "bf16": 2, "fp16": 2, "int8": 1}
_LZ4_BLOCK_PICTURES = 1024  # a batch can be read back without unpacking the rest


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Whether one need is met by one device.

    parts: the bytes of each thing that has to be kept. bytes: of those in the memory that is fullest, and limit_bytes:
    its size; a microcontroller has two, flash for weights that never change and RAM. breaks: the limit that is
    exceeded, memory and flash before power; None where all hold, or where it is not known what the device draws.
    verdict: in a few words, "fits", "fits, power unknown", "does not fit: memory"; sentence: with figures.
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
        """No limit is exceeded."""
        return self.breaks is None


def fits(
    card: DeviceCard,
    cost: Cost,
    data: Mapping[str, int] | None = None,
    watts: float | None = None,
    *,
    precision: str | None = None,
) -> tuple[Fit, ...]:
    """Inference, training, and training with the data kept on the device, one `Fit` for each way to keep them.

    cost: from `cost_of`; its batch size is the one that training is counted for. data: bytes of the training pictures
    by the way they are kept, as `data_bytes` gives them. watts: the power that the place can spare (a battery, a USB
    port); None: no limit. precision: of the weights and values in inference; "int8" on a microcontroller and "fp32"
    elsewhere unless given. Training is counted as the cost was.
    """
    precision = precision or _usual_precision(card)
    if precision not in _BYTES_PER_VALUE:
        raise WorkbenchError(f"precision = {precision!r}: must be one of {', '.join(_BYTES_PER_VALUE)}.")
    if watts is not None and (isinstance(watts, bool) or not isinstance(watts, Real) or not watts > 0):
        raise WorkbenchError(f"watts = {watts!r}: must be a number above 0.")
    weights, working = _answering(cost, precision)
    training = {
        "weights": cost.weight_bytes,
        "gradients": cost.gradient_bytes,
        "optimizer state": cost.optimizer_bytes,
        f"activations of {cost.batch_size} pictures": cost.activation_bytes,
    }
    flash = {"weights"} if card.flash_bytes is not None else set()
    found = [
        _fit(card, f"inference in {precision}", {"weights": weights, "working memory": working}, flash, watts),
        _fit(card, "training", training, set(), watts),
    ]
    for way, size in (data or {}).items():
        if type(size) is not int or size < 0:
            raise WorkbenchError(f"data ({way}) = {size!r}: must be a whole number of bytes, as data_bytes gives them.")
        kept = {**training, f"data ({way})": size}
        found.append(_fit(card, f"training with the data kept ({way})", kept, set(), watts))
    return tuple(found)


def largest_batch(card: DeviceCard, cost: Cost, *, phase: Phase = "inference") -> int:
    """Pictures at once for which the device's memory suffices, counted as in `fits`; 0: not even one fits."""
    if phase == "training":
        kept = cost.weight_bytes + cost.gradient_bytes + cost.optimizer_bytes
        return max(0, (card.memory_bytes - kept) * cost.batch_size // max(cost.activation_bytes, 1))
    weights, working = _answering(cost, _usual_precision(card))
    if card.flash_bytes is not None:
        return card.memory_bytes // working if weights <= card.flash_bytes else 0
    return max(0, (card.memory_bytes - weights) // working)


def _usual_precision(card: DeviceCard) -> str:
    return "int8" if card.is_microcontroller else "fp32"


def _answering(cost: Cost, precision: str) -> tuple[int, int]:
    """Bytes of the weights, and of the working memory for one picture."""
    per_value = _BYTES_PER_VALUE[precision]
    return cost.weight_bytes * per_value // 4, cost.working_bytes * per_value // 4


def data_bytes(data: Any) -> dict[str, int]:
    """Bytes of the training pictures in three ways: "raw", float32 as a network reads them; "packed", uint8; "LZ4",
    uint8 in LZ4 frames, really compressed here and now.

    data: a data set of `load_dataset`, one of its splits, or uint8 pictures (N, H, W, C).
    """
    split = getattr(data, "train", data)
    pictures = np.asarray(getattr(split, "pictures", split))
    if pictures.dtype != np.uint8 or pictures.ndim != 4:
        raise WorkbenchError(
            f"data_bytes: needs uint8 pictures (N, H, W, C), not {pictures.dtype} of {pictures.ndim} dimensions."
        )
    import lz4.frame

    blocks = (pictures[start : start + _LZ4_BLOCK_PICTURES] for start in range(0, len(pictures), _LZ4_BLOCK_PICTURES))
    packed = sum(len(lz4.frame.compress(np.ascontiguousarray(block).data)) for block in blocks)
    return {"raw": 4 * pictures.size, "packed": pictures.size, "LZ4": packed}


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
        text += f", but the device may draw {card.watts:g} W where {watts:g} W can be had"
    elif breaks is not None:
        size, limit = memories[fullest]
        text += f", {_times(size / limit)} what is there"
    elif watts is not None:
        text += f", and {card.watts:g} of {watts:g} W" if card.watts is not None else "; what it draws is not known"
    return text + " (modelled)."


def _times(ratio: float) -> str:
    """More than once: "1.0 times" would say that it fits."""
    return f"{ratio:,.1f} times" if ratio >= 1.05 else "just more than"
