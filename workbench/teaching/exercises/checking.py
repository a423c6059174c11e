"""`check` an answer, get a `hint`, see your `progress`; all kept in the learner's record. No torch."""

from __future__ import annotations

import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import numpy as np

from workbench.teaching.exercises.answers import number_of
from workbench.teaching.exercises.catalogue import LESSONS, exercises, find_exercise
from workbench.teaching.exercises.exercise import HINTS, Exercise, NotYet, Unanswered
from workbench.teaching.exercises.notebook_html import lesson_table, paragraph
from workbench.teaching.learner import LearnerRecord, open_record
from workbench.wording import describe_error, shorten

State = Literal["passed", "not yet", "not answered yet", "read by a person"]

_MARKS: dict[State, str] = {"passed": "✓", "not yet": "✗", "not answered yet": "○", "read by a person": "○"}


class NotPassedError(AssertionError):
    """Raised when grading an answer that has not passed."""


@dataclass(frozen=True)
class Verdict:
    """The result of checking an answer. message: why, in a sentence or two."""

    id: str
    state: State
    message: str
    points: int
    max_points: int

    @property
    def passed(self) -> bool:
        """Whether the answer is right."""
        return self.state == "passed"

    def require(self) -> None:
        """Raise NotPassedError unless the answer passed, so that an autograder gives no points."""
        if not self.passed:
            raise NotPassedError(str(self))

    def __repr__(self) -> str:
        if self.state == "read by a person":
            return f"{_MARKS[self.state]} {self.id}: {self.message}"
        result = f"{self.state} ({self.points} of {_points(self.max_points)})"
        return f"{_MARKS[self.state]} {self.id}: {result}. {self.message}".rstrip()

    def _repr_html_(self) -> str:
        return paragraph(repr(self), bold=self.state)


@dataclass(frozen=True)
class Hint:
    """One of the HINTS steps of help with an exercise."""

    id: str
    step: int
    text: str

    def __repr__(self) -> str:
        last = " That is the last one." if self.step == HINTS else ""
        return f"{self.id}, hint {self.step} of {HINTS}: {self.text}{last}"

    def _repr_html_(self) -> str:
        return paragraph(repr(self))


@dataclass(frozen=True)
class Progress:
    """The exercises passed so far.

    rows: for each lesson its number, title, exercises passed and in all, points likewise. argued: ids of the exercises
    that a person grades. problem: what is wrong with the record, if anything.
    """

    rows: tuple[tuple[str, str, int, int, int, int], ...]
    argued: tuple[str, ...] = ()
    problem: str = ""

    def __repr__(self) -> str:
        width = max(len(title) for _, title, *_ in self.rows)
        lines = [
            f"{number}  {title:{width}}  {'■' * passed}{'□' * (count - passed)}  {passed} of {count} exercises, "
            f"{points} of {max_points} points"
            for number, title, passed, count, points, max_points in self.rows
        ]
        return "\n".join([*lines, *self._sentences()])

    def _repr_html_(self) -> str:
        return lesson_table(self.rows) + "".join(map(paragraph, self._sentences()))

    @property
    def total(self) -> tuple[int, int, int, int]:
        """Over all lessons: exercises passed and in all, points likewise."""
        passed, count, points, max_points = (
            sum(column) for column in zip(*(row[2:] for row in self.rows), strict=True)
        )
        return passed, count, points, max_points

    def _sentences(self) -> list[str]:
        passed, count, points, max_points = self.total
        lines = [f"In all {passed} of {count} exercises, {points} of {max_points} points."]
        if self.argued:
            each = (f"{id} ({_points(exercises()[id].points)})" for id in self.argued)
            lines.append(f"Not counted here: {', '.join(each)}, read by your teacher.")
        return [*lines, self.problem] if self.problem else lines


def check(id: str, answer: Any = None, *, record: LearnerRecord | Path | str | None = None) -> Verdict:
    """Check an answer and keep the result in the learner's record. A wrong answer gets a hint that fits the mistake.

    record: by default the learner's usual one. Raises WorkbenchError for an unknown exercise and for nothing else,
    whatever the answer is.

    >>> wb.check("00-overtake", 16, record="learner.json").state
    'not yet'
    >>> wb.check("00-overtake", 64, record="learner.json")
    ✓ 00-overtake: passed (1 of 1 point). One image at a time, ...
    """
    exercise = find_exercise(id)
    record = open_record(record)
    state, message = _judged(exercise.check, answer)
    points = exercise.points if state == "passed" else 0
    if state == "passed":
        message = exercise.learned
    if state in ("passed", "not yet"):
        facts = {"state": state, "answer": shorten(_format_answer(answer), 300), "words": message, "points": points}
        facts |= _guess(exercise, answer) | _tries(record, id)
        record.note("answered", id, key=("state",), **facts)
    if record.problem:
        message = f"{message} {record.problem}".strip()
    return Verdict(id, state, message, points, exercise.points)


