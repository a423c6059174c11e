"""What a weights file holds, tensor by tensor, and what rounding it to fewer bits would change; beside it what a resume
point holds more. Nothing is built and no pickle is opened but by `load_resume_point`, which runs no code of the file.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from workbench.checkpoint import load_resume_point
from workbench.sealed import shortened
from workbench.units import format_bytes, format_number, format_ratio, format_share
from workbench.weights_format import read_file, unpack

PRECISIONS = ("fp32", "bf16", "int8")
ITEM_BYTES = {"fp32": 4, "bf16": 2, "int8": 1}
SCALE_BYTES = 4  # int8 keeps one fp32 scale for each row
BINS = 64
_BLOCK = 2**20  # numbers rounded at once: their copies stay in the caches, and memory stays bounded


@dataclass(frozen=True, kw_only=True)
class Rounded:
    """A tensor at another precision. bytes: counted, not written. largest_error, mean_error: of a number, measured.

    counts: how many of its numbers fall into each of BINS equal parts of the range from the tensor's min to its max.
    """

    bytes: int
    largest_error: float
    mean_error: float
    counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class TensorSummary:
    """One tensor of a file. share: of the bytes of all tensors, 0 to 1. min, max, mean, std: of its finite numbers.

    odd: how many are not finite. sha256: as the file states it, checked. precisions: by name; a tensor with fewer than
    two dimensions, or of whole numbers, stays as it is and has only "fp32", its numbers as stored.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    share: float
    min: float
    max: float
    mean: float
    std: float
    odd: int
    sha256: str
    precisions: Mapping[str, Rounded]

    @property
    def numbers(self) -> int:
        """How many numbers it holds."""
        return int(np.prod(self.shape, dtype=np.int64))

    def to_mapping(self) -> dict[str, Any]:
        """Plain values, without the histograms."""
        kept = ("name", "shape", "dtype", "bytes", "share", "min", "max", "mean", "std")
        return {name: value for name, value in asdict(self).items() if name in kept} | {"shape": list(self.shape)}

    def told(self) -> str:
        """What there is to say of it, in words."""
        share = f"{format_share(self.share)} of all tensor bytes"
        if not self.numbers:
            return f"{self.name} is empty."
        if self.numbers == 1:
            return f"{self.name} is one number, {format_number(self.min)}: {format_bytes(self.bytes)}, {share}."
        text = f"{self.name} holds {self.numbers:,} numbers from {self.min:.3g} to {self.max:.3g}: {share}."
        if self.odd:
            text += f" {self.odd:,} of them are infinite or no numbers: this network has diverged."
        if "int8" not in self.precisions:
            kind = (
                "Whole numbers stay as they are" if self.dtype[0] in "IUB" else "With one dimension it stays as it is"
            )
            return f"{text} {kind} when the matrices are rounded."
        whole, int8 = self.precisions["fp32"], self.precisions["int8"]
        reach = max(abs(self.min), abs(self.max))
        off = f", which is {format_share(int8.largest_error / reach, 2)} of the largest" if reach else ""
        return (
            f"{text} As int8 it takes {format_share(int8.bytes / whole.bytes, 0)} of the bytes of fp32, and a number "
            f"is off by {int8.largest_error:.2g} at most{off}."
        )


