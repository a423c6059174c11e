"""All devices that the project knows of, in one comparison: recorded where somebody measured, modelled elsewhere."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from torch import nn

from workbench.capacity import largest_batch
from workbench.comparison import Comparison
from workbench.cost import cost_of
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.measurement import Measurement, Phase
from workbench.operations import Shape
from workbench.recordings import Recording, load_recordings
from workbench.roofline import ModelError, model_error, modelled
from workbench.sweeps import BATCH_SIZES

LIFE_HOURS = 3 * 365 * 24
DOLLARS_A_KILOWATT_HOUR = 0.15


def known_devices(
    *,
    phase: Phase = "inference",
    model: str = "convnet",
    batch_sizes: Sequence[int] = BATCH_SIZES,
    folder: Path | str | None = None,
    skipped: list[str] | None = None,
) -> Comparison:
    """Every device file of `folder` (by default datasets/devices) at these batch sizes.

    A device with measurements of this phase and model gives them, recorded; one with a card alone is modelled, for
    32×32 colour pictures of ten kinds, at the batch sizes that its memory has room for, unless its card does not tell
    enough. skipped: takes a sentence for each that could not be used. Raises WorkbenchError for a folder that is not
    there, and without `skipped` for a broken file.
    """
    recordings = load_recordings(folder, skipped=skipped)
    return compared(recordings, phase=phase, model=model, batch_sizes=batch_sizes, skipped=skipped)


def compared(
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
    """As `known_devices`, of these recordings.

    network: one that nobody recorded, told as `model`, for pictures of `shape` and so many classes: every device with a
    card is modelled.
    """
    if phase not in ("inference", "training"):
        raise WorkbenchError(f"phase = {phase!r}: must be inference or training.")
    found: list[Measurement] = []
    notes: list[str] = []
    cost = cost_of(
        HyperParameters(model="convnet" if network else model), shape=shape, classes=classes, network=network
    )
    for recording in recordings:
        card = recording.card
        if recording.measurements and network is None:
            asked = [m for m in recording.measurements if m.phase == phase and m.model == model]
            matching = [m for m in asked if m.batch_size in batch_sizes]
            if not matching:
                measured = ", ".join(map(str, sorted({m.batch_size for m in asked})[:12]))
                had = f"at batch sizes {measured}, none of which is asked for" if asked else "not at all"
                notes.append(f"{card.name} was recorded in {phase} of {model} {had}.")
            found += matching
            continue
        most = largest_batch(card, cost, phase=phase)
        sizes = [size for size in batch_sizes if size <= most]
        if len(sizes) < len(batch_sizes):
            room = f"batches of up to {most:,}" if most else "not a single picture"
            notes.append(f"{card.name} has room for {room} in {phase} of {model} (modelled).")
        try:
            computed = modelled(card, network or model, phase=phase, batch_sizes=sizes, shape=shape, classes=classes)
            found += (replace(measurement, model=model) for measurement in computed)
        except WorkbenchError as error:
            notes.append(str(error))
    if skipped is not None:
        skipped += notes
    return Comparison(found)


def hourly_prices(recordings: Sequence[Recording]) -> dict[str, float]:
    """US dollars an hour by device, where its card tells the price and the power: bought, used day and night for
    LIFE_HOURS, with electricity at DOLLARS_A_KILOWATT_HOUR. Both are assumptions; a user sets their own."""
    cards = [recording.card for recording in recordings]
    return {
        card.name: card.price_dollars / LIFE_HOURS + card.watts / 1000 * DOLLARS_A_KILOWATT_HOUR
        for card in cards
        if card.price_dollars is not None and card.watts is not None
    }


def errors_of_the_model(recordings: Sequence[Recording]) -> dict[str, tuple[ModelError, ...]]:
    """The model applied to every device that was measured, by the device's name, the worst point of each first.

    Devices whose card does not tell enough to be modelled are left out.
    """
    found = {
        recording.card.name: model_error(recording.measurements, recording.card)
        for recording in recordings
        if recording.measurements
    }
    return {name: errors for name, errors in found.items() if errors}


def told_errors(recordings: Sequence[Recording]) -> str:
    """How far off the model was where it could be checked, in a sentence; empty where it could not."""
    errors = errors_of_the_model(recordings)
    factors = [error.factor for found in errors.values() for error in found]
    if not factors:
        return ""
    gpus = {recording.card.name for recording in recordings if recording.card.is_gpu} & set(errors)
    unseen = "" if gpus else ", no GPU among them"
    return (
        f"Where the model could be checked, on {len(factors):,} recorded points of {', '.join(errors)}{unseen}, it was "
        f"off by a factor of {statistics.median(factors):.1f} in the median and {max(factors):.1f} at worst."
    )
