"""All exercises, lesson by lesson. No torch: a module of a lesson loads what it judges with when it judges."""

from __future__ import annotations

from difflib import get_close_matches
from functools import cache
from importlib import import_module

from workbench.errors import WorkbenchError
from workbench.exercises.exercise import Exercise
from workbench.sealed import shortened

LESSONS = {
    "00": ("Start here", "start"),
    "01": ("Hyper-parameters", "hyperparameters"),
    "02": ("GPU training", "training"),
    "03": ("Weight saving", "weights"),
    "04": ("CPU inference", "inference"),
    "05": ("Deployment", "deployment"),
}


class UnknownExercise(WorkbenchError):
    """There is no exercise of this id. A notebook shows the sentence alone: where to look is the cell itself."""

    def _render_traceback_(self) -> list[str]:  # IPython asks for it
        return [f"{type(self).__name__}: {self}"]


@cache
def exercises() -> dict[str, Exercise]:
    """Every exercise by its id, in the order of the lessons and, within one, from warm-up to stretch."""
    found = {}
    for number, (_, module) in LESSONS.items():
        for exercise in import_module(f"workbench.exercises.{module}").EXERCISES:
            assert exercise.lesson == number
            found[exercise.id] = exercise
    return found


def find_exercise(id: object) -> Exercise:
    """The exercise called `id`. Raises UnknownExercise, with those of its lesson or the nearest."""
    known = exercises()
    if isinstance(id, str) and id in known:
        return known[id]
    said = f"There is no exercise {shortened(repr(id))}."
    if own := [each for each in known if each.startswith(f"{str(id)[:2]}-")]:
        raise UnknownExercise(f"{said} Lesson {own[0][:2]} has {', '.join(own)}.")
    near = get_close_matches(str(id), known, 3, 0.3) or list(known)[:3]
    raise UnknownExercise(f"{said} There are {', '.join(near)} and others.")
