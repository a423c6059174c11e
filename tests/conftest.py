"""Shared by several test modules: a small data set that can be learned, and one exported network."""

from __future__ import annotations

import platform
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from workbench.machine.processor import processor_features
from workbench.machine.threads import block_idle_threads

block_idle_threads()  # before torch is imported: some tests run beside a browser

import torch
from torch import Tensor, nn

from workbench.bundle.manifest import Bundle
from workbench.bundle.preprocessing import Preprocessing
from workbench.data.datasets import Data, Split
from workbench.hyperparameters import HyperParameters
from workbench.inference.export import export_bundle
from workbench.training.checkpoint import save_weights
from workbench.training.models import Normalise, build_model

pytest_plugins = ("browser.lab",)

Mutate = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Exported:
    """A trained convnet and its bundle; tests must not change the files."""

    model: nn.Module
    data: Data
    weights: Path
    bundle: Bundle


def stripes_and_spots(*, size: int = 16, channels: int = 3, seed: int = 0, test: int = 300) -> Data:
    """Return four classes of noisy images that a small network learns in seconds, but not perfectly."""
    generator = torch.Generator().manual_seed(seed)
    labels = ("rows", "columns", "spot", "ring")

    def split(name: str, count: int) -> Split:
        truth = torch.arange(count) % len(labels)
        return Split(name, _draw(truth, size, channels, generator), truth)

    preprocessing = Preprocessing(
        height=size, width=size, channels=channels, mean=(0.5,) * channels, std=(0.25,) * channels
    )
    return Data(
        name="stripes-and-spots",
        labels=labels,
        train=split("train", 768),
        validation=split("validation", 64),
        test=split("test", test),
        new=split("new", 8),
        preprocessing=preprocessing,
    )


def _draw(truth: Tensor, size: int, channels: int, generator: torch.Generator) -> Tensor:
    count = len(truth)
    rows = torch.arange(size).view(1, size, 1).float()
    columns = torch.arange(size).view(1, 1, size).float()
    phase, x, y = (torch.rand(3, count, 1, 1, generator=generator) * size).unbind()
    radius = ((rows - y) ** 2 + (columns - x) ** 2).sqrt()
    shapes = torch.stack(
        [
            torch.sin(rows + phase).expand(count, size, size),
            torch.sin(columns + phase).expand(count, size, size),
            2 * (radius < size / 4).float() - 1,
            2 * ((radius - size / 4).abs() < 1.5).float() - 1,
        ]
    )
    images = shapes[truth, torch.arange(count)].unsqueeze(-1).expand(-1, -1, -1, channels)
    noise = torch.randn(count, size, size, channels, generator=generator)
    return (128 + 50 * images + 60 * noise).clamp(0, 255).byte()


def train_briefly(model: nn.Module, data: Data, *, epochs: int = 4, learning_rate: float = 0.01) -> nn.Module:
    """Train in plain PyTorch, fp32 and seeded; leave the model in training mode."""
    with one_thread():
        return _train(model, data, epochs, learning_rate)


def int8_overflows() -> bool:
    """Return whether sums of 8-bit products overflow here: x86 without VNNI or AMX adds them in 16 bits."""
    has_dot_products = any("vnni" in feature or "amx" in feature for feature in processor_features())
    return platform.machine().lower() in ("x86_64", "amd64") and not has_dot_products


@contextmanager
def one_thread() -> Iterator[None]:
    """Run PyTorch on one thread: on busy cores two wait for each other, and tiny steps take 40 times as long."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def _train(model: nn.Module, data: Data, epochs: int, learning_rate: float) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(model.parameters(), learning_rate)
    normalise = Normalise(data.preprocessing)
    model.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(data.train), generator=generator).split(64):
            logits = model(normalise(data.train.images[batch]))
            loss = nn.functional.cross_entropy(logits, data.train.labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def export_trained(folder: Path, model: nn.Module, data: Data) -> Exported:
    """Save the weights of `model` and export it, both into `folder`."""
    weights, hyperparameters = folder / "weights.safetensors", HyperParameters()
    save_weights(weights, model, labels=data.labels, preprocessing=data.preprocessing, hyperparameters=hyperparameters)
    bundle = export_bundle(folder / "bundle", model, data, hyperparameters=hyperparameters, weights=weights, threads=1)
    return Exported(model, data, weights, bundle)


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """A small trained convnet with its weights file and its bundle."""
    data = stripes_and_spots()
    model = train_briefly(build_model("convnet", classes=4, shape=(16, 16, 3), width=0.5), data)
    return export_trained(tmp_path_factory.mktemp("exported"), model, data)


@pytest.fixture(scope="session")
def make_data() -> Callable[..., Data]:
    """`stripes_and_spots`, for a test that needs other images than those of `exported`."""
    return stripes_and_spots


@pytest.fixture(scope="session")
def trained() -> Callable[..., nn.Module]:
    """`train_briefly`, for a test that needs another network than that of `exported`."""
    return train_briefly


@pytest.fixture(scope="session")
def mutated() -> Mutate:
    """Changes some bytes as accidents and careless edits do; now and then the result equals the original."""
    return _mutated


def _mutated(content: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(content))
    if rng.random() < 0.3:  # the header is small and describes the rest
        start = rng.randrange(min(len(content), 4096))
    kind = rng.choice(["flip", "set", "delete", "insert", "truncate", "repeat", "swap"])
    other = rng.randrange(len(content))
    length = rng.choice([1, 1, 4, 8, 64])
    if kind == "flip":
        return content[:start] + bytes([content[start] ^ 1 << rng.randrange(8)]) + content[start + 1 :]
    if kind == "set":
        return content[:start] + rng.randbytes(length) + content[start + length :]
    if kind == "delete":
        return content[:start] + content[start + length :]
    if kind == "insert":
        return content[:start] + rng.randbytes(length) + content[start:]
    if kind == "truncate":
        return content[:start]
    if kind == "repeat":
        return content[:start] + content[start : start + length] + content[start:]
    first, second = sorted((start, other))
    second = max(second, first + length)
    a, b = content[first : first + length], content[second : second + length]
    return content[:first] + b + content[first + length : second] + a + content[second + length :]
