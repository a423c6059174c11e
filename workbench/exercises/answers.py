"""An answer as it was given: read, called, compared, and turned down in words. No torch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from numbers import Real
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from workbench.exercises.exercise import NotYet, Unanswered
from workbench.sealed import shortened

if TYPE_CHECKING:
    from torch import Tensor


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
        raise NotYet(f"{name}: {shown(answer)} is no number. Give one, without quotes or a unit.")
    return float(value)


def refuse_guess(guess: object, of: str, *, share: bool = False) -> None:
    """Raise Unanswered, so that it is not kept, for a guess that cannot be; any other will do.

    of: what it tells, in words. share: it lies from 0 to 1. Raises NotYet for what is no number.
    """
    number = number_of(guess, "guess")
    if number <= 0:
        raise Unanswered(f"A guess is a number above 0, here {of}. Guess again: it is not judged.")
    if share and number > 1:
        meant = f"did you mean {number / 100:g}?" if number <= 100 else "guess again."
        raise Unanswered(f"Your guess is {number:g}, and a share lies from 0 to 1: {meant}")


def function_of(answer: object, name: str) -> Callable[..., Any]:
    """Something that can be called. Raises Unanswered, NotYet."""
    if is_blank(answer):
        raise Unanswered
    if not callable(answer):
        raise NotYet(f"{name}: {shown(answer)} cannot be called; give the function itself, without ().")
    return answer


def called(function: Callable[..., Any], *arguments: Any, told: str = "", kept: str = "") -> Any:
    """What a learner's function gives back. Raises Unanswered where that is None, NotYet with what it died of.

    told: the arguments in words, where they are too long to be shown. kept: what of them must stay as it is, in words:
    the function then gets copies, and NotYet is raised where it changes one.
    """
    given = deepcopy(arguments) if kept else arguments
    found, error = tried(function, *given)
    if error is not None:
        told = told or ", ".join(map(shown, arguments))
        raise NotYet(f"Called with ({told}), your function stops with {told_error(error)}")
    if found is None:
        raise Unanswered("The function gives nothing back yet.")
    if kept and not is_same(given, arguments):
        raise NotYet(f"Your function changes {kept} that it is given: work on a copy.")
    return found


def tried(function: Callable[..., Any], *arguments: Any) -> tuple[Any, BaseException | None]:
    """What a learner's function gives back, and what it died of, for which any way is possible."""
    try:
        return function(*arguments), None
    except (Exception, SystemExit) as error:
        return None, error


def told_error(error: BaseException) -> str:
    """An error in half a sentence: "ValueError: what it says."."""
    said = one_line(error, 150).rstrip(".")
    return f"{type(error).__name__}{': ' if said else ''}{said}."


def shown(value: object) -> str:
    """A value as it stands in a sentence: on one line, and short."""
    return one_line(repr(value), 60)


def one_line(text: object, most: int) -> str:
    """A text on one line, of at most so many characters."""
    return shortened(" ".join(str(text).split()), most)


def tensor_of(value: object, name: str) -> Tensor:
    """An array, a list or a tensor of numbers as a tensor of float64. Raises NotYet for what is none."""
    import torch

    try:
        return torch.as_tensor(value).detach().cpu().double()
    except Exception:
        raise NotYet(f"{name} = {shown(value)} is no tensor of numbers.") from None


def is_close(found: float, expected: float, relative: float = 0.01) -> bool:
    """Whether two numbers agree within a share of the larger one."""
    return math.isclose(found, expected, rel_tol=relative, abs_tol=1e-12)


def nearly(relative: float) -> Callable[[float, float], bool]:
    """is_close within this share."""
    return partial(is_close, relative=relative)


def known_mistake(found: Any, wrong: Mapping[str, Any], same: Callable[[Any, Any], bool] = is_close) -> str:
    """The words for the mistake that gives what was found, or nothing: of numbers the nearest, else the first.

    wrong: by the words for a mistake what it gives, several such in a tuple. same: whether two values agree.
    """
    near = [
        (abs(found - value) if isinstance(found, Real) else 0, words)
        for words, values in wrong.items()
        for value in (values if isinstance(values, tuple) else (values,))
        if same(found, value)
    ]
    return min(near, key=itemgetter(0))[1] if near else ""


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are equal, be they arrays, tensors, or lists and dicts of such."""
    if isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[name], other[name]) for name in other)
    if isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(is_same, one, other))
    if hasattr(other, "shape"):
        return bool(one.shape == other.shape and (one == other).all())
    return bool(one == other)


def is_blank(answer: object) -> bool:
    """Whether nothing was written: None, ..., an empty text or collection, or a collection of nothing else."""
    if answer is None or answer is ...:
        return True
    if isinstance(answer, str):
        return not answer.strip()
    if isinstance(answer, tuple | list):
        return all(map(is_blank, answer))
    return isinstance(answer, dict) and all(map(is_blank, answer.values()))
