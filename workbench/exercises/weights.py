"""Lesson 03: what a weights file holds, whose labels it answers with, and whom one opens it from."""

from __future__ import annotations

import hashlib
import json
import os
import random
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from workbench.exercises.exercise import (
    Exercise,
    NotYet,
    Unanswered,
    called,
    function_of,
    is_close,
    number_of,
    parts_of,
    shown,
)
from workbench.sealed import shortened

if TYPE_CHECKING:
    from torch import Tensor

_ANIMALS = ("otter", "bat", "zebra", "cow", "mole", "ant", "yak", "fox", "hen", "seal", "goat", "lynx")


# 03-size


def _check_size(answer: object) -> None:
    guess, size = parts_of(answer, "guess", "size")
    if number_of(guess, "guess") <= 0:
        raise NotYet("guess: any number above nothing will do, it is not judged. How many bytes would you have said?")
    found, right = number_of(size, "size"), _resnet_bytes()
    if found == right:
        return
    for words, value in _wrong_sizes().items():
        if found == value:
            raise NotYet(words)
    if any(is_close(found * unit, right, 0.001) for unit in (1_000, 1_024, 1e6, 2**20)):
        raise NotYet("Right, but in a larger unit, and rounded perhaps: give every single byte.")
    if right < found < 1.1 * right:
        raise NotYet("A little more than the tensors hold: is that a file, with the text it begins with?")
    if found < right:
        raise NotYet(f"The tensors hold more than {found:,.0f} bytes: ask every tensor of the state_dict for its own.")
    raise NotYet(
        f"{found:,.0f} bytes are more than the tensors hold: is something counted twice, or not of the network?"
    )


def _resnet_bytes() -> int:
    from workbench.models import build_model, state_bytes

    return state_bytes(build_model("resnet"))


def _wrong_sizes() -> dict[str, float]:
    from workbench.models import build_model, parameter_count, state_bytes

    network = build_model("resnet")
    tensors = network.state_dict().values()
    parameters, numbers = parameter_count(network), sum(tensor.numel() for tensor in tensors)
    return {
        "That is how many numbers the network learns. How much room does one of them take?": parameters,
        "That is how many numbers the tensors hold. How much room does one of them take?": numbers,
        "That is how many tensors there are: ask each how many bytes it holds.": len(tensors),
        "Those are the learned ones alone. A batch norm also keeps a mean and a spread that no gradient moves, and "
        "without them the answers are others: they travel, too.": 4 * parameters,
        "Very near: you take every number for fp32. Look at the dtype of each tensor.": 4 * numbers,
        "Very near: all of fp32 is there, and some tensors are of another dtype.": sum(
            tensor.nbytes for tensor in tensors if tensor.is_floating_point()
        ),
        "Those are bits: a byte has eight of them.": 8 * _resnet_bytes(),
        "That is half: two bytes a number are fp16 or bf16, and this network is stored in fp32.": 2 * numbers,
        "That is the convnet of the lesson; the question is about the resnet.": state_bytes(build_model("convnet")),
    }


# 03-header


def _check_header(answer: object) -> None:
    function = function_of(answer, "shapes_of")
    for content, expected in _beginnings():
        told = f"the beginning of a file of {len(expected)} tensors"
        found, error = _tried(function, content)
        if error is not None:
            raise NotYet(f"Called with {told}, your function stops with {_said(error)} {_header_words(error)}".strip())
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


def _header_words(error: Exception) -> str:
    """Where a reader of a header must have gone wrong, from what it died of."""
    if type(error).__name__ == "SafetensorError":
        return "The library wants the whole file, and most of it has not arrived: read the header yourself."
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


# 03-labels


