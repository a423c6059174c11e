"""`check` an answer, get a `hint`, see your `progress`: kept in the learner's record. No torch."""

from __future__ import annotations

import warnings
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any, Literal

from workbench.exercises.answers import number_of
from workbench.exercises.catalogue import LESSONS, exercises, find_exercise
from workbench.exercises.exercise import HINTS, Exercise, NotYet, Unanswered
from workbench.exercises.wrapped import lesson_table, paragraphs
from workbench.learner import LearnerRecord
from workbench.sealed import shortened

State = Literal["passed", "not yet", "not answered yet", "read by a person"]

_MARKS: dict[State, str] = {"passed": "✓", "not yet": "✗", "not answered yet": "○", "read by a person": "○"}


class NotPassedError(AssertionError):
    """An answer that is not right, where only a right one may go on: when it is graded."""


@dataclass(frozen=True)
class Verdict:
    """What came of an answer. points: of `of`; words: why, in a sentence or two."""

    id: str
    state: State
    words: str
    points: int
    of: int

    @property
    def passed(self) -> bool:
        """Whether the answer is right."""
        return self.state == "passed"

    def require(self) -> None:
        """Raise NotPassedError unless it passed; an autograder gives no points then."""
        if not self.passed:
            raise NotPassedError(str(self))

    def __repr__(self) -> str:
        said = f"{self.state} ({self.points if self.passed else 0} of {_points(self.of)}). "
        if self.state == "read by a person":
            said = ""
        return f"{_MARKS[self.state]} {self.id}: {said}{self.words}".rstrip()

    def _repr_html_(self) -> str:
        return paragraphs(repr(self), bold=self.state)


@dataclass(frozen=True)
class Hint:
    """One of the steps of help to an exercise."""

    id: str
    step: int
    words: str

    def __repr__(self) -> str:
        last = " That is the last one." if self.step == HINTS else ""
        return f"{self.id}, hint {self.step} of {HINTS}: {self.words}{last}"

    def _repr_html_(self) -> str:
        return paragraphs(repr(self))


@dataclass(frozen=True)
class Progress:
    """What was passed so far. rows: of each lesson number, title, exercises passed and given, points likewise."""

    rows: tuple[tuple[str, str, int, int, int, int], ...]
    argued: tuple[str, ...] = ()  # ids of those that a person grades
    said: str = ""

    def __repr__(self) -> str:
        width = max(len(title) for _, title, *_ in self.rows)
        lines = [
            f"{number}  {title:{width}}  {'■' * done}{'□' * (given - done)}  {done} of {given} exercises, "
            f"{points} of {most} points"
            for number, title, done, given, points, most in self.rows
        ]
        return "\n".join([*lines, *self._sentences()])

    def _repr_html_(self) -> str:
        return lesson_table(self.rows) + "".join(map(paragraphs, self._sentences()))

    @property
    def total(self) -> tuple[int, int, int, int]:
        """Of all lessons together: exercises passed and given, points likewise."""
        done, given, points, most = (sum(counts) for counts in zip(*(row[2:] for row in self.rows), strict=True))
        return done, given, points, most

    def _sentences(self) -> list[str]:
        done, given, points, most = self.total
        said = [f"In all {done} of {given} exercises, {points} of {most} points."]
        if self.argued:
            each = (f"{id} ({_points(exercises()[id].points)})" for id in self.argued)
            said.append(f"Not counted here: {', '.join(each)}, read by your teacher.")
        return [*said, self.said] if self.said else said


def check(id: str, answer: Any = None, *, record: LearnerRecord | None = None) -> Verdict:
    """Judge an answer: passed, or not yet, with a hint that fits the mistake. It is kept in the learner's record.

    Raises WorkbenchError for an exercise that does not exist, and nothing else, whatever the answer is.
    """
    exercise = find_exercise(id)
    record = record or LearnerRecord()
    state, words = _judged(exercise.check, answer)
    points = exercise.points if state == "passed" else 0
    if state == "passed":
        words = exercise.learned
    if state in ("passed", "not yet"):
        facts = {"state": state, "answer": shortened(_told(answer), 300), "words": words, "points": points}
        facts |= _guess(exercise, answer) | _tries(record, id)
        record.note("answered", id, once=("state",), **facts)
    if record.said:
        words = f"{words} {record.said}".strip()
    return Verdict(id, state, words, points, exercise.points)


def hint(id: str, *, record: LearnerRecord | None = None) -> Hint:
    """The next of HINTS steps of help to an exercise; the last is told again. Raises WorkbenchError for no exercise."""
    exercise = find_exercise(id)
    record = record or LearnerRecord()
    step = min(HINTS, 1 + max((entry.get("step", 0) for entry in record.of("hinted", id)), default=0))
    record.note("hinted", id, once=("step",), step=step)
    return Hint(id, step, exercise.hints[step - 1])


def progress(*, record: LearnerRecord | None = None) -> Progress:
    """How far the learner has come, lesson by lesson; argued ones, which a person grades, are only named."""
    record = record or LearnerRecord()
    entries = record.entries
    passed = {entry["id"] for entry in entries if entry["kind"] == "answered" and entry.get("state") == "passed"}
    rows = []
    for number, (title, _) in LESSONS.items():
        given = [each for each in exercises().values() if each.lesson == number and each.check is not None]
        done = [each for each in given if each.id in passed]
        points = sum(each.points for each in done), sum(each.points for each in given)
        rows.append((number, title, len(done), len(given), *points))
    argued = tuple(each.id for each in exercises().values() if each.check is None)
    return Progress(tuple(rows), argued, record.said)


def _judged(judge: Any, answer: object) -> tuple[State, str]:
    if judge is None:
        return (
            "read by a person",
            "A person reads this one: write it in the cell below the task. There is nothing to check here.",
        )
    try:
        # What a learner's function prints, and what a library warns it of, would bury the verdict.
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            judge(answer)
    except Unanswered as missing:
        return "not answered yet", str(missing)
    except NotYet as mistake:
        return "not yet", str(mistake)
    except (Exception, SystemExit) as error:  # whatever an answer is, a learner gets a sentence
        reason = shortened(" ".join(str(error).split()), 120)
        return "not yet", f"This answer cannot be read ({type(error).__name__}: {reason}). Look again at what is asked."
    return "passed", ""


def _guess(exercise: Exercise, answer: object) -> dict[str, Any]:
    """The number that was guessed before anything was measured, where the answer begins with one."""
    if exercise.kind != "predict" or not isinstance(answer, tuple | list):
        return {}
    try:
        return {"guess": number_of(answer[0])}
    except Exception:  # whatever an answer is: that it holds no number is told by the check
        return {}


def _tries(record: LearnerRecord, id: str) -> dict[str, Any]:
    """How often it was answered until it passed; nothing where an older workbench has not counted."""
    before = record.of("answered", id)
    counted = [entry["tries"] for entry in before if isinstance(entry.get("tries"), int)]
    if len(counted) < len(before):
        return {}
    over = any(entry.get("state") == "passed" for entry in before)
    return {"tries": max(counted, default=0) + (not over)}


def _points(count: int) -> str:
    return f"{count} point{'s' if count > 1 else ''}"


def _told(answer: object) -> str:
    if isinstance(answer, tuple | list) and any(map(callable, answer)):
        return ", ".join(map(_told, answer))
    try:
        name = getattr(answer, "__qualname__", None)
        return f"the function {name}" if callable(answer) and isinstance(name, str) else repr(answer)
    except Exception:  # an object of the learner's own may fail at that, too
        return type(answer).__name__
