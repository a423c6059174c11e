"""The packed cache: a data set as one verified file, so that it is drawn, decoded or downloaded only once.

A cache is a safetensors file (no pickle, and it can be memory-mapped) of uint8, int64 and float32 arrays. Up to
IN_MEMORY_BYTES they are compressed with LZ4 where that saves at least MINIMAL_SAVING of their bytes, and are read into
memory whole. A larger set stays uncompressed, so that it can be memory-mapped and need not fit in memory.

On reading, SHA-256 verifies the description and, up to IN_MEMORY_BYTES, every byte. Of a larger file the description,
the length and SAMPLES evenly spaced blocks are verified: reading 100 GB to look at one batch would cost more than it
saves. A file that does not match is made again, never used.
"""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lz4.frame
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from torch import Tensor

from workbench.atomic import whole_file
from workbench.bundle.checksums import ChecksumError, add_checksums, verify_checksums
from workbench.errors import WorkbenchError
from workbench.folders import data_root, user_folder

IN_MEMORY_BYTES = 2**30
MINIMAL_SAVING = 0.2
SAMPLES = 64
BLOCK_BYTES = 2**20

_FORMAT = "workbench-cache-2"
_CHUNK_BYTES = 2**26
_DTYPES = {"uint8": "U8", "int64": "I64", "float32": "F32"}

Array = NDArray[Any]


class CacheError(WorkbenchError):
    """A cache file that is damaged, foreign, or of other data, as its text says. It is then made again."""


@dataclass(frozen=True, kw_only=True)
class Storage:
    """The cost of keeping a data set on disk.

    codec: "lz4", "raw", or "none" where nothing could be written. raw_bytes, packed_bytes: of all arrays. pack_seconds:
    to compress and write, measured when the cache was made. unpack_seconds: to read, verify and decompress, measured
    now. mapped: images are read from the file when they are used. path: the file, if there is one.
    """

    codec: str
    raw_bytes: int
    packed_bytes: int
    pack_seconds: float = 0.0
    unpack_seconds: float = 0.0
    mapped: bool = False
    path: Path | None = None

    @property
    def ratio(self) -> float:
        """Packed bytes over raw bytes; 1.0 for raw."""
        return self.packed_bytes / self.raw_bytes if self.raw_bytes else 1.0

    def describe(self) -> str:
        """Return one sentence with the sizes in MB, the ratio and the seconds spent."""
        raw = f"{self.raw_bytes / 1e6:,.1f} MB"
        if self.codec == "none":
            return f"{raw} in memory; not kept on disk."
        if self.mapped:
            return f"{raw}, kept raw and read from the file as needed; it took {self.pack_seconds:.2f} s to write."
        packed = f"packed by LZ4 to {self.packed_bytes / 1e6:,.1f} MB ({self.ratio:.0%})"
        how = packed if self.codec == "lz4" else f"kept raw (LZ4 would save less than {MINIMAL_SAVING:.0%})"
        return (
            f"{raw} {how}: {self.pack_seconds:.2f} s to pack and write, {self.unpack_seconds:.2f} s to read and check."
        )


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of an array in a given order, gathered in pieces as they are written.

    array: (M, …), may be larger than memory. order: int64 (N,), indices of rows.
    """

    array: Array
    order: NDArray[np.int64]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the array."""
        return self.array.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the gathered rows, (N, …)."""
        return (len(self.order), *self.array.shape[1:])

    @property
    def nbytes(self) -> int:
        """Size of the gathered rows."""
        return math.prod(self.shape) * self.dtype.itemsize

    def whole(self) -> Array:
        """Return all rows, in memory."""
        return self.array[self.order]

    def pieces(self) -> Iterator[Array]:
        """Yield the rows in contiguous pieces of about 64 MB."""
        per_row = max(1, self.nbytes // max(1, len(self.order)))
        step = max(1, _CHUNK_BYTES // per_row)
        for start in range(0, len(self.order), step):
            yield np.ascontiguousarray(self.array[self.order[start : start + step]])


def cache_folders() -> tuple[Path, ...]:
    """Return the folders to read caches from and write them to, in order: beside the data, else the user's cache."""
    return tuple(dict.fromkeys((data_root() / "cache", user_folder() / "cache")))


