"""The application, started as a user starts it: a process of its own, on a free port."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
from PIL import Image

from workbench.bundle.manifest import Bundle, read_bundle
from workbench.bundle.writer import write_bundle
from workbench.folders import REFERENCE

BUNDLE = read_bundle(REFERENCE)
PNG = (REFERENCE / "self_test" / "00.png").read_bytes()
STARTED = re.compile(r"Serving \S+ ([0-9a-f]{12}) \(\S+\) at (http://\S+) with")


@dataclass(frozen=True)
class Application:
    """A running application. address: without a trailing slash. log: its stderr."""

    process: subprocess.Popen[str]
    address: str
    version: str
    log: Path

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def workers(self) -> list[int]:
        """The worker processes."""
        return children_of(self.process.pid)

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 60) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


@contextmanager
def application(bundle: Path = REFERENCE, *options: str) -> Iterator[Application]:
    """Serve a bundle on a free port; no process is left behind."""
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
        text = STARTED.match(process.stdout.readline())
        assert text, log.read_text(encoding="utf-8")
        yield Application(process, text[2], text[1], log)
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


def run_command(*words: object) -> subprocess.CompletedProcess[str]:
    """Run a `workbench` command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "workbench", *map(str, words)], capture_output=True, text=True, timeout=120
    )


def until(holds: Callable[[], object], seconds: float = 60) -> None:
    """Wait until a condition holds; fail if it does not."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "the condition was not met in time"
        time.sleep(0.05)


@contextmanager
def client(served: Application) -> Iterator[httpx.Client]:
    """An HTTP client of the application."""
    with httpx.Client(base_url=served.address, timeout=60) as asking:
        yield asking


def served_version(asking: httpx.Client) -> str:
    """The version of the bundle that answers."""
    return str(asking.post("/classify", content=PNG).json()["model"]["version"])


def photo(side: int) -> bytes:
    """A JPEG of noise, which takes long to decode."""
    noise = np.random.default_rng(side).integers(0, 255, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG", quality=80)
    return file.getvalue()


def children_of(process: int) -> list[int]:
    """The running child processes."""
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True)
    return [int(line) for line in listed.stdout.split() if is_running(int(line))]


def is_running(process: int) -> bool:
    """Whether a process exists and is not a zombie."""
    text = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True).stdout.strip()
    return bool(text) and not text.startswith("Z")


def rewritten(folder: Path, bundle: Bundle, **changes: object) -> Bundle:
    """A valid bundle like `bundle` with other contents: labels=…, self_test_expected=…, engines=…"""
    labels = [entry["label"] for entry in bundle.manifest["self_test"]]
    arguments = {
        "labels": bundle.labels,
        "preprocessing": bundle.preprocessing,
        "accuracy": bundle.accuracy,
        "engines": bundle.engines,
        "left_out": bundle.left_out,
        "weights": bundle.weights,
        "self_test_images": bundle.self_test_images,
        "self_test_labels": labels,
        "self_test_expected": bundle.self_test_expected,
        "hyperparameters": bundle.manifest["hyperparameters"],
        "about": bundle.manifest["about"],
    }
    return write_bundle(folder, **(arguments | changes))  # type: ignore[arg-type]


def another(folder: Path) -> Bundle:
    """A bundle of the same network with another version."""
    return rewritten(folder, read_bundle(REFERENCE), accuracy=0.5)


def failing(folder: Path) -> Bundle:
    """A bundle with correct checksums whose network does not give the answers it promises."""
    bundle = read_bundle(REFERENCE)
    return rewritten(folder, bundle, self_test_expected=np.roll(bundle.self_test_expected, 1, axis=1))
