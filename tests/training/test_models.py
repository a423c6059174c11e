import subprocess
import sys

import pytest
import torch
from torch import nn

from workbench.bundle.preprocessing import Preprocessing
from workbench.errors import WorkbenchError
from workbench.training.models import (
    ZOO,
    ImageClassifier,
    ModelSpec,
    Normalise,
    ResidualBlock,
    build_from_spec,
    build_model,
    spec_of,
)

PREPROCESSING = Preprocessing(height=32, width=32, channels=3, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))


@pytest.mark.parametrize("name", [*ZOO, "resnet18", "googlenet"])
def test_takes_images_and_gives_a_logit_per_class(name):
    model = build_model(name, classes=7, shape=(32, 32, 3)).train()
    assert model(torch.randn(3, 3, 32, 32)).shape == (3, 7)
    assert spec_of(model) == ModelSpec(name=name, classes=7)


@pytest.mark.parametrize("name", ZOO)
def test_the_same_seed_gives_the_same_weights_and_leaves_torchs_random_state_alone(name):
    before = torch.get_rng_state()
    one, other, third = build_model(name, seed=3), build_model(name, seed=3), build_model(name, seed=4)
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(one.parameters(), third.parameters(), strict=True))


@pytest.mark.parametrize("name", ZOO)
def test_width_scales_every_layer(name):
    def count(width):
        return sum(parameter.numel() for parameter in build_model(name, width=width).parameters())

    assert name == "linear" or count(0.5) < 0.6 * count(1) < 0.6 * 0.6 * count(2)
    assert build_model(name, shape=(20, 16, 1), width=0.25)(torch.randn(2, 1, 20, 16)).shape == (2, 10)


def test_a_narrow_resnet_is_the_same_network_and_does_not_end_the_process():
    """PyTorch 2.15 writes past its memory in the gradient of such a short cut as it is usually written."""
    code = (
        "import torch\n"
        "from workbench.training.models import ResidualBlock\n"
        "for channels, units in ((4, 8), (7, 14)):\n"
        "    block = ResidualBlock(channels, units, 2).to(memory_format=torch.channels_last)\n"
        "    images = torch.randn(64, channels, 27, 28).to(memory_format=torch.channels_last).requires_grad_()\n"
        "    for _ in range(10):\n"
        "        block(images).square().sum().backward()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    block, images = ResidualBlock(4, 8, 2).double().eval(), torch.randn(2, 4, 9, 12, dtype=torch.float64)
    conv, norm = block.short_cut
    usual = norm(nn.functional.conv2d(images, conv.weight, stride=2))
    torch.testing.assert_close(block(images), torch.relu(block.body(images) + usual))


def test_a_spec_survives_its_mapping_and_builds_the_same_network():
    spec = ModelSpec(name="resnet", classes=4, height=16, pixel_width=24, channels=1, width=0.5)
    assert ModelSpec.from_mapping(spec.to_mapping()) == spec
    shapes = {name: value.shape for name, value in build_from_spec(spec).state_dict().items()}
    model = build_model("resnet", classes=4, shape=(16, 24, 1), width=0.5)
    assert shapes == {name: value.shape for name, value in model.state_dict().items()}
    assert spec_of(nn.Linear(1, 1)) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"name": "mlp"},
        {"name": 3, "classes": 2},
        {"name": "mlp", "classes": "2"},
        {"name": "mlp", "classes": 2, "x": 1},
        {"name": "mlp", "classes": True},
        {"name": "mlp", "classes": 2, "height": -3},
    ],
)
def test_what_is_no_spec_is_refused(wrong):
    with pytest.raises(WorkbenchError, match="no description of a model"):
        ModelSpec.from_mapping(wrong)


def test_normalise_is_the_formula_in_float64():
    images = torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8)
    found = Normalise(PREPROCESSING)(images)
    mean, std = (torch.tensor(values, dtype=torch.float64) for values in (PREPROCESSING.mean, PREPROCESSING.std))
    oracle = ((images.double() / 255 - mean) / std).permute(0, 3, 1, 2)
    assert found.dtype == torch.float32
    assert found.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(found.double(), oracle, atol=1e-5, rtol=0)


def test_a_classifier_gives_probabilities():
    found = ImageClassifier(build_model("mlp"), PREPROCESSING)(torch.zeros(4, 32, 32, 3, dtype=torch.uint8))
    torch.testing.assert_close(found.sum(1), torch.ones(4))
    assert bool((found > 0).all())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "convent"}, "Unknown model 'convent'. The workbench has linear, mlp, convnet, resnet"),
        ({"name": "convnet", "shape": (4, 32, 3)}, "at least 8×8 pixels, not 4×32"),
        ({"name": "resnet18", "shape": (32, 32, 1)}, "takes colour images"),
        ({"name": "resnet18", "width": 2.0}, "fixed width"),
    ],
)
def test_what_cannot_be_built_is_a_sentence(options, message):
    with pytest.raises(WorkbenchError, match=message):
        build_model(**options)
