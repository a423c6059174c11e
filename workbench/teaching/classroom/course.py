"""Build an nbgrader course from the lessons' exercises, without nbgrader or torch.

    OUT/source/00_start_here/00_start_here.ipynb     with solutions and the tests that give points, for the teacher
    OUT/release/00_start_here/00_start_here.ipynb    without them, for the class
    OUT/nbgrader_config.py, OUT/README.md

The release is built separately, not by removing solutions from the source, so that no solution can get into it. A test
checks that nbgrader's own release is identical.
"""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workbench import arguments
from workbench.atomic import whole_folder
from workbench.errors import WorkbenchError
from workbench.teaching.classroom.notebooks import (
    Cell,
    Lesson,
    check_paired,
    id_of,
    mark_of,
    read_lessons,
    read_solutions,
)

COURSE = "workbench"
MADE = "# Made by `workbench classroom build`."
_OWN = {"README.md", "nbgrader_config.py", "source", "release"}


@dataclass(frozen=True)
class Assignment:
    """The exercises of one lesson. name: "00_start_here"; automatic, by_hand: points by how they are graded."""

    name: str
    title: str
    exercises: tuple[str, ...]
    automatic: int
    by_hand: int

    def __repr__(self) -> str:
        points = f"{self.automatic} points" + (f", {self.by_hand} more graded by hand" if self.by_hand else "")
        return f"{self.name}: {len(self.exercises)} exercises, {points}"


@dataclass(frozen=True)
class Course:
    """A course and its folder."""

    folder: Path
    assignments: tuple[Assignment, ...]


def build_course(out: Path | str, *, notebooks: Path | str, solutions: Path | str) -> Course:
    """Build the folder `out` atomically from the lessons in `notebooks` and the Python files in `solutions`.

    A course in `out` is replaced as long as nobody has worked in it. Raises WorkbenchError if a folder is missing or
    cannot be written, `out` holds anything else, a notebook is unreadable, exercises and solutions do not match, or a
    check cell does not call wb.check.
    """
    target = Path(os.path.realpath(arguments.path("out", out)))
    source, answers = arguments.path("notebooks", notebooks), arguments.path("solutions", solutions)
    lessons, known = read_lessons(source), read_solutions(answers)
    check_paired(lessons, known, answers)
    try:
        _check_replaceable(target)
        with whole_folder(target) as folder:
            assignments = tuple(_write_assignment(folder, lesson, known) for lesson in lessons)
            (folder / "nbgrader_config.py").write_text(_CONFIG, encoding="utf-8")
            readme = _README.format(assignments="\n".join(f"- {assignment!r}" for assignment in assignments))
            (folder / "README.md").write_text(readme, encoding="utf-8")
    except OSError as error:
        reason = error.strerror or error
        raise WorkbenchError(f"Cannot write {target}: {reason}. Free some space or choose another folder.") from error
    return Course(target, assignments)


def _check_replaceable(target: Path) -> None:
    """Raise WorkbenchError if building there would delete anything but an unused course."""
    if not target.exists():
        return
    if not target.is_dir():
        raise WorkbenchError(f"{target} is a file: name a folder for the course.")
    if Path.cwd().is_relative_to(target):
        raise WorkbenchError(f"You are inside {target}: name a new folder for the course, or change folder first.")
    names = {path.name for path in target.iterdir()}
    if names and not _is_course(target):
        raise WorkbenchError(f"{target} holds something other than a course built by this command: name a new folder.")
    if names - _OWN:
        raise WorkbenchError(
            f"{target} is in use (it holds {', '.join(sorted(names - _OWN)[:3])}): build into a new folder, and copy "
            "its source from there if the exercises have changed."
        )


def _is_course(folder: Path) -> bool:
    try:
        return (folder / "nbgrader_config.py").read_text(encoding="utf-8").startswith(MADE)
    except (OSError, ValueError):
        return False


def _write_assignment(course: Path, lesson: Lesson, solutions: dict[str, str]) -> Assignment:
    header = tuple(_header_cells(lesson))
    source = [*header, *(_source_cell(cell, solutions) for cell in lesson.cells)]
    release = [*header, *(_release_cell(cell) for cell in lesson.cells)]
    for part, cells in (("source", source), ("release", release)):
        folder = course / part / lesson.name
        folder.mkdir(parents=True)
        notebook = {"cells": cells, "metadata": _METADATA, "nbformat": 4, "nbformat_minor": 5}
        content = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        (folder / f"{lesson.name}.ipynb").write_text(content, encoding="utf-8")
    graded = [mark_of(cell) for cell in lesson.cells if mark_of(cell)["grade"]]
    return Assignment(
        lesson.name,
        lesson.title,
        tuple(id_of(cell) for cell in lesson.cells if mark_of(cell)["solution"]),
        automatic=sum(mark["points"] for mark in graded if not mark["solution"]),
        by_hand=sum(mark["points"] for mark in graded if mark["solution"]),
    )


def _header_cells(lesson: Lesson) -> Iterator[Cell]:
    """The title, the instructions, and the setup cell that every exercise needs."""
    for id, source in {"title": f"# {lesson.title}", "how-to": _how_to(lesson)}.items():
        yield {"cell_type": "markdown", "id": id, "metadata": {}, "source": source}
    mark = {"schema_version": 3, "task": False, "grade": False, "solution": False, "locked": True}
    yield _locked(
        {
            "cell_type": "code",
            "execution_count": None,
            "id": "setup",
            "metadata": {"nbgrader": {**mark, "grade_id": f"{lesson.name[:2]}-setup"}},
            "outputs": [],
            "source": _SETUP,
        }
    )


