"""How many threads compute, and what OpenMP's idle threads do meanwhile. torch is imported only where it is needed."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.arguments import whole_number
from workbench.machine.processor import usable_cores


def resolve_threads(threads: int | None) -> int:
    """Return `threads`, or the number of usable cores for None. Raises WorkbenchError for more than there are."""
    cores = usable_cores()
    return cores if threads is None else whole_number("threads", threads, 1, cores)


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Set PyTorch's number of threads, which is global to the process, and restore it afterwards."""
    import torch

    before = torch.get_num_threads()
    if before == threads:
        yield
        return
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def block_idle_threads() -> None:
    """Make OpenMP's idle threads block after a moment instead of spinning. Call it before torch is imported.

    GNU OpenMP's threads spin at each barrier for milliseconds, and a training step has hundreds of barriers. Where
    other programs use the cores too (a browser, a class on one server), spinning threads take the time that the
    working one waits for. Measured on two cores beside busy processes: 560 to 580 images/s instead of 60 to 340. A
    value that the user has set is kept; other OpenMP libraries ignore the variable.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def release_idle_threads() -> bool:
    """End the OpenMP threads that PyTorch started for the calling thread and that are idle; return whether it could.

    Each thread that runs PyTorch has its own OpenMP team. Once a process has more OpenMP threads than cores, GNU
    OpenMP spins for a shorter time at each barrier (GOMP_SPINCOUNT in its manual). So call this in the thread that is
    done with PyTorch, before another one begins: the team is started again by its next operation, and results stay the
    same. What that gains depends on the machine: docs/widgets.md. Other OpenMP libraries are left alone.
    """
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    # Packages bring their own copies of the library: several may be loaded.
    paths = sorted({line.split(maxsplit=5)[5] for line in maps if "/libgomp" in line})
    soft = 1  # omp_pause_soft of <omp.h>
    return bool(paths) and all(ctypes.CDLL(path).omp_pause_resource_all(soft) == 0 for path in paths)
