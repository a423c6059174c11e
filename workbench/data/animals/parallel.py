"""Draw many animals in several processes. No torch, so that each of them starts in a fraction of a second.

Plain child processes rather than `multiprocessing`, which would run a beginner's script again in every child unless it
is guarded by `if __name__ == "__main__"`.
"""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import Any

import numpy as np

from workbench.data.animals import Drawings, draw_animals
from workbench.folders import CHECKOUT

PAYS_FROM = 1_000  # images: below that, starting a process takes longer than it saves
_CHUNK = 250

Task = tuple[int, int, int, int]  # seed, first, count, size


def draw_in_processes(
    count: int, *, seed: int, size: int, processes: int, report: Callable[[int], None] | None = None
) -> Drawings:
    """Return the drawings of `draw_animals(count, seed=seed, size=size)`, bit-identical, drawn by several processes.

    `report` is called with the number of images drawn so far.
    """
    tasks = [(seed, first, min(_CHUNK, count - first), size) for first in range(0, count, _CHUNK)]
    processes = processes if count >= PAYS_FROM else 1
    pieces, done = [], 0
    with _pool(processes) as draw, ThreadPoolExecutor(max(1, processes)) as threads:
        for piece in threads.map(draw, tasks):
            pieces.append(piece)
            done += len(piece)
            if report:
                report(done)
    if not pieces:
        return draw_animals(0, seed=seed, size=size)
    return Drawings(
        np.concatenate([piece.images for piece in pieces]),
        np.concatenate([piece.labels for piece in pieces]),
        {name: np.concatenate([piece.attributes[name] for piece in pieces]) for name in pieces[0].attributes},
    )


@contextmanager
def _pool(count: int) -> Iterator[Callable[[Task], Drawings]]:
    """Yield a function that has a free process draw a task; end the processes afterwards."""
    free: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
    started: list[subprocess.Popen[bytes]] = []

    def draw(task: Task) -> Drawings:
        child = free.get()
        try:
            return _draw_in(child, task)
        except (OSError, ValueError, EOFError):
            return _draw_here(task)  # a process that was killed costs time, not the data
        finally:
            free.put(child)

    try:
        with suppress(OSError):
            for _ in range(count if count > 1 else 0):
                started.append(_start())
                free.put(started[-1])
        yield draw if started else _draw_here
    finally:
        for child in started:
            child.kill()
            child.communicate()


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "workbench.data.animals.parallel"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=CHECKOUT,
    )


def _draw_here(task: Task) -> Drawings:
    seed, first, count, size = task
    return draw_animals(count, seed=seed, first=first, size=size)


def _draw_in(child: subprocess.Popen[bytes], task: Task) -> Drawings:
    if child.stdin is None or child.stdout is None:
        raise EOFError
    child.stdin.write((" ".join(map(str, task)) + "\n").encode())
    child.stdin.flush()
    length = int.from_bytes(child.stdout.read(8), "little")
    content = child.stdout.read(length)
    if not content or len(content) < length:
        raise EOFError
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        values: dict[str, Any] = dict(arrays)
    return Drawings(values.pop("images"), values.pop("labels"), values)


def _serve() -> None:
    """Draw the task on each line of standard input; answer with a length and a NumPy archive."""
    for line in sys.stdin:
        seed, first, count, size = map(int, line.split())
        drawn = _draw_here((seed, first, count, size))
        archive = io.BytesIO()
        np.savez(archive, images=drawn.images, labels=drawn.labels, **drawn.attributes)  # type: ignore[arg-type]
        content = archive.getvalue()
        sys.stdout.buffer.write(len(content).to_bytes(8, "little") + content)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    _serve()
