"""The commands that compare devices: record, compare."""

import os
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from workbench.cli import choices, console
from workbench.cli.app import AsJson, DeviceName, app
from workbench.cli.console import Bar, echo, print_json, progress_bar
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.comparing.comparison import Comparison
    from workbench.comparing.metrics import Metric
    from workbench.comparing.recorder import Progress
    from workbench.comparing.sweeps import Excluded
    from workbench.measuring.recordings import Recording

PAGE = Path("runs/devices.html")
# Stated again here, because importing them would load torch before --help can be shown.
LARGEST_BATCH = 2**16
Phases = Literal["inference", "training"]
Models = Literal["linear", "mlp", "convnet", "resnet"]
Metrics = Literal["latency", "throughput", "energy", "memory"]

BatchSizes = Annotated[
    list[int] | None, typer.Option("--batch-size", min=1, max=LARGEST_BATCH, help="Images per batch (repeatable).")
]


@app.command(epilog="Example:  workbench record --device cuda --card datasets/devices/nvidia-h100-sxm.json")
def record(
    device: DeviceName = "auto",
    out: Annotated[Path | None, typer.Option(help="File to write.", show_default="datasets/devices/NAME.json")] = None,
    card: Annotated[Path | None, typer.Option(help="A device file with a fuller card of this device.")] = None,
    batch_sizes: BatchSizes = None,
    seconds: Annotated[float, typer.Option(min=0.01, max=60, help="Time for each engine at each batch size.")] = 0.3,
    as_json: AsJson = False,
) -> None:
    """Measure this machine on the reference network, and save the figures beside those of other devices."""
    from workbench.comparing.recorder import record_machine
    from workbench.comparing.sweeps import BATCH_SIZES
    from workbench.measuring.recordings import read_recording, write_recording

    known = read_recording(card).card if card else None
    path, unfinished = _targets(out, device)
    _warn_if_busy()
    excluded: list[Excluded] = []
    sizes = batch_sizes or BATCH_SIZES
    steps = record_machine(device, batch_sizes=sizes, seconds=seconds, card=known, excluded=excluded)
    recording = _follow(steps, unfinished)
    write_recording(path, recording)
    unfinished.unlink(missing_ok=True)
    for each in excluded:
        start = "" if each.batch_size is None else f" from batch {each.batch_size} on"
        echo(f"left out{start}: {each.engine} {each.precision}, because {each.reason}")
    if as_json:
        print_json({"recording": str(path), **recording.to_mapping()})
        return
    _show_recording(recording)
    echo(f"Saved: {path}")
    echo("Next:  workbench compare" + ("" if out is None else f" --with {path}"))


@app.command(epilog="Example:  workbench compare --phase training --batch-size 1 --batch-size 128")
def compare(
    phase: Annotated[Phases, typer.Option(help="What the network does.")] = "inference",
    model: Annotated[Models, typer.Option(help="A network of the model zoo.")] = "convnet",
    metric: Annotated[Metrics, typer.Option(help="What to rank by.")] = "latency",
    batch_sizes: BatchSizes = None,
    every_engine: Annotated[
        bool, typer.Option("--all", help="Every engine of every device, not just the best at each batch size.")
    ] = False,
    folder: Annotated[Path | None, typer.Option(help="Folder of device files.", show_default="the project's")] = None,
    more: Annotated[list[Path] | None, typer.Option("--with", help="An additional device file (repeatable).")] = None,
    page: Annotated[Path, typer.Option(help="Page to write.")] = PAGE,
    as_json: AsJson = False,
) -> None:
    """Compare recorded and modelled devices: a table, its conclusions in words, and a page with charts."""
    from workbench.comparing.all_devices import compare_recordings, describe_model_errors
    from workbench.comparing.sweeps import BATCH_SIZES
    from workbench.pages.comparison_page import write_comparison_page

    choices.check_page(page, PAGE)
    skipped: list[str] = []
    recordings = _recordings(folder, more or (), skipped)
    all_sizes = sorted({*BATCH_SIZES, *(batch_sizes or ())})
    found = compare_recordings(recordings, phase=phase, model=model, batch_sizes=all_sizes, skipped=skipped)
    for sentence in dict.fromkeys(skipped):
        echo(f"note: {sentence}")
    if not found.measurements:
        raise WorkbenchError(f"No device has a figure for {phase} of {model}: see the notes above, or record one.")
    shown = found if every_engine else found.best_of_each(metric)
    usual = [size for size in (1, 64) if size in shown.batch_sizes]
    sizes = sorted(set(batch_sizes or usual or shown.batch_sizes[:1]))
    sentences = list(dict.fromkeys(text for size in sizes for text in shown.sentences(size, metric)))
    if as_json:
        write_comparison_page(page, model=model, recordings=recordings, notes=skipped)
        rows = [row for size in sizes for row in shown.rows(size, metric)]
        measurements = [row.measurement.to_mapping() | {"name": row.name} for row in rows]
        print_json({"page": str(page), "measurements": measurements, "sentences": sentences})
        return
    for size in sizes:
        _show_table(shown, size, metric, f"{phase} of {model}")
    echo("\n" + "\n".join(sentences))
    if any(m.origin == "modelled" for m in shown.measurements):
        echo(describe_model_errors(recordings))
    write_comparison_page(page, model=model, recordings=recordings, notes=skipped)
    echo(f"Page: {page}")


