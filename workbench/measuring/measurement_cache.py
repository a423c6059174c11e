"""Cache this machine's own measurements on disk, by network, versions and hardware, and serve them as recorded."""

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
from workbench.errors import WorkbenchError
from workbench.folders import user_folder
from workbench.machine.devices import Device
from workbench.measuring.measurement import HERE_NOW, Measurement
from workbench.measuring.recordings import MAX_FILE_BYTES, as_recorded
from workbench.wording import versions

_FORMAT = "workbench measurements 3"
_VERSIONS = ("torch", "onnxruntime", "numpy")


def recall(fingerprint: str, device: Device, *, folder: Path | None = None) -> tuple[Measurement, ...]:
    """Return this device's earlier measurements of a network with the installed versions, with origin "recorded".

    fingerprint: `Network.fingerprint`. Empty if none were kept or the file cannot be read.
    """
    path = _path(fingerprint, device, folder)
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return ()
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != _FORMAT:
            return ()
        used = versions(*_VERSIONS)
        measurements: list[Measurement] = []
        for created, rows in content["days"].items():
            day = str(datetime.fromisoformat(created).date())
            measurements += as_recorded(map(Measurement.from_mapping, rows), day, used)
        return tuple(measurements)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, WorkbenchError):
        return ()


def remember(
    fingerprint: str, device: Device, measurements: Iterable[Measurement], *, folder: Path | None = None
) -> None:
    """Keep today's measurements of this device in place of earlier ones of the same setting.

    Raises WorkbenchError where the file cannot be written.
    """
    path = _path(fingerprint, device, folder)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock"), timeout=10):  # another notebook may be writing too
            _merge(path, fingerprint, device, measurements, folder)
    except (OSError, Timeout) as error:
        raise WorkbenchError(f"Cannot write {path}: {error}. Free up space, or let other notebooks finish.") from error


def _merge(
    path: Path, fingerprint: str, device: Device, measurements: Iterable[Measurement], folder: Path | None
) -> None:
    kept: dict[tuple[Any, ...], tuple[str, Measurement]] = {}
    for earlier in recall(fingerprint, device, folder=folder):
        kept[earlier.setting] = (earlier.source.split(",")[0].split()[-1], earlier)
    today = datetime.now(UTC).date().isoformat()
    for measurement in measurements:
        if measurement.device == device.title:
            kept[measurement.setting] = (today, measurement)
    days: dict[str, list[dict[str, Any]]] = {}
    for day, measurement in kept.values():
        plain = replace(measurement, origin="measured", source=HERE_NOW).to_mapping()
        days.setdefault(day, []).append(plain)
    write_text(path, json.dumps({"format": _FORMAT, "days": days}, allow_nan=False))


def _path(fingerprint: str, device: Device, folder: Path | None) -> Path:
    identity = (fingerprint, device.title, device.cores, device.memory_bytes, device.features, versions(*_VERSIONS))
    name = hashlib.sha256(repr(identity).encode()).hexdigest()[:24]
    return (folder or user_folder() / "measurements") / f"{name}.json"
