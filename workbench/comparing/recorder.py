"""Measure this machine in the same way as other devices, so that their figures can be compared: `workbench record`.

All devices run the same weights, those of the reference network in datasets/devices/reference, and its answers to the
self-test images are checked before anything is timed. Needs only torch, torchvision, numpy and onnxruntime: it runs
from a plain checkout on a machine where nothing can be installed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch

from workbench.bundle.manifest import read_bundle
from workbench.comparing.contestants import find_contestants
from workbench.comparing.networks import find_network
from workbench.comparing.sweeps import BATCH_SIZES, Contestant, Excluded, checked_batch_sizes, remaining, sweep
from workbench.errors import WorkbenchError
from workbench.folders import REFERENCE
from workbench.inference.footprint import measure_footprint
from workbench.machine.devices import Device, find_device
from workbench.machine.threads import resolve_threads
from workbench.measuring.device_card import DeviceCard
from workbench.measuring.measurement import Measurement, Phase
from workbench.measuring.peaks import measure_peaks
from workbench.measuring.recordings import Recording, as_recorded, file_name
from workbench.wording import shorten, versions

OTHER_MODELS = ("linear", "mlp", "resnet")
LARGEST_OTHER = 256  # larger batches of resnet, which computes most, would take most of the recording's time
METHOD = (
    "workbench record: engines with the same number of threads take turns after a warm-up, every call synchronised; "
    "median, p90 and p99 of all calls; training steps find their batch on the device, predictions copy theirs from the "
    "host."
)
_REFERENCE_MODEL = "convnet"
_PHASES: tuple[Phase, ...] = ("inference", "training")
# Makers count memory in other gigabytes, and a driver keeps some for itself: that does not make another device.
_SAME_DEVICE = 1.5


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a recording has come: `done` of `total` races. recording: the figures so far."""

    done: int
    total: int
    recording: Recording

    @property
    def last(self) -> Measurement:
        """The newest measurement."""
        return self.recording.measurements[-1]


def record_machine(
    device: str = "auto",
    *,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    seconds: float = 0.3,
    models: Sequence[str] = OTHER_MODELS,
    card: DeviceCard | None = None,
    excluded: list[Excluded] | None = None,
) -> Generator[Progress, None, Recording]:
    """Measure `device` at each batch size, yielding after each race; the generator returns the `Recording`.

    The reference network: inference in eager PyTorch, fp32 and bf16, and on a CPU in ONNX Runtime, fp32 and int8, on
    one core and on all; training steps in fp32 and bf16 on all cores. The other `models`, with random weights: in eager
    PyTorch, fp32, on all cores. Nothing is written. card: the card of the device if more is known than the machine
    reports. excluded: receives what failed, such as a batch too large for the memory. Raises WorkbenchError for a
    device that is not here, for a card of another kind, number of cores or memory, and if the reference network in fp32
    does not answer as expected.

    >>> for progress in wb.record_machine("cpu", batch_sizes=(1, 64)):
    ...     print(progress.last.engine, progress.last.images_per_second)
    """
    place = find_device(device)
    sizes = sorted(checked_batch_sizes(batch_sizes))
    created = datetime.now(UTC).date().isoformat()
    empty = Recording(
        name=file_name(place.description),
        card=_measured_card(place, created) if card is None else _matching_card(card, place),
        created=created,
        versions=versions("torch", "torchvision", "onnxruntime", "numpy") | _commit(),
        method=METHOD,
    )
    out: list[Excluded] = [] if excluded is None else excluded
    reference = [_contestants(_REFERENCE_MODEL, phase, place, out) for phase in _PHASES]
    others = [each for name in models for phase in _PHASES for each in _plain_contestants(name, phase, place, out)]
    races = [
        (size, group) for size in sizes for group in (*reference, others) if group is not others or _is_small(size)
    ]
    bundle = read_bundle(REFERENCE)
    images, labels = torch.tensor(bundle.self_test_images), torch.tensor(bundle.self_test_expected.argmax(axis=1))
    found: list[Measurement] = []
    for done, (size, group) in enumerate(races, 1):
        if racing := remaining(group, out):
            found += sweep(racing, images, labels, batch_sizes=(size,), seconds=seconds, excluded=out)
        if not found:
            raise WorkbenchError(f"Nothing could be measured on {place.title}: {out[0].reason}")
        yield Progress(done=done, total=len(races), recording=_with(empty, found))
    return _with(empty, _with_cold_starts(found, place))


