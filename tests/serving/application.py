"""The application, started as a user starts it: a process of its own, on a free port."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from workbench.bundle import Bundle, read_bundle, write_bundle
from workbench.recordings import REFERENCE

STARTED = re.compile(r"Serving \S+ ([0-9a-f]{12}) \(\S+\) at (http://\S+) with")


@dataclass(frozen=True)
class Application:
    """A running application. address: without a slash at its end. log: what it wrote to stderr."""

    process: subprocess.Popen[str]
    address: str
    version: str
    log: Path

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def workers(self) -> list[int]:
        """The processes that answer."""
        return children_of(self.process.pid)

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 60) -> int:
        """Tell it to stop; its exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


@contextmanager
def application(bundle: Path = REFERENCE, *options: str) -> Iterator[Application]:
    """Serve a bundle on a free port, and leave no process behind."""
    log = Path(tempfile.mkdtemp()) / "log"
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "workbench", "serve", str(bundle), "--port", "0", *options],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    try:
        told = STARTED.match(process.stdout.readline())
        assert told, log.read_text(encoding="utf-8")
        yield Application(process, told[2], told[1], log)
    finally:
        left = children_of(process.pid)
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        process.stdout.close()
        for worker in left:
            if is_running(worker):
                os.kill(worker, signal.SIGKILL)
        shutil.rmtree(log.parent)


@contextmanager
def client(served: Application) -> Iterator[httpx.Client]:
    """Someone who asks it."""
    with httpx.Client(base_url=served.address, timeout=60) as asking:
        yield asking


def children_of(process: int) -> list[int]:
    """The processes that this one started and that still run."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split() if is_running(int(line))]


def is_running(process: int) -> bool:
    """Whether a process exists and is no mere zombie."""
    told = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True).stdout.strip()
    return bool(told) and not told.startswith("Z")


def rewritten(folder: Path, bundle: Bundle, **changes: object) -> Bundle:
    """A sound bundle like `bundle` with other contents: labels=…, self_test_expected=…, engines=…"""
    labels = [entry["label"] for entry in bundle.manifest["self_test"]]
    arguments = {
        "labels": bundle.labels,
        "preprocessing": bundle.preprocessing,
        "accuracy": bundle.accuracy,
        "engines": bundle.engines,
        "left_out": bundle.left_out,
        "weights": bundle.weights,
        "self_test_pictures": bundle.self_test_pictures,
        "self_test_labels": labels,
        "self_test_expected": bundle.self_test_expected,
        "hyperparameters": bundle.manifest["hyperparameters"],
        "about": bundle.manifest["about"],
    }
    return write_bundle(folder, **(arguments | changes))  # type: ignore[arg-type]


def another(folder: Path) -> Bundle:
    """A bundle of the same network that is another version: it was made on another day, so to speak."""
    return rewritten(folder, read_bundle(REFERENCE), accuracy=0.5)


def failing(folder: Path) -> Bundle:
    """A whole bundle, rightly sealed, whose network does not give the answers that it promises."""
    bundle = read_bundle(REFERENCE)
    return rewritten(folder, bundle, self_test_expected=np.roll(bundle.self_test_expected, 1, axis=1))
