"""What the lessons share: the run that passes from one to the next, and a guess set beside what was measured."""

from __future__ import annotations

from pathlib import Path

from workbench.data import Data
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.measurement import HERE_NOW
from workbench.runs import Run
from workbench.sealed import shortened
from workbench.units import format_number, format_ratio, format_seconds
from workbench.workflow import begin_run, load_run_data, train_run

LESSON_RUN = Path("../runs/lesson")
QUICK_EPOCHS = 3


def lesson_run(data: Data, folder: Path | str = LESSON_RUN, *, device: str = "auto") -> Run:
    """The run that lesson 02 leaves in `folder`; where there is none, a quick one of QUICK_EPOCHS epochs, trained now.

    Says which of the two it is. A run of other pictures than `data`, or one that was never finished, is not taken: the
    quick one then goes into `folder`-quick and leaves it alone. Raises what `train` raises.
    """
    run = Run(Path(folder))
    if _usable(run, data):
        print(f"Going on with the network of {run.folder}.")
        return run
    if run.folder.exists() and not _only_choices(run.folder):
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
        return run.weights.is_file() and load_run_data(run).fingerprint == data.fingerprint
    except WorkbenchError:
        return False


def _only_choices(folder: Path) -> bool:
    """Whether the folder holds nothing but the hyper-parameters that lesson 01 chose."""
    return all(path.name == "hyperparameters.json" for path in folder.iterdir())


def reveal(guess: float | None, value: float, unit: str = "") -> str:
    """A guess set beside what was measured here, now, both plain numbers in `unit`, with the factor between them.

    Raises WorkbenchError for a guess that is no number of 0 or more.
    """
    measured = f"{format_number(float(value))} {unit}".strip()
    if guess is None:
        return f"No guess yet (guess = None). Measured {HERE_NOW}: {measured}."
    if isinstance(guess, bool) or not isinstance(guess, (int, float)) or not 0 <= guess < float("inf"):
        raise WorkbenchError(f"guess = {shortened(repr(guess))}: write a number of 0 or more, or None.")
    told = f"You guessed {format_number(float(guess))} {unit}".strip() + f"; measured {HERE_NOW}: {measured}"
    if guess == value:
        return f"{told}: exactly right."
    if not guess or value <= 0:
        return f"{told}."
    low, high = sorted((float(guess), float(value)))
    if high / low < 1.1:
        return f"{told}: within a tenth."
    return f"{told}: your guess was {format_ratio(high / low)} too {'high' if guess > value else 'low'}."
