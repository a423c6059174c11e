"""One step of training, alone: what is measured where learning is compared between devices."""

from __future__ import annotations

import copy
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from workbench.devices import checked_threads, find_device, torch_threads
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.models import Normalise, name_of
from workbench.optimization import make_optimizer
from workbench.preprocessing import Preprocessing


class TrainingStep:
    """Forward, backward and one step of the optimizer, on a copy of `model`: what `train` does for each batch.

    hyperparameters: its optimizer, label_smoothing, channels_last and compile are used. device: "auto", "cpu", "cuda"
    or "mps". threads: processor cores it may use. precision: "fp32", or "bf16" for autocast. Raises WorkbenchError for
    a device, precision or number of threads that is not to be had.
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
        place = find_device(device)
        self.model = name_of(model)
        self.engine = "compiled" if hyperparameters.compile else "eager"
        self.device = place.name
        self.threads = checked_threads(threads)
        self.precision = precision
        self._place = place.torch
        self._network = copy.deepcopy(getattr(model, "_orig_mod", model)).to(self._place).train().requires_grad_(True)
        if hyperparameters.channels_last:
            self._network = self._network.to(memory_format=torch.channels_last)
        self._forward = torch.compile(self._network) if hyperparameters.compile else self._network
        self._normalise = Normalise(preprocessing).to(self._place)
        self._channels_last = hyperparameters.channels_last
        self._optimizer = make_optimizer(self._network, hyperparameters, self._place)
        self._loss_of = nn.CrossEntropyLoss(label_smoothing=hyperparameters.label_smoothing)
        halved = precision == "bf16"
        self._arithmetic = torch.autocast(place.kind, dtype=torch.bfloat16) if halved else nullcontext()

    def place(self, pictures: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Both on the step's device, where `train` keeps a training set that fits."""
        return pictures.to(self._place), labels.to(self._place)

    def __call__(self, pictures: Tensor, labels: Tensor) -> Tensor:
        """Learn from one batch, uint8 (N, H, W, C) and int64 (N,) on the step's device; the mean loss, in nats."""
        with torch_threads(self.threads):
            inputs = self._normalise(pictures)
            if not self._channels_last:
                inputs = inputs.contiguous()
            with self._arithmetic:
                logits = self._forward(inputs)
            loss: Tensor = self._loss_of(logits.float(), labels)
            loss.backward()
            self._optimizer.step()
            self._optimizer.zero_grad(set_to_none=True)
            return loss.detach()