@dataclass(frozen=True, kw_only=True)
class WeightsSummary:
    """A checked weights file. file_bytes and text_bytes: of the file, and of what is not tensors in it, measured.

    tensors: in the order of the network, as far as names tell it. precisions: bytes of all tensors where those with two
    or more dimensions are rounded, counted. metadata: what its text says, key by key.
    """

    path: Path
    file_bytes: int
    text_bytes: int
    sha256: str
    tensors: tuple[TensorSummary, ...]
    precisions: Mapping[str, int]
    metadata: Mapping[str, Any]

    def told(self) -> str:
        """The file in one or two sentences."""
        numbers = sum(tensor.numbers for tensor in self.tensors)
        count = f"{len(self.tensors)} tensor{'' if len(self.tensors) == 1 else 's'}"
        text = f"{numbers:,} numbers in {count}, {format_bytes(self.file_bytes)} with {format_bytes(self.text_bytes)} "
        text += "of text"
        if len(self.tensors) < 2:
            return f"{text}."
        largest = max(self.tensors, key=lambda tensor: tensor.bytes)
        return f"{text}; {largest.name} alone is {format_share(largest.share, 0)} of the tensors."

    def facts(self) -> list[tuple[str, str]]:
        """What its text says, as names and words."""
        about = dict(self.metadata)
        labels = about.pop("labels", None)
        said = [("labels", ", ".join(map(str, labels)) if isinstance(labels, list) else shortened(labels))]
        order = ("model", "class_name", "preprocessing", "metrics", "hyperparameters", "created", "versions")
        named = {"model": "network", "class_name": "class"}
        for key in (*order, *sorted(about.keys() - {*order})):
            if about.get(key):
                said.append((named.get(key, key), _worded(about[key])))
        return [*said, ("SHA-256 of the file", f"{self.sha256[:16]}…")]


def summarise_weights(path: Path) -> WeightsSummary:
    """Read and check a weights file, and count what it holds; the network is not built.

    Raises WeightsError, as `load_weights` does, for a file that is missing, damaged, foreign or a pickle.
    """
    content = read_file(path, "weights file")
    metadata, tensors = unpack(content, path)
    text_bytes = 8 + int.from_bytes(content[:8], "little")
    stated = json.loads(json.loads(content[8:text_bytes])["__metadata__"]["workbench"])["tensors"]
    total = sum(tensor.nbytes for tensor in tensors.values()) or 1
    summaries = []
    for record in sorted(stated, key=lambda record: _in_order(record["name"])):
        tensor = tensors[record["name"]]
        summaries.append(_summary(record, tensor, tensor.nbytes / total))
    kept = {name: sum(_bytes_at(tensor, name) for tensor in summaries) for name in PRECISIONS}
    return WeightsSummary(
        path=path,
        file_bytes=len(content),
        text_bytes=text_bytes,
        sha256=hashlib.sha256(content).hexdigest(),
        tensors=tuple(summaries),
        precisions=kept,
        metadata=metadata,
    )


def resume_parts(path: Path) -> dict[str, int]:
    """Bytes of a resume point by part, which add up to the file: its weights, the optimizer's state, the records and
    the random state, and the rest. Raises WeightsError as `load_resume_point` does."""
    state = load_resume_point(path)
    with zipfile.ZipFile(path) as parts:  # what torch.save writes; it was checked, and nothing of it is run here
        plain = sum(part.file_size for part in parts.infolist() if part.filename.endswith("/data.pkl"))
    stored: set[int] = set()  # what two tensors share, such as tied weights, is written once
    found = {
        "weights": _stored_bytes(state.get("model"), stored),
        "optimizer state": _stored_bytes(state.get("optimizer"), stored),
        "records and random state": plain + _stored_bytes(state.get("randomness"), stored),
    }
    return {**found, "rest": path.stat().st_size - sum(found.values())}


def told_resume(parts: Mapping[str, int], weights_bytes: int) -> str:
    """A resume point beside its weights file, in a sentence."""
    total = sum(parts.values())
    more = max((name for name in parts if name != "weights"), key=lambda name: parts[name])
    return (
        f"The resume point takes {format_bytes(total)}, {format_ratio(total / weights_bytes)} the weights file; most "
        f"of what it holds more is {more}: {format_bytes(parts[more])}."
    )


