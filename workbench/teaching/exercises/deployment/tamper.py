"""05-tamper: verify the files of a folder against the hashes in its manifest."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from workbench.teaching.exercises.answers import NOTHING_RETURNED, function_of, shown, try_call
from workbench.teaching.exercises.deployment.damages import (
    LABELS,
    LONG,
    MANIFEST,
    ONE,
    TWO,
    Damage,
    damages,
    write_intact,
)
from workbench.teaching.exercises.deployment.file_audit import files_opened
from workbench.teaching.exercises.exercise import Exercise, NotYet, Unanswered
from workbench.wording import one_line


def _check_tamper(answer: object) -> None:
    function = function_of(answer, "damaged")
    for damage in damages():
        with TemporaryDirectory() as scratch:
            folder = Path(scratch).resolve() / "bundle"
            write_intact(folder)
            damage.apply(folder)
            before = _snapshot(folder)
            with files_opened() as opened:
                found = _damage_found(function, folder, damage)
            if _snapshot(folder) != before:
                raise NotYet("Your function changes the folder: it should read it and change nothing.")
            outside = _outside(opened, folder, damage)
        _compare_damage(found, damage)
        if outside:
            raise NotYet(
                f"Altered: {damage.description}. You name it, but you have opened the file that it leads to: check "
                "where a name leads before you read the file."
            )


def _snapshot(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _outside(opened: list[Any], folder: Path, damage: Damage) -> bool:
    """Whether a file was opened that the manifest names and that is outside the folder."""
    read = {Path(os.fsdecode(path)).resolve() for path in opened if isinstance(path, str | bytes | os.PathLike)}
    named = {(folder / name).resolve() for name in damage.names}
    return any(not path.is_relative_to(folder) for path in read & named)


def _damage_found(function: Callable[..., Any], folder: Path, damage: Damage) -> frozenset[str]:
    found, error = try_call(function, folder)
    if error is not None:
        message = one_line(str(error).replace(str(folder), "…"))
        hint = f" Remember: {damage.raised}." if damage.raised else ""
        raised = f"Your function raises {type(error).__name__}: {message}."
        raise NotYet(f"Altered: {damage.description}. {raised}{hint}")
    if found is None:
        raise Unanswered(f"{NOTHING_RETURNED} For an intact folder, return an empty list.")
    if isinstance(found, bool):
        raise NotYet(f"It returns {found}: repairing the folder takes the names, so return a list of them.")
    if not isinstance(found, list | tuple | set | frozenset):
        raise NotYet(f"It returns {shown(found)}: return a list of names, empty for an intact folder.")
    if not all(isinstance(name, str) for name in found):
        raise NotYet(f"The list contains {shown(next(iter(found)))}: return the names as strings.")
    return frozenset(found)


def _compare_damage(found: frozenset[str], damage: Damage) -> None:
    if found == damage.names:
        return
    case = f"Altered: {damage.description}. "
    missed = {name for name in damage.names if name not in found}
    if missed and any(Path(name.replace("\\", "/")).name == Path(each).name for name in found for each in missed):
        raise NotYet(case + "You find it, but the manifest names it differently: 'self_test/00.png', with a /.")
    if missed:
        named = f"You name {one_line(', '.join(sorted(found)), 60)}; " if found else "You name nothing; "
        raise NotYet(f"{case}{named}{damage.missed}.")
    wrong = sorted(found - damage.names)
    if MANIFEST in wrong:
        raise NotYet(f"{case}You name {MANIFEST!r}, which cannot list itself: it would have to contain its own hash.")
    if damage.names == {MANIFEST}:
        raise NotYet(f"{case}Name the manifest and nothing else: nothing is known about the other files.")
    if "self_test" in wrong:
        raise NotYet(f"{case}You name 'self_test', a folder: only files are listed and hashed.")
    hint = ""
    if {Path(ONE).name, Path(TWO).name} & set(wrong):
        hint = " The manifest names it by its path within the folder, 'self_test/00.png'."
    elif {LONG, LABELS, ONE} <= found:
        hint = " Are you comparing the same things: the hexdigest, a string, of all bytes of the file?"
    elif wrong == [LONG]:
        hint = " It is a large file: does your hash cover all of it?"
    raise NotYet(f"{case}You name {one_line(', '.join(wrong), 60)}, but nothing is wrong there.{hint}")


EXERCISE = Exercise(
    id="05-tamper",
    title="Is it still what was sent?",
    kind="function",
    level="core",
    hints=(
        "Three lists of names: what the manifest promises, what is there, and what is there with the right hash.",
        "Begin with what is there: all files under the folder, by their paths relative to it, with a /. A name in the "
        "manifest that is not among them is damage, whether the file is missing or the name leads elsewhere.",
        "Make a dict from relative name (`relative_to`, `as_posix`) to path, without the manifest itself. Damaged is "
        "what is in only one of the two, and what has a different `hashlib.sha256` of its bytes. Read the manifest "
        "in a `try` block that catches OSError and ValueError.",
    ),
    learned="Altered, lost, added, led astray: a hash for each file finds every accident. It does not say who sent "
    "it: anyone who can write the folder can write the manifest.",
    check=_check_tamper,
)
