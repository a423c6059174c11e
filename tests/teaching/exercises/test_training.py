"""Wrong and right answers to lesson 02."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import count, takewhile
from typing import Any

import numpy as np
import pytest
import torch
from teaching.exercises.solved import mistakes, right_answers

from workbench.hyperparameters import HyperParameters
from workbench.modelling.cost import cost_of
from workbench.teaching.exercises.checking import check
from workbench.teaching.exercises.training.activations import _costs


def step(
    grown: Callable[[Any, Any, float, float], Any] = lambda v, g, rate, m: m * v + g,
    move: Callable[[Any, Any, Any, float, float], Any] = lambda v, g, old, rate, m: rate * v,
) -> Callable[..., Any]:
    """An answer to 02-step: the new velocity from (velocity, gradient, rate, momentum), and what the weights lose."""

    def answer(weights: Any, gradient: Any, velocity: Any, rate: float, momentum: float) -> Any:
        new = grown(velocity, gradient, rate, momentum)
        return weights - move(new, gradient, velocity, rate, momentum), new

    return answer


def in_place(weights: Any, gradient: Any, velocity: Any, rate: float, momentum: float) -> Any:
    velocity *= momentum
    velocity += gradient
    weights -= rate * velocity
    return weights, velocity


def weights_in_place(weights: Any, gradient: Any, velocity: Any, rate: float, momentum: float) -> Any:
    velocity = momentum * velocity + gradient
    weights -= rate * velocity
    return weights, velocity


def swapped(*given: Any) -> Any:
    weights, velocity = step()(*given)
    return velocity, weights


def as_numbers(weights: Any, gradient: Any, velocity: Any, rate: float, momentum: float) -> Any:
    new = momentum * velocity.numpy() + gradient.numpy()
    return np.subtract(weights.numpy(), rate * new), new.tolist()


def by_torch(weights: Any, gradient: Any, velocity: Any, rate: float, momentum: float) -> Any:
    new = torch.add(gradient, velocity, alpha=momentum)
    return torch.nn.Parameter(torch.sub(weights, new, alpha=rate)), new


def loop(*order: str, before: str = "", first_only: bool = False) -> Callable[..., Any]:
    """An answer to 02-loop that does these things, in this order, with each batch."""

    def answer(model: Any, loss_of: Any, optimizer: Any, batches: Any) -> Any:
        if before:
            optimizer.zero_grad()
        losses = []
        for images, labels in batches[:1] if first_only else batches:
            for part in order:
                if part == "forward":
                    losses.append(loss_of(model(images), labels))
                elif part == "backward":
                    losses[-1].backward()
                else:
                    (optimizer.step if part == "step" else optimizer.zero_grad)()
        return [loss.item() for loss in losses]

    return answer


RIGHT_LOOP = loop("zero", "forward", "backward", "step")


def returning(change: Callable[[list[float]], Any]) -> Callable[..., Any]:
    return lambda *given: change(RIGHT_LOOP(*given))


def emptied(model: Any, loss_of: Any, optimizer: Any, batches: Any) -> Any:
    losses = RIGHT_LOOP(model, loss_of, optimizer, batches)
    batches.clear()
    return losses


def optimizer_of_its_own(model: Any, loss_of: Any, optimizer: Any, batches: Any) -> Any:
    return RIGHT_LOOP(model, loss_of, torch.optim.SGD(model.parameters(), lr=0.01), batches)


def without_an_optimizers_help(model: Any, loss_of: Any, optimizer: Any, batches: Any) -> Any:
    losses = []
    for images, labels in batches:
        for weights in model.parameters():
            weights.grad = None
        losses.append(loss_of(model(images), labels))
        losses[-1].backward()
        optimizer.step()
    return tuple(losses)


def fall(share: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * share))


def rate(
    rise: Callable[[float, float, float], float] = lambda step, steps, top: 0.04 + 0.96 * step / top,
    descent: Callable[[float, float, float], float] = lambda step, steps, top: fall((step - top) / (steps - top)),
) -> Callable[..., Any]:
    """An answer to 02-schedule: the share of the peak, from (step, steps, steps / 4), in either case."""
    return lambda step, steps, peak: peak * (rise if step < steps / 4 else descent)(step, steps, steps / 4)


def by_interpolation(step: int, steps: int, peak: float) -> Any:
    top = 0.25 * steps
    angle = torch.tensor(math.pi * (step - top) / (steps - top), dtype=torch.float64)
    return torch.tensor(np.interp(step, [0, top], [peak / 25, peak])) if step <= top else peak * (angle / 2).cos() ** 2


def batch(formula: Callable[[Any, int, int], Any]) -> Callable[..., Any]:
    """An answer to 02-activations, from the cost of one, the bytes of one more, and the memory."""
    return lambda cost, memory: formula(cost(1), cost(2).activation_bytes - cost(1).activation_bytes, memory)


def fixed(one: Any) -> int:
    return int(one.weight_bytes + one.gradient_bytes + one.optimizer_bytes)


def right_batch(cost: Any, memory: int) -> int:
    one, each = cost(1).training_bytes, cost(2).training_bytes - cost(1).training_bytes
    return max(0, 1 + (memory - one) // each)


def by_trying(cost: Any, memory: int) -> int:
    return sum(1 for _ in takewhile(lambda size: cost(size).training_bytes <= memory, count(1)))


def by_halving(cost: Any, memory: int) -> float:
    low, high = 0, 65_537
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if cost(middle).training_bytes <= memory else (low, middle)
    return float(low)


def without_the_edge(cost: Any, memory: int) -> int:
    return sum(1 for _ in takewhile(lambda size: cost(size).training_bytes < memory, count(1)))


def none_for_none(cost: Any, memory: int) -> int | None:
    return right_batch(cost, memory) or None


def one_for_none(cost: Any, memory: int) -> int:
    return max(1, right_batch(cost, memory))


def fewer_than_none(cost: Any, memory: int) -> int:
    one, each = cost(1).training_bytes, cost(2).training_bytes - cost(1).training_bytes
    return int(1 + (memory - one) // each)


WRONG: list[tuple[str, Any, str]] = [
    ("02-optimizer", (1, 1, 0), "SGD with momentum. Did you count AdamW's"),
    ("02-optimizer", (1, 3, 0), "gradients are not part of the state"),
    ("02-optimizer", (1, 4, 0), "Count the state alone"),
    ("02-optimizer", (1, 0, 0), "before its first step"),
    ("02-optimizer", (1, 0.5, 0), "upside down"),
    ("02-optimizer", (1, 200, 0), "in percent"),
    ("02-optimizer", (1, 758_096, 0), "looks like bytes"),
    ("02-optimizer", (1, 2.67, 0), "counts its steps"),
    ("02-optimizer", (1, 7, 0), "what it remembers of earlier steps"),
    ("02-optimizer", (1, -2, 0), "cannot be negative"),
    ("02-optimizer", (1, 0, 2), "swapped"),
    ("02-optimizer", (1, 2, 1), "SGD *with* momentum"),
    ("02-optimizer", (1, 2, 0.5), "what does a step need to know"),
    ("02-optimizer", (1, 2), "Give 3 things"),
    ("02-optimizer", (1, "two", 0), "is not a number"),
    ("02-step", step(move=lambda v, g, old, rate, m: -rate * v), "you add the step; subtract it"),
    ("02-step", step(lambda v, g, rate, m: g), "the gradient alone: nothing is left"),
    ("02-step", step(lambda v, g, rate, m: m * v + rate * g), "learning rate is applied twice"),
    (
        "02-step",
        step(lambda v, g, rate, m: m * v + rate * g, lambda v, g, old, rate, m: v),
        "Your velocity includes the learning rate",
    ),
    (
        "02-step",
        step(lambda v, g, rate, m: m * v - rate * g, lambda v, g, old, rate, m: -v),
        "Your velocity includes the learning rate",
    ),
    ("02-step", step(lambda v, g, rate, m: m * v + (1 - m) * g), "You average the old and the new"),
    ("02-step", step(lambda v, g, rate, m: v + g), "never decays"),
    ("02-step", step(lambda v, g, rate, m: m * (v + g)), "scale the new gradient by momentum, too"),
    ("02-step", step(lambda v, g, rate, m: v + m * g), "scales the wrong term"),
    ("02-step", step(lambda v, g, rate, m: m * v - g), "subtract the gradient from your velocity"),
    ("02-step", step(lambda v, g, rate, m: v), "return the old velocity unchanged"),
    ("02-step", lambda w, g, v, rate, m: (w - rate * (m * v + g), 0 * v), "a velocity of zero"),
    ("02-step", step(lambda v, g, rate, m: m * v + 3 * g), "The new velocity is not PyTorch's"),
    ("02-step", step(move=lambda v, g, old, rate, m: v), "where is the learning rate"),
    ("02-step", step(move=lambda v, g, old, rate, m: 0), "the weights do not move"),
    ("02-step", step(move=lambda v, g, old, rate, m: rate * old), "move by the old velocity"),
    ("02-step", step(move=lambda v, g, old, rate, m: rate * g), "move by the gradient alone"),
    ("02-step", step(move=lambda v, g, old, rate, m: rate * (g + m * v)), "Nesterov"),
    ("02-step", step(move=lambda v, g, old, rate, m: rate * (g + v)), "moves your weights twice"),
    ("02-step", step(move=lambda v, g, old, rate, m: rate * m * v), "Momentum scales your velocity once more"),
    ("02-step", step(move=lambda v, g, old, rate, m: rate * v / 2), "the new weights are not"),
    ("02-step", in_place, "changes the weights"),
    ("02-step", weights_in_place, "changes the weights"),
    ("02-step", lambda w, g, v, rate, m: (w - rate * v.mul_(m).add_(g), v), "changes the velocity"),
    ("02-step", swapped, "swapped"),
    ("02-step", lambda *given: step()(*given)[0], "Give 2 things"),
    ("02-step", lambda *given: (given[0].sum(), given[2]), "new weights is ()"),
    ("02-step", lambda *given: ("a", "b"), "tensors (or arrays) of numbers"),
    ("02-step", lambda *given: (given[0] * 1j, given[0]), "tensors (or arrays) of numbers"),
    ("02-step", lambda *given: (given[0] * math.nan, step()(*given)[1]), "the new weights are not"),
    ("02-step", lambda weights, gradient: weights, "raises TypeError"),
    ("02-step", torch.zeros(3), "cannot be called"),
    ("02-loop", loop("step", "forward", "backward"), "both faults are still in it"),
    ("02-loop", loop("forward", "backward", "step"), "of all earlier batches"),
    ("02-loop", loop("forward", "backward", "step", before="zero"), "of all earlier batches"),
    ("02-loop", loop("step", "zero", "forward", "backward"), "the gradient of the *previous* batch"),
    ("02-loop", loop("step", "forward", "zero", "backward"), "the gradient of the *previous* batch"),
    ("02-loop", loop("forward", "step", "zero", "backward"), "between a forward pass and its backward pass"),
    ("02-loop", loop("zero", "step", "forward", "backward"), "No weight has moved"),
    ("02-loop", loop("zero", "forward", "backward"), "no step is taken"),
    ("02-loop", loop("zero", "forward", "step"), "Is the gradient computed"),
    ("02-loop", returning(lambda losses: None), "It learns correctly now. Return the list of losses"),
    ("02-loop", loop("step", "forward", "backward", "zero"), "No weight has moved"),
    ("02-loop", loop("forward", "backward", "zero", "step"), "No weight has moved"),
    ("02-loop", loop("zero", "forward", "backward", "step", "step"), "moves the weights twice"),
    ("02-loop", loop("zero", "forward", "backward", "step", first_only=True), "Only the first batch"),
    ("02-loop", optimizer_of_its_own, "not those of a correct loop"),
    ("02-loop", emptied, "changes the batches"),
    ("02-loop", returning(sum), "Return the list of losses"),
    ("02-loop", returning(lambda losses: losses[-1:]), "Return the list of losses"),
    ("02-loop", returning(lambda losses: losses[::-1]), "not the losses of the batches"),
    ("02-loop", returning(lambda losses: ["x"] * len(losses)), "is not a number"),
    ("02-loop", lambda model: model, "raises TypeError"),
    ("02-loop", [1.0, 2.0], "cannot be called"),
    ("02-schedule", rate(lambda step, steps, top: step / top), "starts from zero"),
    ("02-schedule", rate(lambda step, steps, top: 0.04 + step / top), "passes the peak"),
    ("02-schedule", rate(lambda step, steps, top: 0.04), "it should climb"),
    ("02-schedule", lambda step, steps, peak: peak, "where is the rise"),
    ("02-schedule", lambda step, steps, peak: peak * fall(step / steps), "a cosine without the rise"),
    ("02-schedule", rate(lambda step, steps, top: 0.04 + 0.96 * step / steps), "over the whole run"),
    ("02-schedule", rate(lambda step, steps, top: 0.04 + 0.96 * (step + 1) / top), "counts the steps from one"),
    ("02-schedule", rate(lambda step, steps, top: 1 - 0.96 * fall(step / top)), "should rise in a straight line"),
    ("02-schedule", rate(lambda step, steps, top: 0.04 + 0.96 * step / (steps // 4)), "rounded to a whole step"),
    ("02-schedule", rate(lambda step, steps, top: (step / top) ** 2), "not right while it rises"),
    ("02-schedule", lambda step, steps, peak: rate()(step, steps, 1), "the share of the peak"),
    (
        "02-schedule",
        rate(descent=lambda step, steps, top: 1 - (step - top) / (steps - top)),
        "in a straight line: it should fall along half",
    ),
    ("02-schedule", rate(descent=lambda step, steps, top: fall(step / steps)), "begins at step 0 of the run"),
    ("02-schedule", rate(descent=lambda step, steps, top: fall((step - top) / steps)), "stretched over all steps"),
    ("02-schedule", rate(descent=lambda step, steps, top: 2 * fall((step - top) / (steps - top))), "twice the peak"),
    (
        "02-schedule",
        rate(descent=lambda step, steps, top: math.cos(math.pi * (step - top) / (steps - top))),
        "goes below zero",
    ),
    (
        "02-schedule",
        rate(descent=lambda step, steps, top: math.cos(math.pi / 2 * (step - top) / (steps - top))),
        "a quarter of a wave",
    ),
    (
        "02-schedule",
        rate(descent=lambda step, steps, top: 0.5 * (1 + math.cos((step - top) / (steps - top)))),
        "not 1 there",
    ),
    (
        "02-schedule",
        rate(descent=lambda step, steps, top: 0.5 * (1 + math.cos(180 * (step - top) / (steps - top)))),
        "not 180 there",
    ),
    ("02-schedule", rate(descent=lambda step, steps, top: 1), "stays at the peak"),
    ("02-schedule", rate(descent=lambda step, steps, top: 0.04 + 0.96 * step / top), "keeps climbing"),
    (
        "02-schedule",
        rate(descent=lambda step, steps, top: fall((step - top) / (steps - 1 - top))),
        "one step too early",
    ),
    (
        "02-schedule",
        rate(descent=lambda step, steps, top: 0.04 + 0.96 * fall((step - top) / (steps - top))),
        "stops above zero",
    ),
    (
        "02-schedule",
        rate(descent=lambda step, steps, top: fall((step - steps // 4) / (steps - steps // 4))),
        "rounded to a whole step",
    ),
    ("02-schedule", rate(descent=lambda step, steps, top: 0.5), "not right while it falls"),
    ("02-schedule", lambda step, steps, peak: "fast", "is not a number"),
    ("02-schedule", lambda step: step, "raises TypeError"),
    ("02-schedule", 0.4, "cannot be called"),
    ("02-activations", batch(lambda one, each, memory: memory // one.training_bytes), "came with its own weights"),
    ("02-activations", batch(lambda one, each, memory: memory // each), "count only the activations"),
    ("02-activations", batch(lambda one, each, memory: (memory - one.weight_bytes) // each), "the weights alone"),
    (
        "02-activations",
        batch(lambda one, each, memory: (memory - one.weight_bytes - one.gradient_bytes) // each),
        "forget the optimizer state",
    ),
    (
        "02-activations",
        batch(lambda one, each, memory: (memory - one.weight_bytes - one.optimizer_bytes) // each),
        "forget the gradients",
    ),
    (
        "02-activations",
        batch(lambda one, each, memory: (memory - one.weight_bytes) // one.working_bytes),
        "the batch size for inference",
    ),
    ("02-activations", batch(lambda one, each, memory: memory // one.inference_bytes), "the bytes of inference"),
    (
        "02-activations",
        batch(lambda one, each, memory: max(0, (memory - fixed(one)) // one.activation_bytes)),
        "A little too few",
    ),
    (
        "02-activations",
        batch(
            lambda one, each, memory: (
                (memory - fixed(one)) // (one.working_bytes if one.parameters < 500_000 else one.activation_bytes)
            )
        ),
        "working memory of inference for each image",
    ),
    ("02-activations", lambda cost, memory: right_batch(cost, memory) + 1, "One too many"),
    ("02-activations", batch(lambda one, each, memory: max(0, (memory - fixed(one)) // each)), "One too many"),
    ("02-activations", without_the_edge, "exactly the memory available"),
    ("02-activations", lambda cost, memory: 2 ** int(math.log2(right_batch(cost, memory))), "power of two"),
    ("02-activations", lambda cost, memory: right_batch(cost, memory) + 0.5, "a whole number of images"),
    ("02-activations", lambda cost, memory: 150, "Training on 150 takes"),
    ("02-activations", lambda cost, memory: memory, "Such a batch does not fit"),
    ("02-activations", none_for_none, "returns nothing"),
    ("02-activations", one_for_none, "but one alone takes"),
    ("02-activations", fewer_than_none, "cannot be smaller than 0"),
    ("02-activations", lambda cost, memory: cost(memory), "must be a whole number from 1 to 65,536"),
    ("02-activations", lambda cost, memory: "all", "is not a number"),
    ("02-activations", 128, "cannot be called"),
]

RIGHT: list[tuple[str, Any]] = [
    ("02-optimizer", (100, 758_096 / 380_864, 0)),
    ("02-optimizer", [np.float32(0.1), torch.tensor(2.02), np.int64(0)]),
    ("02-step", as_numbers),
    ("02-step", by_torch),
    ("02-loop", loop("forward", "backward", "step", "zero")),
    ("02-loop", loop("forward", "zero", "backward", "step")),
    ("02-loop", without_an_optimizers_help),
    ("02-schedule", by_interpolation),
    ("02-activations", by_trying),
    ("02-activations", by_halving),
]


test_each_mistake_gets_the_hint_that_fits_it = mistakes(WRONG)


test_a_different_right_answer_passes = right_answers(RIGHT)


@pytest.mark.parametrize(
    ("id", "answer"),
    [
        ("02-optimizer", (1, None, 0)),
        ("02-step", lambda *given: (None, given[2])),
        ("02-activations", lambda cost, memory: None),
    ],
)
def test_half_an_answer_is_not_answered_yet(id: str, answer: Any) -> None:
    assert check(id, answer).state == "not answered yet"


def test_the_state_of_a_real_optimizer_is_a_right_answer() -> None:
    model = torch.nn.Linear(64, 64)
    found = []
    for optimizer in (torch.optim.AdamW(model.parameters()), torch.optim.SGD(model.parameters(), lr=0.1)):
        model(torch.ones(1, 64)).sum().backward()
        optimizer.step()
        kept = [value for each in optimizer.state.values() for value in each.values() if value is not None]
        found.append(sum(value.nbytes for value in kept) / sum(value.nbytes for value in model.parameters()))
    assert check("02-optimizer", (1, *found)).passed


@pytest.mark.parametrize(("model", "optimizer"), [("mlp", "adamw"), ("convnet", "sgd")])
def test_the_fast_costs_equal_those_of_cost_of(model: str, optimizer: str) -> None:
    for size in (1, 3, 130):
        settings = HyperParameters(model=model, optimizer=optimizer, batch_size=size)
        assert _costs(model, optimizer)(size) == cost_of(settings, images=65_536)


def test_checking_does_not_change_the_random_state() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    for id in ("02-step", "02-loop", "02-schedule", "02-activations"):
        check(id, lambda *given: given)
    assert torch.equal(torch.rand(3), expected)
