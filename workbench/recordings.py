"""Measurements of other machines: one JSON file a device, in datasets/devices, with its card and where it comes from.

A device that nobody has measured yet has a card and no measurements. datasets/devices/schema.json describes the format.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.atomic import write_text
from workbench.device_card import DeviceCard
from workbench.errors import WorkbenchError
from workbench.measurement import Measurement
from workbench.sealed import shortened

FOLDER = Path(__file__).resolve().parent.parent / "datasets" / "devices"
REFERENCE = FOLDER / "reference"  # the bundle whose network is measured everywhere
FORMAT = "workbench device 1"
UNFINISHED = "-unfinished.json"  # what a recording that was stopped has measured
MAX_FILE_BYTES = 4 * 2**20
MAX_MEASUREMENTS = 2_000

_KEYS = ("format", "card", "created", "versions", "method", "measurements")


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A device, and what was measured on it.

    created: day of the measurements, ISO 8601, None where there are none. versions: of the packages that were measured
    with. method: how, in a sentence. measurements: each with origin "recorded".
    """

    name: str
    card: DeviceCard
    created: str | None = None
    versions: Mapping[str, str]
    method: str | None = None
    measurements: tuple[Measurement, ...] = ()

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, as written to JSON."""
        return {
            "format": FORMAT,
            "card": self.card.to_mapping(),
            "created": self.created,
            "versions": dict(self.versions),
            "method": self.method,
            "measurements": [measurement.to_mapping() for measurement in self.measurements],
        }


def load_recordings(folder: Path | str | None = None, *, skipped: list[str] | None = None) -> tuple[Recording, ...]:
    """All device files of `folder` (by default the project's own), in the order of their names.

    Where cards give two devices the same name, their files' names tell them apart. skipped: takes a sentence for each
    file that is broken or foreign, while the others are read; without it the first one raises WorkbenchError. Raises
    WorkbenchError where there is no such folder.
    """
    place = Path(folder) if folder is not None else FOLDER
    if not place.is_dir():
        raise WorkbenchError(
            f"There are no recorded devices at {place}: run this in a copy of the project's files, or name a folder."
        )
    found = []
    for path in sorted(place.glob("*.json")):
        if path.name == "schema.json":
            continue
        if path.name.endswith(UNFINISHED):
            if skipped is not None:
                skipped.append(f"{shortened(path.name)} is an unfinished recording: rename it, and it is compared.")
            continue
        try:
            found.append(read_recording(path))
        except WorkbenchError as error:
            if skipped is None:
                raise
            skipped.append(str(error))
    return told_apart(found)


def told_apart(recordings: Sequence[Recording]) -> tuple[Recording, ...]:
    """The same, where cards give two devices one name with the names of their files behind it, and then a number."""
    used = Counter(recording.card.name for recording in recordings)
    taken = {name for name in used if used[name] == 1}
    found = []
    for each in recordings:
        if used[each.card.name] > 1:
            number, base = 1, f"{shortened(each.card.name, 50)} ({each.name}"
            while (name := f"{base})" if number == 1 else f"{base}, {number})") in taken:
                number += 1
            taken.add(name)
            each = _renamed(each, name)
        found.append(each)
    return tuple(found)


def _renamed(recording: Recording, name: str) -> Recording:
    card = replace(recording.card, name=name)
    return replace(recording, card=card, measurements=tuple(replace(m, device=name) for m in recording.measurements))


def read_recording(path: Path | str) -> Recording:
    """The device in this file. Raises WorkbenchError naming the file, the key and what is wanted, for any other."""
    path = Path(path)
    told = shortened(path, 300)
    try:
        if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
            raise WorkbenchError(f"{told} is no file of up to {MAX_FILE_BYTES:,} bytes, so it is no recorded device.")
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WorkbenchError(f"{told} is no recorded device: {shortened(error)}.") from error
    try:
        return _recording(shortened(path.stem, 60), values)
    except WorkbenchError as error:
        raise WorkbenchError(f"{told}: {error}") from error


def write_recording(path: Path, recording: Recording) -> None:
    """Write the file of a device, whole or not at all. Raises WorkbenchError for measurements that are not recorded."""
    if any(measurement.origin != "recorded" for measurement in recording.measurements):
        raise WorkbenchError(
            "A device file holds recorded measurements: pass those of here and now through `recorded`."
        )
    write_text(path, json.dumps(recording.to_mapping(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def recorded(measurements: Iterable[Measurement], created: str, versions: Mapping[str, str]) -> tuple[Measurement, ...]:
    """Measurements of here and now as another machine will see them: recorded on that day, with those versions."""
    told = ", ".join(f"{name} {version}" for name, version in versions.items() if name in ("torch", "onnxruntime"))
    source = f"recorded {created}, {told}" if told else f"recorded {created}"
    return tuple(replace(measurement, origin="recorded", source=source) for measurement in measurements)


def file_name(name: str) -> str:
    """A name for a device's file: "NVIDIA H100 80GB HBM3" -> "nvidia-h100-80gb-hbm3"."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "device"


def writable_folder() -> Path:
    """Where `workbench record` writes by default. Raises WorkbenchError where that is not to be had."""
    if not os.access(FOLDER if FOLDER.exists() else FOLDER.parent, os.W_OK):
        raise WorkbenchError(f"{FOLDER} cannot be written here: name a file with --out.")
    return FOLDER


def _recording(name: str, values: Any) -> Recording:
    if not isinstance(values, Mapping) or values.get("format") != FORMAT:
        raise WorkbenchError(f"this is no recorded device: it does not say {FORMAT!r} as its format.")
    odd = sorted(map(str, set(values) ^ set(_KEYS)))
    if odd:
        raise WorkbenchError(f"the key {shortened(odd[0])!r} is {'missing' if odd[0] in _KEYS else 'unknown'}.")
    created, versions, method, rows = (values[key] for key in ("created", "versions", "method", "measurements"))
    for key, text in (("created", created), ("method", method)):
        if text is not None and not _line(text):
            raise WorkbenchError(f"{key} = {shortened(repr(text))} must be a line of text or null.")
    if not isinstance(versions, Mapping) or not all(_line(part) for pair in versions.items() for part in pair):
        raise WorkbenchError(f"versions = {shortened(repr(versions))} must name a version for each package.")
    if not isinstance(rows, list) or len(rows) > MAX_MEASUREMENTS:
        raise WorkbenchError(f"measurements must be a list of at most {MAX_MEASUREMENTS:,}.")
    card = DeviceCard.from_mapping(values["card"])
    measurements = []
    for place, row in enumerate(rows):
        try:
            # The card says how the device is called wherever it is shown.
            measurements.append(replace(Measurement.from_mapping(row), device=card.name))
        except WorkbenchError as error:
            raise WorkbenchError(f"measurement {place}: {error}") from error
        if measurements[-1].origin != "recorded":
            raise WorkbenchError(
                f"measurement {place}: origin = {measurements[-1].origin!r} must be 'recorded' in a file."
            )
    return Recording(
        name=name,
        card=card,
        created=created,
        versions=dict(versions),
        method=method,
        measurements=tuple(measurements),
    )


def _line(value: Any) -> bool:
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= 500
