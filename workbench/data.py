"""Data sets: `load_dataset(name)` gives training, validation, test and new pictures, as PyTorch `Dataset`s."""

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

from workbench import folder as folders
from workbench import sources
from workbench.cache import Array, Contents, Rows, Storage, cached
from workbench.errors import WorkbenchError
from workbench.preprocessing import Preprocessing
from workbench.sources import Made, Progress

NAMES = ("animals", "digits", "fashion-mnist", "mnist", "cifar-10")
SPLITS = ("train", "validation", "test", "new")
DEFAULT_SIZES = {
    "animals": 32,
    "digits": 16,
    "fashion-mnist": 28,
    "mnist": 28,
    "cifar-10": 32,
}
FOLDER_SIZE = 32
SMALLEST, LARGEST = 8, 1024

# Part of every cache's key: raise it when the same source would give other pixels, splits or fields.
_LAYOUT = 2
_LEAST_STD = 1 / 255
_CHUNK = 4096


@dataclass(frozen=True, eq=False)
class Split(Dataset[tuple[Tensor, int]]):
    """Pictures with their labels.

    pictures: uint8 (N, H, W, C), C is 1 or 3; may be mapped from a file. labels: int64 (N,). attributes: a tensor
    (N,) for each thing known of every picture. names: the file of each picture, where it came from a folder.
    """

    name: str
    pictures: Tensor
    labels: Tensor
    attributes: dict[str, Tensor] = field(default_factory=dict)
    names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        """One picture as float32 (C, H, W) in [0, 1], and its label."""
        return self.pictures[index].permute(2, 0, 1).float() / 255, int(self.labels[index])

    def subset(self, indices: Sequence[int] | Tensor) -> Split:
        """A split of the pictures at `indices`, in their order; pictures are copied into memory."""
        rows = torch.as_tensor(indices, dtype=torch.int64)
        return Split(
            self.name,
            self.pictures[rows],
            self.labels[rows],
            {name: values[rows] for name, values in self.attributes.items()},
            tuple(self.names[row] for row in rows.tolist()) if self.names else (),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Data:
    """A data set, split once and for all by its seed.

    labels: a word for each class. preprocessing: size, and mean and spread of the training pictures alone. notes:
    what the user should know of how the data were read. storage: what keeping them on the disk costs.
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
        """Height, width and channels of every picture."""
        return (
            self.preprocessing.height,
            self.preprocessing.width,
            self.preprocessing.channels,
        )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over what a run learns from and chooses by: labels, and some of the training and validation pictures.

        Pictures added to a folder, or taken away, change it: all splits are then drawn anew.
        """
        digest = hashlib.sha256(repr((self.labels, self.preprocessing)).encode())
        for split in (self.train, self.validation):
            digest.update(split.labels.numpy().tobytes())
            digest.update(split.pictures[:: max(1, len(split) // 1000)].contiguous().numpy().tobytes())
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
    """Load a built-in data set (one of NAMES) or a folder of pictures, one sub-folder a class.

    size: side of the square pictures, 8 to 1024 pixels; None keeps the set's own size (a folder: 32). seed: draws the
    animals, and decides which pictures go into which split; an official test set stays whole. progress is called with
    what is being done, how much of it is done, and how much there is. The first call draws, decodes or downloads;
    later ones read the packed cache. Raises WorkbenchError for an unknown name, a folder without usable pictures, or
    a failed download.
    """
    progress = progress or _silent
    name = _built_in(name_or_folder)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed < 2**31:
        raise WorkbenchError(f"seed = {seed!r}: must be a whole number from 0 to {2**31 - 1:,}.")
    side = size if size is not None else DEFAULT_SIZES.get(name or "", FOLDER_SIZE)
    if not isinstance(side, int) or isinstance(side, bool) or not SMALLEST <= side <= LARGEST:
        raise WorkbenchError(f"size = {size!r}: must be a whole number from {SMALLEST} to {LARGEST} pixels.")
    if name is None:
        return _load_folder(Path(name_or_folder).expanduser(), side, seed, progress)
    make, identity = _recipe(name, side, seed, progress)
    return _load(name, f"{name}-{side}px-seed{seed}", identity, make)


def _load_folder(path: Path, side: int, seed: int, progress: Progress) -> Data:
    found = folders.scan(path)
    place = hashlib.sha256(str(path.resolve()).encode("utf-8", "surrogateescape")).hexdigest()[:10]
    safe = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in path.resolve().name)[:40]
    return _load(
        path.resolve().name,
        f"folder-{safe}-{place}-{side}px-seed{seed}",
        {"files": found.fingerprint, "size": side, "seed": seed},
        lambda: folders.make_from_folder(found, side, seed, progress),
    )


def _recipe(name: str, side: int, seed: int, progress: Progress) -> tuple[Callable[[], Made], dict[str, Any]]:
    """How to make a built-in set, and all that its pixels depend on."""
    identity: dict[str, Any] = {"name": name, "size": side, "seed": seed}
    if name == "animals":
        from workbench import animals

        identity |= {"version": animals.VERSION, "counts": sources.COUNTS}
        return lambda: sources.make_animals(side, seed, progress), identity
    if name == "digits":
        return lambda: sources.make_digits(side, seed, progress), identity | {"counts": sources.DIGIT_COUNTS}
    identity |= {"counts": sources.HELD_BACK}
    if name == "cifar-10" and not sources.has_archives(name) and sources.has_jpegs():
        return lambda: folders.make_cifar_from_jpegs(side, seed, progress), identity | {
            "source": folders.jpegs_fingerprint()
        }
    identity |= {"source": sources.ARCHIVES[name].sha256}
    return lambda: sources.make_from_archives(name, side, seed, progress), identity


def _load(name: str, stem: str, identity: Mapping[str, Any], make: Callable[[], Made]) -> Data:
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


def _contents(made: Made) -> Contents:
    """A data set as named arrays and plain values, for the cache."""
    arrays: dict[str, Rows | Array] = {}
    for split in SPLITS:
        part = made.parts[split]
        arrays[f"{split}.pictures"], arrays[f"{split}.labels"] = (
            part.pictures,
            part.labels,
        )
        for name, values in part.attributes.items():
            arrays[f"{split}.attribute.{name}"] = np.asarray(values)
        if part.names:
            arrays[f"{split}.names"] = np.frombuffer("\n".join(part.names).encode("utf-8"), dtype=np.uint8)
    about = {
        "labels": list(made.labels),
        "preprocessing": measured(made.parts["train"].pictures).to_mapping(),
        "notes": list(made.notes),
    }
    return arrays, about


def _split(name: str, tensors: Mapping[str, Tensor]) -> Split:
    prefix = f"{name}.attribute."
    names = tensors.get(f"{name}.names")
    return Split(
        name,
        tensors[f"{name}.pictures"],
        tensors[f"{name}.labels"],
        {key.removeprefix(prefix): values for key, values in tensors.items() if key.startswith(prefix)},
        tuple(bytes(names.numpy()).decode("utf-8").split("\n")) if names is not None else (),
    )


def measured(pictures: Rows | Array) -> Preprocessing:
    """Size, and per channel mean and standard deviation in [0, 1], of uint8 pictures (N, H, W, C), exactly summed."""
    count, height, width, channels = pictures.shape
    total, squares = (
        np.zeros(channels, dtype=np.int64),
        np.zeros(channels, dtype=np.int64),
    )
    pieces = pictures.pieces() if isinstance(pictures, Rows) else iter([pictures])
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
    """What `load_dataset` reads for this: the name of a built-in set, or a folder's absolute path."""
    return _built_in(name_or_folder) or str(Path(name_or_folder).expanduser().resolve())


def _built_in(name_or_folder: str | Path) -> str | None:
    """The name of a built-in set, or None for a folder that is there."""
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
        "one sub-folder of pictures for each class."
    )


def _silent(what: str, done: int, total: int) -> None:
    """Progress that nobody asked for."""
