"""What this machine is and what is installed on it: the facts that `doctor` judges.

Whatever may crash (a torch of the wrong build takes the whole process with it) is asked in a process of its own, so
that a broken part is told like any other fact. Nothing but the standard library has to be installed.
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

from workbench.devices import Device, find_device, list_devices, nvml, rapl_counters

PATIENCE_SECONDS = 180.0
WIDGET_MANAGER = "@jupyter-widgets/jupyterlab-manager"
LABEXTENSIONS = (WIDGET_MANAGER, "anywidget")


@dataclass(frozen=True, kw_only=True)
class Machine:
    """The facts. Paths and versions as found; sizes in bytes; None where there is nothing.

    versions: distribution -> version, with the build's tag where it has one ("2.15.0+cu132"), of what is installed.
    unmet: (requirement, installed version or None) of this package and its `lab` extra. broken: module -> why it does
    not load. cuda_build: the CUDA that torch was built for. cuda_error: why torch cannot use it. driver_cuda: the
    newest CUDA the driver knows. kernel: the Python that notebooks start. labextensions: those of LABEXTENSIONS that
    JupyterLab finds; disabled: those it is told not to load. sealed_counters: energy counters we may not read.
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
    sealed_counters: tuple[Path, ...] = ()

    @property
    def is_bench(self) -> bool:
        """Whether this is meant for learning; a production install has neither torch nor JupyterLab."""
        return "torch" in self.versions or "jupyterlab" in self.versions


def describe_machine() -> Machine:
    """Gather all facts: a few seconds, most of them for loading torch in a process of its own."""
    answers, broken = _ask(tuple(_QUESTIONS))
    learned = answers.get("torch") or {}
    kernel = answers.get("kernel") or {}
    devices = tuple(
        Device(**{**device, "features": tuple(device["features"])}) for device in answers.get("devices", ())
    )
    root = Path(answers["data"]) if answers.get("data") else None
    facts: dict[str, Any] = {**_gpu_facts(), **_data_facts(root), **_environment()}
    return Machine(
        system=platform.system(),
        release=platform.release(),
        architecture=platform.machine(),
        python=(sys.version_info.major, sys.version_info.minor, sys.version_info.micro),
        executable=Path(sys.executable),
        versions={name: _build(name, version) for name, version in _installed().items()},
        devices=devices or (find_device("cpu"),),
        unmet=_unmet(),
        broken=broken,
        threads=learned.get("threads"),
        cuda_build=_version_file("torch").get("cuda"),
        cuda_error=learned.get("cuda_error"),
        kernel=Path(kernel["python"]) if kernel.get("python") else None,
        kernel_folder=Path(kernel["folder"]) if kernel.get("folder") else None,
        labextensions=frozenset(kernel.get("found", ())),
        disabled=frozenset(kernel.get("disabled", ())),
        sealed_counters=tuple(counter for counter in rapl_counters() if not os.access(counter, os.R_OK)),
        **facts,
    )


# Asked in a process of its own ------------------------------------------------------------------------------------


def _ask_torch() -> dict[str, Any]:
    import torch

    error = None
    if torch.version.cuda and not torch.cuda.is_available():
        try:
            torch.cuda.init()
        except Exception as failure:
            error = str(failure).strip().splitlines()[0]
    return {"threads": torch.get_num_threads(), "cuda_error": error}


def _ask_torchvision() -> None:
    import torch
    import torchvision

    # A torchvision that does not fit its torch may load and fail only when one of its operators is called.
    torchvision.ops.nms(torch.zeros(1, 4), torch.zeros(1), 0.5)


def _ask_data() -> str:
    from workbench.cache import data_root

    return str(data_root().absolute())


def _ask_kernel() -> dict[str, Any]:
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
    from jupyter_core.paths import jupyter_config_path, jupyter_path

    folders = [Path(folder) for folder in jupyter_path("labextensions")]
    pages = [Path(folder) / "labconfig" / "page_config.json" for folder in jupyter_config_path()]
    told = [json.loads(page.read_text(encoding="utf-8")) for page in pages if page.is_file()]
    switches = {name: off for page in reversed(told) for name, off in dict(page.get("disabledExtensions", {})).items()}
    answer: dict[str, Any] = {
        "found": [
            name for name in LABEXTENSIONS if any((folder / name / "package.json").is_file() for folder in folders)
        ],
        "disabled": [name for name in LABEXTENSIONS if switches.get(name) is True],
    }
    try:
        specification = KernelSpecManager().get_kernel_spec("python3")
    except NoSuchKernel:
        return answer
    python = specification.argv[0]
    # Jupyter itself reads a bare "python" as the Python it runs on.
    own = python in ("python", "python3", f"python3.{sys.version_info.minor}")
    if own:
        importlib.import_module("ipykernel")
    return {**answer, "python": sys.executable if own else python, "folder": specification.resource_dir}


