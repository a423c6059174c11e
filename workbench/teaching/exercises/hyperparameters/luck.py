"""01-luck: which changes move a result further than another seed does."""

from __future__ import annotations

import operator
import random
from statistics import mean

from workbench.teaching.exercises.answers import is_blank, known_mistake, shown
from workbench.teaching.exercises.exercise import Exercise, NotYet, Unanswered

# How far each run is from the base with the same seed, in units of the base's spread.
_SHIFTS = {
    "rate × 0.5": (1.35, 1.6, 1.85),
    "width × 2": (0.35, 0.5, 0.65),
    "batch × 4": (-2.6, -1.9, -2.3),
    "momentum 0.95": (1.75, 0.2, 0.1),
    "smoothing 0.1": (4.6, -0.25, 0.5),
    "decay × 4": (-0.6, 0.2, -0.1),
}


def made_up_runs() -> dict[str, tuple[float, ...]]:
    """Validation accuracies with the seeds 0, 1 and 2, for "base" and each change: made up, and always the same."""
    draw = random.Random(3)
    base = tuple(0.78 + step + draw.uniform(-0.001, 0.001) for step in (0.004, -0.008, 0.006))
    spread = max(base) - min(base)
    runs = {"base": base}
    for name, shifts in _SHIFTS.items():
        noise = [draw.uniform(-0.04, 0.04) for _ in base]
        runs[name] = tuple(
            start + spread * (shift + more) for start, shift, more in zip(base, shifts, noise, strict=True)
        )
    return {name: tuple(round(value, 4) for value in values) for name, values in runs.items()}


def _check_luck(answer: object) -> None:
    if is_blank(answer) and answer != []:  # an empty list is an answer: no change moved more than luck
        raise Unanswered
    runs = made_up_runs()
    base = runs.pop("base")
    given = _names(answer, tuple(runs))
    spread = max(base) - min(base)
    differences = {
        name: [end - start for end, start in zip(values, base, strict=True)] for name, values in runs.items()
    }
    far = {name for name, each in differences.items() if abs(mean(each)) > spread}
    agreed = {name for name, each in differences.items() if min(each) * max(each) > 0}
    right = far & agreed
    if given == right:
        return
    wrong = {
        "Those are all whose three runs point the same way. That alone is not enough: how far do they move, compared "
        "with the base's own runs?": agreed,
        "Those are all whose mean is far enough away. Now look at the three runs of each, next to the base with the "
        "same seed: do they all agree?": far,
        "You have found the improvements. A change for the worse has moved as well.": {
            name for name in right if mean(differences[name]) > 0
        },
        "Those are all with one run far away. A single run is itself a draw of luck: compare the means.": {
            name for name, each in differences.items() if max(map(abs, each)) > spread
        },
        "Those are all whose mean is better than the base's, however little. What do the base's own runs say about "
        "so small a difference?": {name for name, each in differences.items() if mean(each) > 0},
        "Those are the ones that luck explains; the task asks for the others.": set(runs) - right,
    }
    raise NotYet(known_mistake(given, wrong, operator.eq, otherwise=_luck_of_one(given, right, far)))


def _luck_of_one(given: set[str], right: set[str], far: set[str]) -> str:
    for name in sorted(given - right):
        if name in far:
            return f"Look at '{name}' run by run, each next to the base with the same seed: do all three agree?"
        return f"Measure '{name}': is its mean further from the base's mean than the base's best run from its worst?"
    if not given:
        return "You name none, but at least one of them moved by more than luck."
    return f"What you have is right, but not complete: {len(given)} so far. A change may also be for the worse."


def _names(answer: object, known: tuple[str, ...]) -> set[str]:
    if hasattr(answer, "tolist"):
        answer = answer.tolist()
    if not isinstance(answer, list | tuple | set | frozenset):
        raise NotYet('Give the names in a list, such as ["width × 2", …].')
    for name in answer:
        if name == "base":
            raise NotYet("'base' is what the changes are compared with: it cannot move from itself.")
        if name not in known:
            raise NotYet(f"{shown(name)} is not one of the changes: {', '.join(map(repr, known))}.")
    return set(answer)


EXERCISE = Exercise(
    id="01-luck",
    title="What moved more than luck?",
    kind="read",
    level="core",
    hints=(
        "How far apart are the three runs of the base, where nothing but the seed was changed?",
        "Two questions for each change: is its mean further from the base's mean than that, up or down; and is "
        "each of its runs on the same side of the base with the same seed?",
        "The spread is `max(base) - min(base)`. For each change, subtract the base from it seed by seed: the mean "
        "of the three differences must be larger than the spread, and all three must have the same sign.",
    ),
    learned="A mean beyond the spread of the seeds, and every seed agrees: that is more than luck.",
    check=_check_luck,
)
