"""The `workbench` command."""

from __future__ import annotations

import importlib
import sys

from workbench.cli.console import echo, run_command
from workbench.machine.threads import block_idle_threads

# In the order of --help. Each module registers its commands with the app and imports what they work with only when one
# runs. None postpones its annotations: Typer would compile every one of them from text, twice.
_COMMANDS = ("machine", "compare", "bench", "deliver", "serve", "classroom")


def main() -> None:
    """Run the `workbench` command with the arguments of this process, and exit with its code."""
    block_idle_threads()
    run_command(_serve if sys.argv[1:2] == ["serve"] else _run_app)


def _serve() -> int:
    """Run `workbench serve` without importing the app, which its start would pay for."""
    from workbench.serving import command_line

    return command_line.serve(sys.argv[2:], echo)


def _run_app() -> object:
    from workbench.cli.app import run_app

    for name in _COMMANDS:
        importlib.import_module(f"workbench.cli.{name}")
    return run_app(sys.argv[1:])
