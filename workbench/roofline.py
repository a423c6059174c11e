"""What a device that nobody measured would take, computed from its card: launches, copies and a roofline.

Each operation of a network takes at least its arithmetic over the peak FLOP/s, and at least its bytes over the memory's
bandwidth; the larger of the two is its roofline (Williams, Waterman & Patterson 2009, "Roofline: an insightful visual
performance model for multicore architectures", doi 10.1145/1498765.1498785). Before it can start, a host hands it over
(a launch), and where the device has a memory of its own, pictures are copied there and probabilities back. In training
the data are on the device already, as `TrainingStep` has them.

A CPU hands over its own work: a launch and its operation follow each other. A GPU works through a queue while its host
fills it: launches and operations run side by side, and the longer of the two sums counts (NVIDIA's CUDA programming
guide, "Asynchronous concurrent execution"). So a small batch leaves a GPU waiting for its host.

What is not in it: caches, kernels too small to fill a device, clock changes with heat, other programs. `model_error`
says how far off it is where a device was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn

from workbench.device_card import DeviceCard
from workbench.errors import WorkbenchError
from workbench.measurement import Latency, Measurement
from workbench.models import name_of
from workbench.operations import ENGINES, Phase, Shape, operations

# The same for every device, and tuned to none of them.
# Half of the peak: what a network's products reach in good libraries. Small and odd shapes, edges and the loads between
# the multiplications take the rest. (An assumption; 1024×1024 matrices reach more, 3-channel convolutions less.)
ARITHMETIC_REACH = 0.5
# What a stream of reads and writes reaches of the data sheet's bandwidth; Williams et al. draw their roofs with the
# measured bandwidth for this reason. (An assumption: 60 to 90 % is common.)
BANDWIDTH_REACH = 0.75
# A copy from ordinary, pageable memory goes through a second buffer: pinned memory is about 2.4 times as fast at large
# sizes (measured at the University of Virginia, "Memory Transfer Overhead",
# https://www.cs.virginia.edu/~mwb7w/cuda_support/memory_transfer_overhead.html, read 2026-11-25).
COPY_REACH = 1 / 2.4
# A runtime that planned the whole network hands an operation over more cheaply than PyTorch called from Python.
# Measured on one core of an AMD EPYC (Zen 4), operations on 8 values: 0.20 µs in ONNX Runtime 1.32, 0.97 µs in PyTorch
# 2.15. A C program's card already counts a function call.
LAUNCH_SHARE = {"onnx": 0.2, "onnx-int8": 0.2}

SOURCE = "modelled from its data sheet"
_PROBABILITY_BYTES = 4

Part = Literal["copies", "launches", "arithmetic", "memory"]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Where the modelled seconds of one batch go.

    copies: pictures to the device and probabilities back. launches: the host's work. arithmetic, memory: operations
    bound by FLOP/s, and by bandwidth. overlapped: launches run beside arithmetic and memory, so that only the longer
    counts. binds: the part that takes most of the time.
    """

    batch_size: int
    copies: float
    launches: float
    arithmetic: float
    memory: float
    overlapped: bool

    @property
    def seconds(self) -> float:
        """Of the batch."""
        kernels = self.arithmetic + self.memory
        return self.copies + (max(self.launches, kernels) if self.overlapped else self.launches + kernels)

    @property
    def binds(self) -> Part:
        """The part that would have to shrink for the batch to be quicker."""
        parts: dict[Part, float] = {
            "copies": self.copies,
            "launches": self.launches,
            "arithmetic": self.arithmetic,
            "memory": self.memory,
        }
        if self.overlapped:
            kernels = self.arithmetic + self.memory
            hidden: tuple[Part, ...] = ("arithmetic", "memory") if self.launches >= kernels else ("launches",)
            parts = {name: seconds for name, seconds in parts.items() if name not in hidden}
        return max(parts, key=lambda name: parts[name])


@dataclass(frozen=True, kw_only=True)
class ModelError:
    """A measured point beside the model's. ratio: predicted over measured seconds; factor: the same, never below 1."""

    measurement: Measurement
    predicted_seconds: float

    @property
    def ratio(self) -> float:
        """Above 1: the model is too slow; below 1: it promises too much."""
        return self.predicted_seconds / self.measurement.latency.p50

    @property
    def factor(self) -> float:
        """How many times too slow or too fast."""
        return max(self.ratio, 1 / self.ratio)


def natural_engine(card: DeviceCard, phase: Phase = "inference") -> tuple[str, str]:
    """The engine and the precision that such a device would be given: PyTorch where it trains and on a GPU, ONNX
    Runtime for inference on a CPU, and on a microcontroller a C program, in int8 for inference.
    """
    if card.is_microcontroller:
        return "c", "int8" if phase == "inference" else "fp32"
    return "eager" if card.is_gpu or phase == "training" else "onnx", "fp32"


