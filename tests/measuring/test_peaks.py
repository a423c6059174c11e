"""What the CPU here reaches."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from workbench.machine.devices import find_device
from workbench.measuring import peaks
from workbench.measuring.device_card import DeviceCard
from workbench.measuring.measurement import measure


def test_matrices_are_smaller_where_a_product_takes_too_long(monkeypatch: pytest.MonkeyPatch):
    for seconds, side in ((0.0, peaks.SMALLEST), (1e9, peaks.SIDE)):
        monkeypatch.setattr(peaks, "SLOW_SECONDS", seconds)
        assert peaks._side(torch.float32) == side


def test_a_gpu_is_left_to_its_data_sheet() -> None:
    gpu = replace(find_device("cpu"), name="cuda:0", kind="cuda")
    assert peaks.measure_peaks(gpu, "2026-11-25") == {}


def test_the_figures_make_a_valid_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the peak must be within reach of a product that PyTorch computes here."""
    monkeypatch.setattr(peaks, "SECONDS", 0.05)
    cpu = find_device("cpu")
    figures = peaks.measure_peaks(cpu, "2026-11-25")
    sources = {"cores": "this machine", "memory_bytes": "this machine"} | figures.pop("sources")
    card = DeviceCard(
        name="here", kind="server CPU", processor=cpu.description, cores=cpu.cores, memory_bytes=cpu.memory_bytes,
        sources=sources, **figures,
    )  # fmt: skip
    left, right = torch.rand(2, 512, 512)
    seconds = measure(lambda: left @ right, seconds=0.1).latency.p50
    assert card.peak_flops["fp32"] > 0.5 * 2 * 512**3 / seconds / cpu.cores
    assert "2026-11-25" in card.sources["memory_bandwidth"]
