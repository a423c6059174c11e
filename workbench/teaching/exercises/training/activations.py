"""02-activations: the largest batch that fits into memory."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from workbench.teaching.exercises.answers import call, function_of, number_of
from workbench.teaching.exercises.exercise import Exercise, NotYet, Unanswered

if TYPE_CHECKING:
    from workbench.modelling.cost import Cost


def _check_activations(answer: object) -> None:
    function = function_of(answer, "largest_batch")
    draw = random.Random(2)
    # Two large matrices with AdamW: most bytes do not grow with the batch, so mistakes give clearly different results.
    cost = _costs("mlp", "adamw")
    for size in (200, draw.randint(20, 90)):
        spare = (cost(size + 1).training_bytes - cost(size).training_bytes) // 2
        _judge_batch(function, cost, cost(size).training_bytes + spare, size)
    # Convolutions: batch norm keeps a few bytes per layer whatever the batch. And the limits, to the byte.
    cost = _costs("convnet", "sgd")
    for size in (900, draw.randint(20, 90), 1):
        _judge_batch(function, cost, cost(size).training_bytes, size)
    size = draw.randint(20, 90)
    _judge_batch(function, cost, cost(size + 1).training_bytes - 1, size)
    for memory in (cost(1).training_bytes - 1, draw.randint(1, cost(1).weight_bytes)):
        _judge_none(function, cost, memory)


@cache
def _one_and_growth(model: str, optimizer: str) -> tuple[Cost, int]:
    """The cost of a batch of one, and the activation bytes that each further image adds."""
    from workbench.hyperparameters import HyperParameters
    from workbench.modelling.cost import cost_of

    settings = HyperParameters(model=model, optimizer=optimizer)
    one, two = (cost_of(settings.replace(batch_size=size), images=65_536) for size in (1, 2))
    return one, two.activation_bytes - one.activation_bytes


def _costs(model: str, optimizer: str) -> Callable[[Any], Cost]:
    """cost_of as a function of the batch size; fast, so that an answer may call it often."""
    from workbench.hyperparameters import HyperParameters
    from workbench.training.batches import steps_per_epoch

    one, each = _one_and_growth(model, optimizer)

    def cost(batch: Any) -> Cost:
        size = HyperParameters(batch_size=batch).batch_size  # raises what the real one raises
        steps = steps_per_epoch(one.images, size)
        activations = one.activation_bytes + (size - 1) * each
        return replace(one, batch_size=size, activation_bytes=activations, steps_per_epoch=steps)

    return cost


def _judge_batch(function: Callable[..., Any], cost: Callable[[Any], Cost], memory: int, right: int) -> None:
    found = number_of(call(function, cost, memory, shown_as=f"cost, {memory:,}"), "the result")
    if found == right:
        return
    case = f"For a memory of {memory:,} bytes you return {found:,.10g}. "
    if found != int(found):
        raise NotYet(case + "A batch is a whole number of images: an image that does not fit whole does not fit.")
    raise NotYet(case + (_why_not_batch(int(found), cost, memory, right) or _needs(int(found), cost)))


def _why_not_batch(found: int, cost: Callable[[Any], Cost], memory: int, right: int) -> str:
    if found == right + 1:
        return f"One too many: training on {found} takes {cost(found).training_bytes:,} bytes."
    if found == right - 1 and cost(right).training_bytes == memory:
        return "One too few: one more takes exactly the memory available, and that fits."
    for hint, size in _wrong_batches(cost, memory).items():
        if found == size and abs(size - right) > 1:
            return hint
    if found == 2 ** int(math.log2(right)):
        return "A power of two is a habit, not a requirement: more would fit."
    return ""


def _wrong_batches(cost: Callable[[Any], Cost], memory: int) -> dict[str, int]:
    """The batch sizes that common mistakes produce, by their hints."""
    one, each = cost(1), cost(2).activation_bytes - cost(1).activation_bytes
    beside_weights = memory - one.weight_bytes
    for_activations = beside_weights - one.gradient_bytes - one.optimizer_bytes
    return {
        "You divide by all the bytes of a batch of one, as if each image came with its own weights. Which of the four "
        "parts grow with the batch?": memory // one.training_bytes,
        "You count only the activations: the other three parts need memory, too.": memory // each,
        "You subtract the weights alone. What else does a step hold, whatever the batch?": beside_weights // each,
        "You forget the optimizer state: it takes memory however small the batch is.": (
            (for_activations + one.optimizer_bytes) // each
        ),
        "You forget the gradients: they take memory however small the batch is.": (
            (for_activations + one.gradient_bytes) // each
        ),
        "That is the batch size for inference: inference keeps no activations, but training does.": (
            beside_weights // one.working_bytes
        ),
        "You divide by the bytes of inference. Training holds more, and most of that does not grow with the batch.": (
            memory // one.inference_bytes
        ),
        "You count the working memory of inference for each image; training keeps activations instead.": (
            for_activations // one.working_bytes
        ),
        "A little too few. The activations of a batch of one include something that further images do not add: compare "
        "two batches to see how much one more image adds.": for_activations // one.activation_bytes,
    }


def _needs(found: int, cost: Callable[[Any], Cost]) -> str:
    """The memory that a wrong batch size would need."""
    if not 1 <= found <= 65_535:
        return "Such a batch does not fit: call cost to see what the batch that you return would take."
    needs = [cost(size).training_bytes for size in (found, found + 1)]
    return f"Training on {found} takes {needs[0]:,} bytes, on one more {needs[1]:,}."


def _judge_none(function: Callable[..., Any], cost: Callable[[Any], Cost], memory: int) -> None:
    case = f"For a memory of {memory:,} bytes, into which not even one image fits, "
    try:
        found = number_of(call(function, cost, memory, shown_as=f"cost, {memory:,}"), "the result")
    except Unanswered:
        raise NotYet(case + "your function returns nothing: it should return how many fit, which is 0.") from None
    if found < 0:
        raise NotYet(case + f"you return {found:,.10g}: a batch cannot be smaller than 0.")
    if found > 0:
        raise NotYet(case + f"you return {found:,.10g}, but one alone takes {cost(1).training_bytes:,} bytes.")


EXERCISE = Exercise(
    id="02-activations",
    title="The largest batch that fits",
    kind="function",
    level="stretch",
    hints=(
        "Of the four things that a step holds in memory, which grow with the batch? Compare `cost(1)` with `cost(2)`.",
        "`training_bytes` is a straight line over the batch size: where does it start, and how much does each image "
        "add? Or search: halve the range of batch sizes until one is left.",
        "What one more image adds is the difference between two consecutive batch sizes. Subtract what one image "
        "needs, see how many whole differences fit into the rest, and count that image, too. Do not forget a memory "
        "too small even for one.",
    ),
    learned="Weights, gradients and state are paid once, activations for every image: that bounds the batch.",
    check=_check_activations,
)
