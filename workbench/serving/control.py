"""The control socket of a running application: one line of JSON each way, on a Unix socket private to the user."""

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
TIMEOUT_SECONDS = 120.0


def open_control(port: int) -> tuple[socket.socket, Path]:
    """Listen for commands to the application on `port`. Raises WorkbenchError if the socket cannot be made."""
    path = _socket_path(port)
    path.unlink(missing_ok=True)  # we hold the port, so whoever left this socket behind is gone
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        control.bind(str(path))
    except OSError as error:
        control.close()
        raise WorkbenchError(f"{path}: no socket can be made there ({error.strerror}).") from error
    control.listen(8)
    return control, path


def send_command(port: int, command: dict[str, Any]) -> dict[str, Any]:
    """Send a command to the application on `port` and return its reply.

    Raises WorkbenchError if no application of this user listens there, or if it does not reply.
    """
    path = _socket_path(port)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(TIMEOUT_SECONDS)
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps(command).encode("utf-8") + b"\n")
            return read_line(connection)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise WorkbenchError(
                f"No application of yours listens on port {port}: start one with `workbench serve`, or name its --port."
            ) from error
        except (OSError, ValueError) as error:
            raise WorkbenchError(f"The application on port {port} does not answer ({error}).") from error


def read_line(connection: socket.socket) -> dict[str, Any]:
    """Read one JSON object. Raises ValueError for anything else, OSError if the connection fails or times out."""
    content = b""
    while not content.endswith(b"\n"):
        part = connection.recv(4096)
        if not part or len(content) > MAX_LINE:
            raise ValueError("the connection closed in the middle of a line")
        content += part
    value = json.loads(content)
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


def _socket_path(port: int) -> Path:
    """Return the socket's path, in a folder that only this user can enter."""
    if not hasattr(socket, "AF_UNIX"):
        raise WorkbenchError("Swapping a running application needs Linux or macOS: stop it, and serve the new bundle.")
    folder = Path(tempfile.gettempdir()) / f"workbench-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or not stat.S_ISDIR(status.st_mode) or status.st_mode & 0o077:
        raise WorkbenchError(f"{folder} does not belong to you alone: remove it.")
    return folder / f"serve-{port}.sock"
