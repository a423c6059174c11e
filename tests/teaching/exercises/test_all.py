"""Every exercise: its cells, their nbgrader metadata, and the verdicts on solved, blank and nonsense answers."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from teaching.exercises.solved import ROOT, cells, run

from workbench.teaching.exercises.catalogue import LESSONS, exercises
from workbench.teaching.exercises.checking import check

CHECKED = [id for id, exercise in exercises().items() if exercise.check is not None]
ARGUED = [id for id, exercise in exercises().items() if exercise.check is None]
NONSENSE: list[Any] = [
    object(),
    "\0",
    1j,
    float("nan"),
    -1,
    b"x",
    {"a": 1},
    [1, "x"],
    print,
    lambda: None,
    {1, 2},
    type,
]


def marked() -> list[tuple[Path, dict[str, Any]]]:
    """Every cell with nbgrader's mark, in the order of the notebooks."""
    found = []
    for path in sorted((ROOT / "notebooks").glob("0*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if "nbgrader" in cell["metadata"]:
                found.append((path, cell))
    return found


def test_notebooks_have_every_exercise_in_order() -> None:
    stand = [cell["metadata"]["nbgrader"]["grade_id"] for _, cell in marked()]
    wanted = []
    for id, exercise in exercises().items():
        wanted += [f"{id}-task", id, *([f"{id}-check"] if exercise.check else [])]
    assert stand == wanted
    for path, cell in marked():
        assert cell["metadata"]["nbgrader"]["grade_id"].startswith(path.name[:2])


def test_each_cell_has_valid_nbgrader_metadata() -> None:
    for _, cell in marked():
        mark = dict(cell["metadata"]["nbgrader"])
        name = mark.pop("grade_id")
        exercise = exercises()[re.sub("-(task|check)$", "", name)]
        task, argued = {"schema_version": 3, "task": False}, exercise.check is None
        if name.endswith("-task"):
            assert cell["cell_type"] == "markdown"
            assert mark == task | {"grade": False, "solution": False, "locked": True}
            assert cell["source"].startswith(f"### {exercise.title}\n")
            assert f"{exercise.points} point" in cell["source"]
            assert exercise.level in cell["source"].lower()
            assert f'wb.hint("{exercise.id}")' in cell["source"] or argued
        elif name.endswith("-check"):
            assert cell["cell_type"] == "code"
            assert mark == task | {"grade": True, "solution": False, "locked": True, "points": exercise.points}
            assert cell["source"].startswith(f'wb.check("{exercise.id}", ')
        else:
            assert cell["cell_type"] == ("markdown" if argued else "code")
            right = task | {"grade": argued, "solution": True, "locked": False}
            assert mark == (right | {"points": exercise.points} if argued else right)


@pytest.mark.parametrize("id", CHECKED)
def test_the_reference_solution_passes(id: str) -> None:
    verdict = run(id, cells()[id].solution)
    assert verdict.passed, verdict
    assert verdict.points == verdict.max_points > 0
    assert verdict.message, "what it has shown"


@pytest.mark.parametrize("id", CHECKED)
def test_a_blank_answer_is_not_answered_yet(id: str) -> None:
    for verdict in (run(id), check(id), check(id, ...), check(id, "")):
        assert verdict.state == "not answered yet", verdict
        assert not verdict.points


@pytest.mark.parametrize("id", CHECKED)
def test_nonsense_gets_a_sentence(id: str) -> None:
    for answer in NONSENSE:
        verdict = check(id, answer)
        assert verdict.state != "passed", answer
        assert "\n" not in verdict.message
        assert len(verdict.message) < 500
        assert verdict.state == "not answered yet" or len(verdict.message) > 10


@pytest.mark.parametrize("id", CHECKED)
def test_task_and_hints_contain_no_line_of_the_solution(id: str) -> None:
    exercise = exercises()[id]
    lines = [line.strip() for line in cells()[id].solution.splitlines() if len(line.strip()) > 15]
    said = " ".join((*exercise.hints, cells()[id].task, cells()[id].answer))
    assert not [line for line in lines if line in said and "import" not in line and not line.startswith("def ")]
    assert all(len(hint) > 20 for hint in exercise.hints)
    assert len(set(exercise.hints)) == 3


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_lesson_has_enough_exercises_of_increasing_difficulty(lesson: str) -> None:
    own = [exercise for exercise in exercises().values() if exercise.lesson == lesson]
    assert len(own) >= (2 if lesson == "00" else 4)
    order = ["warm-up", "core", "stretch"]
    places = [order.index(exercise.level) for exercise in own]
    assert places == sorted(places)


def test_every_kind_of_exercise_exists() -> None:
    kinds = Counter(exercise.kind for exercise in exercises().values())
    assert set(kinds) == {"predict", "function", "search", "read", "fix", "shrink", "refuse", "argue"}
    assert all(exercise.kind == "argue" for id, exercise in exercises().items() if id in ARGUED)
