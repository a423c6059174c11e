"""The supervisor process: starts the workers, replaces dead ones, swaps their bundle and stops them."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, Any

from workbench.bundle.manifest import Bundle, read_bundle
from workbench.errors import WorkbenchError
from workbench.serving import control
from workbench.serving.listeners import open_listeners
from workbench.serving.options import KILL_SECONDS, Options
from workbench.wording import shorten

_LOG = logging.getLogger(__name__)

START_SECONDS = 60.0  # for a worker to load a bundle and pass its self-test
MAX_DEATHS, DEATH_WINDOW_SECONDS = 5, 60.0  # more worker deaths than that within the window are no accident


@dataclass(frozen=True, eq=False)
class _Worker:
    process: BaseProcess
    pipe: Connection

    def receive(self, seconds: float = START_SECONDS) -> tuple[str, str]:
        """Return the worker's next message: ("ready", version) or ("refused", reason)."""
        try:
            if self.pipe.poll(seconds):
                message, text = self.pipe.recv()
                return str(message), str(text)
            return "refused", f"A worker did not respond within {seconds:.0f} s."
        except (EOFError, OSError):
            return "refused", "A worker died before it could respond; its log shows why."


def serve(folder: Path, options: Options, echo: Callable[[str], None], stdin: IO[str] | None = None) -> int:
    """Serve the bundle in `folder` until SIGTERM or SIGINT, or until `stdin` closes; return the exit code.

    echo: called once, with the address, when every worker listens. Raises WorkbenchError for an invalid bundle or one
    that fails its self-test, and for an address that is not available.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    bundle = read_bundle(folder)
    with open_listeners(options) as listeners, _shared_metrics():
        supervisor = Supervisor(folder, bundle, options, listeners)
        try:
            supervisor.start()
            echo(supervisor.describe())
            return supervisor.run(stdin)
        finally:
            supervisor.stop()


class Supervisor:
    """Workers on one address. The bundle is read and verified once, here; workers never read it from disk."""

    def __init__(self, folder: Path, bundle: Bundle, options: Options, listeners: list[socket.socket]) -> None:
        self._folder, self._bundle, self._options, self._listeners = folder, bundle, options, listeners
        # Forked workers share the memory of everything imported before; where fork is unsafe, each starts afresh.
        self._forks = sys.platform == "linux"
        self._processes: Any = multiprocessing.get_context("fork" if self._forks else "spawn")
        self._workers: list[_Worker] = []
        self._deaths: deque[float] = deque(maxlen=MAX_DEATHS)
        self._signals: deque[str] = deque()  # received and not yet handled
        self._wakeup, self._wakeup_sender = socket.socketpair()
        self._wakeup_sender.setblocking(False)
        self._port = listeners[0].getsockname()[1]
        self._control: tuple[socket.socket, Path] | None = None

    def start(self) -> None:
        """Start all workers. Raises WorkbenchError if one of them cannot serve the bundle."""
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if name in signal.Signals.__members__:
                signal.signal(signal.Signals[name], self._on_signal)
        self._workers = [self._spawn(listener) for listener in self._listeners]
        for worker in self._workers:
            message, text = worker.receive()
            if message != "ready":
                raise WorkbenchError(text)
        if hasattr(socket, "AF_UNIX"):
            self._control = control.open_control(self._port)

    def describe(self) -> str:
        """Return what is served and where, in a sentence."""
        host = f"[{self._options.host}]" if ":" in self._options.host else self._options.host
        count = self._options.workers
        served = f"{self._bundle.model} {self._bundle.version} ({self._options.engine})"
        workers = f"{count} worker{'s' * (count > 1)}"
        return f"Serving {served} at http://{host}:{self._port} with {workers}. Ctrl+C stops it."

    def run(self, stdin: IO[str] | None = None) -> int:
        """Watch the workers until asked to stop; return the exit code."""
        while True:
            ready = self._wait(stdin)
            if self._wakeup in ready:
                self._wakeup.recv(4096)
            if stdin is not None and stdin in ready and not os.read(stdin.fileno(), 4096):
                return 0
            if not self._handle_signals():
                return 0
            if self._control is not None and self._control[0] in ready:
                self._handle_command(self._control[0])
            if not self._replace_dead_workers():
                return 1

    def swap(self, folder: Path) -> str:
        """Switch every worker to the bundle in `folder`, or none; return a sentence on the outcome.

        Raises WorkbenchError if the bundle is invalid or fails its self-test in any worker.
        """
        try:
            bundle = read_bundle(folder)
            self._send_and_receive("prepare", bundle)
        except WorkbenchError as error:
            self._send("abort")
            refusal = f"{str(error).rstrip('.')}. {self._bundle.model} {self._bundle.version} stays in service."
            _LOG.warning(f"swap refused: {refusal}")
            raise WorkbenchError(refusal) from error
        self._send_and_receive("commit")
        previous, self._bundle, self._folder = self._bundle, bundle, folder
        if bundle.version == previous.version:
            outcome = f"{bundle.model} {bundle.version} was reloaded: it is the same bundle."
        else:
            outcome = (
                f"{bundle.model} {bundle.version} is in service now, replacing {previous.model} {previous.version}."
            )
        _LOG.info(f"swapped: {outcome}")
        return outcome

    def stop(self) -> None:
        """Let the workers finish the requests they accepted, then end them."""
        if self._control is not None:
            self._control[0].close()
            self._control[1].unlink(missing_ok=True)
            self._control = None
        for listener in self._listeners:
            listener.close()
        self._send("stop")
        deadline = time.monotonic() + self._options.drain_seconds + KILL_SECONDS
        for worker in self._workers:
            while worker.process.is_alive() and time.monotonic() < deadline and not self._signals:
                wait([worker.process.sentinel, self._wakeup], max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
            worker.process.join()
            worker.pipe.close()
        if self._workers:
            from workbench.serving.metrics import totals

            answered, cut_off = totals()
            _LOG.info(f"stopped: {answered:,} requests answered, {cut_off:,} cut off.")
        self._workers = []

    # Events

    def _wait(self, stdin: IO[str] | None) -> list[Any]:
        """Block until something happens; return the objects that are ready."""
        sources: list[Any] = [self._wakeup, *(worker.process.sentinel for worker in self._workers)]
        if stdin is not None:
            sources.append(stdin)
        if self._control is not None:
            sources.append(self._control[0])
        return wait(sources)

    def _on_signal(self, number: int, _: object) -> None:
        self._signals.append(signal.Signals(number).name)
        with suppress(OSError):
            self._wakeup_sender.send(b".")

    def _handle_signals(self) -> bool:
        """Reload the bundle on SIGHUP; return False on any other signal, which means stop."""
        while self._signals:
            if self._signals.popleft() != "SIGHUP":
                return False
            with suppress(WorkbenchError):  # logged by swap
                self.swap(self._folder)
        return True

    def _handle_command(self, listener: socket.socket) -> None:
        """Carry out one command from the control socket, and reply."""
        with suppress(OSError), listener.accept()[0] as connection:
            connection.settimeout(1.0)
            try:
                command = control.read_line(connection)
                reply = {"done": self.swap(Path(str(command["swap"])))}
            except WorkbenchError as error:
                reply = {"refused": str(error)}
            except (OSError, ValueError, KeyError) as error:
                reply = {"refused": f"the command was not understood ({shorten(error)})."}
            connection.sendall(json.dumps(reply).encode("utf-8") + b"\n")

    # Workers

    def _spawn(self, listener: socket.socket) -> _Worker:
        # Imported late: prometheus_client reads the metrics folder from the environment when it is first imported.
        from workbench.serving.worker import run_worker

        pipe, worker_pipe = self._processes.Pipe()
        inherited = [each for each in self._listeners if each is not listener] if self._forks else []
        arguments = (self._bundle, self._options, listener, worker_pipe, inherited)
        process = self._processes.Process(target=run_worker, args=arguments, daemon=True)
        process.start()
        worker_pipe.close()
        return _Worker(process, pipe)

    def _replace_dead_workers(self) -> bool:
        """Start a replacement for each dead worker; return False if they die too often."""
        from prometheus_client.multiprocess import mark_process_dead

        for index, worker in enumerate(self._workers):
            if worker.process.is_alive():
                continue
            worker.process.join()
            worker.pipe.close()
            mark_process_dead(worker.process.pid)
            now = time.monotonic()
            if len(self._deaths) == MAX_DEATHS and now - self._deaths[0] < DEATH_WINDOW_SECONDS:
                _LOG.warning("workers die too often: giving up.")
                return False
            self._deaths.append(now)
            _LOG.warning(f"worker {worker.process.pid} died (exit code {worker.process.exitcode}); replacing it.")
            self._workers[index] = self._spawn(self._listeners[index])
            message, text = self._workers[index].receive()
            if message != "ready":
                _LOG.warning(text)
        return True

    def _send(self, *command: object) -> None:
        for worker in self._workers:
            with suppress(OSError):  # it died, and will be replaced
                worker.pipe.send(command)

    def _send_and_receive(self, *command: object) -> None:
        """Send a command to all workers and wait for every reply. Raises WorkbenchError with the first refusal."""
        self._send(*command)
        replies = [worker.receive() for worker in self._workers]
        for message, text in replies:
            if message == "refused":
                raise WorkbenchError(text)


@contextmanager
def _shared_metrics() -> Iterator[None]:
    """Make the folder in which the workers share their metrics."""
    folder = tempfile.mkdtemp(prefix="workbench-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
