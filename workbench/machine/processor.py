"""The processor, cores and memory that the operating system grants this process. No torch.

Linux is read from /proc and /sys. Tests pass `root` in place of "/" to read files saved from other machines.
"""

from __future__ import annotations

import ctypes
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from workbench.errors import WorkbenchError

ROOT = Path("/")
LINUX = sys.platform.startswith("linux")

# Instruction sets that decide how fast a network runs: the operating system's name -> the usual name.
_FEATURES = {
    "avx2": "avx2",
    "avx2_0": "avx2",
    "avx512f": "avx512",
    "avx512_vnni": "avx512_vnni",
    "avx512_bf16": "avx512_bf16",
    "avx512_fp16": "avx512_fp16",
    "avx_vnni": "avx_vnni",
    "amx_bf16": "amx_bf16",
    "amx_int8": "amx_int8",
    "asimd": "neon",
    "AdvSIMD": "neon",
    "asimdhp": "fp16",
    "FEAT_FP16": "fp16",
    "asimddp": "dotprod",
    "FEAT_DotProd": "dotprod",
    "sve": "sve",
    "sve2": "sve2",
    "sme": "sme",
    "FEAT_SME": "sme",
    "bf16": "bf16",
    "FEAT_BF16": "bf16",
    "i8mm": "i8mm",
    "FEAT_I8MM": "i8mm",
}


def processor_name(root: Path = ROOT) -> str:
    """Return the processor's marketing name, such as "AMD EPYC 9354" or "Apple M3", or else the architecture."""
    if sys.platform == "darwin":
        return _sysctl().get("machdep.cpu.brand_string") or platform.machine()
    if sys.platform == "win32":
        return _windows_processor() or platform.processor()
    fields = _processor_fields(root)
    # Linux lists no model name for ARM processors, but often that of the board ("Raspberry Pi 5 Model B").
    board = _read(root / "sys/firmware/devicetree/base/model").strip("\0\n ")
    return fields.get("model name") or fields.get("cpu model") or board or fields.get("Model") or platform.machine()


def processor_features(root: Path = ROOT) -> tuple[str, ...]:
    """Return the instruction sets that matter to a network ("avx512_bf16", "amx_int8", "neon", …), if known."""
    if sys.platform == "darwin":
        has = {name.rsplit(".", 1)[-1] for name, value in _sysctl().items() if value == "1"}
    else:
        fields = _processor_fields(root)
        has = set(f"{fields.get('flags', '')} {fields.get('Features', '')}".split())
    return tuple(dict.fromkeys(usual for name, usual in _FEATURES.items() if name in has))


def usable_cores(root: Path = ROOT) -> int:
    """Return how many physical cores this process may use, by its CPU affinity and its cgroup's quota; at least 1.

    Two hardware threads of a core count once: arithmetic gains nothing from the second.
    """
    if not LINUX:
        try:
            import psutil
        except ImportError:
            return os.cpu_count() or 1
        return psutil.cpu_count(logical=False) or 1
    cores = set()
    for processor in os.sched_getaffinity(0):
        topology = root / f"sys/devices/system/cpu/cpu{processor}/topology"
        core = _read(topology / "core_id").strip()
        cores.add((_read(topology / "physical_package_id").strip(), core) if core else processor)
    return max(1, min(len(cores), int(_processor_quota(root))))


def memory_bytes(root: Path = ROOT) -> int:
    """Return the bytes of memory this process may use: all of the machine's, or its cgroup's limit if lower."""
    if LINUX:
        return min(_meminfo("MemTotal", root), *(limit for limit, _ in _memory_limits(root)), 2**63)
    return int(_psutil().virtual_memory().total)


def free_memory_bytes(root: Path = ROOT) -> int:
    """Return the bytes available now without swapping, within the cgroup's limit if it has one."""
    if LINUX:
        rest = (limit - used for limit, used in _memory_limits(root))
        return max(0, min(_meminfo("MemAvailable", root), *rest, 2**63))
    return int(_psutil().virtual_memory().available)


def resident_memory_bytes() -> int:
    """Return the bytes of memory resident in this process now."""
    if LINUX:
        return status_bytes("VmRSS") or 0
    return int(_psutil().Process().memory_info().rss)


