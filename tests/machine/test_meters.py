"""Memory and energy meters against known truths: an allocation of a known size, energy counters in files."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from workbench.machine import meters
from workbench.machine.devices import NO_METER, find_device
from workbench.machine.processor import LINUX
from workbench.measuring.measurement import measure

can_read_peaks = pytest.mark.skipif(
    not LINUX or meters.peak_memory(lambda: None, find_device("cpu")) is None, reason="this system keeps no peak"
)


@can_read_peaks
@pytest.mark.parametrize("size", [8_000_000, 50_000_000, 200_000_000])
def test_an_allocation_is_measured_as_large_as_it_is(size: int):
    # In a process of its own: an allocator's overhead depends on everything that was allocated before.
    code = f"""
import numpy as np, torch
from workbench.measuring.measurement import measure
for make in (lambda: np.ones({size}, np.uint8), lambda: torch.ones({size}, dtype=torch.uint8)):
    print(measure(make, seconds=0.01).memory_bytes)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    readings = [int(line) for line in done.stdout.split()]
    assert readings == [pytest.approx(size, rel=0.1, abs=1_000_000)] * 2


@can_read_peaks
def test_memory_that_a_call_frees_before_it_allocates_again_is_counted_once():
    def twice() -> None:
        for _ in range(2):
            np.ones(40_000_000, np.uint8)

    assert measure(twice, seconds=0.01).memory_bytes == pytest.approx(40_000_000, rel=0.1)


def test_energy_counters_of_all_packages_add_up_even_when_they_wrap_around(tmp_path: Path):
    for package, start in ((0, 1_000_000), (1, 9_999_000)):
        folder = tmp_path / f"intel-rapl:{package}"
        folder.mkdir()
        (folder / "energy_uj").write_text(str(start))
        (folder / "max_energy_range_uj").write_text("10000000")
    read = meters.rapl_joules(tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("3500000")
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("1000")  # 2,000 µJ later, after wrapping around
    assert read() == pytest.approx(2.502)
    assert read() == pytest.approx(2.502)


def test_without_a_meter_there_is_no_energy_figure():
    device = find_device("cpu")
    if device.power_meter != NO_METER:
        pytest.skip("this machine has a meter")
    reading = measure(lambda: None, seconds=0.01)
    assert (reading.energy_joules, reading.meter) == (None, "not measurable here")


def test_freed_memory_can_be_returned_to_the_system_here():
    """peak_memory relies on it: otherwise a second call would reuse the pages and seem to need no memory."""
    if not LINUX:
        pytest.skip("glibc's allocator is Linux's")
    assert hasattr(ctypes.CDLL(None), "malloc_trim")
