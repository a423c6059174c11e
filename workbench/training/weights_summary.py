"""Summarise a weights file tensor by tensor, with the error of rounding to fewer bits, and the parts of a resume point.

No network is built, and no pickle is opened except by `load_resume_point`, which runs no code from the file.
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

from workbench.training.checkpoint import load_resume_point
from workbench.training.weights_format import read_file, unpack
from workbench.units import BYTES_PER_VALUE, format_bytes, format_number, format_ratio, format_share
from workbench.wording import shorten

PRECISIONS = ("fp32", "bf16", "int8")
SCALE_BYTES = 4  # one fp32 scale per row for int8
BINS = 64
_BLOCK = 2**20  # values rounded at a time: copies stay in the processor's caches, and memory stays bounded


@dataclass(frozen=True, kw_only=True)
class Rounded:
    """A tensor at another precision. bytes: computed. largest_error, mean_error: absolute, of one value, measured.

    counts: histogram of the rounded values in BINS equal bins from the tensor's min to its max.
    """

    bytes: int
    largest_error: float
    mean_error: float
    counts: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class TensorSummary:
    """One tensor of a file. share: of the bytes of all tensors, 0 to 1. min, max, mean, std: of its finite values.

    nonfinite: number of infinities and NaNs. sha256: stated in the file and verified. precisions: by name; a tensor of
    integers, or with fewer than two dimensions, is not rounded and has only "fp32", its values as stored.
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
    nonfinite: int
    sha256: str
    precisions: Mapping[str, Rounded]

    @property
    def numbers(self) -> int:
        """Number of values."""
        return int(np.prod(self.shape, dtype=np.int64))

    def to_mapping(self) -> dict[str, Any]:
        """Return plain values, without the histograms."""
        kept = ("name", "shape", "dtype", "bytes", "share", "min", "max", "mean", "std")
        return {name: value for name, value in asdict(self).items() if name in kept} | {"shape": list(self.shape)}

    def describe(self) -> str:
        """Describe the tensor in one or two sentences."""
        share = f"{format_share(self.share)} of all tensor bytes"
        if not self.numbers:
            return f"{self.name} is empty."
        if self.numbers == 1:
            return f"{self.name} is one number, {format_number(self.min)}: {format_bytes(self.bytes)}, {share}."
        text = f"{self.name} holds {self.numbers:,} numbers from {self.min:.3g} to {self.max:.3g}: {share}."
        if self.nonfinite:
            text += f" {self.nonfinite:,} of them are infinite or NaN: this network has diverged."
        if "int8" not in self.precisions:
            reason = "is of integers" if self.dtype[0] in "IUB" else "has one dimension"
            return f"{text} It {reason}, so it is not rounded with the matrices."
        fp32, int8 = self.precisions["fp32"], self.precisions["int8"]
        reach = max(abs(self.min), abs(self.max))
        off = f", which is {format_share(int8.largest_error / reach, 2)} of the largest" if reach else ""
        return (
            f"{text} As int8 it takes {format_share(int8.bytes / fp32.bytes, 0)} of the bytes of fp32, and a number "
            f"is off by {int8.largest_error:.2g} at most{off}."
        )


@dataclass(frozen=True, kw_only=True)
class WeightsSummary:
    """A verified weights file. file_bytes, text_bytes: size of the file, and of its header, measured.

    tensors: in the order of the layers, as far as their names show it. precisions: bytes of all tensors where those of
    two or more dimensions are rounded, computed. metadata: the header's description, key by key.
    """

    path: Path
    file_bytes: int
    text_bytes: int
    sha256: str
    tensors: tuple[TensorSummary, ...]
    precisions: Mapping[str, int]
    metadata: Mapping[str, Any]

    def describe(self) -> str:
        """Describe the file in one or two sentences."""
        numbers = sum(tensor.numbers for tensor in self.tensors)
        count = f"{len(self.tensors)} tensor{'' if len(self.tensors) == 1 else 's'}"
        sizes = f"{format_bytes(self.file_bytes)} with {format_bytes(self.text_bytes)} of text"
        text = f"{numbers:,} numbers in {count}, {sizes}"
        if len(self.tensors) < 2:
            return f"{text}."
        largest = max(self.tensors, key=lambda tensor: tensor.bytes)
        return f"{text}; {largest.name} alone is {format_share(largest.share, 0)} of the tensors."

    def facts(self) -> list[tuple[str, str]]:
        """Return the metadata as (name, text) rows."""
        about = dict(self.metadata)
        labels = about.pop("labels", None)
        rows = [("labels", ", ".join(map(str, labels)) if isinstance(labels, list) else shorten(labels))]
        order = ("model", "class_name", "preprocessing", "metrics", "hyperparameters", "created", "versions")
        named = {"model": "network", "class_name": "class"}
        for key in (*order, *sorted(about.keys() - {*order})):
            if about.get(key):
                rows.append((named.get(key, key), _plain_text(about[key])))
        return [*rows, ("SHA-256 of the file", f"{self.sha256[:16]}…")]


