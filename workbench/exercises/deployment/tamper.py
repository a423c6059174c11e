"""05-tamper: a folder whose files are held against the hashes of its manifest."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from workbench.exercises.answers import function_of, one_line, shown, tried
from workbench.exercises.deployment.damages import LABELS, LONG, MANIFEST, ONE, TWO, Damage, damages, write_whole
from workbench.exercises.deployment.opened import files_opened
from workbench.exercises.exercise import Exercise, NotYet, Unanswered


def _check_tamper(answer: object) -> None:
    function = function_of(answer, "damaged")
    for damage in damages():
        with TemporaryDirectory() as scratch:
            folder = Path(scratch).resolve() / "bundle"
            write_whole(folder)
            damage.do(folder)
            before = _snapshot(folder)
            with files_opened() as opened:
                found = _damage_found(function, folder, damage)
            if _snapshot(folder) != before:
                raise NotYet("Your function changes the folder: it should look, and touch nothing.")
            outside = _outside(opened, folder, damage)
        _compare_damage(found, damage)
        if outside:
            raise NotYet(
                f"Altered: {damage.told}. You name it, and have opened the file that it leads to all the same: ask "
                "where a name leads before you read what is there."
            )


def _snapshot(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _outside(opened: list[Any], folder: Path, damage: Damage) -> bool:
    """Whether one of the files opened is named in the manifest and lies outside of the folder."""
    read = {Path(os.fsdecode(path)).resolve() for path in opened if isinstance(path, str | bytes | os.PathLike)}
    named = {(folder / name).resolve() for name in damage.names}
    return any(not path.is_relative_to(folder) for path in read & named)


def _damage_found(function: Callable[..., Any], folder: Path, damage: Damage) -> frozenset[str]:
    found, error = tried(function, folder)
    if error is not None:
        said = one_line(str(error).replace(str(folder), "…"), 120)
        why = f" Remember: {damage.stopped}." if damage.stopped else ""
        raise NotYet(f"Altered: {damage.told}. Your function stops with {type(error).__name__}: {said}.{why}")
    if found is None:
        raise Unanswered("The function gives nothing back yet. For a folder that is whole, give back an empty list.")
    if isinstance(found, bool):
        raise NotYet(f"It gives back {found}: whoever has to mend the folder needs the names, so give a list of them.")
    if not isinstance(found, list | tuple | set | frozenset):
        raise NotYet(f"It gives back {shown(found)}: wanted is a list of names, empty for a whole folder.")
    if not all(isinstance(name, str) for name in found):
        raise NotYet(f"In the list is {shown(next(iter(found)))}: give the names as text.")
    return frozenset(found)


def _compare_damage(found: frozenset[str], damage: Damage) -> None:
    if found == damage.names:
        return
    told = f"Altered: {damage.told}. "
    wanted = {name for name in damage.names if name not in found}
    if wanted and any(Path(name.replace("\\", "/")).name == Path(each).name for name in found for each in wanted):
        raise NotYet(told + "You find it, and call it otherwise than the manifest would: 'self_test/00.png', with a /.")
    if wanted:
        gives = f"You name {one_line(', '.join(sorted(found)), 60)}; " if found else "You name nothing; "
        raise NotYet(f"{told}{gives}{damage.missed}.")
    wrong = sorted(found - damage.names)
    if MANIFEST in wrong:
        raise NotYet(f"{told}You name {MANIFEST!r}, which cannot list itself: its hash would have to be in it.")
    if damage.names == {MANIFEST}:
        raise NotYet(f"{told}Name the manifest and nothing else: of the other files nothing is known.")
    if "self_test" in wrong:
        raise NotYet(f"{told}You name 'self_test', a folder: only files are listed and hashed.")
    more = ""
    if {Path(ONE).name, Path(TWO).name} & set(wrong):
        more = " The manifest calls it by its way from the folder, 'self_test/00.png'."
    elif {LONG, LABELS, ONE} <= found:
        more = " Are you comparing the same things: the hexdigest, as text, of all bytes of the file?"
    elif wrong == [LONG]:
        more = " It is a large file: does your hash cover all of it?"
    raise NotYet(f"{told}You name {one_line(', '.join(wrong), 60)}, and nothing is wrong there.{more}")


EXERCISE = Exercise(
    id="05-tamper",
    title="Is it still what was sent?",
    kind="function",
    level="core",
    hints=(
        "Three lists of names: what the manifest promises, what is there, and what is there and has its hash.",
        "Begin with what is there: all files under the folder, by their names relative to it, with a /. A name "
        "of the manifest that is not among them is damage, whether it is missing or leads elsewhere.",
        "A dict from relative name (`relative_to`, `as_posix`) to path, without the manifest itself. Damaged is "
        "what is in only one of the two, and what has another `hashlib.sha256` of its bytes. Around the reading "
        "of the manifest goes a `try` that minds OSError and ValueError.",
    ),
    learned="Altered, lost, added, led astray: a hash for each file finds every accident. It does not say who sent "
    "it: whoever writes the folder can write the manifest.",
    check=_check_tamper,
)
