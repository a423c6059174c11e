"""03-header: the beginning of a safetensors file, read by hand."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

from workbench.exercises.answers import function_of, shown, told_error, tried
from workbench.exercises.exercise import Exercise, NotYet, Unanswered


def _check_header(answer: object) -> None:
    function = function_of(answer, "shapes_of")
    for content, expected in _beginnings():
        told = f"the beginning of a file of {len(expected)} tensors"
        found, error = tried(function, content)
        if error is not None:
            raise NotYet(
                f"Called with {told}, your function stops with {told_error(error)} {_header_words(error)}".strip()
            )
        _compare_shapes(found, expected, f"From {told}: ")


def _beginnings() -> list[tuple[bytes, dict[str, tuple[int, ...]]]]:
    """Files of which only the header and a little more has arrived, with the shapes that the library reads in the
    whole file. The second one has text beside its tensors, the third a header that is longer than a byte can tell."""
    draw = random.Random(3)
    many = {f"{place}.{kind}": _drawn_shape(draw) for place in range(20) for kind in ("weight", "bias")}
    many |= {"größe": (3, 1), "__start__": (2, 5), "counter": (), "nothing": (0, 4)}
    # Braces, since it is tempting to look for the last one.
    text = {"note": "a {text} beside the {{tensors}}"}
    return [
        _beginning({"0.weight": (4, 3), "0.bias": (4,)}, None),
        _beginning({"0.weight": (6, 2), "1.weight": (5, 6)}, text),
        _beginning(many, text),
    ]


def _drawn_shape(draw: random.Random) -> tuple[int, ...]:
    return tuple(draw.randint(1, 9) for _ in range(draw.randint(1, 4)))


def _beginning(shapes: dict[str, tuple[int, ...]], text: dict[str, str] | None) -> tuple[bytes, dict[str, Any]]:
    import numpy as np
    from safetensors.numpy import load, save

    # Its bytes are no text, and one of the two is a closing brace.
    number = np.frombuffer(b"}\xff", dtype="<i2")[0]
    content = save({name: np.full(shape, number) for name, shape in shapes.items()}, metadata=text)
    header = 8 + int.from_bytes(content[:8], "little")
    return content[: header + 9], {name: array.shape for name, array in load(content).items()}


def _header_words(error: BaseException) -> str:
    """Where a reader of a header must have gone wrong, from what it died of."""
    if type(error).__name__ == "SafetensorError":
        return "The library wants the whole file, and most of it has not arrived: read the header yourself."
    if isinstance(error, KeyError) and "__metadata__" in str(error):
        return "Not every file carries such a text: ask first whether it is there."
    if isinstance(error, KeyError | TypeError) and ("shape" in str(error) or "indices" in str(error)):
        return "One entry of this header describes no tensor: look at its names."
    if isinstance(error, OverflowError | MemoryError):
        return "That would be a gigantic header: which of the bytes of its length comes first, the small or the large?"
    late = "You read past the header's end, into the numbers: how long is it, and which byte of the length comes first?"
    early = "What you read as text begins at the wrong byte: its first letter is a brace."
    if isinstance(error, UnicodeDecodeError):
        if error.encoding == "ascii":
            return "A name in it has a letter beyond ASCII: JSON is written in UTF-8."
        return late if error.encoding == "utf-8" and error.object[:1] == b"{" else early
    if isinstance(error, json.JSONDecodeError):
        if error.msg == "Extra data" and error.doc[:1] == "{":
            return late
        if error.doc[:1] != "{":
            return early
        return "The text ends too soon: from which byte on is its length counted, and how many bytes tell the length?"
    return ""


def _compare_shapes(found: object, expected: dict[str, tuple[int, ...]], told: str) -> None:
    if found is None:
        raise Unanswered("The function gives nothing back yet.")
    if not isinstance(found, dict):
        raise NotYet(f"{told}give a dict, of each tensor's name its shape, instead of {shown(found)}.")
    if "__metadata__" in found:
        raise NotYet(f"{told}one of your entries is no tensor: it is the text that a file may carry beside them.")
    if missing := [name for name in expected if name not in found]:
        odd = [name for name in missing if not name.isascii()]
        why = " A letter beyond ASCII takes several bytes: JSON is written in UTF-8." if missing == odd else ""
        raise NotYet(f"{told}you leave out {len(missing)}, such as {missing[0]!r}.{why}")
    if added := [name for name in found if name not in expected]:
        raise NotYet(f"{told}{shown(added[0])} is the name of none of them.")
    for name, shape in expected.items():
        _compare_shape(found[name], shape, f"{told}for {name!r} you give {shown(found[name])}")


def _compare_shape(found: object, shape: tuple[int, ...], told: str) -> None:
    if isinstance(found, dict):
        raise NotYet(f"{told}. That is all of its entry: only the shape is asked for.")
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise NotYet(f"{told}. A shape has as many numbers as the tensor has axes: give a tuple or a list of them.")
    if tuple(found) == shape:
        return
    if tuple(found) == shape[::-1]:
        raise NotYet(f"{told}. Those are its axes, backwards.")
    raise NotYet(f"{told}. That is not its shape; an entry has other numbers, too, such as where its bytes lie.")


EXERCISE = Exercise(
    id="03-header",
    title="Read it with your own eyes",
    kind="function",
    level="core",
    hints=(
        "Print the first hundred bytes of a safetensors file: eight that are no text, then an opening brace.",
        "`int.from_bytes` turns bytes into a number, once you say which end comes first; `json.loads` takes the "
        "bytes that follow, as many as the number says. The entry `__metadata__` is no tensor.",
        "The length stands in bytes 0 to 7, little end first. The JSON goes from byte 8 to byte 8 + length. Each "
        "of its entries but `__metadata__` has a 'shape': collect these by name.",
    ),
    learned="A safetensors file is a length, a text and numbers: you can read it by hand, and nothing in it runs.",
    check=_check_header,
)
