"""05-refuse: accept valid images, and refuse everything else with a sentence."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.teaching.exercises.answers import NOTHING_RETURNED, function_of, raises, shown, try_call
from workbench.teaching.exercises.exercise import Exercise, NotYet, Unanswered
from workbench.wording import one_line, shorten

_Array = NDArray[Any]
_PYTHONS_OWN = ("unpack", "truth value", "broadcast", "could not convert", "cannot reshape", "inhomogeneous", "buffer")


def _good_images() -> list[tuple[str, _Array]]:
    random = np.random.default_rng(5)
    image = random.integers(0, 256, (32, 32, 3), np.uint8)
    large = random.integers(0, 256, (64, 64, 3), np.uint8)
    locked = image.copy()
    locked.flags.writeable = False
    return [
        ("a photo", image),
        ("a black image, as at night", np.zeros((32, 32, 3), np.uint8)),
        ("a white image", np.full((32, 32, 3), 255, np.uint8)),
        ("every second pixel of a larger image, a view with gaps between its rows in memory", large[::2, ::2]),
        ("a mirrored image, a view that runs backwards through memory", image[:, ::-1]),
        ("a read-only image", locked),
    ]


def _bad_images() -> list[tuple[str, Any, str]]:
    """Each with its description, and why it is not valid, for the verdict if it is accepted."""
    random = np.random.default_rng(6)
    image = random.integers(0, 256, (32, 32, 3), np.uint8)

    def sized(*shape: int) -> _Array:
        return random.integers(0, 256, shape, np.uint8)

    floats = "the bundle's network divides by 255 itself, so to it this is a black image"
    other_type = "the network takes only uint8, whatever the values are"
    beyond = "a value outside 0 to 255 becomes another one when it is cut to 8 bits"
    size = "the network has seen 32 × 32 only"
    channels = "the network takes three colours per pixel, with the colours on the last axis"
    return [
        ("an image of floats from 0 to 1", (image / 255).astype(np.float32), floats),
        ("an image of 64 × 64", sized(64, 64, 3), size),
        ("no image at all (None)", None, "somebody forgot to pass it"),
        ("an image as nested lists", image.tolist(), "only an array knows which type its numbers have"),
        ("an image of floats from 0 to 255", image.astype(np.float64), other_type),
        ("whole numbers of which some are beyond 255", image.astype(np.int64) + 45, beyond),
        ("whole numbers of which some are below 0", image.astype(np.int64) - 45, beyond),
        ("an image of int64", image.astype(np.int64), other_type),
        ("an image of uint16", image.astype(np.uint16), other_type),
        ("an image with the channels first", sized(3, 32, 32), channels),
        ("a grey image without channels", sized(32, 32), channels),
        ("a grey image of one channel", sized(32, 32, 1), channels),
        ("an image with transparency, four channels", sized(32, 32, 4), channels),
        ("a batch of one image", sized(1, 32, 32, 3), "one image has three axes"),
        ("an image laid out as one row of numbers", sized(32 * 32 * 3), "nobody knows where its rows end"),
        ("an image without rows", sized(0, 32, 3), "there is nothing to see in it"),
        ("an empty array", np.zeros(0, np.uint8), "there is nothing to see in it"),
        ("the name of a file", "cat.png", "somebody forgot to open it"),
    ]


def _check_refuse(answer: object) -> None:
    function = function_of(answer, "accept")
    first, *others = _good_images()
    bad = _bad_images()
    _accept(function, *first, refuses=lambda: try_call(function, bad[0][1])[1] is not None)
    sentences = [_refusal(function, *each) for each in bad]
    if sentences[0] == sentences[1]:
        raise NotYet(
            f"You refuse {bad[0][0]} and {bad[1][0]} with the same sentence: {shorten(sentences[0], 80)!r}. It should "
            "tell the sender which of the two was wrong: say what came."
        )
    for description, image in others:
        _accept(function, description, image, refuses=lambda: True)


def _accept(function: Callable[..., Any], description: str, image: _Array, refuses: Callable[[], bool]) -> None:
    before = image.copy()
    found, error = try_call(function, image)
    if error is not None:
        raise NotYet(f"A valid image is refused: {description}. Your function {raises(error)}")
    if not np.array_equal(image, before):
        raise NotYet("Your function changes the image passed to it: look at it, but leave it as it is.")
    if found is None:
        if refuses():
            raise NotYet(f"You refuse invalid images, but return nothing for {description}: return the valid ones.")
        raise Unanswered(NOTHING_RETURNED)
    same = isinstance(found, np.ndarray) and (found.dtype, found.shape) == (np.uint8, image.shape)
    if not same or not np.array_equal(found, image):
        raise NotYet(f"A valid image is not returned unchanged: {description} becomes {_described(found)}.")


def _described(found: object) -> str:
    if isinstance(found, np.ndarray):
        other = ", with other values" if (found.dtype, found.shape) == (np.uint8, (32, 32, 3)) else ""
        return f"an array of type {found.dtype} and shape {found.shape}{other}"
    return shown(found)


def _refusal(function: Callable[..., Any], description: str, image: Any, why: str) -> str:
    """The sentence with which an invalid image is refused."""
    found, error = try_call(function, image)
    if isinstance(error, ValueError):
        return _sentence_of(error, description)
    if isinstance(error, AssertionError):
        raise NotYet(f"For {description} you raise AssertionError, but `python -O` skips asserts. Raise a ValueError.")
    if error is not None:
        by_accident = isinstance(error, TypeError | AttributeError | IndexError | KeyError)
        advice = "check first what was passed." if by_accident else "callers catch only that."
        raise NotYet(f"For {description} your function {raises(error)} It should raise a ValueError; {advice}")
    if found is None or isinstance(found, bool):
        raise NotYet(f"For {description} you return {found}: the caller goes on with that. Raise a ValueError.")
    if isinstance(found, np.ndarray) and (found.dtype, found.shape) == (np.uint8, (32, 32, 3)):
        raise NotYet(f"You convert {description} into an image that fits: nobody learns that it was wrong. Refuse it.")
    raise NotYet(f"You accept {description}: {why}.")


def _sentence_of(error: ValueError, description: str) -> str:
    sentence = one_line(error, 200)
    if not sentence:
        raise NotYet(f"You refuse {description} without a message: say what is wrong with it.")
    if any(words in sentence for words in _PYTHONS_OWN):
        raise NotYet(
            f"For {description} a ValueError is raised that is not yours ({shorten(sentence, 80)}): it is only an "
            "accident. Refuse it with a sentence of your own."
        )
    if len(sentence.split()) < 3:
        raise NotYet(f"You refuse {description} with {sentence!r}: write a sentence that says what is wrong with it.")
    return sentence


EXERCISE = Exercise(
    id="05-refuse",
    title="A doorkeeper for the network",
    kind="refuse",
    level="core",
    hints=(
        "Ask three questions, in an order in which none of them can fail: what is it, what type are its numbers, what "
        "shape does it have?",
        "`isinstance(image, np.ndarray)` comes first: None, a list and a string have neither dtype nor shape. Then "
        "compare `image.dtype` and `image.shape` with what the network takes.",
        "Three `if` statements, each with a `raise ValueError` whose message says what came; at the end return the "
        "image. Do not look at its values: black is a valid image, too.",
    ),
    learned="What the network cannot have learned is refused at the door, in words: it would have answered anyway.",
    check=_check_refuse,
)
