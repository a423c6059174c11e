"""Diagnose this machine: what works, what does not, and the exact command that fixes it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal, get_args

from workbench.machine.devices import NO_METER, Device
from workbench.machine.facts import LABEXTENSIONS, WIDGET_MANAGER, Machine, inspect_machine
from workbench.units import format_bytes

OLDEST_PYTHON = (3, 11)
# Enough for cached data sets and some run folders.
AMPLE_BYTES = 2 * 10**9
DRIVERS = "https://www.nvidia.com/drivers"
CHOOSER = "https://pytorch.org/get-started/locally"
CPU_BUILDS = "https://download.pytorch.org/whl/cpu"


Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True)
class Finding:
    """One result of the examination.

    level: "ok", "warning" (works, at a cost) or "problem" (something does not work). subject: one word. message: a
    sentence. fix: the command or the step that fixes it; empty where there is nothing to do.

    >>> Finding("warning", "threads", "PyTorch would use 64 threads on 2 cores.", "export OMP_NUM_THREADS=2").fix
    'export OMP_NUM_THREADS=2'
    """

    level: Level
    subject: str
    message: str
    fix: str = ""

    def to_mapping(self) -> dict[str, str]:
        """Return all fields as plain values for JSON."""
        return asdict(self)


_ok, _warning, _problem = (partial(Finding, level) for level in get_args(Level))


def examine() -> tuple[Finding, ...]:
    """Examine this machine, which takes a few seconds. Works without torch, and raises for nothing that it finds.

    >>> python, *rest = examine()
    >>> python.subject, python.message
    ('python', 'Python 3... in ...')
    """
    return diagnose(inspect_machine())


def diagnose(machine: Machine) -> tuple[Finding, ...]:
    """Return the findings that follow from the facts, in the order in which to read and fix them."""
    rules = (_python, _devices, _energy, _packages, _torch, _torchvision, _gpu, _notebooks, _widgets, _data, _threads)
    return tuple(finding for rule in rules for finding in rule(machine))


def _python(machine: Machine) -> Iterator[Finding]:
    version = ".".join(map(str, machine.python))
    message = (
        f"Python {version} in {machine.environment}, on {machine.system} {machine.release} ({machine.architecture})."
    )
    home = machine.checkout / ".venv" if machine.checkout else None
    if machine.python[:2] < OLDEST_PYTHON:
        yield _problem(
            "python",
            f"Python {version} is too old: {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer is needed.",
            "Install a newer Python (sudo apt install python3 python3-venv; brew install python; or www.python.org), "
            "then rebuild the environment: make clean setup",
        )
    elif home and home.is_dir() and machine.environment.resolve() != home.resolve():
        yield _warning(
            "python",
            f"{message} The checkout has its own environment, {home}, with the tested versions.",
            f"Run {_program(machine, home)} instead",
        )
    elif not machine.in_environment:
        yield _warning(
            "python",
            f"{message} It is the system's Python: other programs share its packages and may change them.",
            "make setup" if _has_make(machine) else "python -m venv .venv, and install into that",
        )
    else:
        yield _ok("python", message)


def _devices(machine: Machine) -> Iterator[Finding]:
    for device in machine.devices:
        yield _ok("device", _describe(device))


def _energy(machine: Machine) -> Iterator[Finding]:
    for device in machine.devices:
        if device.power_meter != NO_METER:
            yield _ok("energy", f"{device.name}: its energy can be measured ({device.power_meter}).")
        elif device.kind == "cpu" and machine.unreadable_counters:
            counters = " ".join(map(str, machine.unreadable_counters))
            message = "cpu: the processor counts its energy (RAPL), but only the administrator may read the counter."
            yield _warning("energy", message, f"sudo chmod a+r {counters}   (until the next reboot)")
        else:
            yield _ok("energy", f"{device.name}: energy is {NO_METER} (no counter that a program may read).")


def _packages(machine: Machine) -> Iterator[Finding]:
    if machine.unmet:
        requirements = [requirement for requirement, _ in machine.unmet]
        listed = "; ".join(f"{requirement} ({version or 'not installed'})" for requirement, version in machine.unmet)
        fix = _reinstall(machine, *requirements)
        yield _problem("packages", f"Missing or of the wrong version: {listed}.", fix)
    elif machine.is_bench:
        yield _ok("packages", "Everything the bench needs is installed.")
    else:
        message = "Everything production needs is installed. Training and notebooks need the bench too."
        yield _ok("packages", message, "make setup, in a copy of the project")
    if why := machine.broken.get("onnxruntime"):
        yield _problem(
            "onnxruntime", f"ONNX Runtime is installed but does not load: {why}.", _reinstall(machine, "onnxruntime")
        )


def _torch(machine: Machine) -> Iterator[Finding]:
    version = machine.versions.get("torch")
    if version is None:
        return  # production; on a bench, `packages` reports it
    if why := machine.broken.get("torch"):
        message = f"PyTorch {version} is installed but does not load: {why}."
        yield _problem("torch", message, _reinstall(machine, "torch", "torchvision"))
    else:
        yield _ok("torch", f"PyTorch {version} loads.")


def _torchvision(machine: Machine) -> Iterator[Finding]:
    torch, torchvision = machine.versions.get("torch"), machine.versions.get("torchvision")
    if torch is None or torchvision is None or "torch" in machine.broken:
        return  # torchvision cannot work without torch: report the cause only
    pair = f"torch {torch} and torchvision {torchvision}"
    builds = _builds(machine)
    difference = f"one is built for {builds[0]}, the other for {builds[1]}"
    if why := machine.broken.get("torchvision"):
        cause = "they do not match" if builds[0] == builds[1] else difference
        message = f"{pair} do not work together ({cause}): {why}."
        yield _problem("torchvision", message, _reinstall(machine, "torch", "torchvision"))
    elif builds[0] != builds[1]:
        message = f"{pair}: {difference}. They load here, but are not a tested pair."
        yield _warning("torchvision", message, _reinstall(machine, "torch", "torchvision"))
    else:
        yield _ok("torchvision", f"torchvision {torchvision} loads and matches its PyTorch.")


def _gpu(machine: Machine) -> Iterator[Finding]:
    usable = any(device.kind == "cuda" for device in machine.devices)
    if not machine.nvidia_gpus or usable or "torch" not in machine.versions or "torch" in machine.broken:
        return
    gpus = ", ".join(machine.nvidia_gpus)
    if machine.driver is None:
        message = f"{gpus} is installed, but its driver is not loaded (or this container was started without the GPU)."
        fix = f"sudo ubuntu-drivers install (Ubuntu), else {DRIVERS}; for a container: docker run --gpus all …"
    elif machine.cuda_build is None:
        message = f"{gpus} is here, but PyTorch {machine.versions['torch']} is a build without CUDA and cannot use it."
        fix = _install_cuda(machine)
    elif machine.driver_cuda and machine.driver_cuda[0] < int(machine.cuda_build.split(".")[0]):
        newest = ".".join(map(str, machine.driver_cuda))
        message = (
            f"{gpus}: its driver {machine.driver} supports CUDA up to {newest} and is too old for this PyTorch, which "
            f"is built for CUDA {machine.cuda_build}."
        )
        fix = f"Install a newer driver ({DRIVERS}), or a PyTorch that matches this one: {_install_cuda(machine)}"
    else:
        message = f"{gpus} is here, but PyTorch cannot use it: {machine.cuda_error or 'it gives no reason'}."
        fix = "nvidia-smi must list the GPU and CUDA_VISIBLE_DEVICES must not hide it; after a driver update, restart"
    yield _problem("gpu", message, fix)


def _notebooks(machine: Machine) -> Iterator[Finding]:
    if "jupyterlab" not in machine.versions:
        return
    register = f'"{machine.executable}" -m ipykernel install --sys-prefix'
    if why := machine.broken.get("kernel"):
        yield _problem(
            "kernel", f"Jupyter's kernels cannot be listed: {why}.", _reinstall(machine, "jupyterlab", "ipykernel")
        )
    elif machine.kernel is None:
        message = "Jupyter has no kernel named python3: a notebook asks for a kernel instead of starting one."
        yield _problem("kernel", message, register)
    elif machine.kernel.absolute().parent != machine.executable.absolute().parent:
        message = f"Notebooks start another Python, {machine.kernel}, as set in {machine.kernel_folder}."
        yield _problem("kernel", message, f"{register}; if that does not help: jupyter kernelspec remove python3")
    else:
        yield _ok("kernel", "Notebooks start this Python.")


def _widgets(machine: Machine) -> Iterator[Finding]:
    if "jupyterlab" not in machine.versions or "kernel" in machine.broken:
        return
    packages = {WIDGET_MANAGER: "jupyterlab_widgets", "anywidget": "anywidget"}
    works = True
    for name in LABEXTENSIONS:
        if name not in machine.labextensions:
            message = f"JupyterLab does not find {name}: widgets are shown as text."
            fix = f'"{machine.executable}" -m pip install --force-reinstall --no-deps {packages[name]}'
        elif name in machine.disabled:
            message = f"{name} is disabled in JupyterLab: widgets are shown as text."
            fix = f"jupyter labextension enable {name}"
        else:
            continue
        works = False
        yield _problem("widgets", message, f"{fix}, then reload the page")
    if works:
        yield _ok("widgets", "JupyterLab finds everything that widgets need.")


def _data(machine: Machine) -> Iterator[Finding]:
    root = machine.data_root
    if root is None:
        return
    origin = "WORKBENCH_DATA" if machine.data_named else "the default"
    free = f"{format_bytes(machine.data_free_bytes)} free"
    if machine.data_named and not machine.data_exists:
        message = f"WORKBENCH_DATA names {root}, but there is no such folder."
        yield _problem("data", message, f'mkdir -p "{root}", or set WORKBENCH_DATA to the folder you mean')
    elif not machine.data_writable:
        message = f"Data sets are in {root} ({origin}), which is not writable: downloads and caches go elsewhere."
        yield _warning("data", message, "Set WORKBENCH_DATA to a folder you may write to")
    elif machine.data_free_bytes < AMPLE_BYTES:
        message = f"Data sets are in {root} ({origin}), with only {free}."
        yield _warning("data", message, "Free up space, or set WORKBENCH_DATA to a folder on a larger disk")
    else:
        yield _ok("data", f"Data sets are in {root} ({origin}), with {free}.")


def _threads(machine: Machine) -> Iterator[Finding]:
    cores = next((device.cores for device in machine.devices if device.kind == "cpu"), 0)
    if machine.threads is None or not cores:
        return
    if machine.threads > cores:
        message = (
            f"PyTorch would use {machine.threads} threads on {_plural(cores, 'usable core')}: they block each other. "
            "`train` lowers the number by itself; your own code does not."
        )
        yield _warning("threads", message, f"export OMP_NUM_THREADS={cores}")
    else:
        message = f"PyTorch uses {_plural(machine.threads, 'thread')} on {_plural(cores, 'usable core')}."
        yield _ok("threads", message)


def _describe(device: Device) -> str:
    units = {"cpu": "core", "cuda": "multiprocessor"}.get(device.kind)
    parts = [device.description]
    if units and device.cores:
        parts.append(_plural(device.cores, units))
    parts += [format_bytes(device.memory_bytes), *device.features]
    if device.driver:
        parts.append(f"driver {device.driver}" if device.kind == "cuda" else device.driver)
    return f"{device.name}: {', '.join(parts)}."


def _plural(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _builds(machine: Machine) -> tuple[str, str]:
    """Return what torch and torchvision are built for. PyPI's wheels carry no tag: they match any CUDA build."""
    torch, torchvision = (machine.versions[name].partition("+")[2] for name in ("torch", "torchvision"))
    if machine.system == "Linux" and machine.architecture == "x86_64":
        standard = "CUDA"  # the build that PyPI serves to this system
    else:
        standard = "the CPU"
    names = [
        "the CPU" if tag == "cpu" else f"CUDA ({tag})" if tag.startswith("cu") else tag or standard
        for tag in (torch, torchvision)
    ]
    if "CUDA" in names and any(name.startswith("CUDA (") for name in names):
        names = [name.partition(" (")[0] for name in names]
    return names[0], names[1]


