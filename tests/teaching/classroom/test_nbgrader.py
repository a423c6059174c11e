"""The course in real nbgrader: released, handed in solved, half solved and blank, graded, and returned."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from teaching.exercises.solved import ROOT, cells

from workbench.teaching.classroom.course import Assignment, build_course

NAMES = [
    path.stem
    for path in sorted((ROOT / "notebooks").glob("0*.ipynb"))
    if '"nbgrader"' in path.read_text(encoding="utf-8")
]
PATIENCE_SECONDS = 3600.0

# The commands as a teacher types them, in one process: each takes ten seconds and more to start on a slow machine.
TEACHER = """
import json, sys
from nbgrader.api import Gradebook
from nbgrader.apps import AutogradeApp, GenerateAssignmentApp, GenerateFeedbackApp

for command in (GenerateAssignmentApp, AutogradeApp, GenerateFeedbackApp):
    app = command()
    app.initialize(["*"])
    app.start()
rows = []
with Gradebook("sqlite:///gradebook.db") as book:
    for submission in (each for assignment in book.assignments for each in assignment.submissions):
        for notebook in submission.notebooks:
            for grade in notebook.grades:
                row = [submission.student.id, submission.assignment.name, grade.name]
                rows.append([*row, grade.auto_score, grade.max_score, grade.needs_manual_grade])
with open(sys.argv[1], "w") as file:
    json.dump(rows, file)
"""

# A library that complains in every cell takes no points; and it tells which Python it runs in.
NOISE = """
import sys
get_ipython().events.register("pre_run_cell", lambda info: print("some warning", file=sys.stderr))
print(sys.executable)
"""


@dataclass(frozen=True)
class Grade:
    automatic: float | None
    most: float
    by_hand: bool


@dataclass(frozen=True)
class Graded:
    """A course after grading. released: our own release as it was; grades: by student, assignment and exercise."""

    folder: Path
    assignments: dict[str, Assignment]
    released: dict[str, Any]
    grades: dict[tuple[str, str], dict[str, Grade]]
    log: str


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def mark(cell: Any) -> dict[str, Any]:
    return cell["metadata"].get("nbgrader") or {}


def checked(assignment: Assignment) -> list[str]:
    """The exercises that are graded automatically."""
    return [id for id in assignment.exercises if cells()[id].check]


def hand_in(course: Path, student: str, assignment: Assignment, solved: list[str], extra: str = "") -> None:
    """A student's work on our own release, which nbgrader has not touched."""
    notebook = read(course / "release" / assignment.name / f"{assignment.name}.ipynb")
    for cell in notebook["cells"]:
        id = mark(cell).get("grade_id")
        if id in solved and cell["cell_type"] == "code":
            cell["source"] += cells()[id].solution
        elif id in solved:
            cell["source"] += "Two systems, for the first must learn."
    if extra:
        cell = {"cell_type": "code", "id": "own", "metadata": {}, "execution_count": None, "outputs": []}
        notebook["cells"].insert(0, cell | {"source": extra})
    folder = course / "submitted" / student / assignment.name
    folder.mkdir(parents=True)
    (folder / f"{assignment.name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")


def own_jupyter(folder: Path) -> dict[str, str]:
    """None of the user's settings and kernels; nbgrader looks for `alembic`, which is installed beside it."""
    kinds = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    own = {kind: str(folder / kind.lower()) for kind in kinds}
    return own | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Graded:
    home = tmp_path_factory.mktemp("teacher")
    course = build_course(home / "course", notebooks=ROOT / "notebooks", solutions=ROOT / "tests" / "solutions")
    assignments = {each.name: each for each in course.assignments}
    released = {name: read(course.folder / "release" / name / f"{name}.ipynb") for name in assignments}
    largest = max(course.assignments, key=lambda each: len(each.exercises))
    for each in course.assignments:
        hand_in(course.folder, "solved", each, list(each.exercises), NOISE)
        if each in (course.assignments[0], largest):  # a kernel for each takes its time
            hand_in(course.folder, "half", each, checked(each)[::2])
            hand_in(course.folder, "blank", each, [])
    command = [sys.executable, "-c", TEACHER, str(home / "grades.json")]
    with (home / "log").open("wb") as log:
        subprocess.run(
            command, cwd=course.folder, env=os.environ | own_jupyter(home), timeout=PATIENCE_SECONDS, check=False,
            stdout=log, stderr=log,
        )  # fmt: skip
    description = (home / "log").read_text(encoding="utf-8", errors="replace")
    assert (home / "grades.json").exists(), description[-3000:]
    grades: dict[tuple[str, str], dict[str, Grade]] = {}
    for student, assignment, name, *grade in read(home / "grades.json"):
        grades.setdefault((student, assignment), {})[name.removesuffix("-check")] = Grade(*grade)
    return Graded(course.folder, assignments, released, grades, description)


