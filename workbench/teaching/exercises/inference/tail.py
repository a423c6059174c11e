"""04-tail: the 99th percentile, and the share of calls that miss a deadline."""

from __future__ import annotations

import math
import random
from statistics import mean, median

import numpy as np

from workbench.teaching.exercises.answers import (
    call,
    function_of,
    is_close,
    known_mistake,
    nearly,
    number_of,
    parts_of,
)
from workbench.teaching.exercises.exercise import Exercise, NotYet


def _check_tail(answer: object) -> None:
    function = function_of(answer, "tail")
    draw = random.Random(4)
    for count in (20, 250, 1000):  # the first of 21 calls is their p99; among 251 it hardly matters
        rest = [0.002 * draw.lognormvariate(0, 0.4) for _ in range(count)]
        for index in draw.sample(range(count), count // 50):
            rest[index] *= 40  # the tail that a deadline is about, not outliers to discard
        # The deadline is one of the times, so that one call takes exactly as long.
        deadline = sorted(rest)[round(0.9 * count)]
        seconds = [0.5 + draw.random(), *rest]
        found = call(function, seconds, deadline, shown_as=f"{count + 1} times, a deadline", unchanged="the list")
        p99, late = parts_of(found, "p99", "late")
        _refuse_swapped(number_of(p99, "p99"), number_of(late, "late"), seconds, deadline)
        _judge_p99(number_of(p99, "p99"), seconds)
        _judge_late(number_of(late, "late"), seconds, deadline)


def _refuse_swapped(p99: float, late: float, seconds: list[float], deadline: float) -> None:
    rest = seconds[1:]
    share = sum(value > deadline for value in rest) / len(rest)
    if is_close(p99, share, 1e-9) and min(rest) <= late <= max(rest) and not min(rest) <= p99 <= max(rest):
        raise NotYet("The two are swapped: p99 comes first, then the share that is late.")


def _judge_p99(found: float, seconds: list[float]) -> None:
    rest = seconds[1:]
    ranked, count = sorted(rest), len(rest)
    # Definitions of a percentile differ in how they interpolate between two calls: all of those in use are right.
    low, high = math.floor(0.99 * (count - 1)), min(count, math.ceil(0.99 * (count + 1))) - 1
    if ranked[low] * (1 - 1e-9) <= found <= ranked[high] * (1 + 1e-9):
        return
    case = f"Of {len(seconds)} times you return p99 = {found:.5f} s. "
    index = min(int(0.99 * count), count - 1)
    wrong = {
        "That is the mean: it says nothing about the slow calls.": (mean(rest), mean(seconds)),
        "That is the median: half of the calls are slower.": (median(rest), median(seconds)),
        "That is the first call, the warm-up: leave it out.": seconds[0],
        "That is the slowest call of all: 99 of 100 should stay below p99, not every one.": ranked[-1],
        "That is p90, the limit of the slowest tenth.": tuple(
            float(np.percentile(each, 90)) for each in (rest, seconds)
        ),
        "That is the call at that position in time: sort them by duration first.": (*rest[index - 2 : index + 3],),
    }
    if hint := known_mistake(found, wrong, nearly(1e-9)):
        raise NotYet(case + hint)
    if found > seconds[0]:
        raise NotYet(case + "No call took so long: return seconds, like those passed to you.")
    if found > ranked[-1]:
        raise NotYet(case + "No call after the first took so long: the warm-up is still among them.")
    if found <= ranked[max(1, count // 50)]:
        raise NotYet(case + "That is at the other end: nearly all are *slower*. Should you pass 99, or 0.99?")
    slower = sum(value > found for value in rest)
    raise NotYet(f"{case}After the first call {slower} of {count} are slower than that: it should be one in a hundred.")


def _judge_late(found: float, seconds: list[float], deadline: float) -> None:
    rest = seconds[1:]
    slow = sum(value > deadline for value in rest)
    expected = slow / len(rest)
    if is_close(found, expected, 1e-9):
        return
    edge = (slow + 1) / len(rest)
    wrong = {
        "That is how many are late: out of how many?": (slow, slow + 1),
        "That is in percent: return a share, from 0 to 1.": (100 * expected, 100 * edge),
        "That is the share that is in time.": (1 - expected, 1 - edge),
        "An answer that takes exactly as long as the deadline allows is in time.": edge,
        "The first call is still among them: leave it out.": (
            (slow + 1) / len(seconds),
            (slow + 2) / len(seconds),
        ),
        "You leave the first call out of the count, but not out of the number that you divide by.": slow / len(seconds),
    }
    case = f"p99 is right. Of {len(seconds)} times you call the share {found:.5g} late. "
    otherwise = "Count the late ones after the first, and divide by how many there are after the first."
    raise NotYet(case + known_mistake(found, wrong, nearly(1e-9), otherwise=otherwise))


EXERCISE = Exercise(
    id="04-tail",
    title="The slow few",
    kind="function",
    level="core",
    hints=(
        "Which single call does not belong with the others? And which calls miss a deadline: the usual ones?",
        "Sort `seconds[1:]`: at which position have 99 of 100 come before?",
        "NumPy has `np.percentile` for the first. For the second, count those above the deadline, and divide by the "
        "number of calls that you looked at.",
    ),
    learned="The tail misses the deadlines: p99 and the share that is late show it, mean and median do not.",
    check=_check_tail,
)
