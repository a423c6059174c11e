"""What a learner predicted, measured, decided and answered, kept from lesson to lesson in one JSON file. No torch.

    {"format": "workbench learner record", "version": 1, "entries": [{"kind": "predicted", "id": "00-small-race", …}]}

Each entry says its kind, its id, when (UTC), on which machine, and with which version of the workbench; the rest
depends on the kind. The oldest comes first.
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
from workbench.devices import find_device
from workbench.errors import WorkbenchError
from workbench.sealed import now, shortened, versions

RECORD = Path("../runs/learner.json")  # beside the run of the lessons, which are read in notebooks/
VARIABLE = "WORKBENCH_LEARNER"
FORMAT, VERSION = "workbench learner record", 1
MAX_ID = 80  # characters
PATIENCE_SECONDS = 10.0  # with another kernel that is writing

Entry = dict[str, Any]


class LearnerRecord:
    """The record in the file `path`; without one, in the file that WORKBENCH_LEARNER names, else in RECORD.

    Several kernels may write to it at the same time. A damaged file is set aside, never overwritten. Where nothing can
    be written, entries are kept in memory, and reach the file if it can be written later. said: in a sentence, why
    what was noted last is not in the file, or what happened to a damaged one; empty when all is well.
    """

    def __init__(self, path: Path | str | None = None) -> None:
        chosen = arguments.path("record", path or os.environ.get(VARIABLE) or RECORD)
        self.path = Path(os.path.realpath(chosen))  # whoever changes the folder later writes to the same file
        self.said = ""
        self._unwritten: list[tuple[Entry, Sequence[str]]] = []
        self._one_at_a_time = threading.Lock()

    def __repr__(self) -> str:
        return f"LearnerRecord: {len(self.entries)} entries in {self.path}"

    @property
    def entries(self) -> list[Entry]:
        """All entries as they are now, the oldest first; those that could not be written too."""
        with self._one_at_a_time, ExitStack() as stack:
            entries: list[Entry] = []
            try:
                if self.path.exists():
                    with suppress(OSError, NotImplementedError):  # a folder that is only read has no room for a lock
                        stack.enter_context(self._lock())
                    entries = self._read()
            except WorkbenchError as error:
                self.said = f"{error}"
            for entry, once in self._unwritten:
                _put(entries, deepcopy(entry), once)
            return entries

    def of(self, kind: str, id: str, **facts: Any) -> list[Entry]:
        """The entries of this kind and id that have all these facts, the oldest first."""
        return _those(self.entries, {"kind": kind, "id": id, **facts})

    def note(self, kind: str, id: str, *, once: Sequence[str] = (), **facts: Any) -> Entry:
        """Add an entry, and give it back as it is kept. Never raises for a file that cannot be written: see `said`.

        once: names of facts. Where an entry of this kind and id has the same values of these, it is brought up to date
        instead, and keeps what it said first under "first". Raises WorkbenchError for an id that `checked_id` refuses,
        and for facts that JSON cannot carry.
        """
        entry = {"kind": kind, "id": checked_id(id), **facts}
        entry |= {"machine": machine(), "when": now(), "workbench": versions()["workbench"]}
        try:
            entry = json.loads(json.dumps(entry, allow_nan=False))
        except (TypeError, ValueError) as error:
            raise WorkbenchError(f"Only plain, finite values can be kept in the record: {error}.") from error
        with self._one_at_a_time:
            self._unwritten.append((entry, once))
            try:
                return deepcopy(self._write())
            except (OSError, NotImplementedError, WorkbenchError) as error:
                reason = error if isinstance(error, WorkbenchError) else f"Cannot write {self.path}: {error}."
                if isinstance(error, TimeoutError):
                    reason = f"Another kernel has been writing to {self.path} for {PATIENCE_SECONDS:.0f} s."
                self.said = f"This is not kept in your record. {reason}"
                return deepcopy(entry)

    def _write(self) -> Entry:
        """Everything that is not in the file yet; the last of it as it is kept."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._lock():
            said = ""
            try:
                entries = self._read()
            except DamagedError as damage:
                entries, said = (
                    [],
                    f"{damage} It was set aside as {self._set_aside(damage).name}, and a new record begun.",
                )
            for entry, once in self._unwritten:
                kept = _put(entries, entry, once)
            content = {"format": FORMAT, "version": VERSION, "entries": entries}
            text = json.dumps(content, ensure_ascii=False, indent=1) + "\n"
            # Half a surrogate pair is a str in Python and no text in a file.
            write_text(self.path, text.encode("utf-8", "replace").decode("utf-8"))
        self._unwritten.clear()
        self.said = said
        return kept

    def _lock(self) -> FileLock:
        return FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=PATIENCE_SECONDS)

    def _read(self) -> list[Entry]:
        """Raises DamagedError, and WorkbenchError for a file that cannot be read or that a newer version wrote."""
        if self.path.exists() and not self.path.is_file():
            raise WorkbenchError(f"{self.path} is no plain file: name another for the record.")
        try:
            content = json.loads(self.path.read_bytes().decode("utf-8"))
        except FileNotFoundError:
            return []
        except OSError as error:
            raise WorkbenchError(f"Cannot read {self.path}: {error.strerror}.") from error
        except (ValueError, RecursionError) as error:
            raise DamagedError(f"{self.path} is damaged: it is no valid JSON ({shortened(error)}).") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise DamagedError(f"{self.path} is no {FORMAT}.")
        version, entries = content.get("version"), content.get("entries")
        if isinstance(version, int) and version > VERSION:
            raise WorkbenchError(f"{self.path} was written by a newer workbench (version {version}): update this one.")
        if version != VERSION or not isinstance(entries, list) or not all(map(_is_entry, entries)):
            raise DamagedError(f"{self.path} is damaged: its version or its entries are not as they were written.")
        return entries

    def _set_aside(self, damage: DamagedError) -> Path:
        if self.path.suffix != ".json":  # never was a record: somebody named a file of another kind
            raise WorkbenchError(f"{damage} It is left as it is: name a .json file for the record.") from damage
        place, number = self.path.with_name(f"{self.path.stem}.damaged{self.path.suffix}"), 1
        while place.exists():
            number += 1
            place = self.path.with_name(f"{self.path.stem}.damaged-{number}{self.path.suffix}")
        self.path.rename(place)
        return place


