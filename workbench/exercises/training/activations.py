"""02-activations: the largest batch that fits into a memory."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from workbench.exercises.answers import called, function_of, number_of
from workbench.exercises.exercise import Exercise, NotYet, Unanswered

if TYPE_CHECKING:
    from workbench.cost import Cost


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
        raise NotYet(told + f"you give {found:,.10g}: a batch cannot be smaller than 0.")
    if found > 0:
        raise NotYet(told + f"you give {found:,.10g}, but one alone takes {cost(1).training_bytes:,} bytes.")


EXERCISE = Exercise(
    id="02-activations",
    title="The largest batch that fits",
    kind="function",
    level="stretch",
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
)
