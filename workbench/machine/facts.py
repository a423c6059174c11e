"""Inspect this machine and what is installed on it: the facts that `doctor` judges.

Whatever may crash (a wrong build of torch takes the whole process with it) is probed in a process of its own, so that
a broken package is a fact like any other. No compiled package has to be installed.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata, util
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from workbench.folders import CHECKOUT, is_checkout
from workbench.machine.devices import Device, find_device, list_devices, nvml, rapl_counters
from workbench.wording import describe_error

PROBE_SECONDS = 180.0
WIDGET_MANAGER = "@jupyter-widgets/jupyterlab-manager"
LABEXTENSIONS = (WIDGET_MANAGER, "anywidget")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Facts about this machine. Paths and versions as found; sizes in bytes; None for what is not there.

    versions: installed distribution -> version, with the build's tag if it has one ("2.15.0+cu132"). unmet:
    (requirement, installed version or None) of this package and its `lab` extra. broken: module -> why importing it
    fails. cuda_build: the CUDA version torch was built for; cuda_error: why torch cannot use it; driver_cuda: the
    newest CUDA version the driver supports. kernel: the Python that notebooks start. labextensions: those of
    LABEXTENSIONS that JupyterLab finds; disabled: those switched off. unreadable_counters: energy counters that this
    user may not read.
    """

    system: str
    release: str
    architecture: str
    python: tuple[int, int, int]
    executable: Path
    environment: Path
    in_environment: bool
    checkout: Path | None
    versions: Mapping[str, str]
    devices: tuple[Device, ...]
    unmet: tuple[tuple[str, str | None], ...] = ()
    broken: Mapping[str, str] = field(default_factory=dict)
    threads: int | None = None
    cuda_build: str | None = None
    cuda_error: str | None = None
    nvidia_gpus: tuple[str, ...] = ()
    driver: str | None = None
    driver_cuda: tuple[int, int] | None = None
    kernel: Path | None = None
    kernel_folder: Path | None = None
    labextensions: frozenset[str] = frozenset()
    disabled: frozenset[str] = frozenset()
    data_root: Path | None = None
    data_named: bool = False
    data_exists: bool = False
    data_writable: bool = False
    data_free_bytes: int = 0
    unreadable_counters: tuple[Path, ...] = ()

    @property
    def is_bench(self) -> bool:
        """Whether this is a bench, for training and notebooks; production has neither torch nor JupyterLab."""
        return "torch" in self.versions or "jupyterlab" in self.versions


def inspect_machine() -> Machine:
    """Gather all facts, which takes a few seconds: most of them go into loading torch in a process of its own."""
    results, broken = _probe(tuple(_PROBES))
    torch = results.get("torch") or {}
    kernel = results.get("kernel") or {}
    devices = tuple(
        Device(**{**device, "features": tuple(device["features"])}) for device in results.get("devices", ())
    )
    root = Path(results["data"]) if results.get("data") else None
    installed = _installed()
    return Machine(
        system=platform.system(),
        release=platform.release(),
        architecture=platform.machine(),
        python=(sys.version_info.major, sys.version_info.minor, sys.version_info.micro),
        executable=Path(sys.executable),
        environment=Path(sys.prefix),
        in_environment=sys.prefix != sys.base_prefix or (Path(sys.prefix) / "conda-meta").is_dir(),
        checkout=CHECKOUT if is_checkout() else None,
        versions={name: _build(name, version) for name, version in installed.items()},
        devices=devices or (find_device("cpu"),),
        unmet=_unmet(installed),
        broken=broken,
        threads=torch.get("threads"),
        cuda_build=_version_file("torch").get("cuda"),
        cuda_error=torch.get("cuda_error"),
        kernel=Path(kernel["python"]) if kernel.get("python") else None,
        kernel_folder=Path(kernel["folder"]) if kernel.get("folder") else None,
        labextensions=frozenset(kernel.get("found", ())),
        disabled=frozenset(kernel.get("disabled", ())),
        unreadable_counters=tuple(counter for counter in rapl_counters() if not os.access(counter, os.R_OK)),
        **_gpu_facts(),
        **_data_facts(root),
    )


