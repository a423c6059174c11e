"""Wrong and right answers to lesson 03."""

from __future__ import annotations

import hashlib
import json
import pickle
import struct
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import safetensors.numpy
import safetensors.torch
import torch
from teaching.exercises.solved import mistakes, right_answers

import workbench as wb
from workbench.teaching.exercises.checking import check
from workbench.teaching.exercises.weights.header import _beginnings
from workbench.teaching.exercises.weights.int8 import _matrices
from workbench.teaching.exercises.weights.stranger import _mail

NETWORK = wb.build_model("resnet")
STATE = NETWORK.state_dict()
SIZE = sum(tensor.nbytes for tensor in STATE.values())

Labels = tuple[str, ...]


def torch_saved() -> int:
    buffer = BytesIO()
    torch.save(STATE, buffer)
    return buffer.tell()


SIZES: list[tuple[str, Any, str]] = [
    ("03-size", (1e6, wb.parameter_count(NETWORK)), "how many numbers the network learns"),
    ("03-size", (1e6, sum(tensor.numel() for tensor in STATE.values())), "how many numbers the tensors hold"),
    ("03-size", (1e6, 4 * wb.parameter_count(NETWORK)), "the learned ones alone"),
    ("03-size", (1e6, 4 * sum(tensor.numel() for tensor in STATE.values())), "Look at the dtype of each"),
    (
        "03-size",
        (1e6, sum(tensor.nbytes for tensor in STATE.values() if tensor.dtype == torch.float32)),
        "some tensors have another dtype",
    ),
    ("03-size", (1e6, len(safetensors.torch.save(STATE))), "is that the size of a file"),
    ("03-size", (1e6, torch_saved()), "is that the size of a file"),
    ("03-size", (1e6, 8 * SIZE), "Those are bits"),
    ("03-size", (1e6, 2 * sum(tensor.numel() for tensor in STATE.values())), "That is half"),
    ("03-size", (1e6, len(STATE)), "how many tensors there are"),
    ("03-size", (1e6, round(SIZE / 1000)), "in a larger unit"),
    ("03-size", (1e6, SIZE / 2**20), "in a larger unit"),
    ("03-size", (1e6, sum(value.nbytes for value in wb.build_model("convnet").state_dict().values())), "the convnet"),
    ("03-size", (1e6, 3 * SIZE), "more than the tensors hold"),
    ("03-size", (1e6, 1), "hold more than 1 bytes"),
    ("03-size", ("much", SIZE), "is not a number"),
    ("03-size", (1e6, "1 MB"), "is not a number"),
    ("03-size", SIZE, "Give 2 things"),
]


def header_of(content: bytes, length: int, start: int = 8) -> Any:
    return json.loads(content[start : start + length])


def shapes(header: Any) -> dict[str, Any]:
    return {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}


def without_text(content: bytes) -> Any:
    header = header_of(content, content[0])
    header.pop("__metadata__")
    return header


def header_right(content: bytes) -> Any:
    return header_of(content, int.from_bytes(content[:8], "little"))


def by_library(content: bytes) -> dict[str, Any]:
    return {name: array.shape for name, array in safetensors.numpy.load(content).items()}


def without_offset(content: bytes) -> Any:
    return shapes(json.loads(content[: int.from_bytes(content[:8], "little")]))


def cut_by_eight(content: bytes) -> Any:
    return shapes(json.loads(content[8 : int.from_bytes(content[:8], "little")]))


def big_end_first(content: bytes) -> Any:
    return shapes(header_of(content, int.from_bytes(content[:8], "big")))


def big_end_read(content: bytes) -> Any:
    file = BytesIO(content)
    (length,) = struct.unpack(">Q", file.read(8))
    return shapes(json.loads(file.read(length)))


def read_from_the_start(content: bytes) -> Any:
    return shapes(json.loads(content[8:].decode("latin-1")))


def to_the_last_brace(content: bytes) -> Any:
    return shapes(json.loads(content[8 : content.rindex(b"}") + 1]))


def to_the_first_braces(content: bytes) -> Any:
    return shapes(json.loads(content[8 : content.index(b"}}") + 2]))


def latin(content: bytes) -> Any:
    header, _ = json.JSONDecoder().raw_decode(content[8:].decode("latin-1"))
    return shapes(header)


def ascii_only(content: bytes) -> Any:
    length = int.from_bytes(content[:8], "little")
    return shapes(json.loads(content[8 : 8 + length].decode("ascii")))


