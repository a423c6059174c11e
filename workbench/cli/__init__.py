"""The `workbench` command."""

from __future__ import annotations

import importlib

from workbench.cli.app import app
from workbench.cli.console import run_command
from workbench.processor import let_idle_threads_sleep

# Each adds its commands to the app, in the order of --help; none loads what its commands work with, and none postpones
# its annotations: typer would compile each of them from text, twice.
_COMMANDS = ("machine", "compare", "bench", "deliver", "serve", "classroom")


def main() -> None:
    """Entry point of the `workbench` command."""
    let_idle_threads_sleep()
    for name in _COMMANDS:
        importlib.import_module(f"workbench.cli.{name}")
    run_command(app)