def machine_card(place: Device) -> DeviceCard:
    """Return what the machine itself reports of a device; the rest of its data sheet stays empty."""
    source = "reported by the machine that was measured"
    is_server = place.cores > 16 or "EPYC" in place.description or "Xeon" in place.description
    kinds = {"cpu": "server CPU" if is_server else "desktop CPU", "cuda": "data-centre GPU", "mps": "laptop GPU"}
    return DeviceCard(
        name=place.title,
        kind=kinds[place.kind],
        processor=shorten(f"{place.description}, {', '.join(place.features)}" if place.features else place.description),
        cores=max(1, place.cores),
        memory_bytes=place.memory_bytes,
        sources={"cores": source, "memory_bytes": source},
    )


def _measured_card(place: Device, day: str) -> DeviceCard:
    figures = measure_peaks(place, day)
    card = machine_card(place)
    return replace(card, **figures | {"sources": {**card.sources, **figures.get("sources", {})}})


def _matching_card(card: DeviceCard, place: Device) -> DeviceCard:
    """Return `card`. Raises WorkbenchError if it cannot be of this device."""
    own = machine_card(place)
    if card.is_gpu != own.is_gpu and place.kind != "mps":
        raise WorkbenchError(f"The card is of a {card.kind} ({card.name}); what is measured is {place.title}.")
    for name in ("memory_bytes", "cores") if place.cores else ("memory_bytes",):
        stated, actual = getattr(card, name), getattr(own, name)
        if max(stated, actual) > _SAME_DEVICE * min(stated, actual):
            raise WorkbenchError(
                f"The card of {card.name} says {name} = {stated:,}; {place.title} has {actual:,} for this program: "
                "give the card of what is measured, with the cores and the memory that it has here."
            )
    return card


def _contestants(
    model: str, phase: Phase, place: Device, excluded: list[Excluded], *, engine: str = "", precision: str = ""
) -> list[Contestant]:
    """Return everything that can run `model`. Raises WorkbenchError for an fp32 engine that cannot."""
    found: list[Contestant] = []
    for each in find_contestants(find_network(model), phase, [place.name], engine=engine, precision=precision):
        if not isinstance(each, Excluded):
            found.append(each)
        elif each.precision == "fp32":
            raise WorkbenchError(each.reason)
        else:
            excluded.append(each)
    return found


def _plain_contestants(model: str, phase: Phase, place: Device, excluded: list[Excluded]) -> list[Contestant]:
    """Return `model` in eager fp32 on all cores."""
    threads = resolve_threads(None) if place.kind == "cpu" else 1
    found = _contestants(model, phase, place, excluded, engine="eager", precision="fp32")
    return [each for each in found if each.threads == threads]


def _is_small(batch_size: int) -> bool:
    return batch_size <= LARGEST_OTHER


def _with(recording: Recording, measurements: Sequence[Measurement]) -> Recording:
    assert recording.created is not None
    rows = as_recorded(measurements, recording.created, recording.versions)
    return replace(recording, measurements=tuple(replace(row, device=recording.card.name) for row in rows))


def _with_cold_starts(measurements: list[Measurement], place: Device) -> list[Measurement]:
    """Add the time from the start of a process to its first answer to the rows of one image on one thread."""
    if place.kind != "cpu":
        return measurements
    engines = {m.engine for m in measurements if m.phase == "inference" and m.model == _REFERENCE_MODEL}
    starts = {engine: measure_footprint(REFERENCE, engine).seconds_to_first_answer for engine in sorted(engines)}
    first = ("inference", _REFERENCE_MODEL, 1, 1)
    return [
        replace(m, cold_start_seconds=starts[m.engine])
        if (m.phase, m.model, m.batch_size, m.threads) == first and m.precision != "bf16"
        else m
        for m in measurements
    ]


def _commit() -> dict[str, str]:
    """Return Python's version and, in a checkout with git, the commit: it ties a recording to its code."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {"python": sys.version.split()[0]}
    commit = {"commit": done.stdout.strip()} if done.returncode == 0 and done.stdout.strip() else {}
    return {"python": sys.version.split()[0], **commit}
