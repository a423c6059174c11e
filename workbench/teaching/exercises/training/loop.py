"""02-loop: a training loop that learns wrongly without an error."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.teaching.exercises.answers import call, function_of, is_close, is_same, known_mistake, number_of
from workbench.teaching.exercises.exercise import Exercise, NotYet, Unanswered

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer


_Batches = list[tuple["Tensor", "Tensor"]]
_RIGHT_ORDER = ("zero", "forward", "backward", "step")


def _check_loop(answer: object) -> None:
    loop = function_of(answer, "mended")
    for kind, count in (("sgd", 4), ("adamw", 5), ("sgd", 1)):
        _judge_loop(loop, kind, count)


def _judge_loop(loop: Callable[..., Any], kind: str, count: int) -> None:
    from torch.nn.functional import cross_entropy

    batches, (model, optimizer) = _batches(count), _beginner(kind)
    given = deepcopy(batches)
    shown_as, losses = "a small network, cross_entropy, its optimizer, a list of batches", None
    try:
        losses = call(loop, model, cross_entropy, optimizer, given, shown_as=shown_as)
    except Unanswered:
        if _same(_weights(model), _weights(_beginner(kind)[0])):
            raise
    except NotYet as mistake:
        if "inplace operation" not in str(mistake):
            raise
        raise NotYet(
            "Your step changes the weights between a forward pass and its backward pass, which still needs the old "
            "ones; PyTorch refuses that. Take the step after the backward pass."
        ) from None
    if not is_same(given, batches):
        raise NotYet("Your loop changes the batches passed to it: only the weights should change.")
    expected, expected_losses = _trained(kind, batches, *_RIGHT_ORDER)
    found = _weights(model)
    if not _same(found, expected):
        raise NotYet(_why_not_trained(found, kind, batches))
    _judge_losses(losses, expected_losses)


def _why_not_trained(found: NDArray[Any], kind: str, batches: _Batches) -> str:
    if _same(found, _weights(_beginner(kind)[0])):
        return (
            "No weight has moved: either no step is taken, or there is no gradient when it is. Is the gradient "
            "computed, in time, and not cleared before the step?"
        )
    orders = {
        "That is the original loop: both faults are still in it.": ("step", "forward", "backward"),
        "One fault is fixed: each step now follows the gradient of its own batch. But the gradients of all earlier "
        "batches are added to it, so the steps grow.": ("forward", "backward", "step"),
        "One fault is fixed: gradients no longer accumulate. But each step uses the gradient of the *previous* batch, "
        "and nothing is learned from the last one.": ("step", "zero", "forward", "backward"),
        "Each batch moves the weights twice.": (*_RIGHT_ORDER, "step"),
    }
    wrong = {hint: _trained(kind, batches, *order)[0] for hint, order in orders.items()}
    if hint := known_mistake(found, wrong, _same):
        return hint
    if _same(found, _trained(kind, batches[:1], *_RIGHT_ORDER)[0]):
        return "Only the first batch was used: is your return inside the loop?"
    return (
        f"After {len(batches)} batches the weights are not those of a correct loop. Use the model, the optimizer and "
        "the batches as they are passed, each batch once; change only the order and add what is missing."
    )


def _judge_losses(losses: Any, expected: list[float]) -> None:
    if not isinstance(losses, tuple | list) or len(losses) != len(expected):
        raise NotYet("It learns correctly now. Return the list of losses, too, one for each batch, as before.")
    found = [number_of(loss, "a loss") for loss in losses]
    if not all(is_close(one, other, 1e-9) for one, other in zip(found, expected, strict=True)):
        raise NotYet(
            "It learns correctly, but these are not the losses of the batches: record the loss that the gradient is "
            "computed from."
        )


def _batches(count: int) -> _Batches:
    import torch

    draw = torch.Generator().manual_seed(count)
    sizes = [6] * (count - 1) + [3]  # the last batch is a smaller remainder
    return [
        (
            torch.randn(size, 5, generator=draw, dtype=torch.float64),
            torch.randint(3, (size,), generator=draw),
        )
        for size in sizes
    ]


def _beginner(kind: str) -> tuple[nn.Module, Optimizer]:
    """A network, always with the same initial weights, and a new optimizer for it."""
    import torch

    model = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.Tanh(), torch.nn.Linear(4, 3)).double()
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weights in model.parameters():
            weights.copy_(torch.randn(weights.shape, generator=draw, dtype=torch.float64))
    if kind == "adamw":
        return model, torch.optim.AdamW(model.parameters(), lr=0.01)
    return model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def _trained(kind: str, batches: _Batches, *order: str) -> tuple[NDArray[Any], list[float]]:
    """The weights and losses after a loop that takes these steps, in this order, for each batch."""
    from torch.nn.functional import cross_entropy

    model, optimizer = _beginner(kind)
    losses = []
    for images, labels in batches:
        for part in order:
            if part == "forward":
                loss = cross_entropy(model(images), labels)
                losses.append(loss.item())
            elif part == "backward":
                loss.backward()
            elif part == "step":
                optimizer.step()
            else:
                optimizer.zero_grad()
    return _weights(model), losses


def _weights(model: nn.Module) -> NDArray[Any]:
    return np.concatenate([weights.detach().numpy().ravel() for weights in model.parameters()])


def _same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return bool(np.allclose(one, other, rtol=1e-9, atol=1e-11))  # the loop gets float64


EXERCISE = Exercise(
    id="02-loop",
    title="A loop that learns wrongly, and says nothing",
    kind="fix",
    level="core",
    hints=(
        "Go through it with the second batch in mind: what do the gradients hold when the step is taken?",
        "One fault is a wrong order, the other a missing call. The bare loop of the lesson has both right.",
        "The gradient must be computed before it is used, and cleared before the next one is computed: `backward` "
        "adds to what is there. The optimizer has a method for clearing it.",
    ),
    learned="Backward, step, and gradients cleared for each batch: no error tells you when one is missing.",
    check=_check_loop,
)
