"""What the lessons share: the run that passes from one to the next, and a guess set beside what was measured."""

from __future__ import annotations

import math
from numbers import Real
from pathlib import Path

from workbench.checkpoint import load_weights
from workbench.data import Data
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.runs import Run
from workbench.sealed import shortened
from workbench.units import format_number, format_ratio, format_seconds
from workbench.workflow import begin_run, load_run_data, train_run

LESSON_RUN = Path("../runs/lesson")
QUICK_EPOCHS = 3


def lesson_run(data: Data, folder: Path | str = LESSON_RUN, *, device: str = "auto") -> Run:
    """The run that lesson 02 leaves in `folder`; where there is none, a quick one of QUICK_EPOCHS epochs, trained now.

    Says which of the two it is. The quick one goes into `folder`-quick: whatever else is in `folder`, such as a run of
    other pictures than `data`, or one that was never finished, stays as it is. Raises what `train` raises.
    """
    run = Run(Path(folder))
    if _usable(run, data):
        print(f"Going on with the network of {run.folder}.")
        return run
    run = Run(run.folder.with_name(f"{run.folder.name}-quick"))
    if _usable(run, data):
        print(f"Going on with the quick network of {run.folder}.")
        return run
    print(f"There is no finished network of lesson 02 yet: a quick one learns for {QUICK_EPOCHS} epochs.")
    begin_run(run, data, data.name, None, HyperParameters(epochs=QUICK_EPOCHS))
    for record in train_run(run, data, device=device):
        if record.kind == "epoch":
            right = f"{record.validation_accuracy:.1%} of the validation pictures right"
            print(f"epoch {record.epoch} of {record.epochs}, after {format_seconds(record.seconds)}: {right}")
    return run


def _usable(run: Run, data: Data) -> bool:
    try:
        load_weights(run.weights, labels=data.labels)
        return load_run_data(run).fingerprint == data.fingerprint
    except WorkbenchError:
        return False


def reveal(guess: float | None, value: float, unit: str = "", origin: str = "measured here, now") -> str:
    """A guess set beside what came out, both plain numbers in `unit`, with the factor between them.

    origin: of the value, as people are told it. Raises WorkbenchError for a guess or a value that is no finite number,
    and for a guess below 0.
    """
    if not _is_finite(value):
        raise WorkbenchError(f"value = {shortened(repr(value))}: only a finite number can be set beside a guess.")
    found = f"{origin}: {format_number(float(value))} {unit}".strip()
    if guess is None:
        return f"No guess yet (guess = None). {found[0].upper()}{found[1:]}."
    if not _is_finite(guess) or guess < 0:
        raise WorkbenchError(f"guess = {shortened(repr(guess))}: write a number of 0 or more, or None.")
    told = f"You guessed {format_number(float(guess))} {unit}".strip() + f"; {found}"
    if guess == value:
        return f"{told}: exactly right."
    if not guess or value <= 0:
        return f"{told}."
    low, high = sorted((float(guess), float(value)))
    if high / low < 1.1:
        return f"{told}: within a tenth."
    return f"{told}: your guess was {format_ratio(high / low)} too {'high' if guess > value else 'low'}."


def _is_finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
