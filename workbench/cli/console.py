"""What the command line shows: progress on stderr, results on stdout, one sentence for a mistake, one line of JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.sealed import shortened

if TYPE_CHECKING:
    from rich.progress import Progress
    from rich.table import Table
    from rich.text import Text

    from workbench.training import Record


class Stopped(WorkbenchError):
    """The user stopped the command; the text says how to go on."""


def run_command(run: Callable[[], Any]) -> None:
    """Run a command, which gives its exit code: bad input becomes one sentence and exit code 2, never a traceback.

    WORKBENCH_DEBUG=1 lets the traceback of an unexpected error through.
    """
    # A closed stdout or stderr (`workbench devices >&-`) is None in Python; what is said goes nowhere then.
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    try:
        sys.exit(run())
    except KeyboardInterrupt:
        fail("Stopped.", code=130)
    except WorkbenchError as error:
        fail(str(error), code=130 if isinstance(error, Stopped) else 2)
    except BrokenPipeError:
        # The reader of our output has gone (`workbench devices | head -1`); python would complain at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        fail(f"{where}{error.strerror or error}.", code=2)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and not (error.name or "workbench").startswith("workbench"):
            fail(f"{error.name} is not installed here: `workbench doctor` says how to add it.", code=2)
        if os.environ.get("WORKBENCH_DEBUG"):
            raise
        text = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        fail(f"unexpected error: {text} (this is a bug; WORKBENCH_DEBUG=1 shows where)", code=1)


def fail(sentence: str, *, code: int) -> None:
    """Print one sentence to stderr and end the program."""
    print(f"workbench: {shortened(' '.join(sentence.split()), 1000)}", file=sys.stderr)
    sys.exit(code)


def print_json(value: Any) -> None:
    """One JSON object on one line of stdout, the last that a command prints; NaN is refused rather than printed."""
    print(json.dumps(value, allow_nan=False), flush=True)


def plain(value: Any) -> str:
    """A value of a hyper-parameter, short."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def say(text: str = "") -> None:
    """Lines of the result, on stdout; a control character in a user's word does not reach the terminal."""
    print("".join(c if c.isprintable() or c in "\n\N{NO-BREAK SPACE}" else "�" for c in text), flush=True)


def show_table(table: Table) -> None:
    """A rich table on stdout, wrapped to the terminal (to 120 columns where there is none)."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 120, highlight=False).print(table)


def make_table(title: str, *columns: str, right: tuple[str, ...] = ()) -> Table:
    """An empty table; the columns named in `right` are aligned to the right."""
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(title=title, box=SIMPLE, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left")
    return table


def cell(text: str) -> Text:
    """A user's word in a table, as it is: neither markup nor emoji nor control characters."""
    from rich.text import Text

    return Text(shortened(text))


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress display on stderr, gone when done; lines printed through it stay."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True, highlight=False, width=None if sys.stderr.isatty() else 140)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield progress


class Bar:
    """One bar that follows whatever is being done: a new `what` starts it anew."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self._what = ""
        self._task: Any = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show `done` of `total`."""
        if what != self._what:
            self.clear()
            self._what, self._task = what, self.progress.add_task(what, total=total)
        self.progress.update(self._task, completed=done, total=total)

    def clear(self) -> None:
        """Take the bar away."""
        if self._task is not None:
            self.progress.remove_task(self._task)
        self._what, self._task = "", None

    def line(self, text: str) -> None:
        """A line that stays, above the bar."""
        self.progress.console.print(text, markup=False, emoji=False)


def epoch_line(record: Record) -> str:
    """One epoch in words."""
    validation = ""
    if record.validation_accuracy is not None:
        validation = f", validation accuracy {record.validation_accuracy:.4f}"
    return (
        f"epoch {record.epoch}/{record.epochs}: training loss {record.loss:.3f}{validation}, "
        f"{record.pictures_per_second:,.0f} pictures/s ({record.precision} on {record.device})"
    )
