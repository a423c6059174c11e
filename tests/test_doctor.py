"""The doctor: each broken state by its facts, and the ones that can be made for real, for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from workbench.devices import Device
from workbench.doctor import CPU_BUILDS, Finding, diagnose, examine
from workbench.machine import WIDGET_MANAGER, Machine, _gpus_on_the_bus

ROOT = Path(__file__).resolve().parent.parent
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

# name: (what differs from a sound machine, level, subject, words of the sentence, words of the mend)
BROKEN: dict[str, tuple[dict[str, Any], str, str, str, str]] = {
    "old python": ({"python": (3, 10, 4)}, "problem", "python", "3.10.4 is too old: 3.11", "make clean setup"),
    "system python": (
        {"environment": Path("/usr"), "in_environment": False},
        "warning",
        "python",
        "the system's own Python",
        "make setup",
    ),
    "a GPU's driver is old": (
        H200,
        "problem",
        "gpu",
        "knows CUDA up to 12.2 and is too old for this PyTorch, which is built for CUDA 13.2",
        "nvidia.com/drivers), or a PyTorch that suits this one: make clean setup TORCH=auto",
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
        "one is built for the CPU, the other for CUDA. It loads here",
        "TORCH=cpu",
    ),
    "versions that do not fit": (
        {"broken": {"torchvision": NMS}},
        "problem",
        "torchvision",
        "(they do not fit)",
        "make clean setup",
    ),
    "torch crashes": (
        {"broken": {"torch": "loading it crashes Python (SIGILL)"}},
        "problem",
        "torch",
        "PyTorch 2.15.0+cu132 is installed and does not load: loading it crashes Python (SIGILL)",
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
        "no kernel called python3",
        "-m ipykernel install --sys-prefix",
    ),
    "another kernel": (
        {"kernel": ELSEWHERE, "kernel_folder": Path("/home/me/kernels/python3")},
        "problem",
        "kernel",
        f"start another Python, {ELSEWHERE}, as /home/me/kernels/python3 says",
        f'"{PYTHON}" -m ipykernel install --sys-prefix; if it stays so: jupyter kernelspec remove python3',
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
    "widget manager switched off": (
        {"disabled": frozenset({WIDGET_MANAGER})},
        "problem",
        "widgets",
        "switched off",
        f"jupyter labextension enable {WIDGET_MANAGER}",
    ),
    "WORKBENCH_DATA points nowhere": (
        {"data_named": True, "data_exists": False, "data_root": Path("/mnt/gone")},
        "problem",
        "data",
        "WORKBENCH_DATA names /mnt/gone, and there is no such folder",
        'mkdir -p "/mnt/gone"',
    ),
    "read-only data": ({"data_writable": False}, "warning", "data", "cannot be written", "Set WORKBENCH_DATA"),
    "a full disk": (
        {"data_free_bytes": 10**8},
        "warning",
        "data",
        "with only 100\N{NO-BREAK SPACE}MB free",
        "Free some",
    ),
    "too many threads": (
        {"threads": 64},
        "warning",
        "threads",
        "64 threads on 2 usable cores",
        "export OMP_NUM_THREADS=2",
    ),
    "a sealed meter": (
        {"sealed_counters": (Path("/sys/class/powercap/intel-rapl:0/energy_uj"),)},
        "warning",
        "energy",
        "only the administrator",
        "sudo chmod a+r /sys/class/powercap/intel-rapl:0/energy_uj",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_state_is_named_with_its_mend_and_nothing_else_is(name: str) -> None:
    changes, level, subject, words, mend = BROKEN[name]
    findings = diagnose(replace(SOUND, **changes))
    (finding,) = (finding for finding in findings if finding.level != "ok")
    assert (finding.level, finding.subject) == (level, subject)
    assert words in finding.what
    assert mend in finding.mend
    assert finding.what.endswith(".")


def test_a_sound_machine_has_nothing_to_mend() -> None:
    findings = diagnose(SOUND)
    assert {finding.level for finding in findings} == {"ok"}
    assert not any(finding.mend for finding in findings)
    assert "cpu: AMD EPYC, 2 cores" in findings[1].what
    with_gpu = diagnose(
        replace(SOUND, devices=(GPU, CPU), nvidia_gpus=("NVIDIA H200",), driver="580", driver_cuda=(13, 0))
    )
    assert {finding.level for finding in with_gpu} == {"ok"}
    assert any("by NVML" in finding.what for finding in with_gpu)


def test_production_without_torch_is_sound() -> None:
    production = replace(
        SOUND, versions={"onnxruntime": "1.32.0"}, kernel=None, labextensions=frozenset(), data_root=None, threads=None
    )
    findings = diagnose(production)
    assert {finding.level for finding in findings} == {"ok"}
    assert any("All that production needs" in finding.what for finding in findings)


def examined(python: str | Path = sys.executable, **environment: str) -> dict[str, Finding]:
    """What the doctor says in a Python of its own, by subject."""
    code = "import json; from workbench.doctor import examine; print(json.dumps([f.to_mapping() for f in examine()]))"
    everything = {**os.environ, **environment}
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, env=everything)
    return {values["subject"]: Finding(**values) for values in json.loads(done.stdout)}


def shadow(folder: Path, name: str, version: str, code: str) -> None:
    """A distribution that Python finds before the installed one of the same name."""
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


def test_a_real_broken_pair_a_missing_folder_and_a_foreign_kernel_are_told(tmp_path: Path) -> None:
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
    assert "torchvision 0.28.0+cpu do not work together" in findings["torchvision"].what
    assert NMS in findings["torchvision"].what
    assert str(tmp_path / "gone") in findings["data"].what
    assert str(tmp_path / "bin/python") in findings["kernel"].what
    assert "labextension enable anywidget" in findings["widgets"].mend


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_a_torch_that_crashes_python_does_not_take_the_doctor_with_it(tmp_path: Path) -> None:
    shadow(tmp_path, "torch", "2.15.0+cpu", "import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    findings = examined(PYTHONPATH=str(tmp_path))
    assert (
        "PyTorch 2.15.0+cpu is installed and does not load: loading it crashes Python (SIGSEGV)"
        in findings["torch"].what
    )
    assert findings["device"].what.startswith("cpu: ")
    assert findings["kernel"].level == "ok"


def test_it_works_where_nothing_at_all_is_installed(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False, symlinks=os.name == "posix")
    python = tmp_path / "bare" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    findings = examined(python, PYTHONPATH=str(ROOT), PYTHONNOUSERSITE="1")
    assert findings["device"].what.startswith("cpu: ")
    assert str(tmp_path / "bare") in findings["python"].what
    assert not {"torch", "torchvision", "kernel", "widgets"} & findings.keys()


def test_a_gpu_on_the_bus_is_seen_without_a_driver(tmp_path: Path) -> None:
    for address, vendor, kind in (
        ("01", "0x10de", "0x030200"),
        ("02", "0x10de", "0x040300"),
        ("03", "0x1002", "0x030000"),
    ):
        (tmp_path / address).mkdir()
        (tmp_path / address / "vendor").write_text(vendor + "\n")
        (tmp_path / address / "class").write_text(kind + "\n")
    assert _gpus_on_the_bus(tmp_path) == ("NVIDIA GPU at 01",)
