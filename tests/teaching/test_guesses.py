"""A guess compared with the result in words, and numbers as people type them."""

from __future__ import annotations

import numpy as np
import pytest

from workbench.errors import WorkbenchError
from workbench.teaching import lessons
from workbench.teaching.guesses import bare_number, format_figure, read_number, reveal, reveal_choice


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
def test_a_guess_is_compared_with_the_result(guess: float | None, value: float, said: str):
    assert reveal(guess, value, "ms") == said


def test_a_value_has_its_origin_and_thousands_separators():
    assert reveal(None, 1_234_567.8, "bytes", origin="modelled") == "No guess yet. Modelled: 1,234,568 bytes."
    assert reveal(np.float32(2), np.float64(2), "ms").endswith("exactly right.")
    for value in (float("nan"), float("inf"), None, "3"):
        with pytest.raises(WorkbenchError, match=r"value = .*: must be a number from"):
            reveal(1, value)  # type: ignore[arg-type]


@pytest.mark.parametrize("guess", [10**400, -1, "three", True, float("nan"), float("inf"), [1]])
def test_an_invalid_guess_is_refused(guess: object):
    with pytest.raises(WorkbenchError, match=r"guess = .*: must be a number from 0 to 1e\+100"):
        reveal(guess, 1.0)  # type: ignore[arg-type]


def test_a_guessed_choice_is_right_or_wrong():
    assert reveal_choice(None, "one core") == "No guess yet. Measured here, now: one core."
    right = reveal_choice("one core", "one core", "modelled")
    assert right == "You guessed one core; modelled: one core: that is what you guessed."
    assert reveal_choice("the GPU", "one core").endswith("measured here, now: one core: not what you guessed.")


def test_lessons_reexport_reveal():
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
def test_a_typed_number_is_read(typed: str, number: float):
    assert read_number(typed, "ms") == number
    assert float(bare_number(typed, "ms")) == number


@pytest.mark.parametrize(
    "typed", ["", "  ", "three", "-1", "inf", "nan", "1e999", "1_000", "1,23,456", "2 s", "٣", "1/2", "ms", "9" * 500]
)
def test_an_invalid_number_is_refused(typed: str):
    with pytest.raises(WorkbenchError, match=r"is not a number of 0 or more|Write a number first") as refused:
        read_number(typed, "ms")
    assert len(str(refused.value)) < 120


@pytest.mark.parametrize(
    ("value", "text"),
    [(5.634e-05, "0.000056 s"), (2e-09, "0.0000000020 s"), (1e-10, "1e-10 s"), (0.0001, "0.0001 s")],
)
def test_small_numbers_have_no_exponent(value: float, text: str) -> None:
    assert format_figure(value, "s") == text
