"""The commands for teachers: classroom build, classroom compare."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli import choices
from workbench.cli.app import AsJson, app
from workbench.cli.console import echo, print_json

PAGE = Path("runs/room.html")

classroom = typer.Typer(help="Hand out the exercises to a class, and compare its machines.", rich_markup_mode=None)
app.add_typer(classroom, name="classroom")


@classroom.command(epilog="Example:  workbench classroom build ../course")
def build(
    out: Annotated[Path, typer.Argument(help="Folder of the course: a new one, outside the project.")],
    notebooks: Annotated[Path | None, typer.Option(help="Folder of the lessons.", show_default="the project's")] = None,
    solutions: Annotated[
        Path | None, typer.Option(help="Folder of the solutions.", show_default="the project's tests/solutions")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Build an nbgrader course of the exercises: source with the solutions, release for the class."""
    from workbench.folders import CHECKOUT
    from workbench.teaching.classroom.course import build_course

    course = build_course(
        out,
        notebooks=notebooks or CHECKOUT / "notebooks",
        solutions=solutions or CHECKOUT / "tests" / "solutions",
    )
    if as_json:
        print_json({"course": str(course.folder), "assignments": [asdict(each) for each in course.assignments]})
        return
    for assignment in course.assignments:
        echo(f"{assignment!r}")
    echo(f"Course: {course.folder}")
    echo(f"Hand out {course.folder / 'release'}, never source, which contains the solutions.")
    echo("Next:    see its README.md for nbgrader's commands")


@classroom.command(epilog="Example:  workbench classroom compare collected/")
def compare(
    folder: Annotated[Path, typer.Argument(help="Folder of the recordings, one .json file per machine.")],
    page: Annotated[Path, typer.Option(help="Page to write.")] = PAGE,
    as_json: AsJson = False,
) -> None:
    """Compare the machines of a class: one chart and one page of what each of them recorded."""
    from workbench.teaching.classroom.room import write_room_page

    choices.check_page(page, PAGE)
    sentences = write_room_page(page, folder)
    if as_json:
        print_json({"page": str(page), "sentences": list(sentences)})
        return
    for sentence in sentences:
        echo(sentence)
    echo(f"Page: {page}")
