"""What the options of a command come to: data, hyper-parameters, and the folder of a run."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli import console
from workbench.cli.console import Bar
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.data import Data
    from workbench.hyperparameters import HyperParameters
    from workbench.runs import Run
    from workbench.training import Record


DATA = "animals"


def typed(given: dict[str, Any]) -> dict[str, Any]:
    """The hyper-parameters that were given as options of their own."""
    names = ("model", "epochs", "batch_size", "learning_rate", "precision", "seed")
    return {name: given[name] for name in names if given.get(name) is not None}


def hyperparameters(
    data: Data, settings_file: Path | None, settings: Iterable[str] | None, typed: dict[str, Any], bar: Bar
) -> HyperParameters:
    """Recommended for the data, or read from a file; then what was typed. Tells what they cost."""
    from workbench.cost import cost_of
    from workbench.hyperparameters import HyperParameters, recommended
    from workbench.units import format_bytes

    base = HyperParameters.load(settings_file) if settings_file else recommended(data.name, len(data.train))
    for setting in settings or ():
        name, equals, text = setting.partition("=")
        if not equals:
            raise WorkbenchError(f"--set {setting}: write it as NAME=VALUE, for example --set weight_decay=0.001.")
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = text
        base = base.replace(**{name.strip().replace("-", "_"): value})
    chosen = base.replace(**typed)
    cost = cost_of(chosen, shape=data.shape, classes=len(data.labels), pictures=len(data.train))
    bar.line(
        f"{chosen.model}: {cost.parameters:,} parameters; {format_bytes(cost.training_bytes)} to train, "
        f"{format_bytes(cost.inference_bytes)} to answer, {cost.run_flops / 1e12:,.2f} trillion operations (modelled)"
    )
    return chosen


def load(data: str, size: int | None, bar: Bar) -> Data:
    """Load a data set, with progress."""
    from workbench.data import load_dataset

    return load_dataset(data, size=size, progress=bar)


def notes(data: Data, bar: Bar) -> None:
    """Show what the user should know of how the data were read."""
    bar.clear()
    if data.storage is not None:
        bar.line(f"{data.name}: {data.storage.describe()}")
    for note in data.notes:
        bar.line(f"note: {note}")


def new_run(data: Data, out: Path | None) -> Run:
    """The folder of a new run."""
    from workbench import runs

    return runs.new_run(data.name, out)


def run(folder: Path | None, needs: str) -> Run:
    """The run in `folder`, or the newest one that has the file `needs`."""
    from workbench.runs import Run, latest_run

    return Run(folder) if folder is not None else latest_run(needs)


def resumed(folder: Path, typed: dict[str, Any], others: dict[str, Any]) -> Run:
    """The run to go on with; refuses what would make it another one than was begun."""
    from workbench.hyperparameters import HyperParameters
    from workbench.runs import Run

    for name, value in others.items():
        if value:
            raise WorkbenchError(f"--{name} does not go with --resume: the run in {folder} goes on as it was begun.")
    run = Run(folder)
    run.read_about()
    kept = HyperParameters.load(run.hyperparameters)
    for name, value in typed.items():
        if getattr(kept, name) != value:
            raise WorkbenchError(
                f"{folder} was begun with {name} = {getattr(kept, name)!r}, not {value!r}: leave it away to resume, or "
                "start a new run."
            )
    return run


def check_weights(path: Path | None) -> None:
    """Refuse a damaged or foreign weights file before anything is begun."""
    from workbench.checkpoint import load_weights

    if path is not None:
        load_weights(path)


def follow(records: Iterable[Record], bar: Bar, run: Run, command: str) -> dict[str, Any]:
    """Show the records as they come; on Ctrl-C say how to go on. Returns the last one as plain values."""
    from workbench.training import history

    last: Record | None = None
    try:
        for last in records:
            bar("training", last.step, last.steps)
            if last.kind == "epoch":
                bar.line(console.epoch_line(last))
    except KeyboardInterrupt:
        raise console.Stopped(f"Stopped. Nothing is lost: workbench {command} --resume {run.folder} goes on.") from None
    bar.clear()
    return asdict(last or history(run.resume_point)[-1])


def search_storage(folder: Path) -> Path:
    """The file a search in `folder` is kept in; refuses a folder that holds something else."""
    storage = folder / "search.db"
    if folder.exists() and not storage.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise WorkbenchError(f"{folder} holds something else than a search: choose another --out.")
    return storage
