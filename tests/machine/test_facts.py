"""The facts about this machine, against other sources of the same facts."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch
import torchvision

from workbench.machine.devices import list_devices
from workbench.machine.facts import Machine, _gpus_on_the_bus, _run_python, _unmet, inspect_machine


@pytest.fixture(scope="module")
def machine() -> Machine:
    return inspect_machine()


def test_the_facts_are_those_of_this_process(machine: Machine) -> None:
    assert machine.python == sys.version_info[:3]
    assert (machine.system, machine.environment) == (platform.system(), Path(sys.prefix))
    assert machine.devices == list_devices()
    assert machine.is_bench
    assert not machine.broken


def test_versions_carry_the_tag_of_the_build(machine: Machine) -> None:
    assert machine.versions["torch"] == torch.__version__
    assert machine.versions["torchvision"] == torchvision.__version__
    assert machine.versions["numpy"] == metadata.version("numpy")
    assert machine.versions["nvidia-ml-py"] == metadata.version("nvidia_ml_py")
    assert machine.cuda_build == torch.version.cuda


def test_requirements_are_unmet_where_a_version_is_missing_or_too_old(machine: Machine) -> None:
    assert machine.unmet == _unmet(machine.versions) == ()
    old = {**machine.versions, "numpy": "1.26"}
    del old["optuna"]
    unmet = dict(_unmet(old))
    assert {name.partition(">")[0]: version for name, version in unmet.items()} == {"numpy": "1.26", "optuna": None}
    production = {name: version for name, version in old.items() if name not in ("torch", "jupyterlab")}
    assert [name.partition(">")[0] for name, _ in _unmet(production)] == ["numpy"]


@pytest.mark.parametrize(
    ("code", "output", "ending"),
    [
        ("print(1)", "1\n", "code 0"),
        ("import sys; print(1); sys.exit('gone')", "1\n", "loading it ends Python with code 1: gone"),
        ("import os; os.abort()", "", "loading it crashes Python (SIGABRT)"),
    ],
)
@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_how_a_python_process_ended_is_described(code: str, output: str, ending: str) -> None:
    printed, how = _run_python(code)
    assert printed == output
    assert ending in how


def test_a_gpu_on_the_pci_bus_is_found_without_a_driver(tmp_path: Path) -> None:
    for address, vendor, kind in (
        ("01", "0x10de", "0x030200"),
        ("02", "0x10de", "0x040300"),
        ("03", "0x1002", "0x030000"),
    ):
        (tmp_path / address).mkdir()
        (tmp_path / address / "vendor").write_text(vendor + "\n")
        (tmp_path / address / "class").write_text(kind + "\n")
    assert _gpus_on_the_bus(tmp_path) == ("NVIDIA GPU at 01",)
