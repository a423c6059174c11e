"""03-stranger: load a file from a stranger without running code in it."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from workbench.teaching.exercises.answers import NOTHING_RETURNED, function_of, raises, shown, tensor_of, try_call
from workbench.teaching.exercises.exercise import Exercise, NotYet, Unanswered

if TYPE_CHECKING:
    from torch import Tensor


class _Sent(NamedTuple):
    """A file as it arrives.

    tensors: the contents of a valid file; None for one that must be refused. accepted: the hint for a loader that
    accepts it nevertheless. original: what was sent, if the content has changed on the way.
    """

    description: str
    name: str
    content: bytes
    tensors: dict[str, Tensor] | None
    accepted: str = ""
    original: bytes = b""


def _check_stranger(answer: object) -> None:
    function = function_of(answer, "load")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        mark = Path(folder) / "mark"
        for each in _mail(mark):
            path = Path(folder) / each.name
            path.write_bytes(each.content)
            found, error = try_call(function, path, hashlib.sha256(each.original or each.content).hexdigest())
            if mark.exists():
                raise NotYet(
                    f"{each.description}: its code has run. It only left a mark on your disk; another would do more."
                )
            if each.tensors is None:
                _expect_refusal(found, error, each)
            else:
                _expect_tensors(found, error, each)


def _expect_refusal(found: object, error: BaseException | None, sent: _Sent) -> None:
    if error is not None:
        return
    if not found:
        raise NotYet(
            f"{sent.description}: it is not opened, but {shown(found)} is returned and the caller goes on with "
            "nothing. Raise an exception."
        )
    raise NotYet(sent.accepted)


def _expect_tensors(found: object, error: BaseException | None, sent: _Sent) -> None:
    import torch

    assert sent.tensors is not None
    if error is not None:
        raised = "raises WeightsError." if type(error).__name__ == "WeightsError" else raises(error)
        raise NotYet(f"{sent.description} is refused: your function {raised} {_valid_file_hint(error, sent)}")
    if found is None:
        raise Unanswered(NOTHING_RETURNED)
    if not isinstance(found, dict) or set(found) != set(sent.tensors):
        names = ", ".join(sent.tensors)
        raise NotYet(f"{sent.description} holds {names}; return a dict of these instead of {shown(found)}.")
    for name, tensor in sent.tensors.items():
        if not torch.equal(tensor_of(found[name], name), tensor.double()):
            raise NotYet(f"{sent.description}: {name!r} is not the tensor that was sent.")


def _valid_file_hint(error: BaseException, sent: _Sent) -> str:
    """The hint for a loader that refuses a valid file."""
    if type(error).__name__ == "UnpicklingError" or "weights_only" in str(error):
        return "It reads pickles, and this is not one: which library's files hold only numbers and a text?"
    if type(error).__name__ == "WeightsError":
        return "That opens only files written by the workbench, and this one comes from elsewhere."
    if sent.name.endswith(".pt"):
        return "Its content is fine. A name proves nothing, neither for a file nor against it."
    return "Nothing is wrong with it."


def _mail(mark: Path) -> list[_Sent]:
    """The files, ordered so that the first one on which a loader fails reveals its mistake."""
    import pickle

    import torch
    from safetensors.torch import save

    tensors = {"weight": torch.arange(12.0).reshape(3, 4), "bias": torch.tensor([0.5, -1.0, 2.0])}
    sound = save(tensors)
    payload = _Payload(mark)
    changed = bytearray(sound)
    changed[-1] ^= 0b0100_0000
    lucky = (
        "Your loader opened a pickle. This one was harmless, but the next may not be: use a reader that cannot run "
        "code."
    )
    flipped = (
        "A changed file was accepted. A bit of one number was flipped on the way, so it is not what was sent: what "
        "else were you given?"
    )
    cut = "Part of it is missing, and its fingerprint matches the rest: a matching fingerprint makes no file valid."
    return [
        _Sent("A sound safetensors file", "sent.safetensors", sound, tensors),
        _malicious("A stranger's pickle with weights", "great.pt", _torch_file({**tensors, "note": payload})),
        _malicious("A stranger's pickle called .safetensors", "fine.safetensors", pickle.dumps(payload)),
        _malicious("A stranger's plain pickle", "fine.bin", pickle.dumps(payload)),
        _malicious("A stranger's pickle in PyTorch's old format", "old.pt", _torch_file({"note": payload}, old=True)),
        _Sent("A pickle", "mine.pt", _torch_file(tensors), None, lucky),
        _Sent("A sound safetensors file that someone called .pt", "sent.pt", sound, tensors),
        _invalid("A truncated safetensors file", "cut.safetensors", sound[: len(sound) - 30], cut),
        _Sent("A changed safetensors file", "way.safetensors", bytes(changed), None, flipped, sound),
    ]


def _invalid(description: str, name: str, content: bytes, accepted: str) -> _Sent:
    """A file that must be refused although its fingerprint is right: its sender announced that, too."""
    return _Sent(description, name, content, None, f"{description} was accepted. {accepted}")


def _malicious(description: str, name: str, content: bytes) -> _Sent:
    return _invalid(description, name, content, "It was opened as a pickle, whatever its name.")


class _Payload:
    """Unpickling it makes a folder: harmless, and visible afterwards."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.mark),)


def _torch_file(value: object, old: bool = False) -> bytes:
    from io import BytesIO

    import torch

    buffer = BytesIO()
    torch.save(value, buffer, _use_new_zipfile_serialization=not old)
    return buffer.getvalue()


EXERCISE = Exercise(
    id="03-stranger",
    title="A parcel from a stranger",
    kind="fix",
    level="core",
    hints=(
        "Two questions, two tools: is it the file that was sent? Can the function that opens it run code at all?",
        "`hashlib.sha256(…).hexdigest()` of the file's bytes answers the first; the safetensors library, which "
        "refuses everything that is not in its own format, answers the second.",
        "Read the bytes once. Raise an error if their SHA-256 is not the one you were given, otherwise pass the same "
        "bytes to the function `load` of `safetensors.torch`. No `torch.load` anywhere.",
    ),
    learned="A fingerprint shows that it is what was sent; only a format without code makes it safe to open.",
    check=_check_stranger,
)
