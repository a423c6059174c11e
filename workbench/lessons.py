"""What the lessons share: the run that passes from one to the next."""

from __future__ import annotations

from pathlib import Path

from workbench.checkpoint import load_weights
from workbench.data import Data
from workbench.errors import WorkbenchError
from workbench.guesses import reveal as reveal
from workbench.hyperparameters import HyperParameters
from workbench.runs import Run
from workbench.units import format_seconds
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