def _follow(steps: "Generator[Progress, None, Recording]", unfinished: Path) -> "Recording":
    """Return the finished recording; after each step save what there is as `unfinished`. Raises Stopped on Ctrl-C."""
    from workbench.measuring.recordings import write_recording

    with progress_bar() as progress:
        bar = Bar(progress)
        try:
            while True:
                step = next(steps)
                write_recording(unfinished, step.recording)
                bar(f"measuring {step.last.phase} at batch size {step.last.batch_size}", step.done, step.total)
        except StopIteration as end:
            recording: Recording = end.value
            return recording
        except KeyboardInterrupt:
            kept = f"The measurements so far are in {unfinished}" if unfinished.exists() else "Nothing was measured yet"
            raise console.Stopped(f"Stopped. {kept}.") from None
        finally:
            steps.close()


def _show_table(shown: "Comparison", size: int, metric: "Metric", title: str) -> None:
    echo(f"\n{title}, {'one image' if size == 1 else f'{size:,} images'} per batch\n")
    echo(shown.table(size, metric))
    present = {row.name for row in shown.rows(size, metric)}
    lacking = [name for name in shown.ranking(metric).names if name not in present]
    if lacking:
        echo(f"no figure at this batch size: {', '.join(lacking)}")


def _show_recording(recording: "Recording") -> None:
    """Show the smallest and the largest batch of each phase."""
    from workbench.comparing.comparison import Comparison

    found = Comparison.of(recording.measurements)
    for phase in found.phases:
        chosen = found.select(phase=phase, model="convnet")
        for size in dict.fromkeys((*chosen.batch_sizes[:1], *chosen.batch_sizes[-1:])):
            echo(f"\n{phase} of the reference network, batch {size}\n")
            echo(chosen.table(size))
    echo()


def _recordings(folder: Path | None, more: Iterable[Path], skipped: list[str]) -> tuple["Recording", ...]:
    """Load the device files of `folder` and those in `more`, each file once."""
    from workbench.folders import DEVICES
    from workbench.measuring.recordings import load_recordings, read_recording, with_distinct_names

    known = {path.resolve() for path in (folder or DEVICES).glob("*.json")}
    extra = {path.resolve(): path for path in more if path.resolve() not in known}
    return with_distinct_names((*load_recordings(folder, skipped=skipped), *map(read_recording, extra.values())))


def _targets(out: Path | None, device: str) -> tuple[Path, Path]:
    """Return the files of the finished and of an interrupted recording. Raises WorkbenchError if either is in use."""
    from workbench.atomic import check_writable
    from workbench.measuring.recordings import UNFINISHED

    path = out or _new_file(device)
    if path.is_dir() or not path.parent.is_dir():
        raise WorkbenchError(f"--out {path}: name a file in a folder that exists, such as my-machine.json.")
    if path.name.endswith(UNFINISHED):
        raise WorkbenchError(f"--out {path}: names ending in {UNFINISHED} are reserved for interrupted recordings.")
    check_writable(path)
    unfinished = path.with_name(path.stem + UNFINISHED)
    if unfinished.exists():
        raise WorkbenchError(f"{unfinished} is left from an interrupted recording: rename or remove it first.")
    return path, unfinished


def _new_file(device: str) -> Path:
    """Return the default file for a recording of `device`. Raises WorkbenchError if it exists already."""
    from workbench.machine.devices import find_device
    from workbench.measuring.recordings import file_name, writable_folder

    path = writable_folder() / f"{file_name(find_device(device).description)}.json"
    if path.exists():
        raise WorkbenchError(f"{path} already exists: replace it with --out {path}, or keep both with another --out.")
    return path


def _warn_if_busy() -> None:
    from workbench.machine.processor import usable_cores

    load, cores = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0, usable_cores()
    if load > 0.5 * cores:
        echo(f"note: this machine is busy (a load of {load:.1f} on {cores} cores): it will look slower than it is.")
