"""03-stranger: opening a file from a stranger, so that no code in it runs."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from workbench.exercises.answers import function_of, shown, tensor_of, told_error, tried
from workbench.exercises.exercise import Exercise, NotYet, Unanswered

if TYPE_CHECKING:
    from torch import Tensor


class _Sent(NamedTuple):
    """A file as it arrives. tensors: what is in a sound one; None where it has to be refused. accepted: what is said to
    a loader that lets it in."""

    told: str
    name: str
    content: bytes
    sha256: str
    tensors: dict[str, Tensor] | None
    accepted: str = ""


def _check_stranger(answer: object) -> None:
    function = function_of(answer, "load")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        mark = Path(folder) / "mark"
        for each in _mail(mark):
            path = Path(folder) / each.name
            path.write_bytes(each.content)
            found, error = tried(function, path, each.sha256)
            if mark.exists():
                raise NotYet(
                    f"{each.told}: its code has run. It left a mark on your disk; another would not stop there."
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
            f"{sent.told}: it is not opened, but {shown(found)} comes back and the caller goes on with nothing. Stop "
            "with an exception."
        )
    raise NotYet(sent.accepted)


def _expect_tensors(found: object, error: BaseException | None, sent: _Sent) -> None:
    import torch

    assert sent.tensors is not None
    if error is not None:
        named = type(error).__name__ if type(error).__name__ == "WeightsError" else told_error(error)
        raise NotYet(f"{sent.told} is refused with {named.rstrip('.')}. {_sound_words(error, sent)}".strip())
    if found is None:
        raise Unanswered("The function gives nothing back yet.")
    if not isinstance(found, dict) or set(found) != set(sent.tensors):
        raise NotYet(f"{sent.told} holds {', '.join(sent.tensors)}; give a dict of these, instead of {shown(found)}.")
    for name, tensor in sent.tensors.items():
        if not torch.equal(tensor_of(found[name], name), tensor.double()):
            raise NotYet(f"{sent.told}: {name!r} is not the tensor that was sent.")


def _sound_words(error: BaseException, sent: _Sent) -> str:
    if type(error).__name__ == "UnpicklingError" or "weights_only" in str(error):
        return "What you open it with reads pickles, and this is none: which library writes only numbers and a text?"
    if type(error).__name__ == "WeightsError":
        return "That opens only what the workbench itself has written, and this one comes from elsewhere."
    if sent.name.endswith(".pt"):
        return "Its content is fine. A name is no proof, neither for a file nor against it."
    return "Nothing is wrong with it."


def _mail(mark: Path) -> list[_Sent]:
    """What arrives, so ordered that the first one a loader fails at tells its mistake."""
    import pickle

    import torch
    from safetensors.torch import save

    tensors = {"weight": torch.arange(12.0).reshape(3, 4), "bias": torch.tensor([0.5, -1.0, 2.0])}
    sound = save(tensors)
    call = _Call(mark)
    changed = bytearray(sound)
    changed[-1] ^= 0b0100_0000
    by_name = "It was opened as a pickle, whatever it is called."
    lucky = (
        "Your loader opened a pickle. This one was harmless, but the next may not be: use a reader that cannot run "
        "code."
    )
    flipped = (
        "A changed file: it is let in. A bit of one number was flipped on the way, so it is not what was sent: what "
        "else were you given?"
    )
    cut = "Half of it is missing, and its fingerprint is that of the half: being as announced makes no file sound."
    return [
        _Sent("A sound safetensors file", "sent.safetensors", sound, _sha256(sound), tensors),
        _sent("A stranger's pickle with weights in it", "great.pt", _torch_file({**tensors, "note": call}), by_name),
        _sent("A stranger's pickle called .safetensors", "fine.safetensors", pickle.dumps(call), by_name),
        _sent("A stranger's pickle by itself", "fine.bin", pickle.dumps(call), by_name),
        _sent(
            "A stranger's pickle as PyTorch once wrote them", "old.pt", _torch_file({"note": call}, old=True), by_name
        ),
        _Sent("A pickle", "mine.pt", mine := _torch_file(tensors), _sha256(mine), None, lucky),
        _Sent("A sound safetensors file that someone called .pt", "sent.pt", sound, _sha256(sound), tensors),
        _sent("A safetensors file that was cut", "cut.safetensors", sound[: len(sound) - 30], cut),
        _Sent("A changed safetensors file", "way.safetensors", bytes(changed), _sha256(sound), None, flipped),
    ]


def _sent(told: str, name: str, content: bytes, accepted: str) -> _Sent:
    """To be refused although its fingerprint is right: whoever sent it has told that, too."""
    return _Sent(told, name, content, _sha256(content), None, f"{told}: it is let in. {accepted}")


class _Call:
    """Pickled it is a call that makes a folder, which happens when it is unpickled: harmless, and seen afterwards."""

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


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


EXERCISE = Exercise(
    id="03-stranger",
    title="A parcel from a stranger",
    kind="mend",
    level="core",
    hints=(
        "Two questions, two tools: is it the file that was sent? Can what opens it run code at all?",
        "`hashlib.sha256(…).hexdigest()` of the file's bytes answers the first; the safetensors library, which "
        "stops at everything that is not its own format, answers the second.",
        "Read the bytes once. Raise an error where their SHA-256 is not the one you were told, and otherwise hand "
        "the same bytes to the function `load` of `safetensors.torch`. No `torch.load` anywhere.",
    ),
    learned="A fingerprint says that it is what was sent; only a format without code makes it safe to open.",
    check=_check_stranger,
)