def parts_of(
    card: DeviceCard,
    model: nn.Module | str = "convnet",
    *,
    batch_size: int = 1,
    phase: Phase = "inference",
    engine: str | None = None,
    precision: str | None = None,
    threads: int | None = None,
    shape: Shape = (32, 32, 3),
    classes: int = 10,
) -> Parts:
    """The modelled time of one batch on `card`, in its parts.

    engine, precision: those of `natural_engine` unless given. threads: cores of a CPU that work, all of them unless
    given. Raises WorkbenchError for what the card does not tell (peak, bandwidth, launch), and for an engine that the
    device cannot run.
    """
    usual_engine, usual_precision = natural_engine(card, phase)
    engine = engine or usual_engine
    precision = precision or ("int8" if engine == "onnx-int8" else usual_precision)
    peak = _peak(card, precision)
    bandwidth = _known(card, "memory_bandwidth", card.memory_bandwidth) * BANDWIDTH_REACH
    launch = _known(card, "launch_seconds", card.launch_seconds) * LAUNCH_SHARE.get(engine, 1.0)
    if card.is_microcontroller and engine != "c":
        raise WorkbenchError(f"{card.name} has no operating system: it runs engine c, not {engine!r}.")
    if threads is not None and (type(threads) is not int or threads < 1):
        raise WorkbenchError(f"threads = {threads!r}: must be a whole number of at least 1.")
    share = 1.0 if card.is_gpu or threads is None else min(threads, card.cores) / card.cores
    arithmetic = memory = 0.0
    counted = operations(
        model, shape=shape, batch_size=batch_size, phase=phase, engine=engine, precision=precision, classes=classes
    )
    for operation in counted:
        computing = operation.flops / (peak * share * ARITHMETIC_REACH)
        moving = operation.bytes / bandwidth
        if computing > moving:
            arithmetic += computing
        else:
            memory += moving
    return Parts(
        batch_size=batch_size,
        copies=_copies(card, batch_size, phase, shape, classes),
        launches=launch * len(counted),
        arithmetic=arithmetic,
        memory=memory,
        overlapped=card.is_gpu,
    )


def modelled(
    card: DeviceCard,
    model: nn.Module | str = "convnet",
    *,
    phase: Phase = "inference",
    batch_sizes: Sequence[int] = (1, 8, 64),
    engine: str | None = None,
    precision: str | None = None,
    shape: Shape = (32, 32, 3),
    classes: int = 10,
) -> list[Measurement]:
    """What `card` would take for a batch of each size, all cores at work, as measurements of origin "modelled".

    engine, precision: those of `natural_engine` unless given. The energy is the most the device may draw times the
    modelled seconds. Raises WorkbenchError for what the card does not tell.
    """
    usual_engine, usual_precision = natural_engine(card, phase)
    engine = engine or usual_engine
    precision = precision or ("int8" if engine == "onnx-int8" else usual_precision)
    found = []
    for batch_size in batch_sizes:
        seconds = parts_of(
            card,
            model,
            batch_size=batch_size,
            phase=phase,
            engine=engine,
            precision=precision,
            shape=shape,
            classes=classes,
        ).seconds
        found.append(
            Measurement(
                phase=phase,
                model=model if isinstance(model, str) else name_of(model),
                device=card.name,
                kind=card.kind,
                engine=engine,
                precision=precision,
                threads=1 if card.is_gpu else card.cores,
                batch_size=batch_size,
                latency=Latency(p50=seconds, p90=seconds, p99=seconds, count=0, warm_up=seconds),
                energy_joules=None if card.watts is None else card.watts * seconds,
                origin="modelled",
                source=SOURCE,
            )
        )
    return found


def model_error(
    measurements: Iterable[Measurement], card: DeviceCard, *, shape: Shape = (32, 32, 3), classes: int = 10
) -> tuple[ModelError, ...]:
    """The model beside every measured or recorded point that it can predict, the worst first.

    shape, classes: of the pictures that were measured with; a measurement does not carry them. Left out are points of
    a network that has no name here, of an unknown engine, and of a precision whose peak the card does not tell.
    """
    found = []
    for measurement in measurements:
        if measurement.origin == "modelled" or measurement.engine not in ENGINES:
            continue
        if measurement.precision not in card.peak_flops:
            continue
        try:
            parts = parts_of(
                card,
                measurement.model,
                batch_size=measurement.batch_size,
                phase=measurement.phase,
                engine=measurement.engine,
                precision=measurement.precision,
                threads=measurement.threads,
                shape=shape,
                classes=classes,
            )
        except WorkbenchError:
            continue
        found.append(ModelError(measurement=measurement, predicted_seconds=parts.seconds))
    return tuple(sorted(found, key=lambda error: -error.factor))


def _copies(card: DeviceCard, batch_size: int, phase: Phase, shape: Shape, classes: int) -> float:
    """Pictures as uint8 to the device and probabilities back; a training step finds its batch on the device."""
    if phase == "training":
        return 0.0
    if card.copy_bandwidth is None:
        return 2 * card.copy_seconds
    height, width, channels = shape
    moved = batch_size * (height * width * channels + _PROBABILITY_BYTES * classes)
    return 2 * card.copy_seconds + moved / (card.copy_bandwidth * COPY_REACH)


def _peak(card: DeviceCard, precision: str) -> float:
    if precision not in card.peak_flops:
        known = ", ".join(card.peak_flops) or "none"
        raise WorkbenchError(f"{card.name} has no peak_flops for {precision} on its card; it has {known}.")
    return card.peak_flops[precision]


def _known(card: DeviceCard, name: str, value: float | None) -> float:
    if value is None:
        raise WorkbenchError(f"{card.name} cannot be modelled: its card has no {name}.")
    return value
