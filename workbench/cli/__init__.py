"""The `workbench` command."""

from __future__ import annotations

import importlib
import sys

from workbench.cli.console import run_command, say
from workbench.processor import let_idle_threads_sleep

# Each adds its commands to the app, in the order of --help; none loads what its commands work with, and none postpones
# its annotations: typer would compile each of them from text, twice.
_COMMANDS = ("machine", "compare", "bench", "deliver", "serve", "classroom")


def main() -> None:
    """Entry point of the `workbench` command."""
    let_idle_threads_sleep()
    run_command(_serve if sys.argv[1:2] == ["serve"] else _run_app)


def _serve() -> int:
    """As the app would, without loading it."""
    from workbench.serving import command_line

    return command_line.serve(sys.argv[2:], say)


def _run_app() -> object:
    from workbench.cli.app import run_app

    for name in _COMMANDS:
        importlib.import_module(f"workbench.cli.{name}")
    return run_app(sys.argv[1:])
