"""The course built from the lessons: its form, what a class does not get to see, error messages.

Covers: classroom/notebooks.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from teaching.exercises.solved import ROOT, cells

from workbench.errors import WorkbenchError
from workbench.teaching.classroom.course import Course, build_course

MARK = {"schema_version": 3, "task": False, "grade": False, "solution": False, "locked": False}


def marked(path: Path) -> list[Any]:
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell | {"source": "".join(cell["source"])} for cell in found if "nbgrader" in cell["metadata"]]


def lines_of_solutions() -> dict[str, str]:
    """Every line that gives something away, and the exercise that it solves."""
    return {
        line.strip(): id
        for id, exercise in cells().items()
        for line in exercise.solution.splitlines()
        if len(line.strip()) > 15 and not re.match(r"\s*(from|import|def) ", line)
    }


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    folder = tmp_path_factory.mktemp("real") / "course"
    return build_course(folder, notebooks=ROOT / "notebooks", solutions=ROOT / "tests" / "solutions")


@pytest.fixture
def lessons(tmp_path: Path) -> Path:
    """Notebooks and solutions of a course with one lesson: an exercise that is checked, and one that is argued."""
    made = [
        ("markdown", "# Adding", None),
        ("code", "1 + 1", None),
        ("markdown", "Add.", MARK | {"grade_id": "00-add-task", "locked": True}),
        ("code", "def add(a, b):\n    return None", MARK | {"grade_id": "00-add", "solution": True}),
        (
            "code",
            'wb.check("00-add", add)',
            MARK | {"grade_id": "00-add-check", "grade": True, "points": 2, "locked": True},
        ),
        ("markdown", "Why?", MARK | {"grade_id": "00-why-task", "locked": True}),
        ("markdown", "*Because*", MARK | {"grade_id": "00-why", "grade": True, "solution": True, "points": 4}),
    ]
    found = []
    for number, (kind, source, mark) in enumerate(made):
        cell = {"cell_type": kind, "id": f"c{number}", "source": source.splitlines(keepends=True)}
        cell["metadata"] = {"tags": ["x"]} | ({"nbgrader": mark} if mark else {})
        output = {"output_type": "stream", "name": "stdout", "text": "the teacher's own answer"}
        found.append(cell | ({"execution_count": 3, "outputs": [output]} if kind == "code" else {}))
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "solutions").mkdir()
    write(tmp_path, {"cells": found, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    solution = "# Solutions.\n\n# %% 00-add\ndef add(a, b):\n    return a + b\n"
    (tmp_path / "solutions" / "00_adding.py").write_text(solution)
    return tmp_path


def write(lessons: Path, notebook: Any) -> None:
    (lessons / "notebooks" / "00_adding.ipynb").write_text(json.dumps(notebook))


def build(lessons: Path, out: str = "course") -> Course:
    return build_course(lessons / out, notebooks=lessons / "notebooks", solutions=lessons / "solutions")


def test_each_lesson_with_exercises_is_an_assignment(course: Course) -> None:
    wanted = {path.stem: [c["metadata"]["nbgrader"] for c in marked(path)] for path in (ROOT / "notebooks").glob("0*")}
    wanted = {name: marks for name, marks in wanted.items() if marks}
    assert [each.name for each in course.assignments] == sorted(wanted)
    assert {path.name for path in course.folder.iterdir()} == {"README.md", "nbgrader_config.py", "source", "release"}
    for each in course.assignments:
        checks = [mark for mark in wanted[each.name] if mark["grade"]]
        assert each.automatic + each.by_hand == sum(mark["points"] for mark in checks)
        assert each.exercises == tuple(mark["grade_id"] for mark in wanted[each.name] if mark["solution"])
        for part in ("source", "release"):
            path = course.folder / part / each.name / f"{each.name}.ipynb"
            assert [path.name] == os.listdir(path.parent)
            notebook = nbformat.read(path, as_version=4)
            nbformat.validate(notebook)
            assert notebook.metadata.kernelspec.name == "python3"
            assert notebook.cells[0].source.startswith("# ")
            setup, *rest = marked(path)
            assert "import workbench as wb" in setup["source"]
            assert [cell["metadata"]["nbgrader"] for cell in rest] == wanted[each.name]


def test_no_line_of_a_solution_is_in_what_a_class_gets(course: Course) -> None:
    lines, seen = lines_of_solutions(), set()
    assert lines
    for path in (course.folder / "release").rglob("*"):
        if path.is_file():
            text = path.read_text(encoding="utf-8")
            seen |= {(id, line) for line, id in lines.items() if line in text or in_json(line) in text}
            assert "BEGIN" not in text
            assert "require()" not in text
    assert not seen
    kept = "".join(sources(course))
    assert all(in_json(line) in kept for line in lines), "the same looking finds them where they are"


def in_json(line: str) -> str:
    return json.dumps(line, ensure_ascii=False)[1:-1]


def sources(course: Course) -> list[str]:
    return [path.read_text(encoding="utf-8") for path in (course.folder / "source").rglob("*.ipynb")]


def test_a_teacher_has_solutions_and_tests_below_what_students_see(lessons: Path) -> None:
    folder = build(lessons).folder
    kept, handed = (
        {cell["metadata"]["nbgrader"]["grade_id"]: cell for cell in marked(folder / part / "00_adding/00_adding.ipynb")}
        for part in ("source", "release")
    )
    blank = "def add(a, b):\n    return None\n"
    assert handed["00-add"]["source"] == blank
    solution = "def add(a, b):\n    return a + b"
    assert kept["00-add"]["source"] == f"{blank}### BEGIN SOLUTION\n{solution}\n### END SOLUTION"
    check = 'wb.check("00-add", add)'
    assert handed["00-add-check"]["source"] == check
    hidden = f"### BEGIN HIDDEN TESTS\n{check}.require()\n### END HIDDEN TESTS"
    assert kept["00-add-check"]["source"] == f"{check}\n{hidden}"
    assert handed["00-why"]["source"].strip() == "*Because*"
    assert kept["00-why"]["source"].startswith("*Because*\n\n<!-- BEGIN SOLUTION -->\n")
    for cell in (*kept.values(), *handed.values()):
        assert cell.get("outputs", []) == []
        assert set(cell["metadata"]) <= {"nbgrader", "deletable", "editable"}
        assert cell["metadata"]["deletable"] is False
        assert cell["metadata"].get("editable", True) is cell["metadata"]["nbgrader"]["solution"]


def test_assignments_describe_themselves(lessons: Path) -> None:
    course = build(lessons)
    assert [repr(each) for each in course.assignments] == [
        "00_adding: 2 exercises, 2 points, 4 more graded by hand",
    ]
    assert course.assignments[0].title == "Adding"
    readme = (course.folder / "README.md").read_text(encoding="utf-8")
    assert repr(course.assignments[0]) in readme
    assert "Never hand out `source/`" in readme


def test_each_notebook_has_instructions(course: Course) -> None:
    for each in course.assignments:
        path = course.folder / "release" / each.name / f"{each.name}.ipynb"
        how_to = next(cell.source for cell in nbformat.read(path, as_version=4).cells if cell.id == "how-to")
        assert f'wb.hint("{each.exercises[0]}")' in how_to
        assert "Save this notebook and hand it in under its present name." in how_to
        assert ("Your teacher reads" in how_to) == bool(each.by_hand)


def test_an_unused_course_is_replaced(lessons: Path) -> None:
    (lessons / "course").mkdir()  # an empty folder is free
    build(lessons)
    (lessons / "solutions" / "00_adding.py").write_text("# %% 00-add\nadd = sum\n")
    folder = build(lessons).folder
    assert "add = sum" in (folder / "source/00_adding/00_adding.ipynb").read_text()
    assert sorted(os.listdir(lessons)) == ["course", "notebooks", "solutions"], "nothing is left beside it"


def test_anything_but_an_unused_course_is_left_alone(lessons: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (lessons / "mine").mkdir()
    (lessons / "mine" / "letter.txt").write_text("dear")
    with pytest.raises(WorkbenchError, match="mine holds something other than a course built by this command"):
        build(lessons, "mine")
    (lessons / "mine" / "nbgrader_config.py").write_text("c = get_config()\n")
    with pytest.raises(WorkbenchError, match="other than a course built by this command"):
        build(lessons, "mine")
    with pytest.raises(WorkbenchError, match=r"letter\.txt is a file"):
        build(lessons, "mine/letter.txt")
    folder = build(lessons).folder
    (folder / "gradebook.db").write_text("thirty marks")
    (folder / "submitted").mkdir()
    with pytest.raises(WorkbenchError, match=r"course is in use \(it holds gradebook\.db, submitted\)"):
        build(lessons)
    assert (folder / "gradebook.db").read_text() == "thirty marks"
    monkeypatch.chdir(folder / "source")
    with pytest.raises(WorkbenchError, match="You are inside"):
        build(lessons)


def test_a_failure_halfway_leaves_the_old_course(lessons: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = build(lessons).folder
    before = (folder / "source/00_adding/00_adding.ipynb").read_text()
    (lessons / "solutions" / "00_adding.py").write_text("# %% 00-add\nadd = sum\n")

    def no_space(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_text", no_space)
        with pytest.raises(WorkbenchError, match=r"Cannot write .*course: No space left on device\."):
            build(lessons)
    assert (folder / "source/00_adding/00_adding.ipynb").read_text() == before
    assert sorted(os.listdir(lessons)) == ["course", "notebooks", "solutions"]


def test_missing_folders_are_named(lessons: Path) -> None:
    for name, value in (("notebooks", lessons / "none"), ("solutions", lessons / "none")):
        folders = {"notebooks": lessons / "notebooks", "solutions": lessons / "solutions"} | {name: value}
        with pytest.raises(WorkbenchError, match=f"no folder .*none: --{name} names"):
            build_course(lessons / "course", **folders)
    with pytest.raises(WorkbenchError, match=r"There is no lesson in .*solutions"):
        build_course(lessons / "course", notebooks=lessons / "solutions", solutions=lessons / "solutions")
    with pytest.raises(WorkbenchError, match="out = '': must be the path"):
        build_course("", notebooks=lessons / "notebooks", solutions=lessons / "solutions")
    assert not (lessons / "course").exists()


def test_exercises_and_solutions_come_in_pairs(lessons: Path) -> None:
    path = lessons / "solutions" / "00_adding.py"
    solved = path.read_text()
    for text in ("", "# %% 00-add\n\n"):
        path.write_text(text)
        with pytest.raises(
            WorkbenchError, match=r"no solution of 00-add in .*solutions: write it below a line `# %% 00"
        ):
            build(lessons)
    path.write_text(f"{solved}\n# %% 00-subtract\nx = 1\n")
    with pytest.raises(WorkbenchError, match=r"a solution of 00-subtract, but no lesson has such an exercise\."):
        build(lessons)
    path.write_text(solved + solved)
    with pytest.raises(WorkbenchError, match="two solutions of 00-add"):
        build(lessons)
    path.write_bytes(b"# %% 00-add\n\xff")
    with pytest.raises(WorkbenchError, match=r"00_adding\.py is not UTF-8 text"):
        build(lessons)


def test_an_argued_exercise_may_have_an_example(lessons: Path) -> None:
    with (lessons / "solutions" / "00_adding.py").open("a") as file:
        file.write("\n# %% 00-why\nBecause one and one is two.\n")
    folder = build(lessons).folder
    assert "one and one" in (folder / "source/00_adding/00_adding.ipynb").read_text()
    assert "one and one" not in (folder / "release/00_adding/00_adding.ipynb").read_text()


@pytest.mark.parametrize(
    "content",
    [
        b"no json",
        b"\xff",
        b"[]",
        b"null",
        b"{}",
        b'{"cells": 3}',
        b'{"cells": [7]}',
        b'{"cells": [{"metadata": {"nbgrader": {"grade": true}}, "cell_type": "code", "source": ""}]}',
        b'{"cells": [{"metadata": {"nbgrader": 3}, "cell_type": "code", "source": ""}]}',
        b"[" * 100_000,
    ],
    ids=lambda content: content.decode("latin-1")[:40],
)
def test_an_unreadable_notebook_is_named(lessons: Path, content: bytes) -> None:
    (lessons / "notebooks" / "01_broken.ipynb").write_bytes(content)
    with pytest.raises(WorkbenchError, match=r"01_broken\.ipynb is not a readable notebook: ") as text:
        build(lessons)
    assert "\n" not in str(text.value)


@pytest.mark.parametrize("source", ["", "x = 1", "wb.check(", 'wb.hint("00-add")', 'v = wb.check("00-add", add)'])
def test_an_invalid_check_cell_is_named(lessons: Path, source: str) -> None:
    notebook = json.loads((lessons / "notebooks" / "00_adding.ipynb").read_text())
    notebook["cells"][4]["source"] = source
    write(lessons, notebook)
    with pytest.raises(WorkbenchError, match=r"The check cell 00-add-check does not end with a call of wb\.check"):
        build(lessons)
    assert not (lessons / "course").exists()


def test_a_folder_without_exercises_is_reported(lessons: Path) -> None:
    write(lessons, {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    with pytest.raises(WorkbenchError, match=r"No lesson in .*notebooks has an exercise"):
        build(lessons)


def test_the_command_needs_neither_torch_nor_nbgrader(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom workbench.cli import main\ntry:\n    main()\nfinally:\n"
        "    assert not {'torch', 'nbgrader', 'nbformat'} & set(sys.modules)"
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, "classroom", "build", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    done = run("course")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"^00_start_here: \d+ exercises, \d+ points", done.stdout, flags=re.MULTILINE)
    assert f"Hand out {tmp_path.resolve() / 'course' / 'release'}, never source" in done.stdout
    text = json.loads(run("course", "--json").stdout.splitlines()[-1])
    assert text["assignments"][0]["exercises"] == [id for id in cells() if id.startswith("00")]
    refused = run("course", "--solutions", "nowhere")
    assert refused.returncode == 2
    assert re.fullmatch(r"workbench: There is no folder nowhere: .*\n", refused.stderr)
    command = [sys.executable, "-m", "workbench", "classroom"]
    alone = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (alone.returncode, alone.stderr.count("\n")) == (2, 1)
