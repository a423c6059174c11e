"""The networks: from a single matrix to a small residual network, and any torchvision classifier by name.

Each takes float32 images (N, C, H, W), already normalised, and returns float32 logits (N, classes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from workbench.bundle.preprocessing import Preprocessing
from workbench.errors import WorkbenchError

ZOO = ("linear", "mlp", "convnet", "resnet")


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """All that is needed to rebuild a network, without its weights: what a weights file stores instead of code.

    height, pixel_width: of the images. width: multiplies the channels of every layer.
    """

    name: str
    classes: int
    height: int = 32
    pixel_width: int = 32
    channels: int = 3
    width: float = 1.0

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values, as written to a weights file."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> ModelSpec:
        """Return the spec that `to_mapping` described. Raises WorkbenchError for anything else."""
        try:
            spec = cls(**values)
        except TypeError as error:
            raise WorkbenchError(f"This is no description of a model: {error}.") from error
        sizes = (spec.classes, spec.height, spec.pixel_width, spec.channels)
        whole = all(type(size) is int and 0 < size <= 100_000 for size in sizes)
        if not whole or type(spec.name) is not str or type(spec.width) not in (int, float) or not 0 < spec.width <= 64:
            raise WorkbenchError(f"This is no description of a model: {spec}.")
        return spec


class Normalise(nn.Module):
    """Scale uint8 images to mean 0 and standard deviation 1 per channel, as measured on the training set."""

    def __init__(self, preprocessing: Preprocessing) -> None:
        super().__init__()
        mean, std = torch.tensor(preprocessing.mean), torch.tensor(preprocessing.std)
        # (x / 255 - mean) / std as one multiplication and one addition.
        self.register_buffer("scale", (1 / (255 * std)).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("offset", (-mean / std).view(1, -1, 1, 1), persistent=False)
        self.scale: Tensor
        self.offset: Tensor

    def forward(self, images: Tensor) -> Tensor:
        """Return float32 (N, C, H, W), channels last in memory, for uint8 images (N, H, W, C)."""
        return images.permute(0, 3, 1, 2).float() * self.scale + self.offset


class ImageClassifier(nn.Module):
    """`model` between its normalisation and a softmax: what is exported and deployed."""

    def __init__(self, model: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.normalise = Normalise(preprocessing)
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        """Return probabilities, float32 (N, classes), for uint8 images (N, H, W, C)."""
        return self.model(self.normalise(images)).float().softmax(dim=1)


def build_model(
    name: str = "convnet",
    *,
    classes: int = 10,
    shape: tuple[int, int, int] = (32, 32, 3),
    width: float = 1.0,
    seed: int = 0,
) -> nn.Module:
    """Build a network with fresh weights for images of `shape` (height, width, channels).

    name: one of ZOO or a torchvision classifier such as "mobilenet_v3_small" (without pretrained weights). width:
    multiplies the channels of every layer (zoo only). The same seed gives the same weights, and torch's own random
    state is left alone. `model.spec` describes how to rebuild it. Raises WorkbenchError for an unknown name, or a size
    or width that the network does not support.

    >>> wb.build_model("linear", classes=10, shape=(16, 16, 1))
    Sequential(
      (0): Flatten(start_dim=1, end_dim=-1)
      (1): Linear(in_features=256, out_features=10, bias=True)
    )
    """
    height, pixel_width, channels = shape
    spec = ModelSpec(
        name=name, classes=classes, height=height, pixel_width=pixel_width, channels=channels, width=float(width)
    )
    return build_from_spec(spec, seed=seed)


def build_from_spec(spec: ModelSpec, *, seed: int = 0) -> nn.Module:
    """Build the network that `spec` describes, with fresh weights."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = _BUILDERS[spec.name](spec) if spec.name in _BUILDERS else _torchvision(spec)
    model.spec = spec  # type: ignore[assignment]  # nn.Module types every attribute as Tensor | Module
    return model


def spec_of(model: nn.Module) -> ModelSpec | None:
    """Return how to rebuild `model`, or None for a user's own module."""
    spec = getattr(model, "spec", None)
    return spec if isinstance(spec, ModelSpec) else None


def parameter_count(model: nn.Module) -> int:
    """Count the learned values of a network.

    >>> wb.parameter_count(wb.build_model("convnet"))
    94762
    """
    return sum(parameter.numel() for parameter in model.parameters())


def uncompiled(model: nn.Module) -> nn.Module:
    """Return the network inside what `torch.compile` returned, which prefixes every name in its state."""
    return getattr(model, "_orig_mod", model)