HEADERS: list[tuple[str, Any, str]] = [
    (
        "03-header",
        lambda content: {n: e["shape"] for n, e in without_text(content).items()},
        "check first whether it is there",
    ),
    ("03-header", by_library, "The library needs the whole file"),
    ("03-header", without_offset, "begins at the wrong byte"),
    ("03-header", cut_by_eight, "ends too soon"),
    ("03-header", big_end_first, "past the end of the header"),
    ("03-header", big_end_read, "gigantic header"),
    ("03-header", read_from_the_start, "past the end of the header"),
    ("03-header", to_the_last_brace, "past the end of the header"),
    ("03-header", to_the_first_braces, "ends too soon"),
    ("03-header", latin, "JSON is encoded in UTF-8"),
    ("03-header", ascii_only, "a character beyond ASCII"),
    ("03-header", lambda content: shapes(header_of(content, content[0])), "ends too soon"),
    (
        "03-header",
        lambda content: {name: entry["shape"] for name, entry in header_right(content).items()},
        "One entry of this header is not a tensor",
    ),
    (
        "03-header",
        lambda content: {name: entry.get("shape", []) for name, entry in header_right(content).items()},
        "one of your entries is not a tensor",
    ),
    (
        "03-header",
        lambda content: {n: e["shape"] for n, e in header_right(content).items() if not n.startswith("_")},
        "you leave out 1, such as '__start__'",
    ),
    ("03-header", lambda content: {n: e for n, e in header_right(content).items() if n[0] != "_"}, "its whole entry"),
    (
        "03-header",
        lambda content: {n: int(np.prod(e)) for n, e in shapes(header_right(content)).items()},
        "one number for each axis of the tensor",
    ),
    (
        "03-header",
        lambda content: {n: e["data_offsets"] for n, e in header_right(content).items() if "shape" in e},
        "That is not its shape",
    ),
    ("03-header", lambda content: {n: e[::-1] for n, e in shapes(header_right(content)).items()}, "backwards"),
    ("03-header", lambda content: list(shapes(header_right(content))), "return a dict of shapes"),
    ("03-header", lambda content: {}, "you leave out 2"),
    ("03-header", lambda content: {**shapes(header_right(content)), "x": []}, "none of them is called 'x'"),
    ("03-header", lambda content: 1 / 0, "raises ZeroDivisionError"),
    ("03-header", {"a": 1}, "cannot be called"),
]


def there(labels: Labels, wanted: Labels) -> list[int]:
    return [labels.index(label) for label in wanted]


def moved_in_place(weight: torch.Tensor, bias: torch.Tensor, labels: Labels, wanted: Labels) -> Any:
    weight[:] = weight[there(labels, wanted)]
    return weight, bias[there(labels, wanted)]


def by_name(weight: torch.Tensor, bias: torch.Tensor, labels: Labels, wanted: Labels) -> Any:
    order = there(labels, tuple(sorted(labels)))
    return weight[order], bias[order]


LABELS: list[tuple[str, Any, str]] = [
    ("03-labels", lambda w, b, old, new: (w, b), "Nothing has moved"),
    ("03-labels", lambda w, b, old, new: (w[there(old, new)], b), "The weight is right. The bias is still"),
    ("03-labels", lambda w, b, old, new: (w, b[there(old, new)]), "the weight has not moved"),
    ("03-labels", lambda w, b, old, new: (w[there(new, old)], b[there(new, old)]), "the inverse order"),
    ("03-labels", lambda w, b, old, new: (w[there(new, old)], b), "the inverse order"),
    ("03-labels", lambda w, b, old, new: (w[there(old, new)], b[there(new, old)]), "the inverse order"),
    ("03-labels", lambda w, b, old, new: (w[:, there(old, new)], b[there(old, new)]), "its columns were moved"),
    ("03-labels", lambda w, b, old, new: (w.T[there(old, new)], b[there(old, new)]), "With your layer"),
    ("03-labels", lambda w, b, old, new: (w[there(old, new)], b[:2]), "The bias had 5 numbers"),
    ("03-labels", by_name, "You sort by name"),
    ("03-labels", moved_in_place, "changes the tensors"),
    ("03-labels", lambda w, b, old, new: (w.flip(0), b.flip(0)), "random inputs get the label"),
    ("03-labels", lambda w, b, old, new: w, "Give 2 things"),
    ("03-labels", lambda w, b, old, new: (w, "b"), "is not a tensor of numbers"),
    ("03-labels", lambda w, b: (w, b), "raises TypeError"),
    ("03-labels", 3, "cannot be called"),
]


def right_loader(path: Path, sha256: str) -> Any:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError("not what was sent")
    return safetensors.torch.load(content)


def by_suffix(path: Path, sha256: str) -> Any:
    if path.suffix != ".safetensors":
        raise ValueError("no safetensors file")
    return right_loader(path, sha256)


def falls_back(weights_only: bool) -> Callable[[Path, str], Any]:
    def load(path: Path, sha256: str) -> Any:
        try:
            return safetensors.torch.load_file(path)
        except safetensors.SafetensorError:
            return torch.load(path, weights_only=weights_only)

    return load


