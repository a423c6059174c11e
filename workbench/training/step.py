"""One step of training: forward pass, backward pass and a step of the optimizer."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import torch
from torch import Tensor, nn

from workbench.bundle.preprocessing import Preprocessing
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.machine.devices import find_device
from workbench.machine.threads import resolve_threads, torch_threads
from workbench.training.models import Normalise, name_of, uncompiled
from workbench.training.optimization import choose_precision, make_optimizer


class GradientStep:
    """A gradient step on `model`, in place. `train` takes these steps, and a `TrainingStep` times them.

    The model is moved to `device`. precision: "fp32", or "bf16" for autocast; it may be changed between two steps.
    """

    def __init__(
        self, model: nn.Module, hyperparameters: HyperParameters, preprocessing: Preprocessing, device: torch.device
    ) -> None:
        self.model = model.to(device)
        self.device = device
        self.precision = "fp32"
        self._channels_last = hyperparameters.channels_last
        if self._channels_last:
            model.to(memory_format=torch.channels_last)
        self.normalise = Normalise(preprocessing).to(device)
        self.optimizer = make_optimizer(model, hyperparameters, device)
        self._forward = torch.compile(model) if hyperparameters.compile else model
        self._loss_function = nn.CrossEntropyLoss(label_smoothing=hyperparameters.label_smoothing)

    def __call__(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Learn from one batch, uint8 (N, H, W, C) and int64 (N,) on the device.

        Returns the mean loss in nats, a scalar, and the logits, float32 (N, classes). Nothing waits for the device.
        """
        loss, logits = self._loss(self._forward, images, labels)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss.detach(), logits.detach()

    def set_learning_rate(self, rate: float) -> None:
        """Use `rate` from the next step on."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def arithmetic(self) -> torch.autocast:
        """Return the context in which the network computes in `precision`."""
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16")

    def choose_precision(self, images: Tensor, labels: Tensor, synchronize: Callable[[], None]) -> None:
        """Set `precision` to the faster one for this batch, timed on a copy of the network, which stays as it is."""
        trial = deepcopy(self.model)

        def passes(precision: str) -> None:
            self.precision = precision
            self._loss(trial, images, labels)[0].backward()
            synchronize()

        self.precision = choose_precision(passes)

    def _loss(self, model: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        inputs = self.normalise(images)
        if not self._channels_last:
            inputs = inputs.contiguous()
        with self.arithmetic():
            logits = model(inputs)
        logits = logits.float()
        return self._loss_function(logits, labels), logits


class TrainingStep:
    """A step of `train` on a copy of `model`, to be measured by `sweep` beside other engines and devices.

    hyperparameters: optimizer, label_smoothing, channels_last and compile are used. device: "auto", "cpu", "cuda" or
    "mps". threads: processor cores to use, by default all. precision: "fp32" or "bf16". Raises WorkbenchError where
    the device, the precision or the number of threads is not available.

    >>> data = wb.load_dataset("digits")
    >>> step = wb.TrainingStep(wb.build_model("mlp", shape=data.shape), wb.HyperParameters(), data.preprocessing)
    >>> float(step(data.train.images[:8], data.train.labels[:8])) > 0
    True
    """

    def __init__(
        self,
        model: nn.Module,
        hyperparameters: HyperParameters,
        preprocessing: Preprocessing,
        *,
        device: str = "cpu",
        threads: int | None = None,
        precision: str = "fp32",
    ) -> None:
        if precision not in ("fp32", "bf16"):
            raise WorkbenchError(f"precision = {precision!r}: a training step is taken in fp32 or bf16.")
        found = find_device(device)
        self.model = name_of(model)
        self.engine = "compiled" if hyperparameters.compile else "eager"
        self.device = found.name
        self.threads = resolve_threads(threads)
        self.precision = precision
        trained = deepcopy(uncompiled(model)).train().requires_grad_(True)
        self._step = GradientStep(trained, hyperparameters, preprocessing, found.torch)
        self._step.precision = precision

    def place(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return both tensors on the step's device, where `train` keeps a training set that fits."""
        return images.to(self._step.device), labels.to(self._step.device)

    def __call__(self, images: Tensor, labels: Tensor) -> Tensor:
        """Learn from one batch, uint8 (N, H, W, C) and int64 (N,) on the device; return the mean loss in nats."""
        with torch_threads(self.threads):
            return self._step(images, labels)[0]
