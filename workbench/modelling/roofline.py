"""Model the time of a batch on a device that nobody measured, from its card: launches, copies and a roofline.

Each operation takes at least its FLOPs over the peak FLOP/s, and at least its bytes over the memory bandwidth; the
larger of the two is its roofline (Williams, Waterman & Patterson 2009, "Roofline: an insightful visual performance
model for multicore architectures", doi 10.1145/1498765.1498785). Before it can start, a host launches it, and on a
device with its own memory, images are copied there and probabilities back. In training the data are on the device
already, as in `TrainingStep`.

A CPU does its own launching: each launch and its operation follow each other. A GPU works through a queue that its
host fills: launches and operations overlap, and the longer of the two sums counts (NVIDIA's CUDA programming guide,
"Asynchronous concurrent execution"). So with a small batch a GPU waits for its host.

Left out are caches, kernels too small to fill a device, thermal throttling and other programs. `model_error` says how
far off the model is where a device was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from workbench.arguments import whole_number
from workbench.bundle.preprocessing import Shape
from workbench.errors import WorkbenchError
from workbench.measuring.device_card import DeviceCard
from workbench.measuring.measurement import Latency, Measurement, Phase
from workbench.modelling.operations import Operation, operations
from workbench.training.models import name_of

# The same for every device, and tuned to none.
# Half of the peak: what good libraries reach in a network's matrix products. Small and odd shapes, edges and the loads
# between multiplications take the rest. (An assumption; 1024×1024 matrices reach more, 3-channel convolutions less.)
ARITHMETIC_REACH = 0.5
# Share of the data sheet's bandwidth that a stream of reads and writes reaches; Williams et al. draw their rooflines
# with measured bandwidth for this reason. (An assumption: 60 to 90 % is common.)
BANDWIDTH_REACH = 0.75
# A copy from ordinary, pageable memory goes through a second buffer: pinned memory is about 2.4 times as fast at large
# sizes (measured at the University of Virginia, "Memory Transfer Overhead",
# https://www.cs.virginia.edu/~mwb7w/cuda_support/memory_transfer_overhead.html, read 2026-11-25).
COPY_REACH = 1 / 2.4
# A runtime that planned the whole network launches an operation at less cost than PyTorch called from Python. Measured
# on one core of an AMD EPYC (Zen 4), operations on 8 values: 0.20 µs in ONNX Runtime 1.32, 0.97 µs in PyTorch 2.15. The
# card of a device that runs C programs already counts a function call.
LAUNCH_SHARE = {"onnx": 0.2, "onnx-int8": 0.2}

SOURCE = "modelled from its data sheet"
_PROBABILITY_BYTES = 4

Part = Literal["copies", "launches", "arithmetic", "memory"]


@dataclass(frozen=True, kw_only=True)
class Parts:
    """The modelled seconds of one batch, by where they go.

    copies: images to the device and probabilities back. launches: the host's work. arithmetic, memory: operations
    bound by FLOP/s and by bandwidth. overlapped: launches run beside arithmetic and memory, so that only the longer
    of the two counts.
    """

    batch_size: int
    copies: float
    launches: float
    arithmetic: float
    memory: float
    overlapped: bool

    @property
    def seconds(self) -> float:
        """Seconds of the whole batch."""
        kernels = self.arithmetic + self.memory
        return self.copies + (max(self.launches, kernels) if self.overlapped else self.launches + kernels)

    @property
    def bottleneck(self) -> Part:
        """The part that would have to shrink for the batch to be quicker."""
        names: tuple[Part, ...] = ("copies", "launches", "arithmetic", "memory")
        if self.overlapped:
            hidden = ("arithmetic", "memory") if self.launches >= self.arithmetic + self.memory else ("launches",)
            names = tuple(name for name in names if name not in hidden)
        return max(names, key=lambda name: float(getattr(self, name)))


@dataclass(frozen=True, kw_only=True)
class ModelError:
    """A measurement and what the model predicts for it."""

    measurement: Measurement
    predicted_seconds: float

    @property
    def ratio(self) -> float:
        """Predicted over measured seconds: above 1, the model is too slow; below 1, too fast."""
        return self.predicted_seconds / self.measurement.latency.p50

    @property
    def factor(self) -> float:
        """How many times too slow or too fast the model is, at least 1."""
        return max(self.ratio, 1 / self.ratio)


def natural_engine(card: DeviceCard, phase: Phase = "inference") -> tuple[str, str]:
    """Return the engine and precision usual on such a device.

    PyTorch for training and on a GPU, ONNX Runtime for inference on a CPU; on a microcontroller a C program, int8 for
    inference.
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
    """Return the modelled time of one batch on `card`, in its parts.

    engine, precision: by default those of `natural_engine`. threads: CPU cores at work, by default all. Raises
    WorkbenchError for a figure missing on the card (peak, bandwidth, launch) and for an engine that the device cannot
    run.
    """
    engine, precision = _engine_and_precision(card, phase, engine, precision)
    if card.is_microcontroller and engine != "c":
        raise WorkbenchError(f"{card.name} has no operating system: it runs engine c, not {engine!r}.")
    counted = operations(
        model, shape=shape, batch_size=batch_size, phase=phase, engine=engine, precision=precision, classes=classes
    )
    copies = 0.0 if phase == "training" else _copies(card, batch_size, shape, classes)
    return roofline(
        card, counted, batch_size=batch_size, engine=engine, precision=precision, threads=threads, copies=copies
    )


