"""A network is accepted only if it passes its bundle's self-test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from serving.application import (
    BUNDLE,
    failing,
)

from workbench.errors import WorkbenchError
from workbench.serving.network import open_network


def test_a_network_is_timed_and_named_for_urls() -> None:
    network = open_network(BUNDLE, "onnx", threads=1)
    assert (network.name, network.version, network.shape) == ("convnet", BUNDLE.version, (32, 32, 3))
    assert 0 < network.seconds < 1
    found = network.session(BUNDLE.self_test_images)
    assert np.abs(found - BUNDLE.self_test_expected).max() < 1e-4


@pytest.mark.parametrize(("model", "name"), [("my net/2", "my-net-2"), ("größer", "gr-er"), ("?", "network")])
def test_names_are_fit_for_urls(model: str, name: str) -> None:
    bundle = replace(BUNDLE, manifest={**BUNDLE.manifest, "about": {"class_name": model}})
    assert open_network(bundle, "onnx", threads=1).name == name


def test_what_does_not_pass_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="fails its own self-test: onnx on cpu"):
        open_network(failing(tmp_path / "bundle"), "onnx", threads=1)
    with pytest.raises(WorkbenchError, match=r"onnx returns .*, not one number for each label"):
        open_network(replace(BUNDLE, self_test_expected=BUNDLE.self_test_expected[:, :9]), "onnx", threads=1)
    with pytest.raises(WorkbenchError, match="tpu"):
        open_network(BUNDLE, "tpu", threads=1)
