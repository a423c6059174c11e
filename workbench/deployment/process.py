"""The operating-system process of a deployed application: start it, watch it, end it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import IO, Any

import psutil

from workbench.errors import WorkbenchError
from workbench.folders import CHECKOUT
from workbench.serving.options import KILL_SECONDS
from workbench.wording import shorten

EXIT_SECONDS = KILL_SECONDS + 5.0  # beyond the grace period; the application kills its own workers first


class ApplicationProcess:
    """A `workbench` command in a process of its own, with its log in a temporary file.

    It ends with this Python, however that ends, and when this object is garbage-collected. Raises WorkbenchError if it
    cannot be started. grace_seconds: how long it may take to end before it is killed.
    """

    def __init__(self, python: str, arguments: Sequence[str], grace_seconds: float) -> None:
        self._grace_seconds = grace_seconds
        self._start = time.perf_counter()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as this object lives
        try:
            self._process = _open_process(python, arguments, self._log)
        except BaseException:
            self._log.close()
            raise
        weakref.finalize(self, _clean_up, self._process, grace_seconds, self._log, os.getpid())

    @property
    def exit_code(self) -> int | None:
        """The exit code, None while the process runs."""
        return self._process.poll()

    @property
    def log(self) -> str:
        """What the process has written to stderr."""
        if hasattr(os, "pread"):  # elsewhere, reading moves for a moment the position at which the process writes
            content = os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0)
        else:
            self._log.seek(0)
            content = self._log.read()
        return content.decode("utf-8", "replace")

    def first_line(self, seconds: float) -> tuple[str, float]:
        """Wait for the first line on stdout, and kill the process after `seconds`.

        Returns the line and the seconds since the start; the line is empty if the process ended without one.
        """
        assert self._process.stdout is not None
        timer = threading.Timer(seconds, self._process.kill)
        timer.start()
        try:
            return self._process.stdout.readline(), time.perf_counter() - self._start
        finally:
            timer.cancel()

    def wait(self, seconds: float) -> None:
        """Wait until the process has ended, at most so long."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def end(self) -> bool:
        """Ask the process to stop and wait; return False if it had to be killed."""
        return _end(self._process, self._grace_seconds)

    def family(self) -> list[Any]:
        """Return the running processes (psutil.Process) of the application, the supervisor first."""
        if self.exit_code is not None:
            return []
        with suppress(psutil.Error):
            supervisor = psutil.Process(self._process.pid)
            children = supervisor.children(recursive=True)
            return [supervisor, *(each for each in children if each.status() != psutil.STATUS_ZOMBIE)]
        return []


def command_of(python: str) -> list[str]:
    """Return the start of a `workbench` command; -P keeps modules in the working directory from being imported."""
    return [python, "-P", "-m", "workbench"]


def environment_of(python: str) -> dict[str, str]:
    """Return the environment variables for `python`: this process's, with its import paths only for the same Python."""
    variables = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    if os.path.abspath(python) == os.path.abspath(sys.executable):
        variables["PYTHONPATH"] = os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH", "")]))
    return variables


def last_line(text: str, ignoring: str | None = None) -> str:
    """Return the last non-blank line that does not contain `ignoring`, without the program's name; "" if none."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not (ignoring and ignoring in line)]
    return shorten(lines[-1].removeprefix("workbench: "), 400) if lines else ""


def _open_process(python: str, arguments: Sequence[str], log: IO[bytes]) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            [*command_of(python), *arguments],
            stdin=subprocess.PIPE,  # closes with this Python, however that ends
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment_of(python),
            start_new_session=True,  # so that an interrupt of this Python does not reach the application
        )
    except OSError as error:
        raise WorkbenchError(f"python = {python!r} cannot be started: {error.strerror}.") from error
    except ValueError as error:
        words = shorten(" ".join(map(repr, arguments)), 300)
        raise WorkbenchError(f"{words}: cannot be passed on a command line ({shorten(error)}).") from error


def _end(process: subprocess.Popen[str], seconds: float) -> bool:
    in_time = True
    if process.poll() is None:
        assert process.stdin is not None
        if os.name == "posix":  # one of the two only: at a second request to stop, it drops what it has accepted
            process.terminate()
        else:
            process.stdin.close()
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            in_time = False
            if os.name == "posix":
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
            process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
    return in_time


def _clean_up(process: subprocess.Popen[str], seconds: float, log: IO[bytes], owner: int) -> None:
    if os.getpid() == owner:  # a fork of the Python that started the process leaves it alone
        _end(process, seconds)
        log.close()