def roofline(
    card: DeviceCard,
    counted: Sequence[Operation],
    *,
    batch_size: int,
    precision: str,
    engine: str = "eager",
    threads: int | None = None,
    copies: float = 0.0,
) -> Parts:
    """Return the modelled time of a batch whose operations were counted. Raises as `parts_of`."""
    share = 1.0
    if threads is not None:
        threads = whole_number("threads", threads, 1)
        share = 1.0 if card.is_gpu else min(threads, card.cores) / card.cores
    peak = _peak(card, precision) * share * ARITHMETIC_REACH
    bandwidth = _figure(card, "memory_bandwidth") * BANDWIDTH_REACH
    launch = _figure(card, "launch_seconds") * LAUNCH_SHARE.get(engine, 1.0)
    arithmetic = memory = 0.0
    for operation in counted:
        computing, moving = operation.flops / peak, operation.bytes / bandwidth
        if computing > moving:
            arithmetic += computing
        else:
            memory += moving
    return Parts(
        batch_size=batch_size,
        copies=copies,
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
    """Return the modelled time of a batch of each size on `card`, with all cores, as measurements of origin "modelled".

    engine, precision: by default those of `natural_engine`. The energy is the device's power limit times the modelled
    seconds. Raises WorkbenchError for a figure missing on the card.

    >>> card = next(each.card for each in wb.load_recordings() if "Raspberry" in each.card.name)
    >>> one, many = wb.modelled(card, "convnet", batch_sizes=(1, 64))
    >>> one.origin, many.images_per_second > one.images_per_second
    ('modelled', True)
    """
    engine, precision = _engine_and_precision(card, phase, engine, precision)
    points = []
    for batch_size in batch_sizes:
        setting: Any = {"batch_size": batch_size, "phase": phase, "engine": engine, "precision": precision}
        seconds = parts_of(card, model, shape=shape, classes=classes, **setting).seconds
        points.append(
            Measurement(
                **setting,
                model=model if isinstance(model, str) else name_of(model),
                device=card.name,
                kind=card.kind,
                threads=1 if card.is_gpu else card.cores,
                latency=Latency(p50=seconds, p90=seconds, p99=seconds, count=0, warm_up=seconds),
                energy_joules=None if card.watts is None else card.watts * seconds,
                origin="modelled",
                source=SOURCE,
            )
        )
    return points


def model_error(
    measurements: Iterable[Measurement], card: DeviceCard, *, shape: Shape = (32, 32, 3), classes: int = 10
) -> tuple[ModelError, ...]:
    """Compare the model with every measured or recorded point that it can predict, worst first.

    shape, classes: of the measured images, which a measurement does not carry. Left out are networks that
    `build_model` cannot name, unknown engines, and precisions without a peak on the card.

    >>> recording = wb.load_recordings()[0]
    >>> worst, *others = wb.modelling.model_error(recording.measurements, recording.card)
    >>> worst.factor >= others[0].factor >= 1
    True
    """
    errors = []
    for measurement in measurements:
        if measurement.origin == "modelled":
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
        errors.append(ModelError(measurement=measurement, predicted_seconds=parts.seconds))
    return tuple(sorted(errors, key=lambda error: -error.factor))


def _engine_and_precision(card: DeviceCard, phase: Phase, engine: str | None, precision: str | None) -> tuple[str, str]:
    usual_engine, usual_precision = natural_engine(card, phase)
    engine = engine or usual_engine
    return engine, precision or ("int8" if engine == "onnx-int8" else usual_precision)


def _copies(card: DeviceCard, batch_size: int, shape: Shape, classes: int) -> float:
    """Return the seconds of copying uint8 images to the device and fp32 probabilities back."""
    fixed = 2 * card.copy_seconds
    if card.copy_bandwidth is None:
        return fixed
    height, width, channels = shape
    moved = batch_size * (height * width * channels + _PROBABILITY_BYTES * classes)
    return fixed + moved / (card.copy_bandwidth * COPY_REACH)


def _peak(card: DeviceCard, precision: str) -> float:
    if precision not in card.peak_flops:
        known = ", ".join(card.peak_flops) or "none"
        raise WorkbenchError(f"{card.name} cannot be modelled in {precision}: its card has peak_flops for {known}.")
    return card.peak_flops[precision]


def _figure(card: DeviceCard, name: str) -> float:
    value = getattr(card, name)
    if value is None:
        raise WorkbenchError(f"{card.name} cannot be modelled: its card has no {name}.")
    return float(value)
