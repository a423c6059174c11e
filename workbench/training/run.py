"""The state of a training run: how it begins, takes steps, reports them, and continues from a resume point."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from workbench.data.datasets import Data
from workbench.hyperparameters import HyperParameters
from workbench.machine.devices import Device
from workbench.machine.processor import keep_freed_memory, usable_cores
from workbench.training.batches import Batches
from workbench.training.evaluation import evaluate, predict
from workbench.training.optimization import learning_rate_at
from workbench.training.probe import check_fits
from workbench.training.randomness import RandomStream
from workbench.training.records import Record, TrainingError
from workbench.training.resume import ResumePoint
from workbench.training.step import GradientStep
from workbench.wording import shorten


class TrainingRun:
    """One training run between two records. Raises WorkbenchError where `model` does not fit the images."""

    def __init__(
        self, model: nn.Module, data: Data, hyperparameters: HyperParameters, device: Device, resume_point: ResumePoint
    ) -> None:
        if not len(data.train):
            raise TrainingError(f"{data.name} has no images to train on.")
        keep_freed_memory()
        torch.set_num_threads(min(torch.get_num_threads(), usable_cores()))
        self.model, self.data, self.hyperparameters, self.device = model, data, hyperparameters, device
        self.resume_point = resume_point
        self.gradient_step = GradientStep(model, hyperparameters, data.preprocessing, device.torch)
        self.batches = Batches(data.train, hyperparameters, device.torch, device.free_memory())
        self.randomness = RandomStream(hyperparameters.seed, device.torch)
        self.steps = hyperparameters.epochs * len(self.batches)
        self.step = 0
        self.seconds = 0.0
        self.history: list[Record] = []
        self.changes: list[dict[str, float]] = []
        self.epoch_sums = (0.0, 0, 0)  # loss × images, correct predictions, images
        self._queue: Iterator[tuple[Tensor, Tensor]] = iter(())
        self._queue_step = -1
        check_fits(model, self.gradient_step.normalise(data.train.images[:2].to(device.torch)), len(data.labels))

    # Begin, save, continue --------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Settle the precision and save the state before the first step."""
        if self.hyperparameters.precision == "auto":
            with self.working():
                self.gradient_step.choose_precision(*next(self.batches.epoch(0)), self.device.synchronize)
            self.randomness = RandomStream(self.hyperparameters.seed, self.device.torch)  # timing drew from it too
        else:
            self.gradient_step.precision = self.hyperparameters.precision
        self.save()

    def save(self, *, min_age: float = 0.0) -> None:
        """Write the resume point, unless it is up to date or younger than `min_age` seconds."""
        self.resume_point.save(self.step, self._state, min_age=min_age)

    def restore(self, *, exact: bool) -> None:
        """Continue from the resume point. Raises TrainingError where it is of another run, or damaged."""
        state = self.resume_point.load()
        try:
            self.resume_point.check_same_run(state, self.hyperparameters, self.data)
            if exact:
                self.resume_point.check_same_arithmetic(state, self.device)
            self._take_over(state)
        except (RuntimeError, ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            reason = (str(error).splitlines() or [""])[0]
            raise TrainingError(f"{self.resume_point.path} holds another network or is damaged: {reason}") from error

    def change(self, sent: Mapping[str, float]) -> None:
        """Set the peak of the learning rate from the next step on, and log it. Raises TrainingError for all else."""
        if not isinstance(sent, Mapping) or set(sent) != {"learning_rate"}:
            raise TrainingError(f"Only {{'learning_rate': x}} can be sent to a training, not {shorten(repr(sent))}.")
        before = self.hyperparameters.learning_rate
        self.hyperparameters = self.hyperparameters.replace(**sent)
        self.changes.append({"step": self.step, "learning_rate": self.hyperparameters.learning_rate, "was": before})
        self.resume_point.saved_step = -1

    def _state(self) -> dict[str, Any]:
        first_rate = self.changes[0]["was"] if self.changes else self.hyperparameters.learning_rate
        return {
            "hyperparameters": asdict(self.hyperparameters.replace(learning_rate=first_rate)),
            "data": self.data.fingerprint,
            "model": self.model.state_dict(),
            "optimizer": self.gradient_step.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "precision": self.gradient_step.precision,
            "threads": torch.get_num_threads(),
            "device": self.device.kind,
            "history": [asdict(record) for record in self.history],
            "changes": self.changes,
            "epoch_sums": list(self.epoch_sums),
            "randomness": self.randomness.states,
        }

    def _take_over(self, state: Mapping[str, Any]) -> None:
        if not 0 <= state["step"] <= self.steps or state["precision"] not in ("fp32", "bf16"):
            raise ValueError(f"step {state['step']!r} of {self.steps} in {state['precision']!r}")
        self.model.load_state_dict(state["model"])
        self.gradient_step.optimizer.load_state_dict(state["optimizer"])
        self.step = self.resume_point.saved_step = state["step"]
        self.seconds = state["seconds"]
        self.gradient_step.precision = state["precision"]
        self.history = [Record(**record) for record in state["history"]]
        self.changes = state["changes"]
        self.epoch_sums = tuple(state["epoch_sums"])
        for change in self.changes:
            self.hyperparameters = self.hyperparameters.replace(learning_rate=change["learning_rate"])
        if state["device"] == self.device.kind:
            self.randomness.states = state["randomness"]

    # Work -------------------------------------------------------------------------------------------------------

    @contextmanager
    def working(self) -> Iterator[None]:
        """Put the model into training mode, use the run's own random state, and add the time to its seconds."""
        self.model.train()
        start = time.perf_counter()
        with self.randomness.active():
            yield
        self.seconds += time.perf_counter() - start

    def advance(self, max_steps: int, interrupted: list[int]) -> Record:
        """Take up to `max_steps` steps within the epoch and return their record; synchronise with the device once.

        Takes at least one step, and stops early once `interrupted` holds something.
        """
        epoch, first = divmod(self.step, len(self.batches))
        count = min(max_steps, len(self.batches) - first)
        if self._queue_step != self.step or first == 0:
            self._queue = self.batches.epoch(epoch, first)
        losses = torch.zeros(count, device=self.device.torch)
        correct = torch.zeros((), dtype=torch.int64, device=self.device.torch)
        images = done = 0
        start = time.perf_counter()
        while done < count and not (interrupted and done):
            batch, labels = next(self._queue)
            rate = learning_rate_at(self.step, self.steps, self.hyperparameters)
            self.gradient_step.set_learning_rate(rate)
            losses[done], logits = self.gradient_step(batch, labels)
            correct += (logits.argmax(dim=1) == labels).sum()
            images += len(labels)
            self.step += 1
            done += 1
        self._queue_step = self.step
        values = losses[:done].tolist()  # the one synchronisation
        seconds = time.perf_counter() - start
        self._check_finite(values)
        self._add_to_epoch(sum(values) / done * images, int(correct), images, fresh=first == 0)
        record = self._record(epoch, rate, sum(values) / done, int(correct) / images, images / seconds, seconds)
        self.history.append(record)
        return record

    def _check_finite(self, losses: list[float]) -> None:
        bad = next((index for index, loss in enumerate(losses) if not math.isfinite(loss)), None)
        if bad is None:
            return
        step = self.step - len(losses) + bad + 1
        rate = learning_rate_at(step - 1, self.steps, self.hyperparameters)
        path = self.resume_point.path
        kept = f" {path} holds the run before that." if path else ""
        self.resume_point.path = None  # the weights are spoilt: nothing from here on is worth keeping
        raise TrainingError(
            f"The loss became {losses[bad]} at step {step} of {self.steps}, with a learning rate of {rate:.3g}: it is "
            f"most likely too high. Try learning_rate = {self.hyperparameters.learning_rate / 10:.3g}.{kept}"
        )

    def _add_to_epoch(self, loss_sum: float, correct: int, images: int, *, fresh: bool) -> None:
        before = (0.0, 0, 0) if fresh else self.epoch_sums
        self.epoch_sums = (before[0] + loss_sum, before[1] + correct, before[2] + images)

    def _record(self, epoch: int, rate: float, loss: float, accuracy: float, speed: float, seconds: float) -> Record:
        ended = self.step % len(self.batches) == 0
        validation_loss = validation_accuracy = None
        if ended:
            loss, accuracy = self.epoch_sums[0] / self.epoch_sums[2], self.epoch_sums[1] / self.epoch_sums[2]
            if len(self.data.validation):
                start = time.perf_counter()
                validation_loss, validation_accuracy = self._validate()
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
            images_per_second=speed,
            memory_bytes=self.device.memory_in_use(),
            device=self.device.name,
            precision=self.gradient_step.precision,
        )

    def _validate(self) -> tuple[float, float]:
        split = self.data.validation
        with self.gradient_step.arithmetic():
            probabilities = predict(self.model, split, self.data.preprocessing, self.device.torch)
        result = evaluate(probabilities, split.labels, self.data.labels)
        return result.loss, result.accuracy
