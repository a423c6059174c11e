"""01-steps: how often a run updates the weights."""

from __future__ import annotations

import random

from workbench.teaching.exercises.answers import call, function_of, known_mistake, nearly, number_of
from workbench.teaching.exercises.exercise import Exercise, NotYet


def _check_steps(answer: object) -> None:
    function = function_of(answer, "gradient_steps")
    draw = random.Random(1)
    # The first divides exactly; the next two leave a large and a small remainder, so that mistakes can be told apart.
    runs = [(1_000, 100, 3), (1_060, 100, 3), (1_040, 100, 4), (30, 64, 5)]
    runs += [(draw.randint(1, 5_000), draw.randint(1, 300), draw.randint(1, 12)) for _ in range(12)]
    for images, size, epochs in runs:
        found = number_of(call(function, images, size, epochs), "the result")
        if found != -(-images // size) * epochs:
            case = f"{images:,} images, batch size {size}, epochs {epochs}: you return {found:,.6g}. "
            raise NotYet(case + _steps_mistake(found, images, size, epochs))


def _steps_mistake(found: float, images: int, size: int, epochs: int) -> str:
    wrong = {
        "A step is whole: what happens to the images that do not fill a batch?": images * epochs / size,
        "That is one epoch.": -(-images // size),
        "You round over all epochs at once, as if a batch could begin in one epoch and end in the next.": (
            -(-images * epochs // size)
        ),
        "You round down over all epochs at once: an epoch ends with its own last batch, and that is a step as well.": (
            images * epochs // size
        ),
        "You round to the nearest: a few images left over are trained on as well.": round(images / size) * epochs,
        "You leave out the images that do not fill a batch. Does wb.train?": images // size * epochs,
        "A batch too many in each epoch: here the images fill all batches, and nothing is left over.": (
            (images // size + 1) * epochs
        ),
        "That is the number of images processed; a step processes a whole batch of them.": images * epochs,
    }
    otherwise = "Count the batches of one epoch first, including one that is not full."
    return known_mistake(found, wrong, nearly(1e-9), otherwise=otherwise)


EXERCISE = Exercise(
    id="01-steps",
    title="How often are the weights updated?",
    kind="function",
    level="warm-up",
    hints=(
        "Take 10 images and a batch size of 4. How many batches does an epoch have if no image is left out?",
        "`wb.cost_of(…, images=…).steps_per_epoch` shows what wb.train does with a remainder: with a batch size "
        "of 100, try 100, 101 and 199 images.",
        "Images over batch size, rounded up (`math.ceil` does it): that is one epoch. Only then come the epochs.",
    ),
    learned="Each epoch ends with a step of its own: a larger batch means fewer updates for the same images.",
    check=_check_steps,
)
