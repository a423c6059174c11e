"""What a call takes of a device besides time: the memory it needs at its peak, and energy where there is a meter."""

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
from typing import Any

from workbench.devices import NO_METER, RAPL, Device, nvml, rapl_counters
from workbench.processor import LINUX

# NVML and RAPL count in steps of up to a tenth of a second: shorter work would be measured by the step.
ENERGY_SECONDS = 1.0
QUICK_SECONDS = 0.05


def peak_memory(call: Callable[[], object], device: Device) -> int | None:
    """Bytes that one call of `call` needed at its peak beyond what was held before it; None: not measurable here.

    On a GPU what PyTorch's allocator gave out. On Linux the resident memory of this process, whose high-water mark the
    kernel keeps and lets us reset (proc_pid_clear_refs(5)); memory that was freed before is first handed back, or the
    call would find its pages already there; of a quick call the least of three is taken, since whatever else touches
    a page meanwhile only adds to it.
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
    found = [_resident_peak(call)]
    begun = time.perf_counter()
    while found[0] is not None and len(found) < 3 and time.perf_counter() - begun < QUICK_SECONDS:
        found.append(_resident_peak(call))
    return min((peak for peak in found if peak is not None), default=None)


def _resident_peak(call: Callable[[], object]) -> int | None:
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:  # some containers forbid it
        call()
        return None
    before = _status("VmRSS")
    call()
    return max(0, _status("VmHWM") - before)


def energy(call: Callable[[], object], device: Device, seconds: float = ENERGY_SECONDS) -> float | None:
    """Joules of one call, its share of a run of at least `seconds`; None where the device has no meter here.

    NVML: the whole GPU board. RAPL: the processor packages, whatever else they do meanwhile. Idle power is part of it.
    """
    with _counter(device) as read:
        if read is None:
            return None
        count, begun, before = 0, time.perf_counter(), read()
        while time.perf_counter() - begun < seconds:
            call()
            count += 1
        device.synchronize()
        return (read() - before) / count


@contextmanager
def _counter(device: Device) -> Iterator[Callable[[], float] | None]:
    """A function that tells the joules the device has used so far, or None."""
    if device.power_meter == "RAPL":
        yield rapl_joules()
    elif device.power_meter == "NVML":
        with nvml() as library:
            yield None if library is None else _nvml_joules(library, device)
    else:
        yield None


def rapl_joules(folder: Path = RAPL) -> Callable[[], float]:
    """A function that tells the joules all packages have used since it was made; a counter may wrap around between
    two readings, once."""
    counters = [counter for counter in rapl_counters(folder) if os.access(counter, os.R_OK)]
    ranges = [int(counter.with_name("max_energy_range_uj").read_text()) for counter in counters]
    last = [int(counter.read_text()) for counter in counters]
    total = 0

    def read() -> float:
        nonlocal total
        for place, counter in enumerate(counters):
            now = int(counter.read_text())
            total += now - last[place] if now >= last[place] else now - last[place] + ranges[place]
            last[place] = now
        return total / 1e6

    return read


def _nvml_joules(library: Any, device: Device) -> Callable[[], float] | None:
    uuid = str(sys.modules["torch"].cuda.get_device_properties(device.name).uuid)
    for prefix in ("GPU-", "MIG-"):
        try:
            handle = library.nvmlDeviceGetHandleByUUID(prefix + uuid)
            library.nvmlDeviceGetTotalEnergyConsumption(handle)
        except library.NVMLError:
            continue  # before the Volta generation there is no such counter
        return lambda: library.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000
    return None


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024
    return 0


def meter_of(device: Device) -> str:
    """The name of the meter that tells the device's energy here, or "not measurable here"."""
    with _counter(device) as read:
        return NO_METER if read is None else device.power_meter
