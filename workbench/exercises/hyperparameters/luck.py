"""01-luck: which changes move a result further than another seed does."""

from __future__ import annotations

import operator
import random
from statistics import mean

from workbench.exercises.answers import is_blank, known_mistake, shown
from workbench.exercises.exercise import Exercise, NotYet, Unanswered

# How far each run lies from the base of the same seed, in spreads of the base.
_MOVED = {
    "rate × 0.5": (1.35, 1.6, 1.85),
    "width × 2": (0.35, 0.5, 0.65),
    "batch × 4": (-2.6, -1.9, -2.3),
    "momentum 0.95": (1.75, 0.2, 0.1),
    "smoothing 0.1": (4.6, -0.25, 0.5),
    "decay × 4": (-0.6, 0.2, -0.1),
}


def made_up_runs() -> dict[str, tuple[float, ...]]:
    """Validation accuracies of the seeds 0, 1 and 2, made up but always the same: of "base", and of each change."""
    draw = random.Random(3)
    base = tuple(0.78 + step + draw.uniform(-0.001, 0.001) for step in (0.004, -0.008, 0.006))
    spread = max(base) - min(base)
    runs = {"base": base}
    for name, moved in _MOVED.items():
        noise = [draw.uniform(-0.04, 0.04) for _ in base]
        runs[name] = tuple(start + spread * (far + more) for start, far, more in zip(base, moved, noise, strict=True))
    return {name: tuple(round(value, 4) for value in values) for name, values in runs.items()}


def _check_luck(answer: object) -> None:
    if is_blank(answer) and answer != []:  # that none moved more would be an answer
        raise Unanswered
    runs = made_up_runs()
    base = runs.pop("base")
    given = _names(answer, tuple(runs))
    spread = max(base) - min(base)
    apart = {name: [end - start for end, start in zip(values, base, strict=True)] for name, values in runs.items()}
    far = {name for name, each in apart.items() if abs(mean(each)) > spread}
    agreed = {name for name, each in apart.items() if min(each) * max(each) > 0}
    right = far & agreed
    if given == right:
        return
    wrong = {
        "Those are all whose three runs point the same way. That alone is not enough: how far do they move, beside "
        "the base's own runs?": agreed,
        "Those are all whose mean lies far enough away. Now look at each one's three runs, beside the base of the same "
        "seed: does every one of them say the same?": far,
        "You have found those for the better. A change for the worse is moved as well.": {
            name for name in right if mean(apart[name]) > 0
        },
        "Those are all with one run far away. One run is a draw of luck itself: compare the means.": {
            name for name, each in apart.items() if max(map(abs, each)) > spread
        },
        "Those are all whose mean is better than the base's, by whatever little. What do the base's own runs tell of "
        "so little?": {name for name, each in apart.items() if mean(each) > 0},
        "Those are the ones that luck explains; the others are asked for.": set(runs) - right,
    }
    raise NotYet(known_mistake(given, wrong, operator.eq) or _luck_of_one(given, right, far))


def _luck_of_one(given: set[str], right: set[str], far: set[str]) -> str:
    for name in sorted(given - right):
        if name in far:
            return f"Look at '{name}' run by run, each beside the base of the same seed: do all three agree?"
        return f"Hold '{name}' to the yardstick: its mean from the base's mean, beside the base's best from its worst."
    if not given:
        return "You name none, and at least one of them moved by more than luck."
    return f"What you have is right, and not all: {len(given)} so far. A change may also be for the worse."


def _names(answer: object, known: tuple[str, ...]) -> set[str]:
    if hasattr(answer, "tolist"):
        answer = answer.tolist()
    if not isinstance(answer, list | tuple | set | frozenset):
        raise NotYet('Give the names in a list, such as ["width × 2", …].')
    for name in answer:
        if name == "base":
            raise NotYet("'base' is what the changes are held against: it cannot move from itself.")
        if name not in known:
            told = ", ".join(map(repr, known))
            raise NotYet(f"{shown(name)} is none of the changes: {told}.")
    return set(answer)


EXERCISE = Exercise(
    id="01-luck",
    title="What moved more than luck?",
    kind="read",
    level="core",
    hints=(
        "How far apart are the three runs of the base, where nothing but the seed was changed?",
        "Two questions for each change: is its mean further from the base's mean than that, up or down; and does "
        "each of its runs lie on the same side of the base of its own seed?",
        "The spread is `max(base) - min(base)`. For each change, subtract the base from it seed by seed: the mean "
        "of the three differences has to be larger than the spread, and all three of one sign.",
    ),
    learned="A mean beyond the spread of the seeds, and every seed says the same: that is more than luck.",
    check=_check_luck,
)
