"""A small folder with a manifest, and the kinds of damage that 05-tamper tests."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

MANIFEST = "manifest.json"
LONG, LABELS, ONE, TWO = "model.onnx", "labels.txt", "self_test/00.png", "self_test/01.png"


class Damage(NamedTuple):
    """One kind of damage. names: of the files that count as damaged.

    missed: the hint if not all of them are found. raised: the hint if the function raises an exception.
    """

    description: str
    apply: Callable[[Path], object]
    names: set[str]
    missed: str
    raised: str = ""


def write_intact(folder: Path) -> None:
    """Write a folder in which nothing is damaged."""
    random = np.random.default_rng(5)
    content = {LONG: random.bytes(200_000), LABELS: b"cat\ndog\nhorse\n"}
    content |= {ONE: b"\x89PNG" + random.bytes(300), TWO: b"\x89PNG" + random.bytes(300)}
    for name, data in content.items():
        _write(folder / name, data)
    _write_manifest(folder, {name: _sha256(data) for name, data in content.items()})


def damages() -> list[Damage]:
    """Ordered so that the first one at which a function fails reveals its mistake; the very first is no damage."""
    return [Damage("nothing", lambda folder: None, set(), ""), *_altered(), *_lost_or_added(), *_of_the_manifest()]


def _altered() -> list[Damage]:
    return [
        Damage(
            f"one letter of {LABELS}",
            lambda folder: _write(folder / LABELS, b"cat\ndog\nhouse\n"),
            {LABELS},
            "it is there and as long as before: only its hash, computed anew, shows that it has changed",
        ),
        Damage(
            f"the last byte of {LONG}",
            lambda folder: _flip_last(folder / LONG),
            {LONG},
            "it is as long as before: hash a large file like any other, to its end",
        ),
        Damage(
            "a byte of a file in the inner folder",
            lambda folder: _flip_last(folder / TWO),
            {TWO},
            "it is in an inner folder, and the manifest lists it as well",
        ),
        Damage(
            "two files, which were swapped",
            _swap,
            {ONE, TWO},
            "each hash is somewhere in the manifest, but for the other file",
        ),
    ]


def _lost_or_added() -> list[Damage]:
    unlisted = "a file that the manifest does not cover can be a program, or somebody's photo"
    missing = "a missing file is damage like any other: name it, and go on"
    inner = f"self_test/{MANIFEST}"
    return [
        Damage(
            "a file that was removed",
            lambda folder: (folder / TWO).unlink(),
            {TWO},
            "the manifest lists it, but it is not there",
            missing,
        ),
        Damage(
            "a file that was added",
            lambda folder: _write(folder / "start.py", b"print()"),
            {"start.py"},
            f"the manifest does not list it: {unlisted}",
        ),
        Damage(
            "a file that was added to the inner folder",
            lambda folder: _write(folder / "self_test/me.png", b"me"),
            {"self_test/me.png"},
            f"it is in an inner folder: {unlisted}",
        ),
        Damage(
            f"a file called {inner}, which was added",
            lambda folder: _write(folder / inner, b"{}"),
            {inner},
            f"only the {MANIFEST} at the top covers other files; an inner one is a file like any other, and {unlisted}",
        ),
        Damage(
            "three files at once",
            _three_at_once,
            {LABELS, ONE, "start.py"},
            "name all the damage, not just the first",
            missing,
        ),
    ]


def _of_the_manifest() -> list[Damage]:
    outside = "the name leads out of the folder, so the author of a manifest could make your program read any file"
    prefix = "a path that starts with the same letters is not necessarily inside"
    gone = f"without a manifest nothing can be verified: name {MANIFEST!r} itself"
    truncated = "with a manifest that is not JSON nothing can be verified either: name only the manifest"
    names = {
        "with ../ in it": ("../secret.txt", outside),
        "of a file in a folder beside it": ("../bundle-2/secret.txt", f"{outside}; {prefix}"),
        "that goes down first and then up": ("self_test/../../secret.txt", outside),
        "that is an absolute path": (Path(__file__).resolve().as_posix(), outside),
    }
    return [
        *(
            Damage(f"the manifest, by a name {how}", partial(_lead_out, name=name), {name}, missed)
            for how, (name, missed) in names.items()
        ),
        Damage("the manifest, which is missing", lambda folder: (folder / MANIFEST).unlink(), {MANIFEST}, gone, gone),
        Damage(
            "the manifest, which is truncated",
            lambda folder: _write(folder / MANIFEST, b'{"model.onnx": "'),
            {MANIFEST},
            gone,
            truncated,
        ),
    ]


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _write_manifest(folder: Path, hashes: dict[str, str]) -> None:
    _write(folder / MANIFEST, json.dumps(hashes, indent=2).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _flip_last(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _swap(folder: Path) -> None:
    one, two = (folder / ONE).read_bytes(), (folder / TWO).read_bytes()
    (folder / ONE).write_bytes(two)
    (folder / TWO).write_bytes(one)


def _three_at_once(folder: Path) -> None:
    _flip_last(folder / LABELS)
    (folder / ONE).unlink()
    _write(folder / "start.py", b"print()")


def _lead_out(folder: Path, name: str) -> None:
    """List a file outside the folder with its true hash, so that a function that follows the name sees no damage."""
    if not (folder / name).exists():
        _write(folder / name, b"secret")
    hashes = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    _write_manifest(folder, {**hashes, name: _sha256((folder / name).read_bytes())})
