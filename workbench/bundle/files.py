"""The files of a bundle: their names, and their bytes once size and SHA-256 match the manifest."""

from __future__ import annotations

import hashlib
import io
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workbench.bundle.preprocessing import Preprocessing
from workbench.errors import WorkbenchError
from workbench.wording import shorten

MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
ENGINE_FILES = {"onnx": "model.onnx", "onnx-int8": "model-int8.onnx"}
SELF_TEST_FILE = re.compile(r"self_test/\d\d\.png")

MAX_FILE_BYTES = 2 * 2**30  # also the largest ONNX file in one piece


class BundleError(WorkbenchError):
    """A bundle is missing, damaged or altered; the message names the file or the key."""


def file_entry(content: bytes) -> dict[str, Any]:
    """Return the manifest entry of a file: its size in bytes and its SHA-256."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def read_plain(folder: Path, name: str, max_bytes: int) -> bytes:
    """Return the bytes of a file in `folder`. Raises BundleError for a link, a folder or more than `max_bytes`."""
    path = folder / name
    try:
        for part in (path, *([path.parent] if "/" in name else [])):
            if part.is_symlink():
                raise BundleError(f"{part.relative_to(folder)} is a link; a bundle contains plain files only.")
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise BundleError(f"{name} is not a plain file.")
        with open(path, "rb") as file:
            content = file.read(max_bytes + 1) if about.st_size <= max_bytes else None
    except FileNotFoundError as error:
        raise BundleError(f"{name} is missing.") from error
    except OSError as error:
        raise BundleError(f"{name} cannot be read ({error.strerror}).") from error
    if content is None or len(content) > max_bytes:
        raise BundleError(f"{name} is larger than the {max_bytes:,} bytes it may have.")
    return content


def read_listed(folder: Path, files: Mapping[str, Any]) -> dict[str, bytes]:
    """Return the bytes of each file that the manifest lists, by name, and of no other.

    Only names that a bundle can have are accepted, so that no path leads out of the folder. Raises BundleError if a
    file is missing, changed or not listed.
    """
    for name, entry in files.items():
        if name not in (WEIGHTS, *ENGINE_FILES.values()) and not SELF_TEST_FILE.fullmatch(name):
            raise BundleError(f"{MANIFEST} lists {shorten(name)!r}, which is no file of a bundle.")
        size = entry.get("bytes") if isinstance(entry, dict) else None
        if type(size) is not int or not 0 < size <= MAX_FILE_BYTES or set(entry) != {"bytes", "sha256"}:
            raise BundleError(f"{MANIFEST} must give {name} from 1 to {MAX_FILE_BYTES:,} bytes and a SHA-256.")
    for name in (WEIGHTS, ENGINE_FILES["onnx"]):
        if name not in files:
            raise BundleError(f"{MANIFEST} does not list {name}.")
    content = {name: _read_verified(folder, name, entry) for name, entry in files.items()}
    extra = sorted(_names(folder) - content.keys() - {MANIFEST})
    if extra:
        raise BundleError(f"{shorten(extra[0])} is not listed in {MANIFEST}. Remove it from the bundle.")
    return content


def encode_image(image: NDArray[np.uint8]) -> bytes:
    """Return a self-test image, uint8 (H, W, 1 or 3), as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, format="PNG")
    return buffer.getvalue()


def decode_image(content: bytes, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """Return a self-test PNG as uint8 (H, W, C). Raises ValueError for any image that `preprocessing` does not fit."""
    # The size is read before Pillow sees the file: it would warn of a huge image, or decode a large one.
    size = (int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big"))
    if content[:8] != b"\x89PNG\r\n\x1a\n" or size != (preprocessing.width, preprocessing.height):
        raise ValueError(f"not a PNG image that fits the network (its header says {size[0]}×{size[1]} pixels)")
    try:
        image = Image.open(io.BytesIO(content), formats=["PNG"])
        pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"a damaged PNG image ({shorten(error)})") from error
    mode = "L" if preprocessing.channels == 1 else "RGB"
    if image.mode != mode:
        raise ValueError(f"an image in mode {image.mode}, where the network takes {mode}")
    return pixels.reshape(preprocessing.shape)


def _read_verified(folder: Path, name: str, entry: Mapping[str, Any]) -> bytes:
    content = read_plain(folder, name, entry["bytes"])
    if len(content) != entry["bytes"]:
        raise BundleError(f"{name} has {len(content):,} bytes but {MANIFEST} states {entry['bytes']:,}.")
    if file_entry(content) != entry:
        raise BundleError(f"{name} was changed (its SHA-256 is not the one in {MANIFEST}).")
    return content


def _names(folder: Path) -> set[str]:
    """Return the files in `folder` and in its self_test, without those whose name begins with a dot."""
    paths = list(folder.iterdir())
    if (folder / "self_test").is_dir():
        paths.remove(folder / "self_test")
        paths += (folder / "self_test").iterdir()
    return {path.relative_to(folder).as_posix() for path in paths if not path.name.startswith(".")}
