"""The processor, cores and memory: this machine's against psutil, others' from saved files."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import psutil
import pytest
from machine.system import files, in_new_process, linux_only

from workbench.errors import WorkbenchError
from workbench.machine import processor


@linux_only
def test_cores_outside_the_affinity_do_not_count() -> None:
    first = min(os.sched_getaffinity(0))
    code = (
        f"import os; os.sched_setaffinity(0, {{{first}}}); "
        "from workbench.machine.processor import usable_cores; print(usable_cores())"
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


CGROUP_2 = {
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


CGROUP_1 = {
    "proc/self/cgroup": "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n1:name=systemd:/docker/abc\n",
    "proc/meminfo": MEMORY,
    # A cgroup 1 container sees its own cgroup at the root of the hierarchy, not at the path in /proc/self/cgroup.
    "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "150000\n",
    "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": f"{3 * GIB}\n",
    "sys/fs/cgroup/memory/memory.usage_in_bytes": f"{2 * GIB}\n",
    "sys/fs/cgroup/memory/memory.stat": f"inactive_file 1\ntotal_inactive_file {GIB}\n",
}


@linux_only
@pytest.mark.parametrize("contents", [CGROUP_2, CGROUP_1], ids=["cgroup 2", "cgroup 1"])
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
def test_a_processor_is_named_by_its_model_or_its_board(tmp_path: Path) -> None:
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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_freed_memory_is_kept_and_not_faulted_in_again() -> None:
    faults = (
        "import ctypes, resource; from workbench.machine.processor import keep_freed_memory as keep\n"
        "{}; c = ctypes.CDLL(None)\n"
        "c.malloc.restype = ctypes.c_void_p; c.free.argtypes = [ctypes.c_void_p]\n"
        "for _ in range(20): block = c.malloc(64 << 20); ctypes.memset(block, 1, 64 << 20); c.free(block)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)"
    )
    assert int(in_new_process(faults.format("keep()"))) < int(in_new_process(faults.format("0"))) / 4


@linux_only
def test_memory_of_this_process_is_what_psutil_reports() -> None:
    resident, peak = processor.resident_memory_bytes(), processor.peak_memory_bytes()
    assert resident == pytest.approx(psutil.Process().memory_info().rss, rel=0.05)
    assert peak is not None
    assert peak >= 0.95 * resident
    assert processor.status_bytes("VmNothing") is None


@linux_only
def test_a_system_without_meminfo_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="no MemTotal"):
        processor.memory_bytes(tmp_path)