def unpickles_what_is_named_so(path: Path, sha256: str) -> Any:
    if path.suffix == ".pt":
        raise ValueError("a pickle")
    try:
        return safetensors.torch.load_file(path)
    except safetensors.SafetensorError:
        return pickle.loads(path.read_bytes())  # noqa: S301


def gives(value: Any) -> Callable[[Path, str], Any]:
    def load(path: Path, sha256: str) -> Any:
        try:
            return right_loader(path, sha256)
        except Exception:
            return value

    return load


def no_fingerprint(path: Path, sha256: str) -> Any:
    return safetensors.torch.load_file(path)


STRANGER: list[tuple[str, Any, str]] = [
    ("03-stranger", lambda path, sha256: pickle.loads(path.read_bytes()), "It reads pickles"),  # noqa: S301
    ("03-stranger", lambda path, sha256: wb.load_weights(path), "only files written by the workbench"),
    ("03-stranger", falls_back(weights_only=False), "with weights: its code has run"),
    ("03-stranger", falls_back(weights_only=True), "Your loader opened a pickle. This one was harmless"),
    ("03-stranger", unpickles_what_is_named_so, "pickle called .safetensors: its code has run"),
    ("03-stranger", by_suffix, "A name proves nothing"),
    ("03-stranger", no_fingerprint, "what else were you given?"),
    ("03-stranger", gives({}), "the caller goes on with nothing"),
    ("03-stranger", gives(None), "None is returned and the caller goes on with nothing"),
    ("03-stranger", lambda path, sha256: path.read_bytes(), "return a dict of these"),
    ("03-stranger", lambda path, sha256: {"weight": torch.zeros(3, 4), "bias": "x"}, "is not the tensor that was sent"),
    ("03-stranger", lambda path, sha256: 1 / 0, "is refused: your function raises ZeroDivisionError"),
    ("03-stranger", "load", "cannot be called"),
]


def quantiser(
    furthest: Callable[[torch.Tensor], torch.Tensor] = lambda m: m.abs().amax(1, keepdim=True),
    steps: int = 127,
    nearest: Callable[[torch.Tensor], torch.Tensor] = torch.round,
    guard: float = 1e-30,
    dtype: torch.dtype = torch.int8,
) -> Callable[[torch.Tensor], Any]:
    def quantise(matrix: torch.Tensor) -> Any:
        scales = furthest(matrix).abs().clamp(min=guard) / steps
        return nearest(matrix / scales).clamp(-128, 127).to(dtype), scales

    return quantise


def upside_down(matrix: torch.Tensor) -> Any:
    numbers, scales = quantiser()(matrix)
    return numbers, 1 / scales


def unguarded(matrix: torch.Tensor) -> Any:
    scales = matrix.abs().amax(1) / 127
    return (matrix / scales[:, None]).round().nan_to_num().to(torch.int8), scales


def in_numpy_unguarded(matrix: torch.Tensor) -> Any:
    scales = np.abs(matrix.numpy()).max(1) / 127
    return (matrix.numpy() / scales[:, None]).round().astype(np.int8), scales


def all_rows_alike(matrix: torch.Tensor) -> Any:
    numbers, scale = quantiser(lambda m: m.abs().amax())(matrix)
    return numbers, scale.expand(len(matrix))


def asymmetric(matrix: torch.Tensor) -> Any:
    scales = (matrix.amax(1, keepdim=True) - matrix.amin(1, keepdim=True)).clamp(min=1e-30) / 255
    return (matrix / scales).round().clamp(-128, 127).to(torch.int8), scales


def in_place(matrix: torch.Tensor) -> Any:
    scales = matrix.abs().amax(1, keepdim=True) / 127
    return matrix.div_(scales).round().to(torch.int8), scales


