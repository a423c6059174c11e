"""00-typical: the typical duration of a call."""

from __future__ import annotations

import random
from statistics import mean, median

from workbench.teaching.exercises.answers import call, function_of, is_close, known_mistake, nearly, number_of
from workbench.teaching.exercises.exercise import Exercise, NotYet


def _check_typical(answer: object) -> None:
    function = function_of(answer, "typical")
    draw = random.Random(0)
    for count in (8, 7, 40, 3, 2):
        seconds = [draw.uniform(0.01, 0.02) for _ in range(count)]
        seconds[0] = draw.uniform(0.5, 0.9)  # the warm-up call
        found = call(function, seconds, shown_as=f"{count} times", unchanged="the list")
        _judge_typical(number_of(found, "the result"), seconds)


def _judge_typical(found: float, seconds: list[float]) -> None:
    rest = seconds[1:]
    if is_close(found, median(rest), 1e-5):  # float32 is precise enough
        return
    case = f"For {len(seconds)} times, the first of them {seconds[0]:.2f} s, you return {found:.4f} s. "
    middle = sorted(rest)[len(rest) // 2], sorted(rest)[(len(rest) - 1) // 2]
    if len(rest) % 2 == 0 and any(is_close(found, each, 1e-5) for each in middle):
        raise NotYet(case + "An even number of calls has two in the middle: take the value halfway between them.")
    wrong = {
        "That is the mean of them all, and a single call has moved it.": mean(seconds),
        "That is the mean of the later calls: a single slow one moves it. Which figure do half of them stay below?": (
            mean(rest)
        ),
        "The first call is still among them: it does work that the later ones find done.": median(seconds),
        "That is the fastest call: nearly all take longer.": min(rest),
        "That is the first call alone, the one that is not typical.": seconds[0],
    }
    otherwise = "Half of the later calls should take less than your figure, and half of them more."
    raise NotYet(case + known_mistake(found, wrong, nearly(1e-5), otherwise=otherwise))


EXERCISE = Exercise(
    id="00-typical",
    title="A stopwatch that does not fool you",
    kind="function",
    level="core",
    hints=(
        "What did the trap show about the very first call?",
        "`seconds[1:]` are the later calls. Sort them: the figure is the one in the middle.",
        "Python has a function for it: `statistics.median`. Give it the later calls only.",
    ),
    learned="The first call is reported separately, and the rest by their median: that is what wb.measure does.",
    check=_check_typical,
)