class DamagedError(WorkbenchError):
    """Why a file is not taken for a learner's record."""


def checked_id(id: object) -> str:
    """`id`, of a question or a decision. Raises WorkbenchError for what is no printable text of 1 to MAX_ID letters."""
    if isinstance(id, str) and id.isprintable() and len(id.strip()) > 0 and len(id) <= MAX_ID:
        return id
    raise WorkbenchError(
        f"id = {shortened(repr(id))}: write 1 to {MAX_ID} printable characters, such as '00-small-race'."
    )


@cache
def machine() -> str:
    """This machine as it is told apart from the learner's others: its processor and the cores that may be used."""
    return find_device("cpu").title


def told_time(when: str) -> str:
    """The time of an entry as people here read it: "2026-11-25 at 22:19"."""
    try:
        return datetime.fromisoformat(when).astimezone().strftime("%Y-%m-%d at %H:%M")
    except ValueError:  # edited by hand
        return shortened(when, 40)


def _is_entry(entry: object) -> bool:
    return isinstance(entry, dict) and all(isinstance(entry.get(key), str) for key in ("kind", "id", "when"))


def _those(entries: Iterable[Entry], facts: Mapping[str, Any]) -> list[Entry]:
    return [entry for entry in entries if all(entry.get(name) == value for name, value in facts.items())]


def _put(entries: list[Entry], entry: Entry, once: Sequence[str]) -> Entry:
    """Add `entry`, or bring the one up to date that it repeats; as it is then."""
    same = _those(entries, {name: entry.get(name) for name in ("kind", "id", *once)}) if once else []
    if not same:
        entries.append(entry)
        return entry
    kept = same[-1]
    first = {name: value for name, value in kept.items() if name not in ("kind", "id", *once)}
    kept.update({"first": first} | kept, **entry)
    return kept