INT8: list[tuple[str, Any, str]] = [
    ("03-int8", quantiser(lambda m: m.abs().amax()), "There is one scale for all"),
    ("03-int8", all_rows_alike, "All rows have the same scale"),
    ("03-int8", quantiser(nearest=lambda ratio: ratio), "You cut off the fraction"),
    ("03-int8", quantiser(nearest=torch.floor), "You cut off the fraction"),
    ("03-int8", quantiser(lambda m: m.amax(1, keepdim=True)), "comes from the largest number"),
    ("03-int8", quantiser(steps=128), "Your largest step is 128"),
    ("03-int8", quantiser(steps=255), "than fit on either side of zero"),
    ("03-int8", asymmetric, "than fit on either side of zero"),
    ("03-int8", quantiser(lambda m: m.abs().amax(0, keepdim=True)), "a scale for each column"),
    ("03-int8", unguarded, "The row of zeros gets a scale"),
    ("03-int8", in_numpy_unguarded, "The row of zeros gets a scale"),
    ("03-int8", quantiser(guard=0.01), "wider than necessary"),
    ("03-int8", quantiser(steps=7), "wider than necessary"),
    ("03-int8", quantiser(dtype=torch.int32), "they should be int8"),
    ("03-int8", quantiser(dtype=torch.uint8), "they should be int8"),
    ("03-int8", upside_down, "upside down"),
    ("03-int8", in_place, "changes the matrix"),
    ("03-int8", lambda m: (quantiser()(m)[0].T, quantiser()(m)[1]), "comes back as (7, 4)"),
    ("03-int8", lambda m: (quantiser()(m)[0], torch.ones(3)), "3 scales for 4 rows"),
    ("03-int8", lambda m: (quantiser()(m)[0], -quantiser()(m)[1]), "finite and above zero"),
    ("03-int8", lambda m: (quantiser()(m)[0].flip(1), quantiser()(m)[1]), "Your scales are right"),
    ("03-int8", lambda m: (quantiser()(m)[0], "x"), "is not a tensor of numbers"),
    ("03-int8", lambda m: quantiser()(m)[0], "Give 2 things"),
    ("03-int8", lambda m: m / "x", "raises TypeError"),
    ("03-int8", 8, "cannot be called"),
]

WRONG = SIZES + HEADERS + LABELS + STRANGER + INT8


test_each_mistake_gets_the_hint_that_fits_it = mistakes(WRONG)


@pytest.mark.parametrize("weights_only", [True, False])
def test_torch_load_is_not_the_answer_whether_or_not_it_reads_safetensors(weights_only: bool) -> None:
    """It does from some version of PyTorch on."""
    verdict = check("03-stranger", lambda path, sha256: torch.load(path, weights_only=weights_only))
    assert verdict.state == "not yet"
    late = "This one was harmless" if weights_only else "its code has run"
    assert late in verdict.message or "It reads pickles" in verdict.message


def header_by_struct(content: bytes) -> Any:
    file = BytesIO(content)
    (length,) = struct.unpack("<Q", file.read(8))
    header = json.load(BytesIO(file.read(length)))
    header.pop("__metadata__", None)
    return {name: tuple(entry["shape"]) for name, entry in header.items()}


def labels_in_a_loop(weight: torch.Tensor, bias: torch.Tensor, labels: Labels, wanted: Labels) -> Any:
    places = {label: place for place, label in enumerate(labels)}
    rows = [weight[places[label]].tolist() for label in wanted]
    return rows, [float(bias[places[label]]) for label in wanted]


def labels_by_matrix(weight: torch.Tensor, bias: torch.Tensor, labels: Labels, wanted: Labels) -> Any:
    mover = torch.tensor([[float(old == new) for old in labels] for new in wanted])
    return [torch.nn.Parameter(mover @ weight), (mover @ bias).numpy()]


def stranger_in_numpy(path: Path, sha256: str) -> Any:
    with path.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == sha256
    return safetensors.numpy.load_file(path)


def int8_in_a_loop(matrix: torch.Tensor) -> Any:
    numbers, scales = np.zeros(matrix.shape, np.int8), []
    for place, row in enumerate(matrix.numpy()):
        scale = max(map(abs, row)) / 127 or 1.0
        numbers[place] = [round(float(value / scale)) for value in row]
        scales.append(float(scale))
    return numbers, scales


test_a_different_right_answer_passes = right_answers(
    [
        ("03-size", [1, np.int64(SIZE)]),
        ("03-size", (5e9, torch.tensor(SIZE))),
        ("03-header", header_by_struct),
        ("03-labels", labels_in_a_loop),
        ("03-labels", labels_by_matrix),
        ("03-stranger", right_loader),
        ("03-stranger", stranger_in_numpy),
        ("03-int8", quantiser()),
        ("03-int8", quantiser(guard=1e-12)),
        ("03-int8", int8_in_a_loop),
    ]
)


def test_the_malicious_files_run_code_when_unpickled(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    malicious = [sent for sent in _mail(mark) if sent.description.startswith("A stranger")]
    assert len(malicious) == 4
    for sent in malicious:
        if sent.name.endswith(".pt"):
            torch.load(BytesIO(sent.content), weights_only=False)
        else:
            pickle.loads(sent.content)  # noqa: S301
        assert mark.is_dir()
        mark.rmdir()


def test_checking_does_not_change_torchs_random_state() -> None:
    before = torch.random.get_rng_state()
    for id, answer in (("03-labels", labels_by_matrix), ("03-int8", quantiser())):
        check(id, answer)
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_inputs_distinguish_the_mistakes() -> None:
    lengths = [int.from_bytes(content[:8], "little") for content, _ in _beginnings()]
    assert lengths[0] < 256 < lengths[-1]
    (_, first), (_, second), *_ = _matrices()
    assert (first.amax(1) == first.abs().amax(1)).all()
    assert (second.amax(1) < second.abs().amax(1)).all()
