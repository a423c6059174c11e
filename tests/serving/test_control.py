"""The control socket: commands, replies, and sockets that others left behind."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from serving.application import (
    run_command,
)

from workbench.errors import WorkbenchError
from workbench.folders import REFERENCE
from workbench.serving.control import MAX_LINE, open_control, read_line, send_command


def test_a_swap_without_an_application() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    done = run_command("swap", REFERENCE, "--port", port)
    assert done.returncode == 2
    assert f"No application of yours listens on port {port}" in done.stderr


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the sockets, apart from that of real applications."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / f"workbench-{os.getuid()}"


def test_a_command_and_its_reply(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / "serve-8000.sock").touch()  # left behind by an application that was killed
    listener, path = open_control(8000)
    commands = []

    def reply() -> None:
        with listener.accept()[0] as connection:
            commands.append(read_line(connection))
            connection.sendall(b'{"done": "it is in ')
            connection.sendall(b'service"}\n')

    with listener:
        thread = threading.Thread(target=reply)
        thread.start()
        assert send_command(8000, {"swap": "/bundle"}) == {"done": "it is in service"}
        thread.join()
    assert commands == [{"swap": "/bundle"}]
    assert path.parent == folder
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("reply", [b"", b'{"done": ', b"[]\n", b"not JSON\n", b"x" * (MAX_LINE + 8192)])
def test_a_reply_that_is_not_one_line_of_json(folder: Path, reply: bytes) -> None:
    listener, _ = open_control(8000)

    def misbehave() -> None:
        with listener.accept()[0] as connection, suppress(OSError):
            read_line(connection)
            connection.sendall(reply)

    with listener:
        thread = threading.Thread(target=misbehave)
        thread.start()
        with pytest.raises(WorkbenchError, match="The application on port 8000 does not answer"):
            send_command(8000, {"swap": "/bundle"})
        thread.join()


def test_a_folder_open_to_others_is_refused(folder: Path) -> None:
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(WorkbenchError, match="does not belong to you alone"):
        open_control(8000)
