"""All exercises, lesson by lesson. No torch: an exercise imports what its check needs when it runs."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib import import_module

from workbench.errors import WorkbenchError
from workbench.teaching.exercises.exercise import Exercise
from workbench.wording import shorten

LESSONS = {
    "00": ("Start here", "start"),
    "01": ("Hyper-parameters", "hyperparameters"),
    "02": ("GPU training", "training"),
    "03": ("Weight saving", "weights"),
    "04": ("CPU inference", "inference"),
    "05": ("Deployment", "deployment"),
}


class UnknownExercise(WorkbenchError):
    """There is no exercise with this id. A notebook shows the message without a traceback."""

    def _render_traceback_(self) -> list[str]:  # called by IPython
        return [f"{type(self).__name__}: {self}"]


@cache
def exercises() -> dict[str, Exercise]:
    """Return all exercises by id, in the order of the lessons, and in each from warm-up to stretch."""
    found = {}
    for number, (_, folder) in LESSONS.items():
        for exercise in import_module(f"workbench.teaching.exercises.{folder}").EXERCISES:
            assert exercise.lesson == number
            found[exercise.id] = exercise
    return found


def find_exercise(id: object) -> Exercise:
    """Return the exercise with this id. Raise UnknownExercise, listing those of its lesson or the closest ids."""
    known = exercises()
    if isinstance(id, str) and id in known:
        return known[id]
    message = f"There is no exercise {shorten(repr(id))}."
    if own := [each for each in known if each.startswith(f"{str(id)[:2]}-")]:
        raise UnknownExercise(f"{message} Lesson {own[0][:2]} has {', '.join(own)}.")
    close = get_close_matches(str(id), known, 3, 0.3) or list(known)[:3]
    raise UnknownExercise(f"{message} There are {', '.join(close)} and others.")
