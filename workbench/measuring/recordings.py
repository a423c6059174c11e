"""Read and write recordings: one JSON file per device with its card and its measurements, in datasets/devices.

A device that was never measured has a card and no measurements. datasets/devices/schema.json describes the format.
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
from workbench.errors import WorkbenchError
from workbench.folders import DEVICES
from workbench.measuring.device_card import DeviceCard
from workbench.measuring.json_fields import Fields, check_object, json_object, line, mapping_of, or_none
from workbench.measuring.measurement import Measurement
from workbench.wording import shorten

FORMAT = "workbench device 1"
UNFINISHED = "-unfinished.json"  # ends the file of a recording that was stopped
MAX_FILE_BYTES = 4 * 2**20
MAX_MEASUREMENTS = 2_000


@dataclass(frozen=True, kw_only=True)
class Recording:
    """A device and what was measured on it.

    name: of its file, without the extension. created: day of the measurements, ISO 8601; None without any. versions: of
    the packages used. method: how it was measured, in a sentence. measurements: each with origin "recorded".

    >>> recording = wb.load_recordings()[0]
    >>> recording.name, recording.card.cores, len(recording.measurements)
    ('amd-epyc-zen5-2-cores', 2, 164)
    """

    name: str
    card: DeviceCard
    created: str | None = None
    versions: Mapping[str, str]
    method: str | None = None
    measurements: tuple[Measurement, ...] = ()

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "format": FORMAT,
            "card": self.card.to_mapping(),
            "created": self.created,
            "versions": dict(self.versions),
            "method": self.method,
            "measurements": [measurement.to_mapping() for measurement in self.measurements],
        }


def load_recordings(folder: Path | str | None = None, *, skipped: list[str] | None = None) -> tuple[Recording, ...]:
    """Read all device files of `folder` (by default the project's own), sorted by file name.

    Devices whose cards have the same name get the names of their files appended. skipped: receives a sentence for each
    broken or foreign file, which is then skipped; without it the first one raises WorkbenchError, as does a missing
    folder.

    >>> [recording.card.name for recording in wb.load_recordings()][:2]
    ['AMD EPYC Zen 5 (2 cores)', 'Intel Xeon Emerald Rapids (16 cores)']
    """
    folder = DEVICES if folder is None else Path(folder)
    if not folder.is_dir():
        raise WorkbenchError(
            f"There are no recorded devices at {folder}: run this in a copy of the project's files, or name a folder."
        )
    recordings = []
    for path in sorted(folder.glob("*.json")):
        if path.name == "schema.json":
            continue
        if path.name.endswith(UNFINISHED):
            if skipped is not None:
                skipped.append(f"{shorten(path.name)} is an unfinished recording: rename it to have it compared.")
            continue
        try:
            recordings.append(read_recording(path))
        except WorkbenchError as error:
            if skipped is None:
                raise
            skipped.append(str(error))
    return with_distinct_names(recordings)


def with_distinct_names(recordings: Sequence[Recording]) -> tuple[Recording, ...]:
    """Return the recordings with unique card names: file names, then numbers, are appended to repeated ones."""
    count = Counter(recording.card.name for recording in recordings)
    taken = {name for name in count if count[name] == 1}
    distinct = []
    for recording in recordings:
        name = recording.card.name
        if count[name] > 1:
            number, base = 1, f"{shorten(name, 50)} ({recording.name}"
            while (name := f"{base})" if number == 1 else f"{base}, {number})") in taken:
                number += 1
            taken.add(name)
            recording = _renamed(recording, name)
        distinct.append(recording)
    return tuple(distinct)


def _renamed(recording: Recording, name: str) -> Recording:
    card = replace(recording.card, name=name)
    return replace(recording, card=card, measurements=tuple(replace(m, device=name) for m in recording.measurements))


def read_recording(path: Path | str) -> Recording:
    """Read the recording in a file. Raises WorkbenchError that names the file, the key and what is expected.

    >>> from workbench.folders import DEVICES
    >>> wb.read_recording(DEVICES / "raspberry-pi-5.json").card.watts
    12
    """
    path = Path(path)
    name = shorten(path, 300)
    try:
        if not path.is_file() or path.stat().st_size > MAX_FILE_BYTES:
            raise WorkbenchError(f"{name} is not a recorded device: not a file of up to {MAX_FILE_BYTES:,} bytes.")
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WorkbenchError(f"{name} is not a recorded device: {shorten(error)}.") from error
    try:
        return _recording(shorten(path.stem, 60), values)
    except WorkbenchError as error:
        raise WorkbenchError(f"{name}: {error}") from error


def write_recording(path: Path, recording: Recording) -> None:
    """Write a device's file atomically. Raises WorkbenchError for measurements whose origin is not "recorded"."""
    if any(measurement.origin != "recorded" for measurement in recording.measurements):
        raise WorkbenchError("A device file holds recorded measurements: pass new ones through `as_recorded` first.")
    write_text(path, json.dumps(recording.to_mapping(), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def as_recorded(
    measurements: Iterable[Measurement], created: str, versions: Mapping[str, str]
) -> tuple[Measurement, ...]:
    """Return measurements made here as recorded on the day `created`, with these versions."""
    used = [f"{name} {version}" for name, version in versions.items() if name in ("torch", "onnxruntime")]
    source = ", ".join([f"recorded {created}", *used])
    return tuple(replace(measurement, origin="recorded", source=source) for measurement in measurements)


def file_name(name: str) -> str:
    """Return a file name for a device: "NVIDIA H100 80GB HBM3" -> "nvidia-h100-80gb-hbm3"."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:60] or "device"


def writable_folder() -> Path:
    """Return the folder that `workbench record` writes to by default. Raises WorkbenchError if it is not writable."""
    if not os.access(DEVICES if DEVICES.exists() else DEVICES.parent, os.W_OK):
        raise WorkbenchError(f"{DEVICES} is not writable: name a file with --out.")
    return DEVICES


def _recording(name: str, values: Any) -> Recording:
    if not isinstance(values, Mapping) or values.get("format") != FORMAT:
        raise WorkbenchError(f"this is not a recorded device: its format is not {FORMAT!r}.")
    check_object(values, _FIELDS, "A recording")
    card = DeviceCard.from_mapping(values["card"])
    measurements = []
    for index, row in enumerate(values["measurements"]):
        try:
            measurement = Measurement.from_mapping(row)
        except WorkbenchError as error:
            raise WorkbenchError(f"measurement {index}: {error}") from error
        if measurement.origin != "recorded":
            raise WorkbenchError(f"measurement {index}: origin = {measurement.origin!r} must be 'recorded' in a file.")
        # The card decides what the device is called wherever it is shown.
        measurements.append(replace(measurement, device=card.name))
    return Recording(
        name=name,
        card=card,
        created=values["created"],
        versions=dict(values["versions"]),
        method=values["method"],
        measurements=tuple(measurements),
    )


def _rows(name: str, value: Any) -> None:
    if not isinstance(value, list) or len(value) > MAX_MEASUREMENTS:
        raise WorkbenchError(f"{name} = {shorten(repr(value))}: must be a list of at most {MAX_MEASUREMENTS:,}.")


_FIELDS: Fields = {
    "format": (line, 500),
    "card": (json_object,),
    "created": (or_none, line, 500),
    "versions": (mapping_of, None, line, 500),
    "method": (or_none, line, 500),
    "measurements": (_rows,),
}
