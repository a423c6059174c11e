"""What this machine has measured before: kept on its disk, by network, versions and hardware, and shown as recorded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from workbench.atomic import write_text
from workbench.cache import user_folder
from workbench.devices import Device
from workbench.errors import WorkbenchError
from workbench.measurement import HERE_NOW, Measurement
from workbench.recordings import MAX_FILE_BYTES, recorded
from workbench.sealed import versions

_FORMAT = "workbench measured before 1"
_VERSIONS = ("torch", "onnxruntime", "numpy")


def recall(fingerprint: str, device: Device, *, folder: Path | None = None) -> tuple[Measurement, ...]:
    """What was measured of this network on this device with these versions, with origin "recorded" and its day.

    fingerprint: `Network.fingerprint`. Nothing where nothing was kept, or what was kept cannot be read any more.
    """
    path = _path(fingerprint, device, folder)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return ()
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            return ()
        found: list[Measurement] = []
        for created, measurements in content["days"].items():
            each = [Measurement.from_mapping(values) for values in measurements]
            found += recorded(each, str(datetime.fromisoformat(created).date()), versions(*_VERSIONS))
        return tuple(found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, WorkbenchError):
        return ()


def remember(
    fingerprint: str, device: Device, measurements: Iterable[Measurement], *, folder: Path | None = None
) -> None:
    """Keep measurements of this device of today; those of the same setting from before are replaced.

    Raises WorkbenchError where they cannot be written.
    """
    path = _path(fingerprint, device, folder)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=10):  # two notebooks may measure at once
            _merge(path, fingerprint, device, measurements, folder)
    except (OSError, Timeout) as error:
        raise WorkbenchError(f"Cannot write {path}: {error}. Free some space, or let others finish.") from error


def _merge(
    path: Path, fingerprint: str, device: Device, measurements: Iterable[Measurement], folder: Path | None
) -> None:
    kept: dict[tuple[Any, ...], tuple[str, Measurement]] = {}
    for before in recall(fingerprint, device, folder=folder):
        kept[setting(before)] = (before.source.split(",")[0].split()[-1], before)
    today = datetime.now(UTC).date().isoformat()
    for measurement in measurements:
        if measurement.device == device.title:
            kept[setting(measurement)] = (today, measurement)
    days: dict[str, list[dict[str, Any]]] = {}
    for day, measurement in kept.values():
        plain = replace(measurement, origin="measured", source=HERE_NOW).to_mapping()
        days.setdefault(day, []).append(plain)
    write_text(path, json.dumps({"format": _FORMAT, "days": days}, allow_nan=False))


def setting(measurement: Measurement) -> tuple[Any, ...]:
    """What tells one measurement of a device from another, whenever it was made."""
    m = measurement
    return m.phase, m.model, m.device, m.engine, m.precision, m.threads, m.batch_size


def _path(fingerprint: str, device: Device, folder: Path | None) -> Path:
    told = (fingerprint, device.title, device.cores, device.memory_bytes, device.features, versions(*_VERSIONS))
    name = hashlib.sha256(repr(told).encode()).hexdigest()[:24]
    return (folder or user_folder() / "measurements") / f"{name}.json"
