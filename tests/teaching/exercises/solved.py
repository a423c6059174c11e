"""The cells of an exercise in its notebook, its reference solution, and tests for lists of answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from workbench.teaching.exercises.checking import Verdict, check

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Cells:
    """The sources of an exercise's cells; check and solution are empty for an argued exercise."""

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
    """Return a test that each of these answers to an exercise, given by its id, gets the hint that fits it."""

    @pytest.mark.parametrize(("id", "answer", "hint"), wrong)
    def test(id: str, answer: Any, hint: str) -> None:
        verdict = check(id, answer)
        assert verdict.state == "not yet", verdict
        assert hint in verdict.message

    return test


def right_answers(right: list[tuple[str, Any]]) -> Any:
    """Return a test that each of these answers to an exercise, given by its id, passes."""

    @pytest.mark.parametrize(("id", "answer"), right)
    def test(id: str, answer: Any) -> None:
        verdict = check(id, answer)
        assert verdict.passed, verdict

    return test


def run(id: str, *sources: str) -> Verdict:
    """Run the answer cell, these sources and the check cell in a new namespace, and return the verdict."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec("import workbench as wb", namespace)
    for source in (cells()[id].answer, *sources):
        exec(source, namespace)
    exec(f"verdict = {cells()[id].check}", namespace)
    verdict = namespace["verdict"]
    assert isinstance(verdict, Verdict)
    return verdict
