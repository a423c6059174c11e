"""Turn the options of a command into data, hyper-parameters and the folder of a run.

`options` is what the command was called with, by parameter name; an option that was not given is None.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.cli import console
from workbench.cli.console import Bar
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.data.datasets import Data
    from workbench.hyperparameters import HyperParameters
    from workbench.runs import Run
    from workbench.training.records import Record
    from workbench.workflow import Stopwatch

DATA = "animals"
_HYPERPARAMETERS = ("model", "epochs", "batch_size", "learning_rate", "precision", "seed")
# Parameters that describe a new run, with the names of their options.
_OF_A_NEW_RUN = {
    "data": "data",
    "size": "size",
    "out": "out",
    "settings": "set",
    "settings_file": "hyperparameters",
    "begin_from": "from",
}


def prepare_run(
    options: Mapping[str, Any], bar: Bar, *, stopwatch: Stopwatch | None = None, tested: bool = False
) -> tuple[Run, Data]:
    """Start the run that `options` describe, or open the one that they resume; load its data.

    stopwatch: times the steps. tested: refuse data without test images. Raises WorkbenchError for an invalid option
    before anything is written.
    """
    from workbench import runs, workflow
    from workbench.machine.devices import find_device
    from workbench.training.checkpoint import load_weights

    stopwatch, cpu = stopwatch or workflow.Stopwatch(), find_device("cpu").description
    run = _resumed_run(options) if options["resume"] else None
    with stopwatch.step("data", cpu, "drawn or read, split, and kept packed in the cache"):
        data = load(options, bar) if run is None else workflow.load_run_data(run, bar)
    show_notes(data, bar)
    if tested:
        workflow.require_test(data)
    if run is not None:
        return run, data
    with stopwatch.step("hyper-parameters", cpu, "chosen, and their cost computed"):
        chosen = hyperparameters(options, data, bar)
    begin_from = options.get("begin_from")
    if begin_from is not None:
        load_weights(begin_from)  # refuses a damaged or foreign file
    run = runs.new_run(data.name, options["out"])
    workflow.begin_run(run, data, options["data"] or DATA, options["size"], chosen, begin_from)
    return run, data


def load(options: Mapping[str, Any], bar: Bar) -> Data:
    """Load the data set with a progress bar."""
    from workbench.data.datasets import load_dataset

    return load_dataset(options["data"] or DATA, size=options["size"], progress=bar)


def show_notes(data: Data, bar: Bar) -> None:
    """Show where the data are stored, and what was unusual about reading them."""
    bar.clear()
    if data.storage is not None:
        bar.line(f"{data.name}: {data.storage.describe()}")
    for note in data.notes:
        bar.line(f"note: {note}")


def hyperparameters(options: Mapping[str, Any], data: Data, bar: Bar) -> HyperParameters:
    """Return those of the given file, or else those recommended for `data`, with the given changes; show their cost."""
    from workbench.hyperparameters import HyperParameters, recommended
    from workbench.modelling.cost import cost_of
    from workbench.units import format_bytes

    file = options["settings_file"]
    base = HyperParameters.load(file) if file else recommended(data.name, len(data.train))
    for setting in options["settings"] or ():
        base = base.replace(**_parse_setting(setting))
    chosen = base.replace(**_given(options))
    cost = cost_of(chosen, shape=data.shape, classes=len(data.labels), images=len(data.train))
    bar.line(
        f"{chosen.model}: {cost.parameters:,} parameters; {format_bytes(cost.training_bytes)} to train, "
        f"{format_bytes(cost.inference_bytes)} to infer, {cost.run_flops / 1e12:,.2f} trillion operations (modelled)"
    )
    return chosen


def find_run(folder: Path | None, needs: str) -> Run:
    """Return the run in `folder`, or else the newest run that contains the file `needs`."""
    from workbench.runs import Run, latest_run

    return Run(folder) if folder is not None else latest_run(needs)


def show_records(records: Iterable[Record], bar: Bar, run: Run, command: str) -> dict[str, Any]:
    """Show the records of a training as they come; return the last as plain values. Raises Stopped on Ctrl-C."""
    from workbench.training.resume import history

    last: Record | None = None
    try:
        for last in records:
            bar("training", last.step, last.steps)
            if last.kind == "epoch":
                bar.line(console.format_epoch(last))
    except KeyboardInterrupt:
        raise console.Stopped(
            f"Stopped. Nothing is lost: workbench {command} --resume {run.folder} continues the run."
        ) from None
    bar.clear()
    return asdict(last or history(run.resume_point)[-1])


def search_storage(folder: Path) -> Path:
    """Return the database of the search in `folder`. Raises WorkbenchError if the folder holds anything else."""
    storage = folder / "search.db"
    if folder.exists() and not storage.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise WorkbenchError(f"{folder} holds something other than a search: choose another --out.")
    return storage


def check_page(page: Path, example: Path) -> None:
    """Raise WorkbenchError unless `page` names an HTML file: a recording must not be overwritten by mistake."""
    if page.suffix.lower() not in (".html", ".htm"):
        raise WorkbenchError(f"--page {page}: name an HTML file, such as {example}.")


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in _HYPERPARAMETERS if options.get(name) is not None}


def _parse_setting(setting: str) -> dict[str, Any]:
    """Read NAME=VALUE, where the value is JSON or else text."""
    name, equals, text = setting.partition("=")
    if not equals:
        raise WorkbenchError(f"--set {setting}: write NAME=VALUE, for example --set weight_decay=0.001.")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = text
    return {name.strip().replace("-", "_"): value}


def _resumed_run(options: Mapping[str, Any]) -> Run:
    """Return the run to resume. Raises WorkbenchError for options that would make it a different run."""
    from workbench.hyperparameters import HyperParameters
    from workbench.runs import Run

    folder = options["resume"]
    for parameter, name in _OF_A_NEW_RUN.items():
        if options.get(parameter):
            raise WorkbenchError(f"--{name} cannot be combined with --resume: {folder} continues as it was started.")
    run = Run(folder)
    run.read_about()
    kept = HyperParameters.load(run.hyperparameters)
    for name, value in _given(options).items():
        if getattr(kept, name) != value:
            raise WorkbenchError(
                f"{folder} was started with {name} = {getattr(kept, name)!r}, not {value!r}: omit it to resume, or "
                "start a new run."
            )
    return run
