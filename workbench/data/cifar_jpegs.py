"""CIFAR-10 from a tree of JPEG files, unpacked or as an archive, where torchvision's own files are missing."""

from __future__ import annotations

import contextlib
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from workbench.callbacks import Progress
from workbench.data import sources
from workbench.data.archives import Pair, file_sha256
from workbench.data.folder import decode
from workbench.data.scan import scan
from workbench.data.sources import RawData, split_official
from workbench.data.splits import shuffled
from workbench.errors import WorkbenchError
from workbench.folders import data_root

JPEG_TREE = "cifar10-jpeg"  # below the data root, with the folders train and test
_ARCHIVE = f"{JPEG_TREE}/cifar10-jpeg.tar.gz"
_ARCHIVE_SHA256 = "a578d77c4282fad55b323e5e5071d1249196353ef574ae61c4e28d2a23e7bb4b"


def has_jpegs() -> bool:
    """Whether the data root holds CIFAR-10 as JPEG files, unpacked or packed."""
    return jpegs_unpacked() or file_sha256(data_root() / _ARCHIVE) == _ARCHIVE_SHA256


def jpegs_unpacked() -> bool:
    """Whether the data root holds CIFAR-10 as folders of JPEG files."""
    return all((data_root() / JPEG_TREE / split).is_dir() for split in ("train", "test"))


def jpegs_fingerprint() -> str:
    """Identify the files: by their names, sizes and times, or by the hash of their archive."""
    return scan(data_root() / JPEG_TREE).fingerprint if jpegs_unpacked() else _ARCHIVE_SHA256


def make_cifar_from_jpegs(size: int, seed: int, progress: Progress) -> RawData:
    """Return CIFAR-10 as read from JPEG files. The test split stays whole, with its duplicates, as in the original."""
    with _jpeg_tree() as tree:
        found = scan(tree)
        decoded = decode(found, size, progress)
        pairs: dict[str, Pair] = {}
        for split in ("train", "test"):
            usable = [i for i, file in enumerate(found.files) if file.split == split and decoded.usable[i]]
            rows = shuffled(np.array(usable, dtype=np.int64))
            # After validation and new are taken from it, something must be left to learn from.
            if len(rows) <= (sum(sources.HELD_BACK.values()) if split == "train" else 0):
                raise WorkbenchError(
                    f"{tree} is not all of CIFAR-10: only {len(rows):,} usable images in {split}. Unpack it again, "
                    "or load it by its path, as any folder of images."
                )
            pairs[split] = decoded.images[rows], np.array([found.files[i].label for i in rows], dtype=np.int64)
    note = (
        "Read from JPEG copies, which are not pixel-exact (quality 75): results are close to, but not comparable with, "
        "published CIFAR-10 figures."
    )
    splits = split_official(pairs["train"], pairs["test"], seed)
    return RawData(found.labels, splits, (note, *decoded.issues.notes()))


@contextlib.contextmanager
def _jpeg_tree() -> Iterator[Path]:
    """Yield the folder that holds `train` and `test`, temporarily unpacked if need be."""
    root = data_root()
    if jpegs_unpacked():
        yield root / JPEG_TREE
        return
    if file_sha256(root / _ARCHIVE) != _ARCHIVE_SHA256:
        raise WorkbenchError("The JPEG files of CIFAR-10 disappeared while they were read. Load the data set again.")
    with tempfile.TemporaryDirectory() as stage, tarfile.open(root / _ARCHIVE) as archive:
        archive.extractall(stage, filter="data")
        yield Path(stage) / JPEG_TREE
