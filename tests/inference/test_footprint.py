"""What an application takes: a new Python without the bench's packages, and room on the disk."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
from conftest import Exported

from workbench.bundle.manifest import BundleError
from workbench.errors import WorkbenchError
from workbench.inference.footprint import installed_bytes, measure_footprint
from workbench.machine.processor import LINUX


def test_production_answers_without_torch_and_takes_less(exported: Exported):
    production = measure_footprint(exported.bundle.path, "onnx")
    bench = measure_footprint(exported.bundle.path, "eager")
    for each in (production, bench):
        assert each.passed
        assert each.label == exported.bundle.labels[exported.bundle.self_test_expected[0].argmax()]
        assert 0 < each.seconds_to_first_answer < 120
    assert not production.has_torch
    assert bench.has_torch
    assert production.modules < bench.modules
    if LINUX:
        assert 20e6 < production.peak_memory_bytes < bench.peak_memory_bytes


def test_a_process_tells_its_own_peak_and_not_its_parents(exported: Exported):
    if not LINUX:
        pytest.skip("read from /proc")
    ballast = bytearray(400_000_000)
    found = measure_footprint(exported.bundle.path, "onnx")
    assert found.peak_memory_bytes < len(ballast)


def test_what_does_not_work_is_a_sentence(exported: Exported, tmp_path: Path):
    with pytest.raises(BundleError):
        measure_footprint(tmp_path)
    with pytest.raises(WorkbenchError, match="engine = 'c'"):
        measure_footprint(exported.bundle.path, "c")
    with pytest.raises(WorkbenchError, match=r"could not answer with onnx: .*onnxruntime"):
        measure_footprint(exported.bundle.path, "onnx", without=("onnxruntime",))


def test_installed_bytes_are_those_of_the_files_and_of_what_they_need():
    found = installed_bytes("pillow")
    files = [Path(str(file.locate())) for file in metadata.distribution("pillow").files or ()]
    assert found == {"pillow": sum(path.stat().st_size for path in files if path.is_file())}
    assert {"onnxruntime", "numpy", "flatbuffers"} <= set(installed_bytes("onnxruntime"))
    with pytest.raises(WorkbenchError, match="no-such-package is not installed"):
        installed_bytes("no-such-package")
