"""The five steps in one go: hyper-parameters, training, weight saving, CPU inference, deployment."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from torch import nn

from workbench.atomic import write_text
from workbench.bundle import Bundle
from workbench.checkpoint import initial_weights, load_weights, save_weights
from workbench.data import Data, Split, load_dataset, source_of
from workbench.devices import find_device, usable_cores
from workbench.errors import WorkbenchError
from workbench.evaluation import Evaluation, evaluate, predict
from workbench.export import export_bundle
from workbench.hyperparameters import HyperParameters
from workbench.inference import Predictor
from workbench.measurement import Measurement
from workbench.models import build_model, parameter_count
from workbench.parity import Parity
from workbench.report import ParityRow, RunSummary, StepTime, write_report
from workbench.runs import Run
from workbench.sealed import versions
from workbench.sweeps import sweep
from workbench.training import Record, history, train
from workbench.units import format_bytes

Progress = Callable[[str, int, int], None]

BATCH_SIZES = (1, 64)
SECONDS_PER_ENGINE = 0.5


@dataclass(kw_only=True)
class Clock:
    """How long each step took, in their order."""

    steps: list[StepTime] = field(default_factory=list)

    @contextmanager
    def step(self, name: str, device: str, detail: str = "") -> Iterator[None]:
        """Time what is done inside as the step `name`."""
        start = time.perf_counter()
        yield
        self.steps.append(StepTime(name=name, seconds=time.perf_counter() - start, device=device, detail=detail))


def begin_run(
    run: Run,
    data: Data,
    name_or_folder: str,
    size: int | None,
    hyperparameters: HyperParameters,
    begun_from: Path | None = None,
) -> None:
    """Write into the folder of `run` what it is going to learn from (`data`, loaded by this name and size), and how."""
    begun = str(begun_from.resolve()) if begun_from else None
    run.write_about(source_of(name_or_folder), size, data.fingerprint, begun)
    hyperparameters.save(run.hyperparameters)


def load_run_data(run: Run, progress: Progress | None = None) -> Data:
    """The data set that `run` learns from. Raises WorkbenchError where it is no longer the same."""
    about = run.read_about()
    data = load_dataset(about["data"], size=about["size"], progress=progress)
    if data.fingerprint != about["fingerprint"]:
        raise WorkbenchError(
            f"{about['data']} has changed since {run.folder} was begun: its pictures would fall into other splits, and "
            "some of those learned from into the test set. Bring the old pictures back, or train a new run."
        )
    return data


def require_test(data: Data) -> None:
    """Raise WorkbenchError where nothing could be said of a network trained on `data`."""
    if not len(data.test):
        raise WorkbenchError(f"{data.name} has too few pictures for a test set: add some to each class.")


def train_run(
    run: Run, data: Data, *, device: str = "auto", resume: bool = False, exact: bool = True
) -> Generator[Record, Mapping[str, float] | None, None]:
    """Train as the folder of `run` says, yielding the records of `train`; then write its history and its weights.

    Stopped at any moment, it can be called again with `resume=True`. A new run begun from saved weights starts with
    those that fit. Raises what `train` raises.
    """
    hyperparameters = HyperParameters.load(run.hyperparameters)
    resume = resume and run.resume_point.exists()  # a run stopped before its first step begins anew
    model = build_model(
        hyperparameters.model,
        classes=len(data.labels),
        shape=data.shape,
        width=hyperparameters.width,
        seed=hyperparameters.seed,
    )
    begun_from = run.read_about().get("begun_from")
    if begun_from and not resume:
        initial_weights(Path(begun_from), model)
    yield from train(
        model, data, hyperparameters, device=device, resume_point=run.resume_point, resume=resume, exact=exact
    )
    save_run_weights(run, model, data, hyperparameters)


def save_run_weights(run: Run, model: nn.Module, data: Data, hyperparameters: HyperParameters) -> None:
    """Write history.json and weights.safetensors of a finished training."""
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
    """Make the bundle of `run` from its saved weights, proved on the test set of `data`."""
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
    clock: Clock | None = None,
    progress: Progress | None = None,
) -> Generator[Record, Mapping[str, float] | None, None]:
    """Take the network of a run begun by `begin_run` through training and all that follows, yielding its records.

    clock: the steps before this, timed. progress: told of what is done after the training. In the end the folder holds
    hyperparameters.json, history.json, resume.pt, weights.safetensors, bundle/, summary.json and report.html. Stopped
    while training, it goes on by `resume=True`. Raises WorkbenchError where a step cannot be done; what was finished
    before stays.
    """
    clock = clock or Clock()
    chosen = find_device(device)
    require_test(data)
    yield from train_run(run, data, device=device, resume=resume)
    records = history(run.resume_point)
    detail = f"{records[-1].epochs} epochs in {records[-1].precision}, with validation after each"
    clock.steps.append(StepTime(name="training", seconds=records[-1].seconds, device=chosen.description, detail=detail))
    cpu = find_device("cpu").description
    with clock.step("weight saving", "disk", format_bytes(run.weights.stat().st_size)):
        weights = load_weights(run.weights, labels=data.labels)
    with clock.step("CPU inference", cpu, f"{len(data.test):,} test and {len(data.new):,} new pictures, eager fp32"):
        test = _evaluation(weights.model, data, data.test)
        new = _evaluation(weights.model, data, data.new) if len(data.new) else None
    with clock.step("export", cpu, "ONNX and int8, with parity on the whole test set"):
        bundle = export_run(run, data, progress)
    latencies = _latencies(bundle, data, progress)
    summary = _summary(run, data, weights.model, weights.hyperparameters, records, test, new, bundle, latencies, clock)
    write_text(run.summary, json.dumps(summary_mapping(run, summary), indent=2, allow_nan=False) + "\n")
    write_report(run.report, summary)


def _evaluation(model: nn.Module, data: Data, split: Split) -> Evaluation:
    return evaluate(predict(model, split, data.preprocessing), split.labels, data.labels)


def _latencies(bundle: Bundle, data: Data, progress: Progress | None) -> list[Measurement]:
    """Race the engines: one picture on one thread (a device in the field), a batch on all cores (a server)."""
    tell = progress or (lambda what, done, total: None)
    rows: list[Measurement] = []
    for place, batch_size in enumerate(BATCH_SIZES):
        tell("measuring latency", place, len(BATCH_SIZES))
        threads = 1 if batch_size == 1 else usable_cores()
        engines = ("eager", *bundle.engines)
        predictors = [Predictor.from_bundle(bundle, engine, threads=threads) for engine in engines]
        rows += sweep(predictors, data.test.pictures, batch_sizes=(batch_size,), seconds=SECONDS_PER_ENGINE)
    tell("measuring latency", len(BATCH_SIZES), len(BATCH_SIZES))
    return rows


def _summary(
    run: Run,
    data: Data,
    model: nn.Module,
    hyperparameters: HyperParameters,
    records: list[Record],
    test: Evaluation,
    new: Evaluation | None,
    bundle: Bundle,
    latencies: list[Measurement],
    clock: Clock,
) -> RunSummary:
    cpu = find_device("cpu")
    return RunSummary(
        data=data.name,
        pictures={
            "training": len(data.train),
            "validation": len(data.validation),
            "test": len(data.test),
            "new": len(data.new),
        },
        model=hyperparameters.model,
        parameters=parameter_count(model),
        device=next(step.device for step in clock.steps if step.name == "training"),
        hyperparameters=hyperparameters,
        steps=clock.steps,
        records=records,
        test=test,
        test_pictures=data.test.pictures,
        new=new,
        new_pictures=data.new.pictures if new else None,
        sizes=_sizes(run, data, bundle),
        latencies=latencies,
        parity=_parity_rows(bundle),
        notes=data.notes,
        versions=versions("torch", "torchvision", "onnx", "onnxruntime", "numpy", "pillow"),
        machine=f"{cpu.description}, {cpu.cores} cores, {format_bytes(cpu.memory_bytes)} of memory",
        created=datetime.now().astimezone(),
    )


def _sizes(run: Run, data: Data, bundle: Bundle) -> dict[str, int]:
    sizes = {
        "training pictures": data.train.pictures.nbytes,
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
    """The figures of a run as plain values; times in seconds, sizes in bytes, all measured here in this run."""
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
        "test_pictures": summary.test.count,
        "new_accuracy": new.accuracy if new else None,
        "new_pictures": new.count if new else 0,
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