def summarise_weights(path: Path) -> WeightsSummary:
    """Read and verify a weights file and summarise its tensors, without building the network.

    Raises WeightsError, as `load_weights` does, for a file that is missing, damaged, foreign or a pickle.
    """
    content = read_file(path, "weights file")
    metadata, tensors = unpack(content, path)
    text_bytes = 8 + int.from_bytes(content[:8], "little")
    stated = json.loads(json.loads(content[8:text_bytes])["__metadata__"]["workbench"])["tensors"]
    total = sum(tensor.nbytes for tensor in tensors.values()) or 1
    summaries = []
    for record in sorted(stated, key=lambda record: _layer_order(record["name"])):
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
    """Return the bytes of each part of a resume point, which add up to the file: weights, optimizer state, records and
    random state, and the rest. Raises WeightsError as `load_resume_point` does."""
    state = load_resume_point(path)
    with zipfile.ZipFile(path) as parts:  # as torch.save writes; it was verified, and nothing in it is run
        plain = sum(part.file_size for part in parts.infolist() if part.filename.endswith("/data.pkl"))
    stored: set[int] = set()  # storage that tensors share, such as tied weights, is written once
    found = {
        "weights": _stored_bytes(state.get("model"), stored),
        "optimizer state": _stored_bytes(state.get("optimizer"), stored),
        "records and random state": plain + _stored_bytes(state.get("randomness"), stored),
    }
    return {**found, "rest": path.stat().st_size - sum(found.values())}


def describe_resume_point(parts: Mapping[str, int], weights_bytes: int) -> str:
    """Compare a resume point with its weights file in one sentence."""
    total = sum(parts.values())
    more = max((name for name in parts if name != "weights"), key=lambda name: parts[name])
    return (
        f"The resume point takes {format_bytes(total)}, {format_ratio(total / weights_bytes)} the weights file; most "
        f"of what it holds more is {more}: {format_bytes(parts[more])}."
    )


def _summary(record: Mapping[str, Any], tensor: torch.Tensor, share: float) -> TensorSummary:
    # NumPy from here on: computing with PyTorch in a second thread slows a training in the first by a quarter.
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
        nonfinite=numbers.size - finite.size,
        sha256=record["sha256"],
        precisions={
            precision: _rounded(numbers, low, high, precision, tensor.nbytes if not rounds else None)
            for precision in (PRECISIONS if rounds else PRECISIONS[:1])
        },
    )


def _rounded(values: NDArray[np.floating[Any]], low: float, high: float, precision: str, stored: int | None) -> Rounded:
    """Round a tensor to `precision`; with `stored`, its size in bytes, values stay as they are."""
    counts, largest, total, numbers = np.zeros(BINS, dtype=np.int64), 0.0, 0.0, 0
    for block in _blocks(values):
        rounded = block if stored is not None else round_to(block, precision)
        sound = np.isfinite(block)
        error = np.abs(np.subtract(rounded, block, where=sound, out=np.zeros_like(block)))
        # In float64, whose bin edges stay distinct where values are very close together or very far apart.
        counts += np.histogram(np.clip(rounded[sound].astype(np.float64), low, high), BINS, range=(low, high))[0]
        largest = max(largest, float(error.max(initial=0.0)))
        total += float(error.sum(dtype=np.float64))
        numbers += int(sound.sum())
    size = values.size * BYTES_PER_VALUE[precision]
    size += SCALE_BYTES * len(values) if precision == "int8" else 0
    return Rounded(
        bytes=size if stored is None else stored,
        largest_error=largest,
        mean_error=total / max(1, numbers),
        counts=tuple(counts.tolist()),
    )


def _blocks(values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the tensor as matrices of whole rows; fewer than two dimensions count as one row."""
    rows = values.reshape(len(values), -1) if values.ndim > 1 and values.size else values.reshape(1, -1)
    step = max(1, _BLOCK // max(1, rows.shape[1]))
    for start in range(0, len(rows), step):
        yield rows[start : start + step]


def round_to(rows: NDArray[np.floating[Any]], precision: str) -> NDArray[np.floating[Any]]:
    """Round a matrix to "fp32", "bf16", or "int8" with one scale per row, and return it in its own dtype."""
    with np.errstate(invalid="ignore", over="ignore"):
        if precision == "int8":
            scale = np.abs(rows).max(axis=1, keepdims=True, initial=0) / 127
            scale[scale == 0] = 1
            return np.round(rows / scale) * scale
        whole = np.ascontiguousarray(rows, dtype=np.float32)
        if precision == "bf16":
            bits = whole.view(np.uint32)
            # Round to nearest, ties to even, in the last 16 bits.
            bits = (bits + (np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1)))) & np.uint32(0xFFFF0000)
            whole = np.where(np.isfinite(rows), bits.view(np.float32), whole)
        return whole.astype(rows.dtype)


def _bytes_at(tensor: TensorSummary, precision: str) -> int:
    return tensor.precisions.get(precision, tensor.precisions["fp32"]).bytes


def _layer_order(name: str) -> list[tuple[int, int, str]]:
    """Return a key that sorts "2.weight" before "10.weight", as the layers do."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def _stored_bytes(value: Any, stored: set[int]) -> int:
    """Return the bytes of all tensor storages inside `value` that are not in `stored`, and add them to it."""
    if isinstance(value, torch.Tensor):
        storage = value.untyped_storage()
        new = storage.data_ptr() not in stored
        stored.add(storage.data_ptr())
        return storage.nbytes() if new else 0
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return sum(_stored_bytes(item, stored) for item in inside)


def _plain_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return "; ".join(f"{key} {_plain_text(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(_plain_text(item) for item in value)
    return format_number(value) if isinstance(value, int | float) else shorten(value)
