"""Commands of the bench: train, evaluate, search."""

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
    Inexact,
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
from workbench.cli.console import Bar, print_json, progress_bar, say

if TYPE_CHECKING:
    from workbench.search import Trial


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
    inexact: Inexact = False,
    as_json: AsJson = False,
) -> None:
    """Train a network and save its weights. Ctrl-C stops it; --resume FOLDER goes on where it stopped."""
    from workbench.devices import find_device
    from workbench.workflow import begin_run, load_run_data, train_run

    typed = choices.typed(locals())
    find_device(device)
    with progress_bar() as progress:
        bar = Bar(progress)
        if resume is not None:
            others = {"data": data, "size": size, "out": out, "set": settings, "hyperparameters": settings_file}
            run = choices.resumed(resume, typed, others | {"from": begin_from})
            loaded = load_run_data(run, bar)
            choices.notes(loaded, bar)
        else:
            loaded = choices.load(data or choices.DATA, size, bar)
            choices.notes(loaded, bar)
            hyperparameters = choices.hyperparameters(loaded, settings_file, settings, typed, bar)
            choices.check_weights(begin_from)
            run = choices.new_run(loaded, out)
            begin_run(run, loaded, data or choices.DATA, size, hyperparameters, begin_from)
        last = choices.follow(
            train_run(run, loaded, device=device, resume=resume is not None, exact=not inexact), bar, run, "train"
        )
    if as_json:
        print_json(
            {
                "run": str(run.folder),
                "weights": str(run.weights),
                "validation_accuracy": last.get("validation_accuracy"),
                **last,
            }
        )
        return
    say(f"Weights: {run.weights}")
    say(f"Next:    workbench evaluate {run.folder}   (the test set, once)   or   workbench export {run.folder}")


@app.command(epilog="Example:  workbench evaluate runs/animals-1")
def evaluate(
    run: Annotated[Path | None, typer.Argument(help="Folder of a run; by default the newest under runs/.")] = None,
    device: DeviceName = "cpu",
    as_json: AsJson = False,
) -> None:
    """Score saved weights on the test set: accuracy with its margin, each class, the most frequent mistakes."""
    from workbench.checkpoint import load_weights
    from workbench.devices import find_device
    from workbench.evaluation import evaluate as compare
    from workbench.evaluation import predict
    from workbench.units import format_share
    from workbench.workflow import load_run_data

    chosen, found = find_device(device), choices.run(run, "weights.safetensors")
    with progress_bar() as progress:
        data = load_run_data(found, Bar(progress))
    weights = load_weights(found.weights, labels=data.labels)
    result = compare(
        predict(weights.model, data.test, weights.preprocessing, chosen.torch), data.test.labels, data.labels
    )
    if as_json:
        print_json({"run": str(found.folder), "device": chosen.name, "origin": "measured", **result.to_mapping()})
        return
    say(
        f"{found.weights}: {format_share(result.accuracy)} of {result.count:,} test pictures right "
        f"(± {100 * result.margin:.1f} points, 95 %), mean cross-entropy {result.loss:.3f} nats, on {chosen.name}"
    )
    table = console.make_table(
        "Each class", "class", "pictures", "precision", "recall", right=("pictures", "precision", "recall")
    )
    for row in result.per_class():
        shares = ("–" if row[name] is None else format_share(row[name]) for name in ("precision", "recall"))
        table.add_row(console.cell(row["label"]), f"{row['count']:,}", *shares)
    console.show_table(table)
    for truth, answer, count in result.confusions(3):
        say(f"{count} × {truth} taken for {answer}")


@app.command(epilog="Example:  workbench search --data animals --trials 20 --out runs/search-1")
def search(
    data: DataName = None,
    size: Size = None,
    device: DeviceName = "auto",
    trials: Annotated[int, typer.Option(help="Training runs in all, those of earlier calls counted.")] = 20,
    minutes: Annotated[float | None, typer.Option(help="Begin no trial after so many minutes.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the search; an unfinished search in it goes on.")] = Path(
        "runs/search"
    ),
    model: ModelName = None,
    epochs: Epochs = None,
    seed: Seed = None,
    settings: Settings = None,
    settings_file: SettingsFile = None,
    as_json: AsJson = False,
) -> None:
    """Search hyper-parameters with Optuna: judged by validation pictures, bad trials stopped early, resumable."""
    from workbench.search import best, load_trials, search_hyperparameters
    from workbench.units import format_share

    typed = choices.typed(locals())
    with progress_bar() as progress:
        bar = Bar(progress)
        loaded = choices.load(data or choices.DATA, size, bar)
        choices.notes(loaded, bar)
        base = choices.hyperparameters(loaded, settings_file, settings, typed, bar)
        storage = choices.search_storage(out)
        found = search_hyperparameters(
            loaded,
            base,
            trials=trials,
            device=device,
            storage=storage,
            timeout=minutes and 60 * minutes,
            seed=base.seed,
        )
        try:
            for trial in found:
                bar.line(_trial_line(trial, trials))
                bar("searching", trial.number + 1, trials)
        except KeyboardInterrupt:
            found.close()
            raise console.Stopped("Stopped. Finished trials are kept: the same command goes on.") from None
    all_trials = load_trials(storage)
    winner = best(all_trials)
    winner.hyperparameters.save(out / "hyperparameters.json")
    plots = _search_plots(out, all_trials, storage)
    if as_json:
        chosen = {"number": winner.number, "validation_accuracy": winner.value}
        print_json(
            {
                "trials": len(all_trials),
                "best": chosen | {"hyperparameters": asdict(winner.hyperparameters)},
                "hyperparameters": str(out / "hyperparameters.json"),
                "plots": [str(path) for path in plots],
            }
        )
        return
    say(f"Best: trial {winner.number + 1}, validation accuracy {format_share(winner.value or 0)}")
    say(f"Kept in {out / 'hyperparameters.json'}; plots: {', '.join(str(path) for path in plots)}")
    say(f"Next: workbench train --data {data or choices.DATA} --hyperparameters {out / 'hyperparameters.json'}")


def _trial_line(trial: "Trial", trials: int) -> str:
    from workbench.units import format_seconds, format_share

    value = "–" if trial.value is None else format_share(trial.value)
    sampled = ", ".join(f"{name} {console.plain(part)}" for name, part in trial.sampled.items())
    reason = f"; {trial.reason}" if trial.reason else ""
    return (
        f"trial {trial.number + 1}/{trials} {trial.state}: validation accuracy {value} after {trial.epochs} epochs, "
        f"{format_seconds(trial.seconds)}; {sampled}{reason}"
    )


def _search_plots(folder: Path, trials: list["Trial"], storage: Path) -> list[Path]:
    """Draw the search: its history, what went with what, and (from four results on) what mattered."""
    import io

    from workbench import plots
    from workbench.atomic import write_bytes
    from workbench.errors import WorkbenchError
    from workbench.search import importances

    drawings: dict[str, Any] = {}
    drawings["history"], axes = plots.new_figure(7, 4)
    plots.search_history(trials, axes)
    drawings["parallel-coordinates"], axes = plots.new_figure(9, 4.5)
    plots.parallel_coordinates(trials, axes)
    try:
        shares = importances(storage)
    except WorkbenchError:
        shares = {}  # too few trials to say
    if shares:
        drawings["importances"], axes = plots.new_figure(6, 3.5)
        plots.importance_bars(shares, axes)
    for name, figure in drawings.items():
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=144)
        write_bytes(folder / f"{name}.png", content.getvalue())
    return [folder / f"{name}.png" for name in drawings]