def _check_labels(answer: object) -> None:
    import torch

    function = function_of(answer, "mended")
    draw, seeded = random.Random(5), torch.Generator().manual_seed(5)
    for number, features in ((5, 5), (7, 12), (12, 40)):
        labels = tuple(draw.sample(_ANIMALS, number))
        # The first application sorts by name; the others have an order of their own.
        wanted = tuple(sorted(labels) if number == 5 else draw.sample(labels, number))
        layer = torch.randn(number, features, generator=seeded), torch.randn(number, generator=seeded)
        given = layer[0].clone(), layer[1].clone()
        told = f"the last layer for {number} labels"
        weight, bias = parts_of(called(function, *given, labels, wanted, told=told), "weight", "bias")
        if not all(torch.equal(*pair) for pair in zip(layer, given, strict=True)):
            raise NotYet("Your function changes the tensors that it is given: make new ones.")
        _compare_layer((_float64(weight, "weight"), _float64(bias, "bias")), layer, labels, wanted)


def _compare_layer(
    found: tuple[Tensor, Tensor], layer: tuple[Tensor, Tensor], labels: tuple[str, ...], wanted: tuple[str, ...]
) -> None:
    weight, bias = (tensor.double() for tensor in layer)
    orders = {
        "right": [labels.index(label) for label in wanted],
        "inverse": [wanted.index(label) for label in labels],
        "none": list(range(len(labels))),
        "name": [labels.index(label) for label in sorted(labels)],
    }
    rows = _order_of(found[0], {name: weight[order] for name, order in orders.items()})
    numbers = _order_of(found[1], {name: bias[order] for name, order in orders.items()})
    if rows == numbers == "right":
        return
    columns = {name: weight[:, orders[name]] for name in ("right", "inverse")}
    if found[0].shape != weight.shape or _order_of(found[0], columns):
        raise NotYet(
            f"The weight had the shape {tuple(weight.shape)}: one row a label, one column a feature. "
            f"Yours has {tuple(found[0].shape)}, and its columns were moved: which axis has the labels?"
        )
    if found[1].shape != bias.shape:
        raise NotYet(f"The bias had {len(bias)} numbers, one a label; yours has the shape {tuple(found[1].shape)}.")
    raise NotYet(_layer_words(rows, numbers) or _layer_share(found, (weight, bias), labels, wanted))


def _order_of(found: Tensor, candidates: dict[str, Tensor]) -> str:
    """The name of the first candidate that is the same, or nothing."""
    same = (name for name, each in candidates.items() if each.shape == found.shape and bool((each == found).all()))
    return next(same, "")


def _layer_words(rows: str, numbers: str) -> str:
    """What fits how the rows of the weight and the numbers of the bias were ordered; nothing where it is unclear."""
    if rows == numbers == "none":
        return "Nothing has moved: the first row still answers for the first label that was learned."
    if rows == "right" and numbers == "none":
        return "The weight is right. The bias stands still in the order that was learned: it has a number a label, too."
    if rows == "none" and numbers == "right":
        return "The bias is right, and the weight has not moved: it has a row a label."
    if "inverse" in (rows, numbers):
        return (
            "You have the way back instead of the way there: row 0 of the new layer has to answer for wanted[0]. In "
            "which row of the old one does that label stand?"
        )
    if "name" in (rows, numbers):
        return "You sort by name. This application does not: its order is in wanted, whatever that is."
    return ""


def _layer_share(
    found: tuple[Tensor, Tensor], layer: tuple[Tensor, Tensor], labels: tuple[str, ...], wanted: tuple[str, ...]
) -> str:
    import torch

    features = torch.randn(200, layer[0].shape[1], generator=torch.Generator().manual_seed(0)).double()
    mine, theirs = ((features @ weight.T + bias).argmax(1).tolist() for weight, bias in (found, layer))
    hits = sum(wanted[here] == labels[there] for here, there in zip(mine, theirs, strict=True))
    return (
        f"With your layer {hits} of {len(theirs)} random inputs get the name that the network meant. Every row and its "
        "number of the bias have to move, whole and unchanged, to the place of their label."
    )


# 03-stranger