def scratch(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Return a uint8 array to fill: in memory up to IN_MEMORY_BYTES, else in a file that disappears with the array."""
    if math.prod(shape) > IN_MEMORY_BYTES:
        for folder in cache_folders():
            try:
                folder.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryFile(dir=folder) as file:
                    return np.memmap(file, dtype=np.uint8, mode="w+", shape=shape)
            except OSError:
                continue
    return np.zeros(shape, dtype=np.uint8)


Contents = tuple[Mapping[str, "Rows | Array"], Mapping[str, Any]]


def cached(
    stem: str, key: str, build: Callable[[], Contents]
) -> tuple[dict[str, Tensor], dict[str, Any], Storage, tuple[str, ...]]:
    """Return the tensors, description, storage and notes of what `build` makes, read from the cache if it is there.

    `stem` names the file and `key` identifies its content: a file with another key, or damaged, is made again. Of two
    processes that make the same cache, each writes a whole file and the last one stays.
    """
    notes: list[str] = []
    for folder in cache_folders():
        path = folder / f"{stem}.safetensors"
        try:
            if path.is_file():
                return *read_cache(path, key), tuple(notes)
        except (CacheError, OSError) as error:
            notes.append(f"The cache {path.name} was made again: {error}")
    arrays, about = build()
    reason = ""
    for folder in cache_folders():
        path = folder / f"{stem}.safetensors"
        try:
            write_cache(path, key, arrays, about)
            return *read_cache(path, key), tuple(notes)
        except (WorkbenchError, OSError) as error:
            reason = str(error).rstrip(".")
    notes.append(f"The data could not be kept on disk and will be made again next time ({reason}).")
    tensors = {name: torch.from_numpy(_whole(array)) for name, array in arrays.items()}
    size = sum(array.nbytes for array in arrays.values())
    storage = Storage(codec="none", raw_bytes=size, packed_bytes=size)
    return tensors, json.loads(json.dumps(about)), storage, tuple(notes)


def write_cache(path: Path, key: str, arrays: Mapping[str, Rows | Array], about: Mapping[str, Any]) -> None:
    """Write arrays (uint8, int64 or float32) and a description of plain values to `path`, atomically.

    Raises WorkbenchError where the folder cannot be written, and OSError where the disk is full.
    """
    started = time.perf_counter()
    # Widest dtypes first and without gaps, so that every array starts at a multiple of its item size.
    arrays = dict(sorted(arrays.items(), key=lambda item: -item[1].dtype.itemsize))
    raw_bytes = _stored_bytes(arrays)
    payload: Mapping[str, Rows | Array] = arrays
    codec = "raw"
    if 0 < raw_bytes <= IN_MEMORY_BYTES:
        packed = {name: _packed(array) for name, array in arrays.items()}
        if sum(array.nbytes for array in packed.values()) <= (1 - MINIMAL_SAVING) * raw_bytes:
            payload, codec = packed, "lz4"
    description = {
        "format": _FORMAT,
        "key": key,
        "about": dict(about),
        "codec": codec,
        "arrays": {name: [str(array.dtype), list(array.shape)] for name, array in arrays.items()},
    }
    with whole_file(path) as part, part.open("wb") as file:
        # The header precedes the arrays, but its hashes and seconds are known only after them.
        header_bytes = len(_header(payload, description, "0" * 64, 0.0))
        file.seek(header_bytes)
        whole = hashlib.sha256()
        for array in payload.values():
            for piece in _pieces(array):
                view = _bytes(piece)
                whole.update(view)
                file.write(view)
        file.flush()
        digest = whole.hexdigest() if _stored_bytes(payload) <= IN_MEMORY_BYTES else _sampled_hash(part, header_bytes)
        header = _header(payload, description, digest, time.perf_counter() - started)
        file.seek(0)
        file.write(header)


def read_cache(path: Path, key: str) -> tuple[dict[str, Tensor], dict[str, Any], Storage]:
    """Return the tensors and the description that `write_cache` wrote, and their storage.

    Raises CacheError where the file is damaged, of another key, or written by another version of the workbench.
    """
    started = time.perf_counter()
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get("description", "")
            if text and not text.startswith(f'{{"format":"{_FORMAT}",'):
                raise CacheError(f"it is not in the format {_FORMAT!r} of this version of the workbench.")
            description = verify_checksums(text)
            if description["key"] != key:
                raise CacheError("it holds other data.")
            stored = {name: file.get_tensor(name) for name in description["arrays"]}
        stored_bytes = sum(tensor.nbytes for tensor in stored.values())
        mapped = stored_bytes > IN_MEMORY_BYTES
        if description["content_sha256"] != (
            _sampled_hash(path, path.stat().st_size - stored_bytes) if mapped else _hash(stored.values())
        ):
            raise CacheError("its content does not match its SHA-256.")
        codec = description["codec"]
        tensors = {
            name: _restored(stored[name], codec=codec, dtype=dtype, shape=shape, mapped=mapped)
            for name, (dtype, shape) in description["arrays"].items()
        }
    except (SafetensorError, ChecksumError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CacheError(f"it is damaged ({error}).") from error
    storage = Storage(
        codec=codec,
        raw_bytes=sum(tensor.nbytes for tensor in tensors.values()),
        packed_bytes=stored_bytes,
        pack_seconds=float(description["pack_seconds"]),
        unpack_seconds=time.perf_counter() - started,
        mapped=mapped,
        path=path,
    )
    return tensors, description["about"], storage


def _header(payload: Mapping[str, Rows | Array], description: Mapping[str, Any], digest: str, seconds: float) -> bytes:
    """Return the header of a safetensors file; its length does not depend on `digest` and `seconds`."""
    known_last = {"content_sha256": digest, "pack_seconds": f"{seconds:012.6f}"}
    entries: dict[str, Any] = {"__metadata__": {"description": add_checksums({**description, **known_last})}}
    start = 0
    for name, array in payload.items():
        entries[name] = {
            "dtype": _DTYPES[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [start, start + array.nbytes],
        }
        start += array.nbytes
    text = json.dumps(entries, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def _packed(array: Rows | Array) -> NDArray[np.uint8]:
    return np.frombuffer(lz4.frame.compress(_bytes(_whole(array))), dtype=np.uint8)


def _restored(stored: Tensor, *, codec: str, dtype: str, shape: list[int], mapped: bool) -> Tensor:
    if codec == "lz4":
        content = lz4.frame.decompress(_bytes(stored.numpy()), return_bytearray=True)
        # frombuffer refuses an empty buffer.
        stored = torch.frombuffer(content, dtype=getattr(torch, dtype)) if content else torch.empty(0)
        return stored.to(getattr(torch, dtype)).reshape(shape)
    return stored if mapped else stored.clone()


def _whole(array: Rows | Array) -> Array:
    return np.ascontiguousarray(array.whole() if isinstance(array, Rows) else array)


def _bytes(array: Array) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _pieces(array: Rows | Array) -> Iterator[Array]:
    return array.pieces() if isinstance(array, Rows) else iter([np.ascontiguousarray(array)])


def _stored_bytes(arrays: Mapping[str, Rows | Array]) -> int:
    return sum(array.nbytes for array in arrays.values())


def _hash(tensors: Iterable[Tensor]) -> str:
    whole = hashlib.sha256()
    for tensor in tensors:
        whole.update(_bytes(tensor.numpy()))
    return whole.hexdigest()


def _sampled_hash(path: Path, start: int) -> str:
    """Return the SHA-256 of the length of the file from `start` on, and of SAMPLES evenly spaced blocks of it."""
    length = path.stat().st_size - start
    digest = hashlib.sha256(str(length).encode())
    with path.open("rb") as file:
        for sample in range(SAMPLES):
            file.seek(start + max(0, length - BLOCK_BYTES) * sample // (SAMPLES - 1))
            digest.update(file.read(BLOCK_BYTES))
    return digest.hexdigest()
