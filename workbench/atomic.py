"""Write files and folders atomically: write to a temporary name beside them, flush to disk, rename."""

from __future__ import annotations

import glob
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workbench.errors import WorkbenchError

LEFTOVER_SECONDS = 3600.0


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on a clean exit flush it to disk and rename it to `path`.

    Whatever happens in between (an exception, a kill, a full disk), `path` holds either all of its old bytes or all of
    the new ones. A symbolic link is followed, and parent folders are created. Raises WorkbenchError if the folder
    cannot be written or `path` exists and is not a regular file.
    """
    given, path = path, Path(os.path.realpath(path))
    try:
        if path.exists() and not path.is_file():
            raise WorkbenchError(f"Cannot write {given}: it exists and is not a regular file. Choose another name.")
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as error:
        raise WorkbenchError(f"Cannot write {given}: {error.strerror}. Choose a folder you may write to.") from error
    os.close(handle)
    part = Path(name)
    _remove_leftovers(path)
    try:
        yield part
        with open(part, "rb+") as written:
            os.fsync(written.fileno())
        part.chmod(0o666 & ~_umask())
        os.replace(part, path)
        _flush_folder(path.parent)
    except OSError as error:
        if error.filename not in (None, name):
            raise
        reason = error.strerror or error
        raise WorkbenchError(f"Cannot write {given}: {reason}. Free some space or choose another folder.") from error
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `folder`; on a clean exit it replaces `folder`.

    If anything goes wrong in between, the old folder stays. A kill between the two renames leaves it in a hidden folder
    beside `folder`, from which the next write restores it. Raises WorkbenchError if the parent cannot be written.
    """
    folder = Path(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
    except OSError as error:
        raise WorkbenchError(f"Cannot write {folder}: {error.strerror}. Choose a folder you may write to.") from error
    part, old = scratch / "new", scratch / "old"
    _remove_leftovers(folder)
    try:
        part.mkdir()
        yield part
        if folder.exists():
            folder.rename(old)
        try:
            part.rename(folder)
        except OSError:
            if old.exists():
                old.rename(folder)
            raise
        _flush_folder(folder.parent)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _remove_leftovers(path: Path) -> None:
    """Remove what writers of `path` that were killed more than an hour ago left beside it."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        try:
            if time.time() - leftover.stat().st_mtime < LEFTOVER_SECONDS:
                continue
            if leftover.is_dir():
                if not path.exists() and (leftover / "old").is_dir():
                    (leftover / "old").rename(path)  # killed between its two renames
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink()
        except OSError:
            continue  # another process removed it first


def check_writable(path: Path) -> None:
    """Raise WorkbenchError if `path` cannot be written. Call it before the work whose result goes there."""
    with suppress(_NothingToWrite), whole_file(path):
        raise _NothingToWrite


class _NothingToWrite(Exception):
    """Leaves `whole_file` before the rename."""


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically."""
    with whole_file(path) as part:
        part.write_bytes(content)


def write_text(path: Path, content: str) -> None:
    """Write `content` to `path` atomically, as UTF-8."""
    write_bytes(path, content.encode("utf-8"))


def _umask() -> int:
    # mkstemp makes private files; these should be as readable as any other file of the user.
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _flush_folder(folder: Path) -> None:
    # A rename survives a power cut only once its folder is flushed; Windows cannot open a folder.
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
