"""A user's folder of images as a data set: decoded, without duplicates, divided, with a note on every odd file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from workbench.bundle.images import ImageError, read_image
from workbench.bundle.preprocessing import fit_image
from workbench.callbacks import Progress
from workbench.data.cache import Array, Rows, scratch
from workbench.data.duplicates import without_duplicates
from workbench.data.scan import LAYOUT, Issues, Scan, list_names
from workbench.data.sources import RawData, RawSplit, square
from workbench.data.splits import Indices, plan_folder, shuffled, take
from workbench.errors import WorkbenchError
from workbench.machine.processor import usable_cores

T = TypeVar("T")

_BATCH = 64


@dataclass(frozen=True, eq=False)
class Decoded:
    """Every file decoded and fitted. images: uint8 (N, size, size, 3), zero where not usable.

    digests: a hash of each image's pixels before fitting, empty where not usable.
    """

    images: Array
    digests: list[bytes]
    issues: Issues

    @property
    def usable(self) -> NDArray[np.bool_]:
        """Whether each file is an image, bool (N,)."""
        return np.array([bool(digest) for digest in self.digests])


def make_from_folder(found: Scan, size: int, seed: int, progress: Progress) -> RawData:
    """Decode a folder, drop duplicates, and divide the rest: 70 % training, 15 % validation, 15 % test, some new.

    Raises WorkbenchError where fewer than two classes have usable images.
    """
    decoded = decode(found, size, progress)
    rows = np.flatnonzero(without_duplicates(found.files, decoded.digests, decoded.issues))
    notes = [*found.notes, *decoded.issues.notes()]
    files = [found.files[row] for row in rows]
    learned = {file.label for file in files if file.split in ("all", "train")}
    kept = [k for k in range(len(found.labels)) if k in learned]
    if missing := [label for k, label in enumerate(found.labels) if k not in learned]:
        notes.append(f"No usable image to learn from, so the class is left out: {list_names(missing)}.")
    if len(kept) < 2:
        what = f"only one class, {found.labels[kept[0]]!r}, has" if kept else "no class has"
        raise WorkbenchError(
            f"In {found.root} {what} usable images; two are needed. {LAYOUT} {' '.join(notes)}".strip()
        )
    chosen = np.array([file.label in learned for file in files])
    rows, files = rows[chosen], [file for file in files if file.label in learned]
    labels = np.array([kept.index(file.label) for file in files], dtype=np.int64)
    divided = divide(labels, [file.split for file in files], len(kept), seed)
    names = tuple(found.labels[k] for k in kept)
    notes += _thin_classes(names, labels, divided)
    splits = {
        split: RawSplit(Rows(decoded.images, rows[at]), labels[at], names=tuple(files[i].name for i in at))
        for split, at in divided.items()
    }
    return RawData(names, splits, tuple(notes))


def decode(found: Scan, size: int, progress: Progress) -> Decoded:
    """Read every file in a pool of threads and fit it to size × size × 3."""
    count, target, issues = len(found.files), square(size, 3), Issues()
    images = scratch((count, size, size, 3))

    def read(index: int) -> tuple[bytes, tuple[str, ...] | str]:
        file = found.files[index]
        try:
            image = read_image(Path(file.path), name=file.name)
        except ImageError as error:
            return b"", str(error)
        images[index] = fit_image(image.pixels, target)
        digest = hashlib.blake2b(repr(image.pixels.shape).encode(), digest_size=16)
        digest.update(image.pixels.data)
        return digest.digest(), image.notes

    digests: list[bytes] = []
    for digest, outcome in _in_threads(read, count, lambda done: progress("reading images", done, count)):
        name = found.files[len(digests)].name
        if isinstance(outcome, str):
            issues.add("Skipped", f"{name} ({outcome.removeprefix(name + ': ').split('. ')[0].rstrip('.')})")
        else:
            for note in outcome:
                issues.add(note[0].upper() + note[1:], name)
        digests.append(digest)
    return Decoded(images, digests, issues)


def divide(labels: Indices, given: list[str], classes: int, seed: int) -> dict[str, Indices]:
    """Return the row numbers of train, validation, test and new.

    labels: int64 (N,). given: the split that the user put each row in, or "all". What the user set apart stays apart;
    the rest is divided by `plan_folder`.
    """
    origin = np.array(given)
    pool = np.flatnonzero((origin == "all") | (origin == "train"))
    apart = {split: np.flatnonzero(origin == split) for split in ("test", "validation")}
    plan = plan_folder(
        np.bincount(labels[pool], minlength=classes).tolist(),
        test=not len(apart["test"]),
        validation=not len(apart["validation"]),
    )
    test, validation, new, train = (pool[rows] for rows in take(labels[pool], plan, seed=seed))
    return {
        "train": train,
        "validation": shuffled(np.concatenate([validation, apart["validation"]])),
        "test": shuffled(np.concatenate([test, apart["test"]])),
        "new": new,
    }


def _thin_classes(names: tuple[str, ...], labels: Indices, divided: dict[str, Indices]) -> list[str]:
    """Return notes on classes without images to test or validate them."""
    notes = []
    for split, verb in (("test", "tested"), ("validation", "validated")):
        present = set(labels[divided[split]].tolist())
        missing = [f"{name} ({np.sum(labels == k)})" for k, name in enumerate(names) if k not in present]
        if missing:
            notes.append(f"Too few images to be {verb}, so learned only: {list_names(missing)}.")
    return notes


def _in_threads(work: Callable[[int], T], count: int, report: Callable[[int], None]) -> Iterator[T]:
    """Yield `work(0)` to `work(count - 1)` in order; decoders release the interpreter's lock."""
    # No more threads than cores: each holds one decoded photo.
    pool = ThreadPoolExecutor(usable_cores())
    try:
        batches = [range(start, min(start + _BATCH, count)) for start in range(0, count, _BATCH)]
        results = pool.map(lambda rows: [work(row) for row in rows], batches)
        for batch, values in zip(batches, results, strict=True):
            yield from values
            report(batch.stop)
    finally:
        pool.shutdown(cancel_futures=True)
