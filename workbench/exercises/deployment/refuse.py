"""05-refuse: an application that answers what the network has learned, and refuses the rest in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.exercises.answers import function_of, one_line, shown, told_error, tried
from workbench.exercises.exercise import Exercise, NotYet, Unanswered
from workbench.sealed import shortened

_Array = NDArray[Any]
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
    _accept(function, *first, refuses=lambda: tried(function, bad[0][1])[1] is not None)
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
    found, error = tried(function, picture)
    if error is not None:
        raise NotYet(f"A good one is refused: {told}. You say: {told_error(error)}")
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
    return shown(found)


def _refusal(function: Callable[..., Any], told: str, picture: Any, why: str) -> str:
    """The sentence with which it was refused."""
    found, error = tried(function, picture)
    if isinstance(error, ValueError):
        return _sentence_of(error, told)
    if isinstance(error, AssertionError):
        raise NotYet(f"To {told} you say AssertionError: `python -O` leaves every assert out. Raise a ValueError.")
    if error is not None:
        stumbled = isinstance(error, TypeError | AttributeError | IndexError | KeyError)
        more = "where it stumbles by itself, ask first what it is." if stumbled else "only that is caught."
        raise NotYet(f"{_begun(told)} ends in {told_error(error)} Wanted is a ValueError; {more}")
    if found is None or isinstance(found, bool):
        raise NotYet(f"For {told} you give back {found}: whoever asked goes on with that. Raise a ValueError.")
    if isinstance(found, np.ndarray) and (found.dtype, found.shape) == (np.uint8, (32, 32, 3)):
        raise NotYet(f"Out of {told} you make something that fits: nobody will learn that it was wrong. Refuse it.")
    raise NotYet(f"You accept {told}: {why}.")


def _sentence_of(error: ValueError, told: str) -> str:
    said = one_line(error, 200)
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


EXERCISE = Exercise(
    id="05-refuse",
    title="A doorkeeper for the network",
    kind="refuse",
    level="core",
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
)
