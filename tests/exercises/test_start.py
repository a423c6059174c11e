"""Wrong and right answers to lesson 00."""

from __future__ import annotations

from statistics import mean, median
from typing import Any

import numpy as np
from exercises.solved import mistakes, right_answers

WRONG: list[tuple[str, Any, str]] = [
    ("00-overtake", 1, "At batch 1 the NVIDIA H100 SXM is not even ahead"),
    ("00-overtake", 16, "ahead, but not threefold"),
    ("00-overtake", 256, "not for the first time"),
    ("00-overtake", 15, "none of the batch sizes that were compared"),
    ("00-overtake", "sixteen", "is no number"),
    ("00-typical", mean, "That is the mean of them all"),
    ("00-typical", median, "The first call is still among them"),
    ("00-typical", min, "quickest call"),
    ("00-typical", lambda seconds: mean(seconds[1:]), "mean of the later calls"),
    ("00-typical", lambda seconds: sorted(seconds[1:])[len(seconds[1:]) // 2], "two stand in the middle"),
    ("00-typical", lambda seconds: seconds.pop(0) and median(seconds), "changes the list"),
    ("00-typical", lambda seconds: 1 / 0, "stops with ZeroDivisionError"),
    ("00-typical", 0.013, "cannot be called"),
    ("00-typical", lambda seconds: "x", "is no number"),
]


test_each_mistake_gets_the_hint_that_fits_it = mistakes(WRONG)


test_a_different_right_answer_passes = right_answers(
    [("00-overtake", np.int64(64)), ("00-typical", lambda seconds: float(np.median(np.array(seconds)[1:])))]
)
