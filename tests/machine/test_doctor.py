"""The doctor: each broken state described by its facts, and those that can be created here, created for real."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from dataclasses import replace
from pathlib import Path
from typing import Any

import lazy_loader
import packaging
import pytest

from workbench.machine.devices import Device
from workbench.machine.doctor import CPU_BUILDS, Finding, diagnose, examine
from workbench.machine.facts import WIDGET_MANAGER, Machine

ROOT = Path(__file__).resolve().parents[2]
CPU = Device(name="cpu", kind="cpu", description="AMD EPYC", cores=2, memory_bytes=8 * 10**9)
GPU = Device(
    name="cuda:0",
    kind="cuda",
    description="NVIDIA H200",
    cores=132,
    memory_bytes=10**11,
    power_meter="NVML",
    driver="1",
)
PYTHON = Path("/project/.venv/bin/python")
SOUND = Machine(
    system="Linux",
    release="6.1",
    architecture="x86_64",
    python=(3, 12, 3),
    executable=PYTHON,
    environment=Path("/project/.venv"),
    in_environment=True,
    checkout=Path("/project"),
    versions={"torch": "2.15.0+cu132", "torchvision": "0.29.2+cu132", "jupyterlab": "4.6.6"},
    devices=(CPU,),
    threads=2,
    cuda_build="13.2",
    kernel=PYTHON,
    labextensions=frozenset({WIDGET_MANAGER, "anywidget"}),
    data_root=Path("/project/datasets"),
    data_exists=True,
    data_writable=True,
    data_free_bytes=10**11,
)
NMS = "RuntimeError: operator torchvision::nms does not exist"
PAIR = {"torch": "2.13.0+cpu", "torchvision": "0.28.0+cu130", "jupyterlab": "4.6.6"}
CPU_BUILD = {"torch": "2.15.0+cpu", "torchvision": "0.29.2+cpu", "jupyterlab": "4.6.6"}
ELSEWHERE = Path("/usr/bin/python3")
H200 = {"nvidia_gpus": ("NVIDIA H200",), "driver": "535.1", "driver_cuda": (12, 2)}
NO_CHECKOUT = {"checkout": None, "environment": Path("/srv/app")}

# name: (differences from a sound machine, level, subject, words of the message, words of the fix)
BROKEN: dict[str, tuple[dict[str, Any], str, str, str, str]] = {
    "old python": ({"python": (3, 10, 4)}, "problem", "python", "3.10.4 is too old: 3.11", "make clean setup"),
    "system python": (
        {"environment": Path("/usr"), "in_environment": False},
        "warning",
        "python",
        "the system's Python",
        "make setup",
    ),
    "a GPU's driver is old": (
        H200,
        "problem",
        "gpu",
        "supports CUDA up to 12.2 and is too old for this PyTorch, which is built for CUDA 13.2",
        "nvidia.com/drivers), or a PyTorch that matches this one: make clean setup TORCH=auto",
    ),
    "a GPU and a torch without CUDA": (
        {**H200, "cuda_build": None, "versions": CPU_BUILD},
        "problem",
        "gpu",
        "is a build without CUDA",
        "make clean setup TORCH=auto",
    ),
    "the same without make": (
        {**H200, "cuda_build": None, "versions": CPU_BUILD, "system": "Windows"},
        "problem",
        "gpu",
        "is a build without CUDA",
        "https://pytorch.org/get-started/locally",
    ),
    "a GPU without a driver": (
        {"nvidia_gpus": ("NVIDIA GPU at 0000:01:00.0",)},
        "problem",
        "gpu",
        "its driver is not loaded",
        "docker run --gpus all",
    ),
    "a hidden GPU": (
        {**H200, "driver_cuda": (13, 0), "cuda_error": "No CUDA GPUs are available"},
        "problem",
        "gpu",
        "No CUDA GPUs are available",
        "CUDA_VISIBLE_DEVICES",
    ),
    "CPU torch beside CUDA torchvision": (
        {"versions": PAIR, "broken": {"torchvision": NMS}},
        "problem",
        "torchvision",
        "torch 2.13.0+cpu and torchvision 0.28.0+cu130 do not work together (one is built for the CPU, the other for "
        f"CUDA (cu130)): {NMS}",
        "make clean setup TORCH=cpu",
    ),
    "the same without make or checkout": (
        {"versions": PAIR, "broken": {"torchvision": NMS}, **NO_CHECKOUT},
        "problem",
        "torchvision",
        "do not work together",
        f'"{PYTHON}" -m pip install --force-reinstall --index-url {CPU_BUILDS} "torch" "torchvision"',
    ),
    "PyPI's torchvision, without a tag, beside a CPU torch": (
        {"versions": {**PAIR, "torchvision": "0.28.0"}},
        "warning",
        "torchvision",
        "one is built for the CPU, the other for CUDA. They load here",
        "TORCH=cpu",
    ),
    "versions that do not match": (
        {"broken": {"torchvision": NMS}},
        "problem",
        "torchvision",
        "(they do not match)",
        "make clean setup",
    ),
    "torch crashes": (
        {"broken": {"torch": "loading it crashes Python (SIGILL)"}},
        "problem",
        "torch",
        "PyTorch 2.15.0+cu132 is installed but does not load: loading it crashes Python (SIGILL)",
        "make clean setup",
    ),
    "ONNX Runtime does not load": (
        {"broken": {"onnxruntime": "ImportError: DLL load failed"}, "system": "Windows"},
        "problem",
        "onnxruntime",
        "DLL load failed",
        '-m pip install --force-reinstall -c "/project/constraints.txt" "onnxruntime"',
    ),
    "packages are missing": (
        {"unmet": (("optuna>=4.4", None), ("rich>=13", "12.1"))},
        "problem",
        "packages",
        "optuna>=4.4 (not installed); rich>=13 (12.1)",
        "make clean setup",
    ),
    "no kernel": (
        {"kernel": None},
        "problem",
        "kernel",
        "no kernel named python3",
        "-m ipykernel install --sys-prefix",
    ),
    "another kernel": (
        {"kernel": ELSEWHERE, "kernel_folder": Path("/home/me/kernels/python3")},
        "problem",
        "kernel",
        f"start another Python, {ELSEWHERE}, as set in /home/me/kernels/python3",
        f'"{PYTHON}" -m ipykernel install --sys-prefix; if that does not help: jupyter kernelspec remove python3',
    ),
    "jupyter is broken": (
        {"broken": {"kernel": "ImportError: zmq"}},
        "problem",
        "kernel",
        "cannot be listed: ImportError: zmq",
        "make clean setup",
    ),
    "no widget manager": (
        {"labextensions": frozenset({"anywidget"})},
        "problem",
        "widgets",
        f"does not find {WIDGET_MANAGER}",
        "--force-reinstall --no-deps jupyterlab_widgets",
    ),
    "no anywidget": (
        {"labextensions": frozenset({WIDGET_MANAGER})},
        "problem",
        "widgets",
        "does not find anywidget",
        "--force-reinstall --no-deps anywidget",
    ),
    "widget manager disabled": (
        {"disabled": frozenset({WIDGET_MANAGER})},
        "problem",
        "widgets",
        "is disabled",
        f"jupyter labextension enable {WIDGET_MANAGER}",
    ),
    "WORKBENCH_DATA points nowhere": (
        {"data_named": True, "data_exists": False, "data_root": Path("/mnt/gone")},
        "problem",
        "data",
        "WORKBENCH_DATA names /mnt/gone, but there is no such folder",
        'mkdir -p "/mnt/gone"',
    ),
    "read-only data": ({"data_writable": False}, "warning", "data", "is not writable", "Set WORKBENCH_DATA"),
    "a full disk": (
        {"data_free_bytes": 10**8},
        "warning",
        "data",
        "with only 100\N{NO-BREAK SPACE}MB free",
        "Free up",
    ),
    "too many threads": (
        {"threads": 64},
        "warning",
        "threads",
        "64 threads on 2 usable cores",
        "export OMP_NUM_THREADS=2",
    ),
    "an unreadable energy counter": (
        {"unreadable_counters": (Path("/sys/class/powercap/intel-rapl:0/energy_uj"),)},
        "warning",
        "energy",
        "only the administrator",
        "sudo chmod a+r /sys/class/powercap/intel-rapl:0/energy_uj",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_state_is_the_only_finding_and_comes_with_its_fix(name: str) -> None:
    changes, level, subject, words, fix = BROKEN[name]
    findings = diagnose(replace(SOUND, **changes))
    (finding,) = (finding for finding in findings if finding.level != "ok")
    assert (finding.level, finding.subject) == (level, subject)
    assert words in finding.message
    assert fix in finding.fix
    assert finding.message.endswith(".")


def test_a_sound_machine_has_nothing_to_fix() -> None:
    findings = diagnose(SOUND)
    assert {finding.level for finding in findings} == {"ok"}
    assert not any(finding.fix for finding in findings)
    assert "cpu: AMD EPYC, 2 cores" in findings[1].message
    with_gpu = diagnose(
        replace(SOUND, devices=(GPU, CPU), nvidia_gpus=("NVIDIA H200",), driver="580", driver_cuda=(13, 0))
    )
    assert {finding.level for finding in with_gpu} == {"ok"}
    assert any("(NVML)" in finding.message for finding in with_gpu)


def test_production_without_torch_is_sound() -> None:
    production = replace(
        SOUND, versions={"onnxruntime": "1.32.0"}, kernel=None, labextensions=frozenset(), data_root=None, threads=None
    )
    findings = diagnose(production)
    assert {finding.level for finding in findings} == {"ok"}
    assert any("Everything production needs" in finding.message for finding in findings)


def examined(python: str | Path = sys.executable, **environment: str) -> dict[str, Finding]:
    """Return the findings of a new Python process, by subject."""
    code = (
        "import json; from workbench.machine.doctor import examine; "
        "print(json.dumps([finding.to_mapping() for finding in examine()]))"
    )
    everything = {**os.environ, **environment}
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, env=everything)
    return {values["subject"]: Finding(**values) for values in json.loads(done.stdout)}


def shadow(folder: Path, name: str, version: str, code: str) -> None:
    """Write a distribution that Python finds before the installed one of the same name."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(code)
    (folder / name / "version.py").write_text(f"__version__ = '{version}'\n")
    information = folder / f"{name}-{version.partition('+')[0]}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version.partition('+')[0]}\n"
    )