def _summary(record: Mapping[str, Any], tensor: torch.Tensor, share: float) -> TensorSummary:
    # NumPy from here on: two threads that both compute with PyTorch cost a training in the other a quarter of its time.
    values = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    rounds = values.dtype.kind == "f" and values.ndim > 1
    numbers = values if values.dtype == np.float32 else values.astype(np.float64)
    finite = numbers[np.isfinite(numbers)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return TensorSummary(
        name=record["name"],
        shape=tuple(record["shape"]),
        dtype=record["dtype"],
        bytes=tensor.nbytes,
        share=share,
        min=low,
        max=high,
        mean=float(finite.mean(dtype=np.float64)) if finite.size else 0.0,
        std=float(finite.std(dtype=np.float64)) if finite.size else 0.0,
        odd=numbers.size - finite.size,
        sha256=record["sha256"],
        precisions={
            precision: _rounded(numbers, low, high, precision, tensor.nbytes if not rounds else None)
            for precision in (PRECISIONS if rounds else PRECISIONS[:1])
        },
    )


def _rounded(values: NDArray[np.floating[Any]], low: float, high: float, precision: str, stored: int | None) -> Rounded:
    """The tensor at `precision`; where `stored` is given its bytes are those, and nothing is rounded."""
    counts, largest, total, numbers = np.zeros(BINS, dtype=np.int64), 0.0, 0.0, 0
    for block in _blocks(values):
        there = block if stored is not None else round_to(block, precision)
        sound = np.isfinite(block)
        error = np.abs(np.subtract(there, block, where=sound, out=np.zeros_like(block)))
        # In float64, whose edges stay apart where the values lie close together, or very far from each other.
        counts += np.histogram(np.clip(there[sound].astype(np.float64), low, high), BINS, range=(low, high))[0]
        largest = max(largest, float(error.max(initial=0.0)))
        total += float(error.sum(dtype=np.float64))
        numbers += int(sound.sum())
    size = values.size * ITEM_BYTES[precision]
    size += SCALE_BYTES * len(values) if precision == "int8" else 0
    return Rounded(
        bytes=size if stored is None else stored,
        largest_error=largest,
        mean_error=total / max(1, numbers),
        counts=tuple(counts.tolist()),
    )


def _blocks(values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """The tensor in pieces of whole rows, as a matrix; what has no rows is one row."""
    rows = values.reshape(len(values), -1) if values.ndim > 1 and values.size else values.reshape(1, -1)
    step = max(1, _BLOCK // max(1, rows.shape[1]))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def round_to(rows: NDArray[np.floating[Any]], precision: str) -> NDArray[np.floating[Any]]:
    """A matrix rounded and brought back: "fp32", "bf16", or "int8" with one scale for each row, its largest number."""
    with np.errstate(invalid="ignore", over="ignore"):
        if precision == "int8":
            scale = np.abs(rows).max(axis=1, keepdims=True, initial=0) / 127
            scale[scale == 0] = 1
            return np.round(rows / scale) * scale
        whole = np.ascontiguousarray(rows, dtype=np.float32)
        if precision == "bf16":
            bits = whole.view(np.uint32)
            # To the nearest number whose last 16 bits are zero; of two as near, to the even one.
            bits = (bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))) & np.uint32(0xFFFF0000)
            whole = np.where(np.isfinite(rows), bits.view(np.float32), whole)
        return whole.astype(rows.dtype)


def _bytes_at(tensor: TensorSummary, precision: str) -> int:
    return tensor.precisions.get(precision, tensor.precisions["fp32"]).bytes


def _in_order(name: str) -> list[tuple[int, int, str]]:
    """Sorts "2.weight" before "10.weight", as the layers come."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def _stored_bytes(value: Any, stored: set[int]) -> int:
    """Bytes of the storages of all tensors inside that are not among those `stored`, and joins them."""
    if isinstance(value, torch.Tensor):
        storage = value.untyped_storage()
        new = storage.data_ptr() not in stored
        stored.add(storage.data_ptr())
        return storage.nbytes() if new else 0
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return sum(_stored_bytes(item, stored) for item in inside)


def _worded(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {_worded(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_worded(item) for item in value)
    return format_number(value) if isinstance(value, int | float) else shortened(value)
