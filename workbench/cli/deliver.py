"""The commands that deliver: export, classify, and the whole workflow."""

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


@app.command(epilog="Example:  workbench export runs/animals-1")
def export(run: FinishedRun = None, as_json: AsJson = False) -> None:
    """Make the bundle that leaves the bench, and verify that it answers like the trained network."""
    from workbench.units import format_bytes, format_share
    from workbench.workflow import export_run, load_run_data

    found = choices.find_run(run, "weights.safetensors")
    with progress_bar() as progress:
        bar = Bar(progress)
        bundle = export_run(found, load_run_data(found, bar), bar)
    if as_json:
        print_json(
            {
                "bundle": str(bundle.path),
                "accuracy": bundle.accuracy,
                "parity": {name: dict(engine.parity) for name, engine in bundle.engines.items()},
                "bytes": {name: len(engine.content) for name, engine in bundle.engines.items()},
                "left_out": {name: dict(about) for name, about in bundle.left_out.items()},
            }
        )
        return
    for name, engine in bundle.engines.items():
        parity = engine.parity
        echo(
            f"{name}: {format_bytes(len(engine.content))}, accuracy {format_share(engine.accuracy)}, same answer as "
            f"PyTorch on {format_share(parity['agreement'])} of {parity['images']:,} test images, probabilities "
            f"differ by at most {parity['largest_difference']:.1e}"
        )
    for name, about in bundle.left_out.items():
        echo(f"{name}: left out, because {about['reason']}")
    echo(f"Bundle: {bundle.path}")


@app.command(epilog="Example:  workbench classify my-cat.jpg my-dog.png --bundle runs/animals-1/bundle")
def classify(
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="Image files: PNG, JPEG, WebP, GIF, BMP.")],
    bundle: Annotated[
        Path | None, typer.Option(help="A bundle.", show_default="that of the newest run under runs/")
    ] = None,
    engine: Annotated[str, typer.Option(help="onnx, onnx-int8, eager or compiled.")] = "onnx",
    top: Annotated[int, typer.Option(min=1, help="Number of most probable labels to show.")] = 3,
    threads: Annotated[int, typer.Option(min=1, help="Number of processor cores to use.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Classify images with a bundle. An unreadable image is reported, and makes the exit code 2."""
    from workbench.bundle.images import ImageError, read_image
    from workbench.bundle.preprocessing import fit_image
    from workbench.inference.predictor import Predictor
    from workbench.serving.command_line import bundle_folder

    folder = bundle_folder(bundle)
    predictor = Predictor.from_bundle(folder, engine, threads=threads)
    results: list[dict[str, Any]] = []
    for path in images:
        try:
            image = read_image(path)
        except ImageError as error:
            results.append({"image": str(path), "error": str(error)})
            continue
        probabilities = predictor(fit_image(image.pixels, predictor.preprocessing)[None])[0]
        order = probabilities.argsort()[::-1][:top]
        answers = [{"label": predictor.labels[k], "probability": float(probabilities[k])} for k in order]
        results.append({"image": str(path), "answers": answers, "notes": list(image.notes)})
    if as_json:
        print_json({"bundle": str(folder), "engine": engine, "images": results})
    else:
        for result in results:
            echo(_format_answer(result))
    if any("error" in result for result in results):
        raise typer.Exit(2)


@app.command(epilog="Example:  workbench workflow --data ~/my-images --out runs/mine")
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
    """Run all five steps: hyper-parameters, training, weight saving, CPU inference, a bundle and a report."""
    options = dict(locals())
    import json

    from workbench.machine.devices import find_device
    from workbench.workflow import Stopwatch, run_workflow

    find_device(device)
    with progress_bar() as progress:
        bar, stopwatch = Bar(progress), Stopwatch()
        run, loaded = choices.prepare_run(options, bar, stopwatch=stopwatch, tested=True)
        records = run_workflow(run, loaded, device=device, resume=resume is not None, stopwatch=stopwatch, progress=bar)
        choices.show_records(records, bar, run, "workflow")
    summary = json.loads(run.summary.read_text(encoding="utf-8"))
    if as_json:
        print_json(summary)
    else:
        _show_summary(summary)


def _format_answer(result: dict[str, Any]) -> str:
    from workbench.units import format_share
    from workbench.wording import shorten

    image = shorten(result["image"], 200)
    if "error" in result:
        return f"not read: {result['error']}"
    answers = ", ".join(
        f"{shorten(answer['label'])} {format_share(answer['probability'])}" for answer in result["answers"]
    )
    notes = f"   ({'; '.join(result['notes'])})" if result["notes"] else ""
    return f"{image}: {answers}{notes}"


def _show_summary(summary: dict[str, Any]) -> None:
    from workbench.units import format_bytes, format_seconds, format_share

    echo(
        f"\n{summary['model']} on {summary['data']}: {format_share(summary['test_accuracy'])} of "
        f"{summary['test_images']:,} test images correct (± {100 * summary['test_margin']:.1f} points, 95 %)"
    )
    if summary["new_images"]:
        echo(f"new images: {format_share(summary['new_accuracy'])} of {summary['new_images']} correct")
    seconds = ", ".join(f"{name} {format_seconds(value)}" for name, value in summary["seconds"].items())
    echo(f"time, measured:  {seconds}")
    echo("sizes:  " + ", ".join(f"{name} {format_bytes(count)}" for name, count in summary["sizes"].items()))
    for row in summary["latency"]:
        echo(_format_latency(row))
    echo(f"report: {summary['report']}")


def _format_latency(row: dict[str, Any]) -> str:
    from workbench.units import format_seconds

    latency, images, threads = row["latency"], row["batch_size"], row["threads"]
    return (
        f"{row['engine']}: {format_seconds(latency['p50'])} for {images} image{'s' * (images > 1)} on {threads} "
        f"thread{'s' * (threads > 1)} (median of {latency['count']:,}, 90 % within {format_seconds(latency['p90'])}; "
        f"{row['origin']} on this CPU)"
    )
