"""What is right and what is wrong on this machine, and the exact command that mends it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from workbench.devices import NO_METER, Device
from workbench.machine import LABEXTENSIONS, WIDGET_MANAGER, Machine, describe_machine
from workbench.units import format_bytes

OLDEST_PYTHON = (3, 11)
# Cached data sets, a run folder or two, and room to breathe.
ROOMY_BYTES = 2 * 10**9
DRIVERS = "https://www.nvidia.com/drivers"
CHOOSER = "https://pytorch.org/get-started/locally"
CPU_BUILDS = "https://download.pytorch.org/whl/cpu"


@dataclass(frozen=True)
class Finding:
    """One fact and what follows from it.

    level: "ok", "warning" (works, with a loss) or "problem" (something does not work). subject: one word. what: a
    sentence. mend: the command, or the step, that mends it; empty where nothing has to be done.
    """

    level: Literal["ok", "warning", "problem"]
    subject: str
    what: str
    mend: str = ""

    def to_mapping(self) -> dict[str, str]:
        """All fields as plain values, as written to JSON."""
        return asdict(self)


def examine() -> tuple[Finding, ...]:
    """Examine this machine; takes a few seconds. It never raises for what it finds, and works without torch."""
    return diagnose(describe_machine())


def diagnose(machine: Machine) -> tuple[Finding, ...]:
    """What the facts mean, in the order in which to read and mend them."""
    rules = (_python, _devices, _energy, _packages, _torch, _torchvision, _gpu, _notebooks, _widgets, _data, _threads)
    return tuple(finding for rule in rules for finding in rule(machine))


def _python(machine: Machine) -> Iterator[Finding]:
    version = ".".join(map(str, machine.python))
    what = f"Python {version} in {machine.environment}, on {machine.system} {machine.release} ({machine.architecture})."
    home = machine.checkout / ".venv" if machine.checkout else None
    if machine.python[:2] < OLDEST_PYTHON:
        yield Finding(
            "problem",
            "python",
            f"Python {version} is too old: {OLDEST_PYTHON[0]}.{OLDEST_PYTHON[1]} or newer is needed.",
            "Install a newer Python (sudo apt install python3 python3-venv; brew install python; or www.python.org), "
            "then make the environment anew: make clean setup",
        )
    elif home and home.is_dir() and machine.environment.resolve() != home.resolve():
        yield Finding(
            "warning",
            "python",
            f"{what} The checkout has its own environment, {home}, with the tested versions.",
            f"Run {_program(machine, home)} instead",
        )
    elif not machine.in_environment:
        yield Finding(
            "warning",
            "python",
            f"{what} It is the system's own Python: other programs share, and may change, its packages.",
            "make setup" if _has_make(machine) else "python -m venv .venv, and install into that",
        )
    else:
        yield Finding("ok", "python", what)


def _devices(machine: Machine) -> Iterator[Finding]:
    for device in machine.devices:
        yield Finding("ok", "device", _describe(device))


def _energy(machine: Machine) -> Iterator[Finding]:
    for device in machine.devices:
        if device.power_meter != NO_METER:
            yield Finding("ok", "energy", f"{device.name}: its energy can be measured, by {device.power_meter}.")
        elif device.kind == "cpu" and machine.sealed_counters:
            counters = " ".join(map(str, machine.sealed_counters))
            what = "cpu: the processor counts its energy (RAPL), but only the administrator may read it."
            yield Finding("warning", "energy", what, f"sudo chmod a+r {counters}   (until the next start)")
        else:
            yield Finding("ok", "energy", f"{device.name}: energy is {NO_METER} (no meter that a program may read).")


def _packages(machine: Machine) -> Iterator[Finding]:
    if machine.unmet:
        asked = [requirement for requirement, _ in machine.unmet]
        listed = "; ".join(f"{requirement} ({have or 'not installed'})" for requirement, have in machine.unmet)
        yield Finding("problem", "packages", f"Missing or of another version: {listed}.", _renew(machine, *asked))
    elif machine.is_bench:
        yield Finding("ok", "packages", "All that the bench needs is installed.")
    else:
        what = "All that production needs is installed. To train and to open notebooks, the bench is needed too."
        yield Finding("ok", "packages", what, "make setup, in a copy of the project")
    if why := machine.broken.get("onnxruntime"):
        yield Finding(
            "problem",
            "onnxruntime",
            f"ONNX Runtime is installed and does not load: {why}.",
            _renew(machine, "onnxruntime"),
        )


def _torch(machine: Machine) -> Iterator[Finding]:
    version = machine.versions.get("torch")
    if version is None:
        return  # production; on a bench `packages` has said it
    if why := machine.broken.get("torch"):
        what = f"PyTorch {version} is installed and does not load: {why}."
        yield Finding("problem", "torch", what, _renew(machine, "torch", "torchvision"))
    else:
        yield Finding("ok", "torch", f"PyTorch {version} loads.")


def _torchvision(machine: Machine) -> Iterator[Finding]:
    torch, torchvision = machine.versions.get("torch"), machine.versions.get("torchvision")
    if torch is None or torchvision is None or "torch" in machine.broken:
        return  # one thing at a time: torchvision cannot be better than its torch
    pair = f"torch {torch} and torchvision {torchvision}"
    builds = _builds(machine)
    if why := machine.broken.get("torchvision"):
        apart = (
            f"one is built for {builds[0]}, the other for {builds[1]}" if builds[0] != builds[1] else "they do not fit"
        )
        yield Finding(
            "problem",
            "torchvision",
            f"{pair} do not work together ({apart}): {why}.",
            _renew(machine, "torch", "torchvision"),
        )
    elif builds[0] != builds[1]:
        what = (
            f"{pair}: one is built for {builds[0]}, the other for {builds[1]}. It loads here, but is not a tested pair."
        )
        yield Finding("warning", "torchvision", what, _renew(machine, "torch", "torchvision"))
    else:
        yield Finding("ok", "torchvision", f"torchvision {torchvision} loads and fits its PyTorch.")


def _gpu(machine: Machine) -> Iterator[Finding]:
    usable = any(device.kind == "cuda" for device in machine.devices)
    if not machine.nvidia_gpus or usable or "torch" not in machine.versions or "torch" in machine.broken:
        return
    gpus = ", ".join(machine.nvidia_gpus)
    if machine.driver is None:
        what = f"{gpus} is built in, but its driver is not loaded (or this container was started without the GPU)."
        mend = f"sudo ubuntu-drivers install (Ubuntu), else {DRIVERS}; for a container: docker run --gpus all …"
    elif machine.cuda_build is None:
        what = f"{gpus} is here, but PyTorch {machine.versions['torch']} is a build without CUDA and does not use it."
        mend = _for_gpu(machine)
    elif machine.driver_cuda and machine.driver_cuda[0] < int(machine.cuda_build.split(".")[0]):
        newest = ".".join(map(str, machine.driver_cuda))
        what = (
            f"{gpus}: its driver {machine.driver} knows CUDA up to {newest} and is too old for this PyTorch, which is "
            f"built for CUDA {machine.cuda_build}."
        )
        mend = f"Install a newer driver ({DRIVERS}), or a PyTorch that suits this one: {_for_gpu(machine)}"
    else:
        what = f"{gpus} is here, but PyTorch cannot use it: {machine.cuda_error or 'it gives no reason'}."
        mend = "nvidia-smi must list the GPU and CUDA_VISIBLE_DEVICES must not hide it; after a driver update, restart"
    yield Finding("problem", "gpu", what, mend)


def _notebooks(machine: Machine) -> Iterator[Finding]:
    if "jupyterlab" not in machine.versions:
        return
    register = f'"{machine.executable}" -m ipykernel install --sys-prefix'
    if why := machine.broken.get("kernel"):
        yield Finding(
            "problem",
            "kernel",
            f"Jupyter's kernels cannot be listed: {why}.",
            _renew(machine, "jupyterlab", "ipykernel"),
        )
    elif machine.kernel is None:
        what = "Jupyter has no kernel called python3: a notebook opens with a question instead of a Python."
        yield Finding("problem", "kernel", what, register)
    elif machine.kernel.absolute().parent != machine.executable.absolute().parent:
        what = f"Notebooks start another Python, {machine.kernel}, as {machine.kernel_folder} says."
        yield Finding("problem", "kernel", what, f"{register}; if it stays so: jupyter kernelspec remove python3")
    else:
        yield Finding("ok", "kernel", "Notebooks start this Python.")


def _widgets(machine: Machine) -> Iterator[Finding]:
    if "jupyterlab" not in machine.versions or "kernel" in machine.broken:
        return
    packages = {WIDGET_MANAGER: "jupyterlab_widgets", "anywidget": "anywidget"}
    works = True
    for name in LABEXTENSIONS:
        if name not in machine.labextensions:
            what = f"JupyterLab does not find {name}: widgets show as text."
            mend = f'"{machine.executable}" -m pip install --force-reinstall --no-deps {packages[name]}'
        elif name in machine.disabled:
            what = f"{name} is switched off in JupyterLab: widgets show as text."
            mend = f"jupyter labextension enable {name}"
        else:
            continue
        works = False
        yield Finding("problem", "widgets", what, f"{mend}, then reload the page")
    if works:
        yield Finding("ok", "widgets", "JupyterLab finds what widgets need.")


def _data(machine: Machine) -> Iterator[Finding]:
    root = machine.data_root
    if root is None:
        return
    origin = "WORKBENCH_DATA" if machine.data_named else "the default"
    free = f"{format_bytes(machine.data_free_bytes)} free"
    if machine.data_named and not machine.data_exists:
        what = f"WORKBENCH_DATA names {root}, and there is no such folder."
        yield Finding("problem", "data", what, f'mkdir -p "{root}", or set WORKBENCH_DATA to the folder you mean')
    elif not machine.data_writable:
        what = f"Data sets lie in {root} ({origin}), which cannot be written: downloads and caches go elsewhere."
        yield Finding("warning", "data", what, "Set WORKBENCH_DATA to a folder you may write to")
    elif machine.data_free_bytes < ROOMY_BYTES:
        what = f"Data sets lie in {root} ({origin}), with only {free}."
        yield Finding("warning", "data", what, "Free some space, or set WORKBENCH_DATA to a folder on a larger disk")
    else:
        yield Finding("ok", "data", f"Data sets lie in {root} ({origin}), with {free}.")


def _threads(machine: Machine) -> Iterator[Finding]:
    cores = next((device.cores for device in machine.devices if device.kind == "cpu"), 0)
    if machine.threads is None or not cores:
        return
    if machine.threads > cores:
        what = (
            f"PyTorch would use {machine.threads} threads on {_count(cores, 'usable core')}: they wait for each other. "
            "Training lowers it by itself; your own code does not."
        )
        yield Finding("warning", "threads", what, f"export OMP_NUM_THREADS={cores}")
    else:
        what = f"PyTorch uses {_count(machine.threads, 'thread')} on {_count(cores, 'usable core')}."
        yield Finding("ok", "threads", what)


def _describe(device: Device) -> str:
    units = {"cpu": "core", "cuda": "multiprocessor"}.get(device.kind)
    parts = [device.description]
    if units and device.cores:
        parts.append(_count(device.cores, units))
    parts += [format_bytes(device.memory_bytes), *device.features]
    if device.driver:
        parts.append(f"driver {device.driver}" if device.kind == "cuda" else device.driver)
    return f"{device.name}: {', '.join(parts)}."


def _count(count: int, unit: str) -> str:
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _builds(machine: Machine) -> tuple[str, str]:
    """What torch and torchvision were built for; PyPI's wheels carry no tag, and then the two count as alike."""
    torch, torchvision = (machine.versions[name].partition("+")[2] for name in ("torch", "torchvision"))
    if machine.system == "Linux" and machine.architecture == "x86_64":
        standard = "CUDA"  # what PyPI holds for this system
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


def _for_gpu(machine: Machine) -> str:
    if _has_make(machine):
        return _renew(machine, torch="auto")
    return f"the command that {CHOOSER} gives for pip and CUDA"


def _renew(machine: Machine, *packages: str, torch: str = "") -> str:
    """The command that installs `packages` anew: in a checkout the whole environment, as it was tested.

    `torch` names PyTorch's build; without it a CPU build stays one where there is no NVIDIA GPU.
    """
    small = not torch and not machine.nvidia_gpus and machine.versions.get("torch", "").endswith("+cpu")
    if _has_make(machine):
        build = "cpu" if small else torch
        return "make clean setup" + (f" TORCH={build}" if build else "")
    pip = f'"{machine.executable}" -m pip install --force-reinstall'
    if machine.checkout:
        pip += f' -c "{machine.checkout / "constraints.txt"}"'
    if small and "torch" in packages:
        pip += f" --index-url {CPU_BUILDS}"
    return " ".join([pip, *(f'"{package}"' for package in packages)])
