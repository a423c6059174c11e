"""Measure this machine as others were measured, so that their figures can be set side by side: `workbench record`.

The same weights everywhere: the reference network of datasets/devices/reference, whose answers to its self-test
pictures are compared with the expected ones before anything is timed. Needs torch, torchvision, numpy and onnxruntime,
no more: it runs from a plain checkout on a machine where nothing can be installed.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import torch

from workbench.bundle import WEIGHTS, Bundle, read_bundle
from workbench.checkpoint import weights_from_bytes
from workbench.device_card import DeviceCard
from workbench.devices import Device, checked_threads, find_device
from workbench.errors import WorkbenchError
from workbench.footprint import measure_footprint
from workbench.hyperparameters import HyperParameters
from workbench.inference import Predictor, unproved
from workbench.measurement import Measurement
from workbench.models import build_model
from workbench.peaks import cpu_figures
from workbench.recordings import REFERENCE, Recording, file_name, recorded
from workbench.sealed import shortened, versions
from workbench.sweeps import BATCH_SIZES, LARGEST_BATCH, Contestant, DropOut, sweep
from workbench.training_step import TrainingStep

OTHER_MODELS = ("linear", "mlp", "resnet")
LARGEST_OTHER = 256  # resnet computes more than the others: a large batch of it would take most of the recording
_SAME_DEVICE = 1.5  # makers' gigabytes, and what a driver keeps for itself, are no other device
METHOD = (
    "workbench record: engines with as many threads race in turns after a warm-up, every call synchronised; "
    "median, p90 and p99 of all calls; training steps find their batch on the device, predictions get it from the host."
)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a recording is: `done` of `total` batch sizes measured. recording: what there is so far."""

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
    dropped: list[DropOut] | None = None,
) -> Generator[Progress, None, Recording]:
    """Measure `device` at each batch size, yielding after each; the generator returns the `Recording`.

    Of the reference network: inference in eager PyTorch, fp32 and bf16, and on a CPU in ONNX Runtime, fp32 and int8, on
    one core and on all; training steps in fp32 and bf16 on all cores. The other networks of the zoo, with fresh
    weights, in eager PyTorch. Nothing is written. card: the device's
    own, where more is known of it than the machine tells; one whose kind, cores or memory are another's is refused.
    dropped: takes what could not go on, such as a batch too large for the memory. Raises WorkbenchError for a device
    that is not here, and where the reference network does not answer as expected.
    """
    place = find_device(device)
    bundle = read_bundle(REFERENCE)
    if not batch_sizes or not all(type(size) is int and 0 < size <= LARGEST_BATCH for size in batch_sizes):
        raise WorkbenchError(
            f"batch_sizes = {shortened(batch_sizes)}: must be whole numbers from 1 to {LARGEST_BATCH:,}."
        )
    created = datetime.now(UTC).date().isoformat()
    card = _measured_card(place, created) if card is None else _own(card, place)
    left_out: list[DropOut] = [] if dropped is None else dropped
    predictors = _predictors(bundle, place)
    predictors = _proved(predictors, min(batch_sizes), left_out)
    steps = _training_steps(bundle, place)
    others = [step for name in models for step in _others(name, bundle, place)]
    pictures = torch.from_numpy(bundle.self_test_pictures.copy())
    labels = torch.from_numpy(bundle.self_test_expected.argmax(axis=1).copy())
    groups: tuple[Sequence[Contestant], ...] = (predictors, steps, others)
    used = versions("torch", "torchvision", "onnxruntime", "numpy") | _commit()

    def recording_of(found: Sequence[Measurement]) -> Recording:
        return Recording(
            name=file_name(place.description),
            card=card,
            created=created,
            versions=used,
            method=METHOD,
            measurements=tuple(replace(m, device=card.name) for m in recorded(found, created, used)),
        )

    found: list[Measurement] = []
    total = 2 * len(batch_sizes) + sum(size <= LARGEST_OTHER for size in batch_sizes)
    done = 0
    for size in sorted(batch_sizes):
        for group in groups:
            if group is others and size > LARGEST_OTHER:
                continue
            going = [each for each in group if all(each is not gone.contestant for gone in left_out)]
            if going:
                found += sweep(going, pictures, labels, batch_sizes=(size,), seconds=seconds, dropped=left_out)
            done += 1
            if not found:
                raise WorkbenchError(f"Nothing could be measured on {place.title}: {left_out[0].reason}")
            yield Progress(done=done, total=total, recording=recording_of(found))
    return recording_of(_with_cold_starts(found, place))


