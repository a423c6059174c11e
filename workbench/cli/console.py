"""Terminal output: progress on stderr, results on stdout, one sentence per mistake, one line of JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.wording import shorten

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table
    from rich.text import Text

    from workbench.training.records import Record


class Stopped(WorkbenchError):
    """The user stopped the command; the text says how to continue."""


def run_command(run: Callable[[], Any]) -> None:
    """Run a command and exit with the code it returns: 2 and one sentence, not a traceback, for invalid input.

    WORKBENCH_DEBUG=1 lets the traceback of an unexpected error through.
    """
    # Python sets a closed stdout or stderr (`workbench devices >&-`) to None; output then goes nowhere.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    try:
        sys.exit(run())
    except KeyboardInterrupt:
        fail("Stopped.", code=130)
    except WorkbenchError as error:
        fail(str(error), code=130 if isinstance(error, Stopped) else 2)
    except BrokenPipeError:
        # The reader of our output has gone (`workbench devices | head -1`); Python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        fail(f"{where}{error.strerror or error}.", code=2)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and not (error.name or "workbench").startswith("workbench"):
            fail(f"{error.name} is not installed: `workbench doctor` shows how to install it.", code=2)
        if os.environ.get("WORKBENCH_DEBUG"):
            raise
        text = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        fail(f"unexpected error: {text} (this is a bug; WORKBENCH_DEBUG=1 shows where)", code=1)


def fail(sentence: str, *, code: int) -> None:
    """Print one sentence to stderr and exit."""
    print(f"workbench: {shorten(' '.join(sentence.split()), 1000)}", file=sys.stderr)
    sys.exit(code)


def print_json(value: Any) -> None:
    """Print one JSON object as the last line of stdout. Raises ValueError for NaN, which JSON does not have."""
    print(json.dumps(value, allow_nan=False), flush=True)


def echo(text: str = "") -> None:
    """Print lines of the result to stdout, without the control characters that a file name or label may contain."""
    print("".join(c if c.isprintable() or c in "\n\N{NO-BREAK SPACE}" else "�" for c in text), flush=True)


def show_table(table: Table) -> None:
    """Print a rich table to stdout, wrapped to the width of the terminal, or to 120 columns without one."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)


def make_table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    """Return an empty table with the columns named in `right` aligned to the right."""
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(title=title, box=SIMPLE, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left")
    return table


def literal(text: str) -> Text:
    """Return user-supplied text for a table cell, with no markup, emoji or control characters interpreted."""
    from rich.text import Text

    return Text(shorten(text))


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Show progress on stderr until the block ends; lines printed through it remain."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 140)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield progress


class Bar:
    """A single bar for a sequence of activities: it restarts when `what` changes."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._what = ""
        self._task: Any = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show that `done` of `total` is done."""
        if what != self._what:
            self.clear()
            self._what, self._task = what, self.progress.add_task(what, total=total)
        self.progress.update(self._task, completed=done, total=total)

    def clear(self) -> None:
        """Remove the bar."""
        if self._task is not None:
            self.progress.remove_task(self._task)
        self._what, self._task = "", None

    def line(self, text: str) -> None:
        """Print a permanent line above the bar."""
        self.progress.console.print(text, markup=False, emoji=False)


def format_epoch(record: Record) -> str:
    """Return the line that sums up one epoch."""
    validation = ""
    if record.validation_accuracy is not None:
        validation = f", validation accuracy {record.validation_accuracy:.4f}"
    return (
        f"epoch {record.epoch}/{record.epochs}: training loss {record.loss:.3f}{validation}, "
        f"{record.images_per_second:,.0f} images/s ({record.precision} on {record.device})"
    )
