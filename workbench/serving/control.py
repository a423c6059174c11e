"""How `workbench swap` talks to a running application: one line of JSON each way, on a socket of this user's own."""

from __future__ import annotations

import json
import os
import socket
import stat
import tempfile
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError

MAX_LINE = 64 * 2**10
PATIENCE_SECONDS = 120.0


def open_control(port: int) -> tuple[socket.socket, Path]:
    """Listen for the commands to the application on `port`. Raises WorkbenchError where that cannot be."""
    path = _place(port)
    path.unlink(missing_ok=True)  # the port is ours: whoever left this is gone
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        control.bind(str(path))
    except OSError as error:
        control.close()
        raise WorkbenchError(f"{path}: no socket can be made there ({error.strerror}).") from error
    control.listen(8)
    return control, path


def ask(port: int, command: dict[str, Any]) -> dict[str, Any]:
    """Send a command to the application on `port` and wait for its answer.

    Raises WorkbenchError where no application of this user listens there, or where it does not answer.
    """
    path = _place(port)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(PATIENCE_SECONDS)
        try:
            line.connect(str(path))
            line.sendall(json.dumps(command).encode("utf-8") + b"\n")
            return read_line(line)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise WorkbenchError(
                f"No application of yours listens on port {port}: start one with `workbench serve`, or name its --port."
            ) from error
        except (OSError, ValueError) as error:
            raise WorkbenchError(f"The application on port {port} does not answer ({error}).") from error


def read_line(line: socket.socket) -> dict[str, Any]:
    """One JSON object. Raises ValueError for anything else, OSError where it does not come."""
    content = b""
    while not content.endswith(b"\n"):
        part = line.recv(4096)
        if not part or len(content) > MAX_LINE:
            raise ValueError("it hung up in the middle of a line")
        content += part
    value = json.loads(content)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _place(port: int) -> Path:
    """Where the socket of the application on `port` lies, in a folder that only this user can enter."""
    if not hasattr(socket, "AF_UNIX"):
        raise WorkbenchError("Swapping a running application needs Linux or macOS: stop it, and serve the new bundle.")
    folder = Path(tempfile.gettempdir()) / f"workbench-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if about.st_uid != os.getuid() or not stat.S_ISDIR(about.st_mode) or about.st_mode & 0o077:
        raise WorkbenchError(f"{folder} does not belong to you alone: remove it.")
    return folder / f"serve-{port}.sock"
