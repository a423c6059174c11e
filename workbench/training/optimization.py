"""The learning-rate schedule, the optimizer and the precision of a training run."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters


def learning_rate_at(step: int, steps: int, hyperparameters: HyperParameters) -> float:
    """Return the learning rate of gradient step `step` (from 0) of `steps`.

    one-cycle: linearly from a 25th up to the peak during the share `warmup` of the steps, then along a cosine to zero
    (Smith & Topin 2018, with the cosine of Loshchilov & Hutter 2017). cosine: from the peak to zero. constant: at it.
    """
    peak = hyperparameters.learning_rate
    if hyperparameters.schedule == "constant":
        return peak
    rising = hyperparameters.warmup * steps if hyperparameters.schedule == "one-cycle" else 0.0
    if step < rising:
        return peak * (0.04 + 0.96 * step / rising)
    return peak * 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))


def make_optimizer(model: nn.Module, hyperparameters: HyperParameters, device: torch.device) -> torch.optim.Optimizer:
    """Return SGD with Nesterov momentum, or AdamW, with weight decay on matrices and kernels, not on biases and norms.

    Raises WorkbenchError where `model` has nothing to learn.
    """
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if not learned:
        raise WorkbenchError(f"{type(model).__name__} has no weights to learn.")
    groups = [
        {"params": [p for p in learned if p.ndim > 1], "weight_decay": hyperparameters.weight_decay},
        {"params": [p for p in learned if p.ndim <= 1], "weight_decay": 0.0},
    ]
    fused = device.type in ("cpu", "cuda")
    rate, momentum = hyperparameters.learning_rate, hyperparameters.momentum
    if hyperparameters.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=rate, betas=(momentum, 0.999), fused=fused)
    return torch.optim.SGD(groups, lr=rate, momentum=momentum, nesterov=momentum > 0, fused=fused)


def choose_precision(step: Callable[[str], None], rounds: int = 3) -> str:
    """Return the faster of "fp32" and "bf16" for `step(precision)`, timed in turns; fp32 unless bf16 gains 5 %.

    Where bf16 is only emulated, a step can take ten times as long: then one counted step of each decides.
    """
    seconds: dict[str, list[float]] = {"fp32": [], "bf16": []}
    for round_number in range(rounds + 1):
        for precision, times in seconds.items():
            start = time.perf_counter()
            try:
                step(precision)
            except RuntimeError:
                if precision == "fp32":
                    raise
                return "fp32"  # this device has no bf16
            if round_number > 0:  # the first round is warm-up
                times.append(time.perf_counter() - start)
        if round_number > 0 and min(seconds["bf16"]) > 5 * max(seconds["fp32"]):
            return "fp32"
    return "bf16" if statistics.median(seconds["bf16"]) < 0.95 * statistics.median(seconds["fp32"]) else "fp32"
