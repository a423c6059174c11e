"""An nbgrader course made of the lessons' exercises: what the teacher keeps, and what a class is handed.

    OUT/source/00_start_here/00_start_here.ipynb     with the solutions and the tests that give the points
    OUT/release/00_start_here/00_start_here.ipynb    without them: for the class
    OUT/nbgrader_config.py, OUT/README.md

No nbgrader and no torch: whoever hands out `release` by other means needs neither. The release is not the source with
something cut out: no solution ever gets into it. tests/classroom holds that nbgrader's own release is the same.
"""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench import arguments
from workbench.atomic import whole_folder
from workbench.errors import WorkbenchError
from workbench.sealed import shortened

Cell = dict[str, Any]

COURSE = "workbench"
MADE = "# Made by `workbench classroom build`."
_OWN = {"README.md", "nbgrader_config.py", "source", "release"}
_TITLE_OF_SOLUTION = re.compile(r"^# %% (.+)$", flags=re.MULTILINE)


@dataclass(frozen=True)
class Assignment:
    """The exercises of one lesson. name: "00_start_here"; automatic, by_hand: the points that are to be had so."""

    name: str
    title: str
    exercises: tuple[str, ...]
    automatic: int
    by_hand: int

    def __repr__(self) -> str:
        graded = f"{self.automatic} points" + (f", {self.by_hand} more graded by hand" if self.by_hand else "")
        return f"{self.name}: {len(self.exercises)} exercises, {graded}"


@dataclass(frozen=True)
class Course:
    """A course as it was built."""

    folder: Path
    assignments: tuple[Assignment, ...]


@dataclass(frozen=True)
class _Lesson:
    name: str
    title: str
    cells: tuple[Cell, ...]  # those that are nbgrader's, in order


def build_course(out: Path | str, *, notebooks: Path | str, solutions: Path | str) -> Course:
    """Make the folder `out`, whole or not at all, from the lessons in `notebooks` and the folder of their solutions.

    A course that was built before and not worked in yet is replaced. Raises WorkbenchError where a folder is missing or
    cannot be written, where `out` holds anything else, where a notebook cannot be read, where an exercise has no
    solution or a solution no exercise, and where a check cell is none.
    """
    target = Path(os.path.realpath(arguments.path("out", out)))
    source, answers = arguments.path("notebooks", notebooks), arguments.path("solutions", solutions)
    lessons, known = _lessons(source), _solutions(answers)
    _check_paired(lessons, known, answers)
    try:
        _check_free(target)
        with whole_folder(target) as folder:
            made = tuple(_write_assignment(folder, lesson, known) for lesson in lessons)
            (folder / "nbgrader_config.py").write_text(_CONFIG, encoding="utf-8")
            (folder / "README.md").write_text(_readme(made), encoding="utf-8")
    except OSError as error:
        reason = error.strerror or error
        raise WorkbenchError(f"Cannot write {target}: {reason}. Free some space or choose another folder.") from error
    return Course(target, made)


def _lessons(folder: Path) -> list[_Lesson]:
    """Every lesson that has exercises. Raises WorkbenchError where there is none, and for what is no notebook."""
    if not folder.is_dir():
        raise WorkbenchError(f"There is no folder {folder}: --notebooks names the one that the lessons are in.")
    read = [_lesson(path) for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))]
    if not read:
        raise WorkbenchError(
            f"There is no lesson in {folder}: their notebooks are called 00_start_here.ipynb and so on."
        )
    found = [lesson for lesson in read if lesson.cells]
    if not found:
        raise WorkbenchError(f"No lesson in {folder} has an exercise: no cell there carries nbgrader's metadata.")
    return found


