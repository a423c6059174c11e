"""The learner's record: predictions, measurements, decisions and answers from all lessons, in one JSON file. No torch.

    {"format": "workbench learner record", "version": 1, "entries": [{"kind": "predicted", "id": "00-small-race", …}]}

Every entry has a kind, an id, the time (UTC), the machine and the workbench version; the other fields depend on the
kind. Entries are stored oldest first.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from copy import deepcopy
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from filelock import FileLock

from workbench import arguments
from workbench.atomic import write_text
from workbench.errors import WorkbenchError
from workbench.machine.devices import find_device
from workbench.wording import now, shorten, versions

RECORD = Path("../runs/learner.json")  # relative to notebooks/
VARIABLE = "WORKBENCH_LEARNER"
FORMAT, VERSION = "workbench learner record", 1
MAX_ID = 80  # characters
LOCK_TIMEOUT_SECONDS = 10.0

Entry = dict[str, Any]


class LearnerRecord:
    """The record in the file `path`; by default the file named by WORKBENCH_LEARNER, else RECORD.

    Several kernels may write at the same time. A damaged file is renamed, never overwritten. When the file cannot be
    written, entries stay in memory and are saved with the next entry that can be. problem: a sentence on why the last
    entry was not saved or what happened to a damaged file; empty when all is well.

    >>> record = LearnerRecord("learner.json")
    >>> entry = record.note("predicted", "00-small-race", answer=2.5)
    >>> [entry["answer"] for entry in record.find("predicted", "00-small-race")]
    [2.5]
    """

    def __init__(self, path: Path | str | None = None) -> None:
        chosen = arguments.path("record", path or os.environ.get(VARIABLE) or RECORD)
        self.path = Path(os.path.realpath(chosen))  # stays the same file after a later chdir
        self.problem = ""
        self._unwritten: list[tuple[Entry, Sequence[str]]] = []
        self._access = threading.Lock()

    def __repr__(self) -> str:
        return f"LearnerRecord: {len(self.entries)} entries in {self.path}"

    @property
    def entries(self) -> list[Entry]:
        """A copy of all entries, oldest first, including those not saved yet."""
        with self._access, ExitStack() as stack:
            entries: list[Entry] = []
            try:
                if self.path.exists():
                    with suppress(OSError, NotImplementedError):  # no lock file can be made in a read-only folder
                        stack.enter_context(self._lock())
                    entries = self._read()
            except WorkbenchError as error:
                self.problem = str(error)
            for entry, key in self._unwritten:
                _put(entries, deepcopy(entry), key)
            return entries

    def find(self, kind: str, id: str, **facts: Any) -> list[Entry]:
        """Return the entries of this kind and id that have all these facts, oldest first."""
        return _matching(self.entries, {"kind": kind, "id": id, **facts})

    def note(self, kind: str, id: str, *, key: Sequence[str] = (), **facts: Any) -> Entry:
        """Add an entry and return it as stored. A file that cannot be written raises nothing: see `problem`.

        key: names of facts. An existing entry of the same kind and id with equal values for these is updated instead,
        and its original facts are kept under "first". Raises WorkbenchError for an invalid id and for facts that are
        not valid JSON.
        """
        entry = {"kind": kind, "id": checked_id(id), **facts}
        entry |= {"machine": machine_title(), "when": now(), "workbench": versions()["workbench"]}
        try:
            entry = json.loads(json.dumps(entry, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise WorkbenchError(f"Only plain, finite values can be kept in the record: {error}.") from error
        with self._access:
            self._unwritten.append((entry, key))
            try:
                return deepcopy(self._write())
            except (OSError, NotImplementedError, WorkbenchError) as error:
                reason = error if isinstance(error, WorkbenchError) else f"Cannot write {self.path}: {error}."
                if isinstance(error, TimeoutError):
                    reason = f"Another kernel has been writing to {self.path} for {LOCK_TIMEOUT_SECONDS:.0f} s."
                self.problem = f"This is not kept in your record. {reason}"
                return deepcopy(entry)

    def _write(self) -> Entry:
        """Save all unwritten entries; return the last one as stored."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock():
            problem = ""
            try:
                entries = self._read()
            except DamagedError as damage:
                entries = []
                problem = f"{damage} It was renamed to {self._set_aside(damage).name}, and a new record was started."
            for entry, key in self._unwritten:
                stored = _put(entries, entry, key)
            content = {"format": FORMAT, "version": VERSION, "entries": entries}
            text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
            # A Python str may hold a lone surrogate, which UTF-8 cannot encode.
            write_text(self.path, text.encode("utf-8", "replace").decode("utf-8"))
        self._unwritten.clear()
        self.problem = problem
        return stored

    def _lock(self) -> FileLock:
        return FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=LOCK_TIMEOUT_SECONDS)

    def _read(self) -> list[Entry]:
        """Raise DamagedError, or WorkbenchError for a file that is unreadable or written by a newer version."""
        if self.path.exists() and not self.path.is_file():
            raise WorkbenchError(f"{self.path} is not a regular file: choose another path for the record.")
        try:
            content = json.loads(self.path.read_bytes().decode("utf-8"))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise WorkbenchError(f"Cannot read {self.path}: {error.strerror}.") from error
        except (ValueError, RecursionError) as error:
            raise DamagedError(f"{self.path} is damaged: it is not valid JSON ({shorten(error)}).") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise DamagedError(f"{self.path} is not a {FORMAT}.")
        version, entries = content.get("version"), content.get("entries")
        if isinstance(version, int) and version > VERSION:
            raise WorkbenchError(f"{self.path} was written by a newer workbench (version {version}): update this one.")
        if version != VERSION or not isinstance(entries, list) or not all(map(_is_entry, entries)):
            raise DamagedError(f"{self.path} is damaged: its version or its entries are invalid.")
        return entries

    def _set_aside(self, damage: DamagedError) -> Path:
        if self.path.suffix != ".json":  # never was a record: another kind of file was named by mistake
            raise WorkbenchError(f"{damage} It was left unchanged: choose a .json file for the record.") from damage
        aside, number = self.path.with_name(f"{self.path.stem}.damaged{self.path.suffix}"), 1
        while aside.exists():
            number += 1
            aside = self.path.with_name(f"{self.path.stem}.damaged-{number}{self.path.suffix}")
        self.path.rename(aside)
        return aside


