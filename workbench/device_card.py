"""`DeviceCard`: what is known of a device without measuring it, each figure with the source it comes from. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from workbench.errors import WorkbenchError
from workbench.sealed import shortened

KINDS = (
    "data-centre GPU",
    "desktop GPU",
    "laptop GPU",
    "embedded GPU module",
    "server CPU",
    "desktop CPU",
    "laptop CPU",
    "single-board computer",
    "phone",
    "microcontroller",
)
PRECISIONS = ("fp32", "bf16", "fp16", "int8")
MAX_NAME = 120  # characters
MAX_SOURCE = 600

# The figures that need a source as soon as they are known.
FIGURES = (
    "cores",
    "memory_bytes",
    "flash_bytes",
    "peak_flops",
    "memory_bandwidth",
    "launch_seconds",
    "copy_seconds",
    "copy_bandwidth",
    "watts",
    "mass_grams",
    "price_dollars",
)


@dataclass(frozen=True, kw_only=True)
class DeviceCard:
    """A device as its data sheet tells it. What nobody publishes is None.

    name: shown to people. kind: one of KINDS. processor: the part that computes. cores: of that part (a GPU's are its
    multiprocessors). memory_bytes: what a program may use, of a microcontroller its RAM. flash_bytes: where weights may
    lie that are never changed; only a microcontroller has it.
    peak_flops: operations a second by precision ("fp32", "bf16", "fp16", "int8"), dense, a multiplication and an
    addition counted as two. memory_bandwidth: bytes a second. launch_seconds: what handing over one operation costs
    the host. copy_seconds: the fixed cost of one copy between host and device, copy_bandwidth: its bytes a second; 0
    and None where both share one memory. watts: the most the device is allowed to draw. mass_grams, price_dollars.
    sources: for each known figure the document, the figure in it or the derivation, the address and the day it was
    read. A source without its figure says why the figure is unknown.
    Checked when it is made: raises WorkbenchError that names the key, the value and what is wanted.
    """

    name: str
    kind: str
    processor: str
    cores: int
    memory_bytes: int
    flash_bytes: int | None = None
    peak_flops: Mapping[str, float] = field(default_factory=dict, hash=False)
    memory_bandwidth: float | None = None
    launch_seconds: float | None = None
    copy_seconds: float = 0.0
    copy_bandwidth: float | None = None
    watts: float | None = None
    mass_grams: float | None = None
    price_dollars: float | None = None
    sources: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for key, (check, wanted) in _CHECKS.items():
            value = getattr(self, key)
            if not check(value):
                raise WorkbenchError(f"A device card: {key} = {shortened(repr(value))} must be {wanted}.")
        for name in ("peak_flops", "sources"):
            object.__setattr__(self, name, dict(getattr(self, name)))
        for name in FIGURES:
            if getattr(self, name) not in (None, 0, {}) and name not in self.sources:
                value = shortened(repr(getattr(self, name)))
                raise WorkbenchError(f"A device card: {name} = {value} has no source; add it under sources.")

    @property
    def is_gpu(self) -> bool:
        """Whether a host hands the operations over, and goes on while the device still computes."""
        return "GPU" in self.kind

    @property
    def is_microcontroller(self) -> bool:
        """Whether it has flash beside its RAM, and no operating system."""
        return self.kind == "microcontroller"

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, as written to JSON."""
        values = {spec.name: getattr(self, spec.name) for spec in fields(self)}
        return values | {"peak_flops": dict(self.peak_flops), "sources": dict(self.sources)}

    @classmethod
    def from_mapping(cls, values: Any) -> DeviceCard:
        """The inverse of `to_mapping`; a key may be missing where the card has a default.

        Raises WorkbenchError, one sentence that names the key, the value and what is wanted.
        """
        if not isinstance(values, Mapping):
            raise WorkbenchError(f"A device card must be an object, not {shortened(repr(values))}.")
        odd = sorted(str(key) for key in values if key not in _CHECKS)
        if odd:
            raise WorkbenchError(
                f"A device card: the key {shortened(odd[0])!r} is unknown. The known ones are: {', '.join(_CHECKS)}."
            )
        for key in ("name", "kind", "processor", "cores", "memory_bytes"):
            if key not in values:
                raise WorkbenchError(f"A device card: the key {key!r} is missing; it must be {_CHECKS[key][1]}.")
        return cls(**dict(values))


_Check = Callable[[Any], bool]


def _text(length: int) -> _Check:
    # What is read ends up in tables and pages: one printable line of limited length.
    return lambda value: (
        isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) <= len(value) <= length
    )


def _number(high: float, *, low: float = 0.0, whole: bool = False) -> _Check:
    """A finite number above `low` and up to `high`; bool is none."""
    kinds = (int,) if whole else (int, float)
    return lambda value: type(value) in kinds and low < value <= high and math.isfinite(value)


def _or_none(check: _Check) -> _Check:
    return lambda value: value is None or check(value)


def _by_name(names: tuple[str, ...], check: _Check) -> _Check:
    return lambda value: isinstance(value, Mapping) and all(key in names and check(value[key]) for key in value)


_CHECKS: dict[str, tuple[_Check, str]] = {
    "name": (_text(MAX_NAME), f"a name of 1 to {MAX_NAME} printable characters"),
    "kind": (lambda value: isinstance(value, str) and value in KINDS, f"one of {', '.join(KINDS)}"),
    "processor": (_text(MAX_NAME), f"a name of 1 to {MAX_NAME} printable characters"),
    "cores": (_number(2**20, whole=True), "a whole number from 1 to 1,048,576"),
    "memory_bytes": (_number(2**50, whole=True), "a whole number of bytes above 0"),
    "flash_bytes": (_or_none(_number(2**50, whole=True)), "a whole number of bytes above 0, or null"),
    "peak_flops": (
        _by_name(PRECISIONS, _number(1e21, low=1)),
        f"an object with operations a second above 1 for any of {', '.join(PRECISIONS)}",
    ),
    "memory_bandwidth": (_or_none(_number(1e18, low=1)), "bytes a second above 1, or null"),
    "launch_seconds": (_or_none(_number(1.0)), "seconds above 0 and up to 1, or null"),
    "copy_seconds": (_number(1.0, low=-5e-324), "seconds from 0 to 1"),
    "copy_bandwidth": (_or_none(_number(1e18, low=1)), "bytes a second above 1, or null"),
    "watts": (_or_none(_number(1e6)), "watts above 0, or null"),
    "mass_grams": (_or_none(_number(1e9)), "grams above 0, or null"),
    "price_dollars": (_or_none(_number(1e9)), "dollars above 0, or null"),
    "sources": (
        _by_name(FIGURES, _text(MAX_SOURCE)),
        f"an object with a line of up to {MAX_SOURCE} characters for any of {', '.join(FIGURES)}",
    ),
}
