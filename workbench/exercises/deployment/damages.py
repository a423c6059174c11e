"""A small folder with its manifest, and what can happen to it, for 05-tamper."""

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
    """What is done to a whole folder, which names it damages, and what to say where they are not all found.

    stopped: what to say besides where the function stops.
    """

    told: str
    do: Callable[[Path], object]
    names: set[str]
    missed: str
    stopped: str = ""


def write_whole(folder: Path) -> None:
    """A folder in which nothing is damaged."""
    random = np.random.default_rng(5)
    content = {LONG: random.bytes(200_000), LABELS: b"cat\ndog\nhorse\n"}
    content |= {ONE: b"\x89PNG" + random.bytes(300), TWO: b"\x89PNG" + random.bytes(300)}
    for name, data in content.items():
        _write(folder / name, data)
    _write_manifest(folder, {name: _sha256(data) for name, data in content.items()})


def damages() -> list[Damage]:
    """So ordered that the first one a function fails at tells its mistake; the first of all is none."""
    return [Damage("nothing", lambda folder: None, set(), ""), *_altered(), *_lost_or_added(), *_of_the_manifest()]


def _altered() -> list[Damage]:
    return [
        Damage(
            f"one letter of {LABELS}",
            lambda folder: _write(folder / LABELS, b"cat\ndog\nhouse\n"),
            {LABELS},
            "it is there and as long as before: only its hash, computed anew, shows that it is another",
        ),
        Damage(
            f"the last byte of {LONG}",
            lambda folder: _flip_last(folder / LONG),
            {LONG},
            "it is as long as before, and a large file is hashed like any other, to its end",
        ),
        Damage(
            "a byte of a file in the inner folder",
            lambda folder: _flip_last(folder / TWO),
            {TWO},
            "it lies in a folder within the folder, and the manifest lists it as well",
        ),
        Damage(
            "two files, which changed places",
            _swap,
            {ONE, TWO},
            "each hash is somewhere in the manifest, but it stands for the other file",
        ),
    ]


def _lost_or_added() -> list[Damage]:
    unseen = "a file that nobody has vouched for can be a program, or a picture of somebody"
    stopped = "a file that is missing is damage like any other: name it, and go on"
    inner = f"self_test/{MANIFEST}"
    return [
        Damage(
            "a file that was taken away",
            lambda folder: (folder / TWO).unlink(),
            {TWO},
            "the manifest lists it, and it is not there",
            stopped,
        ),
        Damage(
            "a file that was added",
            lambda folder: _write(folder / "start.py", b"print()"),
            {"start.py"},
            f"the manifest does not list it: {unseen}",
        ),
        Damage(
            "a file that was added to the inner folder",
            lambda folder: _write(folder / "self_test/me.png", b"me"),
            {"self_test/me.png"},
            f"it lies in a folder within the folder: {unseen}",
        ),
        Damage(
            f"a file called {inner}, which was added",
            lambda folder: _write(folder / inner, b"{}"),
            {inner},
            f"only the {MANIFEST} at the top vouches for others; further in it is a file like any other, and {unseen}",
        ),
        Damage(
            "three files at once",
            _three_at_once,
            {LABELS, ONE, "start.py"},
            "all of the damage is asked for, and not the first of it",
            stopped,
        ),
    ]


def _of_the_manifest() -> list[Damage]:
    outside = "the name leads out of the folder, so whoever writes a manifest could have your program read any file"
    not_inside = "that the one path begins with the letters of the other does not make it inside"
    gone = f"without a manifest nothing can be vouched for: name {MANIFEST!r} itself"
    cut = "a manifest that is no JSON can vouch for nothing either: name it alone"
    names = {
        "with ../ in it": ("../secret.txt", outside),
        "of a file in a folder beside it": ("../bundle-2/secret.txt", f"{outside}; {not_inside}"),
        "that goes down first and then up": ("self_test/../../secret.txt", outside),
        "that begins at the top of the disk": (Path(__file__).resolve().as_posix(), outside),
    }
    return [
        *(
            Damage(f"the manifest, by a name {how}", partial(_lead_out, name=name), {name}, missed)
            for how, (name, missed) in names.items()
        ),
        Damage("the manifest, which is gone", lambda folder: (folder / MANIFEST).unlink(), {MANIFEST}, gone, gone),
        Damage(
            "the manifest, which is cut short",
            lambda folder: _write(folder / MANIFEST, b'{"model.onnx": "'),
            {MANIFEST},
            gone,
            cut,
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
    """List a file outside by its true hash: who follows the name finds nothing wrong."""
    if not (folder / name).exists():
        _write(folder / name, b"secret")
    hashes = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    _write_manifest(folder, {**hashes, name: _sha256((folder / name).read_bytes())})
