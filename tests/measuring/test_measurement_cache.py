"""Measurements of this machine, kept on disk and recalled as recorded."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.machine.devices import find_device
from workbench.measuring.measurement import Latency, Measurement
from workbench.measuring.measurement_cache import recall, remember

CPU = find_device("cpu")
TODAY = datetime.now(UTC).date().isoformat()


def measured(batch_size: int, p50: float = 0.001, device: str = CPU.title) -> Measurement:
    return Measurement(
        phase="inference",
        model="convnet",
        device=device,
        kind="cpu",
        engine="onnx",
        precision="fp32",
        threads=1,
        batch_size=batch_size,
        latency=Latency(p50=p50, p90=0.01, p99=0.02, count=9, warm_up=0.1),
    )


def test_what_was_measured_is_recalled_as_recorded_today(tmp_path: Path) -> None:
    assert recall("a", CPU, folder=tmp_path) == ()
    remember("a", CPU, [measured(1), measured(8)], folder=tmp_path)
    found = recall("a", CPU, folder=tmp_path)
    assert [each.batch_size for each in found] == [1, 8]
    assert {each.origin for each in found} == {"recorded"}
    assert all(each.source.startswith(f"recorded {TODAY}, torch ") for each in found)
    assert [replace(each, origin="measured", source="here, now") for each in found] == [measured(1), measured(8)]


def test_a_new_measurement_replaces_the_one_of_the_same_setting(tmp_path: Path) -> None:
    remember("a", CPU, [measured(1), measured(8)], folder=tmp_path)
    remember("a", CPU, [measured(8, p50=0.002)], folder=tmp_path)
    assert {each.batch_size: each.latency.p50 for each in recall("a", CPU, folder=tmp_path)} == {1: 0.001, 8: 0.002}


def test_networks_and_hardware_are_kept_apart(tmp_path: Path) -> None:
    remember("a", CPU, [measured(1), measured(1, device="another")], folder=tmp_path)
    assert len(recall("a", CPU, folder=tmp_path)) == 1
    assert recall("b", CPU, folder=tmp_path) == ()
    assert recall("a", replace(CPU, cores=CPU.cores + 1), folder=tmp_path) == ()


@pytest.mark.parametrize("content", ["", "{", "[]", "3", '{"format": "workbench measurements 3", "days": {"x": [3]}}'])
def test_a_broken_file_counts_as_nothing_and_is_replaced(tmp_path: Path, content: str) -> None:
    remember("a", CPU, [measured(1)], folder=tmp_path)
    (path,) = tmp_path.glob("*.json")
    path.write_text(content)
    assert recall("a", CPU, folder=tmp_path) == ()
    remember("a", CPU, [measured(8)], folder=tmp_path)
    assert [each.batch_size for each in recall("a", CPU, folder=tmp_path)] == [8]


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkbenchError, match="Cannot write"):
        remember("a", CPU, [measured(1)], folder=tmp_path / "file")
