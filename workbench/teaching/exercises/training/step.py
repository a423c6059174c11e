"""02-step: one step of SGD with momentum, compared with PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.teaching.exercises.answers import call, function_of, known_mistake, parts_of
from workbench.teaching.exercises.exercise import Exercise, NotYet

_Array = NDArray[Any]


class _Step(NamedTuple):
    """One step of SGD: its inputs, and PyTorch's results."""

    weights: _Array
    gradient: _Array
    velocity: _Array
    rate: float
    momentum: float
    new_weights: _Array
    new_velocity: _Array


def _check_step(answer: object) -> None:
    function = function_of(answer, "sgd_step")
    for step in _steps():
        weights, velocity = _step_of(function, step)
        _judge_velocity(weights, velocity, step)
        _judge_weights(weights, step)


def _steps() -> Iterator[_Step]:
    import torch

    draw = torch.Generator().manual_seed(2)
    for shape, momentum in (((4,), 0.9), ((3, 2), 0.5), ((5,), 0.0)):
        # The velocity starts above zero, since most mistakes would not show otherwise.
        moved = torch.nn.Parameter(torch.randn(shape, generator=draw, dtype=torch.float64))
        velocity = torch.randn(shape, generator=draw, dtype=torch.float64)
        optimizer = torch.optim.SGD([moved], lr=0.3, momentum=momentum)
        if momentum:
            optimizer.state[moved]["momentum_buffer"] = velocity.clone()
        # The rate changes as in a schedule: a velocity that includes the rate is right only for a constant rate.
        for rate in (0.3, 0.1, 0.02):
            gradient = torch.randn(shape, generator=draw, dtype=torch.float64)
            before = moved.detach().clone()
            moved.grad, optimizer.param_groups[0]["lr"] = gradient.clone(), rate
            optimizer.step()
            # Without momentum PyTorch keeps no velocity; it would equal the gradient.
            after = optimizer.state[moved]["momentum_buffer"].clone() if momentum else gradient
            known = (before.numpy(), gradient.numpy(), velocity.numpy(), rate, momentum)
            yield _Step(*known, moved.detach().clone().numpy(), after.numpy())
            velocity = after


def _step_of(function: Callable[..., Any], step: _Step) -> tuple[_Array, _Array]:
    import torch

    arrays = (step.weights, step.gradient, step.velocity)
    given = tuple(torch.from_numpy(array.copy()) for array in arrays)
    shape = step.weights.shape
    shown_as = f"three tensors of shape {shape}, {step.rate:g}, {step.momentum:g}"
    found = call(function, *given, step.rate, step.momentum, shown_as=shown_as)
    for name, tensor, array in zip(("weights", "gradient", "velocity"), given, arrays, strict=True):
        if tensor.shape != shape or not np.array_equal(tensor.detach().numpy(), array):
            raise NotYet(f"Your function changes the {name} passed to it: make new tensors, as a + b does.")
    weights, velocity = (_array(part) for part in parts_of(found, "the new weights", "the new velocity"))
    for name, array in (("weights", weights), ("velocity", velocity)):
        if array.shape != shape:
            raise NotYet(f"The shape of the new {name} is {array.shape}, and should be {shape}.")
    return weights, velocity


def _array(part: Any) -> _Array:
    import torch

    try:
        array = np.asarray(part.detach().cpu() if torch.is_tensor(part) else part)
        return array.astype(np.float64, casting="same_kind" if array.dtype.kind == "c" else "unsafe")
    except (TypeError, ValueError):
        raise NotYet("Return tensors (or arrays) of numbers: the new weights, the new velocity.") from None


