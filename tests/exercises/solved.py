"""An exercise as a notebook has it: its answer cell, its check cell, and the reference solution that goes between."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from workbench.exercises.checking import Verdict, check

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Cells:
    """The sources of an exercise's cells; check and solution are empty for one that is argued."""

    task: str
    answer: str
    check: str
    solution: str


@cache
def cells() -> dict[str, Cells]:
    """By the exercise's id."""
    solutions = {}
    for path in sorted((ROOT / "tests" / "solutions").glob("*.py")):
        for part in path.read_text(encoding="utf-8").split("\n# %% ")[1:]:
            name, _, code = part.partition("\n")
            solutions[name.strip()] = code.strip() + "\n"
    found: dict[str, str] = {}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            marked = cell["metadata"].get("nbgrader")
            if marked:
                found[marked["grade_id"]] = "".join(cell["source"])
    return {
        name.removesuffix("-task"): Cells(
            task,
            found.get(name.removesuffix("-task"), ""),
            found.get(name.removesuffix("-task") + "-check", ""),
            solutions.get(name.removesuffix("-task"), ""),
        )
        for name, task in found.items()
        if name.endswith("-task")
    }


def mistakes(wrong: list[tuple[str, Any, str]]) -> Any:
    """A test that each of these answers to an exercise, by its id, is turned down in words that fit it."""

    @pytest.mark.parametrize(("id", "answer", "said"), wrong)
    def test(id: str, answer: Any, said: str) -> None:
        verdict = check(id, answer)
        assert verdict.state == "not yet", verdict
        assert said in verdict.words

    return test


def right_answers(right: list[tuple[str, Any]]) -> Any:
    """A test that each of these answers to an exercise, by its id, passes."""

    @pytest.mark.parametrize(("id", "answer"), right)
    def test(id: str, answer: Any) -> None:
        verdict = check(id, answer)
        assert verdict.passed, verdict

    return test


def run(id: str, *sources: str) -> Verdict:
    """What the check cell says after the answer cell and these sources; each exercise stands alone."""
    space: dict[str, Any] = {"__name__": "__main__"}
    exec("import workbench as wb", space)
    for source in (cells()[id].answer, *sources):
        exec(source, space)
    exec(f"verdict = {cells()[id].check}", space)
    verdict = space["verdict"]
    assert isinstance(verdict, Verdict)
    return verdict
