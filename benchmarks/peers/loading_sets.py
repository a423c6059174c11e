"""Data sets for benchmarks/loading.py: files in one folder per class, and the same images in memory.

Each function fills the folder `files` with `count` images, the same number of each class, and returns pixels, uint8
(N, H, W, C), labels, int64 (N,), and their rows in torchvision's data set beside the folder, or None without one.
"""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import torchvision
from PIL import Image

from workbench import folders
from workbench.data.archives import ARCHIVES
from workbench.data.cifar_jpegs import JPEG_TREE, has_jpegs, jpegs_unpacked
from workbench.data.datasets import load_dataset
from workbench.data.folder import decode
from workbench.data.scan import scan
from workbench.errors import WorkbenchError

SIDE, CLASSES = 32, 10


def animals(files: Path, count: int) -> tuple[Any, Any, None]:
    """Write the drawn animals as PNG files."""
    train = load_dataset("animals").train
    chosen = _balanced(train.labels.numpy(), count)
    pixels, labels = train.images.numpy()[chosen], train.labels.numpy()[chosen]
    _write_pngs(files, pixels, labels)
    return pixels, labels, None


def fashion_mnist(files: Path, count: int) -> tuple[Any, Any, list[int]]:
    """Write Fashion-MNIST as PNG files, and unpack it in torchvision's layout."""
    load_dataset("fashion-mnist")  # fetches the archives if they are missing
    for root in (folders.data_root(), folders.user_folder()):
        if all((root / file).is_file() for file in ARCHIVES["fashion-mnist"].files):
            shutil.copytree(root / "FashionMNIST" / "raw", files.parent / "FashionMNIST" / "raw")
            break
    whole = torchvision.datasets.FashionMNIST(str(files.parent), download=True)
    chosen = _balanced(whole.targets.numpy(), count)
    pixels, labels = whole.data.numpy()[chosen][..., None], whole.targets.numpy()[chosen]
    _write_pngs(files, pixels, labels)
    return pixels, labels, chosen.tolist()


def cifar_jpegs(files: Path, count: int) -> tuple[Any, Any, None]:
    """Copy the JPEG files of CIFAR-10 from the data folder."""
    root, each = folders.data_root(), count // CLASSES
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
    pixels = decode(found, SIDE, lambda *_: None).images
    return pixels, np.array([file.label for file in found.files], dtype=np.int64), None


def _balanced(labels: Any, count: int) -> Any:
    """Return the first rows of each class, the same number of each."""
    return np.sort(np.concatenate([np.flatnonzero(labels == k)[: count // CLASSES] for k in range(CLASSES)]))


def _write_pngs(files: Path, pixels: Any, labels: Any) -> None:
    for label in range(CLASSES):
        (files / str(label)).mkdir(parents=True)
    for index, (image, label) in enumerate(zip(pixels, labels.tolist(), strict=True)):
        Image.fromarray(image.squeeze()).save(files / str(label) / f"{index:05}.png")
