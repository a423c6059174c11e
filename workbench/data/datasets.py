"""Data sets: `load_dataset(name)` returns training, validation, test and new images as PyTorch `Dataset`s."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from workbench import arguments
from workbench.bundle.preprocessing import Preprocessing
from workbench.callbacks import Progress
from workbench.data import cifar_jpegs, sources
from workbench.data.archives import ARCHIVES, has_archives
from workbench.data.cache import Array, Contents, Rows, Storage, cached
from workbench.data.folder import make_from_folder
from workbench.data.scan import scan
from workbench.data.sources import RawData
from workbench.errors import WorkbenchError

NAMES = ("animals", "digits", "fashion-mnist", "mnist", "cifar-10")
SPLITS = ("train", "validation", "test", "new")
DEFAULT_SIZES = {"animals": 32, "digits": 16, "fashion-mnist": 28, "mnist": 28, "cifar-10": 32}
FOLDER_SIZE = 32
SMALLEST, LARGEST = 8, 1024

# Part of every cache's key: raise it when the same source would result in other pixels, splits or fields.
_LAYOUT = 2
_LEAST_STD = 1 / 255
_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Split(Dataset[tuple[Tensor, int]]):
    """Images with their labels.

    images: uint8 (N, H, W, C), C is 1 or 3; may be memory-mapped. labels: int64 (N,). attributes: a tensor (N,) of
    each known property of the images. names: the file of each image that came from a folder.

    >>> test = wb.load_dataset("digits").test
    >>> image, label = test[0]
    >>> len(test), image.shape, label in range(10)
    (300, torch.Size([1, 16, 16]), True)
    """

    name: str
    images: Tensor
    labels: Tensor
    attributes: dict[str, Tensor] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """Return one image as float32 (C, H, W) in [0, 1], and its label."""
        return self.images[index].permute(2, 0, 1).float() / 255, int(self.labels[index])

    def subset(self, indices: Sequence[int] | Tensor) -> Split:
        """Return a split of the images at `indices`, in that order; images are copied into memory."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        return Split(
            self.name,
            self.images[rows],
            self.labels[rows],
            {name: values[rows] for name, values in self.attributes.items()},
            tuple(self.names[row] for row in rows.tolist()) if self.names else (),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """A data set in four splits, which its seed determines.

    labels: the name of each class. preprocessing: size, and mean and standard deviation of the training images alone.
    notes: what the user should know about how the data were read. storage: the cost of keeping them on disk.

    >>> data = wb.load_dataset("digits")
    >>> data.shape, [len(split) for split in data.splits]
    ((16, 16, 1), [1197, 200, 300, 100])
    """

    name: str
    labels: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    new: Split
    preprocessing: Preprocessing
    notes: tuple[str, ...] = ()
    storage: Storage | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of every image."""
        return self.preprocessing.shape

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the labels, the preprocessing, and a sample of the training and validation images.

        Images added to a folder, or removed, change it: all splits are then drawn anew.
        """
        digest = hashlib.sha256(repr((self.labels, self.preprocessing)).encode())
        for split in (self.train, self.validation):
            digest.update(split.labels.numpy().tobytes())
            digest.update(split.images[:: max(1, len(split) // 1000)].contiguous().numpy().tobytes())
        return digest.hexdigest()

    @property
    def splits(self) -> tuple[Split, Split, Split, Split]:
        """Train, validation, test and new."""
        return self.train, self.validation, self.test, self.new


def load_dataset(
    name_or_folder: str | Path,
    *,
    size: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Data:
    """Load a built-in data set (one of NAMES) or a folder of images with one sub-folder per class.

    size: side of the square images, 8 to 1024 pixels; None keeps the set's own size (a folder: 32). seed: draws the
    animals, and decides which images go into which split; an official test set stays whole. progress: called as
    progress(what, done, total). The first call draws, decodes or downloads; later ones read the packed cache. Raises
    WorkbenchError for an unknown name, a folder without usable images, or a failed download.

    >>> wb.load_dataset("digits").labels
    ('0', '1', '2', '3', '4', '5', '6', '7', '8', '9')
    """
    progress = progress or (lambda what, done, total: None)
    name = _built_in(name_or_folder)
    seed = arguments.whole_number("seed", seed, 0, 2**31 - 1)
    side = DEFAULT_SIZES.get(name or "", FOLDER_SIZE) if size is None else size
    side = arguments.whole_number("size", side, SMALLEST, LARGEST)
    if name is None:
        return _load_folder(Path(name_or_folder).expanduser(), side, seed, progress)
    make, identity = _recipe(name, side, seed, progress)
    return _load(name, f"{name}-{side}px-seed{seed}", identity, make)


def _load_folder(path: Path, side: int, seed: int, progress: Progress) -> Data:
    found = scan(path)
    path_hash = hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:10]
    safe = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in path.resolve().name)[:40]
    return _load(
        path.resolve().name,
        f"folder-{safe}-{path_hash}-{side}px-seed{seed}",
        {"files": found.fingerprint, "size": side, "seed": seed},
        lambda: make_from_folder(found, side, seed, progress),
    )


def _recipe(name: str, side: int, seed: int, progress: Progress) -> tuple[Callable[[], RawData], dict[str, Any]]:
    """Return a function that makes a built-in set, and everything its pixels depend on."""
    identity: dict[str, Any] = {"name": name, "size": side, "seed": seed}
    if name == "animals":
        from workbench.data import animals

        identity |= {"version": animals.VERSION, "counts": sources.COUNTS}
        return lambda: sources.make_animals(side, seed, progress), identity
    if name == "digits":
        return lambda: sources.make_digits(side, seed, progress), identity | {"counts": sources.DIGIT_COUNTS}
    identity |= {"counts": sources.HELD_BACK}
    if name == "cifar-10" and not has_archives(name) and cifar_jpegs.has_jpegs():
        identity |= {"source": cifar_jpegs.jpegs_fingerprint()}
        return lambda: cifar_jpegs.make_cifar_from_jpegs(side, seed, progress), identity
    identity |= {"source": ARCHIVES[name].sha256}
    return lambda: sources.make_from_archives(name, side, seed, progress), identity


def _load(name: str, stem: str, identity: Mapping[str, Any], make: Callable[[], RawData]) -> Data:
    key = hashlib.sha256(json.dumps([_LAYOUT, identity], sort_keys=True).encode()).hexdigest()
    tensors, about, storage, notes = cached(stem, key, lambda: _contents(make()))
    parts = {split: _split(split, tensors) for split in SPLITS}
    return Data(
        name=name,
        labels=tuple(about["labels"]),
        preprocessing=Preprocessing.from_mapping(about["preprocessing"]),
        notes=(*about["notes"], *notes),
        storage=storage,
        **parts,
    )


def _contents(raw: RawData) -> Contents:
    """Return a data set as named arrays and plain values, for the cache."""
    arrays: dict[str, Rows | Array] = {}
    for split in SPLITS:
        part = raw.splits[split]
        arrays[f"{split}.images"], arrays[f"{split}.labels"] = part.images, part.labels
        for name, values in part.attributes.items():
            arrays[f"{split}.attribute.{name}"] = np.asarray(values)
        if part.names:
            arrays[f"{split}.names"] = np.frombuffer("\n".join(part.names).encode("utf-8"), dtype=np.uint8)
    about = {
        "labels": list(raw.labels),
        "preprocessing": measure_preprocessing(raw.splits["train"].images).to_mapping(),
        "notes": list(raw.notes),
    }
    return arrays, about


def _split(name: str, tensors: Mapping[str, Tensor]) -> Split:
    prefix = f"{name}.attribute."
    names = tensors.get(f"{name}.names")
    return Split(
        name,
        tensors[f"{name}.images"],
        tensors[f"{name}.labels"],
        {key.removeprefix(prefix): values for key, values in tensors.items() if key.startswith(prefix)},
        tuple(bytes(names.numpy()).decode("utf-8").split("\n")) if names is not None else (),
    )


def measure_preprocessing(images: Rows | Array) -> Preprocessing:
    """Return size, mean and standard deviation per channel, in [0, 1], of uint8 images (N, H, W, C), summed exactly."""
    count, height, width, channels = images.shape
    total, squares = np.zeros((2, channels), dtype=np.int64)
    pieces = images.pieces() if isinstance(images, Rows) else iter([images])
    for piece in pieces:
        for start in range(0, len(piece), _CHUNK):
            pixels = piece[start : start + _CHUNK].reshape(-1, channels)
            for channel in range(channels):
                histogram = np.bincount(pixels[:, channel], minlength=256)
                total[channel] += histogram @ np.arange(256)
                squares[channel] += histogram @ np.arange(256) ** 2
    pixel_count = count * height * width
    mean = total / pixel_count
    std = np.sqrt(np.maximum(squares / pixel_count - mean**2, 0.0))
    return Preprocessing(
        height=height,
        width=width,
        channels=channels,
        mean=tuple(float(value / 255) for value in mean),
        std=tuple(float(max(value / 255, _LEAST_STD)) for value in std),
    )


def source_of(name_or_folder: str | Path) -> str:
    """Return what `load_dataset` reads: the name of a built-in set, or a folder's absolute path."""
    return _built_in(name_or_folder) or str(Path(name_or_folder).expanduser().resolve())


def _built_in(name_or_folder: str | Path) -> str | None:
    """Return the name of a built-in set, or None for an existing folder. Raises WorkbenchError for anything else."""
    if isinstance(name_or_folder, str):
        name = name_or_folder.strip().lower().replace("_", "-").replace(" ", "-")
        name = {"cifar10": "cifar-10", "fashionmnist": "fashion-mnist"}.get(name, name)
        if name in NAMES:
            return name
    elif not isinstance(name_or_folder, Path):
        raise WorkbenchError(f"A data set is a name or a folder's path, not {type(name_or_folder).__name__}.")
    try:
        if Path(name_or_folder).expanduser().is_dir() and str(name_or_folder):
            return None
    except (OSError, ValueError, RuntimeError):
        pass
    raise WorkbenchError(
        f"There is no data set {str(name_or_folder)!r}. Choose {', '.join(NAMES)}, or the path of a folder that holds "
        "one sub-folder of images for each class."
    )
