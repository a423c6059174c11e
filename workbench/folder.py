"""A user's own pictures: one sub-folder a class, with everything odd about them said by file name."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from workbench import sources
from workbench.cache import Array, Rows, data_root, scratch
from workbench.errors import WorkbenchError
from workbench.pictures import PictureError, read_picture
from workbench.preprocessing import Preprocessing, fit_picture
from workbench.sources import (
    JPEG_ARCHIVE_SHA256,
    JPEG_TREE,
    Made,
    Pair,
    Part,
    Progress,
    available_cores,
    jpeg_tree,
    jpegs_unpacked,
    official_parts,
)
from workbench.splits import Indices, plan_folder, shuffled, take

T = TypeVar("T")

LAYOUT = (
    "Put the pictures of each class into a sub-folder named after it, such as pets/cat/tom.jpg and pets/dog/rex.jpg; "
    "or set a test apart with pets/train/cat, pets/test/cat and so on."
)
NAMED = 5  # files that a note names before it counts the rest

_SPLIT_FOLDERS = {
    "train": "train",
    "test": "test",
    "val": "validation",
    "validation": "validation",
    "valid": "validation",
}
_NOT_MEANT = {"thumbs.db", "desktop.ini", "__macosx"}
_BATCH = 64


@dataclass(frozen=True)
class File:
    """One file that may be a picture. path: as opened; name: relative to the folder, fit to be shown."""

    path: str
    name: str
    split: str
    label: int


@dataclass(frozen=True, eq=False)
class Found:
    """What lies in a folder, before anything is decoded.

    split of each file: "train", "validation" or "test" where the user set them apart, else "all". fingerprint: a hash
    of all names, sizes and times of change. notes: what is left out already.
    """

    root: Path
    labels: tuple[str, ...]
    files: tuple[File, ...]
    fingerprint: str
    notes: tuple[str, ...] = ()

    @property
    def splits(self) -> frozenset[str]:
        """The splits that the user made; {"all"} where there are none."""
        return frozenset(file.split for file in self.files)


@dataclass(frozen=True, eq=False)
class Decoded:
    """Every file decoded and fitted. pictures: uint8 (N, size, size, 3), zero where not usable; usable: bool (N,).

    digests: a hash of each picture's own pixels, before fitting; empty where not usable.
    """

    pictures: Array
    usable: NDArray[np.bool_]
    digests: list[bytes]


class Oddities:
    """Files grouped by what is odd about them, for notes that stay short for thousands of files."""

    def __init__(self) -> None:
        self._groups: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, kind: str, name: str) -> None:
        """Remember that `name` is of this kind."""
        self._groups[kind].append(name)

    def notes(self) -> tuple[str, ...]:
        """One sentence a kind, naming the first few files."""
        return tuple(f"{kind}: {listed(names)}." for kind, names in self._groups.items())


def listed(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - NAMED
    return "; ".join(names[:NAMED]) + (f"; and {more:,} more" if more > 0 else "")


def make_from_folder(found: Found, size: int, seed: int, progress: Progress) -> Made:
    """Decode a folder, drop copies, and divide what is left: 70 % training, 15 % validation, 15 % test, some new.

    Raises WorkbenchError where fewer than two classes have usable pictures.
    """
    oddities = Oddities()
    decoded = decode(found, size, progress, oddities)
    rows = np.flatnonzero(used_once(found.files, decoded.digests, oddities))
    notes = [*found.notes, *oddities.notes()]
    files = [found.files[row] for row in rows]
    learned = {file.label for file in files if file.split in ("all", "train")}
    kept = [k for k in range(len(found.labels)) if k in learned]
    if without := [label for k, label in enumerate(found.labels) if k not in learned]:
        notes.append(f"No usable picture to learn from, so the class is left out: {listed(without)}.")
    if len(kept) < 2:
        what = f"only one class, {found.labels[kept[0]]!r}, has" if kept else "no class has"
        raise WorkbenchError(
            f"In {found.root} {what} usable pictures; two are needed. {LAYOUT} {' '.join(notes)}".strip()
        )
    chosen = np.array([file.label in learned for file in files])
    rows, files = rows[chosen], [file for file in files if file.label in learned]
    labels = np.array([kept.index(file.label) for file in files], dtype=np.int64)
    divided = divide(labels, [file.split for file in files], len(kept), seed)
    words = tuple(found.labels[k] for k in kept)
    notes += _thin_classes(words, labels, divided)
    parts = {
        split: Part(
            Rows(decoded.pictures, rows[at]),
            labels[at],
            names=tuple(files[i].name for i in at),
        )
        for split, at in divided.items()
    }
    return Made(words, parts, tuple(notes))


def jpegs_fingerprint() -> str:
    """What identifies the JPEG copies of CIFAR-10: the state of their files, or the hash of their archive."""
    return scan(data_root() / JPEG_TREE).fingerprint if jpegs_unpacked() else JPEG_ARCHIVE_SHA256


def make_cifar_from_jpegs(size: int, seed: int, progress: Progress) -> Made:
    """CIFAR-10 from a tree of JPEG files: its test kept whole, copies and all, as in the original."""
    with jpeg_tree() as tree:
        if tree is None:
            raise WorkbenchError("The JPEG files of CIFAR-10 have gone while they were read. Load the data set again.")
        found, oddities = scan(tree), Oddities()
        decoded = decode(found, size, progress, oddities)
        pairs: dict[str, Pair] = {}
        for split in ("train", "test"):
            there = [i for i, file in enumerate(found.files) if file.split == split and decoded.usable[i]]
            rows = shuffled(np.array(there, dtype=np.int64))
            # After validation and new are taken from it, something must be left to learn from.
            if len(rows) <= (sum(sources.HELD_BACK.values()) if split == "train" else 0):
                raise WorkbenchError(
                    f"{tree} is not all of CIFAR-10: only {len(rows):,} usable pictures in {split}. Unpack it again, "
                    "or load it by its path, as any folder of pictures."
                )
            pairs[split] = decoded.pictures[rows], np.array([found.files[i].label for i in rows], dtype=np.int64)
    note = (
        "Read from JPEG copies, which are not pixel-exact (quality 75): results are close to, but not comparable with, "
        "published CIFAR-10 figures."
    )
    return Made(
        found.labels,
        official_parts(pairs["train"], pairs["test"], seed),
        (note, *oddities.notes()),
    )


def scan(root: Path) -> Found:
    """List the classes and files of a folder.

    Hidden files are passed over; links to folders are followed, once each. Pictures in deeper folders belong to the
    class above them. Raises WorkbenchError where there are no class folders.
    """
    classes, notes = _class_folders(root)
    labels = sorted({label for _, label, _ in classes})
    files, digest = [], hashlib.sha256()
    for split, label, folder in classes:
        for path in _walk(folder):
            name = shown(os.path.relpath(path, root))
            files.append(File(path, name, split, labels.index(label)))
            digest.update(f"{name}\0{_state(path)}\n".encode())
    if not files:
        raise WorkbenchError(f"There are no pictures in {root}. {LAYOUT}")
    return Found(root, tuple(labels), tuple(files), digest.hexdigest(), tuple(notes))


def decode(found: Found, size: int, progress: Progress, oddities: Oddities) -> Decoded:
    """Read every file in a pool of threads and fit it to size × size × 3; what is odd is added to `oddities`."""
    count = len(found.files)
    wanted = Preprocessing(height=size, width=size, channels=3, mean=(0.0,) * 3, std=(1.0,) * 3)
    pictures = scratch((count, size, size, 3))

    def read(index: int) -> tuple[bytes, tuple[str, ...] | str]:
        file = found.files[index]
        try:
            picture = read_picture(Path(file.path), name=file.name)
        except PictureError as error:
            return b"", str(error)
        pictures[index] = fit_picture(picture.pixels, wanted)
        own = hashlib.blake2b(repr(picture.pixels.shape).encode(), digest_size=16)
        own.update(picture.pixels.data)
        return own.digest(), picture.notes

    digests: list[bytes] = []
    for digest, outcome in _in_threads(read, count, lambda done: progress("reading pictures", done, count)):
        name = found.files[len(digests)].name
        if isinstance(outcome, str):
            oddities.add(
                "Skipped",
                f"{name} ({outcome.removeprefix(name + ': ').split('. ')[0].rstrip('.')})",
            )
        else:
            for note in outcome:
                oddities.add(note[0].upper() + note[1:], name)
        digests.append(digest)
    return Decoded(pictures, np.array([bool(digest) for digest in digests]), digests)


def used_once(files: tuple[File, ...], digests: list[bytes], oddities: Oddities) -> NDArray[np.bool_]:
    """Which files to use when the same pixels lie in several: bool (N,).

    Copies within a class are used once, in the test if one of them is there, so that no tested picture was learned.
    The same picture in two classes has no true label: none of its copies is used.
    """
    rank = {"test": 0, "validation": 1}
    copies: defaultdict[bytes, list[int]] = defaultdict(list)
    for index, digest in enumerate(digests):
        if digest:
            copies[digest].append(index)
    use = np.array([bool(digest) for digest in digests])
    for indices in copies.values():
        if len(indices) == 1:
            continue
        names = [files[index].name for index in indices]
        if len({files[index].label for index in indices}) > 1:
            use[indices] = False
            oddities.add(
                "The same picture in two classes, so not used",
                " = ".join(names[:NAMED]),
            )
            continue
        first = min(indices, key=lambda index: (rank.get(files[index].split, 2), index))
        for index in indices:
            if index != first:
                use[index] = False
                oddities.add("Copies used once", f"{files[index].name} (= {files[first].name})")
    return use


def divide(labels: Indices, given: list[str], classes: int, seed: int) -> dict[str, Indices]:
    """Row numbers for train, validation, test and new.

    labels: int64 (N,). given: the split that the user put each row in, or "all". What is set apart stays apart; the
    rest is divided by `plan_folder`.
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


