"""The process that starts the workers, watches them, swaps their bundle and stops them; it answers no request."""

from __future__ import annotations

import contextlib
import errno
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
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO, Any

from workbench.bundle import Bundle, read_bundle
from workbench.errors import WorkbenchError
from workbench.sealed import shortened
from workbench.serving import control
from workbench.serving.options import Options

START_SECONDS = 60.0
KILL_SECONDS = 5.0  # on top of what accepted requests are given
_LOG = logging.getLogger(__name__)

RESTARTS, RESTART_SECONDS = 5, 60.0  # more deaths than that are no accident


@dataclass(frozen=True, eq=False)
class _Worker:
    process: BaseProcess
    line: Connection


def serve(folder: Path, options: Options, say: Callable[[str], None], until: IO[str] | None = None) -> int:
    """Serve the bundle in `folder` until SIGTERM or SIGINT, or until `until` closes; the exit code of the program.

    say: told once, when every worker listens, where that is. Raises WorkbenchError for a bundle that is not whole or
    does not pass its self-test, and for an address that cannot be had.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    bundle = read_bundle(folder)
    with _listening(options) as listeners, _shared_metrics():
        supervisor = Supervisor(folder, bundle, options, listeners)
        try:
            supervisor.start()
            say(supervisor.told())
            return supervisor.run(until)
        finally:
            supervisor.stop()


class Supervisor:
    """Workers on one address. The bundle is read and checked once, here: workers never look at the disk."""

    def __init__(self, folder: Path, bundle: Bundle, options: Options, listeners: list[socket.socket]) -> None:
        self._folder, self._bundle, self._options, self._listeners = folder, bundle, options, listeners
        # Forked workers share the memory of what was imported before; where that is unsafe, each starts anew.
        self._forks = sys.platform == "linux"
        self._processes: Any = multiprocessing.get_context("fork" if self._forks else "spawn")
        self._workers: list[_Worker] = []
        self._deaths: deque[float] = deque(maxlen=RESTARTS)
        self._woken, self._waker = socket.socketpair()
        self._waker.setblocking(False)
        self._asked: deque[str] = deque()  # signals, as they came
        self._port = listeners[0].getsockname()[1]
        self._control: tuple[socket.socket, Path] | None = None

    def start(self) -> None:
        """Start all workers. Raises WorkbenchError where one of them cannot serve the bundle."""
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if name in signal.Signals.__members__:
                signal.signal(signal.Signals[name], self._hear)
        self._workers = [self._spawn(listener) for listener in self._listeners]
        for worker in self._workers:
            said, text = _answer_of(worker)
            if said != "ready":
                raise WorkbenchError(text)
        if hasattr(socket, "AF_UNIX"):
            self._control = control.open_control(self._port)

    def told(self) -> str:
        """Where it listens, in a sentence."""
        host = f"[{self._options.host}]" if ":" in self._options.host else self._options.host
        count = self._options.workers
        served = f"{self._bundle.model} {self._bundle.version} ({self._options.engine})"
        workers = f"{count} worker{'s' * (count > 1)}"
        return f"Serving {served} at http://{host}:{self._port} with {workers}. Ctrl+C stops it."

    def run(self, until: IO[str] | None = None) -> int:
        """Watch until told to stop; the exit code."""
        while True:
            waited: list[Any] = [
                self._woken,
                *([until] if until else []),
                *(worker.process.sentinel for worker in self._workers),
            ]
            if self._control is not None:
                waited.append(self._control[0])
            happened: list[Any] = wait(waited)
            if self._woken in happened:
                self._woken.recv(4096)
            if until is not None and until in happened and not os.read(until.fileno(), 4096):
                return 0
            while self._asked:
                if self._asked.popleft() != "SIGHUP":
                    return 0
                with contextlib.suppress(WorkbenchError):
                    self.swap(self._folder)
            if self._control is not None and self._control[0] in happened:
                self._obey(self._control[0])
            if not self._replace_the_dead():
                return 1

    def swap(self, folder: Path) -> str:
        """Have every worker answer with the bundle in `folder`, or none; what came of it, in a sentence.

        Raises WorkbenchError where the bundle is not whole or a worker does not get the expected answers from it.
        """
        try:
            bundle = read_bundle(folder)
            self._together(("prepare", bundle), START_SECONDS)
        except WorkbenchError as error:
            self._tell(("abort",))
            kept = f"{str(error).rstrip('.')}. {self._bundle.model} {self._bundle.version} goes on."
            _LOG.warning(f"swap refused: {kept}")
            raise WorkbenchError(kept) from error
        self._together(("commit",), START_SECONDS)
        before, self._bundle, self._folder = self._bundle, bundle, folder
        same = bundle.version == before.version
        instead = "loaded anew: it is the same bundle" if same else f"in place of {before.model} {before.version}"
        done = f"{bundle.model} {bundle.version} answers from now on, {instead}."
        _LOG.info(f"swapped: {done}")
        return done

    def stop(self) -> None:
        """Let the workers finish what they accepted, and end them."""
        if self._control is not None:
            self._control[0].close()
            self._control[1].unlink(missing_ok=True)
            self._control = None
        for listener in self._listeners:
            listener.close()
        self._tell(("stop",))
        deadline = time.monotonic() + self._options.drain_seconds + KILL_SECONDS
        for worker in self._workers:
            while worker.process.is_alive() and time.monotonic() < deadline and not self._asked:
                wait([worker.process.sentinel, self._woken], max(0.0, deadline - time.monotonic()))
            if worker.process.is_alive():
                worker.process.kill()
            worker.process.join()
            worker.line.close()
        if self._workers:
            from workbench.serving.metrics import totals

            answered, cut_off = totals()
            _LOG.info(f"stopped: {answered:,} requests answered, {cut_off:,} cut off.")
        self._workers = []

    def _hear(self, number: int, _: object) -> None:
        self._asked.append(signal.Signals(number).name)
        with contextlib.suppress(OSError):
            self._waker.send(b".")

    def _spawn(self, listener: socket.socket) -> _Worker:
        # Loaded only now: what counts for all workers is decided by the environment when it is first imported.
        from workbench.serving.worker import run_worker

        line, other = self._processes.Pipe()
        inherited = [each for each in self._listeners if each is not listener] if self._forks else []
        arguments = (self._bundle, self._options, listener, other, inherited)
        process = self._processes.Process(target=run_worker, args=arguments, daemon=True)
        process.start()
        other.close()
        return _Worker(process, line)

    def _replace_the_dead(self) -> bool:
        """Start another worker for each that died; False where they die too often."""
        from prometheus_client.multiprocess import mark_process_dead

        for place, worker in enumerate(self._workers):
            if worker.process.is_alive():
                continue
            worker.process.join()
            worker.line.close()
            mark_process_dead(worker.process.pid)
            now = time.monotonic()
            if len(self._deaths) == RESTARTS and now - self._deaths[0] < RESTART_SECONDS:
                _LOG.warning("workers die too often: giving up.")
                return False
            self._deaths.append(now)
            _LOG.warning(
                f"worker {worker.process.pid} died (exit code {worker.process.exitcode}); another takes its place."
            )
            self._workers[place] = self._spawn(self._listeners[place])
            said, text = _answer_of(self._workers[place])
            if said != "ready":
                _LOG.warning(text)
        return True

    def _together(self, order: tuple[object, ...], seconds: float) -> None:
        """Give all workers an order and hear them all. Raises WorkbenchError with the first refusal."""
        self._tell(order)
        answers = [_answer_of(worker, seconds) for worker in self._workers]
        for said, text in answers:
            if said == "refused":
                raise WorkbenchError(text)

    def _tell(self, order: tuple[object, ...]) -> None:
        for worker in self._workers:
            with contextlib.suppress(OSError):  # it died, and will be replaced
                worker.line.send(order)

    def _obey(self, listener: socket.socket) -> None:
        """Answer one command that came on the control socket."""
        with contextlib.suppress(OSError), listener.accept()[0] as line:
            line.settimeout(1.0)
            try:
                asked = control.read_line(line)
                told = {"done": self.swap(Path(str(asked["swap"])))}
            except WorkbenchError as error:
                told = {"refused": str(error)}
            except (OSError, ValueError, KeyError) as error:
                told = {"refused": f"no command was understood ({shortened(error)})."}
            line.sendall(json.dumps(told).encode("utf-8") + b"\n")


def _answer_of(worker: _Worker, seconds: float = START_SECONDS) -> tuple[str, str]:
    """What a worker says next: ("ready", version) or ("refused", why)."""
    try:
        if worker.line.poll(seconds):
            said, text = worker.line.recv()
            return str(said), str(text)
        return "refused", f"A worker said nothing for {seconds:.0f} s."
    except (EOFError, OSError):
        return "refused", "A worker died before it could answer; its log says why."


@contextlib.contextmanager
def _listening(options: Options) -> Iterator[list[socket.socket]]:
    """A socket for each worker, all on one address. Raises WorkbenchError where the address cannot be had.

    Linux spreads connections over sockets that share a port; of several processes that share one socket, the first to
    wake up takes nearly all. Other systems do not spread them, so there it is one socket for all. The supervisor keeps
    them open: who waits at a worker that died is answered by the next.
    """
    spread = sys.platform == "linux"
    listeners: list[socket.socket] = []
    with contextlib.ExitStack() as opened:
        try:
            family, *_, address = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0]
            where: tuple[Any, Any] = (address[0], address[1])
            # Sharing a port means sharing it with whoever asks: so first see that it is free.
            with socket.create_server(where, family=family) as probe:
                where = where[0], probe.getsockname()[1]
            for _ in range(options.workers):
                one = listeners[0] if listeners and not spread else None
                one = one or socket.create_server(where, family=family, backlog=2048, reuse_port=spread)
                listeners.append(opened.enter_context(one))
        except OSError as error:
            taken = "something listens there already: choose another --port, 0 for any."
            why = taken if error.errno == errno.EADDRINUSE else f"{error.strerror or error}."
            raise WorkbenchError(f"{options.host}, port {options.port}: {why}") from error
        yield listeners


@contextlib.contextmanager
def _shared_metrics() -> Iterator[None]:
    """A folder in which the workers add up their metrics."""
    folder = tempfile.mkdtemp(prefix="workbench-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)
