"""The training loop: a generator that yields a record of progress every few steps and at each epoch's end."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from workbench.batches import Batches
from workbench.checkpoint import load_resume_point, save_resume_point
from workbench.data import Data
from workbench.devices import Device, find_device, keep_freed_memory, usable_cores
from workbench.errors import WorkbenchError
from workbench.evaluation import evaluate, predict
from workbench.hyperparameters import HyperParameters
from workbench.models import Normalise
from workbench.optimization import choose_precision, learning_rate_at, make_optimizer
from workbench.probe import check_fits, check_weights
from workbench.randomness import RandomStream
from workbench.sealed import shortened


@dataclass(frozen=True, kw_only=True)
class Record:
    """Where a training run stands. Losses are mean cross-entropies in nats, accuracies shares from 0 to 1.

    loss, accuracy: over the training pictures since the last record (kind "step") or of the epoch (kind "epoch"),
    augmented, while the network was still changing. validation_*: after the epoch; None on step records.
    seconds: spent in training and validation so far, all sittings together. pictures_per_second: training only,
    since the last record. memory_bytes: peak the GPU's allocator gave out, or the process's resident memory.
    """

    kind: Literal["step", "epoch"]
    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float
    seconds: float
    pictures_per_second: float
    memory_bytes: int
    device: str
    precision: str


class TrainingError(WorkbenchError):
    """Training cannot start, cannot go on from a resume point, or has diverged."""


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

    `for record in train(...)` runs it all. `send({"learning_rate": x})` instead of the next turn of the loop sets the
    peak of the schedule from here on. `close()`, or leaving the loop, stops; Ctrl-C stops after the step at hand.
    With `resume_point` the run's whole state is kept in that file: at the start, every `save_seconds`, when stopped
    and at the end. `resume=True` goes on from it; on a CPU the weights then end bit-identical to those of a run never
    stopped, for which the same number of threads is needed. `exact=False` waives that (another machine, another
    device). Torch's global random state is left alone; its threads are reduced to the cores there are; the model is
    left in evaluation mode, on the device.

    Raises TrainingError where the network does not take the pictures, the memory does not suffice, a loss is not
    finite (naming the step), a resume point is of another run, or `send` gets something else.
    """
    if not isinstance(model, nn.Module):
        raise TrainingError(f"A network to train is an nn.Module, not {model!r}.")
    if isinstance(record_every, bool) or not isinstance(record_every, int) or record_every < 1:
        raise TrainingError(f"record_every = {record_every!r}: must be a whole number of steps, at least 1.")
    if resume_point is not None and Path(resume_point).is_dir():
        raise TrainingError(
            f"resume_point = {resume_point} is a folder: name a file, such as {resume_point}/resume.pt."
        )
    check_weights(model)
    run = _Run(model, data, hyperparameters, find_device(device), resume_point)
    if resume:
        run.restore(exact)
    else:
        run.begin()
    try:
        while run.step < run.steps:
            with _interrupt_after_step() as interrupted:
                with run.working():
                    record = run.advance(record_every, interrupted)
                run.save(unless_newer_than=0.0 if interrupted else save_seconds)
            if interrupted:
                raise KeyboardInterrupt
            try:
                sent = yield record
                if sent:
                    run.change(sent)
            except BaseException:  # closed, or sent what cannot be: the state is still that of the record
                run.save()
                raise
        run.save()
    except torch.OutOfMemoryError as error:
        raise TrainingError(
            f"{run.device.description} has too little memory for this network with batch_size = "
            f"{hyperparameters.batch_size}: try {max(1, hyperparameters.batch_size // 2)}."
        ) from error
    finally:
        model.eval()


def history(resume_point: Path) -> list[Record]:
    """The records of a run so far, as kept in its resume point."""
    return [Record(**record) for record in load_resume_point(resume_point)["history"]]


