"""Validate the fields of JSON objects that another machine may have written. No torch.

The checks have the form of those in `workbench.arguments`: check(name, value, *limits) raises WorkbenchError.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from workbench.errors import WorkbenchError
from workbench.wording import shorten

Fields = Mapping[str, tuple[Any, ...]]  # name of a field -> its check and the limits


def check_object(given: Any, fields: Fields, what: str) -> None:
    """Raise WorkbenchError unless `given` is an object with exactly these fields, whose values pass their checks."""
    check_names(given, fields, what)
    check_values(given, fields, what)


def check_names(given: Any, fields: Fields, what: str, required: Iterable[str] | None = None) -> None:
    """Raise WorkbenchError unless `given` is an object with only known fields and all `required` ones (None: all)."""
    json_object(what, given)
    if unknown := sorted(map(str, given.keys() - fields.keys())):
        raise WorkbenchError(f"{what}: the key {shorten(unknown[0])!r} is unknown. Known are: {', '.join(fields)}.")
    if missing := [name for name in (fields if required is None else required) if name not in given]:
        raise WorkbenchError(f"{what}: the key {missing[0]!r} is missing.")


def check_values(given: Mapping[str, Any], fields: Fields, what: str) -> None:
    """Raise WorkbenchError, naming field and value, for the first value that fails its check."""
    for name, (check, *limits) in fields.items():
        check(f"{what}: {name}", given[name], *limits)


def json_object(name: str, value: Any) -> None:
    """Raise WorkbenchError for anything but an object."""
    if not isinstance(value, Mapping):
        raise WorkbenchError(f"{name} = {shorten(repr(value))}: must be an object.")


def mapping_of(name: str, value: Any, keys: Collection[str] | None, check: Any, *limits: Any) -> None:
    """Raise WorkbenchError for anything but an object with `keys` (None: any) whose values pass `check`."""
    json_object(name, value)
    for key, each in value.items():
        line(f"a key of {name}", key, 500)
        if keys is not None and key not in keys:
            raise WorkbenchError(f"{name} = {shorten(repr(value))}: its keys must be among {', '.join(keys)}.")
        check(f"{name}: {key}", each, *limits)


def line(name: str, value: Any, length: int) -> None:
    """Raise WorkbenchError for anything but a printable, non-blank line of up to `length` characters."""
    if not (isinstance(value, str) and value.isprintable() and 0 < len(value.strip()) <= len(value) <= length):
        raise WorkbenchError(f"{name} = {shorten(repr(value))}: must be a line of 1 to {length} printable characters.")


def or_none(name: str, value: Any, check: Any, *limits: Any) -> None:
    """Apply `check` unless the value is None."""
    if value is not None:
        check(name, value, *limits)
