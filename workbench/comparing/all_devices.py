"""All known devices in one comparison: recorded where they were measured, modelled otherwise."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from workbench.arguments import one_of
from workbench.bundle.preprocessing import Shape
from workbench.comparing.comparison import Comparison
from workbench.comparing.sweeps import BATCH_SIZES
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.measuring.measurement import Measurement, Phase
from workbench.measuring.recordings import Recording, load_recordings
from workbench.modelling.capacity import largest_batch
from workbench.modelling.cost import cost_of
from workbench.modelling.roofline import ModelError, model_error, modelled

LIFE_HOURS = 3 * 365 * 24
DOLLARS_A_KILOWATT_HOUR = 0.15
_SHOWN_SIZES = 12


def known_devices(
    *,
    phase: Phase = "inference",
    model: str = "convnet",
    batch_sizes: Sequence[int] = BATCH_SIZES,
    folder: Path | str | None = None,
    skipped: list[str] | None = None,
) -> Comparison:
    """Compare all devices with a file in `folder` (by default datasets/devices) at these batch sizes.

    A device with recorded measurements contributes those of this phase and model. One with only a card is modelled, for
    32×32 colour images of ten classes, at the batch sizes that fit into its memory, provided the card has the figures
    that the model needs. skipped: receives a sentence for each device or batch size that is left out. Raises
    WorkbenchError for a missing folder, and for a broken file unless `skipped` is given.

    >>> known = wb.known_devices(batch_sizes=(1,)).best_of_each()
    >>> known.rows(1)[0].name
    '...'
    """
    recordings = load_recordings(folder, skipped=skipped)
    return compare_recordings(recordings, phase=phase, model=model, batch_sizes=batch_sizes, skipped=skipped)


def compare_recordings(
    recordings: Sequence[Recording],
    *,
    phase: Phase,
    model: str,
    batch_sizes: Sequence[int] = BATCH_SIZES,
    skipped: list[str] | None = None,
    network: nn.Module | None = None,
    shape: Shape = (32, 32, 3),
    classes: int = 10,
) -> Comparison:
    """Compare the devices of these recordings, as `known_devices` does.

    network: a network that was never recorded, shown as `model`, for images of `shape` and so many classes: every
    device is then modelled.
    """
    one_of("phase", phase, ("inference", "training"))
    found: list[Measurement] = []
    notes: list[str] = []
    cost = cost_of(
        HyperParameters(model="convnet" if network else model), shape=shape, classes=classes, network=network
    )
    for recording in recordings:
        if recording.measurements and network is None:
            found += _recorded(recording, phase, model, batch_sizes, notes)
            continue
        card = recording.card
        largest = largest_batch(card, cost, phase=phase)
        sizes = [size for size in batch_sizes if size <= largest]
        if len(sizes) < len(batch_sizes):
            capacity = f"batches of up to {largest:,}" if largest else "not a single image"
            notes.append(f"{card.name} has memory for {capacity} in {phase} of {model} (modelled).")
        try:
            rows = modelled(card, network or model, phase=phase, batch_sizes=sizes, shape=shape, classes=classes)
            found += (replace(row, model=model) for row in rows)
        except WorkbenchError as error:
            notes.append(str(error))
    if skipped is not None:
        skipped += notes
    return Comparison.of(found)


def _recorded(
    recording: Recording, phase: Phase, model: str, batch_sizes: Sequence[int], notes: list[str]
) -> list[Measurement]:
    recorded = [m for m in recording.measurements if m.phase == phase and m.model == model]
    matching = [m for m in recorded if m.batch_size in batch_sizes]
    if not recorded:
        notes.append(f"{recording.card.name} was not recorded in {phase} of {model}.")
    elif not matching:
        sizes = ", ".join(map(str, sorted({m.batch_size for m in recorded})[:_SHOWN_SIZES]))
        notes.append(f"{recording.card.name} was recorded in {phase} of {model} only at batch sizes {sizes}.")
    return matching


def hourly_prices(recordings: Sequence[Recording]) -> dict[str, float]:
    """Return US dollars an hour by device, for those whose card has a price and a power.

    Assumes a device that is bought, used day and night for LIFE_HOURS, and powered at DOLLARS_A_KILOWATT_HOUR.
    """
    cards = [recording.card for recording in recordings]
    return {
        card.name: card.price_dollars / LIFE_HOURS + card.watts / 1000 * DOLLARS_A_KILOWATT_HOUR
        for card in cards
        if card.price_dollars is not None and card.watts is not None
    }


def model_errors_by_device(recordings: Sequence[Recording]) -> dict[str, tuple[ModelError, ...]]:
    """Apply the model to every measured device; return the errors by the device's name, the largest first.

    Devices whose card lacks the figures that the model needs are left out.
    """
    errors = {
        recording.card.name: model_error(recording.measurements, recording.card)
        for recording in recordings
        if recording.measurements
    }
    return {name: found for name, found in errors.items() if found}


def describe_model_errors(recordings: Sequence[Recording]) -> str:
    """Return how far off the model was where it could be checked, in a sentence; empty if it could not.

    >>> wb.describe_model_errors(wb.load_recordings())
    'Where the model could be checked, on ... it was off by a factor of ... in the median and ... at worst.'
    """
    errors = model_errors_by_device(recordings)
    factors = [error.factor for found in errors.values() for error in found]
    if not factors:
        return ""
    gpus = {recording.card.name for recording in recordings if recording.card.is_gpu} & set(errors)
    no_gpu = "" if gpus else ", no GPU among them"
    return (
        f"Where the model could be checked, on {len(factors):,} recorded points of {', '.join(errors)}{no_gpu}, it was "
        f"off by a factor of {statistics.median(factors):.1f} in the median and {max(factors):.1f} at worst."
    )
