"""The devices of this machine that can run a network: CPU, CUDA (NVIDIA, and AMD through ROCm) and MPS (Apple).

torch is imported when it is first needed; without it, as in production, the CPU is still described.
"""

from __future__ import annotations

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
from workbench.machine.processor import (
    free_memory_bytes,
    memory_bytes,
    processor_features,
    processor_name,
    resident_memory_bytes,
    usable_cores,
)

if TYPE_CHECKING:
    import torch

NO_METER = "not measurable here"
RAPL = Path("/sys/class/powercap")


@dataclass(frozen=True, kw_only=True)
class Device:
    """A processor of this machine that can run a network.

    name: as `find_device` takes it: "cpu", "cuda:0", "mps". kind: "cpu", "cuda" or "mps". description: product name.
    cores: physical cores this process may use; streaming multiprocessors (CUDA); 0 if unknown (MPS).
    memory_bytes: all of the memory this process may use on it (MPS: the working set that Metal recommends at most).
    features: instruction sets that matter, or the compute capability. driver: version of the GPU's driver.
    power_meter: the energy counter readable here, "NVML" or "RAPL", else "not measurable here".

    >>> cpu = wb.find_device("cpu")
    >>> cpu.kind, cpu.cores >= 1, cpu.free_memory() <= cpu.memory_bytes
    ('cpu', True, True)
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
        """Name for tables and charts: "AMD EPYC (2 cores)", "NVIDIA H100 80GB HBM3"."""
        if self.kind != "cpu":
            return self.description
        return f"{self.description} ({self.cores} core{'s' if self.cores > 1 else ''})"

    @property
    def torch(self) -> torch.device:
        """The PyTorch device. Raises WorkbenchError where PyTorch is not installed."""
        return _require_torch().device(self.name)

    def synchronize(self) -> None:
        """Wait until the device has finished all queued work; a CPU queues none."""
        if self.kind == "cuda":
            _require_torch().cuda.synchronize(self.name)
        elif self.kind == "mps":
            _require_torch().mps.synchronize()

    def free_memory(self) -> int:
        """Return the bytes that can still be allocated on the device."""
        if self.kind == "cuda":
            cuda = _require_torch().cuda
            # PyTorch's allocator reuses what it has reserved but not handed out.
            reserve = cuda.memory_reserved(self.name) - cuda.memory_allocated(self.name)
            return int(cuda.mem_get_info(self.name)[0] + reserve)
        if self.kind == "mps":
            return max(0, self.memory_bytes - int(_require_torch().mps.current_allocated_memory()))
        return free_memory_bytes()

    def memory_in_use(self) -> int:
        """Return bytes: PyTorch's peak allocation (CUDA), its current allocation (MPS), the process's memory (CPU)."""
        if self.kind == "cuda":
            return int(_require_torch().cuda.max_memory_allocated(self.name))
        if self.kind == "mps":
            return int(_require_torch().mps.driver_allocated_memory())
        return resident_memory_bytes()

    def to_mapping(self) -> dict[str, Any]:
        """Return all fields as plain values for JSON."""
        return {**asdict(self), "features": list(self.features)}


def list_devices() -> tuple[Device, ...]:
    """Return all devices of this machine, those quickest at training first: CUDA, then MPS, then the CPU.

    Raises WorkbenchError where PyTorch is installed but cannot be loaded.

    >>> wb.list_devices()[-1].name
    'cpu'
    """
    torch = _torch()
    gpus = [] if torch is None else [*_cuda_devices(torch), *_mps_devices(torch)]
    return (*gpus, _cpu())


def find_device(name: str = "auto") -> Device:
    """Return the device called `name`: "cpu", "cuda" (the first GPU), "cuda:1", "mps", or "auto" for the quickest.

    Raises WorkbenchError, which lists this machine's devices, for any other name.

    >>> wb.find_device("tpu")
    Traceback (most recent call last):
    ...
    workbench.errors.WorkbenchError: There is no device 'tpu' here. This machine has: ...
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
    """Return the energy counters of the processor packages, one file each, in µJ (Linux; intel-rapl on AMD as well)."""
    return tuple(sorted(folder.glob("intel-rapl:?/energy_uj")))


def _cuda_devices(torch: Any) -> Iterator[Device]:
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        properties = torch.cuda.get_device_properties(index)
        with nvml() as library:
            driver = None if library is None else str(library.nvmlSystemGetDriverVersion())
            has_meter = library is not None and nvml_joules(library, str(getattr(properties, "uuid", ""))) is not None
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


def synchroniser() -> Callable[[], None]:
    """Return a function that waits until every GPU on which PyTorch holds memory has finished its queued work.

    Finding those GPUs takes up to 100 µs, longer than many a call that is timed: do it before starting the clock.
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
        for synchronize in waits:
            synchronize()

    return wait


@contextmanager
def nvml() -> Iterator[Any]:
    """Yield NVIDIA's management library, initialised; None where the library or the driver is missing."""
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


def nvml_joules(library: Any, uuid: str) -> Callable[[], float] | None:
    """Return a function that reads the joules a GPU has used since its driver was loaded; None if it has no counter."""
    for prefix in ("GPU-", "MIG-"):
        try:
            handle = library.nvmlDeviceGetHandleByUUID(prefix + uuid)
            library.nvmlDeviceGetTotalEnergyConsumption(handle)
        except library.NVMLError:
            continue  # GPUs before the Volta generation have no such counter
        return lambda: library.nvmlDeviceGetTotalEnergyConsumption(handle) / 1000
    return None


def _torch() -> Any:
    """Return the torch module, or None where it is not installed."""
    try:
        return importlib.import_module("torch")
    except ModuleNotFoundError as error:
        if error.name == "torch":
            return None
        reason = str(error)
    except Exception as error:  # a broken build fails with OSError, RuntimeError, AttributeError …
        reason = f"{type(error).__name__}: {error}"
    raise WorkbenchError(
        f"PyTorch is installed but cannot be loaded ({reason}): `workbench doctor` says how to fix it."
    )


def _require_torch() -> Any:
    torch = _torch()
    if torch is None:
        raise WorkbenchError("PyTorch is not installed here: `workbench doctor` says how to add what training needs.")
    return torch
