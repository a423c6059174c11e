"""Validate user-supplied arguments before any work starts. No torch.

NumPy's scalars count as the Python values they hold, and every result is a plain Python value.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable
from numbers import Real
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from workbench.errors import WorkbenchError
from workbench.wording import shorten

T = TypeVar("T")


def plain(value: Any) -> Any:
    """Return the Python value that a NumPy scalar holds, and any other value unchanged.

    >>> plain(np.int64(3)), plain(np.bool_(True)), plain("cat")
    (3, True, 'cat')
    """
    numpy = sys.modules.get("numpy")  # where it was never imported, there are no such scalars
    return value.item() if numpy is not None and isinstance(value, numpy.generic) else value


def whole_number(name: str, value: object, low: int, high: float = math.inf) -> int:
    """Return `value` as an int from `low` to `high`; raise WorkbenchError, naming it, for anything else."""
    given = plain(value)
    if isinstance(given, int) and not isinstance(given, bool) and low <= given <= high:
        return given
    _refuse(name, given, f"a whole number {_range(low, high)}")


def number(name: str, value: object, low: float, high: float = sys.float_info.max) -> float:
    """Return `value` as a finite float from `low` to `high`; raise WorkbenchError, naming it, for anything else."""
    given = plain(value)
    if _is_real(given) and low <= given <= high:
        return float(given)
    _refuse(name, given, f"a number {_range(low, high)}")


def above_zero(name: str, value: object, most: float = sys.float_info.max) -> float:
    """Return `value` as a finite float above 0 and at most `most`; raise WorkbenchError, naming it, for anything else.

    >>> above_zero("seconds", 0)
    Traceback (most recent call last):
    workbench.errors.WorkbenchError: seconds = 0: must be a number above 0.
    """
    given = plain(value)
    if _is_real(given) and 0 < given <= most:
        return float(given)
    _refuse(name, given, "a number above 0" + ("" if most == sys.float_info.max else f" and of at most {most:,}"))


def boolean(name: str, value: object) -> bool:
    """Return `value`, which must be true or false; raise WorkbenchError, naming it, for anything else."""
    given = plain(value)
    if isinstance(given, bool):
        return given
    _refuse(name, given, "true or false")


def text(name: str, value: object) -> str:
    """Return `value`, a possibly empty string; raise WorkbenchError, naming it, for anything else."""
    if isinstance(value, str):
        return str(value)
    _refuse(name, value, "text")


def one_of(name: str, value: object, choices: Iterable[str]) -> str:
    """Return `value`, one of `choices`; raise WorkbenchError, naming it and them, for anything else."""
    known = tuple(choices)
    if isinstance(value, str) and value in known:
        return str(value)
    _refuse(name, value, f"one of {', '.join(known)}")


def all_of(name: str, values: object, kind: type[T]) -> tuple[T, ...]:
    """Return `values` as a tuple, all of type `kind`; raise WorkbenchError, naming the first that is not."""
    given: Any = values if isinstance(values, Iterable) and not isinstance(values, str | bytes) else (values,)
    found = tuple(plain(value) for value in given)
    for value in found:
        if not isinstance(value, kind):
            raise WorkbenchError(f"{name}: {shorten(repr(value))} is not of type {kind.__name__}; give a list of them.")
    return found


def path(name: str, value: object) -> Path:
    """Return `value` as a path with ~ expanded; raise WorkbenchError, naming it, for what cannot be one."""
    if isinstance(value, Path | str) and str(value) and "\0" not in str(value):
        try:
            return Path(value).expanduser()
        except RuntimeError as error:  # ~name of an unknown user
            raise WorkbenchError(f"{name} = {shorten(repr(str(value)))}: {error}") from error
    _refuse(name, value, "the path of a file or folder")


def _is_real(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _range(low: float, high: float) -> str:
    unbounded = high in (math.inf, sys.float_info.max)
    return f"of at least {low:,}" if unbounded else f"from {low:,} to {high:,}"


def _refuse(name: str, value: object, expected: str) -> NoReturn:
    raise WorkbenchError(f"{name} = {shorten(repr(value))}: must be {expected}.")
