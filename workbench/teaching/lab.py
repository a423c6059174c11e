"""Start JupyterLab on the lessons, reachable from this machine only and protected by a token."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.folders import CHECKOUT
from workbench.machine.threads import block_idle_threads

FIRST_NOTEBOOK = "notebooks/00_start_here.ipynb"
SETTINGS = Path(__file__).parent / "lab_settings"


def open_lab(notebook: str = FIRST_NOTEBOOK, *, browser: bool = True) -> int:
    """Run JupyterLab until it stops and return its exit code; on Linux and macOS it replaces this process.

    Raises WorkbenchError if JupyterLab or the notebook is missing.
    """
    command = lab_command(notebook, browser=browser)
    block_idle_threads()  # inherited by kernels; the browser needs the cores too
    if os.name == "posix":
        os.execv(command[0], command)
    return subprocess.call(command)


def lab_command(notebook: str = FIRST_NOTEBOOK, *, folder: Path = CHECKOUT, browser: bool = True) -> list[str]:
    """Return the command that serves `folder` on 127.0.0.1 with a token and opens `notebook`, a path inside `folder`.

    Without `browser` it only prints the address. Raises WorkbenchError if JupyterLab or the notebook is missing.
    """
    if importlib.util.find_spec("jupyterlab") is None:
        raise WorkbenchError("JupyterLab is not installed: `workbench doctor` says how to add it.")
    if not (folder / notebook).is_file():
        raise WorkbenchError(f"There is no notebook {folder / notebook}: run this in a checkout of the project.")
    command = [
        *(sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1"),
        # From the top folder, so that lessons, data and runs are all in the file browser.
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.default_url=/lab/tree/{notebook}",
        # Without these, a dialog about news covers the lesson and JupyterLab checks the network for updates.
        f"--LabApp.app_settings_dir={SETTINGS}",
    ]
    if not browser:
        command.append("--no-browser")
    if os.name == "posix" and os.geteuid() == 0:
        command.append("--allow-root")  # in a container root is often the only user
    return command
