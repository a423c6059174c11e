"""Devices: what the system says of itself, read from real files and from kept ones of machines we do not have."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch

from workbench import devices, processor
from workbench.devices import Device, find_device, list_devices
from workbench.errors import WorkbenchError

linux_only = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads Linux's /proc and /sys")


def in_new_process(code: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **environment},
    )
    return done.stdout.strip()


def files(root: Path, contents: dict[str, str]) -> Path:
    for name, text in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


@pytest.mark.parametrize("device", list_devices(), ids=lambda device: device.name)
def test_every_device_here_computes_and_tells_its_memory(device: Device) -> None:
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
def test_a_device_that_is_not_here_is_refused_with_those_that_are(name: str) -> None:
    with pytest.raises(WorkbenchError, match=r"no device .* This machine has: .*cpu") as refused:
        find_device(name)
    assert repr(name) in str(refused.value)


@linux_only
def test_the_cpu_tells_what_psutil_tells() -> None:
    cpu = find_device("cpu")
    assert cpu.memory_bytes <= psutil.virtual_memory().total
    assert cpu.cores <= (psutil.cpu_count(logical=False) or 1)
    assert cpu.memory_in_use() == pytest.approx(psutil.Process().memory_info().rss, rel=0.05)
    assert ("avx512_bf16" in cpu.features) == (" avx512_bf16 " in Path("/proc/cpuinfo").read_text())


@linux_only
def test_cores_outside_the_affinity_do_not_count() -> None:
    first = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, {{{first}}}); from workbench.devices import usable_cores as u; print(u())"
    )
    assert in_new_process(code) == "1"


@linux_only
def test_two_hardware_threads_of_a_core_count_once(tmp_path: Path) -> None:
    mine = sorted(os.sched_getaffinity(0))
    topology = "sys/devices/system/cpu/cpu{}/topology/{}"
    same = {topology.format(n, name): "0\n" for n in mine for name in ("core_id", "physical_package_id")}
    assert processor.usable_cores(files(tmp_path / "one core", same)) == 1
    apart = {topology.format(n, "core_id"): f"{n}\n" for n in mine}
    assert processor.usable_cores(files(tmp_path / "a core each", apart)) == len(mine)
    sockets = same | {topology.format(n, "physical_package_id"): f"{n}\n" for n in mine}
    assert processor.usable_cores(files(tmp_path / "a socket each", sockets)) == len(mine)


GIB = 2**30
MEMORY = f"MemTotal: {8 * 2**20} kB\nMemFree: 1 kB\nMemAvailable: {6 * 2**20} kB\n"
SECOND_VERSION = {
    "proc/self/cgroup": "0::/machine/lesson\n",
    "proc/meminfo": MEMORY,
    "sys/fs/cgroup/machine/cpu.max": "100000 100000\n",
    "sys/fs/cgroup/machine/lesson/cpu.max": "max 100000\n",
    "sys/fs/cgroup/machine/lesson/memory.max": f"{3 * GIB}\n",
    "sys/fs/cgroup/machine/lesson/memory.current": f"{2 * GIB}\n",
    "sys/fs/cgroup/machine/lesson/memory.stat": f"anon 5\ninactive_file {GIB}\n",
    "sys/fs/cgroup/machine/memory.max": "max\n",
    "sys/fs/cgroup/machine/memory.current": "7\n",
}
FIRST_VERSION = {
    "proc/self/cgroup": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n",
    "proc/meminfo": MEMORY,
    # A container of old sees its own cgroup at the root of the hierarchy, not at the path it is told.
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000\n",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{3 * GIB}\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{2 * GIB}\n",
    "sys/fs/cgroup/memory/memory.stat": f"inactive_file 1\ntotal_inactive_file {GIB}\n",
}


@linux_only
@pytest.mark.parametrize("contents", [SECOND_VERSION, FIRST_VERSION], ids=["cgroup 2", "cgroup 1"])
def test_a_container_limits_cores_and_memory(tmp_path: Path, contents: dict[str, str]) -> None:
    root = files(tmp_path, contents)
    assert processor.usable_cores(root) == 1
    assert processor.memory_bytes(root) == 3 * GIB
    assert processor.free_memory_bytes(root) == 2 * GIB


@linux_only
def test_no_limit_means_the_whole_machine(tmp_path: Path) -> None:
    unlimited = {
        "proc/self/cgroup": "4:memory,cpu:/\n0::/\n",
        "proc/meminfo": MEMORY,
        "sys/fs/cgroup/cpu.max": "max 100000\n",
        "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": "5\n",
    }
    root = files(tmp_path, unlimited)
    assert processor.usable_cores(root) == len(os.sched_getaffinity(0))
    assert processor.memory_bytes(root) == 8 * GIB
    assert processor.free_memory_bytes(root) == 6 * GIB


X86 = "processor\t: 0\nmodel name\t: AMD EPYC 9354\nflags\t\t: fpu avx2 avx512f avx512_bf16\n\nmodel name\t: another\n"
ARM = "processor\t: 0\nBogoMIPS\t: 108.00\nFeatures\t: fp asimd asimdhp asimddp\nCPU part\t: 0xd0b\n"


@linux_only
def test_the_processor_is_called_by_its_name(tmp_path: Path) -> None:
    server = files(tmp_path / "server", {"proc/cpuinfo": X86})
    assert processor.processor_name(server) == "AMD EPYC 9354"
    assert processor.processor_features(server) == ("avx2", "avx512", "avx512_bf16")
    board = {
        "proc/cpuinfo": ARM,
        "sys/firmware/devicetree/base/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    }
    small = files(tmp_path / "board", board)
    assert processor.processor_name(small) == "Raspberry Pi 5 Model B Rev 1.0"
    assert processor.processor_features(small) == ("neon", "fp16", "dotprod")
    assert processor.processor_name(tmp_path / "nothing") == os.uname().machine


def test_energy_counters_are_of_whole_packages(tmp_path: Path) -> None:
    names = [
        "intel-rapl:0/energy_uj",
        "intel-rapl:1/energy_uj",
        "intel-rapl:0:0/energy_uj",
        "intel-rapl:0/name",
    ]
    files(tmp_path, dict.fromkeys(names, "1"))
    assert devices.rapl_counters(tmp_path) == (tmp_path / names[0], tmp_path / names[1])


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_memory_is_kept_and_not_fetched_again() -> None:
    faults = (
        "import ctypes, resource; from workbench.devices import keep_freed_memory as keep; {}; c = ctypes.CDLL(None)\n"
        "c.malloc.restype = ctypes.c_void_p; c.free.argtypes = [ctypes.c_void_p]\n"
        "for _ in range(20): block = c.malloc(64 << 20); ctypes.memset(block, 1, 64 << 20); c.free(block)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)"
    )
    assert int(in_new_process(faults.format("keep()"))) < int(in_new_process(faults.format("0"))) / 4


@linux_only
@pytest.mark.skipif("/libgomp" not in Path("/proc/self/maps").read_text(), reason="PyTorch brings another OpenMP")
def test_idle_threads_go_and_come_back_with_the_same_results() -> None:
    code = (
        "import os, torch; from workbench.devices import release_idle_threads as release; torch.set_num_threads(3)\n"
        "count = lambda: len(os.listdir('/proc/self/task'))\n"
        "ones = torch.randn(3_000_000, generator=torch.Generator().manual_seed(0))\n"
        "before = ones.sum(); busy = count(); done = release(); idle = count(); after = ones.sum()\n"
        "print(done, busy - idle, count() == busy, torch.equal(before, after), release(), release())"
    )
    assert in_new_process(code) == "True 2 True True True True"


def test_without_torch_the_cpu_is_still_described() -> None:
    # A module that is None counts as not installed: production, as Python sees it.
    code = "import sys; sys.modules['torch'] = None; import workbench as wb; d, = wb.list_devices(); print(d.name)\n"
    refusal = "try: d.torch\nexcept wb.WorkbenchError as error: print(error)"
    assert in_new_process(code + refusal).splitlines()[0] == "cpu"
    assert "not installed" in in_new_process(code + refusal)


@pytest.mark.parametrize(
    "failure", ["OSError('libcudart.so.13: cannot open')", "ModuleNotFoundError('No module named sympy', name='sympy')"]
)
def test_a_torch_that_cannot_be_loaded_is_told_not_hidden(tmp_path: Path, failure: str) -> None:
    files(tmp_path, {"torch/__init__.py": f"raise {failure}\n"})
    code = "import workbench as wb\ntry: wb.list_devices()\nexcept wb.WorkbenchError as error: print(error)"
    said = in_new_process(code, PYTHONPATH=str(tmp_path))
    assert "installed but cannot be loaded" in said
    assert failure.split("'")[1] in said
    assert "workbench doctor" in said


def test_devices_are_described_without_loading_torch() -> None:
    code = "import sys, workbench as wb; wb.find_device('cpu').free_memory(); print('torch' in sys.modules)"
    assert in_new_process(code) == "False"
    assert importlib.util.find_spec("torch")