class _Run:
    """The state of one training run between two records."""

    def __init__(
        self,
        model: nn.Module,
        data: Data,
        hyperparameters: HyperParameters,
        device: Device,
        resume_point: Path | None,
    ) -> None:
        if not len(data.train):
            raise TrainingError(f"{data.name} has no pictures to train on.")
        keep_freed_memory()
        self.model, self.data, self.hyperparameters, self.device = model, data, hyperparameters, device
        self.resume_point = resume_point
        torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
        model.to(device.torch)
        if hyperparameters.channels_last:
            model.to(memory_format=torch.channels_last)
        self.normalise = Normalise(data.preprocessing).to(device.torch)
        self.batches = Batches(data.train, hyperparameters, device.torch, device.free_memory())
        self.optimizer = make_optimizer(model, hyperparameters, device.torch)
        self.loss_of = nn.CrossEntropyLoss(label_smoothing=hyperparameters.label_smoothing)
        self.forward = torch.compile(model) if hyperparameters.compile else model
        self.randomness = RandomStream(hyperparameters.seed, device.torch)
        self.steps = hyperparameters.epochs * len(self.batches)
        self.step = 0
        self.seconds = 0.0
        self.precision = hyperparameters.precision
        self.history: list[Record] = []
        self.changes: list[dict[str, float]] = []
        self.epoch_sums = (0.0, 0, 0)  # loss × pictures, right answers, pictures
        self.saved_step = -1
        self.saved_at = time.monotonic()
        self._queue: Iterator[tuple[Tensor, Tensor]] = iter(())
        self._queue_step = -1
        check_fits(model, self.normalise(data.train.pictures[:2].to(device.torch)), data.labels)

    # Beginning, stopping, going on ------------------------------------------------------------------------------

    def begin(self) -> None:
        with self.working():
            if self.precision == "auto":
                self.precision = self._race()
        self.randomness = RandomStream(self.hyperparameters.seed, self.device.torch)  # the race drew from it too
        self.save()

    def restore(self, exact: bool) -> None:
        if self.resume_point is None:
            raise TrainingError("To resume, name the resume point: resume_point=PATH.")
        state = load_resume_point(self.resume_point)
        try:
            self._check_same_run(state, exact)
            self._take_over(state)
        except (RuntimeError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            reason = (str(error).splitlines() or [""])[0]
            raise TrainingError(f"{self.resume_point} holds another network or is damaged: {reason}") from error

    def _take_over(self, state: Mapping[str, Any]) -> None:
        if not 0 <= state["step"] <= self.steps or state["precision"] not in ("fp32", "bf16"):
            raise ValueError(f"step {state['step']!r} of {self.steps} in {state['precision']!r}")
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = self.saved_step = state["step"]
        self.seconds = state["seconds"]
        self.precision = state["precision"]
        self.history = [Record(**record) for record in state["history"]]
        self.changes = state["changes"]
        self.epoch_sums = tuple(state["epoch_sums"])
        for change in self.changes:
            self.hyperparameters = self.hyperparameters.replace(learning_rate=change["learning_rate"])
        if state["device"] == self.device.torch.type:
            self.randomness.states = state["randomness"]

    def _check_same_run(self, state: Mapping[str, Any], exact: bool) -> None:
        where = self.resume_point
        before, now = state["hyperparameters"], asdict(self.hyperparameters)
        for name, value in now.items():
            if before.get(name) != value:
                raise TrainingError(
                    f"{where} was begun with {name} = {before.get(name)!r}, not {value!r}. Resume with the same "
                    "hyper-parameters, or start a new run from its weights."
                )
        if state["data"] != self.data.fingerprint:
            raise TrainingError(
                f"{where} was begun on other pictures than this {self.data.name}. Resume with the same data."
            )
        if not exact:
            return
        if state["device"] != self.device.torch.type:
            raise TrainingError(
                f"{where} was begun on {state['device']}, not {self.device.torch.type}: the weights would not end the "
                f"same. Use device={state['device']!r}, or exact=False (--inexact) to go on all the same."
            )
        if self.device.torch.type == "cpu":
            if state["threads"] > usable_cores():
                raise TrainingError(
                    f"{where} was begun with {state['threads']} threads and this machine has {usable_cores()} cores: "
                    "the weights would not end the same. Use exact=False (--inexact) to go on all the same."
                )
            torch.set_num_threads(state["threads"])

    def save(self, *, unless_newer_than: float = 0.0) -> None:
        """Write the resume point, unless it is of this step already or younger than so many seconds."""
        young = time.monotonic() - self.saved_at < unless_newer_than
        if self.resume_point is None or self.saved_step == self.step or young:
            return
        state = {
            "hyperparameters": asdict(self.hyperparameters.replace(learning_rate=self._first_learning_rate())),
            "data": self.data.fingerprint,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "precision": self.precision,
            "threads": torch.get_num_threads(),
            "device": self.device.torch.type,
            "history": [asdict(record) for record in self.history],
            "changes": self.changes,
            "epoch_sums": list(self.epoch_sums),
            "randomness": self.randomness.states,
        }
        save_resume_point(self.resume_point, state)
        self.saved_step, self.saved_at = self.step, time.monotonic()

    def change(self, sent: Mapping[str, float]) -> None:
        if not isinstance(sent, Mapping) or set(sent) != {"learning_rate"}:
            raise TrainingError(f"Only {{'learning_rate': x}} can be sent to a training, not {shortened(repr(sent))}.")
        was = self._peak()
        self.hyperparameters = self.hyperparameters.replace(**sent)
        self.changes.append({"step": self.step, "learning_rate": self._peak(), "was": was})
        self.saved_step = -1

    def _peak(self) -> float:
        return self.hyperparameters.learning_rate

    def _first_learning_rate(self) -> float:
        return self.changes[0]["was"] if self.changes else self._peak()

    # Working ----------------------------------------------------------------------------------------------------

    @contextmanager
    def working(self) -> Iterator[None]:
        """While inside: our own random state, the clock running, the model in training mode."""
        self.model.train()
        start = time.perf_counter()
        with self.randomness.ours():
            yield
        self.seconds += time.perf_counter() - start

    def advance(self, at_most: int, interrupted: list[int]) -> Record:
        """Take up to `at_most` steps, not beyond the epoch's end; one synchronisation, one record.

        Takes at least one, and stops early once `interrupted` holds something.
        """
        epoch, first = divmod(self.step, len(self.batches))
        count = min(at_most, len(self.batches) - first)
        if self._queue_step != self.step or first == 0:
            self._queue = self.batches.epoch(epoch, first)
        losses = torch.zeros(count, device=self.device.torch)
        right = torch.zeros((), dtype=torch.int64, device=self.device.torch)
        pictures = done = 0
        start = time.perf_counter()
        while done < count and not (interrupted and done):
            batch, labels = next(self._queue)
            rate = learning_rate_at(self.step, self.steps, self.hyperparameters)
            loss, answers = self._step(batch, labels, rate)
            losses[done] = loss
            right += (answers == labels).sum()
            pictures += len(labels)
            self.step += 1
            done += 1
        self._queue_step = self.step
        values = losses[:done].tolist()  # the one synchronisation
        seconds = time.perf_counter() - start
        self._check_finite(values)
        self._add_to_epoch(sum(values) / done * pictures, int(right), pictures, fresh=first == 0)
        record = self._record(epoch, rate, sum(values) / done, int(right) / pictures, pictures / seconds, seconds)
        self.history.append(record)
        return record

    def _step(self, pictures: Tensor, labels: Tensor, rate: float) -> tuple[Tensor, Tensor]:
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss, logits = self._loss(self.forward, pictures, labels, self.precision)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach(), logits.detach().argmax(dim=1)

    def _loss(
        self, model: Callable[[Tensor], Tensor], pictures: Tensor, labels: Tensor, precision: str
    ) -> tuple[Tensor, Tensor]:
        inputs = self.normalise(pictures)
        if not self.hyperparameters.channels_last:
            inputs = inputs.contiguous()
        with self._arithmetic(precision):
            logits = model(inputs)
        logits = logits.float()
        return self.loss_of(logits, labels), logits

    def _arithmetic(self, precision: str) -> torch.autocast:
        return torch.autocast(self.device.torch.type, dtype=torch.bfloat16, enabled=precision == "bf16")

    def _race(self) -> str:
        """Time a step of each precision on a copy of the model."""
        copy = deepcopy(self.model)
        pictures, labels = next(self.batches.epoch(0))

        def step(precision: str) -> None:
            self._loss(copy, pictures, labels, precision)[0].backward()
            self.device.synchronize()

        return choose_precision(step)

    def _check_finite(self, losses: list[float]) -> None:
        for index, loss in enumerate(losses):
            if not math.isfinite(loss):
                step = self.step - len(losses) + index + 1
                rate = learning_rate_at(step - 1, self.steps, self.hyperparameters)
                kept = f" {self.resume_point} holds the run before that." if self.resume_point else ""
                self.resume_point = None  # the weights are spoilt: nothing from here on is worth keeping
                raise TrainingError(
                    f"The loss became {loss} at step {step} of {self.steps}, with a learning rate of {rate:.3g}: it is "
                    f"most likely too high. Try learning_rate = {self._peak() / 10:.3g}.{kept}"
                )

    def _add_to_epoch(self, loss_sum: float, right: int, pictures: int, *, fresh: bool) -> None:
        before = (0.0, 0, 0) if fresh else self.epoch_sums
        self.epoch_sums = (before[0] + loss_sum, before[1] + right, before[2] + pictures)

    def _record(self, epoch: int, rate: float, loss: float, accuracy: float, speed: float, seconds: float) -> Record:
        ended = self.step % len(self.batches) == 0
        validation_loss = validation_accuracy = None
        if ended:
            loss, accuracy = self.epoch_sums[0] / self.epoch_sums[2], self.epoch_sums[1] / self.epoch_sums[2]
            if len(self.data.validation):
                start = time.perf_counter()
                with self._arithmetic(self.precision):
                    split = self.data.validation
                    found = predict(self.model, split, self.data.preprocessing, self.device.torch)
                result = evaluate(found, split.labels, self.data.labels)
                validation_loss, validation_accuracy = result.loss, result.accuracy
                seconds += time.perf_counter() - start
        return Record(
            kind="epoch" if ended else "step",
            epoch=epoch + 1,
            epochs=self.hyperparameters.epochs,
            step=self.step,
            steps=self.steps,
            loss=loss,
            accuracy=accuracy,
            validation_loss=validation_loss,
            validation_accuracy=validation_accuracy,
            learning_rate=rate,
            seconds=self.seconds + seconds,
            pictures_per_second=speed,
            memory_bytes=self.device.memory_in_use(),
            device=self.device.name,
            precision=self.precision,
        )


@contextmanager
def _interrupt_after_step() -> Iterator[list[int]]:
    """Hold Ctrl-C back until the step at hand is done: the list yielded fills when it comes. A second one acts at once.

    Only the main thread receives signals; elsewhere this does nothing.
    """
    came: list[int] = []

    def note(number: int, frame: object) -> None:
        if came:
            raise KeyboardInterrupt
        came.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    before = signal.signal(signal.SIGINT, note)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)
