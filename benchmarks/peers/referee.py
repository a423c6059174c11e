"""The referee of a training race: starts each contender in a process of its own and lets one at a time run.

Whoever is not at its turn is stopped (SIGSTOP), with all of its processes: nobody fetches batches ahead, or spins,
while another one is measured. POSIX only.
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

from workbench.cache import data_root

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
    """Who races. module: of benchmarks.peers. package: what it needs; None for PyTorch alone. scheduled: its learning
    rate follows a schedule of so many epochs; otherwise it is constant, and the run as long as one likes.
    """

    name: str
    module: str
    variant: str = "own"
    package: str | None = None
    scheduled: bool = True


class Dropped(Exception):
    """A contender cannot go on; the message says why, in the words of its last line."""


class Contender:
    """One process. setup_seconds: from its start to `ready`, imports included. about: what it said of itself."""

    def __init__(self, entry: Entry, python: str, task: Mapping[str, Any], folder: Path) -> None:
        self.entry, self.epochs = entry, int(task["epochs"])
        self._log = folder / "log.txt"
        start = time.perf_counter()
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [python, "-m", f"benchmarks.peers.{entry.module}", json.dumps({**task, "variant": entry.variant})],
                # Lightning leaves its check-points where it stands.
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
        """Train so many steps, or (0) to the end of the epoch: seconds, pictures, steps, and the epoch's accuracy."""
        os.killpg(self._process.pid, signal.SIGCONT)
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            print(steps, file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            said = [line.strip() for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
            ended = self._process.wait()
            raise Dropped(said[-1] if ended and said else f"it ended (code {ended}) before it was asked to")
        os.killpg(self._process.pid, signal.SIGSTOP)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        """End it and all that it started."""
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
    """All that could be started, one after the other, and why others could not; all are ended in the end.

    task: fields of `turns.Task` but the variant. constant_epochs: the epochs of those whose rate is constant.
    """
    ready: list[Contender] = []
    failed: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as scratch:
        try:
            for place, entry in enumerate(entries):
                tell(f"Starting {entry.name} …")
                folder = Path(scratch) / str(place)
                folder.mkdir()
                epochs = task["epochs"] if entry.scheduled or constant_epochs is None else constant_epochs
                python = peers if entry.package and peers else sys.executable
                try:
                    ready.append(Contender(entry, python, {**task, "epochs": epochs}, folder))
                except Dropped as reason:
                    drop(failed, entry, reason)
            yield ready, failed
        finally:
            for contender in ready:
                contender.close()


def drop(failed: dict[str, str], entry: Entry, reason: Dropped) -> None:
    """Note, and tell, why one is out of the race."""
    failed[entry.name] = str(reason)
    tell(f"{entry.name} is out of the race: {reason}.")


def available(entries: Sequence[Entry], peers: str | None) -> tuple[list[Entry], dict[str, str | None]]:
    """The entries whose package is there, naming the others; and the versions of packages in the peers' environment.

    Raises SystemExit, in a sentence, where `peers` is no Python that runs.
    """
    packages = sorted({entry.package for entry in entries if entry.package})
    found: dict[str, str | None] = dict.fromkeys(packages)
    if peers is not None:
        try:
            done = subprocess.run([peers, "-c", _PROBE, *packages], capture_output=True, text=True, check=True)
            found = json.loads(done.stdout)
        except (OSError, subprocess.CalledProcessError, ValueError) as error:
            raise SystemExit(f"--peers {peers} is no Python that runs here: {error}.") from error
    for name, version in found.items():
        if version is None:
            where = "no --peers PYTHON was named" if peers is None else f"it is not in the environment of {peers}"
            tell(f"{name} does not race: {where}.")
    return [entry for entry in entries if entry.package is None or found[entry.package]], found


@contextlib.contextmanager
def orderly() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the race and every contender, and say so in a word."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit("Stopped."))
    try:
        yield
    except KeyboardInterrupt:
        sys.exit("Stopped.")
    finally:
        signal.signal(signal.SIGTERM, before)


def tell(text: str) -> None:
    """What goes on, beside the result."""
    print(text, file=sys.stderr, flush=True)
