"""What the machine gives this process: its processor, the cores and the memory that may be used. No torch.

Linux is read from /proc and /sys; `root` stands for "/" so that any machine's files can be read, kept ones too.
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

# Instructions that decide how fast a network runs, by the name the system gives them, and the usual name.
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
    """The processor as its maker calls it, such as "AMD EPYC 9354" or "Apple M3"; the architecture where unknown."""
    if sys.platform == "darwin":
        return _sysctl().get("machdep.cpu.brand_string") or platform.machine()
    if sys.platform == "win32":
        return _windows_processor() or platform.processor()
    fields = _processor_fields(root)
    # An ARM processor does not say its name; the board often does ("Raspberry Pi 5 Model B").
    board = _read(root / "sys/firmware/devicetree/base/model").strip("\0\n ")
    return fields.get("model name") or fields.get("cpu model") or board or fields.get("Model") or platform.machine()


def processor_features(root: Path = ROOT) -> tuple[str, ...]:
    """The instruction sets that matter to a network ("avx512_bf16", "amx_int8", "neon", …), none where unknown."""
    if sys.platform == "darwin":
        has = {name.rsplit(".", 1)[-1] for name, value in _sysctl().items() if value == "1"}
    else:
        fields = _processor_fields(root)
        has = set(f"{fields.get('flags', '')} {fields.get('Features', '')}".split())
    return tuple(dict.fromkeys(usual for name, usual in _FEATURES.items() if name in has))


def usable_cores(root: Path = ROOT) -> int:
    """Physical cores that this process may use: those of its affinity, and no more than its cgroup's quota grants.

    Two hardware threads of a core count once: arithmetic gains nothing from the second. At least 1.
    """
    if not LINUX:
        return _psutil_cores() or os.cpu_count() or 1
    cores = set()
    for processor in os.sched_getaffinity(0):
        topology = root / f"sys/devices/system/cpu/cpu{processor}/topology"
        core = _read(topology / "core_id").strip()
        cores.add((_read(topology / "physical_package_id").strip(), core) if core else processor)
    return max(1, min(len(cores), int(_processor_quota(root))))


def memory_bytes(root: Path = ROOT) -> int:
    """Bytes of memory this process may use: the machine's, or its cgroup's limit where that is lower."""
    if LINUX:
        limits = (limit for limit, _ in _memory_limits(root))
        return min(_memory_field("MemTotal", root), *limits, 2**63)
    return int(_psutil("the size of the memory").virtual_memory().total)


def free_memory_bytes(root: Path = ROOT) -> int:
    """Bytes that can be had now without swapping, within the cgroup's limit where there is one."""
    if LINUX:
        rest = (limit - used for limit, used in _memory_limits(root))
        return max(0, min(_memory_field("MemAvailable", root), *rest, 2**63))
    return int(_psutil("the free memory").virtual_memory().available)


def resident_memory_bytes() -> int:
    """Bytes of memory this process holds now."""
    if LINUX:
        pages = int(_read(ROOT / "proc/self/statm").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    return int(_psutil("the memory of this process").Process().memory_info().rss)


def peak_memory_bytes() -> int | None:
    """The most bytes of memory this process ever held; None where the system does not tell."""
    if LINUX:  # getrusage would count what the parent held when it started us
        for line in _read(ROOT / "proc/self/status").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return None
    try:
        import resource
    except ImportError:
        return None
    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def let_idle_threads_sleep() -> None:
    """Have OpenMP's idle threads sleep after a moment instead of spinning; call it before torch is imported.

    GNU OpenMP's threads spin at each barrier for milliseconds, and a training step has hundreds of barriers: where
    others use the cores too (a browser, a class on one server), the spinning thread takes the time that the working one
    waits for. Measured on two cores beside busy processes: 560 to 580 pictures/s instead of 60 to 340. A value the user
    has set stays; other OpenMP libraries ignore the variable.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")


def keep_freed_memory() -> bool:
    """Let glibc keep freed memory up to 512 MB instead of handing it back after every step; True where it does.

    Fetching the same pages again costs a CPU training step 7 to 20 % (measured on two cores of an AMD EPYC, glibc
    2.36; results bit-identical). Another C library is left as it is.
    """
    if not LINUX or platform.libc_ver()[0] != "glibc":
        return False
    trim_threshold, mmap_threshold, size = (
        -1,
        -3,
        512 * 1024 * 1024,
    )  # the two numbers are from <malloc.h>
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


def _memory_field(name: str, root: Path) -> int:
    for line in _read(root / "proc/meminfo").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise WorkbenchError(f"/proc/meminfo has no {name}: mount /proc, or use a Linux kernel from 3.14 (2014) on.")


def _cgroup_folders(controller: str, root: Path) -> Iterator[tuple[Path, bool]]:
    """The cgroups this process is in, innermost first, and whether each is of version 2."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        second = not controllers
        if second or controller in controllers.split(","):
            base = root / "sys/fs/cgroup" / ("" if second else controller)
            inner = PurePosixPath(path.strip("/"))
            yield from ((base / folder, second) for folder in (inner, *inner.parents))


def _processor_quota(root: Path) -> float:
    """Processors' worth of time that the cgroups grant."""
    quota = float(2**31)
    for folder, second in _cgroup_folders("cpu", root):
        names = ("cpu.max",) if second else ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        text = " ".join(_read(folder / name) for name in names)
        numbers = text.split()
        if len(numbers) == 2 and numbers[0].isdigit():
            quota = min(quota, int(numbers[0]) / int(numbers[1]))
    return quota


def _memory_limits(root: Path) -> Iterator[tuple[int, int]]:
    """(limit, used) of each cgroup that has a limit, in bytes; files that can be dropped do not count as used."""
    for folder, second in _cgroup_folders("memory", root):
        names = ("memory.max", "memory.current") if second else ("memory.limit_in_bytes", "memory.usage_in_bytes")
        limit, used = (_read(folder / name).strip() for name in names)
        if limit.isdigit() and used.isdigit():
            lines = (line.split() for line in _read(folder / "memory.stat").splitlines())
            statistics = {line[0]: line[1] for line in lines if len(line) == 2}
            droppable = int(statistics.get("inactive_file" if second else "total_inactive_file", "0"))
            yield int(limit), int(used) - droppable


@cache
def _sysctl() -> dict[str, str]:
    """macOS's own description of the processor."""
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


def _psutil_cores() -> int | None:
    try:
        import psutil
    except ImportError:
        return None
    cores = psutil.cpu_count(logical=False)
    return int(cores) if cores else None


def _psutil(wanted: str) -> Any:
    try:
        import psutil
    except ImportError as error:
        raise WorkbenchError(f"To learn {wanted} on this system, psutil is needed: pip install psutil.") from error
    return psutil