def _has_make(machine: Machine) -> bool:
    return machine.checkout is not None and machine.system != "Windows"


def _program(machine: Machine, environment: Path) -> Path:
    return environment / ("Scripts" if machine.system == "Windows" else "bin") / "workbench"


def _install_cuda(machine: Machine) -> str:
    if _has_make(machine):
        return _reinstall(machine, torch="auto")
    return f"the command that {CHOOSER} gives for pip and CUDA"


def _reinstall(machine: Machine, *packages: str, torch: str = "") -> str:
    """Return the command that reinstalls `packages`: in a checkout with make, the whole environment as it was tested.

    torch: which build of PyTorch to install; by default a CPU build is kept where there is no NVIDIA GPU.
    """
    cpu_only = not torch and not machine.nvidia_gpus and machine.versions.get("torch", "").endswith("+cpu")
    if _has_make(machine):
        build = "cpu" if cpu_only else torch
        return "make clean setup" + (f" TORCH={build}" if build else "")
    pip = f'"{machine.executable}" -m pip install --force-reinstall'
    if machine.checkout:
        pip += f' -c "{machine.checkout / "constraints.txt"}"'
    if cpu_only and "torch" in packages:
        pip += f" --index-url {CPU_BUILDS}"
    return " ".join([pip, *(f'"{package}"' for package in packages)])
