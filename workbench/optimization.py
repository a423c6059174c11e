"""How a gradient becomes a step: the learning rate's schedule, the optimizer, the number format of the arithmetic."""

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
    """The learning rate of gradient step `step` (from 0) of `steps`.

    one-cycle: from a 25th up to the peak in the share `warmup`, then down a cosine to zero (Smith & Topin 2018, with
    the cosine of Loshchilov & Hutter 2017). cosine: down from the peak. constant: the peak.
    """
    peak = hyperparameters.learning_rate
    if hyperparameters.schedule == "constant":
        return peak
    rising = hyperparameters.warmup * steps if hyperparameters.schedule == "one-cycle" else 0.0
    if step < rising:
        return peak * (0.04 + 0.96 * step / rising)
    return peak * 0.5 * (1 + math.cos(math.pi * (step - rising) / (steps - rising)))


def make_optimizer(model: nn.Module, hyperparameters: HyperParameters, device: torch.device) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum, or AdamW; weight decay acts on matrices and kernels, not on biases and norms."""
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
    """The quicker of "fp32" and "bf16" for `step(precision)`, by a short interleaved race; fp32 on a near draw.

    Where bf16 is only emulated its step can take ten times as long: then one counted step of each decides.
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
            if round_number > 0:  # the first is warm-up
                times.append(time.perf_counter() - start)
        if round_number > 0 and min(seconds["bf16"]) > 5 * max(seconds["fp32"]):
            return "fp32"
    return "bf16" if statistics.median(seconds["bf16"]) < 0.95 * statistics.median(seconds["fp32"]) else "fp32"