def shown(name: str) -> str:
    """A file name that can be printed and stored, whatever bytes are in it."""
    text = os.fsencode(name).decode("utf-8", "replace").replace(os.sep, "/")
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _thin_classes(words: tuple[str, ...], labels: Indices, divided: dict[str, Indices]) -> list[str]:
    """Notes on classes that cannot be tested or validated."""
    notes = []
    for split, verb in (("test", "tested"), ("validation", "validated")):
        there = set(labels[divided[split]].tolist())
        missing = [f"{word} ({np.sum(labels == k)})" for k, word in enumerate(words) if k not in there]
        if missing:
            notes.append(f"Too few pictures to be {verb}, so learned only: {listed(missing)}.")
    return notes


def _class_folders(root: Path) -> tuple[list[tuple[str, str, str]], list[str]]:
    """(split, class, folder) of each class folder that holds anything, in order, and notes on those that do not."""
    try:
        entries = [entry for entry in sorted(os.scandir(root), key=lambda e: e.name) if _meant(entry.name)]
    except OSError as error:
        raise WorkbenchError(f"The folder {root} cannot be read ({error.strerror}).") from error
    folders = [entry for entry in entries if _is_folder(entry)]
    loose = [shown(entry.name) for entry in entries if not _is_folder(entry)]
    if not folders:
        there = f"{len(loose):,} files but no sub-folders" if loose else "nothing"
        raise WorkbenchError(f"The folder {root} holds {there}. {LAYOUT}")
    notes = [f"Not in any class folder, so not used: {listed(loose)}."] if loose else []
    by_split = {_SPLIT_FOLDERS[f.name.lower()]: f for f in folders if f.name.lower() in _SPLIT_FOLDERS}
    if "train" in by_split and _sub_folders(by_split["train"].path):
        others = [shown(f.name) for f in folders if f.name.lower() not in _SPLIT_FOLDERS]
        notes += [f"Beside train and test, so not used: {listed(others)}."] if others else []
        candidates = [(split, f) for split, above in by_split.items() for f in _sub_folders(above.path)]
        if set(by_split) == {"train"}:
            candidates = [("all", f) for _, f in candidates]
    else:
        candidates = [("all", f) for f in folders]
    empty = [shown(os.path.relpath(f.path, root)) for _, f in candidates if not any(_walk(f.path))]
    notes += [f"Empty, so left out: {listed(empty)}."] if empty else []
    return [(split, shown(f.name), f.path) for split, f in candidates if any(_walk(f.path))], notes


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads back to itself
        return False


