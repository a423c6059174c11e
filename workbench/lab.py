"""JupyterLab on the lessons: on this machine only, with a token."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from workbench.errors import WorkbenchError
from workbench.processor import let_idle_threads_sleep

FIRST_NOTEBOOK = "notebooks/00_start_here.ipynb"
SETTINGS = Path(__file__).parent / "lab_settings"
CHECKOUT = Path(__file__).resolve().parent.parent


def open_lab(notebook: str = FIRST_NOTEBOOK, *, browser: bool = True) -> int:
    """Run JupyterLab until it is stopped; on Linux and macOS it takes this process's place. Returns its exit code.

    Raises WorkbenchError where JupyterLab or the notebook is missing.
    """
    command = lab_command(notebook, browser=browser)
    let_idle_threads_sleep()  # kernels inherit it, and the browser needs the cores too
    if os.name == "posix":
        os.execv(command[0], command)
    return subprocess.call(command)


def lab_command(notebook: str = FIRST_NOTEBOOK, *, folder: Path = CHECKOUT, browser: bool = True) -> list[str]:
    """The command that serves `folder` on 127.0.0.1, behind a token, and opens `notebook` (a path inside `folder`).

    Without `browser` it only prints the address. Raises WorkbenchError where JupyterLab or the notebook is missing.
    """
    if importlib.util.find_spec("jupyterlab") is None:
        raise WorkbenchError("JupyterLab is not installed here: `workbench doctor` says how to add it.")
    if not (folder / notebook).is_file():
        raise WorkbenchError(f"There is no notebook {folder / notebook}: run this in a copy of the project's files.")
    command = [
        *(sys.executable, "-m", "jupyterlab", "--ServerApp.ip=127.0.0.1"),
        # Served from the top, so that the lessons, the data and the runs are all to be seen beside each other.
        f"--ServerApp.root_dir={folder}",
        f"--LabApp.default_url=/lab/tree/{notebook}",
        # By its own it asks whether to fetch news, in front of the lesson, and the network for updates, unasked.
        f"--LabApp.app_settings_dir={SETTINGS}",
    ]
    if not browser:
        command.append("--no-browser")
    if os.name == "posix" and os.geteuid() == 0:
        command.append("--allow-root")  # in a container there is often no other user
    return command
