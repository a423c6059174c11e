from itertools import pairwise

import pytest
import torch
from torch import nn

from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.training.optimization import choose_precision, learning_rate_at, make_optimizer

CPU = torch.device("cpu")


def test_cosine_is_pytorchs_cosine_annealing():
    hyperparameters = HyperParameters(schedule="cosine", learning_rate=0.3)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    oracle = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=50)
    for step in range(50):
        assert learning_rate_at(step, 50, hyperparameters) == pytest.approx(oracle.get_last_lr()[0], abs=1e-12)
        optimizer.step()
        oracle.step()


def test_one_cycle_rises_to_the_peak_and_ends_at_zero():
    hyperparameters = HyperParameters(learning_rate=0.4, warmup=0.25)
    rates = [learning_rate_at(step, 400, hyperparameters) for step in range(401)]
    assert rates[0] == pytest.approx(0.4 / 25)
    assert rates[100] == max(rates) == 0.4
    assert rates[400] == pytest.approx(0)
    assert all(a < b for a, b in pairwise(rates[:101]))
    assert all(a > b for a, b in pairwise(rates[100:]))


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine", "constant"])
@pytest.mark.parametrize("warmup", [0.0, 0.9])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_every_step_of_a_short_run_moves_the_weights(schedule, warmup, steps):
    hyperparameters = HyperParameters(schedule=schedule, warmup=warmup, learning_rate=0.1)
    assert all(0 < learning_rate_at(step, steps, hyperparameters) <= 0.1 for step in range(steps))


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_a_step_is_the_papers_formula_in_float64(name):
    hyperparameters = HyperParameters(optimizer=name, learning_rate=0.05, momentum=0.8, weight_decay=0.1)
    model = net().double()
    optimizer = make_optimizer(model, hyperparameters, CPU)
    weights = {key: value.detach().clone() for key, value in model.named_parameters()}
    first = {key: torch.zeros_like(value) for key, value in weights.items()}
    second = {key: torch.zeros_like(value) for key, value in weights.items()}
    for t in range(1, 4):
        model(torch.randn(5, 1, 8, 8, dtype=torch.float64)).logsumexp(1).sum().backward()
        for key, parameter in model.named_parameters():
            gradient, decay = parameter.grad.clone(), 0.1 if parameter.ndim > 1 else 0.0
            if name == "sgd":  # Sutskever et al. 2013, as PyTorch states it
                gradient += decay * weights[key]
                first[key] = 0.8 * first[key] + gradient if t > 1 else gradient
                weights[key] = weights[key] - 0.05 * (gradient + 0.8 * first[key])
            else:  # Loshchilov & Hutter 2019, algorithm 2
                first[key] = 0.8 * first[key] + 0.2 * gradient
                second[key] = 0.999 * second[key] + 0.001 * gradient**2
                unbiased = first[key] / (1 - 0.8**t), second[key] / (1 - 0.999**t)
                weights[key] = weights[key] * (1 - 0.05 * decay) - 0.05 * unbiased[0] / (unbiased[1].sqrt() + 1e-8)
        optimizer.step()
        optimizer.zero_grad()
    for key, parameter in model.named_parameters():
        torch.testing.assert_close(parameter.detach(), weights[key], rtol=1e-9, atol=1e-9)


def test_a_network_without_weights_is_refused():
    with pytest.raises(WorkbenchError, match="Flatten has no weights to learn"):
        make_optimizer(nn.Flatten(), HyperParameters(), CPU)


def test_the_faster_precision_is_chosen():
    import time

    pauses = {"fp32": 0.004, "bf16": 0.001}
    assert choose_precision(lambda precision: time.sleep(pauses[precision])) == "bf16"
    assert choose_precision(lambda precision: time.sleep(0.005 - pauses[precision])) == "fp32"


def test_an_emulated_bf16_is_timed_once_only():
    import time

    taken = []
    assert choose_precision(lambda precision: taken.append(time.sleep(0.05 * (precision == "bf16")))) == "fp32"
    assert len(taken) == 4  # the warm-up, and one counted step of each


def test_a_device_without_bf16_trains_in_fp32():
    def step(precision):
        if precision == "bf16":
            raise RuntimeError("no bf16 here")

    assert choose_precision(step) == "fp32"
