"""What an exercise is, and the words that judge an answer. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Any, Literal

from workbench.sealed import shortened

Kind = Literal["predict", "function", "search", "read", "mend", "shrink", "refuse", "argue"]
Level = Literal["warm-up", "core", "stretch"]

HINTS = 3


class NotYet(Exception):
    """The answer is not right yet; the text is the hint that fits this mistake, and does not tell the answer."""


class Unanswered(Exception):
    """There is no answer yet; the text says what of it is missing, or is empty."""


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """id: "01-memory", the lesson's number first. hints: HINTS steps of help, from a nudge to nearly all of it.

    check: gets what the learner gives `wb.check`; gives back None for a right answer, and raises NotYet or Unanswered
    otherwise; whatever else it raises is told as an answer that cannot be read. None for an argued exercise, which a
    person grades. learned: one sentence that a right answer has shown.
    """

    id: str
    title: str
    kind: Kind
    level: Level
    points: int
    hints: tuple[str, str, str]
    learned: str = ""
    check: Callable[[Any], None] | None = None

    @property
    def lesson(self) -> str:
        """Its number: "01"."""
        return self.id[:2]


def parts_of(answer: object, *names: str) -> tuple[Any, ...]:
    """An answer of several parts, each given. Raises Unanswered that names what is missing, NotYet for other shapes."""
    if is_blank(answer):
        raise Unanswered
    if not isinstance(answer, tuple | list) or len(answer) != len(names):
        raise NotYet(f"Give {len(names)} things, in this order: {', '.join(names)}.")
    missing = [name for name, part in zip(names, answer, strict=True) if is_blank(part)]
    if len(missing) == len(names):
        raise Unanswered
    if missing:
        raise Unanswered(f"Still missing: {', '.join(missing)}.")
    return tuple(answer)


def number_of(answer: object, name: str = "answer") -> float:
    """A finite number; one in an array or a tensor of one element counts. Raises Unanswered, NotYet."""
    if is_blank(answer):
        raise Unanswered
    value = answer.item() if hasattr(answer, "item") and getattr(answer, "size", 1) != 0 else answer
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise NotYet(f"{name} = {shown(answer)} is no number: give one, without quotes or a unit.")
    return float(value)


def text_of(answer: object, name: str = "answer") -> str:
    """A text that is not empty, without white space around it. Raises Unanswered, NotYet."""
    if is_blank(answer):
        raise Unanswered
    if not isinstance(answer, str):
        raise NotYet(f"{name} = {shown(answer)} is no text: give one in quotes.")
    return answer.strip()


def choice_of(answer: object, choices: tuple[str, ...], name: str = "answer") -> str:
    """One of the choices, however it is capitalised. Raises Unanswered, NotYet."""
    found = text_of(answer, name).lower()
    if found not in choices:
        told = ", ".join(map(repr, choices))
        raise NotYet(f"{name} = {shown(answer)} is none of the choices: {told}.")
    return found


def function_of(answer: object, name: str = "the function") -> Callable[..., Any]:
    """Something that can be called. Raises Unanswered, NotYet."""
    if is_blank(answer):
        raise Unanswered
    if not callable(answer):
        raise NotYet(f"{name}: {shown(answer)} cannot be called; give the function itself, without ().")
    return answer


def called(function: Callable[..., Any], *arguments: Any, told: str = "") -> Any:
    """What a learner's function gives back. Raises Unanswered where that is None, NotYet with what it died of.

    told: the arguments in words, where they are too long to be shown.
    """
    given = told or ", ".join(shown(argument) for argument in arguments)
    try:
        found = function(*arguments)
    except (Exception, SystemExit) as error:  # a learner's function may fail in any way
        reason = shortened(" ".join(str(error).split()), 200)
        raise NotYet(f"Called with ({given}), your function stops with {type(error).__name__}: {reason}") from None
    if found is None:
        raise Unanswered("The function gives nothing back yet.")
    return found


def shown(value: object) -> str:
    """A value as it stands in a sentence: on one line, and short."""
    return shortened(" ".join(repr(value).split()), 60)


def is_close(found: float, expected: float, relative: float = 0.01) -> bool:
    """Whether two numbers agree within a share of the larger one."""
    return math.isclose(found, expected, rel_tol=relative, abs_tol=1e-12)


def is_blank(answer: object) -> bool:
    """Whether nothing was written: None, ..., an empty text or collection, or a collection of nothing else."""
    if answer is None or answer is ...:
        return True
    if isinstance(answer, str):
        return not answer.strip()
    if isinstance(answer, tuple | list):
        return all(map(is_blank, answer))
    return isinstance(answer, dict) and all(map(is_blank, answer.values()))
