"""Commands for a teacher: classroom build, classroom compare."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli.app import AsJson, app
from workbench.cli.console import print_json, say
from workbench.errors import WorkbenchError

ROOM = Path("runs/room.html")

classroom = typer.Typer(help="Hand the exercises to a class, and have them graded.", rich_markup_mode=None)
app.add_typer(classroom, name="classroom")


@classroom.command(epilog="Example:  workbench classroom build ../course")
def build(
    out: Annotated[Path, typer.Argument(help="Folder of the course: a new one, outside the project's own.")],
    notebooks: Annotated[Path | None, typer.Option(help="Folder of the lessons; by default the project's own.")] = None,
    solutions: Annotated[
        Path | None, typer.Option(help="Folder of their solutions; by default tests/solutions of the project.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an nbgrader course of the exercises: source with the solutions, release for the class."""
    from workbench.classroom.course import build_course
    from workbench.lab import CHECKOUT

    course = build_course(
        out,
        notebooks=notebooks or CHECKOUT / "notebooks",
        solutions=solutions or CHECKOUT / "tests" / "solutions",
    )
    if as_json:
        print_json({"course": str(course.folder), "assignments": [asdict(each) for each in course.assignments]})
        return
    for assignment in course.assignments:
        say(f"{assignment!r}")
    say(f"Course: {course.folder}")
    say(f"Hand out {course.folder / 'release'}, never source, which holds the solutions.")
    say("Next:    its README.md has nbgrader's commands")


@classroom.command(epilog="Example:  workbench classroom compare collected/")
def compare(
    folder: Annotated[Path, typer.Argument(help="Folder of the recordings, one .json file a machine.")],
    page: Annotated[Path, typer.Option(help="Where to write the page.")] = ROOM,
    as_json: AsJson = False,
) -> None:
    """Set the machines of a class side by side: one chart and one page from what each has recorded."""
    from workbench.classroom.room import write_room_page

    if page.suffix.lower() not in (".html", ".htm"):
        raise WorkbenchError(f"--page {page}: name an HTML file, such as {ROOM}.")
    said = write_room_page(page, folder)
    if as_json:
        print_json({"page": str(page), "sentences": list(said)})
        return
    for sentence in said:
        say(sentence)
    say(f"Page: {page}")
