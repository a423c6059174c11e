"""The production application run from the bench: a process of its own, used over HTTP like by any other client."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import numpy as np
import psutil
from numpy.typing import ArrayLike, NDArray

from workbench.arguments import path
from workbench.bundle.manifest import Bundle
from workbench.deployment.client import HEAD_BYTES, ApplicationClient
from workbench.deployment.load_test import LoadTestResult, run_load_test
from workbench.deployment.metrics import DeploymentMetrics, read_metrics
from workbench.deployment.process import EXIT_SECONDS, ApplicationProcess, command_of, environment_of, last_line
from workbench.errors import WorkbenchError
from workbench.serving.options import DRAIN_SECONDS
from workbench.wording import shorten

START_SECONDS = 120.0
BATCH = 64  # most images in one request
_STARTED = re.compile(r"Serving (.+) ([0-9a-f]{12}) \((\S+)\) at (http://\S+) with ")


@dataclass(frozen=True, kw_only=True)
class DeploymentFootprint:
    """The resources an application uses, measured here and now.

    start_seconds: from the start of its Python until it listened. resident_bytes: resident set size by process id;
    shared pages count in every process. pss_bytes: proportional set size, in which shared pages are divided among the
    processes, so that these may be summed; None where the system does not report it (all but Linux).
    """

    start_seconds: float
    resident_bytes: Mapping[int, int]
    pss_bytes: Mapping[int, int] | None


class Deployment:
    """A running `workbench serve`, started by `deploy`; a context manager that stops it on exit.

    address: URL without a trailing slash. python: the interpreter that runs it. model, version: of the bundle in
    service, as of the start or the latest `swap`, `card` or `metrics`. engine: onnx or onnx-int8. start_seconds: from
    the start of its Python until it listened.

    It stops when it is garbage-collected, and with this Python, however that ends. Methods raise WorkbenchError if it
    refuses or does not respond; if it has ended, with the last line of its log.

    >>> from workbench.folders import REFERENCE
    >>> with wb.deploy(REFERENCE) as deployment:
    ...     result = deployment.load_test(seconds=0.2, concurrency=4)
    ...     counted = deployment.metrics()
    >>> counted.requests == {200: result.answered}
    True
    """

    def __init__(self, process: ApplicationProcess, python: str) -> None:
        self.python = python
        self.address = self.model = self.version = self.engine = ""
        self.start_seconds = math.nan
        self._process = process
        self._stopping, self._stopped = threading.Lock(), False

    def __repr__(self) -> str:
        state = "" if self.is_running else ", which has ended"
        return f"Deployment of {self.model} {self.version} at {self.address}{state}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        """Whether its process is running."""
        return self._process.exit_code is None

    @property
    def failure(self) -> str:
        """Why it ended without a call to `stop`, in a sentence with the last line of its log; otherwise empty."""
        code = self._process.exit_code
        if code is None or self._stopped:
            return ""
        line = last_line(self.log, ignoring=" INFO " if code else None) or "nothing."
        return f"The application at {self.address} has ended (exit code {code}); its last words: {line}"

    @property
    def processes(self) -> tuple[int, ...]:
        """The ids of its running processes: the supervisor, then the workers. Empty once it has ended."""
        return tuple(each.pid for each in self._process.family())

    @property
    def log(self) -> str:
        """Its log so far."""
        return self._process.log

    def stop(self) -> str:
        """Let it finish the requests it has accepted, and wait until it has ended; return a sentence on the outcome."""
        with self._stopping:
            if not self.is_running:
                return f"The application at {self.address} has ended already."
            self._stopped = True
            if self._process.end():
                return f"The application at {self.address} finished what it had accepted and ended."
            return f"The application at {self.address} did not end in time and was killed."

    def card(self) -> dict[str, Any]:
        """Return the network's card: name, version, labels, accuracy, engine, limits and more."""
        with self._connect() as client:
            card = client.get_json("/card")
        self.model, self.version = card["name"], card["version"]
        return card

    def classify(self, images: ArrayLike) -> NDArray[np.float32]:
        """Return the probabilities, float32 (N, K), of images: an array or tensor, uint8 (N, H, W, C).

        The images need the network's input size. They are sent by the Open Inference Protocol, at most BATCH per
        request.
        """
        pixels = _as_pixels(images)
        with self._connect() as client:
            card = client.get_json("/card")
            limits, size = card["limits"], max(1, math.prod(pixels.shape[1:]))
            step = max(1, min(BATCH, limits["images"], (limits["body_bytes"] - HEAD_BYTES) // size))
            parts = [client.infer(card["name"], pixels[i : i + step]) for i in range(0, len(pixels), step)]
        return np.concatenate([np.empty((0, len(card["labels"])), np.float32), *parts])

    def metrics(self) -> DeploymentMetrics:
        """Return its counters since it started."""
        with self._connect() as client:
            metrics = read_metrics(client.get("/metrics").decode("utf-8"), time.time())
        self.version = max(metrics.workers, key=lambda version: metrics.workers[version], default=self.version)
        return metrics

    def load_test(self, seconds: float, concurrency: int = 8) -> LoadTestResult:
        """Load-test it for `seconds`: `concurrency` clients send the bundle's example images, one PNG per request.

        The clients are threads of this Python and share the processor with the application. The test ends early if the
        application does. Raises WorkbenchError for invalid arguments.
        """
        with self._connect() as client:
            images = [client.get(example["image"]) for example in client.get_json("/card")["examples"]]
        return run_load_test(self.address, images, seconds, concurrency, lambda: self.is_running)

    def swap(self, bundle: Bundle | Path | str) -> str:
        """Switch to another bundle, which must pass its self-test in every worker; return a sentence on the outcome.

        Raises WorkbenchError with the reason if the present bundle stays in service.
        """
        if not self.is_running:
            raise WorkbenchError(self._explain("it has ended"))
        port = urlsplit(self.address).port
        command = [*command_of(self.python), "swap", str(_bundle_folder(bundle)), f"--port={port}"]
        done = subprocess.run(command, capture_output=True, text=True, env=environment_of(self.python), check=False)
        if done.returncode:
            raise WorkbenchError(last_line(done.stderr) or f"The swap failed (exit code {done.returncode}).")
        self.card()
        return done.stdout.strip()

    def footprint(self) -> DeploymentFootprint:
        """Measure the memory of each of its processes."""
        family = self._process.family()
        if not family:
            raise WorkbenchError(self._explain("it has ended"))
        resident: dict[int, int] = {}
        pss: dict[int, int] = {}
        for process in family:
            with suppress(psutil.Error, AttributeError):  # only Linux has PSS
                resident[process.pid] = process.memory_info().rss
                pss[process.pid] = process.memory_full_info().pss
        return DeploymentFootprint(
            start_seconds=self.start_seconds,
            resident_bytes=resident,
            pss_bytes=pss if pss.keys() == resident.keys() else None,
        )

    def _connect(self) -> ApplicationClient:
        return ApplicationClient(self.address, self._explain)

    def _explain(self, cause: str) -> str:
        """Return a sentence on why it does not respond."""
        if self._stopped:
            return f"The application at {self.address} was stopped: start another with deploy()."
        self._process.wait(1)  # a dying process closes its connections first
        return self.failure or f"The application at {self.address} does not respond ({cause})."


def deploy(
    bundle: Bundle | Path | str,
    *,
    python: Path | str | None = None,
    workers: int = 1,
    engine: str = "onnx",
    port: int = 0,
    **options: int | float | str,
) -> Deployment:
    """Start the production application with the bundle in a folder, and wait until it listens.

    python: interpreter to run it, by default this one; `field_environment` makes one without PyTorch. port: 0 takes any
    free one. options: further options of `workbench serve`, such as max_images=16 or host="0.0.0.0". Raises
    WorkbenchError with the application's own message if it does not start.

    >>> from workbench.folders import REFERENCE
    >>> with wb.deploy(REFERENCE, max_images=16) as deployment:
    ...     probabilities = deployment.classify(wb.read_bundle(REFERENCE).self_test_images)
    >>> probabilities.shape
    (10, 10)
    """
    executable = str(path("python", sys.executable if python is None else python))
    options = {"workers": workers, "engine": engine, "port": port, **options}
    arguments = ["serve", str(_bundle_folder(bundle)), "--stop-with-stdin"]
    arguments += [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    drain_seconds = options.get("drain_seconds")
    grace_seconds = float(drain_seconds) if isinstance(drain_seconds, int | float) else DRAIN_SECONDS
    process = ApplicationProcess(executable, arguments, grace_seconds + EXIT_SECONDS)
    deployment = Deployment(process, executable)
    try:
        line, seconds = process.first_line(START_SECONDS)
        started = _STARTED.match(line)
        if started is None:
            process.wait(EXIT_SECONDS)
            message = last_line(process.log) or f"no message within {seconds:.0f} s."
            raise WorkbenchError(f"The application did not start: {message}")
    except BaseException:
        deployment.stop()
        raise
    deployment.start_seconds = seconds
    deployment.model, deployment.version, deployment.engine, deployment.address = started.groups()
    return deployment


def _bundle_folder(bundle: Bundle | Path | str) -> Path:
    return (bundle.path if isinstance(bundle, Bundle) else path("bundle", bundle)).absolute()


def _as_pixels(images: Any) -> NDArray[np.uint8]:
    try:
        pixels = np.ascontiguousarray(images.cpu() if hasattr(images, "cpu") else images)
    except ValueError as error:
        raise WorkbenchError(f"images: cannot be made into an array ({shorten(error)}).") from error
    if pixels.dtype != np.uint8 or pixels.ndim != 4:
        given = f"{pixels.dtype} {pixels.shape}"
        raise WorkbenchError(f"images = {given}: give uint8 of the shape (images, height, width, channels).")
    return pixels
