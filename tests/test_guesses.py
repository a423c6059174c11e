"""A guess beside what came out, in words, and numbers as people type them."""

from __future__ import annotations

import numpy as np
import pytest

from workbench import lessons
from workbench.errors import WorkbenchError
from workbench.guesses import bare_number, read_number, reveal, reveal_choice, told_number


@pytest.mark.parametrize(
    ("guess", "value", "said"),
    [
        (None, 0.21, "No guess yet. Measured here, now: 0.21 ms."),
        (3, 0.21, "You guessed 3 ms; measured here, now: 0.21 ms: your guess was 14× too high."),
        (0.1, 0.25, "You guessed 0.1 ms; measured here, now: 0.25 ms: your guess was 2.5× too low."),
        (1.05, 1.0, "You guessed 1.05 ms; measured here, now: 1 ms: within a tenth."),
        (2, 2.0, "You guessed 2 ms; measured here, now: 2 ms: exactly right."),
        (0, 2.0, "You guessed 0 ms; measured here, now: 2 ms."),
    ],
)
def test_a_guess_is_set_beside_what_was_measured(guess: float | None, value: float, said: str):
    assert reveal(guess, value, "ms") == said


def test_a_value_says_where_it_comes_from_and_large_ones_have_commas():
    assert reveal(None, 1_234_567.8, "bytes", origin="modelled") == "No guess yet. Modelled: 1,234,568 bytes."
    assert reveal(np.float32(2), np.float64(2), "ms").endswith("exactly right.")
    for value in (float("nan"), float("inf"), None, "3"):
        with pytest.raises(WorkbenchError, match=r"value = .*: only a finite number"):
            reveal(1, value)  # type: ignore[arg-type]


@pytest.mark.parametrize("guess", [10**400, -1, "three", True, float("nan"), float("inf"), [1]])
def test_what_is_no_guess_is_a_sentence(guess: object):
    with pytest.raises(WorkbenchError, match=r"guess = .*: write a number of 0 or more, below 1e100"):
        reveal(guess, 1.0)  # type: ignore[arg-type]


def test_a_choice_is_right_or_it_is_not():
    assert reveal_choice(None, "one core") == "No guess yet. Measured here, now: one core."
    right = reveal_choice("one core", "one core", "modelled")
    assert right == "You guessed one core; modelled: one core: that is what you guessed."
    assert reveal_choice("the GPU", "one core").endswith("measured here, now: one core: not what you guessed.")


def test_the_lessons_offer_the_same_words():
    assert lessons.reveal is reveal


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("2.5", 2.5),
        (" 2,5 ", 2.5),
        ("1,234", 1234),
        ("1,234,567.8", 1234567.8),
        ("0,25", 0.25),
        (",5", 0.5),
        (".5", 0.5),
        ("3.", 3),
        ("3e-4", 3e-4),
        ("+7", 7),
        ("0", 0),
        ("3 ms", 3),
        ("3ms", 3),
    ],
)
def test_a_number_is_read_as_people_type_it(typed: str, number: float):
    assert read_number(typed, "ms") == number
    assert float(bare_number(typed, "ms")) == number


@pytest.mark.parametrize(
    "typed", ["", "  ", "three", "-1", "inf", "nan", "1e999", "1_000", "1,23,456", "2 s", "٣", "1/2", "ms", "9" * 500]
)
def test_what_is_no_number_is_a_sentence(typed: str):
    with pytest.raises(WorkbenchError, match=r"is no number of 0 or more|Write a number first") as refused:
        read_number(typed, "ms")
    assert len(str(refused.value)) < 120


@pytest.mark.parametrize(
    ("value", "told"), [(5.634e-05, "0.000056 s"), (2e-09, "0.0000000020 s"), (1e-10, "1e-10 s"), (0.0001, "0.0001 s")]
)
def test_small_numbers_are_written_out(value: float, told: str) -> None:
    assert told_number(value, "s") == told