class _Sent(NamedTuple):
    """A file as it arrives. tensors: what is in a sound one; None where it has to be refused. accepted: the words for
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
            found, error = _tried(function, path, each.sha256)
            if mark.exists():
                raise NotYet(
                    f"{each.told}: its code has run. It left a mark on your disk; another would not stop there."
                )
            if each.tensors is None:
                _expect_refusal(found, error, each)
            else:
                _expect_tensors(found, error, each)


def _expect_refusal(found: object, error: Exception | None, sent: _Sent) -> None:
    if error is not None:
        return
    if not found:
        raise NotYet(
            f"{sent.told}: it is not opened, but {shown(found)} comes back and the caller goes on with nothing. Stop "
            "with an exception."
        )
    raise NotYet(f"{sent.told}: it is let in. {sent.accepted}")


def _expect_tensors(found: object, error: Exception | None, sent: _Sent) -> None:
    import torch

    assert sent.tensors is not None
    if error is not None:
        raise NotYet(f"{sent.told} is refused with {_said(error)} {_sound_words(error, sent)}".strip())
    if found is None:
        raise Unanswered("The function gives nothing back yet.")
    if not isinstance(found, dict) or set(found) != set(sent.tensors):
        raise NotYet(f"{sent.told} holds {', '.join(sent.tensors)}; give a dict of these, instead of {shown(found)}.")
    for name, tensor in sent.tensors.items():
        if not torch.equal(_float64(found[name], name), tensor.double()):
            raise NotYet(f"{sent.told}: {name!r} is not the tensor that was sent.")


def _sound_words(error: Exception, sent: _Sent) -> str:
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
        "This pickle was harmless. Your loader opens pickles all the same, and then a guard is all that stands between "
        "a stranger's code and you: open nothing that can hold code."
    )
    flipped = "A bit of one number was flipped on the way, so it is not what was sent: what else were you given?"
    cut = "Half of it is missing, and its fingerprint is that of the half: being as announced makes no file sound."
    return [
        _Sent("A sound safetensors file", "sent.safetensors", sound, _sha256(sound), tensors),
        _sent("A stranger's pickle with weights in it", "great.pt", _torch_file({**tensors, "note": call}), by_name),
        _sent("A stranger's pickle called .safetensors", "fine.safetensors", pickle.dumps(call), by_name),
        _sent("A stranger's pickle by itself", "fine.bin", pickle.dumps(call), by_name),
        _sent(
            "A stranger's pickle as PyTorch once wrote them", "old.pt", _torch_file({"note": call}, old=True), by_name
        ),
        _sent("A pickle", "mine.pt", _torch_file(tensors), lucky),
        _Sent("A sound safetensors file that someone called .pt", "sent.pt", sound, _sha256(sound), tensors),
        _sent("A safetensors file that was cut", "cut.safetensors", sound[: len(sound) - 30], cut),
        _Sent("A changed safetensors file", "way.safetensors", bytes(changed), _sha256(sound), None, flipped),
    ]


def _sent(told: str, name: str, content: bytes, accepted: str) -> _Sent:
    """To be refused although its fingerprint is right: whoever sent it has told that, too."""
    return _Sent(told, name, content, _sha256(content), None, accepted)


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


# 03-int8


def _check_int8(answer: object) -> None:
    import torch

    function = function_of(answer, "quantise")
    for told, matrix in _matrices():
        given = matrix.clone()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy warns of a division by zero, which is told below
            found = called(function, given, told=f"a matrix of {matrix.shape[0]} rows{told}")
        numbers, scales = parts_of(found, "int8 matrix", "scales")
        if not torch.equal(given, matrix):
            raise NotYet("Your function changes the matrix that it is given: make new tensors.")
        _compare_int8(torch.as_tensor(numbers), _float64(scales, "scales"), matrix)


def _matrices() -> list[tuple[str, Tensor]]:
    """So ordered that one mistake is met after the other. No row's largest and smallest numbers are equally far out."""
    import torch

    seeded = torch.Generator().manual_seed(7)

    def drawn(rows: int, columns: int) -> Tensor:
        return torch.rand(rows, columns, generator=seeded) * 1.4 - 0.6

    sizes = torch.tensor([[0.1], [1.0], [10.0], [100.0]])
    positive = drawn(4, 7)
    positive[:, 2] = 0.9
    large = drawn(33, 70) * torch.rand(33, 1, generator=seeded)
    zero = drawn(3, 5)
    zero[1] = 0
    return [
        ("", positive * sizes),
        (", each furthest out below zero", -positive * sizes),
        (", one of them nothing but zeros", zero),
        (", one of them of tiny numbers", drawn(2, 6) * torch.tensor([[1.0], [1e-4]])),
        ("", large),
    ]


