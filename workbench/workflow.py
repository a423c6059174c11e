"""All five steps in one go: hyper-parameters, training, weight saving, CPU inference, deployment."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from torch import nn

from workbench.atomic import write_text
from workbench.bundle.manifest import Bundle
from workbench.bundle.parity import Parity
from workbench.callbacks import Progress
from workbench.comparing.sweeps import sweep
from workbench.data.datasets import Data, Split, load_dataset, source_of
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.inference.export import export_bundle
from workbench.inference.predictor import Predictor
from workbench.machine.devices import find_device
from workbench.machine.processor import usable_cores
from workbench.measuring.measurement import Measurement
from workbench.pages.report import write_report
from workbench.pages.run_summary import ParityRow, RunSummary, StepTime
from workbench.runs import Run
from workbench.training.checkpoint import initial_weights, load_weights, save_weights
from workbench.training.evaluation import Evaluation, evaluate, predict
from workbench.training.loop import train
from workbench.training.models import build_model, parameter_count
from workbench.training.records import Record
from workbench.training.resume import history
from workbench.units import format_bytes
from workbench.wording import versions

BATCH_SIZES = (1, 64)
SECONDS_PER_ENGINE = 0.5


@dataclass(kw_only=True)
class Stopwatch:
    """The time that each step took, in order."""

    steps: list[StepTime] = field(default_factory=list)

    @contextmanager
    def step(self, name: str, device: str, detail: str = "") -> Iterator[None]:
        """Time the block as the step `name`."""
        start = time.perf_counter()
        yield
        self.steps.append(StepTime(name=name, seconds=time.perf_counter() - start, device=device, detail=detail))


def begin_run(
    run: Run,
    data: Data,
    name_or_folder: str,
    size: int | None,
    hyperparameters: HyperParameters,
    weights: Path | None = None,
) -> None:
    """Write to the folder of `run` what it will learn from and how.

    data: as loaded by `load_dataset(name_or_folder, size=size)`. weights: a weights file to start from.
    """
    start = str(weights.resolve()) if weights else None
    run.write_about(source_of(name_or_folder), size, data.fingerprint, start)
    hyperparameters.save(run.hyperparameters)


def load_run_data(run: Run, progress: Progress | None = None) -> Data:
    """Return the data set that `run` learns from. Raises WorkbenchError if it has changed since."""
    about = run.read_about()
    data = load_dataset(about["data"], size=about["size"], progress=progress)
    if data.fingerprint != about["fingerprint"]:
        raise WorkbenchError(
            f"{about['data']} has changed since {run.folder} was started: its images would fall into other splits, and "
            "some training images into the test set. Restore the old images, or train a new run."
        )
    return data


def require_test(data: Data) -> None:
    """Raise WorkbenchError if `data` has no test images, without which a network cannot be judged."""
    if not len(data.test):
        raise WorkbenchError(f"{data.name} has too few images for a test set: add some to each class.")


def train_run(
    run: Run, data: Data, *, device: str = "auto", resume: bool = False, exact: bool = True
) -> Generator[Record, Mapping[str, float] | None, None]:
    """Train as the files in the folder of `run` specify, yielding the records of `train`; then save the weights.

    After an interruption, call it again with `resume=True`. A new run that starts from saved weights takes those that
    fit. Raises what `train` raises.
    """
    hyperparameters = HyperParameters.load(run.hyperparameters)
    resume = resume and run.resume_point.exists()  # a run stopped before its first step starts again
    model = build_model(
        hyperparameters.model,
        classes=len(data.labels),
        shape=data.shape,
        width=hyperparameters.width,
        seed=hyperparameters.seed,
    )
    start = run.read_about()["initial_weights"]
    if start and not resume:
        initial_weights(Path(start), model)
    yield from train(
        model, data, hyperparameters, device=device, resume_point=run.resume_point, resume=resume, exact=exact
    )
    save_run_weights(run, model, data, hyperparameters)


def save_run_weights(run: Run, model: nn.Module, data: Data, hyperparameters: HyperParameters) -> None:
    """Write history.json and weights.safetensors after training."""
    records = history(run.resume_point)
    write_text(run.history, json.dumps([asdict(record) for record in records], indent=1) + "\n")
    last = records[-1]
    metrics = {
        "validation_accuracy": last.validation_accuracy,
        "training_seconds": round(last.seconds, 3),
        "device": last.device,
        "precision": last.precision,
        "data": data.name,
        "epochs": last.epochs,
    }
    save_weights(
        run.weights,
        model,
        labels=data.labels,
        preprocessing=data.preprocessing,
        hyperparameters=hyperparameters,
        metrics=metrics,
    )


def export_run(run: Run, data: Data, progress: Progress | None = None) -> Bundle:
    """Export the saved weights of `run` to its bundle, verified on the test set of `data`."""
    weights = load_weights(run.weights, labels=data.labels)
    return export_bundle(
        run.bundle,
        weights.model,
        data,
        hyperparameters=weights.hyperparameters,
        weights=run.weights,
        progress=progress,
    )


def run_workflow(
    run: Run,
    data: Data,
    *,
    device: str = "auto",
    resume: bool = False,
    stopwatch: Stopwatch | None = None,
    progress: Progress | None = None,
) -> Generator[Record, Mapping[str, float] | None, None]:
    """Train the network of a run prepared by `begin_run`, yielding its records, then do everything that follows.

    stopwatch: the times of the steps before this. progress: called as progress(step, done, total) after training. In
    the end the folder contains hyperparameters.json, history.json, resume.pt, weights.safetensors, bundle/,
    summary.json and report.html. If training is interrupted, continue with `resume=True`. Raises WorkbenchError if a
    step fails; what was finished before stays.

    >>> from workbench.workflow import begin_run
    >>> run, data = wb.Run("runs/digits"), wb.load_dataset("digits")
    >>> begin_run(run, data, "digits", None, wb.HyperParameters(model="linear", epochs=1))
    >>> records = list(wb.run_workflow(run, data))
    >>> records[-1].epoch, run.report.exists()
    (1, True)
    """
    stopwatch = stopwatch or Stopwatch()
    trainer = find_device(device).description
    require_test(data)
    yield from train_run(run, data, device=device, resume=resume)
    last = history(run.resume_point)[-1]
    detail = f"{last.epochs} epochs in {last.precision}, with validation after each"
    stopwatch.steps.append(StepTime(name="training", seconds=last.seconds, device=trainer, detail=detail))
    summary = _after_training(run, data, trainer, stopwatch, progress)
    write_text(run.summary, json.dumps(summary_mapping(run, summary), indent=2, allow_nan=False) + "\n")
    write_report(run.report, summary)


def _after_training(run: Run, data: Data, trainer: str, stopwatch: Stopwatch, progress: Progress | None) -> RunSummary:
    """Check the saved weights, evaluate, export and race the engines on the CPU; return all figures of the run."""
    cpu = find_device("cpu")
    with stopwatch.step("weight saving", "disk", format_bytes(run.weights.stat().st_size)):
        weights = load_weights(run.weights, labels=data.labels)
    detail = f"{len(data.test):,} test and {len(data.new):,} new images, eager fp32"
    with stopwatch.step("CPU inference", cpu.description, detail):
        test = _evaluate(weights.model, data, data.test)
        new = _evaluate(weights.model, data, data.new) if len(data.new) else None
    with stopwatch.step("export", cpu.description, "ONNX and int8, with parity on the whole test set"):
        bundle = export_run(run, data, progress)
    splits = {"training": data.train, "validation": data.validation, "test": data.test, "new": data.new}
    return RunSummary(
        data=data.name,
        images={name: len(split) for name, split in splits.items()},
        model=weights.hyperparameters.model,
        parameters=parameter_count(weights.model),
        device=trainer,
        hyperparameters=weights.hyperparameters,
        steps=stopwatch.steps,
        records=history(run.resume_point),
        test=test,
        test_images=data.test.images,
        new=new,
        new_images=data.new.images if new else None,
        sizes=_sizes(run, data, bundle),
        latencies=_latencies(bundle, data, progress),
        parity=_parity_rows(bundle),
        notes=data.notes,
        versions=versions("torch", "torchvision", "onnx", "onnxruntime", "numpy", "pillow"),
        machine=f"{cpu.description}, {cpu.cores} cores, {format_bytes(cpu.memory_bytes)} of memory",
        created=datetime.now().astimezone(),
    )


def _evaluate(model: nn.Module, data: Data, split: Split) -> Evaluation:
    return evaluate(predict(model, split, data.preprocessing), split.labels, data.labels)


def _latencies(bundle: Bundle, data: Data, progress: Progress | None) -> list[Measurement]:
    """Race the engines with one image on one thread (a device in the field) and a batch on all cores (a server)."""
    report = progress or (lambda step, done, total: None)
    rows: list[Measurement] = []
    for done, batch_size in enumerate(BATCH_SIZES):
        report("measuring latency", done, len(BATCH_SIZES))
        threads = 1 if batch_size == 1 else usable_cores()
        engines = ("eager", *bundle.engines)
        predictors = [Predictor.from_bundle(bundle, engine, threads=threads) for engine in engines]
        rows += sweep(predictors, data.test.images, batch_sizes=(batch_size,), seconds=SECONDS_PER_ENGINE)
    report("measuring latency", len(BATCH_SIZES), len(BATCH_SIZES))
    return rows


def _sizes(run: Run, data: Data, bundle: Bundle) -> dict[str, int]:
    sizes = {
        "training images": data.train.images.nbytes,
        "resume point": run.resume_point.stat().st_size,
        "weights": run.weights.stat().st_size,
        "bundle": sum(path.stat().st_size for path in run.bundle.rglob("*") if path.is_file()),
    }
    return sizes | {f"engine {name}": len(engine.content) for name, engine in bundle.engines.items()}


def _parity_rows(bundle: Bundle) -> list[ParityRow]:
    kept = [ParityRow(engine=name, parity=Parity(**engine.parity)) for name, engine in bundle.engines.items()]
    return kept + [
        ParityRow(
            engine=name, parity=Parity(**about["parity"]) if about.get("parity") else None, left_out=about["reason"]
        )
        for name, about in bundle.left_out.items()
    ]


def summary_mapping(run: Run, summary: RunSummary) -> dict[str, Any]:
    """Return the figures of a run as plain values: times in seconds, sizes in bytes, all measured in this run."""
    new = summary.new
    return {
        "run": str(run.folder),
        "data": summary.data,
        "model": summary.model,
        "parameters": summary.parameters,
        "device": summary.device,
        "precision": summary.records[-1].precision,
        "threads": usable_cores(),
        "test_accuracy": summary.test.accuracy,
        "test_margin": summary.test.margin,
        "test_images": summary.test.count,
        "new_accuracy": new.accuracy if new else None,
        "new_images": new.count if new else 0,
        "validation_accuracy": summary.records[-1].validation_accuracy,
        "seconds": {step.name: step.seconds for step in summary.steps},
        "parity": {row.engine: asdict(row) for row in summary.parity},
        "sizes": dict(summary.sizes),
        "latency": [asdict(row) for row in summary.latencies],
        "units": {"seconds": "s", "latency": "s", "sizes": "bytes"},
        "origin": "measured",
        "machine": summary.machine,
        "cores": os.cpu_count(),
        "created": summary.created.isoformat(timespec="seconds"),
        "versions": dict(summary.versions),
        "notes": list(summary.notes),
        "report": str(run.report),
    }
