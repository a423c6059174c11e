"""Data sets for benchmarks/loading.py, as files in one folder a class and as the same pictures in memory.

Each function fills the folder `files` with `count` pictures, as many of each class, and gives pixels, uint8 (N, H, W,
C), labels, int64 (N,), and their rows in torchvision's data set beside the folder, or None where there is none.
"""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import torchvision
from PIL import Image

from workbench import cache
from workbench.data import load_dataset
from workbench.errors import WorkbenchError
from workbench.folder import Oddities, decode, scan
from workbench.sources import ARCHIVES, JPEG_TREE, has_jpegs, jpegs_unpacked

SIDE, CLASSES = 32, 10


def animals(files: Path, count: int) -> tuple[Any, Any, None]:
    """The drawn animals, as PNG files."""
    train = load_dataset("animals").train
    chosen = _balanced(train.labels.numpy(), count)
    pixels, labels = train.pictures.numpy()[chosen], train.labels.numpy()[chosen]
    _write_pngs(files, pixels, labels)
    return pixels, labels, None


def fashion_mnist(files: Path, count: int) -> tuple[Any, Any, list[int]]:
    """Fashion-MNIST as PNG files, and unpacked as torchvision wants it."""
    load_dataset("fashion-mnist")  # which fetches its archives where they are not here yet
    for root in (cache.data_root(), cache.user_folder()):
        if all((root / file).is_file() for file in ARCHIVES["fashion-mnist"].files):
            shutil.copytree(root / "FashionMNIST" / "raw", files.parent / "FashionMNIST" / "raw")
            break
    whole = torchvision.datasets.FashionMNIST(str(files.parent), download=True)
    chosen = _balanced(whole.targets.numpy(), count)
    pixels, labels = whole.data.numpy()[chosen][..., None], whole.targets.numpy()[chosen]
    _write_pngs(files, pixels, labels)
    return pixels, labels, chosen.tolist()


def cifar_jpegs(files: Path, count: int) -> tuple[Any, Any, None]:
    """The JPEG files of CIFAR-10 in the data folder, just as they are."""
    root, each = cache.data_root(), count // CLASSES
    if jpegs_unpacked():
        for label in sorted((root / JPEG_TREE / "train").iterdir()):
            (files / label.name).mkdir(parents=True)
            for path in sorted(label.iterdir())[:each]:
                shutil.copyfile(path, files / label.name / path.name)
    elif has_jpegs():
        taken: dict[str, int] = {}
        with tarfile.open(root / JPEG_TREE / f"{JPEG_TREE}.tar.gz") as archive:
            for member in archive:
                _, split, label, *name = Path(member.name).parts if member.isfile() else ("", "", "")
                if split == "train" and name and taken.setdefault(label, 0) < each:
                    taken[label] += 1
                    member.name = f"{label}/{name[0]}"
                    archive.extract(member, files, filter="data")
    else:
        raise WorkbenchError(f"cifar10-jpeg: {root} holds no {JPEG_TREE}; name the other sets with --data.")
    found = scan(files)
    pixels = decode(found, SIDE, lambda *_: None, Oddities()).pictures
    return pixels, np.array([file.label for file in found.files], dtype=np.int64), None


def _balanced(labels: Any, count: int) -> Any:
    """The first rows of each class, as many of each."""
    return np.sort(np.concatenate([np.flatnonzero(labels == k)[: count // CLASSES] for k in range(CLASSES)]))


def _write_pngs(files: Path, pixels: Any, labels: Any) -> None:
    for label in range(CLASSES):
        (files / str(label)).mkdir(parents=True)
    for place, (picture, label) in enumerate(zip(pixels, labels.tolist(), strict=True)):
        Image.fromarray(picture.squeeze()).save(files / str(label) / f"{place:05}.png")
