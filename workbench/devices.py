"""The devices a network can run on: what is here, what is known about it, and how to wait for it.

One code for CPU, CUDA (NVIDIA, and AMD through ROCm) and MPS (Apple). torch is loaded when it is first needed; without
it, as in production, the CPU is still described.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.errors import WorkbenchError
from workbench.processor import (
    free_memory_bytes,
    memory_bytes,
    processor_features,
    processor_name,
    resident_memory_bytes,
)
from workbench.processor import keep_freed_memory as keep_freed_memory
from workbench.processor import usable_cores as usable_cores

if TYPE_CHECKING:
    import torch

NO_METER = "not measurable here"
RAPL = Path("/sys/class/powercap")


@dataclass(frozen=True, kw_only=True)
class Device:
    """A part of this machine that can run a network.

    name: what `find_device` takes: "cpu", "cuda:0", "mps". kind: "cpu", "cuda" or "mps". description: the maker's name.
    cores: physical cores this process may use; streaming multiprocessors (CUDA); 0 where unknown (MPS).
    memory_bytes: all of the memory this process may use on it (MPS: what Metal recommends not to exceed).
    features: instruction sets that matter, or the compute capability. driver: version of the GPU's driver.
    power_meter: what can tell its energy here ("NVML", "RAPL"), else "not measurable here".
    """

    name: str
    kind: str
    description: str
    cores: int
    memory_bytes: int
    features: tuple[str, ...] = ()
    driver: str | None = None
    power_meter: str = NO_METER

    @property
    def title(self) -> str:
        """How people are told of it: "AMD EPYC (2 cores)", "NVIDIA H100 80GB HBM3"."""
        if self.kind != "cpu":
            return self.description
        return f"{self.description} ({self.cores} core{'s' if self.cores > 1 else ''})"

    @property
    def torch(self) -> torch.device:
        """The device as PyTorch names it. Raises WorkbenchError where PyTorch is not installed."""
        return _require_torch().device(self.name)

    def synchronize(self) -> None:
        """Wait until all work given to the device is done; a CPU has always finished."""
        if self.kind == "cuda":
            _require_torch().cuda.synchronize(self.name)
        elif self.kind == "mps":
            _require_torch().mps.synchronize()

    def free_memory(self) -> int:
        """Bytes that can be had on the device now."""
        if self.kind == "cuda":
            cuda = _require_torch().cuda
            # What PyTorch holds in reserve and does not use is free for us too.
            reserve = cuda.memory_reserved(self.name) - cuda.memory_allocated(self.name)
            return int(cuda.mem_get_info(self.name)[0] + reserve)
        if self.kind == "mps":
            return max(
                0,
                self.memory_bytes - int(_require_torch().mps.current_allocated_memory()),
            )
        return free_memory_bytes()

    def memory_in_use(self) -> int:
        """Bytes: the peak that PyTorch allocated on a GPU, what it holds (MPS), what the process holds (CPU)."""
        if self.kind == "cuda":
            return int(_require_torch().cuda.max_memory_allocated(self.name))
        if self.kind == "mps":
            return int(_require_torch().mps.driver_allocated_memory())
        return resident_memory_bytes()

    def to_mapping(self) -> dict[str, Any]:
        """All fields as plain values, as written to JSON."""
        return {**asdict(self), "features": list(self.features)}


def list_devices() -> tuple[Device, ...]:
    """All devices of this machine, the quickest kind of learner first: CUDA, then MPS, then the CPU.

    Raises WorkbenchError where PyTorch is installed and cannot be loaded.
    """
    torch = _torch()
    gpus = [] if torch is None else [*_cuda_devices(torch), *_mps_devices(torch)]
    return (*gpus, _cpu())


def find_device(name: str = "auto") -> Device:
    """The device called `name`: "cpu", "cuda" (the first one), "cuda:1", "mps"; "auto" takes the first of the list.

    Raises WorkbenchError, naming what is here, for any other.
    """
    if name == "cpu":
        return _cpu()
    devices = list_devices()
    for device in devices:
        if name in ("auto", device.name, device.kind):
            return device
    here = ", ".join(device.name for device in devices)
    raise WorkbenchError(f"There is no device {name!r} here. This machine has: {here} (auto takes {devices[0].name}).")


def _cpu() -> Device:
    return Device(
        name="cpu",
        kind="cpu",
        description=processor_name(),
        cores=usable_cores(),
        memory_bytes=memory_bytes(),
        features=processor_features(),
        power_meter="RAPL" if any(os.access(counter, os.R_OK) for counter in rapl_counters()) else NO_METER,
    )


def rapl_counters(folder: Path = RAPL) -> tuple[Path, ...]:
    """The processor's energy counters, one file a package, in microjoules (Linux; AMD's are called intel-rapl too)."""
    return tuple(sorted(folder.glob("intel-rapl:?/energy_uj")))


def _cuda_devices(torch: Any) -> Iterator[Device]:
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        properties = torch.cuda.get_device_properties(index)
        driver, has_meter = _nvml_facts(str(getattr(properties, "uuid", "")))
        yield Device(
            name=f"cuda:{index}",
            kind="cuda",
            description=properties.name,
            cores=properties.multi_processor_count,
            memory_bytes=properties.total_memory,
            features=(f"compute capability {properties.major}.{properties.minor}",),
            driver=driver,
            power_meter="NVML" if has_meter else NO_METER,
        )


def _mps_devices(torch: Any) -> Iterator[Device]:
    if torch.backends.mps.is_available():
        yield Device(
            name="mps",
            kind="mps",
            description=f"{processor_name()} GPU",
            cores=0,
            memory_bytes=int(torch.mps.recommended_max_memory()),
            driver=f"macOS {platform.mac_ver()[0]}",
        )


def checked_threads(threads: int | None) -> int:
    """`threads`, or all usable cores where it is None. Raises WorkbenchError for more than that, or none."""
    cores = usable_cores()
    if threads is None:
        return cores
    if type(threads) is not int or not 1 <= threads <= cores:
        raise WorkbenchError(f"threads = {threads!r}: must be a whole number from 1 to {cores}, the cores usable here.")
    return threads


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """PyTorch's number of threads belongs to the whole process: set it for a while, and put it back."""
    torch = _require_torch()
    before = torch.get_num_threads()
    if before == threads:
        yield
        return
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def release_idle_threads() -> bool:
    """End the OpenMP threads that the calling thread has woken for PyTorch and now lets idle; True where it does.

    Each thread that runs PyTorch has helpers of its own. Where a process has more of them than cores, GNU OpenMP has
    them wait awake for a shorter time at each barrier (its manual, GOMP_SPINCOUNT). So call this in the thread that is
    done with PyTorch, before another one begins; the helpers come back with its next operation, results are the same.
    What that is worth depends on the machine: docs/widgets.md. Another OpenMP library is left as it is.
    """
    try:
        maps = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    # Of all that are loaded: packages bring their own copies.
    paths = sorted({line.split(maxsplit=5)[5] for line in maps if "/libgomp" in line})
    soft = 1  # omp_pause_soft of <omp.h>
    return bool(paths) and all(ctypes.CDLL(path).omp_pause_resource_all(soft) == 0 for path in paths)