def _sub_folders(folder: str) -> list[os.DirEntry[str]]:
    try:
        entries = sorted(os.scandir(folder), key=lambda e: e.name)
    except OSError:
        return []
    return [entry for entry in entries if _is_folder(entry) and _meant(entry.name)]


def _walk(folder: str) -> Iterator[str]:
    """All files below a folder that are not hidden, in order; links are followed, but never back up nor twice."""
    seen = {_identity(above) for above in Path(folder).absolute().parents}
    for place, folders, names in os.walk(folder, followlinks=True):
        identity = _identity(place)
        if identity in seen:
            folders.clear()
            continue
        seen.add(identity)
        folders[:] = sorted(name for name in folders if _meant(name))
        yield from (os.path.join(place, name) for name in sorted(names) if _meant(name))


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _meant(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in _NOT_MEANT


def _state(path: str) -> str:
    try:
        status = os.stat(path)
    except OSError:
        return "unreadable"
    return f"{status.st_size}:{status.st_mtime_ns}"


def _in_threads(work: Callable[[int], T], count: int, report: Callable[[int], None]) -> Iterator[T]:
    """`work(0)` to `work(count - 1)` in order; decoders let other threads run meanwhile."""
    # No more threads than cores: each holds one decoded photo.
    pool = ThreadPoolExecutor(available_cores())
    try:
        batches = [range(start, min(start + _BATCH, count)) for start in range(0, count, _BATCH)]
        for batch, results in zip(
            batches,
            pool.map(lambda rows: [work(row) for row in rows], batches),
            strict=True,
        ):
            yield from results
            report(batch.stop)
    finally:
        pool.shutdown(cancel_futures=True)