# Probed in a process of its own -----------------------------------------------------------------------------------


def _probe_torch() -> dict[str, Any]:
    import torch

    error = None
    if torch.version.cuda and not torch.cuda.is_available():
        try:
            torch.cuda.init()
        except Exception as failure:
            error = str(failure).strip().splitlines()[0]
    return {"threads": torch.get_num_threads(), "cuda_error": error}


def _probe_torchvision() -> None:
    import torch
    import torchvision

    # A torchvision built for another torch may import and fail only when one of its operators is called.
    torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)


def _probe_data() -> str:
    from workbench.folders import data_root

    return str(data_root().absolute())


def _probe_kernel() -> dict[str, Any]:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    from jupyter_core.paths import jupyter_config_path, jupyter_path

    folders = [Path(folder) for folder in jupyter_path("labextensions")]
    paths = [Path(folder) / "labconfig" / "page_config.json" for folder in jupyter_config_path()]
    pages = [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.is_file()]
    switches = {name: off for page in reversed(pages) for name, off in dict(page.get("disabledExtensions", {})).items()}
    result: dict[str, Any] = {
        "found": [
            name for name in LABEXTENSIONS if any((folder / name / "package.json").is_file() for folder in folders)
        ],
        "disabled": [name for name in LABEXTENSIONS if switches.get(name) is True],
    }
    try:
        specification = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        return result
    python = specification.argv[0]
    # Jupyter resolves a bare "python" to the Python it runs on.
    is_own = python in ("python", "python3", f"python3.{sys.version_info.minor}")
    if is_own:
        importlib.import_module("ipykernel")
    return {**result, "python": sys.executable if is_own else python, "folder": specification.resource_dir}


_PROBES: dict[str, Callable[[], Any]] = {
    "onnxruntime": lambda: importlib.import_module("onnxruntime") and None,
    "torch": _probe_torch,
    "torchvision": _probe_torchvision,
    "devices": lambda: [device.to_mapping() for device in list_devices()],
    "data": _probe_data,
    "kernel": _probe_kernel,
}


def _run_probes(names: tuple[str, ...]) -> None:
    """Print the result of each probe as a line of JSON, as soon as it is known."""
    for name in names:
        reply: dict[str, Any] = {"probe": name}
        try:
            reply["result"] = _PROBES[name]()
        except ModuleNotFoundError as error:
            reply["missing"] = error.name
        except Exception as error:
            reply["broken"] = describe_error(error, 300)
        sys.__stdout__.write("\n" + json.dumps(reply) + "\n")  # type: ignore[union-attr]  # a console program has one
        sys.__stdout__.flush()  # type: ignore[union-attr]