def _compare_int8(numbers: Tensor, scales: Tensor, matrix: Tensor) -> None:
    import torch

    _refuse_form(numbers, scales, matrix)
    scales, exact = scales.reshape(-1, 1), matrix.double()
    furthest = exact.abs().amax(1, keepdim=True)
    empty = furthest == 0
    if not bool((torch.isfinite(scales) & (scales > 0))[empty].all()):
        raise NotYet("The row of zeros gets a scale that nothing can be divided by: every scale has to be above zero.")
    if not bool((torch.isfinite(scales) & (scales > 0)).all()):
        raise NotYet("A scale is the width of a step: every one has to be finite and above zero.")
    off = (numbers.double() * scales - exact).abs()
    if bool((off <= 1.01 * furthest / 254).all()):
        return
    words = _int8_words(numbers, scales, exact, furthest)
    row, column = divmod(int((off - furthest / 254).argmax()), matrix.shape[1])
    before, after = float(exact[row, column]), float(numbers[row, column] * scales[row])
    raise NotYet(f"{before:.3g} in row {row} comes back as {after:.3g}, more than half a step off. {words}")


def _refuse_form(numbers: Tensor, scales: Tensor, matrix: Tensor) -> None:
    import torch

    rows, columns = matrix.shape
    if numbers.dtype != torch.int8:
        raise NotYet(f"The numbers come back as {numbers.dtype}: one byte each, so int8, is asked for.")
    if numbers.shape != matrix.shape:
        raise NotYet(f"A matrix of the shape {(rows, columns)} comes back as {tuple(numbers.shape)}.")
    if scales.numel() == 1:
        raise NotYet("There is one scale for all: a row of small numbers then has hardly a step left to differ by.")
    if scales.numel() == columns:
        raise NotYet("You give a scale for each column: over which axis did you look for the number furthest out?")
    if scales.numel() != rows:
        raise NotYet(f"{scales.numel()} scales for {rows} rows: one each.")


def _int8_words(numbers: Tensor, scales: Tensor, exact: Tensor, furthest: Tensor) -> str:
    """What fits the mistake, told by the scales first, and then by the numbers."""
    import torch

    def scales_are(expected: Tensor) -> bool:
        return bool(torch.isclose(scales, expected, rtol=0.002, atol=0.0)[furthest > 0].all())

    if bool((scales == scales[0]).all()):
        return "All rows have the same scale: a row of small numbers then has hardly a step left to differ by."
    if scales_are(furthest / 127):
        # The quotient of the number furthest out is 127, or just below it: float32 and float64 may differ.
        inner = exact.abs() < furthest
        cuts = (cut(exact / scales) for cut in (torch.trunc, torch.floor))
        if any(bool((numbers == cut)[inner].all()) for cut in cuts):
            return "You cut the fraction off, as a conversion to int8 does: the nearest step may be the next one."
        return "Your scales are right: which step is nearest to each weight?"
    highest, lowest = exact.amax(1, keepdim=True), exact.amin(1, keepdim=True)
    if scales_are(highest / 127):
        return "Your scale comes from the largest number; the one furthest from zero may lie below it."
    if scales_are(furthest / 128):
        return "Your largest step is 128, and int8 goes from -128 to 127 only."
    if scales_are(127 / furthest):
        return "Your scales are upside down: a number times its row's scale has to give the weight back."
    if scales_are(furthest / 255) or scales_are((highest - lowest) / 255):
        return "Your steps are so many that they do not fit on either side of zero: int8 goes from -128 to 127."
    if bool((scales > 1.02 * furthest / 127)[furthest > 0].any()):
        return "A row's steps are wider than they need be: its number furthest from zero should use the last of them."
    return "Which step is nearest to each weight, and does the row's scale take it back?"


# All of them


def _tried(function: Callable[..., Any], *arguments: Any) -> tuple[Any, Exception | None]:
    """What a learner's function gives back, or what it died of, where dying may be right or tells the mistake."""
    try:
        return function(*arguments), None
    except Exception as error:  # a learner's function may fail in any way
        return None, error


