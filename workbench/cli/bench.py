"""The commands of the bench: train, evaluate, search."""

from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from workbench.cli import choices, console
from workbench.cli.app import (
    AsJson,
    BatchSize,
    DataName,
    DeviceName,
    Epochs,
    FinishedRun,
    LearningRate,
    ModelName,
    Out,
    Precision,
    Resume,
    Seed,
    Settings,
    SettingsFile,
    Size,
    app,
)
from workbench.cli.console import Bar, echo, print_json, progress_bar

if TYPE_CHECKING:
    from workbench.training.search import Trial


@app.command(epilog="Example:  workbench train --data digits --epochs 10")
def train(
    data: DataName = None,
    size: Size = None,
    device: DeviceName = "auto",
    out: Out = None,
    model: ModelName = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    learning_rate: LearningRate = None,
    precision: Precision = None,
    seed: Seed = None,
    settings: Settings = None,
    settings_file: SettingsFile = None,
    begin_from: Annotated[
        Path | None, typer.Option("--from", help="Start from these saved weights (fine-tuning).")
    ] = None,
    resume: Resume = None,
    inexact: Annotated[
        bool, typer.Option("--inexact", help="Allow --resume on another device or with another number of threads.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Train a network and save its weights. Ctrl-C stops training, --resume FOLDER continues it."""
    options = dict(locals())
    from workbench.machine.devices import find_device
    from workbench.workflow import train_run

    find_device(device)
    with progress_bar() as progress:
        bar = Bar(progress)
        run, loaded = choices.prepare_run(options, bar)
        records = train_run(run, loaded, device=device, resume=resume is not None, exact=not inexact)
        last = choices.show_records(records, bar, run, "train")
    if as_json:
        print_json({"run": str(run.folder), "weights": str(run.weights), **last})
        return
    echo(f"Weights: {run.weights}")
    echo(f"Next:    workbench evaluate {run.folder}   (the test set, once)   or   workbench export {run.folder}")


@app.command(epilog="Example:  workbench evaluate runs/animals-1")
def evaluate(run: FinishedRun = None, device: DeviceName = "cpu", as_json: AsJson = False) -> None:
    """Score saved weights on the test set: accuracy and its margin, each class, the most frequent mistakes."""
    from workbench.machine.devices import find_device
    from workbench.training.checkpoint import load_weights
    from workbench.training.evaluation import evaluate as evaluate_probabilities
    from workbench.training.evaluation import predict
    from workbench.units import format_share
    from workbench.workflow import load_run_data

    chosen, found = find_device(device), choices.find_run(run, "weights.safetensors")
    with progress_bar() as progress:
        data = load_run_data(found, Bar(progress))
    weights = load_weights(found.weights, labels=data.labels)
    probabilities = predict(weights.model, data.test, weights.preprocessing, chosen.torch)
    result = evaluate_probabilities(probabilities, data.test.labels, data.labels)
    if as_json:
        print_json({"run": str(found.folder), "device": chosen.name, "origin": "measured", **result.to_mapping()})
        return
    echo(
        f"{found.weights}: {format_share(result.accuracy)} of {result.count:,} test images correct "
        f"(± {100 * result.margin:.1f} points, 95 %), mean cross-entropy {result.loss:.3f} nats, on {chosen.name}"
    )
    table = console.make_table(
        "Each class", "class", "images", "precision", "recall", right=("images", "precision", "recall")
    )
    for row in result.per_class():
        shares = ("–" if row[name] is None else format_share(row[name]) for name in ("precision", "recall"))
        table.add_row(console.literal(row["label"]), f"{row['count']:,}", *shares)
    console.show_table(table)
    for truth, answer, count in result.confusions(3):
        echo(f"{count} × {truth} taken for {answer}")


@app.command(epilog="Example:  workbench search --data animals --trials 20 --out runs/search-1")
def search(
    data: DataName = None,
    size: Size = None,
    device: DeviceName = "auto",
    trials: Annotated[int, typer.Option(help="Training runs in total, those of earlier calls included.")] = 20,
    minutes: Annotated[float | None, typer.Option(help="Start no trial after this many minutes.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the search; an unfinished search in it is continued.")] = Path(
        "runs/search"
    ),
    model: ModelName = None,
    epochs: Epochs = None,
    seed: Seed = None,
    settings: Settings = None,
    settings_file: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Search hyper-parameters with Optuna: scored on validation images, poor trials stopped early, resumable."""
    options = dict(locals())
    from workbench.training.search import best, load_trials, search_hyperparameters
    from workbench.units import format_share

    with progress_bar() as progress:
        bar = Bar(progress)
        loaded = choices.load(options, bar)
        choices.show_notes(loaded, bar)
        base = choices.hyperparameters(options, loaded, bar)
        storage, limit = choices.search_storage(out), minutes and 60 * minutes
        found = search_hyperparameters(
            loaded, base, trials=trials, device=device, storage=storage, timeout=limit, seed=base.seed
        )
        _show_trials(found, trials, bar)
    all_trials = load_trials(storage)
    winner, kept = best(all_trials), out / "hyperparameters.json"
    winner.hyperparameters.save(kept)
    plots = [str(path) for path in _search_plots(out, all_trials, storage)]
    if as_json:
        values = asdict(winner.hyperparameters)
        chosen = {"number": winner.number, "validation_accuracy": winner.value, "hyperparameters": values}
        print_json({"trials": len(all_trials), "best": chosen, "hyperparameters": str(kept), "plots": plots})
        return
    echo(f"Best: trial {winner.number + 1}, validation accuracy {format_share(winner.value or 0)}")
    echo(f"Saved as {kept}; plots: {', '.join(plots)}")
    echo(f"Next: workbench train --data {data or choices.DATA} --hyperparameters {kept}")


def _show_trials(found: Generator["Trial", None, None], trials: int, bar: Bar) -> None:
    """Run the search and show each trial as it ends. Raises Stopped on Ctrl-C."""
    try:
        for trial in found:
            bar.line(_format_trial(trial, trials))
            bar("searching", trial.number + 1, trials)
    except KeyboardInterrupt:
        found.close()
        raise console.Stopped("Stopped. Finished trials are kept: the same command continues the search.") from None


def _format_trial(trial: "Trial", trials: int) -> str:
    from workbench.units import format_number, format_seconds, format_share

    value = "–" if trial.value is None else format_share(trial.value)
    sampled = ", ".join(f"{name} {format_number(part)}" for name, part in trial.sampled.items())
    reason = f"; {trial.reason}" if trial.reason else ""
    return (
        f"trial {trial.number + 1}/{trials} {trial.state}: validation accuracy {value} after {trial.epochs} epochs, "
        f"{format_seconds(trial.seconds)}; {sampled}{reason}"
    )


def _search_plots(folder: Path, trials: list["Trial"], storage: Path) -> list[Path]:
    """Draw the history of the search, its parallel coordinates and, from four results on, the importances."""
    import io

    from workbench.atomic import write_bytes
    from workbench.errors import WorkbenchError
    from workbench.pages import plots
    from workbench.training.search import importances

    drawings: dict[str, Any] = {}
    drawings["history"], axes = plots.new_figure(7, 4)
    plots.search_history(trials, axes)
    drawings["parallel-coordinates"], axes = plots.new_figure(9, 4.5)
    plots.parallel_coordinates(trials, axes)
    try:
        shares = importances(storage)
    except WorkbenchError:
        shares = {}  # too few trials
    if shares:
        drawings["importances"], axes = plots.new_figure(6, 3.5)
        plots.importance_bars(shares, axes)
    for name, figure in drawings.items():
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=144)
        write_bytes(folder / f"{name}.png", content.getvalue())
    return [folder / f"{name}.png" for name in drawings]