def hint(id: str, *, record: LearnerRecord | Path | str | None = None) -> Hint:
    """Return the next of HINTS steps of help with an exercise; the last one is repeated.

    Raises WorkbenchError for an unknown exercise.

    >>> wb.hint("00-typical", record="learner.json")
    00-typical, hint 1 of 3: What did the trap show about the very first call?
    """
    exercise = find_exercise(id)
    record = open_record(record)
    step = min(HINTS, 1 + max((entry.get("step", 0) for entry in record.find("hinted", id)), default=0))
    record.note("hinted", id, key=("step",), step=step)
    return Hint(id, step, exercise.hints[step - 1])


def progress(*, record: LearnerRecord | Path | str | None = None) -> Progress:
    """Return the learner's progress, lesson by lesson; argued exercises, which a person grades, are only named.

    >>> wb.progress(record="learner.json")
    00  Start here        □□  0 of 2 exercises, 0 of 3 points
    ...
    """
    record = open_record(record)
    entries = record.entries
    passed = {entry["id"] for entry in entries if entry["kind"] == "answered" and entry.get("state") == "passed"}
    rows = []
    for number, (title, _) in LESSONS.items():
        own = [each for each in exercises().values() if each.lesson == number and each.check is not None]
        done = [each for each in own if each.id in passed]
        points = sum(each.points for each in done), sum(each.points for each in own)
        rows.append((number, title, len(done), len(own), *points))
    argued = tuple(each.id for each in exercises().values() if each.check is None)
    return Progress(tuple(rows), argued, record.problem)


def _judged(judge: Callable[[Any], None] | None, answer: object) -> tuple[State, str]:
    if judge is None:
        return (
            "read by a person",
            "A person reads this one: write it in the cell below the task. There is nothing to check here.",
        )
    try:
        # Output and warnings of a learner's function would bury the verdict.
        with _restored_state(), warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            judge(answer)
    except Unanswered as missing:
        return "not answered yet", str(missing)
    except NotYet as mistake:
        return "not yet", str(mistake)
    except (Exception, SystemExit) as error:  # whatever the answer is, the learner gets a sentence
        return "not yet", f"This answer cannot be read ({describe_error(error)}). Read the task again."
    return "passed", ""


@contextmanager
def _restored_state() -> Iterator[None]:
    """Restore the global random and gradient states, which a learner's function may change."""
    state, numpy_state = random.getstate(), np.random.get_state()
    with ExitStack() as stack:
        if (torch := sys.modules.get("torch")) is not None:
            stack.enter_context(torch.random.fork_rng(devices=[]))
            stack.enter_context(torch.enable_grad())
        try:
            yield
        finally:
            random.setstate(state)
            np.random.set_state(numpy_state)


def _guess(exercise: Exercise, answer: object) -> dict[str, Any]:
    """The guess made before the measurement, if the answer starts with one."""
    if exercise.kind != "predict" or not isinstance(answer, tuple | list):
        return {}
    try:
        return {"guess": number_of(answer[0])}
    except Exception:  # no number: the check has reported it
        return {}


def _tries(record: LearnerRecord, id: str) -> dict[str, Any]:
    """The number of tries until the exercise was passed; nothing if an older workbench did not count them."""
    before = record.find("answered", id)
    counted = [entry["tries"] for entry in before if isinstance(entry.get("tries"), int)]
    if len(counted) < len(before):
        return {}
    passed = any(entry.get("state") == "passed" for entry in before)
    return {"tries": max(counted, default=0) + (not passed)}


def _points(count: int) -> str:
    return f"{count} point{'s' if count > 1 else ''}"


def _format_answer(answer: object) -> str:
    if isinstance(answer, tuple | list) and any(map(callable, answer)):
        return ", ".join(map(_format_answer, answer))
    try:
        name = getattr(answer, "__qualname__", None)
        return f"the function {name}" if callable(answer) and isinstance(name, str) else repr(answer)
    except Exception:  # the learner's own object may raise
        return type(answer).__name__
