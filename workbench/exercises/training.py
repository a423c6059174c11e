"""Lesson 02: what a step keeps, how it moves the weights, in which order, how far, and what fits into a memory."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from workbench.exercises.exercise import (
    Exercise,
    NotYet,
    Unanswered,
    called,
    function_of,
    is_close,
    number_of,
    parts_of,
)

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer

    from workbench.cost import Cost

_Batches = list[tuple["Tensor", "Tensor"]]


def _check_optimizer(answer: object) -> None:
    guess, adamw, plain = parts_of(answer, "guess", "adamw", "plain")
    if number_of(guess, "guess") <= 0:
        raise NotYet("Guess a figure above zero for AdamW: how many bytes of state for each byte of the weights?")
    _judge_states(number_of(adamw, "adamw"), number_of(plain, "plain"))


def _judge_states(adamw: float, plain: float) -> None:
    """Compare with what the cost model counts; buffers and step counters leave a few hundredths of play."""
    kept, none = _state_factor("adamw", 0.9), _state_factor("sgd", 0.0)
    with_momentum = _state_factor("sgd", 0.9)
    if is_close(plain, kept, 0.05) and adamw < kept / 2:
        raise NotYet("Your two figures seem to have changed places: adamw comes first, then plain.")
    if not is_close(adamw, kept, 0.05):
        raise NotYet(f"adamw = {adamw:g}: " + _why_not_adamw(adamw, kept))
    if abs(plain - none) < 0.01:
        return
    if is_close(plain, with_momentum, 0.05):
        raise NotYet(
            f"plain = {plain:g}: that is SGD *with* momentum, which remembers one number for each weight. The "
            "workbench's SGD has momentum unless you say how much."
        )
    raise NotYet(f"plain = {plain:g}: without momentum, what does a step have to know of the steps before it?")


@cache
def _state_factor(optimizer: str, momentum: float) -> float:
    from workbench.cost import cost_of
    from workbench.hyperparameters import HyperParameters

    cost = cost_of(HyperParameters(model="linear", optimizer=optimizer, momentum=momentum, batch_size=1))
    return cost.optimizer_bytes / cost.weight_bytes


def _why_not_adamw(found: float, kept: float) -> str:
    if found < 0:
        return "bytes are not negative."
    if found == 0:
        return "before its first step an optimizer has remembered nothing. Let it take one, then count."
    if found > 1000:
        return "that looks like bytes. Divide them by the bytes of the weights."
    wrong = {
        "that is what one number for each weight takes: SGD with momentum. Did you count AdamW's?": 1,
        "that is one too many: the gradients are no part of the state, for every optimizer gets them anew.": kept + 1,
        "that is all that does not grow with the batch, weights and gradients among it. Count the state alone.": (
            kept + 2
        ),
        "that is upside down: bytes of the state for each byte of the weights, not the other way.": 1 / kept,
        "that is in percent. Give it as a factor.": 100 * kept,
    }
    for words, value in wrong.items():
        if is_close(found, value, 0.03):
            return words
    if kept < found < kept + 1:
        return "a little much. AdamW also counts its steps, once for each tensor: in a larger network that vanishes."
    return "count what it remembers of earlier steps, in bytes, and divide it by the bytes of the weights."


class _Step(NamedTuple):
    """One step of SGD: what it starts from, and where PyTorch ends."""

    weights: np.ndarray[Any, Any]
    gradient: np.ndarray[Any, Any]
    velocity: np.ndarray[Any, Any]
    rate: float
    momentum: float
    new_weights: np.ndarray[Any, Any]
    new_velocity: np.ndarray[Any, Any]


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


def _step_of(function: Callable[..., Any], step: _Step) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
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


def _array(part: Any) -> np.ndarray[Any, Any]:
    import torch

    try:
        array = np.asarray(part.detach().cpu() if torch.is_tensor(part) else part)
        return array.astype(np.float64, casting="same_kind" if array.dtype.kind == "c" else "unsafe")
    except (TypeError, ValueError):
        raise NotYet("Give back tensors (or arrays) of numbers: the new weights, the new velocity.") from None


def _judge_velocity(weights: np.ndarray[Any, Any], velocity: np.ndarray[Any, Any], step: _Step) -> None:
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
    for words, value in wrong.items():
        if _equal(velocity, value):
            raise NotYet(words)
    raise NotYet(
        f"The new velocity is not PyTorch's: off by up to {np.abs(velocity - step.new_velocity).max():.2g} at momentum "
        f"{momentum:g}. It is made of the old velocity, momentum and the gradient, and of nothing else."
    )


def _judge_weights(weights: np.ndarray[Any, Any], step: _Step) -> None:
    if _equal(weights, step.new_weights):
        return
    old, rate, velocity = step.weights, step.rate, step.new_velocity
    wrong = {
        "The velocity is right, but your weights climb: the loss is to fall.": old + rate * velocity,
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
    for words, value in wrong.items():
        if _equal(weights, value):
            raise NotYet(words)
    raise NotYet(
        f"The new velocity is right, the new weights are not: off by up to "
        f"{np.abs(weights - step.new_weights).max():.2g} at rate {rate:g}. They come from the old weights, the rate "
        "and the new velocity."
    )


def _equal(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    return bool(np.allclose(one, other, rtol=1e-5, atol=1e-6))  # float32 is as right


def _same(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    return bool(np.allclose(one, other, rtol=1e-9, atol=1e-11))  # the loop is handed float64


_RIGHT_ORDER = ("zero", "forward", "backward", "step")


def _check_loop(answer: object) -> None:
    import torch

    loop = function_of(answer, "mended")
    with torch.enable_grad():
        for kind, count in (("sgd", 4), ("adamw", 5), ("sgd", 1)):
            _judge_loop(loop, kind, count)


def _judge_loop(loop: Callable[..., Any], kind: str, count: int) -> None:
    import torch
    from torch.nn.functional import cross_entropy

    batches, (model, optimizer) = _batches(count), _beginner(kind)
    given = [(pictures.clone(), labels.clone()) for pictures, labels in batches]
    told = "a small network, cross_entropy, its optimizer, a list of batches"
    try:
        losses = called(loop, model, cross_entropy, optimizer, given, told=told)
    except NotYet as mistake:
        if "inplace operation" not in str(mistake):
            raise
        raise NotYet(
            "Your step moves the weights between a forward pass and the backward pass that still needs them as they "
            "were; PyTorch refuses that. The step comes when this batch has said all it knows."
        ) from None
    same = len(given) == count and all(
        torch.equal(one, other)
        for pair, copy in zip(batches, given, strict=True)
        for one, other in zip(pair, copy, strict=True)
    )
    if not same:
        raise NotYet("Your loop changes the batches that it is given: only the weights should change.")
    expected, wanted = _trained(kind, batches, *_RIGHT_ORDER)
    found = _weights(model)
    if not _same(found, expected):
        raise NotYet(_why_not_trained(found, kind, batches))
    _judge_losses(losses, wanted)


def _why_not_trained(found: np.ndarray[Any, Any], kind: str, batches: _Batches) -> str:
    if _same(found, _weights(_beginner(kind)[0])):
        return (
            "No weight has moved: whenever your optimizer takes its step, there is no gradient. Is it computed too "
            "late, or wiped out too early?"
        )
    wrong = {
        "That is the loop as it was: both faults are still in it.": ("step", "forward", "backward"),
        "One fault is mended: each step now follows the gradient of its own batch. But to that are added the gradients "
        "of all batches before, so the steps grow.": ("forward", "backward", "step"),
        "One fault is mended: gradients no longer pile up. But each step uses the gradient of the batch *before*, and "
        "the last batch teaches nothing.": ("step", "zero", "forward", "backward"),
        "Each batch moves the weights twice.": (*_RIGHT_ORDER, "step"),
    }
    for words, order in wrong.items():
        if _same(found, _trained(kind, batches, *order)[0]):
            return words
    if _same(found, _trained(kind, batches[:1], *_RIGHT_ORDER)[0]):
        return "Only the first batch was learned from: does your return stand inside the loop?"
    return (
        f"After {len(batches)} batches the weights are not those of a right loop. Use the model, the optimizer and the "
        "batches as they are handed over, each batch once, and change nothing but the order and what is missing."
    )


def _judge_losses(losses: Any, wanted: list[float]) -> None:
    if not isinstance(losses, tuple | list) or len(losses) != len(wanted):
        raise NotYet("It learns rightly now. Give back the list of losses, too, one for each batch, as before.")
    found = [number_of(loss, "a loss") for loss in losses]
    if not all(is_close(one, other, 1e-9) for one, other in zip(found, wanted, strict=True)):
        raise NotYet(
            "It learns rightly, but the losses are not those of each batch as it came: note the loss that the "
            "gradient came from."
        )


def _batches(count: int) -> _Batches:
    import torch

    draw = torch.Generator().manual_seed(count)
    sizes = [6] * (count - 1) + [3]  # the last batch is what was left over
    return [
        (
            torch.randn(size, 5, generator=draw, dtype=torch.float64),
            torch.randint(3, (size,), generator=draw),
        )
        for size in sizes
    ]


def _beginner(kind: str) -> tuple[nn.Module, Optimizer]:
    """Always the same first weights, and a new optimizer for them."""
    import torch

    with torch.random.fork_rng(devices=[]):
        model = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Tanh(), torch.nn.Linear(4, 3)).double()
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in model.parameters():
            weights.copy_(torch.randn(weights.shape, generator=draw, dtype=torch.float64))
    if kind == "adamw":
        return model, torch.optim.AdamW(model.parameters(), lr=0.01)
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def _trained(kind: str, batches: _Batches, *order: str) -> tuple[np.ndarray[Any, Any], list[float]]:
    """The weights and the losses of a loop that does these things, in this order, with each batch."""
    from torch.nn.functional import cross_entropy

    model, optimizer = _beginner(kind)
    losses = []
    for pictures, labels in batches:
        for part in order:
            if part == "forward":
                loss = cross_entropy(model(pictures), labels)
                losses.append(loss.item())
            elif part == "backward":
                loss.backward()
            elif part == "step":
                optimizer.step()
            else:
                optimizer.zero_grad()
    return _weights(model), losses


def _weights(model: nn.Module) -> np.ndarray[Any, Any]:
    return np.concatenate([weights.detach().numpy().ravel() for weights in model.parameters()])


def _check_schedule(answer: object) -> None:
    function = function_of(answer, "rate_at")
    for steps, peak in ((40, 0.4), (100, 2.5), (30, 0.1), (7, 1.0)):
        every = range(steps) if steps < 100 else range(0, steps, 7)
        found = [
            number_of(called(function, step, steps, peak), f"rate_at({step}, {steps}, {peak:g})") for step in every
        ]
        rising = [(step, rate) for step, rate in zip(every, found, strict=True) if step < steps / 4]
        falling = [(step, rate) for step, rate in zip(every, found, strict=True) if step >= steps / 4]
        _judge_rates(rising, steps, peak, _WRONG_RISES, "while it rises")
        _judge_rates(falling, steps, peak, _WRONG_FALLS, "while it falls")


def _right_rate(step: int, steps: int, peak: float) -> float:
    from workbench.hyperparameters import HyperParameters
    from workbench.optimization import learning_rate_at

    return learning_rate_at(step, steps, HyperParameters(learning_rate=peak, warmup=0.25, schedule="one-cycle"))


def _fall(share: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * share))


# Of the step, the steps and the last step of the rise: the share of the peak that a mistake would give.
_WRONG_RISES: dict[str, Callable[[float, float, float], float]] = {
    "It starts from zero: the first step would be lost. It should start from a 25th of the peak.": (
        lambda step, steps, top: step / top
    ),
    "A 25th is added to a rise that goes all the way: it then passes the peak. The rise is what is left up to it.": (
        lambda step, steps, top: 0.04 + step / top
    ),
    "It stays at a 25th of the peak: it should climb, step by step.": lambda step, steps, top: 0.04,
    "It is at the peak from the first step on: where is the rise?": lambda step, steps, top: 1.0,
    "It falls from the first step on: that is a cosine without the rise.": lambda step, steps, top: _fall(step / steps),
    "It climbs over the whole run, not over the first quarter.": lambda step, steps, top: 0.04 + 0.96 * step / steps,
    "It rises along a cosine: a straight line is asked.": lambda step, steps, top: 1 - 0.96 * _fall(step / top),
    "It counts the steps from one: the first step is step 0.": lambda step, steps, top: 0.04 + 0.96 * (step + 1) / top,
    "The quarter is rounded to a whole step: where steps is no multiple of four, it ends between two steps.": (
        lambda step, steps, top: 0.04 + 0.96 * step / int(top)
    ),
    "The quarter is rounded up to a whole step: where steps is no multiple of four, it ends between two steps.": (
        lambda step, steps, top: 0.04 + 0.96 * step / math.ceil(top)
    ),
}
_WRONG_FALLS: dict[str, Callable[[float, float, float], float]] = {
    "It falls in a straight line: half a cosine wave is asked, which leaves the peak slowly and lands slowly.": (
        lambda step, steps, top: 1 - (step - top) / (steps - top)
    ),
    "Your cosine begins at step 0 of the run, so that the rate jumps where the rise ends. It should begin there.": (
        lambda step, steps, top: _fall(step / steps)
    ),
    "Your cosine is stretched over all steps: it begins where the rise ends, but only the steps after it are left.": (
        lambda step, steps, top: _fall((step - top) / steps)
    ),
    "Where the rise ends, it is at twice the peak: a cosine goes from 1 to -1, and the rate from the peak to zero.": (
        lambda step, steps, top: 2 * _fall((step - top) / (steps - top))
    ),
    "It goes below zero: a cosine goes from 1 to -1, and the rate from the peak to zero.": (
        lambda step, steps, top: 2 * _fall((step - top) / (steps - top)) - 1
    ),
    "That is a quarter of a wave, which hits zero steeply: half a wave lands slowly.": (
        lambda step, steps, top: math.cos(math.pi / 2 * (step - top) / (steps - top))
    ),
    "math.cos takes radians: half a wave is no 1 there.": (
        lambda step, steps, top: 0.5 * (1 + math.cos((step - top) / (steps - top)))
    ),
    "math.cos takes radians: half a wave is no 180 there.": (
        lambda step, steps, top: 0.5 * (1 + math.cos(180 * (step - top) / (steps - top)))
    ),
    "It never falls: after the first quarter it stays at the peak.": lambda step, steps, top: 1.0,
    "It goes on climbing after the first quarter.": lambda step, steps, top: 0.04 + 0.96 * step / top,
    "It reaches zero one step too early, so that the last step would move nothing.": (
        lambda step, steps, top: _fall((step - top) / (steps - 1 - top))
    ),
    "It stops above zero, at a 25th of the peak or the like: it should go all the way down.": (
        lambda step, steps, top: 0.04 + 0.96 * _fall((step - top) / (steps - top))
    ),
    "The quarter is rounded to a whole step: where steps is no multiple of four, it ends between two steps.": (
        lambda step, steps, top: _fall((step - int(top)) / (steps - int(top)))
    ),
    "The quarter is rounded up to a whole step: where steps is no multiple of four, it ends between two steps.": (
        lambda step, steps, top: _fall((step - math.ceil(top)) / (steps - math.ceil(top)))
    ),
}


def _judge_rates(
    found: list[tuple[int, float]],
    steps: int,
    peak: float,
    wrong: dict[str, Callable[[float, float, float], float]],
    when: str,
) -> None:
    right = {step: _right_rate(step, steps, peak) for step, _ in found}
    off = [(step, rate) for step, rate in found if abs(rate - right[step]) > 1e-6 * peak]
    if not off:
        return
    step, rate = off[0]
    told = f"Step {step} of {steps}, peak {peak:g}: you give {rate:.4g}. "
    if all(abs(rate - right[step] / peak) <= 1e-6 for step, rate in found):
        raise NotYet(told + "That is the share of the peak, not the rate.")
    for words, share in wrong.items():
        if all(abs(rate - peak * share(step, steps, steps / 4)) <= 1e-6 * peak for step, rate in found):
            raise NotYet(told + words)
    raise NotYet(
        f"{told}It is not right {when}. Draw it for all steps: a straight line up to the peak in the first quarter, "
        "then half a wave down."
    )


def _check_activations(answer: object) -> None:
    function = function_of(answer, "largest_batch")
    draw = random.Random(2)
    # Two large matrices with AdamW: what does not grow is most of the bytes, so that mistakes stand far apart.
    cost = _costs("mlp", "adamw")
    for size in (200, draw.randint(20, 90)):
        spare = (cost(size + 1).training_bytes - cost(size).training_bytes) // 2
        _judge_batch(function, cost, cost(size).training_bytes + spare, size)
    # Layers of kernels: batch norm keeps a little for each layer, whatever the batch. And the edges, to the byte.
    cost = _costs("convnet", "sgd")
    for size in (900, draw.randint(20, 90), 1):
        _judge_batch(function, cost, cost(size).training_bytes, size)
    size = draw.randint(20, 90)
    _judge_batch(function, cost, cost(size + 1).training_bytes - 1, size)
    for memory in (cost(1).training_bytes - 1, draw.randint(1, cost(1).weight_bytes)):
        _judge_none(function, cost, memory)


@cache
def _grows(model: str, optimizer: str) -> tuple[Cost, int]:
    """The cost of a batch of one, and the bytes by which each further picture adds to the activations."""
    from workbench.cost import cost_of
    from workbench.hyperparameters import HyperParameters

    settings = HyperParameters(model=model, optimizer=optimizer)
    one, two = (cost_of(settings.replace(batch_size=size), pictures=65_536) for size in (1, 2))
    return one, two.activation_bytes - one.activation_bytes


def _costs(model: str, optimizer: str) -> Callable[[Any], Cost]:
    """What cost_of says of any batch, without counting anew: an answer may then ask as often as it likes."""
    from workbench.batches import steps_per_epoch
    from workbench.hyperparameters import HyperParameters

    one, each = _grows(model, optimizer)

    def cost(batch: Any) -> Cost:
        size = HyperParameters(batch_size=batch).batch_size  # refuses what the real one refuses
        steps = steps_per_epoch(one.pictures, size)
        activations = one.activation_bytes + (size - 1) * each
        return replace(one, batch_size=size, activation_bytes=activations, steps_per_epoch=steps)

    return cost


def _judge_batch(function: Callable[..., Any], cost: Callable[[Any], Cost], memory: int, right: int) -> None:
    found = number_of(called(function, cost, memory, told=f"cost, {memory:,}"), "what it gives back")
    if found == right:
        return
    told = f"For a memory of {memory:,} bytes you give {found:,.10g}. "
    if found != int(found):
        raise NotYet(told + "A batch is a whole number of pictures: what does not fit whole does not fit.")
    raise NotYet(told + (_why_not_batch(int(found), cost, memory, right) or _beside(int(found), cost)))


def _why_not_batch(found: int, cost: Callable[[Any], Cost], memory: int, right: int) -> str:
    if found == right + 1:
        return f"One too many: training on {found} takes {cost(found).training_bytes:,} bytes."
    if found == right - 1 and cost(right).training_bytes == memory:
        return "One too few: one more takes exactly the memory there is, and that fits."
    for words, size in _wrong_batches(cost, memory).items():
        if found == size and abs(size - right) > 1:
            return words
    if found == 2 ** int(math.log2(right)):
        return "A power of two is a habit, not a need: more would fit."
    return ""


def _wrong_batches(cost: Callable[[Any], Cost], memory: int) -> dict[str, int]:
    """How many pictures a mistake would let in."""
    one, each = cost(1), cost(2).activation_bytes - cost(1).activation_bytes
    room = memory - one.weight_bytes
    left = room - one.gradient_bytes - one.optimizer_bytes
    return {
        "You divide by all the bytes of a batch of one, so each picture brings weights of its own. Which of the four "
        "parts grow with the batch?": memory // one.training_bytes,
        "That is what the activations alone would leave room for: the other three need theirs.": memory // each,
        "You leave room for the weights alone. What else does a step hold, whatever the batch?": room // each,
        "You forget the optimizer state: it takes its room, however small the batch.": (
            (left + one.optimizer_bytes) // each
        ),
        "You forget the gradients: they take their room, however small the batch.": (left + one.gradient_bytes) // each,
        "That is how many pictures could be answered: inference keeps no activations, training does.": (
            room // one.working_bytes
        ),
        "You divide by the bytes of inference. Learning holds more, and most of that does not grow with the batch.": (
            memory // one.inference_bytes
        ),
        "You count the working memory of inference for each picture; learning keeps activations instead.": (
            left // one.working_bytes
        ),
        "A little too few. The activations of a batch of one hold something that the next picture does not bring "
        "again: compare two batches to see how much one more picture adds.": left // one.activation_bytes,
    }


def _beside(found: int, cost: Callable[[Any], Cost]) -> str:
    """What can be said of any wrong size: what it would take."""
    if not 1 <= found <= 65_535:
        return "That is no batch that fits: ask cost what a batch that you give back would take."
    needs = [cost(size).training_bytes for size in (found, found + 1)]
    return f"Training on {found} takes {needs[0]:,} bytes, on one more {needs[1]:,}."


def _judge_none(function: Callable[..., Any], cost: Callable[[Any], Cost], memory: int) -> None:
    told = f"For a memory of {memory:,} bytes, into which not even one picture fits, "
    try:
        found = number_of(called(function, cost, memory, told=f"cost, {memory:,}"), "what it gives back")
    except Unanswered:
        raise NotYet(told + "your function gives nothing back: it should say how many, which is none.") from None
    if found < 0:
        raise NotYet(told + f"you give {found:,.10g}: fewer than none there cannot be.")
    if found > 0:
        raise NotYet(told + f"you give {found:,.10g}, but one alone takes {cost(1).training_bytes:,} bytes.")


EXERCISES = (
    Exercise(
        id="02-optimizer",
        title="What an optimizer remembers",
        kind="predict",
        level="warm-up",
        points=1,
        hints=(
            "What does each optimizer remember of the steps before? The lesson says it of AdamW and of momentum.",
            "What `wb.cost_of(settings)` gives back has `optimizer_bytes` and `weight_bytes`. The settings choose the "
            "`optimizer` and the `momentum`.",
            "Divide the one by the other for two settings: `optimizer` set to adamw, and to sgd with a momentum of "
            "zero. The momentum is not zero by itself.",
        ),
        learned="AdamW remembers two numbers for every weight, plain SGD none: an optimizer costs memory.",
        check=_check_optimizer,
    ),
    Exercise(
        id="02-step",
        title="One step, by hand",
        kind="function",
        level="core",
        points=2,
        hints=(
            "There are two updates, and their order matters: which of the two needs the result of the other?",
            "First the velocity: the old one, faded by momentum, and the gradient on top, in full. The learning rate "
            "has no part in it.",
            "Then the weights go *against* the new velocity, scaled by the rate. Make new tensors by plain arithmetic, "
            "not with `+=`, and give back both.",
        ),
        learned="An optimizer is two lines of arithmetic; the velocity is its memory, and it is carried between steps.",
        check=_check_step,
    ),
    Exercise(
        id="02-loop",
        title="A loop that learns wrongly, and says nothing",
        kind="mend",
        level="core",
        points=2,
        hints=(
            "Go through it with the second batch in mind: what do the gradients hold when the step is taken?",
            "One fault is an order, one is something that is missing. The bare loop of the lesson has both right.",
            "The gradient must be computed before it is used, and it must be gone before the next one is computed: "
            "`backward` adds to what is there. An optimizer has a method for that.",
        ),
        learned="Backward, step, and gradients cleared for each batch: no error tells you when one is missing.",
        check=_check_loop,
    ),
    Exercise(
        id="02-schedule",
        title="One cycle, written down",
        kind="function",
        level="core",
        points=2,
        hints=(
            "Two cases: in the first quarter a straight line, after it a cosine. Begin with the first, and draw it.",
            "In each case compute first which share of its own stretch is behind the step, from 0 to 1: of the rise, "
            "`steps / 4` steps long, or of all that comes after it.",
            "The rise goes from 0.04 to 1 by that share. For the fall, `math.cos` of pi times the share goes from 1 to "
            "-1: shift and halve it, so that it goes from 1 to 0. The peak scales both.",
        ),
        learned="A schedule is a formula of the step alone, so a run that is resumed finds its rate again.",
        check=_check_schedule,
    ),
    Exercise(
        id="02-activations",
        title="The largest batch that fits",
        kind="function",
        level="stretch",
        points=3,
        hints=(
            "Of the four things that a step holds, which grow with the batch? Compare `cost(1)` with `cost(2)`.",
            "`training_bytes` is a straight line over the batch size: what does it start from, and how much does each "
            "picture add? Or search: halve the range of batch sizes until one is left.",
            "What one more picture adds is the difference of two neighbouring batches. Take off what one picture "
            "needs, see how many whole differences fit into the rest, and count that picture, too. Mind a memory too "
            "small even for it.",
        ),
        learned="Weights, gradients and state are paid once, activations for every picture: that bounds the batch.",
        check=_check_activations,
    ),
)