def synchroniser() -> Callable[[], None]:
    """A function that waits until every GPU on which PyTorch holds memory by now has done all the work it was given.

    To find out which these are takes up to 100 µs, as long as many a call: do it before the clock runs.
    """
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    waits: list[Callable[[], None]] = []
    if torch is not None and cuda is not None and cuda.is_initialized():
        used = [index for index in range(cuda.device_count()) if cuda.memory_reserved(index)]
        waits = [partial(cuda.synchronize, index) for index in used]
    elif torch is not None and cuda is not None and torch.backends.mps.is_available():
        waits = [torch.mps.synchronize]

    def wait() -> None:
        for each in waits:
            each()

    return wait


@contextmanager
def nvml() -> Iterator[Any]:
    """NVIDIA's management library, ready to ask; None where it, or the driver, is not installed."""
    try:
        pynvml = importlib.import_module("pynvml")
        pynvml.nvmlInit()
    except ImportError:
        yield None
        return
    except pynvml.NVMLError:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def _nvml_facts(uuid: str) -> tuple[str | None, bool]:
    """The driver's version, and whether the GPU with this id tells its power."""
    with nvml() as library:
        if library is None:
            return None, False
        driver = str(library.nvmlSystemGetDriverVersion())
        for prefix in ("GPU-", "MIG-"):
            try:
                library.nvmlDeviceGetPowerUsage(library.nvmlDeviceGetHandleByUUID(prefix + uuid))
            except library.NVMLError:
                continue
            return driver, True
        return driver, False


def _torch() -> Any:
    """The torch module, or None where it is not installed."""
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError as error:
        if error.name == "torch":
            return None
        reason = str(error)
    except Exception as error:  # a broken build fails with OSError, RuntimeError, AttributeError …
        reason = f"{type(error).__name__}: {error}"
    raise WorkbenchError(
        f"PyTorch is installed but cannot be loaded ({reason}): `workbench doctor` says how to mend it."
    )


def _require_torch() -> Any:
    torch = _torch()
    if torch is None:
        raise WorkbenchError("PyTorch is not installed here: `workbench doctor` says how to add what learning needs.")
    return torch
