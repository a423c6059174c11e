"""Wrong and right answers to lesson 00."""

from __future__ import annotations

from statistics import mean, median
from typing import Any

import numpy as np
from teaching.exercises.solved import mistakes, right_answers

WRONG: list[tuple[str, Any, str]] = [
    ("00-overtake", 1, "At batch 1 the NVIDIA H100 SXM is not even ahead"),
    ("00-overtake", 16, "ahead, but not threefold"),
    ("00-overtake", 256, "not for the first time"),
    ("00-overtake", 15, "not one of the batch sizes compared"),
    ("00-overtake", "sixteen", "is not a number"),
    ("00-typical", mean, "That is the mean of them all"),
    ("00-typical", median, "The first call is still among them"),
    ("00-typical", min, "fastest call"),
    ("00-typical", lambda seconds: mean(seconds[1:]), "mean of the later calls"),
    ("00-typical", lambda seconds: sorted(seconds[1:])[len(seconds[1:]) // 2], "has two in the middle"),
    ("00-typical", lambda seconds: seconds.pop(0) and median(seconds), "changes the list"),
    ("00-typical", lambda seconds: 1 / 0, "raises ZeroDivisionError"),
    ("00-typical", 0.013, "cannot be called"),
    ("00-typical", lambda seconds: "x", "is not a number"),
]


test_each_mistake_gets_the_hint_that_fits_it = mistakes(WRONG)


test_a_different_right_answer_passes = right_answers(
    [("00-overtake", np.int64(64)), ("00-typical", lambda seconds: float(np.median(np.array(seconds)[1:])))]
)