def _how_to(lesson: Lesson) -> str:
    answers = [cell for cell in lesson.cells if mark_of(cell)["solution"]]
    argued = any(mark_of(cell)["grade"] for cell in answers)
    example = id_of(answers[0]) if answers else "id"
    return _HOW_TO.format(name=lesson.name, id=example, unchecked=_UNCHECKED if argued else "")


def _source_cell(cell: Cell, solutions: dict[str, str]) -> Cell:
    """The teacher's version of a cell: the solution below the blank, a test that raises below the check."""
    mark, source = mark_of(cell), cell["source"]
    if mark["solution"] and cell["cell_type"] == "markdown":
        # Without the markers nbgrader would replace the whole cell, including the question.
        answer = solutions.get(id_of(cell), "A person grades this one, with the rubric of the teacher's guide.")
        source += f"\n\n<!-- BEGIN SOLUTION -->\n{answer}\n<!-- END SOLUTION -->"
    elif mark["solution"]:
        source += f"\n### BEGIN SOLUTION\n{solutions.get(id_of(cell), '')}\n### END SOLUTION"
    elif mark["grade"]:
        source += f"\n### BEGIN HIDDEN TESTS\n{_check_call(cell)}.require()\n### END HIDDEN TESTS"
    return _locked(cell | {"source": source})


def _release_cell(cell: Cell) -> Cell:
    """The students' version of a cell, exactly as nbgrader makes it from the teacher's."""
    left_of_the_solution = "\n\n" if cell["cell_type"] == "markdown" else "\n"
    return _locked(cell | {"source": cell["source"] + left_of_the_solution * mark_of(cell)["solution"]})


def _check_call(cell: Cell) -> str:
    """The source of the call of wb.check that ends a check cell."""
    try:
        last = ast.parse(cell["source"]).body[-1]
    except (SyntaxError, ValueError, IndexError):
        last = ast.Pass()
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call) and ast.unparse(last.value.func) == "wb.check":
        return ast.get_source_segment(cell["source"], last) or ""
    raise WorkbenchError(f"The check cell {id_of(cell)} does not end with a call of wb.check, so it cannot be graded.")


def _locked(cell: Cell) -> Cell:
    """Protect a cell from accidental deletion and changes; an autograder restores it anyway."""
    locks = {"deletable": False} | ({} if mark_of(cell)["solution"] else {"editable": False})
    return cell | {"metadata": locks | cell["metadata"]}


_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

_HOW_TO = """\
These are the exercises of the lesson `{name}`. Each has a cell for your answer; the cell below it \
checks your answer, as often as you like: *passed*, or *not yet* with a hint that fits your mistake.{unchecked} \
The *Validate* button of JupyterLab looks only for errors; what counts is the line under each check.

Run the next cell first. Help comes from `wb.hint("{id}")`, in three steps, and `wb.progress()` shows how far you have \
come. Save this notebook and hand it in under its present name."""
_UNCHECKED = " Your teacher reads the answers that have no check."

# A shared record would mix thirty learners while they are graded; this one is next to the graded notebook.
_SETUP = """\
import os

import workbench as wb

if os.environ.get("NBGRADER_EXECUTION") == "autograde":  # when graded: leave the grader's own record alone
    os.environ["WORKBENCH_LEARNER"] = "learner.json\""""

_CONFIG = f'''\
{MADE} The settings of nbgrader: https://nbgrader.readthedocs.io
c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "{COURSE}"

# Solutions are replaced by nothing, so that a blank assignment runs without an error and says "not answered yet".
c.ClearSolutions.code_stub = {{"python": ""}}
c.ClearSolutions.text_stub = ""

# The release exists already, made without nbgrader; it is made again when it is entered into the gradebook.
c.GenerateAssignment.force = True

# The record of a graded notebook is not part of the feedback.
c.CourseDirectory.ignore.extend(["learner.json", ".learner.json.lock"])

# Some answers train a small network, and the grading machine may be slow.
c.Execute.timeout = 600
c.Execute.startup_timeout = 180

# The verdict gives the points. nbgrader takes any line on stderr for a failure, even a library's warning.
c.IgnorePattern.enabled = True
c.IgnorePattern.pattern = "(?s)."
'''

_README = """\
# The exercises of the workbench as an nbgrader course

{assignments}

**Never hand out `source/`: it holds the solutions.** The class gets `release/`, one folder for each assignment, by \
any means: git, a zip, nbgrader's exchange. Students need the workbench, but not nbgrader.

To grade, in this folder, where the workbench and nbgrader (`pip install nbgrader`) are installed:

    nbgrader generate_assignment "*"     # once: enters the assignments into gradebook.db, makes release/ again
    nbgrader collect 00_start_here       # from the exchange; or copy to submitted/STUDENT/00_start_here/
    nbgrader autograde "*"               # runs the students' code: do it where that can do no harm
    nbgrader generate_feedback "*"       # feedback/STUDENT/00_start_here/00_start_here.html
    nbgrader export                      # grades.csv

Before you generate the feedback, grade the argued exercises: in JupyterLab's menu Nbgrader, Formgrader, with the \
rubric in the workbench's `notebooks/TEACHING.md`.
"""
