"""What an exercise is, and how an answer to it is turned down. No torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["predict", "function", "search", "read", "mend", "shrink", "refuse", "argue"]
Level = Literal["warm-up", "core", "stretch"]

HINTS = 3
POINTS: dict[Level, int] = {"warm-up": 1, "core": 2, "stretch": 3}


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
    hints: tuple[str, str, str]
    learned: str = ""
    check: Callable[[Any], None] | None = None

    @property
    def points(self) -> int:
        """What a right answer earns."""
        return POINTS[self.level]

    @property
    def lesson(self) -> str:
        """Its number: "01"."""
        return self.id[:2]
