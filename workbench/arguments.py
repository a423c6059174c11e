"""Arguments that a person gives, looked at before anything is done with them. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterable
from numbers import Real
from pathlib import Path
from typing import Any, TypeVar

from workbench.errors import WorkbenchError
from workbench.sealed import shortened

T = TypeVar("T")


def whole_number(name: str, value: object, low: int, high: int) -> int:
    """`value`, a whole number from `low` to `high`. Raises WorkbenchError that names it for anything else."""
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise WorkbenchError(f"{name} = {shortened(repr(value))}: must be a whole number from {low:,} to {high:,}.")


def above_zero(name: str, value: object, most: float = math.inf) -> float:
    """`value`, a finite number above 0, at most `most`. Raises WorkbenchError that names it for anything else."""
    if isinstance(value, Real) and not isinstance(value, bool) and 0 < float(value) <= most and value != math.inf:
        return float(value)
    limit = "" if most == math.inf else f" and of at most {most:,}"
    raise WorkbenchError(f"{name} = {shortened(repr(value))}: must be a number above 0{limit}.")


def text(name: str, value: object) -> str:
    """`value`, a text, which may be empty. Raises WorkbenchError that names it for anything else."""
    if isinstance(value, str):
        return value
    raise WorkbenchError(f"{name} = {shortened(repr(value))}: must be a text.")


def all_of(name: str, values: object, kind: type[T]) -> tuple[T, ...]:
    """`values`, several of one kind. Raises WorkbenchError that names them for anything else."""
    given: Any = values if isinstance(values, Iterable) and not isinstance(values, str | bytes) else (values,)
    found = tuple(given)
    for value in found:
        if not isinstance(value, kind):
            raise WorkbenchError(f"{name}: {shortened(repr(value))} is no {kind.__name__}; give a list of them.")
    return found


def path(name: str, value: object) -> Path:
    """`value` as a path, ~ being the home of the user. Raises WorkbenchError for what cannot be one."""
    if isinstance(value, Path | str) and str(value) and "\0" not in str(value):
        try:
            return Path(value).expanduser()
        except RuntimeError as error:  # ~name of nobody
            raise WorkbenchError(f"{name} = {shortened(repr(str(value)))}: {error}") from error
    raise WorkbenchError(f"{name} = {shortened(repr(value))}: must be the path of a file or folder.")
