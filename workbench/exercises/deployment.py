"""Lesson 05: what a bundle holds, and an application that prepares, refuses, checks and asks again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.exercises.exercise import (
    Exercise,
    NotYet,
    Unanswered,
    called,
    function_of,
    is_close,
    number_of,
    parts_of,
)
from workbench.sealed import shortened


def _check_left(answer: object) -> None:
    from workbench.recordings import REFERENCE

    guess, measured = parts_of(answer, "guess", "measured")
    if number_of(guess, "guess") <= 0:
        raise NotYet("A share of something that is there is above 0: guess again, nothing depends on it.")
    share = number_of(measured, "measured")
    sizes = {path.relative_to(REFERENCE).as_posix(): path.stat().st_size for path in _plain_files(REFERENCE)}
    network, total = sizes["model.onnx"], sum(sizes.values())
    if is_close(share, network / total, 1.5e-3):
        return
    if is_close(share, round(network / total, 2), 1e-9):
        raise NotYet("That is rounded too far to be told from its neighbours: give the result as it was computed.")
    both = network + sizes["model-int8.onnx"]
    top = sum(size for name, size in sizes.items() if "/" not in name)
    folders = sum(path.stat().st_size for path in REFERENCE.rglob("*") if path.is_dir())
    wrong = {
        "That is in percent: give the share itself, from 0 to 1.": 100 * network / total,
        "Upside down: divide the part by the whole.": total / network,
        "That is the network beside all the rest: divide by the whole folder, the network in it.": (
            network / (total - network)
        ),
        "Those are both networks together: the gate runs model.onnx alone.": both / total,
        "That is the network of 8 bits: the question is about model.onnx.": sizes["model-int8.onnx"] / total,
        "That is weights.safetensors: nothing at the gate runs it, it needs PyTorch.": (
            sizes["weights.safetensors"] / total
        ),
        "A file is missing from your whole: `sizes` has what the manifest lists. Which one is not in it?": (
            network / (total - sizes["manifest.json"])
        ),
        "The folder has a folder in it: are the pictures of the self-test in your whole?": network / top,
        "A file is missing from your whole: the manifest. And are the pictures of the self-test in it?": (
            network / (top - sizes["manifest.json"])
        ),
        "Your whole counts the folders themselves as if they were files: a file system keeps a few bytes for each.": (
            network / (total + folders)
        ),
    }
    for words, value in wrong.items():
        if is_close(share, value, 5e-4):
            raise NotYet(words)
    raise NotYet("Divide the bytes of model.onnx by those of all files of the folder, those of its inner folder too.")


def _plain_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))


_Array = NDArray[Any]

_RED_LAST = "Red and blue have changed places: the pictures come with red first, and so do mean and std."
_ORDERS: dict[str, Callable[[_Array], _Array]] = {"": lambda x: x, _RED_LAST: lambda x: x[..., ::-1]}
_SCALES: dict[str, Callable[[_Array], _Array]] = {
    "": lambda x: x / 255,
    "After your scaling nothing but 0 and 1 is left, 1 where a colour was at its fullest: all that lay between was "
    "cut to whole numbers.": lambda x: x // 255 * 1.0,
    "The values still go from 0 to 255, and mean and std are those of values from 0 to 1.": lambda x: x * 1.0,
    "The largest value is 255, and it should become 1: what did you divide by?": lambda x: x / 256,
}
_LAYOUTS: dict[str, Callable[[_Array], _Array]] = {
    "": lambda x: x.transpose(0, 3, 1, 2),
    "The three colours of a pixel still lie side by side, and each belongs into a channel of its own. (reshape gives "
    "numbers another shape, and moves none of them.)": (lambda x: x.reshape(len(x), x.shape[3], *x.shape[1:3])),
    "Rows and columns have changed places: the picture lies on its side.": lambda x: x.transpose(0, 3, 2, 1),
}
_NORMALS: dict[str, Callable[[_Array, _Array, _Array], _Array]] = {
    "": lambda x, mean, std: (x - mean) / std,
    "Scaled, and not normalised: mean and std play no part yet.": lambda x, mean, std: x,
    "The mean is still in it.": lambda x, mean, std: x / std,
    "The mean is out of it; the spread is still that of the pictures.": lambda x, mean, std: x - mean,
    "First the mean goes out, then the spread: you divide too early.": lambda x, mean, std: x / std - mean,
    "One mean and one spread for all three channels: each has its own.": (
        lambda x, mean, std: (x - mean.mean()) / std.mean()
    ),
    "The mean is each channel's own; the spread is one for all three.": lambda x, mean, std: (x - mean) / std.mean(),
    "The spread is each channel's own; the mean is one for all three.": lambda x, mean, std: (x - mean.mean()) / std,
    "To take the spread out, divide by it: you multiply.": lambda x, mean, std: (x - mean) * std,
    "You normalise first and scale afterwards: mean and std are those of values from 0 to 1.": (
        lambda x, mean, std: (x * 255 - mean) / std / 255
    ),
    "You use the mean and the spread of the pictures just given: the network knows those of its training, which are "
    "handed to you.": lambda x, mean, std: (x - _own(x, mean, np.mean)) / _own(x, mean, np.std),
}
_WRONG_AXIS = (
    "Mean and std have three numbers, one a channel, and you lay them along the rows or the columns: with pictures of "
    "32 × 32 it would stop. Which axis has the channels at that moment?"
)


def _own(x: _Array, like: _Array, figure: Callable[..., Any]) -> _Array:
    axes = tuple(axis for axis, size in enumerate(like.shape) if size == 1)
    return np.asarray(figure(x, axis=axes, keepdims=True))


def _check_normal(answer: object) -> None:
    function = function_of(answer, "prepare")
    random = np.random.default_rng(5)
    # With 3 rows and 3 columns a mean laid along the wrong axis does not stop, so that it can be told what it is.
    for shape in ((4, 3, 3, 3), (1, 6, 5, 3), (2, 32, 32, 3)):
        pictures = random.integers(0, 256, shape, np.uint8)
        pictures[random.random(shape) < 0.4] = 255
        mean, std = random.uniform(0.3, 0.7, 3), random.uniform(0.2, 0.4, 3)
        given = pictures.copy()
        told = f"{shape[0]} pictures of {shape[1]} × {shape[2]}, mean, std"
        found = called(function, given, tuple(map(float, mean)), tuple(map(float, std)), told=told)
        if not np.array_equal(given, pictures):
            raise NotYet("Your function changes the pictures that it is given: they are not its own.")
        _compare_prepared(_array_of(found), pictures, mean, std)


def _array_of(found: object) -> _Array:
    array = np.asarray(found)
    if array.dtype.kind not in "fiub":
        raise NotYet(f"Your function gives back {shortened(repr(found), 60)}: an array of numbers is wanted.")
    if array.dtype.kind != "f":
        raise NotYet(f"It gives back whole numbers ({array.dtype}): all that lay between them is lost.")
    return array


def _compare_prepared(found: _Array, pictures: _Array, mean: _Array, std: _Array) -> None:
    count, height, width, channels = pictures.shape
    if found.shape != (count, channels, height, width):
        raise NotYet(
            f"Pictures {pictures.shape} come out as {found.shape}: wanted are pictures, channels, rows, columns, in "
            "this order."
        )
    expected = (pictures.transpose(0, 3, 1, 2) / 255 - mean[:, None, None]) / std[:, None, None]
    if np.allclose(found, expected, rtol=1e-5, atol=1e-5):
        if found.dtype != np.float32:
            raise NotYet(f"The values are right, in {found.dtype}: the network takes float32 and refuses any other.")
        return
    # Only there can every mistake be made without stopping.
    if (height, width) == (channels, channels):
        faults = _faults(found, pictures, mean, std)
        if faults:
            left = "One mistake is left" if len(faults) == 1 else f"{len(faults)} mistakes are left; one of them"
            raise NotYet(f"{left}: {faults[0]}")
    if found.dtype == np.float16:
        raise NotYet("float16 keeps three digits of each value: the network takes float32.")
    raise NotYet(
        "The shape is right, the values are not. Take one pixel by hand: its red, divided by 255, less the first mean, "
        "divided by the first std."
    )


def _faults(found: _Array, pictures: _Array, mean: _Array, std: _Array) -> list[str]:
    """The fewest of the known mistakes that together give what was found, in words; none where they do not."""
    best: list[str] = []
    for (order, reorder), (scale, rescale) in product(_ORDERS.items(), _SCALES.items()):
        values = rescale(reorder(pictures))
        for layout, said, value in _laid_out(values, mean, std):
            faults = [words for words in (order, scale, layout, said) if words]
            if np.allclose(found, value, rtol=1e-5, atol=1e-5) and (not best or len(faults) < len(best)):
                best = faults
    return best


def _laid_out(values: _Array, mean: _Array, std: _Array) -> Iterator[tuple[str, str, _Array]]:
    """Each layout with each way to normalise, before it and after it: the layout's fault, the other's, the result."""
    for layout, lay in _LAYOUTS.items():
        for said, value in _normalised(lay(values), mean, std, 1):
            yield layout, said, value
        for said, value in _normalised(values, mean, std, 3):
            yield layout, said, lay(value)


def _normalised(values: _Array, mean: _Array, std: _Array, axis: int) -> Iterator[tuple[str, _Array]]:
    along = [each for each in (1, 2, 3) if each != axis]
    right_mean, right_std = _along(mean, axis), _along(std, axis)
    for said, normalise in _NORMALS.items():
        yield said, normalise(values, right_mean, right_std)
    for first, second in product((axis, *along), repeat=2):
        if (first, second) != (axis, axis):
            yield _WRONG_AXIS, (values - _along(mean, first)) / _along(std, second)


def _along(three: _Array, axis: int) -> _Array:
    return three.reshape([3 if each == axis else 1 for each in range(4)])


_PYTHONS_OWN = ("unpack", "truth value", "broadcast", "could not convert", "cannot reshape", "inhomogeneous", "buffer")


def _good_pictures() -> list[tuple[str, _Array]]:
    random = np.random.default_rng(5)
    picture = random.integers(0, 256, (32, 32, 3), np.uint8)
    large = random.integers(0, 256, (64, 64, 3), np.uint8)
    locked = picture.copy()
    locked.flags.writeable = False
    return [
        ("a photo", picture),
        ("a black picture, as at night", np.zeros((32, 32, 3), np.uint8)),
        ("a white picture", np.full((32, 32, 3), 255, np.uint8)),
        ("every second pixel of a larger picture, a view whose rows lie apart in memory", large[::2, ::2]),
        ("a picture in a mirror, a view that runs backwards through memory", picture[:, ::-1]),
        ("a picture that is locked against changes", locked),
    ]


def _bad_pictures() -> list[tuple[str, Any, str]]:
    """Each with its name, and why it is none, told where it is accepted."""
    random = np.random.default_rng(6)
    picture = random.integers(0, 256, (32, 32, 3), np.uint8)

    def sized(*shape: int) -> _Array:
        return random.integers(0, 256, shape, np.uint8)

    floats = "the bundle's network divides by 255 itself, so to it this is a black picture"
    whole = "only uint8 is the type that the network takes, whatever the values are"
    beyond = "a value beyond 0 to 255 becomes another one when it is cut to 8 bits"
    size = "the network has seen 32 × 32 only"
    channels = "the network wants three colours for each pixel, the colours last"
    return [
        ("a picture of floats from 0 to 1", (picture / 255).astype(np.float32), floats),
        ("a picture of 64 × 64", sized(64, 64, 3), size),
        ("no picture at all (None)", None, "somebody forgot it"),
        ("a picture as nested lists", picture.tolist(), "only an array says of itself which type its numbers have"),
        ("a picture of floats from 0 to 255", picture.astype(np.float64), whole),
        ("whole numbers of which some are beyond 255", picture.astype(np.int64) + 45, beyond),
        ("whole numbers of which some are below 0", picture.astype(np.int64) - 45, beyond),
        ("a picture of int64", picture.astype(np.int64), whole),
        ("a picture of uint16", picture.astype(np.uint16), whole),
        ("a picture with the channels first", sized(3, 32, 32), channels),
        ("a grey picture without channels", sized(32, 32), channels),
        ("a grey picture of one channel", sized(32, 32, 1), channels),
        ("a picture with transparency, four channels", sized(32, 32, 4), channels),
        ("a batch of one picture", sized(1, 32, 32, 3), "one picture has three axes"),
        ("a picture laid out as one row of numbers", sized(32 * 32 * 3), "nobody knows where its rows end"),
        ("a picture without rows", sized(0, 32, 3), "there is nothing to see in it"),
        ("an empty array", np.zeros(0, np.uint8), "there is nothing to see in it"),
        ("the name of a file", "cat.png", "somebody forgot to open it"),
    ]


def _check_refuse(answer: object) -> None:
    function = function_of(answer, "accept")
    first, *others = _good_pictures()
    bad = _bad_pictures()
    _accept(function, *first, refuses=lambda: _refuses(function, bad[0][1]))
    said = [_refusal(function, *each) for each in bad]
    if said[0] == said[1]:
        raise NotYet(
            f"To {bad[0][0]} and to {bad[1][0]} you say the same: {shortened(said[0], 80)!r}. Whoever sent it should "
            "read which of the two was wrong: say what came."
        )
    for told, picture in others:
        _accept(function, told, picture, refuses=lambda: True)


def _accept(function: Callable[..., Any], told: str, picture: _Array, refuses: Callable[[], bool]) -> None:
    before = picture.copy()
    try:
        found = function(picture)
    except Exception as error:  # a learner's function may fail in any way
        raise NotYet(f"A good one is refused: {told}. You say: {_words_of(error)}") from None
    if not np.array_equal(picture, before):
        raise NotYet("Your function changes the picture that it is given: look, and leave it as it is.")
    if found is None:
        if refuses():
            raise NotYet(f"You refuse what is bad, and for {told} you give nothing back: hand on what was good.")
        raise Unanswered("The function gives nothing back yet.")
    same = isinstance(found, np.ndarray) and (found.dtype, found.shape) == (np.uint8, picture.shape)
    if not same or not np.array_equal(found, picture):
        raise NotYet(f"A good one does not come back as it was: {told} becomes {_named(found)}.")


def _named(found: object) -> str:
    if isinstance(found, np.ndarray):
        other = ", with other values" if (found.dtype, found.shape) == (np.uint8, (32, 32, 3)) else ""
        return f"an array of {found.dtype} and of the shape {found.shape}{other}"
    return shortened(" ".join(repr(found).split()), 60)


def _refuses(function: Callable[..., Any], picture: object) -> bool:
    try:
        function(picture)
    except Exception:  # however it refuses: it is judged once it accepts what is good
        return True
    return False


def _refusal(function: Callable[..., Any], told: str, picture: Any, why: str) -> str:
    """The sentence with which it was refused."""
    try:
        found = function(picture)
    except ValueError as error:
        return _sentence_of(error, told)
    except AssertionError:
        raise NotYet(
            f"To {told} you say AssertionError: `python -O` leaves every assert out. Raise a ValueError."
        ) from None
    except Exception as error:  # a learner's function may fail in any way
        stumbled = isinstance(error, TypeError | AttributeError | IndexError | KeyError)
        more = "where it stumbles by itself, ask first what it is." if stumbled else "only that is caught."
        raise NotYet(f"{_begun(told)} ends in {_words_of(error)} Wanted is a ValueError; {more}") from None
    if found is None or isinstance(found, bool):
        raise NotYet(f"For {told} you give back {found}: whoever asked goes on with that. Raise a ValueError.")
    if isinstance(found, np.ndarray) and (found.dtype, found.shape) == (np.uint8, (32, 32, 3)):
        raise NotYet(f"Out of {told} you make something that fits: nobody will learn that it was wrong. Refuse it.")
    raise NotYet(f"You accept {told}: {why}.")


def _sentence_of(error: ValueError, told: str) -> str:
    said = " ".join(str(error).split())
    if not said:
        raise NotYet(f"You refuse {told}, without a word: say what is wrong with it.")
    if any(words in said for words in _PYTHONS_OWN):
        raise NotYet(
            f"{_begun(told)} ends in a ValueError that is not yours ({shortened(said, 80)}): it stumbles over it by "
            "chance. Refuse it with a sentence of your own."
        )
    if len(said.split()) < 3:
        raise NotYet(f"You refuse {told} with {said!r}: make it a sentence that says what is wrong with it.")
    return said


def _begun(told: str) -> str:
    return told[0].upper() + told[1:]


def _words_of(error: Exception) -> str:
    said = shortened(" ".join(str(error).split()), 120)
    return f"{type(error).__name__}{': ' + said if said else ''}".rstrip(".") + "."


_MANIFEST = "manifest.json"
_LONG, _LABELS, _ONE, _TWO = "model.onnx", "labels.txt", "self_test/00.png", "self_test/01.png"


@dataclass(frozen=True, kw_only=True)
class _Damage:
    """What is done to a whole folder, which names it damages, and what to say where they are not all found."""

    told: str
    do: Callable[[Path], object]
    names: frozenset[str]
    missed: str
    stopped: str = ""


def _check_tamper(answer: object) -> None:
    function = function_of(answer, "damaged")
    for damage in _damages():
        with TemporaryDirectory() as scratch:
            folder = Path(scratch).resolve() / "bundle"
            _write_whole(folder)
            damage.do(folder)
            before = _snapshot(folder)
            found = _damage_found(function, folder, damage)
            if _snapshot(folder) != before:
                raise NotYet("Your function changes the folder: it should look, and touch nothing.")
        _compare_damage(found, damage)


def _write_whole(folder: Path) -> None:
    random = np.random.default_rng(5)
    content = {_LONG: random.bytes(200_000), _LABELS: b"cat\ndog\nhorse\n"}
    content |= {_ONE: b"\x89PNG" + random.bytes(300), _TWO: b"\x89PNG" + random.bytes(300)}
    for name, data in content.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    _write_manifest(folder, {name: _sha256(data) for name, data in content.items()})


def _write_manifest(folder: Path, hashes: dict[str, str]) -> None:
    (folder / _MANIFEST).write_text(json.dumps(hashes, indent=2), encoding="utf-8")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _damages() -> list[_Damage]:
    unseen = "a file that nobody has vouched for can be a program, or a picture of somebody"
    stopped = "a file that is missing is damage like any other: name it, and go on"
    outside = "the name leads out of the folder, so whoever writes a manifest could have your program read any file"
    here = Path(__file__).resolve().as_posix()
    no_manifest = f"without a manifest nothing can be vouched for: name {_MANIFEST!r} itself"
    return [
        _Damage(told="nothing", do=lambda folder: None, names=frozenset(), missed=""),
        _Damage(
            told=f"one letter of {_LABELS}",
            do=lambda folder: (folder / _LABELS).write_bytes(b"cat\ndog\nhouse\n"),
            names=frozenset({_LABELS}),
            missed="it is there and as long as before: only its hash, computed anew, shows that it is another",
        ),
        _Damage(
            told=f"the last byte of {_LONG}",
            do=lambda folder: _flip_last(folder / _LONG),
            names=frozenset({_LONG}),
            missed="it is as long as before, and a large file is hashed like any other, to its end",
        ),
        _Damage(
            told="a byte of a file in the inner folder",
            do=lambda folder: _flip_last(folder / _TWO),
            names=frozenset({_TWO}),
            missed="it lies in a folder within the folder, and the manifest lists it as well",
        ),
        _Damage(
            told="two files, which changed places",
            do=_swap,
            names=frozenset({_ONE, _TWO}),
            missed="each hash is somewhere in the manifest, but it stands for the other file",
        ),
        _Damage(
            told="a file that was taken away",
            do=lambda folder: (folder / _TWO).unlink(),
            names=frozenset({_TWO}),
            missed="the manifest lists it, and it is not there",
            stopped=stopped,
        ),
        _Damage(
            told="a file that was added",
            do=lambda folder: (folder / "start.py").write_text("print()", encoding="utf-8"),
            names=frozenset({"start.py"}),
            missed=f"the manifest does not list it: {unseen}",
        ),
        _Damage(
            told="a file that was added to the inner folder",
            do=lambda folder: (folder / "self_test" / "me.png").write_bytes(b"me"),
            names=frozenset({"self_test/me.png"}),
            missed=f"it lies in a folder within the folder: {unseen}",
        ),
        _Damage(
            told="three files at once",
            do=_three_at_once,
            names=frozenset({_LABELS, _ONE, "start.py"}),
            missed="all of the damage is asked for, and not the first of it",
            stopped=stopped,
        ),
        _Damage(
            told="the manifest, by a name with ../ in it",
            do=lambda folder: _lead_out(folder, "../secret.txt"),
            names=frozenset({"../secret.txt"}),
            missed=outside,
        ),
        _Damage(
            told="the manifest, by the name of a file in a folder beside it",
            do=lambda folder: _lead_out(folder, f"../{folder.name}-2/secret.txt"),
            names=frozenset({"../bundle-2/secret.txt"}),
            missed=f"{outside}; that the one path begins with the letters of the other does not make it inside",
        ),
        _Damage(
            told="the manifest, by a name that goes down first and then up",
            do=lambda folder: _lead_out(folder, "self_test/../../secret.txt"),
            names=frozenset({"self_test/../../secret.txt"}),
            missed=outside,
        ),
        _Damage(
            told="the manifest, by a name that begins at the top of the disk",
            do=lambda folder: _lead_out(folder, here),
            names=frozenset({here}),
            missed=outside,
        ),
        _Damage(
            told="the manifest, which is gone",
            do=lambda folder: (folder / _MANIFEST).unlink(),
            names=frozenset({_MANIFEST}),
            missed=no_manifest,
            stopped=no_manifest,
        ),
        _Damage(
            told="the manifest, which is cut short",
            do=lambda folder: (folder / _MANIFEST).write_text('{"model.onnx": "', encoding="utf-8"),
            names=frozenset({_MANIFEST}),
            missed=no_manifest,
            stopped="a manifest that is no JSON can vouch for nothing either: name it alone",
        ),
    ]


def _flip_last(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _swap(folder: Path) -> None:
    one, two = (folder / _ONE).read_bytes(), (folder / _TWO).read_bytes()
    (folder / _ONE).write_bytes(two)
    (folder / _TWO).write_bytes(one)


def _three_at_once(folder: Path) -> None:
    _flip_last(folder / _LABELS)
    (folder / _ONE).unlink()
    (folder / "start.py").write_text("print()", encoding="utf-8")


def _lead_out(folder: Path, name: str) -> None:
    """List a file outside by its true hash: who follows the name finds nothing wrong."""
    if not (folder / name).exists():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"secret")
    hashes = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
    _write_manifest(folder, {**hashes, name: _sha256((folder / name).read_bytes())})


def _snapshot(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _damage_found(function: Callable[..., Any], folder: Path, damage: _Damage) -> frozenset[str]:
    try:
        found = function(folder)
    except Exception as error:  # a learner's function may fail in any way
        said = shortened(" ".join(str(error).replace(str(folder), "…").split()), 120)
        why = f" Remember: {damage.stopped}." if damage.stopped else ""
        raise NotYet(f"Altered: {damage.told}. Your function stops with {type(error).__name__}: {said}.{why}") from None
    if found is None:
        raise Unanswered("The function gives nothing back yet; of a whole folder it is an empty list.")
    if isinstance(found, bool):
        raise NotYet(f"It gives back {found}: whoever has to mend the folder needs the names, so give a list of them.")
    if not isinstance(found, list | tuple | set | frozenset):
        raise NotYet(
            f"It gives back {shortened(repr(found), 60)}: wanted is a list of names, empty for a whole folder."
        )
    if not all(isinstance(name, str) for name in found):
        raise NotYet(f"In the list is {shortened(repr(next(iter(found))), 60)}: give the names as text.")
    return frozenset(found)


def _compare_damage(found: frozenset[str], damage: _Damage) -> None:
    if found == damage.names:
        return
    told = f"Altered: {damage.told}. "
    wanted = {name for name in damage.names if name not in found}
    if wanted and any(Path(name.replace("\\", "/")).name == Path(each).name for name in found for each in wanted):
        raise NotYet(told + "You find it, and call it otherwise than the manifest would: 'self_test/00.png', with a /.")
    if wanted:
        gives = f"You name {shortened(', '.join(sorted(found)), 60)}; " if found else "You name nothing; "
        raise NotYet(f"{told}{gives}{damage.missed}.")
    wrong = sorted(found - damage.names)
    if _MANIFEST in wrong:
        raise NotYet(f"{told}You name {_MANIFEST!r}, which cannot list itself: its hash would have to be in it.")
    if damage.names == {_MANIFEST}:
        raise NotYet(f"{told}Name the manifest and nothing else: of the other files nothing is known.")
    if "self_test" in wrong:
        raise NotYet(f"{told}You name 'self_test', a folder: only files are listed and hashed.")
    more = ""
    if {_LONG, _LABELS, _ONE} <= found:
        more = " Are you comparing the same things: the hexdigest, as text, of all bytes of the file?"
    elif wrong == [_LONG]:
        more = " It is a large file: does your hash cover all of it?"
    raise NotYet(f"{told}You name {shortened(', '.join(wrong), 60)}, and nothing is wrong there.{more}")


_Reply = tuple[int, dict[str, str], str]
_CAT: _Reply = (200, {}, "cat")
_REFUSALS = {
    400: "the request is wrong",
    422: "the picture cannot be read",
    404: "there is nothing at this place",
    500: "the server has failed at it",
}


def _busy(seconds: int | None) -> _Reply:
    return 503, {} if seconds is None else {"Retry-After": str(seconds)}, "Too much at once."


class _TooOften(BaseException):
    """Stops a function that would ask for ever; no `except Exception` holds it up."""


@dataclass
class _FakeServer:
    """Answers with its replies one after the other, the last again and again; nobody waits for real."""

    replies: tuple[_Reply, ...]
    asked: int = 0
    slept: list[Any] = field(default_factory=list)

    def send(self) -> _Reply:
        self.asked += 1
        if self.asked > 30:
            raise _TooOften
        return self.replies[min(self.asked, len(self.replies)) - 1]

    def sleep(self, seconds: Any = None) -> None:
        self.slept.append(seconds)
        if len(self.slept) > 100:
            raise _TooOften


@dataclass(frozen=True)
class _Outcome:
    """What came of asking a server: what was given back or raised, how often it was asked, and the waits."""

    found: object
    error: Exception | None
    asked: int
    slept: list[Any]


def _check_retry(answer: object) -> None:
    function = function_of(answer, "ask")
    _expect_answer(_asked(function, 3, _CAT))
    _expect_second_try(_asked(function, 3, _busy(1), _CAT), waits=[1])
    _expect_second_try(_asked(function, 4, _busy(7), _busy(2), _CAT), waits=[7, 2])
    for status, why in _REFUSALS.items():
        _expect_refusal(_asked(function, 3, (status, {}, f"No: {why}."), _CAT), status, why)
    _expect_refusal(_asked(function, 3, (404, {"Retry-After": "1"}, "No: gone."), _CAT), 404, _REFUSALS[404])
    _expect_giving_up(_asked(function, 4, *map(_busy, (1, 2, 4, 8))), 4, waits=[1, 2, 4])
    _expect_giving_up(_asked(function, 1, _busy(3)), 1, waits=[])
    last = _asked(function, 3, _busy(1), _busy(1), _CAT)
    if last.error or last.found != "cat":
        raise NotYet("At the third of 3 tries the answer is there, and your function does not give it back.")
    unsaid = _asked(function, 3, _busy(None), _CAT)
    if unsaid.error:
        raise NotYet(f"A 503 without Retry-After ends in {_words_of(unsaid.error)} Not every server says it: wait 1 s.")
    if unsaid.slept != [1]:
        raise NotYet(f"After a 503 without Retry-After you wait {unsaid.slept}: one second was asked for.")
    later = _asked(function, 5, _busy(1), (404, {}, "No: gone."), _CAT)
    if later.asked != 2 or not isinstance(later.error, ValueError):
        raise NotYet("First 503, then 404: there, too, 404 is the end. Look at each reply anew.")


def _asked(function: Callable[..., Any], tries: int, *replies: _Reply) -> _Outcome:
    server = _FakeServer(replies)
    found, failed = None, None
    try:
        found = function(server.send, server.sleep, tries)
    except _TooOften:
        pass
    except Exception as error:  # a learner's function may fail in any way
        failed = error
    return _Outcome(found, failed, server.asked, server.slept)


def _expect_answer(outcome: _Outcome) -> None:
    if outcome.error:
        raise NotYet(f"The first reply is 200, and your function stops with {_words_of(outcome.error)}")
    if outcome.found is None and outcome.asked <= 1:
        raise Unanswered("The function gives nothing back yet.")
    if outcome.asked != 1:
        raise NotYet(f"The first reply is 200, and you send {outcome.asked} times: keep the reply, do not ask anew.")
    if outcome.slept:
        raise NotYet("The first reply is 200, and you wait: nobody asked you to.")
    if outcome.found != "cat":
        raise NotYet(f"After 200 you give back {shortened(repr(outcome.found), 60)}: only the body is the answer.")


def _expect_second_try(outcome: _Outcome, waits: list[int]) -> None:
    told = "503 says: too much at once, ask again. "
    if outcome.error and any(isinstance(seconds, str) for seconds in outcome.slept):
        raise NotYet(told + "A header is text; `sleep` wants a number.")
    if outcome.error:
        raise NotYet(f"{told}Your function stops with {_words_of(outcome.error)}")
    if outcome.asked == 1:
        raise NotYet(f"{told}You do not, and give back {shortened(repr(outcome.found), 60)}.")
    if not outcome.slept:
        raise NotYet(
            told + "You ask again at once: so does everybody else, and it stays too much. (Wait with the `sleep` that "
            "you are given, and with no other.)"
        )
    if any(isinstance(seconds, str) for seconds in outcome.slept):
        raise NotYet(told + "A header is text; `sleep` wants a number.")
    if outcome.found != "cat":
        raise NotYet(f"{told}Then comes 200, and you give back {shortened(repr(outcome.found), 60)}.")
    if outcome.slept != waits:
        raise NotYet(f"Retry-After says {waits}, one after the other, and you wait {shortened(outcome.slept, 60)}.")


def _expect_refusal(outcome: _Outcome, status: int, why: str) -> None:
    if outcome.asked > 1:
        raise NotYet(f"{status} means that {why}, and you ask again: only 503 says that it is worth another try.")
    if outcome.slept:
        raise NotYet(f"After {status} you wait: nothing comes of it.")
    if outcome.error is None:
        raise NotYet(
            f"After {status} you give back {shortened(repr(outcome.found), 60)}: whoever asked takes it for an answer. "
            "Raise a ValueError."
        )
    if not isinstance(outcome.error, ValueError):
        raise NotYet(f"After {status} comes {_words_of(outcome.error)} Wanted is a ValueError.")
    if "No: " not in str(outcome.error):
        raise NotYet(f"After {status} your ValueError keeps to itself what the server said: pass the body on in it.")


def _expect_giving_up(outcome: _Outcome, tries: int, waits: list[int]) -> None:
    told = f"It is 503 every time, and tries = {tries}. "
    if outcome.asked > 30 or len(outcome.slept) > 30:
        raise NotYet(told + "You never give up.")
    if outcome.asked != tries:
        raise NotYet(f"{told}You send {outcome.asked} times: the first one counts, too.")
    if outcome.error is None:
        raise NotYet(
            f"{told}In the end you give back {shortened(repr(outcome.found), 60)}, which looks like an answer: raise a "
            "TimeoutError."
        )
    if not isinstance(outcome.error, TimeoutError):
        raise NotYet(
            f"{told}In the end comes {_words_of(outcome.error)} Wanted is a TimeoutError: it may work later, and "
            "ValueError says never."
        )
    if len(outcome.slept) > len(waits):
        raise NotYet(told + "You wait once more after the last try, and nothing comes after it.")
    if outcome.slept != waits:
        raise NotYet(f"{told}Retry-After says {waits} before the next ones, and you wait {outcome.slept}.")


EXERCISES = (
    Exercise(
        id="05-left",
        title="How much of a bundle is the network?",
        kind="predict",
        level="warm-up",
        points=1,
        hints=(
            "A bundle is a folder of files, and every file has a size. Which of them does the gate run?",
            "`Path.stat().st_size` tells a file's bytes, and `rglob` finds files in inner folders, too. `sizes` of a "
            "bundle that was read has all the files that the manifest lists; one more lies beside them.",
            "Part: the size of model.onnx. Whole: the sizes of all the files, the manifest and the ten pictures among "
            "them, the folder called self_test itself not. Divide the part by the whole.",
        ),
        learned="Less than half of a bundle is the network that answers; the rest proves it, tells what it means, and "
        "lets somebody learn on from it.",
        check=_check_left,
    ),
    Exercise(
        id="05-normal",
        title="The right shape, the wrong picture",
        kind="mend",
        level="core",
        points=2,
        hints=(
            "Say in words what each line does to a single pixel. Nothing of it stops, and that is the trouble.",
            "Each of the three lines goes wrong somewhere. Give it one picture whose pixels are all alike, say 254, 10 "
            "and 0, and follow the three numbers from line to line.",
            "Divide by 255 with a single / while the channels are still last: mean and std, as arrays, then meet the "
            "last axis by themselves. Move that axis afterwards, with `transpose`, and make it float32 in the end.",
        ),
        learned="Four silent mistakes, none of which any type or shape gives away: that is why the preprocessing "
        "belongs inside the exported network.",
        check=_check_normal,
    ),
    Exercise(
        id="05-refuse",
        title="A doorkeeper for the network",
        kind="refuse",
        level="core",
        points=2,
        hints=(
            "Ask three questions, in an order in which none of them can stumble: what is it, of which type are its "
            "numbers, of which shape is it?",
            "`isinstance(picture, np.ndarray)` comes first: None, a list and a text have no dtype and no shape. Then "
            "compare `picture.dtype` and `picture.shape` with what is wanted.",
            "Three times `if`, each with a `raise ValueError` whose sentence tells what came; in the end give the "
            "picture back. Do not touch its values: black is a picture, too.",
        ),
        learned="What the network cannot have learned is refused at the door, in words: it would have answered it.",
        check=_check_refuse,
    ),
    Exercise(
        id="05-tamper",
        title="Is it still what was sent?",
        kind="function",
        level="core",
        points=2,
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
    ),
    Exercise(
        id="05-retry",
        title="Ask again, and know when to stop",
        kind="function",
        level="stretch",
        points=3,
        hints=(
            'Three kinds of replies: an answer, a "later" and a "never". Which of them is worth another try?',
            "A loop over the tries, that sends once each time. It ends early in two of the three cases. Headers are "
            "text, and `headers.get` takes what to use where one is missing.",
            "In the loop: 200 gives the body back; anything but 503 raises a ValueError with what the server said; and "
            "after a 503 wait, unless this was the last try. After the loop raise the TimeoutError.",
        ),
        learned="Later is worth a wait, as long as the server asks for and no more often than agreed; never is not.",
        check=_check_retry,
    ),
    Exercise(
        id="05-argue",
        title="One system or two?",
        kind="argue",
        level="stretch",
        points=3,
        hints=(
            "Begin with what must be learned, and when: before the first day, now and then, or at once, on the spot.",
            "Collect your figures first: what a step of training needs beside an answer, what the field's packages "
            "take beside the bench's, how quickly one answer is there, what the device may draw.",
            "In at most ten sentences: the decision; the figures that carry it, each with its origin; the best that "
            "the other side can say; your reply to it; the finding that would make you decide otherwise; and "
            "whether you still stand by what you decided in lesson 00.",
        ),
    ),
)
