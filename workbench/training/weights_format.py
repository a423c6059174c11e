"""The bytes of a weights file: safetensors in one canonical form, with a hash of each tensor and each metadata key.

A file is a pure function of its metadata and its tensors. On reading, the header is recomputed from the metadata and
compared byte by byte, so that not even a changed space passes. Any safetensors reader can open the file (format:
https://huggingface.co/docs/safetensors). It is read by hand here because the library accepts other spellings of a
header, does not name the tensor or key that is wrong, and may be missing on a borrowed GPU server.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from workbench.bundle.checksums import ChecksumError, add_checksums, verify_checksums
from workbench.errors import WorkbenchError
from workbench.wording import shorten

MAX_FILE_BYTES = 4 * 2**30  # torchvision's largest classifiers have 2.5 GB of weights
MAX_HEADER_BYTES = 16 * 2**20
MAX_TENSORS = 20_000

_FORMAT = "workbench weights 2"
_DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_ITEM_BYTES = {name: dtype.itemsize for dtype, name in _DTYPES.items()}


class WeightsError(WorkbenchError):
    """A weights file or resume point that is missing, damaged or of another model; names the tensor or the key."""


def pack(tensors: Mapping[str, Any], metadata: Mapping[str, Any]) -> bytes:
    """Return the bytes of a weights file with `tensors` (on any device) and `metadata` (plain values).

    Raises WorkbenchError naming an entry that is not a dense tensor of a common dtype.
    """
    raw: dict[str, bytes] = {}
    records: list[dict[str, Any]] = []
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or tensor.dtype not in _DTYPES:
            kind = f"{tensor.layout} {tensor.dtype}" if isinstance(tensor, Tensor) else type(tensor).__qualname__
            raise WorkbenchError(f"{name!r} of the model's state is a {kind}: only dense tensors can be saved.")
        plain = tensor.detach().cpu().contiguous()
        raw[name] = plain.reshape(-1).view(torch.uint8).numpy().tobytes()
        records.append({"name": name, "dtype": _DTYPES[plain.dtype], "shape": list(plain.shape)})
    # Widest dtypes first, so that every tensor starts at a multiple of its item size.
    records.sort(key=lambda record: (-_ITEM_BYTES[record["dtype"]], record["name"]))
    for record in records:
        record["sha256"] = _tensor_hash(record, raw[record["name"]])
    text = add_checksums({"format": _FORMAT, **metadata, "tensors": records})
    content = b"".join((_header(text, records), *(raw[record["name"]] for record in records)))
    if len(content) > MAX_FILE_BYTES:
        raise WorkbenchError(f"These weights take {len(content):,} bytes; a file holds up to {MAX_FILE_BYTES:,}.")
    return content


def unpack(content: bytes, path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the metadata and the tensors (on the CPU) that `pack` was given; `path` appears in error messages.

    Raises WeightsError, naming the tensor or the key, for any other sequence of bytes.
    """
    header, header_bytes = _parsed_header(content, path)
    text = header.get("__metadata__", {})
    text = text.get("workbench") if isinstance(text, dict) else None
    if not isinstance(text, str):
        raise WeightsError(
            f"{path} is a safetensors file that the workbench did not write: it has no key 'workbench' in its "
            "metadata. Load it with safetensors.torch.load_file and save the model with save_weights."
        )
    if not text.startswith(f'{{"format":"{_FORMAT}",'):
        raise WeightsError(
            f"{path} is not in the format {_FORMAT!r}: another version of the workbench wrote it, or it is damaged. "
            "Train again, or save it with this version."
        )
    try:
        metadata = verify_checksums(text)
    except ChecksumError as error:
        raise WeightsError(f"{path}: the metadata {error}.") from error
    del metadata["format"]
    records = _checked_records(metadata.pop("tensors", None), path)
    if content[:header_bytes] != _header(text, records):
        _refuse_header(header, records, path)
    data = memoryview(content)[header_bytes:]
    _refuse_data(data, records, path)
    return metadata, _tensors(data, records)


