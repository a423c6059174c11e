"""01-steps: how often a run corrects the weights."""

from __future__ import annotations

import random

from workbench.exercises.answers import called, function_of, known_mistake, nearly, number_of
from workbench.exercises.exercise import Exercise, NotYet


def _check_steps(answer: object) -> None:
    function = function_of(answer, "gradient_steps")
    draw = random.Random(1)
    # The first divides exactly; the next two leave a large and a small remainder, so that mistakes can be told apart.
    runs = [(1_000, 100, 3), (1_060, 100, 3), (1_040, 100, 4), (30, 64, 5)]
    runs += [(draw.randint(1, 5_000), draw.randint(1, 300), draw.randint(1, 12)) for _ in range(12)]
    for pictures, size, epochs in runs:
        found = number_of(called(function, pictures, size, epochs), "what it gives back")
        if found != -(-pictures // size) * epochs:
            told = f"{pictures:,} pictures, batch size {size}, epochs {epochs}: you give {found:,.6g}. "
            raise NotYet(told + _steps_mistake(found, pictures, size, epochs))


def _steps_mistake(found: float, pictures: int, size: int, epochs: int) -> str:
    wrong = {
        "A step is whole: what happens to the pictures that do not fill a batch?": pictures * epochs / size,
        "That is one epoch.": -(-pictures // size),
        "You round over all epochs at once, as if a batch could begin in one epoch and end in the next.": (
            -(-pictures * epochs // size)
        ),
        "You round down over all epochs at once: an epoch ends with its own last batch, and that is a step as well.": (
            pictures * epochs // size
        ),
        "You round to the nearest: a few pictures left over are learned from as well.": round(pictures / size) * epochs,
        "You leave out the pictures that do not fill a batch. Does wb.train?": pictures // size * epochs,
        "A batch too many in each epoch: here the pictures fill all batches, and nothing is left over.": (
            (pictures // size + 1) * epochs
        ),
        "Those are the pictures looked at; a step looks at a whole batch of them.": pictures * epochs,
    }
    return known_mistake(found, wrong, nearly(1e-9)) or (
        "Count the batches of one epoch first, the one that is not full among them."
    )


EXERCISE = Exercise(
    id="01-steps",
    title="How often are the weights corrected?",
    kind="function",
    level="warm-up",
    hints=(
        "Take 10 pictures and a batch size of 4. How many batches does an epoch have if no picture is left out?",
        "`wb.cost_of(…, pictures=…).steps_per_epoch` tells what wb.train does with a remainder: with a batch size "
        "of 100, try 100, 101 and 199 pictures.",
        "Pictures over batch size, rounded up (`math.ceil` does it): that is one epoch. Only then come the epochs.",
    ),
    learned="Each epoch ends with a step of its own: a larger batch means fewer corrections for the same pictures.",
    check=_check_steps,
)