_QUESTIONS: dict[str, Callable[[], Any]] = {
    "onnxruntime": lambda: importlib.import_module("onnxruntime") and None,
    "torch": _ask_torch,
    "torchvision": _ask_torchvision,
    "devices": lambda: [device.to_mapping() for device in list_devices()],
    "data": _ask_data,
    "kernel": _ask_kernel,
}


def _answer(names: tuple[str, ...]) -> None:
    """Answer the questions, one line of JSON each, as soon as each is known."""
    for name in names:
        reply: dict[str, Any] = {"question": name}
        try:
            reply["answer"] = _QUESTIONS[name]()
        except ModuleNotFoundError as error:
            reply["missing"] = error.name
        except Exception as error:
            reply["broken"] = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        sys.__stdout__.write("\n" + json.dumps(reply) + "\n")  # type: ignore[union-attr]  # a console program has one
        sys.__stdout__.flush()  # type: ignore[union-attr]


def _ask(names: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, str]]:
    """The answers, and why the others could not be had; after a crash the rest is asked anew."""
    answers: dict[str, Any] = {}
    broken: dict[str, str] = {}
    while names:
        output, ending = _run(f"from workbench.machine import _answer; _answer({names!r})")
        replies = [json.loads(line) for line in output.splitlines() if line.startswith('{"question"')]
        for reply in replies:
            name = reply["question"]
            if "answer" in reply:
                answers[name] = reply["answer"]
            elif "broken" in reply:
                broken[name] = reply["broken"]
            elif reply["missing"] != name and name in ("onnxruntime", "torch", "torchvision"):
                broken[name] = f"the module {reply['missing']} is missing"
        rest = names[len(replies) :]
        if rest:
            broken[rest[0]] = ending
        names = rest[1:]
    return answers, broken


def _run(code: str) -> tuple[str, str]:
    """What a new Python printed, and how it ended, in words."""
    command = [sys.executable, "-W", "ignore", "-c", code]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        output = error.stdout or b""
        text = output.decode() if isinstance(output, bytes) else output
        return text, f"it did not load within {PATIENCE_SECONDS:.0f} seconds"
    if done.returncode < 0:
        return done.stdout, f"loading it crashes Python ({signal.Signals(-done.returncode).name})"
    said = done.stderr.strip().splitlines()
    return done.stdout, f"loading it ends Python with code {done.returncode}" + (f": {said[-1][:300]}" if said else "")


# Read from files --------------------------------------------------------------------------------------------------


def _installed() -> dict[str, str]:
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        # The first on the path is the one that Python loads.
        if name:
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution.version)
    return found


def _version_file(module: str) -> dict[str, str]:
    """The strings set in `module/version.py`, read without loading the module."""
    try:
        found = util.find_spec(module)
        text = (Path(found.origin).parent / "version.py").read_text(encoding="utf-8") if found and found.origin else ""
    except (OSError, ValueError, ImportError):
        return {}
    return dict(re.findall(r"^(\w+)(?::[^=]+)? = '([^']*)'", text, flags=re.MULTILINE))


def _build(name: str, version: str) -> str:
    """The version with its build's tag: PyPI's metadata leave out the "+cu132" that the module itself tells."""
    told = _version_file(name).get("__version__", "") if name in ("torch", "torchvision") else ""
    return told if told.partition("+")[0] == version else version


def _unmet() -> tuple[tuple[str, str | None], ...]:
    """Requirements of this package that are not installed as asked; those of `lab` only where a bench is installed."""
    try:
        from packaging.requirements import Requirement

        requirements = [Requirement(text) for text in metadata.requires("workbench") or ()]
    except (ImportError, metadata.PackageNotFoundError):
        return ()
    installed = _installed()
    extras = ("", "lab") if {"torch", "jupyterlab"} & installed.keys() else ("",)
    unmet = []
    for requirement in requirements:
        applies = requirement.marker is None or any(requirement.marker.evaluate({"extra": extra}) for extra in extras)
        have = installed.get(re.sub(r"[-_.]+", "-", requirement.name).lower())
        if applies and (have is None or not requirement.specifier.contains(have, prereleases=True)):
            unmet.append((f"{requirement.name}{requirement.specifier}", have))
    return tuple(unmet)


def _environment() -> dict[str, Any]:
    folder = Path(__file__).resolve().parent.parent
    conda = (Path(sys.prefix) / "conda-meta").is_dir()
    return {
        "environment": Path(sys.prefix),
        "in_environment": conda or sys.prefix != sys.base_prefix,
        "checkout": folder if (folder / "Makefile").is_file() and (folder / "pyproject.toml").is_file() else None,
    }


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
    """NVIDIA's GPUs by name, from the driver; where there is none, what sits on the bus."""
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
    found = []
    for vendor in sorted(folder.glob("*/vendor")):
        display = vendor.with_name("class")
        if vendor.read_text().strip() == "0x10de" and display.read_text().startswith("0x03"):
            found.append(f"NVIDIA GPU at {vendor.parent.name}")
    return tuple(found)