def _judge_velocity(weights: _Array, velocity: _Array, step: _Step) -> None:
    if _equal(velocity, step.new_velocity):
        return
    if _equal(velocity, step.new_weights) or _equal(weights, step.new_velocity):
        raise NotYet("The two are swapped: return the new weights first, then the new velocity.")
    old, gradient, momentum = step.velocity, step.gradient, step.momentum
    scaled = momentum * old + step.rate * gradient
    if _equal(velocity, scaled) and _equal(weights, step.weights - step.rate * scaled):
        raise NotYet(
            "The learning rate is applied twice: it scales the gradient in your velocity, and then the velocity once "
            "more. The velocity is a sum of unscaled gradients."
        )
    if _equal(velocity, scaled) or _equal(velocity, momentum * old - step.rate * gradient):
        raise NotYet(
            "Your velocity includes the learning rate. PyTorch's does not: the rate comes in only when the weights "
            "move. The two differ as soon as a schedule changes the rate."
        )
    wrong = {
        "Your velocity is the gradient alone: nothing is left of the earlier steps.": gradient,
        "You return the old velocity unchanged: the next step would know nothing of this gradient.": old,
        "You return a velocity of zero: the next step would remember nothing.": 0 * old,
        "Your velocity never decays: momentum says how much of the old one remains.": old + gradient,
        "You scale the new gradient by momentum, too: only the old velocity decays.": momentum * (old + gradient),
        "You average the old and the new, as Adam does. SGD's velocity adds the gradient in full.": (
            momentum * old + (1 - momentum) * gradient
        ),
        "You subtract the gradient from your velocity: add it there, and subtract the velocity from the weights.": (
            momentum * old - gradient
        ),
        "Momentum scales the wrong term: it is the old velocity that decays.": old + momentum * gradient,
    }
    otherwise = (
        f"The new velocity is not PyTorch's: off by up to {np.abs(velocity - step.new_velocity).max():.2g} at momentum "
        f"{momentum:g}. It is computed from the old velocity, momentum and the gradient, and from nothing else."
    )
    raise NotYet(known_mistake(velocity, wrong, _equal, otherwise=otherwise))


def _judge_weights(weights: _Array, step: _Step) -> None:
    if _equal(weights, step.new_weights):
        return
    old, rate, velocity = step.weights, step.rate, step.new_velocity
    wrong = {
        "The velocity is right, but you add the step; subtract it.": old + rate * velocity,
        "The velocity is right, but the weights move by all of it: where is the learning rate?": old - velocity,
        "The velocity is right, but the weights do not move.": old,
        "Your weights move by the old velocity: use the new one, which includes this gradient.": (
            old - rate * step.velocity
        ),
        "Your weights move by the gradient alone: the velocity is computed, but it does not move them.": (
            old - rate * step.gradient
        ),
        "That is Nesterov's step, which looks one velocity ahead. The task asks for the plain one.": (
            old - rate * (step.gradient + step.momentum * velocity)
        ),
        "The gradient moves your weights twice: it is in the velocity already.": (
            old - rate * (velocity + step.gradient)
        ),
        "Momentum scales your velocity once more when the weights move; it has been applied already.": (
            old - rate * step.momentum * velocity
        ),
    }
    otherwise = (
        "The new velocity is right, the new weights are not: off by up to "
        f"{np.abs(weights - step.new_weights).max():.2g} at rate {rate:g}. They are computed from the old weights, the "
        "rate and the new velocity."
    )
    raise NotYet(known_mistake(weights, wrong, _equal, otherwise=otherwise))


def _equal(one: _Array, other: _Array) -> bool:
    return bool(np.allclose(one, other, rtol=1e-5, atol=1e-6))  # float32 is precise enough


EXERCISE = Exercise(
    id="02-step",
    title="One step, by hand",
    kind="function",
    level="core",
    hints=(
        "There are two updates, and their order matters: which of them needs the result of the other?",
        "First the velocity: the old one times momentum, plus the gradient in full. The learning rate plays no part "
        "in it.",
        "Then the weights move *against* the new velocity, scaled by the rate. Make new tensors by plain arithmetic, "
        "not with `+=`, and return both.",
    ),
    learned="An optimizer is two lines of arithmetic; the velocity is its memory, carried from step to step.",
    check=_check_step,
)
