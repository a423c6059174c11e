"""The definition of an exercise, and the exceptions with which its check rejects an answer. No torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["predict", "function", "search", "read", "fix", "shrink", "refuse", "argue"]
Level = Literal["warm-up", "core", "stretch"]

HINTS = 3
POINTS: dict[Level, int] = {"warm-up": 1, "core": 2, "stretch": 3}


class NotYet(Exception):
    """A wrong answer. The message is a hint for this particular mistake and does not give the answer away."""


class Unanswered(Exception):
    """A missing or incomplete answer. The message names what is missing, or is empty."""


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """An exercise. id: the lesson's number, then a name: "01-memory". hints: HINTS steps, each giving more away.

    check: is called with the answer; returns None if it is right, else raises NotYet or Unanswered. Any other exception
    is reported as an answer that cannot be read. None for an argued exercise, which a person grades. learned: one
    sentence on what a right answer shows.
    """

    id: str
    title: str
    kind: Kind
    level: Level
    hints: tuple[str, str, str]
    learned: str = ""
    check: Callable[[Any], None] | None = None

    @property
    def points(self) -> int:
        """Points for a right answer."""
        return POINTS[self.level]

    @property
    def lesson(self) -> str:
        """The lesson's number, such as "01"."""
        return self.id[:2]