def peak_memory_bytes() -> int | None:
    """Return the most bytes of memory this process was ever resident with; None where the system keeps no peak."""
    if LINUX:  # getrusage would include what the parent process held when it forked
        return status_bytes("VmHWM")
    try:
        import resource
    except ImportError:
        return None
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def status_bytes(field: str) -> int | None:
    """Return a "VmRSS: 1234 kB" field of this process's /proc/self/status in bytes; None where it is not listed."""
    return _kilobyte_field(ROOT / "proc/self/status", field)


def keep_freed_memory() -> bool:
    """Make glibc keep up to 512 MiB of freed memory instead of returning it after every step; return whether it does.

    Faulting the same pages in again costs a CPU training step 7 to 20 % (measured on two cores of an AMD EPYC, glibc
    2.36; results are bit-identical). Other C libraries are left alone.
    """
    if not LINUX or platform.libc_ver()[0] != "glibc":
        return False
    trim_threshold, mmap_threshold = -1, -3  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of <malloc.h>
    size = 512 * 2**20
    libc = ctypes.CDLL(None)
    return bool(libc.mallopt(trim_threshold, size)) and bool(libc.mallopt(mmap_threshold, size))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _processor_fields(root: Path) -> dict[str, str]:
    lines = (line.partition(":") for line in _read(root / "proc/cpuinfo").splitlines())
    fields: dict[str, str] = {}
    for name, _, value in lines:
        fields.setdefault(name.strip(), value.strip())
    return fields


def _kilobyte_field(path: Path, name: str) -> int | None:
    for line in _read(path).splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    return None


def _meminfo(name: str, root: Path) -> int:
    size = _kilobyte_field(root / "proc/meminfo", name)
    if size is None:
        raise WorkbenchError(f"/proc/meminfo has no {name}: mount /proc, or use a Linux kernel from 3.14 (2014) on.")
    return size


def _cgroup_folders(controller: str, root: Path) -> Iterator[tuple[Path, bool]]:
    """Yield the folders of this process's cgroups, innermost first, and whether each is of cgroup version 2."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        is_v2 = not controllers
        if is_v2 or controller in controllers.split(","):
            base = root / "sys/fs/cgroup" / ("" if is_v2 else controller)
            inner = PurePosixPath(path.strip("/"))
            yield from ((base / folder, is_v2) for folder in (inner, *inner.parents))


def _processor_quota(root: Path) -> float:
    """Return the CPU time per second of wall time that the cgroups grant, in CPUs."""
    quota = float(2**31)
    for folder, is_v2 in _cgroup_folders("cpu", root):
        names = ("cpu.max",) if is_v2 else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        numbers = " ".join(_read(folder / name) for name in names).split()
        if len(numbers) == 2 and numbers[0].isdigit():
            quota = min(quota, int(numbers[0]) / int(numbers[1]))
    return quota


def _memory_limits(root: Path) -> Iterator[tuple[int, int]]:
    """Yield (limit, used) in bytes for each cgroup with a limit; reclaimable file cache does not count as used."""
    for folder, is_v2 in _cgroup_folders("memory", root):
        names = ("memory.max", "memory.current") if is_v2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        limit, used = (_read(folder / name).strip() for name in names)
        if limit.isdigit() and used.isdigit():
            lines = (line.split() for line in _read(folder / "memory.stat").splitlines())
            statistics = {line[0]: line[1] for line in lines if len(line) == 2}
            reclaimable = int(statistics.get("inactive_file" if is_v2 else "total_inactive_file", "0"))
            yield int(limit), int(used) - reclaimable


@cache
def _sysctl() -> dict[str, str]:
    """Return what macOS reports about the processor, by the name of the setting."""
    command = ["/usr/sbin/sysctl", "machdep.cpu.brand_string", "hw.optional"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in done.stdout.splitlines())}


def _windows_processor() -> str:
    if sys.platform != "win32":
        return ""
    import winreg

    with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"HARDWARE\DESCRIPTION\System\CentralProcessor\0") as key:
        return str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).strip()


def _psutil() -> Any:
    try:
        import psutil
    except ImportError as error:
        raise WorkbenchError("Reading memory sizes on this system needs psutil: pip install psutil.") from error
    return psutil
