"""Meters for what a call uses besides time: its peak memory, and energy where the device has a readable counter."""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.machine.devices import RAPL, Device, nvml, nvml_joules, rapl_counters
from workbench.machine.processor import LINUX, status_bytes

# The counters of NVML and RAPL are updated up to a tenth of a second apart: shorter runs would measure the interval.
ENERGY_SECONDS = 1.0
QUICK_SECONDS = 0.05


def peak_memory(call: Callable[[], object], device: Device) -> int | None:
    """Return the peak bytes of one call beyond what was held before it; None where that is not measurable.

    On a GPU: what PyTorch's allocator handed out. On a CPU under Linux: the resident memory of this process, whose
    high-water mark the kernel keeps and lets us reset (proc_pid_clear_refs(5)). Memory freed earlier is first returned
    to the system, or the call would reuse its pages and seem to need none. A quick call is measured three times and
    the least is taken, since whatever else touches a page meanwhile can only add to it.
    """
    if device.kind == "cuda":
        cuda = sys.modules["torch"].cuda
        cuda.synchronize(device.name)
        cuda.reset_peak_memory_stats(device.name)
        before = cuda.memory_allocated(device.name)
        call()
        cuda.synchronize(device.name)
        return int(cuda.max_memory_allocated(device.name) - before)
    if device.kind != "cpu" or not LINUX:
        call()
        return None
    gc.collect()  # once: in a large process it takes longer than the quick calls that follow
    peaks = [_resident_peak(call)]
    start = time.perf_counter()
    while peaks[0] is not None and len(peaks) < 3 and time.perf_counter() - start < QUICK_SECONDS:
        peaks.append(_resident_peak(call))
    return min((peak for peak in peaks if peak is not None), default=None)


def _resident_peak(call: Callable[[], object]) -> int | None:
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # some containers forbid it
        call()
        return None
    before = status_bytes("VmRSS") or 0
    call()
    return max(0, (status_bytes("VmHWM") or 0) - before)


def energy(call: Callable[[], object], device: Device, seconds: float = ENERGY_SECONDS) -> float | None:
    """Return the joules per call, averaged over at least `seconds` of calls; None where the device has no meter.

    NVML counts the whole GPU board, RAPL the processor packages with everything else they do. Idle power is included.
    """
    with _joules(device) as read:
        if read is None:
            return None
        count, start, before = 0, time.perf_counter(), read()
        while time.perf_counter() - start < seconds:
            call()
            count += 1
        device.synchronize()
        return (read() - before) / count


@contextmanager
def _joules(device: Device) -> Iterator[Callable[[], float] | None]:
    """Yield a function that reads the joules the device has used so far, or None where it has no meter."""
    if device.power_meter == "RAPL":
        yield rapl_joules()
    elif device.power_meter == "NVML":
        with nvml() as library:
            uuid = str(sys.modules["torch"].cuda.get_device_properties(device.name).uuid)
            yield None if library is None else nvml_joules(library, uuid)
    else:
        yield None


def rapl_joules(folder: Path = RAPL) -> Callable[[], float]:
    """Return a function that reads the joules all packages have used since now.

    Each counter may wrap around once between two readings.
    """
    counters = [counter for counter in rapl_counters(folder) if os.access(counter, os.R_OK)]
    ranges = [int(counter.with_name("max_energy_range_uj").read_text()) for counter in counters]
    last = [int(counter.read_text()) for counter in counters]
    total = 0

    def read() -> float:
        nonlocal total
        for index, counter in enumerate(counters):
            now = int(counter.read_text())
            total += now - last[index] if now >= last[index] else now - last[index] + ranges[index]
            last[index] = now
        return total / 1e6

    return read
