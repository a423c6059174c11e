"""The run that is passed from lesson to lesson."""

from __future__ import annotations

from pathlib import Path

from workbench.data.datasets import Data
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.runs import Run
from workbench.teaching.guesses import reveal as reveal
from workbench.training.checkpoint import load_weights
from workbench.units import format_seconds
from workbench.workflow import begin_run, load_run_data, train_run

LESSON_RUN = Path("../runs/lesson")
QUICK_EPOCHS = 3


def lesson_run(data: Data, folder: Path | str = LESSON_RUN, *, device: str = "auto") -> Run:
    """Return the run that lesson 02 left in `folder`, or train a quick one of QUICK_EPOCHS epochs; print which it is.

    The quick run goes to `folder`-quick, so that a run of other data or an unfinished one in `folder` is left alone.
    Raises what `train` raises.

    >>> run = wb.lesson_run(wb.load_dataset("digits"), "lesson")
    Lesson 02 has left no finished network yet: training a quick one for 3 epochs.
    epoch 1 of 3, after ...
    >>> run.folder.name
    'lesson-quick'
    """
    run = Run(Path(folder))
    if _usable(run, data):
        print(f"Using the network in {run.folder}.")
        return run
    run = Run(run.folder.with_name(f"{run.folder.name}-quick"))
    if _usable(run, data):
        print(f"Using the quick network in {run.folder}.")
        return run
    print(f"Lesson 02 has left no finished network yet: training a quick one for {QUICK_EPOCHS} epochs.")
    begin_run(run, data, data.name, None, HyperParameters(epochs=QUICK_EPOCHS))
    for record in train_run(run, data, device=device):
        if record.kind == "epoch":
            accuracy = f"validation accuracy {record.validation_accuracy:.1%}"
            print(f"epoch {record.epoch} of {record.epochs}, after {format_seconds(record.seconds)}: {accuracy}")
    return run


def _usable(run: Run, data: Data) -> bool:
    try:
        load_weights(run.weights, labels=data.labels)
        return load_run_data(run).fingerprint == data.fingerprint
    except WorkbenchError:
        return False
