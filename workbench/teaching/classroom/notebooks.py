"""Read the exercises from the lessons' notebooks, and their solutions from Python files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError
from workbench.wording import shorten

Cell = dict[str, Any]

_SOLUTION_TITLE = re.compile(r"^# %% (.+)$", flags=re.MULTILINE)


@dataclass(frozen=True)
class Lesson:
    """The exercises of one notebook. name: "00_start_here"; cells: those with nbgrader's metadata, in order."""

    name: str
    title: str
    cells: tuple[Cell, ...]


def mark_of(cell: Cell) -> Cell:
    """nbgrader's metadata of a cell."""
    return cell["metadata"]["nbgrader"]


def id_of(cell: Cell) -> str:
    """nbgrader's id of a cell."""
    return str(mark_of(cell)["grade_id"])


def read_lessons(folder: Path) -> list[Lesson]:
    """Return the lessons in `folder` that have exercises. Raise WorkbenchError if none has, or one is unreadable."""
    if not folder.is_dir():
        raise WorkbenchError(f"There is no folder {folder}: --notebooks names the folder of the lessons.")
    lessons = [_read_lesson(path) for path in sorted(folder.glob("[0-9][0-9]_*.ipynb"))]
    if not lessons:
        raise WorkbenchError(f"There is no lesson in {folder}: notebooks are named 00_start_here.ipynb and so on.")
    with_exercises = [lesson for lesson in lessons if lesson.cells]
    if not with_exercises:
        raise WorkbenchError(f"No lesson in {folder} has an exercise: no cell has nbgrader's metadata.")
    return with_exercises


def read_solutions(folder: Path) -> dict[str, str]:
    """Return the code below each line `# %% id` in the Python files of `folder`, by the exercise's id."""
    if not folder.is_dir():
        raise WorkbenchError(f"There is no folder {folder}: --solutions names the folder of the solutions.")
    solutions: dict[str, str] = {}
    for path in sorted(folder.glob("*.py")):
        try:
            _, *parts = _SOLUTION_TITLE.split(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise WorkbenchError(f"Cannot read {path}: {error.strerror}.") from error
        except ValueError as error:
            raise WorkbenchError(f"{path} is not UTF-8 text: {error}.") from error
        for id, code in zip(map(str.strip, parts[::2]), map(str.strip, parts[1::2]), strict=True):
            if id in solutions:
                raise WorkbenchError(f"{path}: there are two solutions of {shorten(id)}; keep one.")
            solutions[id] = code
    return solutions


def check_paired(lessons: Iterable[Lesson], solutions: dict[str, str], folder: Path) -> None:
    """Raise WorkbenchError naming exercises without a solution in `folder`, or solutions without an exercise."""
    cells = [cell for lesson in lessons for cell in lesson.cells if mark_of(cell)["solution"]]
    missing = [id_of(cell) for cell in cells if not mark_of(cell)["grade"] and not solutions.get(id_of(cell))]
    if missing:
        raise WorkbenchError(
            f"There is no solution of {', '.join(missing)} in {folder}: write it below a line `# %% {missing[0]}`."
        )
    extra = sorted(solutions.keys() - set(map(id_of, cells)))
    if extra:
        raise WorkbenchError(f"{folder} has a solution of {', '.join(extra)}, but no lesson has such an exercise.")


def _read_lesson(path: Path) -> Lesson:
    try:
        notebook = json.loads(path.read_bytes().decode("utf-8"))
        cells = [_plain_cell(cell) for cell in notebook["cells"]]
    except OSError as error:
        raise WorkbenchError(f"Cannot read {path}: {error.strerror}.") from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise WorkbenchError(f"{path} is not a readable notebook: {shorten(repr(error))}.") from error
    headings = [re.match("# (.+)", cell["source"]) for cell in cells if cell["cell_type"] == "markdown"]
    title = next((heading[1].strip() for heading in headings if heading), path.stem)
    return Lesson(path.stem, title, tuple(cell for cell in cells if cell["metadata"]))


def _plain_cell(cell: Cell) -> Cell:
    """A cell with its source as one string, nbgrader's metadata alone, and no outputs, which may show answers."""
    mark = cell["metadata"].get("nbgrader")
    plain: Cell = {name: cell[name] for name in ("cell_type", "id", "attachments") if name in cell}
    plain |= {"metadata": {"nbgrader": mark} if mark else {}, "source": "".join(cell["source"])}
    if mark:
        needed = ("grade_id", "grade", "solution", *(["points"] if mark.get("grade") else []))
        if missing := [name for name in needed if name not in mark]:
            raise ValueError(f"nbgrader's metadata of a cell lack {', '.join(missing)}")
        plain.setdefault("id", mark["grade_id"])
    return plain | ({"execution_count": None, "outputs": []} if cell["cell_type"] == "code" else {})
