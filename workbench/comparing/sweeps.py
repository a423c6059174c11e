"""Measure networks over a range of batch sizes: inference engines and training steps, side by side."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.arguments import all_of, whole_number
from workbench.errors import WorkbenchError
from workbench.inference.predictor import ONNX_ENGINES, Predictor
from workbench.machine.devices import find_device
from workbench.machine.meters import peak_memory
from workbench.machine.threads import torch_threads
from workbench.measuring.measurement import Measurement, Phase, Reading, measure, time_call
from workbench.training.step import TrainingStep
from workbench.wording import one_line, shorten

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_BATCH = 2**16  # the images alone take 200 MB, the activations of a layer gigabytes
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

Contestant = Predictor | TrainingStep


@dataclass(frozen=True, kw_only=True)
class Excluded:
    """A setting that could not be measured, and why, in a sentence: often because memory ran out.

    device: its title. batch_size: the first that failed, None if it could not run at all.
    """

    phase: Phase
    model: str
    device: str
    engine: str
    precision: str
    threads: int
    reason: str
    batch_size: int | None = None


def sweep(
    contestants: Contestant | Iterable[Contestant],
    images: NDArray[np.uint8] | Tensor,
    labels: Sequence[int] | Tensor | None = None,
    *,
    batch_sizes: Iterable[int] = BATCH_SIZES,
    seconds: float = 0.3,
    excluded: list[Excluded] | None = None,
) -> Generator[Measurement, None, None]:
    """Measure each contestant at each batch size, yielding each `Measurement` as soon as its race is over.

    Contestants with the same number of threads race each other: they take turns, for `seconds` each. A `Predictor` gets
    its images in host memory, as in an application, so copies to a device count; a `TrainingStep` finds its batch on
    its device. images: uint8 (N, H, W, C), repeated if a batch is larger. labels: (N,), for training steps.
    batch_sizes: each up to LARGEST_BATCH. excluded: receives those that fail, while the others go on; without it the
    error propagates. Leave the loop to stop. Raises WorkbenchError for invalid arguments.

    >>> data = wb.load_dataset("digits")
    >>> predictor = wb.Predictor.from_model(wb.build_model("mlp", shape=data.shape), data.preprocessing, data.labels)
    >>> [m.batch_size for m in wb.sweep(predictor, data.test.images, batch_sizes=(1, 8), seconds=0.01)]
    [1, 8]
    """
    entered = [contestants] if isinstance(contestants, Contestant) else list(contestants)
    for each in entered:
        if not isinstance(each, Contestant):
            raise WorkbenchError(f"A sweep takes Predictors and TrainingSteps, not {shorten(repr(each))}.")
    if not entered:
        raise WorkbenchError("A sweep needs at least one Predictor or TrainingStep.")
    sizes = checked_batch_sizes(batch_sizes)
    pixels = _checked_images(images)
    truth = _checked_labels(labels, len(pixels), entered)
    entered.sort(key=lambda contestant: contestant.threads)
    for size in sizes:
        for threads, group in groupby(list(entered), key=lambda contestant: contestant.threads):
            ready: dict[Contestant, _Ready] = {}
            for contestant in group:
                with _excluding(contestant, size, entered, excluded):
                    call = _call(contestant, pixels, truth, size)
                    ready[contestant] = _Ready(call, warm_up=time_call(call, find_device(contestant.device)))
            with torch_threads(threads):
                readings = _race_or_run_alone(ready, size, seconds, entered, excluded)
            for contestant, reading in readings.items():
                latency = replace(reading.latency, warm_up=ready[contestant].warm_up)
                yield _measurement(contestant, replace(reading, latency=latency), size)


def checked_batch_sizes(batch_sizes: Iterable[int]) -> tuple[int, ...]:
    """Return the batch sizes as a tuple. Raises WorkbenchError unless all are whole numbers up to LARGEST_BATCH."""
    sizes = all_of("batch_sizes", batch_sizes, int)
    if not sizes:
        raise WorkbenchError("batch_sizes: give at least one.")
    return tuple(whole_number("batch_sizes", size, 1, LARGEST_BATCH) for size in sizes)


def remaining(contestants: Iterable[Contestant], excluded: Iterable[Excluded]) -> list[Contestant]:
    """Return the contestants whose setting has not been excluded."""
    out = {(each.phase, each.model, each.device, each.engine, each.precision, each.threads) for each in excluded}
    return [each for each in contestants if tuple(_setting(each).values()) not in out]


def _setting(contestant: Contestant) -> dict[str, Any]:
    return {
        "phase": "inference" if isinstance(contestant, Predictor) else "training",
        "model": contestant.model,
        "device": find_device(contestant.device).title,
        "engine": contestant.engine,
        "precision": contestant.precision,
        "threads": contestant.threads,
    }


@dataclass(frozen=True)
class _Ready:
    """A contestant's call, and the seconds that the first one took."""

    call: Callable[[], object]
    warm_up: float


