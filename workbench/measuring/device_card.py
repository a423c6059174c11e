"""`DeviceCard`: the data sheet of a device, each figure with its source. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from workbench.arguments import above_zero, number, one_of, whole_number
from workbench.errors import WorkbenchError
from workbench.measuring.json_fields import Fields, check_names, check_values, line, mapping_of, or_none
from workbench.units import BYTES_PER_VALUE
from workbench.wording import shorten

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
PRECISIONS = tuple(BYTES_PER_VALUE)
MAX_NAME = 120  # characters
MAX_SOURCE = 600

# A figure that is known needs a source.
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
    """The data sheet of a device. Figures that are not published are None.

    name: as shown to people. kind: one of KINDS. processor: the part that computes. cores: of that part; a GPU's are
    its streaming multiprocessors. memory_bytes: available to a program; a microcontroller's RAM. flash_bytes: memory
    for constant weights; microcontrollers only.
    peak_flops: dense FLOP/s by precision ("fp32", "bf16", "fp16", "int8"), a multiplication and an addition counted as
    two. memory_bandwidth: bytes/s. launch_seconds: the host's time to launch one operation. copy_seconds: fixed cost of
    a copy between host and device; copy_bandwidth: its bytes/s; 0 and None where both share one memory. watts: power
    limit. mass_grams, price_dollars (US$).
    sources: for each known figure, the document, the figure or derivation, the address and the day it was read. A
    source without its figure says why the figure is unknown.
    Raises WorkbenchError that names the field, its value and what is expected.

    >>> board = wb.DeviceCard(
    ...     name="A board", kind="single-board computer", processor="4 × Cortex-A76", cores=4, memory_bytes=8 * 10**9,
    ...     sources={"cores": "its data sheet", "memory_bytes": "its data sheet"},
    ... )
    >>> board.is_gpu, board.watts
    (False, None)
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
        check_values(vars(self), _FIELDS, "A device card")
        for name in ("peak_flops", "sources"):
            object.__setattr__(self, name, dict(getattr(self, name)))
        for name in FIGURES:
            if (value := getattr(self, name)) not in (None, 0, {}) and name not in self.sources:
                raise WorkbenchError(
                    f"A device card: {name} = {shorten(repr(value))} has no source; add it under sources."
                )

    @property
    def is_gpu(self) -> bool:
        """Whether a host launches its operations asynchronously."""
        return "GPU" in self.kind

    @property
    def is_microcontroller(self) -> bool:
        """Whether it has flash besides its RAM, and no operating system."""
        return self.kind == "microcontroller"

    def to_mapping(self) -> dict[str, Any]:
        """Return all fields as plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, values: Any) -> DeviceCard:
        """Build a card from `to_mapping`'s values; fields with a default may be missing. Raises WorkbenchError."""
        check_names(values, _FIELDS, "A device card", required=("name", "kind", "processor", "cores", "memory_bytes"))
        return cls(**values)


_FIELDS: Fields = {
    "name": (line, MAX_NAME),
    "kind": (one_of, KINDS),
    "processor": (line, MAX_NAME),
    "cores": (whole_number, 1, 2**20),
    "memory_bytes": (whole_number, 1, 2**50),
    "flash_bytes": (or_none, whole_number, 1, 2**50),
    "peak_flops": (mapping_of, PRECISIONS, number, 1),
    "memory_bandwidth": (or_none, number, 1),
    "launch_seconds": (or_none, above_zero, 1),
    "copy_seconds": (number, 0, 1),
    "copy_bandwidth": (or_none, number, 1),
    "watts": (or_none, above_zero),
    "mass_grams": (or_none, above_zero),
    "price_dollars": (or_none, above_zero),
    "sources": (mapping_of, FIGURES, line, MAX_SOURCE),
}
