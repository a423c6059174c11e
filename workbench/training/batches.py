"""Batches for training: shuffled, mirrored and shifted; resident on the device or streamed.

The order and augmentation of an epoch depend on (seed, epoch) alone, so that a run can be resumed at any step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from workbench.data.datasets import Split
from workbench.hyperparameters import HyperParameters

# A training set larger than this share of the device's free memory is streamed: the rest is for activations.
RESIDENT_SHARE = 0.4


@dataclass(frozen=True, eq=False)
class EpochPlan:
    """The random choices of one epoch. order, flips, down, right: (N,) tensors on the CPU, in the order of use."""

    order: Tensor
    flips: Tensor
    down: Tensor
    right: Tensor


def plan_epoch(count: int, hyperparameters: HyperParameters, epoch: int) -> EpochPlan:
    """Draw the order and augmentation of `count` images in `epoch` (from 0), the same on every device."""
    generator = torch.Generator().manual_seed((hyperparameters.seed << 20) + epoch)
    shift = hyperparameters.shift
    return EpochPlan(
        order=torch.randperm(count, generator=generator),
        flips=torch.rand(count, generator=generator) < (0.5 if hyperparameters.flip else 0.0),
        down=torch.randint(-shift, shift + 1, (count,), generator=generator),
        right=torch.randint(-shift, shift + 1, (count,), generator=generator),
    )


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Return the number of gradient steps in one pass over `count` images."""
    return max(1, -(-count // batch_size))


def boundaries(count: int, batch_size: int) -> list[tuple[int, int]]:
    """Return the begin and end of each batch; sizes differ by at most one, so that none is a small, noisy remainder."""
    steps = steps_per_epoch(count, batch_size)
    return [(count * step // steps, count * (step + 1) // steps) for step in range(steps)]


def augment(images: Tensor, flips: Tensor, down: Tensor, right: Tensor, shift: int) -> Tensor:
    """Mirror and shift a batch of images, uint8 (N, H, W, C), repeating the edge pixels.

    flips: bool (N,). down, right: int64 (N,) in pixels, used only if `shift` > 0.
    """
    if shift == 0:
        return torch.where(flips[:, None, None, None], images.flip(2), images)
    count, height, width, _ = images.shape
    device = images.device
    rows = (torch.arange(height, device=device) - down[:, None]).clamp_(0, height - 1)
    columns = (torch.arange(width, device=device) - right[:, None]).clamp_(0, width - 1)
    columns = torch.where(flips[:, None], width - 1 - columns, columns)
    each = torch.arange(count, device=device)
    return images[each[:, None, None], rows[:, :, None], columns[:, None, :]]


class Batches:
    """Augmented batches of one split on one device.

    If the split fits, it stays on the device as one uint8 tensor that batches are indexed from; otherwise a DataLoader
    streams it from memory or from the memory-mapped cache file.
    """

    def __init__(self, split: Split, hyperparameters: HyperParameters, device: torch.device, free_memory: int) -> None:
        self.split = split
        self.hyperparameters = hyperparameters
        self.device = device
        self.resident = split.images.nbytes <= RESIDENT_SHARE * free_memory
        self._images = split.images.to(device) if self.resident else split.images
        self._labels = split.labels.to(device) if self.resident else split.labels

    def __len__(self) -> int:
        return steps_per_epoch(len(self.split), self.hyperparameters.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of `epoch` (from 0) from number `start` on: uint8 (B, H, W, C) and int64 (B,) there."""
        plan = plan_epoch(len(self.split), self.hyperparameters, epoch)
        bounds = boundaries(len(self.split), self.hyperparameters.batch_size)[start:]
        augmented = self.hyperparameters.flip or self.hyperparameters.shift > 0
        flips, down, right = (part.to(self.device) for part in (plan.flips, plan.down, plan.right))
        serve = self._resident if self.resident else self._streamed
        for (begin, end), (images, labels) in zip(bounds, serve(plan.order, bounds), strict=True):
            if augmented:
                part = slice(begin, end)
                images = augment(images, flips[part], down[part], right[part], self.hyperparameters.shift)
            yield images, labels

    def _resident(self, order: Tensor, bounds: list[tuple[int, int]]) -> Iterator[tuple[Tensor, Tensor]]:
        order = order.to(self.device)
        for begin, end in bounds:
            index = order[begin:end]
            yield self._images[index], self._labels[index]

    def _streamed(self, order: Tensor, bounds: list[tuple[int, int]]) -> Iterator[tuple[Tensor, Tensor]]:
        loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
            _Rows(self._images, self._labels),
            batch_sampler=[order[begin:end] for begin, end in bounds],  # type: ignore[misc]  # a whole batch is one index
            collate_fn=_as_is,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # otherwise each epoch draws from torch's global random state
        )
        for images, labels in loader:
            yield images.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)


class _Rows(Dataset[tuple[Tensor, Tensor]]):
    """A data set whose batches are fetched by one indexing operation, uint8."""

    def __init__(self, images: Tensor, labels: Tensor) -> None:
        self.images, self.labels = images, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, index: Tensor) -> tuple[Tensor, Tensor]:
        return self.images[index], self.labels[index]


def _as_is(batch: Any) -> Any:
    return batch