@contextmanager
def _excluding(
    contestant: Contestant, batch_size: int, entered: list[Contestant], excluded: list[Excluded] | None
) -> Iterator[None]:
    """Turn an error inside into the exclusion of this contestant, if `excluded` is a list."""
    try:
        yield
    except (WorkbenchError, RuntimeError, MemoryError) as error:
        if excluded is None:
            raise
        reason = one_line(error, 200) or type(error).__name__
        excluded.append(Excluded(**_setting(contestant), batch_size=batch_size, reason=reason))
        entered.remove(contestant)


def _race_or_run_alone(
    ready: dict[Contestant, _Ready],
    size: int,
    seconds: float,
    entered: list[Contestant],
    excluded: list[Excluded] | None,
) -> dict[Contestant, Reading]:
    """Race all; if one fails, run each alone, so that only the one that fails is excluded."""
    try:
        return _race({contestant: each.call for contestant, each in ready.items()}, seconds)
    except (WorkbenchError, RuntimeError, MemoryError):
        if excluded is None:
            raise
    readings: dict[Contestant, Reading] = {}
    for contestant, each in ready.items():
        with _excluding(contestant, size, entered, excluded):
            readings |= _race({contestant: each.call}, seconds)
    return readings


def _race(calls: dict[Contestant, Callable[[], object]], seconds: float) -> dict[Contestant, Reading]:
    names = {str(index): contestant for index, contestant in enumerate(calls)}
    devices = {name: find_device(contestant.device) for name, contestant in names.items()}
    readings = measure({name: calls[names[name]] for name in names}, seconds=seconds, device=devices)
    found = {}
    for name, contestant in names.items():
        found[contestant] = readings[name]
        if isinstance(contestant, Predictor) and contestant.engine in ONNX_ENGINES:
            # ONNX Runtime reuses memory of earlier calls: a call's own need shows only after releasing that.
            contestant.release_memory()
            memory = peak_memory(calls[contestant], devices[name])
            found[contestant] = replace(readings[name], memory_bytes=memory)
    return found


def _measurement(contestant: Contestant, reading: Reading, batch_size: int) -> Measurement:
    predictor = contestant if isinstance(contestant, Predictor) else None
    return Measurement(
        **_setting(contestant),
        kind=find_device(contestant.device).kind,
        batch_size=batch_size,
        latency=reading.latency,
        memory_bytes=reading.memory_bytes,
        energy_joules=reading.energy_joules,
        size_bytes=predictor.size_bytes if predictor else None,
        accuracy=predictor.accuracy if predictor else None,
    )


def _call(
    contestant: Contestant, pixels: NDArray[np.uint8], truth: Tensor | None, batch_size: int
) -> Callable[[], object]:
    chosen = np.arange(batch_size) % len(pixels)
    batch = np.ascontiguousarray(pixels[chosen])
    if isinstance(contestant, Predictor):
        return lambda: contestant(batch)
    assert truth is not None
    inputs, labels = contestant.place(torch.from_numpy(batch), truth[torch.from_numpy(chosen)])
    return lambda: contestant(inputs, labels)


def _checked_images(images: Any) -> NDArray[np.uint8]:
    pixels = images.detach().cpu().numpy() if hasattr(images, "detach") else images
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 4 or not len(pixels):
        given = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise WorkbenchError(f"Images must be uint8 (N, H, W, C) with at least one of them, not {given}.")
    return pixels


def _checked_labels(labels: Any, count: int, contestants: Sequence[Contestant]) -> Tensor | None:
    if labels is None:
        if any(isinstance(contestant, TrainingStep) for contestant in contestants):
            raise WorkbenchError("A training step learns from labels: give sweep(…, images, labels).")
        return None
    try:
        truth = torch.as_tensor(labels, dtype=torch.int64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise WorkbenchError(f"Labels must be whole numbers (N,), not {shorten(repr(labels), 60)}.") from error
    if truth.shape != (count,):
        raise WorkbenchError(f"{count:,} images need {count:,} labels, not labels of shape {tuple(truth.shape)}.")
    return truth
