"""03-header: parse the header of a safetensors file without the library."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from typing import Any

from workbench.teaching.exercises.answers import NOTHING_RETURNED, function_of, raises, shown, try_call
from workbench.teaching.exercises.exercise import Exercise, NotYet, Unanswered


def _check_header(answer: object) -> None:
    function = function_of(answer, "shapes_of")
    for content, expected in _beginnings():
        start = f"the beginning of a file of {len(expected)} tensors"
        found, error = try_call(function, content)
        if error is not None:
            raise NotYet(f"Called with {start}, your function {raises(error)} {_header_hint(error)}".strip())
        _compare_shapes(found, expected, f"From {start}: ")


def _beginnings() -> list[tuple[bytes, dict[str, tuple[int, ...]]]]:
    """The first bytes of files, to just after the header, with the shapes that the library reads from the whole file.

    The second has metadata, the third a header of more than 255 bytes.
    """
    draw = random.Random(3)
    many = {f"{layer}.{kind}": _drawn_shape(draw) for layer in range(20) for kind in ("weight", "bias")}
    many |= {"größe": (3, 1), "__start__": (2, 5), "counter": (), "nothing": (0, 4)}
    # Braces, since it is tempting to search for the last one.
    metadata = {"note": "a {text} beside the {{tensors}}"}
    return [
        _beginning({"0.weight": (4, 3), "0.bias": (4,)}, None),
        _beginning({"0.weight": (6, 2), "1.weight": (5, 6)}, metadata),
        _beginning(many, metadata),
    ]


def _drawn_shape(draw: random.Random) -> tuple[int, ...]:
    return tuple(draw.randint(1, 9) for _ in range(draw.randint(1, 4)))


def _beginning(shapes: dict[str, tuple[int, ...]], metadata: dict[str, str] | None) -> tuple[bytes, dict[str, Any]]:
    import numpy as np
    from safetensors.numpy import load, save

    # Its two bytes are not valid UTF-8, and one of them is a closing brace.
    number = np.frombuffer(b"}\xff", dtype="<i2")[0]
    content = save({name: np.full(shape, number) for name, shape in shapes.items()}, metadata=metadata)
    header = 8 + int.from_bytes(content[:8], "little")
    return content[: header + 9], {name: array.shape for name, array in load(content).items()}


def _header_hint(error: BaseException) -> str:
    """Where the parser went wrong, deduced from its exception."""
    if type(error).__name__ == "SafetensorError":
        return "The library needs the whole file, and most of it is missing: parse the header yourself."
    if isinstance(error, KeyError) and "__metadata__" in str(error):
        return "Not every file has metadata: check first whether it is there."
    if isinstance(error, KeyError | TypeError) and ("shape" in str(error) or "indices" in str(error)):
        return "One entry of this header is not a tensor: look at the names."
    if isinstance(error, OverflowError | MemoryError):
        return "That would be a gigantic header: which byte of its length comes first, the lowest or the highest?"
    late = (
        "You read past the end of the header, into the numbers: how long is it, and which byte of the length is first?"
    )
    early = "The text that you decode begins at the wrong byte: its first character is a brace."
    if isinstance(error, UnicodeDecodeError):
        if error.encoding == "ascii":
            return "A name in it has a character beyond ASCII: JSON is encoded in UTF-8."
        return late if error.encoding == "utf-8" and error.object[:1] == b"{" else early
    if isinstance(error, json.JSONDecodeError):
        if error.msg == "Extra data" and error.doc[:1] == "{":
            return late
        if error.doc[:1] != "{":
            return early
        return "The text ends too soon: from which byte is its length counted, and how many bytes hold the length?"
    return ""


def _compare_shapes(found: object, expected: dict[str, tuple[int, ...]], case: str) -> None:
    if found is None:
        raise Unanswered(NOTHING_RETURNED)
    if not isinstance(found, dict):
        raise NotYet(f"{case}return a dict of shapes by tensor name instead of {shown(found)}.")
    if "__metadata__" in found:
        raise NotYet(f"{case}one of your entries is not a tensor: it is the metadata that a file may contain.")
    if missing := [name for name in expected if name not in found]:
        beyond_ascii = [name for name in missing if not name.isascii()]
        why = (
            " A character beyond ASCII takes several bytes: JSON is encoded in UTF-8."
            if missing == beyond_ascii
            else ""
        )
        raise NotYet(f"{case}you leave out {len(missing)}, such as {missing[0]!r}.{why}")
    if added := [name for name in found if name not in expected]:
        raise NotYet(f"{case}none of them is called {shown(added[0])}.")
    for name, shape in expected.items():
        _compare_shape(found[name], shape, f"{case}for {name!r} you return {shown(found[name])}")


def _compare_shape(found: object, shape: tuple[int, ...], case: str) -> None:
    if isinstance(found, dict):
        raise NotYet(f"{case}. That is its whole entry: return only the shape.")
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise NotYet(f"{case}. A shape has one number for each axis of the tensor: return a tuple or a list of them.")
    if tuple(found) == shape:
        return
    if tuple(found) == shape[::-1]:
        raise NotYet(f"{case}. Those are its axes, backwards.")
    raise NotYet(f"{case}. That is not its shape; an entry has other numbers, too, such as the offsets of its bytes.")


EXERCISE = Exercise(
    id="03-header",
    title="Read it with your own eyes",
    kind="function",
    level="core",
    hints=(
        "Print the first hundred bytes of a safetensors file: eight that are not text, then an opening brace.",
        "`int.from_bytes` turns bytes into a number if you say which end comes first; `json.loads` takes the bytes "
        "that follow, as many as the number says. The entry `__metadata__` is not a tensor.",
        "The length is in bytes 0 to 7, little-endian. The JSON starts at byte 8 and ends before byte 8 + length. Each "
        "of its entries except `__metadata__` has a 'shape': collect these by name.",
    ),
    learned="A safetensors file is a length, a text and numbers: you can read it by hand, and nothing in it runs.",
    check=_check_header,
)