def test_every_lesson_with_exercises_is_graded(graded: Graded) -> None:
    assert list(graded.assignments) == NAMES
    assert {assignment for student, assignment in graded.grades if student == "solved"} == set(NAMES)
    assert {student for student, _ in graded.grades} == {"solved", "half", "blank"}
    assert "| ERROR]" not in graded.log, graded.log[-3000:]  # of nbgrader; a kernel that ends may complain by itself


@pytest.mark.parametrize("name", NAMES)
def test_what_nbgrader_releases_is_our_release(graded: Graded, name: str) -> None:
    theirs = read(graded.folder / "release" / name / f"{name}.ipynb")
    for ours, cell in zip(graded.released[name]["cells"], theirs["cells"], strict=True):
        assert "".join(cell["source"]) == ours["source"]
        for added in ("checksum", "cell_type"):
            mark(cell).pop(added, None)
        assert cell["metadata"] == ours["metadata"]


@pytest.mark.parametrize("name", NAMES)
def test_a_solved_assignment_has_full_marks(graded: Graded, name: str) -> None:
    grades, assignment = graded.grades["solved", name], graded.assignments[name]
    assert set(grades) == set(assignment.exercises)
    automatic = {id: grades[id] for id in checked(assignment)}
    lost = {id for id, grade in automatic.items() if grade.automatic != grade.most or grade.by_hand}
    assert not lost
    assert sum(grade.most for grade in automatic.values()) == assignment.automatic > 0
    for id in set(grades) - set(automatic):
        assert grades[id].by_hand, "a person grades what is argued"
        assert grades[id].automatic is None


def test_a_blank_assignment_has_no_points(graded: Graded) -> None:
    for (student, name), grades in graded.grades.items():
        if student == "blank":
            assert set(grades) == set(graded.assignments[name].exercises)
            assert {grade.automatic for grade in grades.values()} == {0}
            assert not any(grade.by_hand for grade in grades.values()), "there is nothing to read"


def test_a_half_solved_assignment_has_the_points_of_its_solutions(graded: Graded) -> None:
    for (student, name), grades in graded.grades.items():
        if student == "half":
            ids = checked(graded.assignments[name])
            found = {id: grades[id].automatic for id in ids}
            assert found == {id: grades[id].most if id in ids[::2] else 0 for id in ids}
            assert 0 < sum(found.values()) < graded.assignments[name].automatic


def test_feedback_contains_no_solution(graded: Graded) -> None:
    for student, name in graded.grades:
        page = (graded.folder / "feedback" / student / name / f"{name}.html").read_text(encoding="utf-8")
        if student != "blank":
            continue
        assert "not answered yet" in page
        text = html_text(page)
        for id in checked(graded.assignments[name]):
            for line in map(str.strip, cells()[id].solution.splitlines()):
                assert len(line) < 16 or line.startswith(("import ", "from ", "def ")) or line not in text, id


def html_text(page: str) -> str:
    from html import unescape
    from re import sub

    return unescape(sub("<[^>]+>", "", page))


def test_grading_uses_this_python_and_keeps_records_separate(graded: Graded) -> None:
    first = NAMES[0]
    notebook = read(graded.folder / "autograded" / "solved" / first / f"{first}.ipynb")
    description = [output["text"] for output in notebook["cells"][0]["outputs"] if output["output_type"] == "stream"]
    assert "".join("".join(text) for text in description).strip() == sys.executable
    # One record for each that was graded, beside it; none in what goes back to students.
    records = {path.relative_to(graded.folder) for path in graded.folder.rglob("learner.json")}
    assert records == {
        Path("autograded", student, name, "learner.json") for student, name in graded.grades if student != "blank"
    }
