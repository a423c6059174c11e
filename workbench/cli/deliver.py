"""Commands that deliver: export, classify, and the whole workflow."""

from pathlib import Path
from typing import Annotated, Any

import typer

from workbench.cli import choices
from workbench.cli.app import (
    AsJson,
    BatchSize,
    DataName,
    DeviceName,
    Epochs,
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


@app.command(epilog="Example:  workbench export runs/animals-1")
def export(
    run: Annotated[Path | None, typer.Argument(help="Folder of a run; by default the newest under runs/.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make the bundle that leaves the bench, and prove that it answers as the trained network does."""
    from workbench.units import format_bytes, format_share
    from workbench.workflow import export_run, load_run_data

    found = choices.run(run, "weights.safetensors")
    with progress_bar() as progress:
        bar = Bar(progress)
        bundle = export_run(found, load_run_data(found, bar), bar)
    if as_json:
        parities = {name: dict(engine.parity) for name, engine in bundle.engines.items()}
        sizes = {name: len(engine.content) for name, engine in bundle.engines.items()}
        left_out = {name: dict(about) for name, about in bundle.left_out.items()}
        print_json(
            {
                "bundle": str(bundle.path),
                "accuracy": bundle.accuracy,
                "parity": parities,
                "bytes": sizes,
                "left_out": left_out,
            }
        )
        return
    for name, engine in bundle.engines.items():
        parity = engine.parity
        say(
            f"{name}: {format_bytes(len(engine.content))}, accuracy {format_share(engine.accuracy)}, same answer as "
            f"PyTorch on {format_share(parity['agreement'])} of {parity['pictures']:,} test pictures, probabilities "
            f"differ by at most {parity['largest_difference']:.1e}"
        )
    for name, about in bundle.left_out.items():
        say(f"{name}: left out, because {about['reason']}")
    say(f"Bundle: {bundle.path}")


@app.command(epilog="Example:  workbench classify my-cat.jpg my-dog.png --bundle runs/animals-1/bundle")
def classify(
    pictures: Annotated[
        list[Path], typer.Argument(metavar="PICTURE…", help="Picture files: PNG, JPEG, WebP, GIF, BMP.")
    ],
    bundle: Annotated[
        Path | None, typer.Option(help="A bundle; by default that of the newest run under runs/.")
    ] = None,
    engine: Annotated[str, typer.Option(help="onnx, onnx-int8, eager or compiled.")] = "onnx",
    top: Annotated[int, typer.Option(min=1, help="How many of the most probable labels to show.")] = 3,
    threads: Annotated[int, typer.Option(min=1, help="Processor cores to use.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Name what is in pictures, with a bundle. Unreadable pictures are told; they make the exit code 2."""
    from workbench.inference import Predictor
    from workbench.pictures import PictureError, read_picture
    from workbench.preprocessing import fit_picture
    from workbench.runs import latest_run

    folder = bundle or latest_run("bundle").bundle
    if (folder / "bundle").is_dir():
        folder = folder / "bundle"  # the folder of a run was named
    predictor = Predictor.from_bundle(folder, engine, threads=threads)
    results: list[dict[str, Any]] = []
    for path in pictures:
        try:
            picture = read_picture(path)
        except PictureError as error:
            results.append({"picture": str(path), "error": str(error)})
            continue
        probabilities = predictor(fit_picture(picture.pixels, predictor.preprocessing)[None])[0]
        order = probabilities.argsort()[::-1][:top]
        answers = [{"label": predictor.labels[k], "probability": float(probabilities[k])} for k in order]
        results.append({"picture": str(path), "answers": answers, "notes": list(picture.notes)})
    if as_json:
        print_json({"bundle": str(folder), "engine": engine, "pictures": results})
    else:
        for result in results:
            say(_answer_line(result))
    if any("error" in result for result in results):
        raise typer.Exit(2)


@app.command(epilog="Example:  workbench workflow --data ~/my-pictures --out runs/mine")
def workflow(
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
    resume: Resume = None,
    as_json: AsJson = False,
) -> None:
    """All five steps: hyper-parameters, training, weight saving, CPU inference, a bundle and a report."""
    import json

    from workbench.devices import find_device
    from workbench.workflow import Clock, begin_run, load_run_data, require_test, run_workflow

    typed = choices.typed(locals())
    cpu, clock = find_device("cpu").description, Clock()
    find_device(device)
    with progress_bar() as progress:
        bar = Bar(progress)
        others = {"data": data, "size": size, "out": out, "set": settings, "hyperparameters": settings_file}
        run = None if resume is None else choices.resumed(resume, typed, others)
        with clock.step("data", cpu, "drawn or read, split, and kept packed in the cache"):
            loaded = choices.load(data or choices.DATA, size, bar) if run is None else load_run_data(run, bar)
        choices.notes(loaded, bar)
        require_test(loaded)
        if run is None:
            with clock.step("hyper-parameters", cpu, "chosen, and their cost computed"):
                hyperparameters = choices.hyperparameters(loaded, settings_file, settings, typed, bar)
            run = choices.new_run(loaded, out)
            begin_run(run, loaded, data or choices.DATA, size, hyperparameters)
        records = run_workflow(run, loaded, device=device, resume=resume is not None, clock=clock, progress=bar)
        choices.follow(records, bar, run, "workflow")
    summary = json.loads(run.summary.read_text(encoding="utf-8"))
    if as_json:
        print_json(summary)
    else:
        _tell(summary)


def _answer_line(result: dict[str, Any]) -> str:
    from workbench.sealed import shortened
    from workbench.units import format_share

    picture = shortened(result["picture"], 200)
    if "error" in result:
        return f"not read: {result['error']}"
    answers = ", ".join(
        f"{shortened(answer['label'])} {format_share(answer['probability'])}" for answer in result["answers"]
    )
    notes = f"   ({'; '.join(result['notes'])})" if result["notes"] else ""
    return f"{picture}: {answers}{notes}"


def _tell(summary: dict[str, Any]) -> None:
    """The figures of a workflow, for a person."""
    from workbench.units import format_bytes, format_seconds, format_share

    say()
    say(
        f"{summary['model']} on {summary['data']}: {format_share(summary['test_accuracy'])} of "
        f"{summary['test_pictures']:,} test pictures right (± {100 * summary['test_margin']:.1f} points, 95 %)"
    )
    if summary["new_pictures"]:
        say(f"new pictures: {format_share(summary['new_accuracy'])} of {summary['new_pictures']} right")
    say(
        "time, measured:  " + ", ".join(f"{name} {format_seconds(value)}" for name, value in summary["seconds"].items())
    )
    say("sizes:  " + ", ".join(f"{name} {format_bytes(count)}" for name, count in summary["sizes"].items()))
    for row in summary["latency"]:
        say(_latency_line(row))
    say(f"report: {summary['report']}")


def _latency_line(row: dict[str, Any]) -> str:
    from workbench.units import format_seconds

    latency, pictures, threads = row["latency"], row["batch_size"], row["threads"]
    return (
        f"{row['engine']}: {format_seconds(latency['p50'])} for {pictures} picture{'s' * (pictures > 1)} on {threads} "
        f"thread{'s' * (threads > 1)} (median of {latency['count']:,}, 90 % within {format_seconds(latency['p90'])}; "
        f"{row['origin']} on this CPU)"
    )
