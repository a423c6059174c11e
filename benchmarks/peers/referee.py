"""The referee of a training race: it starts each contender in its own process and lets one run at a time.

All others are stopped (SIGSTOP) with their child processes, so that none prefetches batches or spins while another one
is measured. POSIX only.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.folders import data_root

ROOT = Path(__file__).resolve().parents[2]
_PROBE = """
import importlib.metadata as m, json, sys
def version(name):
    try: return m.version(name)
    except m.PackageNotFoundError: return None
print(json.dumps({name: version(name) for name in sys.argv[1:]}))
"""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A contender. module: in benchmarks.peers. package: a requirement besides PyTorch. scheduled: whether its learning
    rate follows a schedule over the epochs; if not, it is constant and the run may have any number of epochs.
    """

    name: str
    module: str
    variant: str = "own"
    package: str | None = None
    scheduled: bool = True


class ContenderFailed(Exception):
    """A contender cannot continue; the message is the last line of its error output."""


class Contender:
    """The process of a contender. setup_seconds: from its start to `ready`, with imports. about: facts it reported."""

    def __init__(self, entry: Entry, python: str, task: Mapping[str, Any], folder: Path) -> None:
        self.entry, self.epochs = entry, int(task["epochs"])
        self._log = folder / "log.txt"
        start = time.perf_counter()
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [python, "-m", f"benchmarks.peers.{entry.module}", json.dumps({**task, "variant": entry.variant})],
                # Lightning leaves its checkpoints in the current folder.
                cwd=folder,
                env=os.environ
                | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", "WORKBENCH_DATA": str(data_root())},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        try:
            self.about = self._answer()
        except BaseException:
            self.close()
            raise
        self.setup_seconds = time.perf_counter() - start

    def turn(self, steps: int = 0) -> dict[str, Any]:
        """Train for `steps` steps, or to the end of the epoch (0); return seconds, images, steps and the accuracy."""
        os.killpg(self._process.pid, signal.SIGCONT)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            print(steps, file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            lines = [line.strip() for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
            code = self._process.wait()
            raise ContenderFailed(lines[-1] if code and lines else f"it exited early with code {code}")
        os.killpg(self._process.pid, signal.SIGSTOP)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """Kill the process and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        self._process.wait()


@contextlib.contextmanager
def contenders(
    entries: Sequence[Entry], task: Mapping[str, Any], *, peers: str | None, constant_epochs: int | None = None
) -> Iterator[tuple[list[Contender], dict[str, str]]]:
    """Start the contenders one by one; yield those that are ready and the reasons of those that failed, then end all.

    task: the fields of `turns.Task` except the variant. constant_epochs: the epochs of those with a constant rate.
    """
    ready: list[Contender] = []
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        try:
            for index, entry in enumerate(entries):
                print_status(f"Starting {entry.name} …")
                folder = Path(scratch) / str(index)
                folder.mkdir()
                epochs = task["epochs"] if entry.scheduled or constant_epochs is None else constant_epochs
                python = peers if entry.package and peers else sys.executable
                try:
                    ready.append(Contender(entry, python, {**task, "epochs": epochs}, folder))
                except ContenderFailed as reason:
                    note_failure(failed, entry, reason)
            yield ready, failed
        finally:
            for contender in ready:
                contender.close()


def note_failure(failed: dict[str, str], entry: Entry, reason: ContenderFailed) -> None:
    """Record and print why a contender is out of the race."""
    failed[entry.name] = str(reason)
    print_status(f"{entry.name} is out of the race: {reason}.")


def available(entries: Sequence[Entry], peers: str | None) -> tuple[list[Entry], dict[str, str | None]]:
    """Return the entries whose package is installed, and the packages' versions in the environment of `peers`.

    Prints the packages that are missing. Raises SystemExit with a sentence if `peers` is not a Python that runs.
    """
    packages = sorted({entry.package for entry in entries if entry.package})
    installed: dict[str, str | None] = dict.fromkeys(packages)
    if peers is not None:
        try:
            done = subprocess.run([peers, "-c", _PROBE, *packages], capture_output=True, text=True, check=True)
            installed = json.loads(done.stdout)
        except (OSError, subprocess.CalledProcessError, ValueError) as error:
            raise SystemExit(f"--peers {peers} is not a Python that runs here: {error}.") from error
    for name, version in installed.items():
        if version is None:
            where = "no --peers PYTHON was named" if peers is None else f"it is not in the environment of {peers}"
            print_status(f"{name} does not race: {where}.")
    return [entry for entry in entries if entry.package is None or installed[entry.package]], installed


@contextlib.contextmanager
def orderly() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM end the race and every contender."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))
    try:
        yield
    except KeyboardInterrupt:
        sys.exit("Stopped.")
    finally:
        signal.signal(signal.SIGTERM, before)


def print_status(text: str) -> None:
    """Print progress to the error output, apart from the result."""
    print(text, file=sys.stderr, flush=True)
