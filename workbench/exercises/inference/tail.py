"""04-tail: the calls that break a deadline."""

from __future__ import annotations

import math
import random
from statistics import mean, median

import numpy as np

from workbench.exercises.answers import called, function_of, is_close, known_mistake, nearly, number_of, parts_of
from workbench.exercises.exercise import Exercise, NotYet


def _check_tail(answer: object) -> None:
    function = function_of(answer, "tail")
    draw = random.Random(4)
    for count in (20, 250, 1000):  # the first call of 21 is its own p99; of 251 it hardly shows
        rest = [0.002 * draw.lognormvariate(0, 0.4) for _ in range(count)]
        for place in draw.sample(range(count), count // 50):
            rest[place] *= 40  # the tail that a deadline is about, and no outlier to be thrown away
        # On time to the last bit: the deadline is one of the times.
        deadline = sorted(rest)[round(0.9 * count)]
        seconds = [0.5 + draw.random(), *rest]
        found = called(function, seconds, deadline, told=f"{count + 1} times, a deadline", kept="the list")
        p99, late = parts_of(found, "p99", "late")
        _refuse_swapped(number_of(p99, "p99"), number_of(late, "late"), seconds, deadline)
        _judge_p99(number_of(p99, "p99"), seconds)
        _judge_late(number_of(late, "late"), seconds, deadline)


def _refuse_swapped(p99: float, late: float, seconds: list[float], deadline: float) -> None:
    rest = seconds[1:]
    share = sum(value > deadline for value in rest) / len(rest)
    if is_close(p99, share, 1e-9) and min(rest) <= late <= max(rest) and not min(rest) <= p99 <= max(rest):
        raise NotYet("The two have changed places: p99 comes first, then the share that is late.")


def _judge_p99(found: float, seconds: list[float]) -> None:
    rest = seconds[1:]
    ranked, count = sorted(rest), len(rest)
    # Between two calls there is room for more than one definition of a percentile: all of those in use are right.
    low, high = math.floor(0.99 * (count - 1)), min(count, math.ceil(0.99 * (count + 1))) - 1
    if ranked[low] * (1 - 1e-9) <= found <= ranked[high] * (1 + 1e-9):
        return
    told = f"Of {len(seconds)} times you give p99 = {found:.5f} s. "
    place = min(int(0.99 * count), count - 1)
    wrong = {
        "That is the mean: it says nothing of the slow ones.": (mean(rest), mean(seconds)),
        "That is the median: half of the calls are slower.": (median(rest), median(seconds)),
        "That is the first call, the warm-up: it is not one of those that follow.": seconds[0],
        "That is the slowest call of all: 99 of 100 should stay below p99, not every one.": ranked[-1],
        "That is p90, for the slowest tenth.": tuple(float(np.percentile(each, 90)) for each in (rest, seconds)),
        "That is the call that came at that place in time: bring them into the order of their length.": (
            *rest[place - 2 : place + 3],
        ),
    }
    if words := known_mistake(found, wrong, nearly(1e-9)):
        raise NotYet(told + words)
    if found > seconds[0]:
        raise NotYet(told + "No call took so long: give seconds, as you were given.")
    if found > ranked[-1]:
        raise NotYet(told + "No call after the first took so long: the warm-up is still among them.")
    if found <= ranked[max(1, count // 50)]:
        raise NotYet(told + "That is at the other end: nearly all are *slower*. Does your function want 99, or 0.99?")
    slower = sum(value > found for value in rest)
    raise NotYet(
        told + f"After the first call {slower} of {count} are slower than that: it should be one in a hundred."
    )


def _judge_late(found: float, seconds: list[float], deadline: float) -> None:
    rest = seconds[1:]
    slow = sum(value > deadline for value in rest)
    expected = slow / len(rest)
    if is_close(found, expected, 1e-9):
        return
    edge = (slow + 1) / len(rest)
    wrong = {
        "That is how many are late: of how many?": (slow, slow + 1),
        "That is in percent: give a share, from 0 to 1.": (100 * expected, 100 * edge),
        "That is the share that comes in time.": (1 - expected, 1 - edge),
        "An answer that takes exactly as long as the deadline allows is in time.": edge,
        "The first call is still among them: it is no sample of those that follow.": (
            (slow + 1) / len(seconds),
            (slow + 2) / len(seconds),
        ),
        "You count without the first call, and divide by the number with it.": slow / len(seconds),
    }
    told = f"p99 is right. Of {len(seconds)} times you call the share {found:.5g} late. "
    words = known_mistake(found, wrong, nearly(1e-9))
    raise NotYet(told + (words or "Count those after the first that are late, and divide by how many it is."))


EXERCISE = Exercise(
    id="04-tail",
    title="The slow few",
    kind="function",
    level="core",
    hints=(
        "Which single call does not belong to those that follow? And which calls break a deadline: the usual ones?",
        "`seconds[1:]`, brought into order: where in that list do 99 of 100 lie before you?",
        "NumPy has `np.percentile` for the first. For the second count those above the deadline, and divide by "
        "the number of the calls that you looked at.",
    ),
    learned="A deadline is broken by the tail: p99 and the share that is late tell it, mean and median do not.",
    check=_check_tail,
)
