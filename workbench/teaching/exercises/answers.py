"""Read, call and compare a learner's answer; reject it with a sentence. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from numbers import Real
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from workbench.teaching.exercises.exercise import NotYet, Unanswered
from workbench.wording import describe_error, one_line

if TYPE_CHECKING:
    from torch import Tensor

NOTHING_RETURNED = "The function returns nothing yet."


def parts_of(answer: object, *names: str) -> tuple[Any, ...]:
    """Return the parts of an answer. Raise Unanswered naming missing parts, and NotYet for another number of parts."""
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
    """Return a finite number, also from an array or tensor of one element. Raise Unanswered or NotYet for others."""
    if is_blank(answer):
        raise Unanswered
    value = answer.item() if hasattr(answer, "item") and getattr(answer, "size", 1) != 0 else answer
    if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
        raise NotYet(f"{name}: {shown(answer)} is not a number. Give one, without quotes or a unit.")
    return float(value)


def check_guess(guess: object, of: str, *, share: bool = False) -> None:
    """Raise Unanswered for an impossible guess, so that it is not recorded; any other guess is accepted.

    of: what is guessed, in words. share: it must be from 0 to 1. Raises NotYet for anything but a number.
    """
    number = number_of(guess, "guess")
    if number <= 0:
        raise Unanswered(f"A guess is a number above 0, here {of}. Guess again: a guess is not graded.")
    if share and number > 1:
        advice = f"did you mean {number / 100:g}?" if number <= 100 else "guess again."
        raise Unanswered(f"Your guess is {number:g}, but a share is from 0 to 1: {advice}")


def function_of(answer: object, name: str) -> Callable[..., Any]:
    """Return a callable answer. Raise Unanswered or NotYet for others."""
    if is_blank(answer):
        raise Unanswered
    if not callable(answer):
        raise NotYet(f"{name}: {shown(answer)} cannot be called; give the function itself, without ().")
    return answer


def call(function: Callable[..., Any], *arguments: Any, shown_as: str = "", unchanged: str = "") -> Any:
    """Return what a learner's function returns. Raise Unanswered for None, and NotYet with the error it raises.

    shown_as: the arguments in words, if they are too long to be shown. unchanged: the arguments that the function must
    not modify, in words; it then gets copies, and NotYet is raised if one was modified.
    """
    given = deepcopy(arguments) if unchanged else arguments
    result, error = try_call(function, *given)
    if error is not None:
        shown_as = shown_as or ", ".join(map(shown, arguments))
        raise NotYet(f"Called with ({shown_as}), your function {raises(error)}")
    if result is None:
        raise Unanswered(NOTHING_RETURNED)
    if unchanged and not is_same(given, arguments):
        raise NotYet(f"Your function changes {unchanged} passed to it: work on a copy.")
    return result


def try_call(function: Callable[..., Any], *arguments: Any) -> tuple[Any, BaseException | None]:
    """Return what a learner's function returns and the exception it raises; one of the two is None."""
    try:
        return function(*arguments), None
    except (Exception, SystemExit) as error:
        return None, error


def raises(error: BaseException) -> str:
    """The end of a sentence about an exception: "raises ValueError: its message."."""
    return f"raises {describe_error(error, 150).rstrip('.')}."


def shown(value: object) -> str:
    """A value as it is shown in a sentence: on one line, and short."""
    return one_line(repr(value), 60)


def tensor_of(value: object, name: str) -> Tensor:
    """Return an array, list or tensor of numbers as a float64 tensor on the CPU. Raise NotYet for others."""
    import torch

    try:
        return torch.as_tensor(value).detach().cpu().double()
    except Exception:
        raise NotYet(f"{name} = {shown(value)} is not a tensor of numbers.") from None


def is_close(found: float, expected: float, relative: float = 0.01) -> bool:
    """Whether two numbers differ by at most the fraction `relative` of the larger one."""
    return math.isclose(found, expected, rel_tol=relative, abs_tol=1e-12)


def nearly(relative: float) -> Callable[[float, float], bool]:
    """Return is_close with this tolerance."""
    return partial(is_close, relative=relative)


def known_mistake(
    found: Any, wrong: Mapping[str, Any], same: Callable[[Any, Any], bool] = is_close, *, otherwise: str = ""
) -> str:
    """Return the hint for the mistake that produces the value found, or `otherwise`.

    wrong: the value that a mistake produces, or a tuple of several, by its hint. same: whether two values agree. Of
    several matches the nearest number wins, else the first.
    """
    matches = [
        (abs(found - value) if isinstance(found, Real) else 0, hint)
        for hint, values in wrong.items()
        for value in (values if isinstance(values, tuple) else (values,))
        if same(found, value)
    ]
    return min(matches, key=itemgetter(0))[1] if matches else otherwise


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are equal; they may be arrays, tensors, or lists and dicts of these."""
    if isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[name], other[name]) for name in other)
    if isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(is_same, one, other))
    if hasattr(other, "shape"):
        return bool(one.shape == other.shape and (one == other).all())
    return bool(one == other)


def is_blank(answer: object) -> bool:
    """Whether nothing was written: None, ..., an empty string or collection, or a collection of only such."""
    if answer is None or answer is ...:
        return True
    if isinstance(answer, str):
        return not answer.strip()
    if isinstance(answer, tuple | list):
        return all(map(is_blank, answer))
    return isinstance(answer, dict) and all(map(is_blank, answer.values()))
