"""Measuring a network here, step by step: progress, exclusions, and what is kept for the next time."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from workbench.comparing.measure_here import measure_here
from workbench.comparing.networks import Network, find_network
from workbench.comparing.sweeps import Excluded
from workbench.errors import WorkbenchError
from workbench.machine.devices import find_device
from workbench.measuring.measurement import Measurement
from workbench.measuring.measurement_cache import recall


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(tmp_path / "cache"))


class Picky(nn.Module):
    """Takes one image at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > 1 and not images.is_meta:
            raise RuntimeError("only one image, please")
        return self.layer(images.flatten(1))


def network(model: nn.Module) -> Network:
    return find_network(model, torch.rand(1, 1, 8, 8))


def test_shares_rise_to_the_whole_and_the_figures_are_kept() -> None:
    plain = network(nn.Sequential(nn.Flatten(), nn.Linear(64, 3)))
    options = {"engine": "eager", "precision": "fp32", "batch_sizes": (8, 1), "seconds": 0.005}
    steps = list(measure_here(plain, "inference", devices=[find_device("cpu").title], **options))
    found = [step.found for step in steps if isinstance(step.found, Measurement)]
    assert [m.batch_size for m in found] == sorted(m.batch_size for m in found)
    assert {m.batch_size for m in found} == {1, 8}
    shares = [step.share for step in steps]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert steps[-1].seconds_left == 0.0
    kept = recall(plain.fingerprint, find_device("cpu"))
    assert sorted(m.latency.p50 for m in kept) == sorted(m.latency.p50 for m in found)


def test_a_network_that_fails_at_a_batch_size_is_excluded_from_there_on() -> None:
    options = {"engine": "eager", "precision": "fp32", "batch_sizes": (1, 2, 4), "seconds": 0.005}
    steps = list(measure_here(network(Picky()), "inference", devices=[find_device("cpu").title], **options))
    assert {step.found.batch_size for step in steps if isinstance(step.found, Measurement)} == {1}
    excluded = [step.found for step in steps if isinstance(step.found, Excluded)]
    assert excluded
    assert {(each.batch_size, each.reason) for each in excluded} == {(2, "only one image, please")}
    assert steps[-1].share == 1.0


def test_what_fails_from_the_start_leaves_no_work() -> None:
    options = {"engine": "eager", "precision": "fp32", "batch_sizes": (2, 4), "seconds": 0.005}
    steps = list(measure_here(network(Picky()), "inference", devices=[find_device("cpu").title], **options))
    assert not any(isinstance(step.found, Measurement) for step in steps)
    assert steps[-1].share == 1.0


def test_nothing_that_can_run_is_a_sentence() -> None:
    with pytest.raises(WorkbenchError, match="No device of this machine can run what was chosen"):
        list(measure_here(network(Picky()), "training", engine="onnx"))