def _said(error: Exception) -> str:
    reason = shortened(" ".join(str(error).split()), 120).rstrip(".")
    return f"{type(error).__name__}: {reason}."


def _float64(value: object, name: str) -> Tensor:
    """A learner's array, list or tensor, so that numbers can be compared. Raises NotYet for what is none."""
    import torch

    try:
        return torch.as_tensor(value).detach().cpu().double()
    except Exception:
        raise NotYet(f"{name} = {shown(value)} is no tensor of numbers.") from None


EXERCISES = (
    Exercise(
        id="03-size",
        title="How much is there to carry?",
        kind="predict",
        level="warm-up",
        points=1,
        hints=(
            "The lesson has a cell that does it for the convnet, on its way to the bits for each picture.",
            "`network.state_dict()` is the list of all that travels; every tensor in it knows its own size, `nbytes`.",
            "Add up the `nbytes` of all the values of the `state_dict`, the counters of the batch norms among them.",
        ),
        learned="What travels is every tensor of the state_dict, learned or only counted, each with its own dtype.",
        check=_check_size,
    ),
    Exercise(
        id="03-header",
        title="Read it with your own eyes",
        kind="function",
        level="core",
        points=2,
        hints=(
            "Print the first hundred bytes of a safetensors file: eight that are no text, then an opening brace.",
            "`int.from_bytes` turns bytes into a number, once you say which end comes first; `json.loads` takes the "
            "bytes that follow, as many as the number says. The entry `__metadata__` is no tensor.",
            "The length stands in bytes 0 to 7, little end first. The JSON goes from byte 8 to byte 8 + length. Each "
            "of its entries but `__metadata__` has a 'shape': collect these by name.",
        ),
        learned="A safetensors file is a length, a text and numbers: you can read it by hand, and nothing in it runs.",
        check=_check_header,
    ),
    Exercise(
        id="03-labels",
        title="The right weights under the wrong names",
        kind="mend",
        level="core",
        points=2,
        hints=(
            "Do it on paper for three labels: learned (cow, ant, bat), wanted (ant, bat, cow). Which row comes first?",
            "For each label of `wanted`, one after the other: where does it stand in `labels`? The broken function "
            "asks the other way round. And which of the layer's tensors have a row or a number for each label?",
            "Make the list of old places by going through `wanted` and looking each label up in `labels`; index the "
            "rows of the weight with it, and the bias likewise.",
        ),
        learned="Weights know no names: an order of labels belongs to them, and a change of it has to move every row.",
        check=_check_labels,
    ),
    Exercise(
        id="03-stranger",
        title="A parcel from a stranger",
        kind="mend",
        level="core",
        points=2,
        hints=(
            "Two questions, two tools: is it the file that was sent? Can what opens it run code at all?",
            "`hashlib.sha256(…).hexdigest()` of the file's bytes answers the first; the safetensors library, which "
            "stops at everything that is not its own format, answers the second.",
            "Read the bytes once. Raise an error where their SHA-256 is not the one you were told, and otherwise hand "
            "the same bytes to the function `load` of `safetensors.torch`. No `torch.load` anywhere.",
        ),
        learned="A fingerprint says that it is what was sent; only a format without code makes it safe to open.",
        check=_check_stranger,
    ),
    Exercise(
        id="03-int8",
        title="A quarter of the bytes",
        kind="function",
        level="stretch",
        points=3,
        hints=(
            "The lesson's `to_int8` has the idea, but gives floats back, and divides by zero where a row is all zeros.",
            "A row's scale is the width of a step: the number furthest from zero, on either side, uses step 127. "
            "Divide, go to the nearest whole number, and only then change the dtype.",
            "Take `abs()`, then the largest of each row with its axis kept, over 127; put 1 where that is 0. Divide "
            "the matrix by it, `round()`, turn it to `torch.int8`, and give that and the scales back.",
        ),
        learned="A scale a row and the nearest step: no weight moves by more than half a step of its own row.",
        check=_check_int8,
    ),
)