def card_of(place: Device) -> DeviceCard:
    """What the machine itself tells of a device; the rest of its data sheet is left open."""
    source = "told by the machine that was measured"
    kind = {"cpu": "server CPU" if place.cores > 16 or "EPYC" in place.description or "Xeon" in place.description
            else "desktop CPU", "cuda": "data-centre GPU", "mps": "laptop GPU"}[place.kind]  # fmt: skip
    return DeviceCard(
        name=place.title,
        kind=kind,
        processor=shortened(
            f"{place.description}, {', '.join(place.features)}" if place.features else place.description
        ),
        cores=max(1, place.cores),
        memory_bytes=place.memory_bytes,
        sources={"cores": source, "memory_bytes": source},
    )


def _measured_card(place: Device, day: str) -> DeviceCard:
    figures = cpu_figures(place, day)
    card = card_of(place)
    return replace(card, **figures | {"sources": {**card.sources, **figures.get("sources", {})}})


def _own(card: DeviceCard, place: Device) -> DeviceCard:
    """`card`, if it can be that of this device. Raises WorkbenchError where it describes another."""
    told = card_of(place)
    if card.is_gpu != told.is_gpu and place.kind != "mps":
        raise WorkbenchError(f"The card is of a {card.kind} ({card.name}); what is measured is {place.title}.")
    pairs = [("memory_bytes", card.memory_bytes, told.memory_bytes)]
    if place.cores:
        pairs.append(("cores", card.cores, told.cores))
    for name, says, has in pairs:
        if max(says, has) > _SAME_DEVICE * min(says, has):
            raise WorkbenchError(
                f"The card of {card.name} says {name} = {says:,}; {place.title} has {has:,} for this program: give the "
                "card of what is measured, with the cores and the memory that it has here."
            )
    return card


def _predictors(bundle: Bundle, place: Device) -> list[Contestant]:
    if place.kind != "cpu":
        return [
            Predictor.from_bundle(bundle, "eager", device=place.name, threads=1, precision=precision)
            for precision in ("fp32", "bf16")
        ]
    found: list[Contestant] = []
    for threads in dict.fromkeys((1, checked_threads(None))):
        found += [Predictor.from_bundle(bundle, engine, threads=threads) for engine in ("eager", *bundle.engines)]
        found.append(Predictor.from_bundle(bundle, "eager", threads=threads, precision="bf16"))
    return found


def _proved(predictors: Sequence[Contestant], batch_size: int, left_out: list[DropOut]) -> list[Contestant]:
    """Those that answer: the same weights give the same answers here. Nothing else is timed.

    An int8 engine that does not is left out: on a processor without the instructions for it, sums of 8-bit products
    overflow. Raises WorkbenchError where an fp32 engine does not.
    """
    proved: list[Contestant] = []
    for predictor in predictors:
        reason = unproved(predictor) if isinstance(predictor, Predictor) else ""
        if reason and predictor.precision != "int8":
            raise WorkbenchError(reason)
        if reason:
            left_out.append(DropOut(contestant=predictor, batch_size=batch_size, reason=reason))
        else:
            proved.append(predictor)
    return proved


def _training_steps(bundle: Bundle, place: Device) -> list[Contestant]:
    return _steps(weights_from_bytes(bundle.weights, bundle.path / WEIGHTS).model, bundle, place)


def _steps(model: torch.nn.Module, bundle: Bundle, place: Device) -> list[Contestant]:
    threads = None if place.kind == "cpu" else 1
    return [
        TrainingStep(
            model, HyperParameters(), bundle.preprocessing, device=place.name, threads=threads, precision=precision
        )
        for precision in ("fp32", "bf16")
    ]


def _others(name: str, bundle: Bundle, place: Device) -> list[Contestant]:
    preprocessing = bundle.preprocessing
    shape = (preprocessing.height, preprocessing.width, preprocessing.channels)
    model = build_model(name, classes=len(bundle.labels), shape=shape)
    threads = None if place.kind == "cpu" else 1
    eager = Predictor.from_model(model, preprocessing, bundle.labels, device=place.name, threads=threads)
    return [eager, *_steps(model, bundle, place)[:1]]


def _with_cold_starts(found: list[Measurement], place: Device) -> list[Measurement]:
    """The time from the start of a process to its first answer, on the measurements of one picture on one thread."""
    if place.kind != "cpu":
        return found
    engines = {m.engine for m in found if m.phase == "inference" and m.model == "convnet"}
    starts = {engine: measure_footprint(REFERENCE, engine).seconds_to_first_answer for engine in sorted(engines)}
    return [
        replace(m, cold_start_seconds=starts[m.engine])
        if (m.phase, m.model, m.batch_size, m.threads) == ("inference", "convnet", 1, 1) and m.precision != "bf16"
        else m
        for m in found
    ]


def _commit() -> dict[str, str]:
    """The workbench's commit, where this is a checkout and git is here; a recording is tied to its code by it."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short=12", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {"python": sys.version.split()[0]}
    commit = {"commit": done.stdout.strip()} if done.returncode == 0 and done.stdout.strip() else {}
    return {"python": sys.version.split()[0], **commit}
