"""Guesses in words: reading what was typed, and comparing it with the measurement. No torch."""

from __future__ import annotations

import math
import re

from workbench import arguments
from workbench.errors import WorkbenchError
from workbench.units import format_number, format_ratio
from workbench.wording import shorten

HERE_NOW = "measured here, now"


def reveal(guess: float | None, value: float, unit: str = "", origin: str = HERE_NOW) -> str:
    """Compare a guess with the result in one sentence, with the factor between them; both are in `unit`.

    origin: where the value comes from, in words. Raises WorkbenchError unless the value is from -1e300 to 1e300, and
    the guess None or from 0 to 1e100.

    >>> wb.reveal(3, 0.25, "ms")
    'You guessed 3 ms; measured here, now: 0.25 ms: your guess was 12× too high.'
    """
    value = arguments.number("value", value, -1e300, 1e300)
    guess = None if guess is None else checked_guess(guess)
    compared = _compared(guess if guess is None else format_figure(guess, unit), format_figure(value, unit), origin)
    if guess is None:
        return compared
    if guess == value:
        return f"{compared}: exactly right."
    if not guess or value <= 0:
        return f"{compared}."
    low, high = sorted((guess, value))
    if high / low < 1.1:
        return f"{compared}: within a tenth."
    return f"{compared}: your guess was {format_ratio(high / low)} too {'high' if guess > value else 'low'}."


def reveal_choice(guess: str | None, value: str, origin: str = HERE_NOW) -> str:
    """The same for a guess that is one of several choices."""
    compared = _compared(guess, value, origin)
    if guess is None:
        return compared
    return f"{compared}: that is what you guessed." if guess == value else f"{compared}: not what you guessed."


def format_figure(value: float, unit: str = "") -> str:
    """A number with its unit, such as "2.5 ms"; written without an exponent from 1e-9 up, for readers new to them."""
    small = 1e-9 <= abs(value) < 1e-4
    number = f"{value:.{1 - math.floor(math.log10(abs(value)))}f}" if small else format_number(float(value))
    return f"{number} {unit}".strip()


def checked_guess(guess: object) -> float:
    """Return a guess as a float. Raise WorkbenchError unless it is a number from 0 to 1e100."""
    return arguments.number("guess", guess, 0, 1e100)


def read_number(text: str, unit: str = "") -> float:
    """Parse a number as people type it: "2.5", "2,5", "1,234,567", "3e-4", with or without its unit.

    Raises WorkbenchError for anything else, and for negative and infinite numbers.
    """
    if not text.strip():
        raise WorkbenchError("Write a number first, such as 2.5.")
    bare = bare_number(text, unit)
    if re.fullmatch(r"\+?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", bare, re.ASCII | re.IGNORECASE) and math.isfinite(float(bare)):
        return float(bare)
    raise WorkbenchError(f"“{shorten(text.strip(), 40)}” is not a number of 0 or more: write one, such as 2.5.")


def bare_number(text: str, unit: str = "") -> str:
    """The typed number without its unit and thousands separators, and with a decimal point for a decimal comma."""
    bare = text.strip().removesuffix(unit).strip()
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d*)?", bare):
        return bare.replace(",", "")
    return bare.replace(",", ".") if re.fullmatch(r"\d*,\d+", bare) else bare


def _compared(guess: str | None, value: str, origin: str) -> str:
    result = f"{origin}: {value}"
    if guess is None:
        return f"No guess yet. {result[0].upper()}{result[1:]}."
    return f"You guessed {guess}; {result}"