def name_of(model: nn.Module) -> str:
    """Return the name of a network in the zoo, or the name of its class."""
    bare = uncompiled(model)
    spec = spec_of(bare)
    return type(bare).__name__ if spec is None else spec.name


def state_bytes(model: nn.Module) -> int:
    """Return the bytes of all weights and buffers, such as the running averages of a batch norm."""
    return sum(value.nbytes for value in model.state_dict().values())


def _scaled(units: int, width: float) -> int:
    return max(1, round(units * width))


def _linear(spec: ModelSpec) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(spec.height * spec.pixel_width * spec.channels, spec.classes))


def _mlp(spec: ModelSpec) -> nn.Module:
    hidden = _scaled(256, spec.width)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(spec.height * spec.pixel_width * spec.channels, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, spec.classes),
    )


def _convnet(spec: ModelSpec) -> nn.Module:
    # Each batch norm folds into the convolution before it: convolutions, ReLU, pooling and a matrix are deployed.
    if min(spec.height, spec.pixel_width) < 8:
        raise WorkbenchError(
            f"convnet halves the image three times and needs at least 8×8 pixels, not "
            f"{spec.height}×{spec.pixel_width}. Choose a larger size, or the model mlp."
        )
    layers: list[nn.Module] = []
    channels = spec.channels
    for units in (_scaled(32, spec.width), _scaled(64, spec.width), _scaled(128, spec.width)):
        layers += [
            nn.Conv2d(channels, units, 3, padding=1, bias=False),
            nn.BatchNorm2d(units),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
        ]
        channels = units
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, spec.classes))


class ResidualBlock(nn.Module):
    """Two convolutions with a shortcut around them (He et al. 2015, "Deep residual learning for image recognition")."""

    def __init__(self, channels: int, units: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, units, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(units),
            nn.ReLU(inplace=True),
            nn.Conv2d(units, units, 3, padding=1, bias=False),
            nn.BatchNorm2d(units),
        )
        # The gradient of a strided 1×1 convolution of fewer than 8 channels, channels last, writes past its memory in
        # oneDNN (PyTorch 2.15, AVX2) and crashes the process. Skipping pixels before it is the same convolution.
        self.skip = stride if channels < 8 else 1
        self.short_cut: nn.Module = nn.Identity()
        if stride != 1 or channels != units:
            self.short_cut = nn.Sequential(
                nn.Conv2d(channels, units, 1, stride=stride // self.skip, bias=False), nn.BatchNorm2d(units)
            )

    def forward(self, images: Tensor) -> Tensor:
        """Return (N, units, H / stride, W / stride) for (N, channels, H, W)."""
        return torch.relu(self.body(images) + self.short_cut(images[:, :, :: self.skip, :: self.skip]))


def _resnet(spec: ModelSpec) -> nn.Module:
    units = [_scaled(count, spec.width) for count in (32, 64, 128)]
    return nn.Sequential(
        nn.Conv2d(spec.channels, units[0], 3, padding=1, bias=False),
        nn.BatchNorm2d(units[0]),
        nn.ReLU(inplace=True),
        ResidualBlock(units[0], units[0], 1),
        ResidualBlock(units[0], units[1], 2),
        ResidualBlock(units[1], units[2], 2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(units[2], spec.classes),
    )


def _torchvision(spec: ModelSpec) -> nn.Module:
    import torchvision

    names = torchvision.models.list_models(module=torchvision.models)
    if spec.name not in names:
        raise WorkbenchError(
            f"Unknown model {spec.name!r}. The workbench has {', '.join(ZOO)}; torchvision adds {len(names)} "
            "classifiers such as resnet18 and mobilenet_v3_small."
        )
    if spec.channels != 3:
        raise WorkbenchError(
            f"{spec.name} takes colour images (3 channels) and these have {spec.channels}. "
            f"Choose one of {', '.join(ZOO)}, or load the data in colour."
        )
    if spec.width != 1.0:
        raise WorkbenchError(f"width = {spec.width}: torchvision's {spec.name} has a fixed width; leave it at 1.")
    options: dict[str, Any] = {"weights": None, "num_classes": spec.classes}
    if spec.name in ("googlenet", "inception_v3"):
        options |= {"aux_logits": False, "init_weights": True}  # auxiliary heads would return a tuple
    return torchvision.models.get_model(spec.name, **options)


_BUILDERS = {"linear": _linear, "mlp": _mlp, "convnet": _convnet, "resnet": _resnet}