def _lesson(path: Path) -> _Lesson:
    try:
        notebook = json.loads(path.read_bytes().decode("utf-8"))
        cells = [_plain(cell) for cell in notebook["cells"]]
    except OSError as error:
        raise WorkbenchError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise WorkbenchError(f"{path} is no notebook that can be read: {shortened(repr(error), 120)}.") from error
    headings = [re.match("# (.+)", cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    title = next((heading[1].strip() for heading in headings if heading), path.stem)
    return _Lesson(path.stem, title, tuple(cell for cell in cells if cell["metadata"]))


def _plain(cell: Cell) -> Cell:
    """A cell with its source as one text, without outputs (they may show answers), with nbgrader's metadata alone."""
    marked = cell["metadata"].get("nbgrader")
    kept: Cell = {name: cell[name] for name in ("cell_type", "id", "attachments") if name in cell}
    kept |= {"metadata": {"nbgrader": marked} if marked else {}, "source": "".join(cell["source"])}
    if marked:
        needed = ("grade_id", "grade", "solution", *(["points"] if marked.get("grade") else []))
        if missing := [name for name in needed if name not in marked]:
            raise ValueError(f"nbgrader's metadata of a cell lack {', '.join(missing)}")
        kept.setdefault("id", marked["grade_id"])
    return kept | ({"execution_count": None, "outputs": []} if cell["cell_type"] == "code" else {})


def _solutions(folder: Path) -> dict[str, str]:
    """The code below each `# %% id` of the folder's Python files, by the exercise's id."""
    if not folder.is_dir():
        raise WorkbenchError(f"There is no folder {folder}: --solutions names the one that the solutions are in.")
    found: dict[str, str] = {}
    for path in sorted(folder.glob("*.py")):
        try:
            _, *parts = _TITLE_OF_SOLUTION.split(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise WorkbenchError(f"Cannot read {path}: {error.strerror}.") from error
        except ValueError as error:
            raise WorkbenchError(f"{path} is no text in UTF-8: {error}.") from error
        for id, code in zip(map(str.strip, parts[::2]), map(str.strip, parts[1::2]), strict=True):
            if id in found:
                raise WorkbenchError(f"{path}: there are two solutions of {shortened(id)}; keep one.")
            found[id] = code
    return found


def _check_paired(lessons: Iterable[_Lesson], solutions: dict[str, str], folder: Path) -> None:
    """Raises WorkbenchError that names exercises without a solution, or solutions without an exercise."""
    cells = [cell for lesson in lessons for cell in lesson.cells if _mark(cell)["solution"]]
    missing = [_id(cell) for cell in cells if not _mark(cell)["grade"] and not solutions.get(_id(cell))]
    if missing:
        raise WorkbenchError(
            f"There is no solution of {', '.join(missing)} in {folder}: write it below a line `# %% {missing[0]}`."
        )
    spare = sorted(solutions.keys() - set(map(_id, cells)))
    if spare:
        raise WorkbenchError(f"{folder} has a solution of {', '.join(spare)}, and no lesson has such an exercise.")


def _check_free(target: Path) -> None:
    """Raises WorkbenchError where building there would take away anything but a course as it was built."""
    if not target.exists():
        return
    if not target.is_dir():
        raise WorkbenchError(f"{target} is a file: name a folder for the course.")
    if Path.cwd().is_relative_to(target):
        raise WorkbenchError(f"You are inside {target}: name a new folder for the course, or go elsewhere first.")
    there = {path.name for path in target.iterdir()}
    if there and not _is_course(target):
        raise WorkbenchError(f"{target} holds something that is no course built by this command: name a new folder.")
    if there - _OWN:
        raise WorkbenchError(
            f"{target} is in use (it holds {', '.join(sorted(there - _OWN)[:3])}): build into a new folder, and copy "
            "its source from there if the exercises have changed."
        )


def _is_course(folder: Path) -> bool:
    try:
        return (folder / "nbgrader_config.py").read_text(encoding="utf-8").startswith(MADE)
    except (OSError, ValueError):
        return False


def _write_assignment(course: Path, lesson: _Lesson, solutions: dict[str, str]) -> Assignment:
    before = tuple(_cells_before(lesson))
    kept = [*before, *(_kept(cell, solutions) for cell in lesson.cells)]
    handed = [*before, *(_handed_out(cell) for cell in lesson.cells)]
    for part, cells in (("source", kept), ("release", handed)):
        folder = course / part / lesson.name
        folder.mkdir(parents=True)
        notebook = {"cells": cells, "metadata": _METADATA, "nbformat": 4, "nbformat_minor": 5}
        text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        (folder / f"{lesson.name}.ipynb").write_text(text, encoding="utf-8")
    graded = [_mark(cell) for cell in lesson.cells if _mark(cell)["grade"]]
    return Assignment(
        lesson.name,
        lesson.title,
        tuple(_id(cell) for cell in lesson.cells if _mark(cell)["solution"]),
        automatic=sum(mark["points"] for mark in graded if not mark["solution"]),
        by_hand=sum(mark["points"] for mark in graded if mark["solution"]),
    )


def _cells_before(lesson: _Lesson) -> Iterator[Cell]:
    """The title, how to go about it, and what every exercise needs."""
    texts = {"title": f"# {lesson.title}", "how-to": _how_to(lesson)}
    for id, source in texts.items():
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


def _how_to(lesson: _Lesson) -> str:
    asked = [cell for cell in lesson.cells if _mark(cell)["solution"]]
    argued = any(_mark(cell)["grade"] for cell in asked)
    example = _id(asked[0]) if asked else "id"
    return _HOW_TO.format(name=lesson.name, id=example, unchecked=_UNCHECKED if argued else "")


def _kept(cell: Cell, solutions: dict[str, str]) -> Cell:
    """A cell as the teacher has it: a solution below the blank, a test that raises below the check."""
    mark, source = _mark(cell), cell["source"]
    if mark["solution"] and cell["cell_type"] == "markdown":
        # Without such a region nbgrader would replace all of the cell, and the question in it.
        answer = solutions.get(_id(cell), "A person grades this one, with the rubric of the teacher's guide.")
        source += f"\n\n<!-- BEGIN SOLUTION -->\n{answer}\n<!-- END SOLUTION -->"
    elif mark["solution"]:
        source += f"\n### BEGIN SOLUTION\n{solutions.get(_id(cell), '')}\n### END SOLUTION"
    elif mark["grade"]:
        source += f"\n### BEGIN HIDDEN TESTS\n{_check_of(cell)}.require()\n### END HIDDEN TESTS"
    return _locked(cell | {"source": source})


def _handed_out(cell: Cell) -> Cell:
    """A cell as the class gets it, to the letter as nbgrader makes it of what the teacher has."""
    left_of_the_solution = "\n\n" if cell["cell_type"] == "markdown" else "\n"
    return _locked(cell | {"source": cell["source"] + left_of_the_solution * _mark(cell)["solution"]})


def _check_of(cell: Cell) -> str:
    """The call of wb.check that a check cell ends with, as it is written there."""
    try:
        last = ast.parse(cell["source"]).body[-1]
    except (SyntaxError, ValueError, IndexError):
        last = ast.Pass()
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call) and ast.unparse(last.value.func) == "wb.check":
        return ast.get_source_segment(cell["source"], last) or ""
    raise WorkbenchError(
        f"The check cell {_id(cell)} does not end with a call of wb.check: nothing there can be graded."
    )


def _locked(cell: Cell) -> Cell:
    """What must not be deleted or changed is safe from an accident; an autograder puts it right again anyway."""
    locks = {"deletable": False} | ({} if _mark(cell)["solution"] else {"editable": False})
    return cell | {"metadata": locks | cell["metadata"]}


def _mark(cell: Cell) -> Cell:
    return cell["metadata"]["nbgrader"]


def _id(cell: Cell) -> str:
    return str(_mark(cell)["grade_id"])


def _readme(assignments: Iterable[Assignment]) -> str:
    return _README.format(assignments="\n".join(f"- {assignment!r}" for assignment in assignments))


_METADATA = {
    "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

_HOW_TO = """\
These are the exercises of the lesson `{name}`. Each has a cell for your answer; below it stands a \
cell that checks it, as often as you like: *passed*, or *not yet* with a hint that fits your mistake.{unchecked} \
The *Validate* button of JupyterLab looks for errors only; what counts is the line under each check.

Run the next cell first. Help comes from `wb.hint("{id}")`, in three steps, and `wb.progress()` shows how far you have \
come. Hand in this notebook, saved, under its present name."""
_UNCHECKED = " Your teacher reads the answers that have no check."

# A record that is shared would mix thirty learners when they are graded; this one lies beside the graded notebook.
_SETUP = """\
import os

import workbench as wb

if os.environ.get("NBGRADER_EXECUTION") == "autograde":  # for grading only: the grader's own record is left as it is
    os.environ["WORKBENCH_LEARNER"] = "learner.json\""""

_CONFIG = f'''\
{MADE} The settings of nbgrader: https://nbgrader.readthedocs.io
c = get_config()  # noqa: F821

c.CourseDirectory.course_id = "{COURSE}"

# Where a solution stood nothing stands: so a blank assignment runs without an error, and says "not answered yet".
c.ClearSolutions.code_stub = {{"python": ""}}
c.ClearSolutions.text_stub = ""

# The release is there already, made without nbgrader; it is made again when it is entered into the gradebook.
c.GenerateAssignment.force = True

# What a graded notebook notes for itself goes to nobody.
c.CourseDirectory.ignore.extend(["learner.json", ".learner.json.lock"])

# Some answers train a small network, on whatever machine grades them.
c.Execute.timeout = 600
c.Execute.startup_timeout = 180

# A verdict gives the points. To nbgrader a line on stderr is a failure, even a warning of some library.
c.IgnorePattern.enabled = True
c.IgnorePattern.pattern = "(?s)."
'''

_README = """\
# The exercises of the workbench, as a course of nbgrader

{assignments}

**Never hand out `source/`: it holds the solutions.** A class gets `release/`, one folder an assignment, by whatever \
means: git, a zip, nbgrader's exchange. Students need the workbench, and no nbgrader.

To grade, in this folder, where the workbench and nbgrader (`pip install nbgrader`) are installed:

    nbgrader generate_assignment "*"     # once: enters the assignments into gradebook.db, makes release/ again
    nbgrader collect 00_start_here       # from the exchange; or copy to submitted/STUDENT/00_start_here/
    nbgrader autograde "*"               # runs the students' code: do it where that can do no harm
    nbgrader generate_feedback "*"       # feedback/STUDENT/00_start_here/00_start_here.html
    nbgrader export                      # grades.csv

Before the feedback, grade what is argued by hand: in JupyterLab's menu Nbgrader, Formgrader, with the rubric in the \
workbench's `notebooks/TEACHING.md`.
"""
