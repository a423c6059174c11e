"""The training loop: a generator that yields a record of progress every few steps and at each epoch's end."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path

import torch
from torch import nn

from workbench import arguments
from workbench.data.datasets import Data
from workbench.hyperparameters import HyperParameters
from workbench.machine.devices import find_device
from workbench.training.interrupts import hold_interrupts
from workbench.training.probe import check_weights
from workbench.training.records import Record, TrainingError
from workbench.training.resume import ResumePoint
from workbench.training.run import TrainingRun


def train(
    model: nn.Module,
    data: Data,
    hyperparameters: HyperParameters,
    *,
    device: str = "auto",
    resume_point: Path | None = None,
    resume: bool = False,
    exact: bool = True,
    record_every: int = 20,
    save_seconds: float = 30.0,
) -> Generator[Record, Mapping[str, float] | None, None]:
    """Train `model` in place, yielding a `Record` every `record_every` steps and at the end of each epoch.

    `for record in train(...)` trains to the end. `send({"learning_rate": x})` sets the peak of the schedule from the
    next step on. `close()`, or leaving the loop, stops; Ctrl-C stops after the current step.

    The whole state is kept in the file `resume_point`: at the start, every `save_seconds`, when stopped and at the
    end. `resume=True` continues from it. On a CPU with as many threads as before, the final weights are bit-identical
    to those of an uninterrupted run; `exact=False` waives that, so that another machine or device can continue.
    Torch's global random state is left alone, its threads are limited to the cores available, and the model ends in
    evaluation mode on the device.

    Raises TrainingError (a WorkbenchError) where the network does not take the images, memory runs out, a loss is not
    finite (naming the step), the resume point belongs to another run, or `send` receives anything else.

    >>> data = wb.load_dataset("digits")
    >>> plan = wb.HyperParameters(model="mlp", epochs=2, learning_rate=0.05, precision="fp32")
    >>> *_, last = wb.train(wb.build_model("mlp", shape=data.shape), data, plan, device="cpu")
    >>> last.step, last.validation_accuracy > 0.5
    (20, True)
    """
    if not isinstance(model, nn.Module):
        raise TrainingError(f"A network to train is an nn.Module, not {model!r}.")
    record_every = arguments.whole_number("record_every", record_every, 1, 1_000_000)
    check_weights(model)
    run = TrainingRun(model, data, hyperparameters, find_device(device), ResumePoint(resume_point))
    if resume:
        run.restore(exact=exact)
    else:
        run.begin()
    try:
        yield from _records(run, record_every, save_seconds)
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"{run.device.description} has too little memory for this network with batch_size = "
            f"{hyperparameters.batch_size}: try {max(1, hyperparameters.batch_size // 2)}."
        ) from error
    finally:
        model.eval()


def _records(
    run: TrainingRun, record_every: int, save_seconds: float
) -> Generator[Record, Mapping[str, float] | None, None]:
    while run.step < run.steps:
        with hold_interrupts() as interrupted:
            with run.working():
                record = run.advance(record_every, interrupted)
            run.save(min_age=0.0 if interrupted else save_seconds)
        if interrupted:
            raise KeyboardInterrupt
        try:
            sent = yield record
            if sent:
                run.change(sent)
        except BaseException:  # closed, or sent a wrong value: the state is still that of the record
            run.save()
            raise
    run.save()
