"""Which files are opened while something runs, as Python's own audit tells it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

_listening: list[list[Any]] = []


@contextmanager
def files_opened() -> Iterator[list[Any]]:
    """What is opened within, as it was named, in a list that grows."""
    _hook()
    opened: list[Any] = []
    _listening.append(opened)
    try:
        yield opened
    finally:
        _listening[:] = [each for each in _listening if each is not opened]


@cache
def _hook() -> None:
    sys.addaudithook(_note)  # once, since Python never takes one away


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open":
        for opened in _listening:
            opened.append(arguments[0])
