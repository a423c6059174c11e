"""Batches for training: which pictures, in which order, moved and mirrored how; resident on the device or streamed.

Order and augmentation of an epoch follow from (seed, epoch) alone, so that a run can be resumed at any step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from workbench.data import Split
from workbench.hyperparameters import HyperParameters

# A training set larger than this share of the device's free memory is streamed: the rest is for activations.
RESIDENT_SHARE = 0.4


@dataclass(frozen=True, eq=False)
class EpochPlan:
    """One epoch's choices. order, flips, down and right: (N,) tensors on the CPU, in the order of use."""

    order: Tensor
    flips: Tensor
    down: Tensor
    right: Tensor


def plan_epoch(count: int, hyperparameters: HyperParameters, epoch: int) -> EpochPlan:
    """The order and augmentation of `count` pictures in `epoch` (from 0), the same on every device."""
    generator = torch.Generator().manual_seed((hyperparameters.seed << 20) + epoch)
    shift = hyperparameters.shift
    return EpochPlan(
        order=torch.randperm(count, generator=generator),
        flips=torch.rand(count, generator=generator) < (0.5 if hyperparameters.flip else 0.0),
        down=torch.randint(-shift, shift + 1, (count,), generator=generator),
        right=torch.randint(-shift, shift + 1, (count,), generator=generator),
    )


def steps_per_epoch(count: int, batch_size: int) -> int:
    """Gradient steps in a pass over `count` pictures."""
    return max(1, -(-count // batch_size))


def boundaries(count: int, batch_size: int) -> list[tuple[int, int]]:
    """Where each batch begins and ends: sizes differ by one at most, so that no batch is a small, noisy remainder."""
    steps = steps_per_epoch(count, batch_size)
    return [(count * step // steps, count * (step + 1) // steps) for step in range(steps)]


def augment(pictures: Tensor, flips: Tensor, down: Tensor, right: Tensor, shift: int) -> Tensor:
    """Mirror and move a batch of pictures, uint8 (N, H, W, C); what moves in repeats the edge.

    flips: bool (N,). down, right: int64 (N,) in pixels, used only where `shift` > 0.
    """
    if shift == 0:
        return torch.where(flips[:, None, None, None], pictures.flip(2), pictures)
    count, height, width, _ = pictures.shape
    device = pictures.device
    rows = (torch.arange(height, device=device) - down[:, None]).clamp_(0, height - 1)
    columns = (torch.arange(width, device=device) - right[:, None]).clamp_(0, width - 1)
    columns = torch.where(flips[:, None], width - 1 - columns, columns)
    each = torch.arange(count, device=device)
    return pictures[each[:, None, None], rows[:, :, None], columns[:, None, :]]


class Batches:
    """Serves augmented batches of one split on one device.

    Where the split fits, it sits on the device as one uint8 tensor and a batch is an index into it; otherwise a
    DataLoader streams it from memory or from the cache file it is mapped to.
    """

    def __init__(self, split: Split, hyperparameters: HyperParameters, device: torch.device, free_memory: int) -> None:
        self.split = split
        self.hyperparameters = hyperparameters
        self.device = device
        self.resident = split.pictures.nbytes <= RESIDENT_SHARE * free_memory
        self._pictures = split.pictures.to(device) if self.resident else split.pictures
        self._labels = split.labels.to(device) if self.resident else split.labels

    def __len__(self) -> int:
        return steps_per_epoch(len(self.split), self.hyperparameters.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches `start`… of `epoch` (from 0): uint8 (B, H, W, C) and int64 (B,), on the device."""
        plan = plan_epoch(len(self.split), self.hyperparameters, epoch)
        places = boundaries(len(self.split), self.hyperparameters.batch_size)[start:]
        augmented = self.hyperparameters.flip or self.hyperparameters.shift > 0
        flips, down, right = (part.to(self.device) for part in (plan.flips, plan.down, plan.right))
        chosen = self._resident(plan.order, places) if self.resident else self._streamed(plan.order, places)
        for (begin, end), (pictures, labels) in zip(places, chosen, strict=True):
            if augmented:
                part = slice(begin, end)
                pictures = augment(pictures, flips[part], down[part], right[part], self.hyperparameters.shift)
            yield pictures, labels

    def _resident(self, order: Tensor, places: list[tuple[int, int]]) -> Iterator[tuple[Tensor, Tensor]]:
        order = order.to(self.device)
        for begin, end in places:
            index = order[begin:end]
            yield self._pictures[index], self._labels[index]

    def _streamed(self, order: Tensor, places: list[tuple[int, int]]) -> Iterator[tuple[Tensor, Tensor]]:
        loader: DataLoader[tuple[Tensor, Tensor]] = DataLoader(
            _Rows(self._pictures, self._labels),
            batch_sampler=[order[begin:end] for begin, end in places],  # type: ignore[misc]  # a whole batch is one index
            collate_fn=_as_is,
            pin_memory=self.device.type == "cuda",
            generator=torch.Generator(),  # else each epoch would draw from torch's global random state
        )
        for pictures, labels in loader:
            yield pictures.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)


class _Rows(Dataset[tuple[Tensor, Tensor]]):
    """Fetches a whole batch by one index operation, uint8."""

    def __init__(self, pictures: Tensor, labels: Tensor) -> None:
        self.pictures, self.labels = pictures, labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, index: Tensor) -> tuple[Tensor, Tensor]:
        return self.pictures[index], self.labels[index]


def _as_is(batch: Any) -> Any:
    return batch
