"""The production application, driven from the bench: a process of its own, asked over HTTP as all its clients ask."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Any, Self
from urllib.parse import urlsplit

import numpy as np
import psutil
from numpy.typing import ArrayLike, NDArray

from workbench.arguments import path
from workbench.bundle import Bundle
from workbench.deployment_metrics import DeploymentMetrics, read_metrics
from workbench.errors import WorkbenchError
from workbench.load import ANSWER_SECONDS, Load, press
from workbench.sealed import shortened

START_SECONDS = 120.0
DRAIN_SECONDS, KILL_SECONDS = 30.0, 10.0  # what the application gives to accepted requests, and what ending takes
BATCH = 64  # pictures that go into one request
_HEAD_BYTES = 1024  # more than the JSON in front of a tensor has
_HOME = str(Path(__file__).resolve().parent.parent)
_STARTED = re.compile(r"Serving (.+) ([0-9a-f]{12}) \((\S+)\) at (http://\S+) with ")
_LENGTH = "Inference-Header-Content-Length"


@dataclass(frozen=True, kw_only=True)
class DeploymentFootprint:
    """What an application takes, measured here and now.

    start_seconds: from the start of its Python until it listened. resident_bytes: memory of each process by its number,
    what several of them share counted in each. pss_bytes: the same with shares of what is shared, so that these may be
    added up; None where the system does not tell (all but Linux).
    """

    start_seconds: float
    resident_bytes: Mapping[int, int]
    pss_bytes: Mapping[int, int] | None


class Deployment:
    """A running `workbench serve` that `deploy` started; a context manager, which stops it at its end.

    address: of its page, without a slash at its end. python: that runs it. model, version: of the bundle that answers,
    as last told by its start, `swap`, `card` or `metrics`. engine: onnx or onnx-int8. start_seconds: until it listened.

    It stops when it is forgotten, and with this Python, however that ends. Methods raise WorkbenchError where it
    refuses or does not answer; where it has ended, with the last line of its log.
    """

    def __init__(self, process: subprocess.Popen[str], python: str, log: IO[bytes], drain_seconds: object) -> None:
        self.python = python
        self.address = self.model = self.version = self.engine = ""
        self.start_seconds = math.nan
        self._process, self._log = process, log
        self._stopping, self._stopped = threading.Lock(), False
        drain = float(drain_seconds) if isinstance(drain_seconds, int | float) else DRAIN_SECONDS
        self._patience = drain + KILL_SECONDS
        weakref.finalize(self, _forget, process, self._patience, log, os.getpid())

    def __repr__(self) -> str:
        state = "" if self.is_running else ", which has ended"
        return f"Deployment of {self.model} {self.version} at {self.address}{state}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        """Whether its process exists."""
        return self._process.poll() is None

    @property
    def died(self) -> str:
        """That it ended though nobody called `stop`: with its exit code and the last line of its log; else empty."""
        code = self._process.poll()
        if code is None or self._stopped:
            return ""
        said = _last_line(self.log, but=" INFO " if code else None) or "nothing."
        return f"The application at {self.address} has ended (exit code {code}); it said last: {said}"

    @property
    def processes(self) -> tuple[int, ...]:
        """The numbers of its processes that run: of the supervisor first, then of the workers. Empty when it ended."""
        return tuple(each.pid for each in _family(self._process))

    @property
    def log(self) -> str:
        """What it has written to its log."""
        if hasattr(os, "pread"):  # elsewhere reading moves the place at which the application writes on, for a moment
            content = os.pread(self._log.fileno(), os.fstat(self._log.fileno()).st_size, 0)
        else:
            self._log.seek(0)
            content = self._log.read()
        return content.decode("utf-8", "replace")

    def stop(self) -> str:
        """Let it finish what it has accepted, and wait for its end; what came of it, in a sentence."""
        with self._stopping:
            if not self.is_running:
                return f"The application at {self.address} has ended already."
            self._stopped = True
            if _end(self._process, self._patience):
                return f"The application at {self.address} finished what it had accepted and ended."
            return f"The application at {self.address} did not end within {self._patience:g} s and was killed."

    def card(self) -> dict[str, Any]:
        """What the bundle says of its network: name, version, labels, accuracy, engine, limits and more."""
        with closing(self._line()) as line:
            card = self._json(line, "/card")
        self.model, self.version = card["name"], card["version"]
        return card

    def classify(self, pictures: ArrayLike) -> NDArray[np.float32]:
        """Probabilities, float32 (N, K), of pictures, uint8 (N, H, W, C) as the network takes them: array or tensor.

        They travel by the Open Inference Protocol as binary tensors, at most BATCH in one request.
        """
        given: Any = pictures
        try:
            pixels = np.ascontiguousarray(given.cpu() if hasattr(given, "cpu") else given)
        except ValueError as error:
            raise WorkbenchError(f"pictures: they make no array ({shortened(error)}).") from error
        if pixels.dtype != np.uint8 or pixels.ndim != 4:
            told = f"{pixels.dtype} {pixels.shape}"
            raise WorkbenchError(f"pictures = {told}: give uint8 of the shape (pictures, height, width, channels).")
        with closing(self._line()) as line:
            card = self._json(line, "/card")
            limits, size = card["limits"], max(1, math.prod(pixels.shape[1:]))
            most = max(1, min(BATCH, limits["pictures"], (limits["body_bytes"] - _HEAD_BYTES) // size))
            parts = [
                self._infer(line, card["name"], pixels[first : first + most]) for first in range(0, len(pixels), most)
            ]
        return np.concatenate([np.empty((0, len(card["labels"])), np.float32), *parts])

    def metrics(self) -> DeploymentMetrics:
        """What it has counted since it started."""
        with closing(self._line()) as line:
            found = read_metrics(self._ask(line, "GET", "/metrics")[0].decode("utf-8"), time.time())
        self.version = max(found.workers, key=lambda version: found.workers[version], default=self.version)
        return found

    def press(self, seconds: float, at_once: int = 8) -> Load:
        """Put load on it for so many seconds: `at_once` clients send the bundle's pictures (PNG) one by one.

        The clients are threads of this Python and take their share of the same processor. It ends early where the
        application does. Raises WorkbenchError for seconds and clients that cannot be.
        """
        with closing(self._line()) as line:
            pictures = [self._ask(line, "GET", each["picture"])[0] for each in self._json(line, "/card")["examples"]]
        return press(self.address, pictures, seconds, at_once, lambda: self.is_running)

    def swap(self, bundle: Bundle | Path | str) -> str:
        """Have it answer with another bundle, which must pass its self-test in every worker; what came of it.

        Raises WorkbenchError with the reason where it goes on with the one it has.
        """
        if not self.is_running:
            raise WorkbenchError(self._why("it has ended"))
        port = urlsplit(self.address).port
        command = [*_command(self.python), "swap", str(_folder(bundle)), f"--port={port}"]
        done = subprocess.run(command, capture_output=True, text=True, env=_environment(self.python), check=False)
        if done.returncode:
            raise WorkbenchError(_last_line(done.stderr) or f"The swap failed without a word ({done.returncode}).")
        self.card()
        return done.stdout.strip()

    def footprint(self) -> DeploymentFootprint:
        """What it takes now: the memory of each of its processes, and the seconds of its start."""
        family = _family(self._process)
        if not family:
            raise WorkbenchError(self._why("it has ended"))
        resident: dict[int, int] = {}
        pss: dict[int, int] = {}
        for each in family:
            with suppress(psutil.Error, AttributeError):  # PSS is Linux's alone
                resident[each.pid] = each.memory_info().rss
                pss[each.pid] = each.memory_full_info().pss
        return DeploymentFootprint(
            start_seconds=self.start_seconds,
            resident_bytes=resident,
            pss_bytes=pss if pss.keys() == resident.keys() else None,
        )

    # By HTTP ----------------------------------------------------------------------------------------------------

    def _line(self) -> HTTPConnection:
        address = urlsplit(self.address)
        return HTTPConnection(str(address.hostname), address.port, timeout=ANSWER_SECONDS)

    def _ask(
        self, line: HTTPConnection, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[bytes, HTTPMessage]:
        """The body and the headers of an answer. Raises WorkbenchError for any other than 200, with what it says."""
        try:
            line.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
            answer = line.getresponse()
            content = answer.read()
        except (OSError, HTTPException) as error:
            raise WorkbenchError(self._why(shortened(error) or type(error).__name__)) from error
        if answer.status != HTTPStatus.OK:
            raise WorkbenchError(_detail(content) or f"{self.address}{path} answers with the status {answer.status}.")
        return content, answer.headers

    def _json(self, line: HTTPConnection, path: str) -> dict[str, Any]:
        return dict(json.loads(self._ask(line, "GET", path)[0]))

    def _infer(self, line: HTTPConnection, name: str, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        tensor: dict[str, Any] = {"name": "pictures", "datatype": "UINT8", "shape": list(pictures.shape)}
        tensor["parameters"] = {"binary_data_size": pictures.nbytes}
        head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
        headers = {"Content-Type": "application/octet-stream", _LENGTH: str(len(head))}
        content, told = self._ask(line, "POST", f"/v2/models/{name}/infer", head + pictures.tobytes(), **headers)
        return np.frombuffer(content[int(told[_LENGTH]) :], "<f4").reshape(len(pictures), -1)

    def _why(self, error: str) -> str:
        """Why it does not answer, in a sentence."""
        if self._stopped:
            return f"The application at {self.address} was stopped: start another with deploy()."
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)  # whoever dies hangs up first
        return self.died or f"The application at {self.address} does not answer ({error})."


def deploy(
    bundle: Bundle | Path | str,
    *,
    python: Path | str | None = None,
    workers: int = 1,
    engine: str = "onnx",
    port: int = 0,
    **limits: int | float | str,
) -> Deployment:
    """Start the production application with the bundle in this folder, and wait until it listens.

    python: of the environment that it runs in (`field_environment` makes one without PyTorch), by default this one.
    port: 0 takes any that is free. limits: further options of `workbench serve`, such as max_pictures=16 or
    host="0.0.0.0". Raises WorkbenchError with what it said where it does not start.
    """
    executable = str(path("python", sys.executable if python is None else python))
    options = {"workers": workers, "engine": engine, "port": port, **limits}
    command = [*_command(executable), "serve", str(_folder(bundle)), "--stop-with-stdin"]
    command += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    log = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the deployment is remembered, and gone with it
    start = time.perf_counter()
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,  # closes with this Python, however it ends
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=_environment(executable),
            start_new_session=True,  # an interrupt of this Python is none of the application's
        )
    except OSError as error:
        log.close()
        raise WorkbenchError(f"python = {executable!r} cannot be started: {error.strerror}.") from error
    except ValueError as error:
        log.close()
        words = shortened(" ".join(map(repr, command[4:])), 300)
        raise WorkbenchError(f"{words}: no command can carry this ({shortened(error)}).") from error
    made = Deployment(process, executable, log, limits.get("drain_seconds", DRAIN_SECONDS))
    patience = threading.Timer(START_SECONDS, process.kill)
    patience.start()
    try:
        assert process.stdout is not None
        told = _STARTED.match(process.stdout.readline())
        if told is None:
            process.wait(KILL_SECONDS)
            said = _last_line(made.log) or f"nothing, within {time.perf_counter() - start:.0f} s."
            raise WorkbenchError(f"The application did not start; it said: {said}")
    except BaseException:
        made.stop()
        raise
    finally:
        patience.cancel()
    made.start_seconds = time.perf_counter() - start
    made.model, made.version, made.engine, made.address = told.groups()
    return made


def _detail(content: bytes) -> str:
    """The sentence in a refusal, as RFC 9457 has it; empty where there is none."""
    with suppress(ValueError, KeyError, TypeError):
        return str(json.loads(content)["detail"])
    return ""


def _folder(bundle: Bundle | Path | str) -> Path:
    return (bundle.path if isinstance(bundle, Bundle) else path("bundle", bundle)).absolute()


def _command(python: str) -> list[str]:
    return [python, "-P", "-m", "workbench"]  # -P: nothing is imported from the working directory


def _environment(python: str) -> dict[str, str]:
    """The variables of this process; what they say of where to import from, for this Python alone."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
    if os.path.abspath(python) == os.path.abspath(sys.executable):
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, [_HOME, os.environ.get("PYTHONPATH", "")]))
    return kept


def _last_line(text: str, but: str | None = None) -> str:
    """The last line that says something, and not `but`; without who says it."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not (but and but in line)]
    return shortened(lines[-1].removeprefix("workbench: "), 400) if lines else ""


def _end(process: subprocess.Popen[str], seconds: float) -> bool:
    """Have the application stop, and wait; False where it had to be killed."""
    in_time = True
    if process.poll() is None:
        assert process.stdin is not None
        if os.name == "posix":  # one way or the other: told twice, it drops what it has accepted
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


def _forget(process: subprocess.Popen[str], seconds: float, log: IO[bytes], owner: int) -> None:
    """Leave neither process nor log behind. A fork of the Python that started it leaves both alone."""
    if os.getpid() == owner:
        _end(process, seconds)
        log.close()


def _family(process: subprocess.Popen[str]) -> list[Any]:
    """The application's processes that run, the supervisor first."""
    if process.poll() is not None:
        return []
    with suppress(psutil.Error):
        supervisor = psutil.Process(process.pid)
        children = supervisor.children(recursive=True)
        return [supervisor, *(each for each in children if each.status() != psutil.STATUS_ZOMBIE)]
    return []