def _probe(names: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the results by probe, and why the other probes failed; a crash only costs the probe that crashed."""
    results: dict[str, Any] = {}
    broken: dict[str, str] = {}
    while names:
        output, ending = _run_python(f"from workbench.machine.facts import _run_probes; _run_probes({names!r})")
        replies = [json.loads(line) for line in output.splitlines() if line.startswith('{"probe"')]
        for reply in replies:
            name = reply["probe"]
            if "result" in reply:
                results[name] = reply["result"]
            elif "broken" in reply:
                broken[name] = reply["broken"]
            elif reply["missing"] != name and name in ("onnxruntime", "torch", "torchvision"):
                broken[name] = f"the module {reply['missing']} is missing"
        rest = names[len(replies) :]
        if rest:
            broken[rest[0]] = ending
        names = rest[1:]
    return results, broken


def _run_python(code: str) -> tuple[str, str]:
    """Return what a new Python printed, and how it ended, in words."""
    command = [sys.executable, "-W", "ignore", "-c", code]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
        text = output.decode() if isinstance(output, bytes) else output
        return text, f"it did not load within {PROBE_SECONDS:.0f} seconds"
    if done.returncode < 0:
        return done.stdout, f"loading it crashes Python ({signal.Signals(-done.returncode).name})"
    errors = done.stderr.strip().splitlines()
    reason = f": {errors[-1][:300]}" if errors else ""
    return done.stdout, f"loading it ends Python with code {done.returncode}{reason}"


# Read from files --------------------------------------------------------------------------------------------------


def _installed() -> dict[str, str]:
    installed: dict[str, str] = {}
    for distribution in metadata.distributions():
        if name := distribution.metadata["Name"]:
            # The first on the path is the one that Python imports.
            installed.setdefault(canonicalize_name(name), distribution.version)
    return installed


def _version_file(module: str) -> dict[str, str]:
    """Return the strings assigned in `module/version.py`, read without importing the module."""
    try:
        spec = util.find_spec(module)
        code = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8") if spec and spec.origin else ""
    except (OSError, ValueError, ImportError):
        return {}
    return dict(re.findall(r"^(\w+)(?::[^=]+)? = '([^']*)'", code, flags=re.MULTILINE))


def _build(name: str, version: str) -> str:
    """Return the version with its build's tag: PyPI's metadata omit the "+cu132" that the module itself has."""
    tagged = _version_file(name).get("__version__", "") if name in ("torch", "torchvision") else ""
    return tagged if tagged.partition("+")[0] == version else version


def _unmet(installed: Mapping[str, str]) -> tuple[tuple[str, str | None], ...]:
    """Return the unmet requirements of this package; those of `lab` only where a bench is installed."""
    try:
        requirements = [Requirement(line) for line in metadata.requires("workbench") or ()]
    except metadata.PackageNotFoundError:
        return ()
    extras = ("", "lab") if {"torch", "jupyterlab"} & installed.keys() else ("",)
    unmet = []
    for requirement in requirements:
        applies = requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras)
        version = installed.get(canonicalize_name(requirement.name))
        if applies and (version is None or not requirement.specifier.contains(version, prereleases=True)):
            unmet.append((f"{requirement.name}{requirement.specifier}", version))
    return tuple(unmet)


def _data_facts(root: Path | None) -> dict[str, Any]:
    if root is None:
        return {}
    existing = next(folder for folder in (root, *root.parents) if folder.exists())
    return {
        "data_root": root,
        "data_named": bool(os.environ.get("WORKBENCH_DATA")),
        "data_exists": root.is_dir(),
        "data_writable": os.access(existing, os.W_OK),
        "data_free_bytes": shutil.disk_usage(existing).free,
    }


def _gpu_facts() -> dict[str, Any]:
    """Return NVIDIA's GPUs and driver as NVML reports them; without a driver, the GPUs found on the PCI bus."""
    with nvml() as library:
        if library is not None:
            handles = map(library.nvmlDeviceGetHandleByIndex, range(library.nvmlDeviceGetCount()))
            cuda = library.nvmlSystemGetCudaDriverVersion_v2()
            return {
                "nvidia_gpus": tuple(str(library.nvmlDeviceGetName(handle)) for handle in handles),
                "driver": str(library.nvmlSystemGetDriverVersion()),
                "driver_cuda": (cuda // 1000, cuda % 1000 // 10),
            }
    return {"nvidia_gpus": _gpus_on_the_bus(Path("/sys/bus/pci/devices"))}


def _gpus_on_the_bus(folder: Path) -> tuple[str, ...]:
    """Return the PCI devices of NVIDIA (vendor 0x10de) that are display controllers (class 0x03)."""
    gpus = []
    for vendor in sorted(folder.glob("*/vendor")):
        display = vendor.with_name("class")
        if vendor.read_text().strip() == "0x10de" and display.read_text().startswith("0x03"):
            gpus.append(f"NVIDIA GPU at {vendor.parent.name}")
    return tuple(gpus)
