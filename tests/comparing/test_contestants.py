"""Which engines, precisions and thread counts run a network here, and what is excluded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from conftest import int8_overflows
from torch import nn

from workbench.comparing.contestants import find_contestants
from workbench.comparing.networks import Network, find_network
from workbench.comparing.sweeps import Excluded
from workbench.machine.devices import find_device
from workbench.machine.threads import resolve_threads
from workbench.measuring.measurement import Phase

CORES = resolve_threads(None)


def settings(network: Network, phase: Phase, **limits: str) -> list[tuple[str, str, int]]:
    found = find_contestants(network, phase, ["cpu"], **limits)
    return [(each.engine, each.precision, each.threads) for each in found if not isinstance(each, Excluded)]


def test_inference_on_a_cpu_runs_in_every_engine_on_one_core_and_on_all() -> None:
    engines = [("eager", "fp32"), ("eager", "bf16"), ("onnx", "fp32")]
    engines += [] if int8_overflows() else [("onnx-int8", "int8")]
    expected = [(*engine, threads) for threads in dict.fromkeys((1, CORES)) for engine in engines]
    assert settings(find_network("convnet"), "inference") == expected


def test_a_training_step_runs_on_all_cores() -> None:
    assert settings(find_network("mlp"), "training") == [("eager", "fp32", CORES), ("eager", "bf16", CORES)]


def test_engine_and_precision_narrow_the_choice() -> None:
    network = find_network("linear")
    assert set(settings(network, "inference", engine="eager", precision="bf16")) == {
        ("eager", "bf16", threads) for threads in (1, CORES)
    }
    assert settings(network, "training", engine="onnx") == []


def test_they_bear_the_name_of_the_network_and_what_its_bundle_states() -> None:
    network = find_network("convnet")
    assert network.bundle is not None
    for each in find_contestants(network, "inference", ["cpu"], precision="fp32"):
        assert not isinstance(each, Excluded)
        assert each.model == "convnet"
        stated = network.bundle.engines["onnx"] if each.engine == "onnx" else network.bundle
        assert each.accuracy == stated.accuracy


def test_an_engine_that_answers_wrongly_is_excluded() -> None:
    """The fp32 engine in the place of the int8 one would pass; the network of other weights does not."""
    network = find_network("convnet")
    assert network.bundle is not None
    right = network.bundle.self_test_expected
    wrong = replace(network.bundle, self_test_expected=np.ascontiguousarray(right[::-1]))
    found = list(find_contestants(replace(network, bundle=wrong), "inference", ["cpu"], engine="onnx"))
    assert found
    for each in found:
        assert isinstance(each, Excluded)
        assert (each.phase, each.model, each.engine, each.batch_size) == ("inference", "convnet", "onnx", None)
        assert each.device == find_device("cpu").title
        assert each.reason


def test_a_network_that_fails_does_not_stop_the_others() -> None:
    class Odd(nn.Module):
        """torch.onnx cannot follow what depends on the values."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(64, 3)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            if not images.is_meta and images.sum().item() > 1e9:
                return self.layer(images.flatten(1)) + 1
            return self.layer(images.flatten(1))

    found = list(find_contestants(find_network(Odd(), torch.rand(1, 1, 8, 8)), "inference", ["cpu", "tpu"]))
    assert {each.engine for each in found if not isinstance(each, Excluded)} >= {"eager"}
    missing = [each for each in found if isinstance(each, Excluded) and each.device == "tpu"]
    assert missing
    assert all("no device 'tpu'" in each.reason for each in missing)
