"""Networks by name, of a run or the user's own: their names, shapes, classes and fingerprints."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Exported
from torch import nn

from workbench.bundle.manifest import read_bundle
from workbench.comparing.networks import find_network
from workbench.errors import WorkbenchError
from workbench.folders import REFERENCE
from workbench.inference.predictor import Predictor
from workbench.runs import Run
from workbench.training.models import build_model


class Own(nn.Module):
    """A user's own network, for 8×8 grey images."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 3))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.layers(images)


def test_the_reference_network_has_the_weights_of_its_bundle() -> None:
    network, bundle = find_network("convnet"), read_bundle(REFERENCE)
    assert network.recorded
    assert network.bundle is not None
    own = Predictor.from_model(network.model, network.preprocessing, network.labels, threads=1)
    answers = own(bundle.self_test_images)
    assert np.abs(answers - bundle.self_test_expected).max() < 1e-4


def test_only_a_network_as_it_was_recorded_goes_by_its_plain_name() -> None:
    assert find_network("mlp").recorded
    assert find_network(build_model("mlp")).name == "mlp"
    narrow = find_network(build_model("convnet", classes=4, shape=(16, 16, 1), width=0.5))
    assert narrow.name == "convnet, width 0.5, 16×16×1, 4 classes"
    assert not narrow.recorded
    assert narrow.labels == ("0", "1", "2", "3")


def test_a_network_of_ones_own_takes_its_shape_from_the_example() -> None:
    for example in (np.zeros((2, 8, 8, 1), np.uint8), torch.rand(2, 1, 8, 8)):
        network = find_network(Own(), example)
        assert (network.name, network.shape, network.labels) == ("Own", (8, 8, 1), ("0", "1", "2"))
        assert (network.images.dtype, network.images.shape) == (np.uint8, (2, 8, 8, 1))
    assert network.bundle is None


def test_a_run_brings_its_weights_and_its_bundle(exported: Exported, tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.weights.parent.mkdir(parents=True, exist_ok=True)
    run.weights.write_bytes(exported.weights.read_bytes())
    network = find_network(run)
    assert network.bundle is None
    assert network.labels == exported.data.labels
    state = exported.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in network.model.state_dict().items())
    with pytest.raises(WorkbenchError):
        find_network(Run(tmp_path / "nowhere"))


def _first() -> nn.Module:
    class Net(Own):
        pass

    return Net()


def _second() -> nn.Module:
    """The same layers, called in another way."""

    class Net(Own):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.layers(images.relu())

    return Net()


def test_the_fingerprint_depends_on_everything_but_the_weights() -> None:
    example = torch.rand(1, 1, 8, 8)
    assert find_network(Own(), example).fingerprint == find_network(Own(), example).fingerprint

    assert find_network(_first(), example).fingerprint != find_network(_second(), example).fingerprint
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    wide = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    assert find_network(plain, example).fingerprint != find_network(wide, example).fingerprint


class Scalar(Own):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images).mean()


@pytest.mark.parametrize(
    ("source", "example", "sentence"),
    [
        ("cnn", None, "Unknown model 'cnn'"),
        (3, None, "3 is not a network"),
        (Own(), None, "Own is a network of your own: give an example"),
        (Own(), torch.rand(64), r"has the shape \(64,\)"),
        (Own(), torch.zeros(1, 2, 8, 8), "has 2 channels"),
        (Own(), np.zeros((1, 8, 8, 1), np.int64), "is of int64"),
        (Own(), torch.rand(1, 1, 9, 9), "Own does not take images of 9×9×1"),
        (Scalar(), torch.rand(1, 1, 8, 8), r"Scalar returns \(\) for one image: it must be \(1, classes\)"),
    ],
)
def test_what_is_no_network_is_refused_in_a_sentence(source: object, example: object, sentence: str) -> None:
    with pytest.raises(WorkbenchError, match=sentence):
        find_network(source, example)  # type: ignore[arg-type]
