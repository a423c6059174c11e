"""Measure networks over a range of batch sizes: the engines of inference and the steps of training, side by side."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.devices import find_device, torch_threads
from workbench.errors import WorkbenchError
from workbench.inference import ONNX_ENGINES, Predictor
from workbench.measurement import Measurement, Reading, measure, timed
from workbench.meters import peak_memory
from workbench.sealed import shortened
from workbench.training_step import TrainingStep

if TYPE_CHECKING:
    from torch import Tensor

LARGEST_BATCH = 2**16  # the pictures alone take 200 MB, what a layer makes of them gigabytes
BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)

Contestant = Predictor | TrainingStep


@dataclass(frozen=True, kw_only=True)
class DropOut:
    """A contestant that could not go on, from which batch size, and why: too little memory, most often."""

    contestant: Contestant
    batch_size: int
    reason: str


def sweep(
    contestants: Contestant | Iterable[Contestant],
    pictures: NDArray[np.uint8] | Tensor,
    labels: Sequence[int] | Tensor | None = None,
    *,
    batch_sizes: Iterable[int] = BATCH_SIZES,
    seconds: float = 0.3,
    dropped: list[DropOut] | None = None,
) -> Generator[Measurement, None, None]:
    """Measure each contestant at each batch size, yielding each `Measurement` when its race is over.

    Contestants with as many threads race each other, in turns, for `seconds` each. A `Predictor` is given pictures as
    an application gives them (in the memory of the host; copies to a device count), a `TrainingStep` finds its batch
    on its device. pictures: uint8 (N, H, W, C), repeated where a batch is larger; labels: (N,), for training steps.
    batch_sizes: each up to LARGEST_BATCH. dropped: takes who cannot go on, and why, while the others do; without it the
    error is raised. Leave the loop to stop. Raises WorkbenchError for what cannot be measured with.
    """
    entered = [contestants] if isinstance(contestants, Contestant) else list(contestants)
    for each in entered:
        if not isinstance(each, Contestant):
            raise WorkbenchError(f"A sweep takes Predictors and TrainingSteps, not {shortened(repr(each))}.")
    sizes = list(batch_sizes)
    pixels = _checked_pictures(pictures)
    truth = _checked_labels(labels, len(pixels), entered)
    if not entered or not sizes or not all(type(size) is int and 0 < size <= LARGEST_BATCH for size in sizes):
        raise WorkbenchError(
            f"A sweep needs a contestant and batch sizes from 1 to {LARGEST_BATCH:,}, not {shortened(sizes)}."
        )
    entered.sort(key=lambda contestant: contestant.threads)
    for size in sizes:
        for threads, group in groupby(list(entered), key=lambda contestant: contestant.threads):
            ready: dict[Contestant, _Ready] = {}
            for contestant in group:
                with _leaving(contestant, size, entered, dropped):
                    call = _call(contestant, pixels, truth, size)
                    ready[contestant] = _Ready(call, first=timed(call, find_device(contestant.device)))
            for contestant, reading in _raced(ready, size, seconds, threads, entered, dropped).items():
                latency = replace(reading.latency, warm_up=ready[contestant].first)
                yield measurement_of(contestant, replace(reading, latency=latency), size)


@dataclass(frozen=True)
class _Ready:
    """A contestant's call, and the seconds that its first one took."""

    call: Callable[[], object]
    first: float


@contextmanager
def _leaving(
    contestant: Contestant, batch_size: int, entered: list[Contestant], dropped: list[DropOut] | None
) -> Iterator[None]:
    """What goes wrong inside ends the sweep for this contestant alone, where `dropped` takes the reason."""
    try:
        yield
    except (WorkbenchError, RuntimeError, MemoryError) as error:
        if dropped is None:
            raise
        reason = shortened(" ".join(str(error).split()) or type(error).__name__, 200)
        dropped.append(DropOut(contestant=contestant, batch_size=batch_size, reason=reason))
        entered.remove(contestant)


def _raced(
    ready: dict[Contestant, _Ready],
    size: int,
    seconds: float,
    threads: int,
    entered: list[Contestant],
    dropped: list[DropOut] | None,
) -> dict[Contestant, Reading]:
    """The race; where somebody fails in it, each runs alone, so that only who fails drops out."""
    with torch_threads(threads):
        try:
            return _race({contestant: each.call for contestant, each in ready.items()}, seconds)
        except (WorkbenchError, RuntimeError, MemoryError):
            if dropped is None:
                raise
        found: dict[Contestant, Reading] = {}
        for contestant, each in ready.items():
            with _leaving(contestant, size, entered, dropped):
                found |= _race({contestant: each.call}, seconds)
        return found


def _race(calls: dict[Contestant, Callable[[], object]], seconds: float) -> dict[Contestant, Reading]:
    names = {str(place): contestant for place, contestant in enumerate(calls)}
    places = {name: find_device(contestant.device) for name, contestant in names.items()}
    readings = measure({name: calls[names[name]] for name in names}, seconds=seconds, device=places)
    found = {}
    for name, contestant in names.items():
        found[contestant] = readings[name]
        if isinstance(contestant, Predictor) and contestant.engine in ONNX_ENGINES:
            # It works in what it kept from the calls before: what a call needs shows once that is handed back.
            contestant.release_memory()
            memory = peak_memory(calls[contestant], places[name])
            found[contestant] = replace(readings[name], memory_bytes=memory)
    return found


def measurement_of(contestant: Contestant, reading: Reading, batch_size: int) -> Measurement:
    """What was read of a contestant at one batch size, with all that is known of it."""
    place = find_device(contestant.device)
    predictor = contestant if isinstance(contestant, Predictor) else None
    return Measurement(
        phase="inference" if predictor else "training",
        model=contestant.model,
        device=place.title,
        kind=place.kind,
        engine=contestant.engine,
        precision=contestant.precision,
        threads=contestant.threads,
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


def _checked_pictures(pictures: Any) -> NDArray[np.uint8]:
    pixels = pictures.detach().cpu().numpy() if hasattr(pictures, "detach") else pictures
    if not isinstance(pixels, np.ndarray) or pixels.dtype != np.uint8 or pixels.ndim != 4 or not len(pixels):
        kind = f"{pixels.dtype} {pixels.shape}" if isinstance(pixels, np.ndarray) else type(pixels).__name__
        raise WorkbenchError(f"Pictures must be uint8 (N, H, W, C) with at least one of them, not {kind}.")
    return pixels


def _checked_labels(labels: Any, count: int, contestants: Sequence[Contestant]) -> Tensor | None:
    if labels is None:
        if any(isinstance(contestant, TrainingStep) for contestant in contestants):
            raise WorkbenchError("A training step learns from labels: give sweep(…, pictures, labels).")
        return None
    try:
        truth = torch.as_tensor(labels, dtype=torch.int64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise WorkbenchError(f"Labels must be whole numbers (N,), not {shortened(repr(labels), 60)}.") from error
    if truth.shape != (count,):
        raise WorkbenchError(f"{count:,} pictures need {count:,} labels, not labels of shape {tuple(truth.shape)}.")
    return truth
