"""02-step: one step of SGD with momentum, against PyTorch's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from workbench.exercises.answers import called, function_of, known_mistake, parts_of
from workbench.exercises.exercise import Exercise, NotYet

_Array = NDArray[Any]


class _Step(NamedTuple):
    """One step of SGD: what it starts from, and where PyTorch ends."""

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
        # Not from rest: with a velocity of zero most mistakes would not show.
        moved = torch.nn.Parameter(torch.randn(shape, generator=draw, dtype=torch.float64))
        velocity = torch.randn(shape, generator=draw, dtype=torch.float64)
        optimizer = torch.optim.SGD([moved], lr=0.3, momentum=momentum)
        if momentum:
            optimizer.state[moved]["momentum_buffer"] = velocity.clone()
        # The rate moves as in a schedule: a velocity that has the rate in it is right only while the rate is held.
        for rate in (0.3, 0.1, 0.02):
            gradient = torch.randn(shape, generator=draw, dtype=torch.float64)
            before = moved.detach().clone()
            moved.grad, optimizer.param_groups[0]["lr"] = gradient.clone(), rate
            optimizer.step()
            # Without momentum PyTorch keeps no velocity: it would be the gradient.
            after = optimizer.state[moved]["momentum_buffer"].clone() if momentum else gradient
            known = (before.numpy(), gradient.numpy(), velocity.numpy(), rate, momentum)
            yield _Step(*known, moved.detach().clone().numpy(), after.numpy())
            velocity = after


def _step_of(function: Callable[..., Any], step: _Step) -> tuple[_Array, _Array]:
    import torch

    arrays = (step.weights, step.gradient, step.velocity)
    given = tuple(torch.from_numpy(array.copy()) for array in arrays)
    shape = step.weights.shape
    told = f"three tensors of shape {shape}, {step.rate:g}, {step.momentum:g}"
    found = called(function, *given, step.rate, step.momentum, told=told)
    for name, tensor, array in zip(("weights", "gradient", "velocity"), given, arrays, strict=True):
        if tensor.shape != shape or not np.array_equal(tensor.detach().numpy(), array):
            raise NotYet(f"Your function changes the {name} that it is given: make new tensors, as a + b does.")
    weights, velocity = (_array(part) for part in parts_of(found, "the new weights", "the new velocity"))
    for name, array in (("weights", weights), ("velocity", velocity)):
        if array.shape != shape:
            raise NotYet(f"The new {name} have the shape {array.shape}, the old ones {shape}.")
    return weights, velocity


def _array(part: Any) -> _Array:
    import torch

    try:
        array = np.asarray(part.detach().cpu() if torch.is_tensor(part) else part)
        return array.astype(np.float64, casting="same_kind" if array.dtype.kind == "c" else "unsafe")
    except (TypeError, ValueError):
        raise NotYet("Give back tensors (or arrays) of numbers: the new weights, the new velocity.") from None


def _judge_velocity(weights: _Array, velocity: _Array, step: _Step) -> None:
    if _equal(velocity, step.new_velocity):
        return
    if _equal(velocity, step.new_weights) or _equal(weights, step.new_velocity):
        raise NotYet("The two have changed places: first the new weights, then the new velocity.")
    old, gradient, momentum = step.velocity, step.gradient, step.momentum
    rated = momentum * old + step.rate * gradient
    if _equal(velocity, rated) and _equal(weights, step.weights - step.rate * rated):
        raise NotYet(
            "The learning rate is in it twice: it scales the gradient in your velocity, and then the velocity once "
            "more. The velocity is a sum of gradients as they came."
        )
    if _equal(velocity, rated) or _equal(velocity, momentum * old - step.rate * gradient):
        raise NotYet(
            "Your velocity has the learning rate in it. PyTorch's has not: the rate comes in only where the weights "
            "move. The two ways part as soon as a schedule moves the rate."
        )
    wrong = {
        "Your velocity is the gradient alone: nothing is left of the steps before.": gradient,
        "You give back the velocity as you got it: the next step would know nothing of this gradient.": old,
        "You give back a velocity of zero: the next step would remember nothing.": 0 * old,
        "Your velocity never fades: momentum says how much of the old one stays.": old + gradient,
        "Your velocity fades the new gradient, too: only the old velocity does.": momentum * (old + gradient),
        "You average the old and the new, as Adam does. SGD's velocity takes the gradient in full.": (
            momentum * old + (1 - momentum) * gradient
        ),
        "The gradient enters your velocity with a minus: it should add up there, and be subtracted from the weights.": (
            momentum * old - gradient
        ),
        "Momentum stands at the wrong one: it is the old velocity that fades.": old + momentum * gradient,
    }
    raise NotYet(
        known_mistake(velocity, wrong, _equal)
        or f"The new velocity is not PyTorch's: off by up to {np.abs(velocity - step.new_velocity).max():.2g} at "
        f"momentum {momentum:g}. It is made of the old velocity, momentum and the gradient, and of nothing else."
    )


def _judge_weights(weights: _Array, step: _Step) -> None:
    if _equal(weights, step.new_weights):
        return
    old, rate, velocity = step.weights, step.rate, step.new_velocity
    wrong = {
        "The velocity is right, but you add the step; subtract it.": old + rate * velocity,
        "The velocity is right, but the weights move by all of it: where is the learning rate?": old - velocity,
        "The velocity is right, but the weights do not move.": old,
        "Your weights move by the old velocity: take the new one, which knows this gradient.": (
            old - rate * step.velocity
        ),
        "Your weights move by the gradient alone: the velocity is computed, but it does not move them.": (
            old - rate * step.gradient
        ),
        "That is Nesterov's step, which looks one velocity ahead. Here the plain one is asked.": (
            old - rate * (step.gradient + step.momentum * velocity)
        ),
        "The gradient moves your weights twice: it is in the velocity already.": (
            old - rate * (velocity + step.gradient)
        ),
        "Momentum scales your velocity once more where the weights move; it has done its work before.": (
            old - rate * step.momentum * velocity
        ),
    }
    raise NotYet(
        known_mistake(weights, wrong, _equal)
        or f"The new velocity is right, the new weights are not: off by up to "
        f"{np.abs(weights - step.new_weights).max():.2g} at rate {rate:g}. They come from the old weights, the rate "
        "and the new velocity."
    )


def _equal(one: _Array, other: _Array) -> bool:
    return bool(np.allclose(one, other, rtol=1e-5, atol=1e-6))  # float32 is as right


EXERCISE = Exercise(
    id="02-step",
    title="One step, by hand",
    kind="function",
    level="core",
    hints=(
        "There are two updates, and their order matters: which of the two needs the result of the other?",
        "First the velocity: the old one, faded by momentum, and the gradient on top, in full. The learning rate "
        "has no part in it.",
        "Then the weights go *against* the new velocity, scaled by the rate. Make new tensors by plain arithmetic, "
        "not with `+=`, and give back both.",
    ),
    learned="An optimizer is two lines of arithmetic; the velocity is its memory, and it is carried between steps.",
    check=_check_step,
)
