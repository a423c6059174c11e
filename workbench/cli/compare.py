"""Commands that compare devices: record, compare."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from workbench.cli import console
from workbench.cli.app import AsJson, DeviceName, app
from workbench.cli.console import Bar, print_json, progress_bar, say
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.measurement import Phase
    from workbench.metrics import Metric
    from workbench.recordings import Recording
    from workbench.sweeps import DropOut

PAGE = Path("runs/devices.html")
MANY = 2**16  # sweeps.LARGEST_BATCH, which would load torch

BatchSizes = Annotated[
    list[int] | None, typer.Option("--batch-size", min=1, max=MANY, help="Pictures at once (repeatable).")
]


@app.command(epilog="Example:  workbench record --device cuda --card datasets/devices/nvidia-h100-sxm.json")
def record(
    device: DeviceName = "auto",
    out: Annotated[Path | None, typer.Option(help="File to write; by default datasets/devices/NAME.json.")] = None,
    card: Annotated[Path | None, typer.Option(help="A device file whose card says more of this device.")] = None,
    batch_sizes: BatchSizes = None,
    seconds: Annotated[float, typer.Option(min=0.01, max=60, help="For each engine at each batch size.")] = 0.3,
    as_json: AsJson = False,
) -> None:
    """Measure this machine on the reference network, and write its figures beside those of other devices."""
    from workbench.recorder import record_machine
    from workbench.recordings import read_recording, write_recording
    from workbench.sweeps import BATCH_SIZES

    known = read_recording(card).card if card else None
    path, unfinished = _targets(out, device)
    _tell_if_busy()
    dropped: list[DropOut] = []
    steps = record_machine(device, batch_sizes=batch_sizes or BATCH_SIZES, seconds=seconds, card=known, dropped=dropped)
    with progress_bar() as progress:
        bar, recording = Bar(progress), None
        try:
            while True:
                step = next(steps)
                write_recording(unfinished, step.recording)
                bar(f"measuring, {step.last.phase} at batch {step.last.batch_size}", step.done, step.total)
        except StopIteration as done:
            recording = done.value
        except KeyboardInterrupt:
            kept = (
                f"What was measured so far is in {unfinished}." if unfinished.exists() else "Nothing was measured yet."
            )
            raise console.Stopped(f"Stopped. {kept}") from None
        finally:
            steps.close()
    assert recording is not None
    write_recording(path, recording)
    unfinished.unlink(missing_ok=True)
    for each in dropped:
        say(f"left out from batch {each.batch_size} on: {each.contestant.engine}, because {each.reason}")
    if as_json:
        print_json({"recording": str(path), **recording.to_mapping()})
        return
    _tell(recording)
    say(f"Written: {path}")
    say("Next:    workbench compare" + ("" if out is None else f" --with {path}"))


@app.command(epilog="Example:  workbench compare --phase training --batch-size 1 --batch-size 128")
def compare(
    phase: Annotated[str, typer.Option(help="inference or training.")] = "inference",
    model: Annotated[str, typer.Option(help="A network of the zoo: convnet, linear, mlp, resnet.")] = "convnet",
    metric: Annotated[str, typer.Option(help="latency, throughput, energy or memory.")] = "latency",
    batch_sizes: BatchSizes = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every engine of every device, not only its best at each batch size.")
    ] = False,
    folder: Annotated[Path | None, typer.Option(help="Folder of device files; by default the project's own.")] = None,
    more: Annotated[list[Path] | None, typer.Option("--with", help="A device file besides (repeatable).")] = None,
    page: Annotated[Path, typer.Option(help="Where to write the page.")] = PAGE,
    as_json: AsJson = False,
) -> None:
    """Set recorded and modelled devices side by side: a table, what it says in words, and a page with charts."""
    from workbench.all_devices import compared, told_errors
    from workbench.comparison_page import write_comparison_page
    from workbench.metrics import METRICS
    from workbench.models import ZOO
    from workbench.sweeps import BATCH_SIZES

    for name, value, choices in (
        ("phase", phase, ("inference", "training")),
        ("model", model, ZOO),
        ("metric", metric, tuple(METRICS)),
    ):
        if value not in choices:
            raise WorkbenchError(f"--{name} {value}: choose {', '.join(choices)}.")
    if page.suffix.lower() not in (".html", ".htm"):
        raise WorkbenchError(f"--page {page}: name an HTML file, such as {PAGE}.")
    asked, measured_by = cast("Phase", phase), cast("Metric", metric)
    skipped: list[str] = []
    recordings = _recordings(folder, more or (), skipped)
    sizes = sorted({*BATCH_SIZES, *(batch_sizes or ())})
    found = compared(recordings, phase=asked, model=model, batch_sizes=sizes, skipped=skipped)
    for sentence in dict.fromkeys(skipped):
        say(f"note: {sentence}")
    if not found.measurements:
        raise WorkbenchError(f"There is no figure for {phase} of {model} here: the notes above say why, or use record.")
    shown = found if everything else found.best_of_each(measured_by)
    usual = [size for size in (1, 64) if size in shown.batch_sizes]
    sizes = sorted(set(batch_sizes or usual or shown.batch_sizes[:1]))
    tables = {size: shown.rows(size, measured_by) for size in sizes}
    said = list(dict.fromkeys(text for size in sizes for text in shown.sentences(size, measured_by)))
    if as_json:
        write_comparison_page(page, model=model, recordings=recordings, notes=skipped)
        rows = [row.measurement.to_mapping() | {"name": row.name} for size in sizes for row in tables[size]]
        print_json({"page": str(page), "measurements": rows, "sentences": said})
        return
    for size in sizes:
        say(f"\n{phase} of {model}, {'one picture' if size == 1 else f'{size:,} pictures'} at once\n")
        say(shown.table(size, measured_by))
        lacking = [name for name in shown.subjects.values() if name not in {row.name for row in tables[size]}]
        if lacking:
            say(f"no figure at this batch size: {', '.join(lacking)}")
    say()
    for sentence in said:
        say(sentence)
    if any(m.origin == "modelled" for m in shown.measurements):
        say(told_errors(recordings))
    write_comparison_page(page, model=model, recordings=recordings, notes=skipped)
    say(f"Page: {page}")


def _recordings(folder: Path | None, more: Iterable[Path], skipped: list[str]) -> tuple["Recording", ...]:
    """Those of the folder, and the files besides, each once."""
    from workbench.recordings import FOLDER, load_recordings, read_recording, told_apart

    known = {path.resolve() for path in (folder or FOLDER).glob("*.json")}
    extra = {path.resolve(): path for path in more if path.resolve() not in known}
    return told_apart((*load_recordings(folder, skipped=skipped), *map(read_recording, extra.values())))


def _targets(out: Path | None, device: str) -> tuple[Path, Path]:
    """Where a recording goes, and what it leaves when it is stopped. Raises WorkbenchError before anything is lost."""
    from workbench.atomic import check_writable
    from workbench.recordings import UNFINISHED

    path = out or _new_file(device)
    if path.is_dir() or not path.parent.is_dir():
        raise WorkbenchError(f"--out {path}: name a file in a folder that exists, such as my-machine.json.")
    if path.name.endswith(UNFINISHED):
        raise WorkbenchError(
            f"--out {path}: a name that ends in {UNFINISHED} is kept for recordings that were stopped."
        )
    check_writable(path)
    unfinished = path.with_name(path.stem + UNFINISHED)
    if unfinished.exists():
        raise WorkbenchError(f"{unfinished} is there from a recording that was stopped: rename or remove it first.")
    return path, unfinished


def _tell_if_busy() -> None:
    from workbench.devices import usable_cores

    load, cores = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0, usable_cores()
    if load > 0.5 * cores:
        say(f"note: this machine is busy (a load of {load:.1f} on {cores} cores): it will look slower than it is.")


def _new_file(device: str) -> Path:
    """Where a recording goes that was given no name: nothing is replaced that was recorded before."""
    from workbench.devices import find_device
    from workbench.recordings import file_name, writable_folder

    path = writable_folder() / f"{file_name(find_device(device).description)}.json"
    if path.exists():
        raise WorkbenchError(
            f"{path} is there already: replace it with --out {path}, or give another --out to keep both."
        )
    return path


def _tell(recording: "Recording") -> None:
    from workbench.comparison import Comparison

    found = Comparison(recording.measurements)
    for phase in found.phases:
        chosen = found.select(phase=phase, model="convnet")
        for size in dict.fromkeys((*chosen.batch_sizes[:1], *chosen.batch_sizes[-1:])):
            say(f"\n{phase} of the reference network, batch {size}\n")
            say(chosen.table(size))
    say()
