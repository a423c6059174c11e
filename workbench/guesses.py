"""A guess, and what came out beside it, in words. No torch."""

from __future__ import annotations

import math
import re
from numbers import Real

from workbench.errors import WorkbenchError
from workbench.sealed import shortened
from workbench.units import format_number, format_ratio

HERE_NOW = "measured here, now"


def reveal(guess: float | None, value: float, unit: str = "", origin: str = HERE_NOW) -> str:
    """A guess set beside what came out, both plain numbers in `unit`, with the factor between them.

    origin: of the value, as people are told it. Raises WorkbenchError for a guess or a value that is no finite number,
    and for a guess below 0.
    """
    if not _is_finite(value):
        raise WorkbenchError(f"value = {shortened(repr(value))}: only a finite number can be set beside a guess.")
    if guess is not None:
        checked_guess(guess)
    told = _beside(guess if guess is None else told_number(guess, unit), told_number(value, unit), origin)
    if guess is None:
        return told
    if guess == value:
        return f"{told}: exactly right."
    if not guess or value <= 0:
        return f"{told}."
    low, high = sorted((float(guess), float(value)))
    if high / low < 1.1:
        return f"{told}: within a tenth."
    return f"{told}: your guess was {format_ratio(high / low)} too {'high' if guess > value else 'low'}."


def reveal_choice(guess: str | None, value: str, origin: str = HERE_NOW) -> str:
    """The same for a guess that is one of several choices."""
    told = _beside(guess, value, origin)
    if guess is None:
        return told
    return f"{told}: that is what you guessed." if guess == value else f"{told}: not what you guessed."


def told_number(value: float, unit: str = "") -> str:
    """A number with its unit: "2.5 ms"; without an exponent as far as 1e-9, which few learners read."""
    small = 1e-9 <= abs(value) < 1e-4
    told = f"{value:.{1 - math.floor(math.log10(abs(value)))}f}" if small else format_number(float(value))
    return f"{told} {unit}".strip()


def checked_guess(guess: object) -> float:
    """A guess as a number. Raises WorkbenchError for what is no number from 0 to 1e100."""
    if not _is_finite(guess) or not 0 <= float(guess) < 1e100:  # type: ignore[arg-type]
        raise WorkbenchError(f"guess = {shortened(repr(guess))}: write a number of 0 or more, below 1e100.")
    return float(guess)  # type: ignore[arg-type]


def read_number(text: str, unit: str = "") -> float:
    """The number that a person typed: "2.5", "2,5", "1,234,567", "3e-4", with or without its unit.

    Raises WorkbenchError for everything else, for what is below 0 and for what is infinite.
    """
    if not text.strip():
        raise WorkbenchError("Write a number first, such as 2.5.")
    bare = bare_number(text, unit)
    if re.fullmatch(r"\+?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?", bare, re.ASCII | re.IGNORECASE) and math.isfinite(float(bare)):
        return float(bare)
    raise WorkbenchError(f"“{shortened(text.strip(), 40)}” is no number of 0 or more: write one, such as 2.5.")


def bare_number(text: str, unit: str = "") -> str:
    """What was typed, without its unit, without commas between thousands, and with a point where there was a comma."""
    bare = text.strip().removesuffix(unit).strip()
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d*)?", bare):
        return bare.replace(",", "")
    return bare.replace(",", ".") if re.fullmatch(r"\d*,\d+", bare) else bare


def _beside(guess: str | None, value: str, origin: str) -> str:
    found = f"{origin}: {value}"
    if guess is None:
        return f"No guess yet. {found[0].upper()}{found[1:]}."
    return f"You guessed {guess}; {found}"


def _is_finite(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