def read_file(path: Path, what: str) -> bytes:
    """Return all bytes of a regular file. Raises WeightsError, naming it as `what`, for anything else or over 4 GiB."""
    try:
        if path.is_dir():
            raise WeightsError(f"{path} is a folder: give the {what} itself.")
        if not path.exists():
            raise WeightsError(f"There is no {what} at {path}. Check the path, or train first.")
        if not path.is_file():
            raise WeightsError(f"{path} is not a regular file, so it is not a {what}.")
        with open(path, "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1) if path.stat().st_size <= MAX_FILE_BYTES else b""
    except (OSError, ValueError) as error:
        raise WeightsError(f"Cannot read the {what} {path}: {error}.") from error
    if not content or len(content) > MAX_FILE_BYTES:
        raise WeightsError(f"{path} is empty or larger than {MAX_FILE_BYTES:,} bytes, so it is not a {what}.")
    return content


def _header(text: str, records: list[dict[str, Any]]) -> bytes:
    """Return the canonical header: its length, compact JSON, and spaces up to a multiple of eight bytes."""
    entries: dict[str, Any] = {"__metadata__": {"workbench": text}}
    offset = 0
    for record in records:
        entries[record["name"]] = {
            "dtype": record["dtype"],
            "shape": record["shape"],
            "data_offsets": [offset, offset + _byte_count(record)],
        }
        offset += _byte_count(record)
    encoded = json.dumps(entries, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    encoded += b" " * (-len(encoded) % 8)
    return len(encoded).to_bytes(8, "little") + encoded


def _parsed_header(content: bytes, path: Path) -> tuple[dict[str, Any], int]:
    """Return the header as JSON, and the number of bytes before the first tensor."""
    _refuse_foreign(content, path)
    length = int.from_bytes(content[:8], "little")
    if length > MAX_HEADER_BYTES:
        raise WeightsError(f"{path} is damaged or not a weights file: its header would take {length:,} bytes.")
    if 8 + length > len(content):
        raise WeightsError(f"{path} is cut short: its header should take {length:,} bytes and {len(content)} are left.")
    try:
        header = json.loads(content[8 : 8 + length].decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise WeightsError(f"{path} is damaged: its header is not valid JSON ({shorten(error)}).") from error
    if not isinstance(header, dict):
        raise WeightsError(f"{path} is damaged: its header is not a JSON object.")
    return header, 8 + length


def _refuse_foreign(content: bytes, path: Path) -> None:
    if content[8:9] == b"{":
        return
    # torch.save writes a zip that contains a pickle; a bare pickle begins with 0x80 or ends with a full stop. A
    # damaged weights file differs from all of them in the high bytes of its header's length, which are zero.
    pickled = content[:1] == b"\x80" or content[:2] == b"PK" or content[-1:] == b"."
    if pickled and content[3:8] != bytes(5):
        raise WeightsError(
            f"{path} is a pickle (as torch.save writes), not a weights file: code hidden in a pickle runs when it is "
            "loaded, so it was not. Where you trust its author, load it with torch.load(path, weights_only=True) and "
            "save the model with save_weights."
        )
    if content.startswith(b"workbench resume point"):
        raise WeightsError(f"{path} is a resume point, not a weights file: give it to load_resume_point.")
    raise WeightsError(f"{path} is not a weights file: it does not begin as a safetensors file does.")


def _checked_records(records: Any, path: Path) -> list[dict[str, Any]]:
    if not isinstance(records, list) or len(records) > MAX_TENSORS:
        raise WeightsError(f"{path}: its key 'tensors' is not a list of at most {MAX_TENSORS:,} tensors.")
    for record in records:
        if (
            not isinstance(record, dict)
            or set(record) != {"name", "dtype", "shape", "sha256"}
            or not isinstance(record["name"], str)
            or not isinstance(record["dtype"], str)
            or record["dtype"] not in _ITEM_BYTES
            or not isinstance(record["shape"], list)
            or len(record["shape"]) > 8
            or not all(type(size) is int and 0 <= size <= MAX_FILE_BYTES for size in record["shape"])
        ):
            raise WeightsError(f"{path}: its key 'tensors' describes no tensor with {shorten(record)}.")
    if len({record["name"] for record in records} | {"__metadata__"}) != len(records) + 1:
        raise WeightsError(f"{path}: its key 'tensors' names a tensor twice.")
    return records


def _refuse_header(header: dict[str, Any], records: list[dict[str, Any]], path: Path) -> NoReturn:
    """Raise WeightsError that names what is wrong with a header that is not the canonical one."""
    expected = json.loads(_header("", records)[8:])
    for name in [record["name"] for record in records]:
        if name not in header:
            raise WeightsError(f"{path}: the tensor {name!r} is missing from its header.")
        if header[name] != expected[name]:
            raise WeightsError(f"{path}: the header entry of the tensor {name!r} was changed (dtype, shape or place).")
    for name in header:
        if name not in expected:
            raise WeightsError(f"{path}: the tensor {shorten(name)!r} was added to its header.")
    raise WeightsError(
        f"{path} is damaged: its header is spelled differently than it was written (white space, order)."
    )


def _refuse_data(data: memoryview, records: list[dict[str, Any]], path: Path) -> None:
    """Raise WeightsError for tensors that are truncated, too long or do not match their SHA-256."""
    offset = 0
    for record in records:
        raw = data[offset : offset + _byte_count(record)]
        offset += _byte_count(record)
        if len(raw) < _byte_count(record):
            raise WeightsError(f"{path} is cut short: the tensor {record['name']!r} is incomplete.")
        if _tensor_hash(record, raw) != record["sha256"]:
            raise WeightsError(f"{path}: the tensor {record['name']!r} was changed (its SHA-256 does not match).")
    if offset != len(data):
        raise WeightsError(f"{path} is damaged: {len(data) - offset} bytes follow its last tensor.")


def _tensors(data: memoryview, records: list[dict[str, Any]]) -> dict[str, Tensor]:
    dtypes = {name: dtype for dtype, name in _DTYPES.items()}
    tensors, offset = {}, 0
    for record in records:
        raw = bytearray(data[offset : offset + _byte_count(record)])
        offset += len(raw)
        flat = torch.frombuffer(raw, dtype=torch.uint8) if raw else torch.empty(0, dtype=torch.uint8)
        tensors[record["name"]] = flat.view(dtypes[record["dtype"]]).reshape(record["shape"])
    return tensors


def _byte_count(record: Mapping[str, Any]) -> int:
    count = _ITEM_BYTES[record["dtype"]]
    for size in record["shape"]:
        count *= size
    return count


def _tensor_hash(record: Mapping[str, Any], raw: bytes | memoryview) -> str:
    """Return the SHA-256 of name, dtype, shape and bytes, so that tensors cannot be swapped."""
    about = json.dumps([record["name"], record["dtype"], record["shape"]], ensure_ascii=False)
    digest = hashlib.sha256(about.encode("utf-8") + b"\0")
    digest.update(raw)
    return digest.hexdigest()
