"""02-loop: a training loop that learns wrongly, and says nothing."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workbench.exercises.answers import called, function_of, is_close, is_same, known_mistake, number_of
from workbench.exercises.exercise import Exercise, NotYet, Unanswered

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.optim import Optimizer


_Batches = list[tuple["Tensor", "Tensor"]]
_RIGHT_ORDER = ("zero", "forward", "backward", "step")


def _check_loop(answer: object) -> None:
    import torch

    loop = function_of(answer, "mended")
    with torch.enable_grad():
        for kind, count in (("sgd", 4), ("adamw", 5), ("sgd", 1)):
            _judge_loop(loop, kind, count)


def _judge_loop(loop: Callable[..., Any], kind: str, count: int) -> None:
    from torch.nn.functional import cross_entropy

    batches, (model, optimizer) = _batches(count), _beginner(kind)
    given = deepcopy(batches)
    told, losses = "a small network, cross_entropy, its optimizer, a list of batches", None
    try:
        losses = called(loop, model, cross_entropy, optimizer, given, told=told)
    except Unanswered:
        if _same(_weights(model), _weights(_beginner(kind)[0])):
            raise
    except NotYet as mistake:
        if "inplace operation" not in str(mistake):
            raise
        raise NotYet(
            "Your step moves the weights between a forward pass and the backward pass that still needs them as they "
            "were; PyTorch refuses that. The step comes when this batch has said all it knows."
        ) from None
    if not is_same(given, batches):
        raise NotYet("Your loop changes the batches that it is given: only the weights should change.")
    expected, wanted = _trained(kind, batches, *_RIGHT_ORDER)
    found = _weights(model)
    if not _same(found, expected):
        raise NotYet(_why_not_trained(found, kind, batches))
    _judge_losses(losses, wanted)


def _why_not_trained(found: NDArray[Any], kind: str, batches: _Batches) -> str:
    if _same(found, _weights(_beginner(kind)[0])):
        return (
            "No weight has moved: no step is taken, or whenever one is, there is no gradient. Is it computed at all, "
            "and in time, and not wiped out before?"
        )
    orders = {
        "That is the loop as it was: both faults are still in it.": ("step", "forward", "backward"),
        "One fault is mended: each step now follows the gradient of its own batch. But to that are added the gradients "
        "of all batches before, so the steps grow.": ("forward", "backward", "step"),
        "One fault is mended: gradients no longer pile up. But each step uses the gradient of the batch *before*, and "
        "the last batch teaches nothing.": ("step", "zero", "forward", "backward"),
        "Each batch moves the weights twice.": (*_RIGHT_ORDER, "step"),
    }
    wrong = {words: _trained(kind, batches, *order)[0] for words, order in orders.items()}
    if words := known_mistake(found, wrong, _same):
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


def _trained(kind: str, batches: _Batches, *order: str) -> tuple[NDArray[Any], list[float]]:
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


def _weights(model: nn.Module) -> NDArray[Any]:
    return np.concatenate([weights.detach().numpy().ravel() for weights in model.parameters()])


def _same(one: NDArray[Any], other: NDArray[Any]) -> bool:
    return bool(np.allclose(one, other, rtol=1e-9, atol=1e-11))  # the loop is handed float64


EXERCISE = Exercise(
    id="02-loop",
    title="A loop that learns wrongly, and says nothing",
    kind="mend",
    level="core",
    hints=(
        "Go through it with the second batch in mind: what do the gradients hold when the step is taken?",
        "One fault is an order, one is something that is missing. The bare loop of the lesson has both right.",
        "The gradient must be computed before it is used, and it must be gone before the next one is computed: "
        "`backward` adds to what is there. An optimizer has a method for that.",
    ),
    learned="Backward, step, and gradients cleared for each batch: no error tells you when one is missing.",
    check=_check_loop,
)
