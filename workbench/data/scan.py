"""Find the class folders and the files of a user's folder of images. Nothing is decoded here."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import WorkbenchError

LAYOUT = (
    "Put the images of each class into a sub-folder named after it, such as pets/cat/tom.jpg and pets/dog/rex.jpg; "
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
_SYSTEM_FILES = {"thumbs.db", "desktop.ini", "__macosx"}


@dataclass(frozen=True)
class File:
    """A file that may be an image. path: to open. name: relative to the folder, printable. label: the class's index."""

    path: str
    name: str
    split: str
    label: int


@dataclass(frozen=True, eq=False)
class Scan:
    """The files of a folder, by class, before anything is decoded.

    split of each file: "train", "validation" or "test" where the user set them apart, else "all". fingerprint: a hash
    of all names, sizes and modification times. notes: on what is left out already.
    """

    root: Path
    labels: tuple[str, ...]
    files: tuple[File, ...]
    fingerprint: str
    notes: tuple[str, ...] = ()


def scan(root: Path) -> Scan:
    """List the classes and files of a folder.

    Hidden files are ignored; links to folders are followed, once each. Images in deeper folders belong to the class
    above them. Raises WorkbenchError where there are no class folders.
    """
    classes, notes = _class_folders(root)
    labels = sorted({label for _, label, _ in classes})
    files, digest = [], hashlib.sha256()
    for split, label, folder in classes:
        for path in _walk(folder):
            name = printable(os.path.relpath(path, root))
            files.append(File(path, name, split, labels.index(label)))
            digest.update(f"{name}\0{_state(path)}\n".encode())
    if not files:
        raise WorkbenchError(f"There are no images in {root}. {LAYOUT}")
    return Scan(root, tuple(labels), tuple(files), digest.hexdigest(), tuple(notes))


class Issues:
    """Files grouped by what is odd about them, so that notes stay short for thousands of files."""

    def __init__(self) -> None:
        self._groups: defaultdict[str, list[str]] = defaultdict(list)

    def add(self, issue: str, name: str) -> None:
        """Record that the file `name` has this issue."""
        self._groups[issue].append(name)

    def notes(self) -> tuple[str, ...]:
        """Return one sentence per issue that names the first few files."""
        return tuple(f"{issue}: {list_names(names)}." for issue, names in self._groups.items())


def list_names(names: list[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = len(names) - NAMED
    return "; ".join(names[:NAMED]) + (f"; and {more:,} more" if more > 0 else "")


def printable(name: str) -> str:
    """Return a file name that can be printed and stored, whatever bytes it consists of."""
    text = os.fsencode(name).decode("utf-8", "replace").replace(os.sep, "/")
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


def _class_folders(root: Path) -> tuple[list[tuple[str, str, str]], list[str]]:
    """Return (split, class, folder) of each class folder that holds anything, in order, and notes on the others."""
    try:
        entries = [entry for entry in sorted(os.scandir(root), key=lambda e: e.name) if _is_data(entry.name)]
    except OSError as error:
        raise WorkbenchError(f"The folder {root} cannot be read ({error.strerror}).") from error
    folders = [entry for entry in entries if _is_folder(entry)]
    loose = [printable(entry.name) for entry in entries if not _is_folder(entry)]
    if not folders:
        content = f"{len(loose):,} files but no sub-folders" if loose else "nothing"
        raise WorkbenchError(f"The folder {root} holds {content}. {LAYOUT}")
    notes = [f"Not in any class folder, so not used: {list_names(loose)}."] if loose else []
    by_split = {_SPLIT_FOLDERS[f.name.lower()]: f for f in folders if f.name.lower() in _SPLIT_FOLDERS}
    if "train" in by_split and _sub_folders(by_split["train"].path):
        others = [printable(f.name) for f in folders if f.name.lower() not in _SPLIT_FOLDERS]
        notes += [f"Beside train and test, so not used: {list_names(others)}."] if others else []
        candidates = [(split, f) for split, above in by_split.items() for f in _sub_folders(above.path)]
        if set(by_split) == {"train"}:
            candidates = [("all", f) for _, f in candidates]
    else:
        candidates = [("all", f) for f in folders]
    empty = [printable(os.path.relpath(f.path, root)) for _, f in candidates if not any(_walk(f.path))]
    notes += [f"Empty, so left out: {list_names(empty)}."] if empty else []
    return [(split, printable(f.name), f.path) for split, f in candidates if any(_walk(f.path))], notes


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
    return [entry for entry in entries if _is_folder(entry) and _is_data(entry.name)]


def _walk(folder: str) -> Iterator[str]:
    """Yield all files below a folder that are not hidden, in order; links are followed, but never back up nor twice."""
    seen = {_identity(above) for above in Path(folder).absolute().parents}
    for current, folders, names in os.walk(folder, followlinks=True):
        identity = _identity(current)
        if identity in seen:
            folders.clear()
            continue
        seen.add(identity)
        folders[:] = sorted(name for name in folders if _is_data(name))
        yield from (os.path.join(current, name) for name in sorted(names) if _is_data(name))


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _is_data(name: str) -> bool:
    return not name.startswith(".") and name.lower() not in _SYSTEM_FILES


def _state(path: str) -> str:
    try:
        status = os.stat(path)
    except OSError:
        return "unreadable"
    return f"{status.st_size}:{status.st_mtime_ns}"