def test_this_very_environment_works() -> None:
    subjects = {finding.subject: finding.level for finding in examine()}
    assert subjects["torch"] == subjects["torchvision"] == subjects["packages"] == subjects["kernel"] == "ok"
    assert subjects["widgets"] == subjects["device"] == "ok"


def test_a_broken_pair_a_missing_folder_and_a_foreign_kernel_are_reported_for_real(tmp_path: Path) -> None:
    shadow(tmp_path, "torchvision", "0.28.0+cpu", f"raise RuntimeError({NMS.partition(': ')[2]!r})\n")
    kernels = tmp_path / "jupyter" / "kernels" / "python3"
    kernels.mkdir(parents=True)
    (kernels / "kernel.json").write_text(
        json.dumps({"argv": [str(tmp_path / "bin/python"), "-m", "x"], "language": "p"})
    )
    (tmp_path / "config" / "labconfig").mkdir(parents=True)
    switched_off = {"disabledExtensions": {"anywidget": True}}
    (tmp_path / "config" / "labconfig" / "page_config.json").write_text(json.dumps(switched_off))
    findings = examined(
        PYTHONPATH=str(tmp_path),
        WORKBENCH_DATA=str(tmp_path / "gone"),
        JUPYTER_PATH=str(tmp_path / "jupyter"),
        JUPYTER_CONFIG_DIR=str(tmp_path / "config"),
    )
    assert findings["torch"].level == "ok"
    assert findings["torchvision"].level == "problem"
    assert "torchvision 0.28.0+cpu do not work together" in findings["torchvision"].message
    assert NMS in findings["torchvision"].message
    assert str(tmp_path / "gone") in findings["data"].message
    assert str(tmp_path / "bin/python") in findings["kernel"].message
    assert "labextension enable anywidget" in findings["widgets"].fix


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_a_torch_that_crashes_python_is_reported_and_the_doctor_survives(tmp_path: Path) -> None:
    shadow(tmp_path, "torch", "2.15.0+cpu", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    findings = examined(PYTHONPATH=str(tmp_path))
    assert (
        "PyTorch 2.15.0+cpu is installed but does not load: loading it crashes Python (SIGSEGV)"
        in findings["torch"].message
    )
    assert findings["device"].message.startswith("cpu: ")
    assert findings["kernel"].level == "ok"


def test_it_works_where_only_what_importing_the_package_needs_is_installed(tmp_path: Path) -> None:
    """A production install with all of its compiled packages missing: numpy, Pillow and ONNX Runtime too."""
    venv.create(tmp_path / "bare", with_pip=False, symlinks=os.name == "posix")
    python = tmp_path / "bare" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    for package in (lazy_loader, packaging):
        shutil.copytree(Path(package.__file__).parent, tmp_path / "site" / package.__name__)
    findings = examined(python, PYTHONPATH=os.pathsep.join([str(ROOT), str(tmp_path / "site")]), PYTHONNOUSERSITE="1")
    assert findings["device"].message.startswith("cpu: ")
    assert str(tmp_path / "bare") in findings["python"].message
    assert not {"torch", "torchvision", "kernel", "widgets"} & findings.keys()
