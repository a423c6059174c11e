"""Devices: those of this machine, and what is reported where PyTorch is missing or broken."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import psutil
import pytest
import torch
from machine.system import files, in_new_process, linux_only

from workbench.errors import WorkbenchError
from workbench.machine import devices
from workbench.machine.devices import Device, find_device, list_devices


@pytest.mark.parametrize("device", list_devices(), ids=lambda device: device.name)
def test_every_device_here_computes_and_reports_its_memory(device: Device) -> None:
    ones = torch.ones(64, 64, device=device.torch)
    product = ones @ ones
    device.synchronize()
    assert product.sum().item() == 64**3
    assert 0 < device.free_memory() <= device.memory_bytes
    assert device.memory_in_use() > 0
    assert find_device(device.name) == device
    assert json.loads(json.dumps(device.to_mapping()))["name"] == device.name


def test_auto_prefers_a_gpu_and_always_finds_something() -> None:
    kinds = [device.kind for device in list_devices()]
    assert kinds[-1] == "cpu"
    assert find_device("auto").kind == kinds[0]
    assert (kinds[0] == "cuda") == torch.cuda.is_available()


@pytest.mark.parametrize("name", ["cuda:9", "tpu", "", "CPU", "cpu:0"])
def test_an_unknown_device_is_refused_with_a_list_of_the_known_ones(name: str) -> None:
    with pytest.raises(WorkbenchError, match=r"no device .* This machine has: .*cpu") as refused:
        find_device(name)
    assert repr(name) in str(refused.value)


@linux_only
def test_the_cpu_agrees_with_psutil() -> None:
    cpu = find_device("cpu")
    assert cpu.memory_bytes <= psutil.virtual_memory().total
    assert cpu.cores <= (psutil.cpu_count(logical=False) or 1)
    assert cpu.memory_in_use() == pytest.approx(psutil.Process().memory_info().rss, rel=0.05)
    assert ("avx512_bf16" in cpu.features) == (" avx512_bf16 " in Path("/proc/cpuinfo").read_text())


def test_energy_counters_are_of_whole_packages(tmp_path: Path) -> None:
    names = [
        "intel-rapl:0/energy_uj",
        "intel-rapl:1/energy_uj",
        "intel-rapl:0:0/energy_uj",
        "intel-rapl:0/name",
    ]
    files(tmp_path, dict.fromkeys(names, "1"))
    assert devices.rapl_counters(tmp_path) == (tmp_path / names[0], tmp_path / names[1])


def test_without_torch_the_cpu_is_still_described() -> None:
    # A module that is None counts as not installed: production, as Python sees it.
    code = "import sys; sys.modules['torch'] = None; import workbench as wb; d, = wb.list_devices(); print(d.name)\n"
    refusal = "try: d.torch\nexcept wb.WorkbenchError as error: print(error)"
    assert in_new_process(code + refusal).splitlines()[0] == "cpu"
    assert "not installed" in in_new_process(code + refusal)


@pytest.mark.parametrize(
    "failure", ["OSError('libcudart.so.13: cannot open')", "ModuleNotFoundError('No module named sympy', name='sympy')"]
)
def test_a_torch_that_cannot_be_loaded_is_reported(tmp_path: Path, failure: str) -> None:
    files(tmp_path, {"torch/__init__.py": f"raise {failure}\n"})
    code = "import workbench as wb\ntry: wb.list_devices()\nexcept wb.WorkbenchError as error: print(error)"
    message = in_new_process(code, PYTHONPATH=str(tmp_path))
    assert "installed but cannot be loaded" in message
    assert failure.split("'")[1] in message
    assert "workbench doctor" in message


def test_devices_are_described_without_loading_torch() -> None:
    code = "import sys, workbench as wb; wb.find_device('cpu').free_memory(); print('torch' in sys.modules)"
    assert in_new_process(code) == "False"
    assert importlib.util.find_spec("torch")