class DamagedError(WorkbenchError):
    """The file is not a valid learner record."""


def open_record(record: LearnerRecord | Path | str | None) -> LearnerRecord:
    """Return `record` itself, or the LearnerRecord in that file; None is the usual one."""
    return record if isinstance(record, LearnerRecord) else LearnerRecord(record)


def checked_id(id: object) -> str:
    """Return the id of a question or decision. Raise WorkbenchError unless it is 1 to MAX_ID printable characters."""
    if isinstance(id, str) and id.isprintable() and len(id.strip()) > 0 and len(id) <= MAX_ID:
        return id
    raise WorkbenchError(
        f"id = {shorten(repr(id))}: write 1 to {MAX_ID} printable characters, such as '00-small-race'."
    )


@cache
def machine_title() -> str:
    """This machine's name in the record: its processor and the number of usable cores."""
    return find_device("cpu").title


def format_time(when: str) -> str:
    """The time of an entry in the local time zone: "2026-11-25 at 22:19"."""
    try:
        return datetime.fromisoformat(when).astimezone().strftime("%Y-%m-%d at %H:%M")
    except ValueError:  # edited by hand
        return shorten(when, 40)


def _is_entry(entry: object) -> bool:
    return isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in ("kind", "id", "when"))


def _matching(entries: Iterable[Entry], facts: Mapping[str, Any]) -> list[Entry]:
    return [entry for entry in entries if all(entry.get(name) == value for name, value in facts.items())]


def _put(entries: list[Entry], entry: Entry, key: Sequence[str]) -> Entry:
    """Append `entry`, or update the existing one with the same key; return it as stored."""
    same = _matching(entries, {name: entry.get(name) for name in ("kind", "id", *key)}) if key else []
    if not same:
        entries.append(entry)
        return entry
    stored = same[-1]
    first = {name: value for name, value in stored.items() if name not in ("kind", "id", *key)}
    stored.update({"first": first} | stored, **entry)
    return stored
