"""What leaves the bench: a folder that a production application can check and run. Neither torch nor onnx is needed.

    model.onnx            uint8 pictures in, probabilities out
    model-int8.onnx       the same at 8 bits, where it answers as well
    weights.safetensors   the weights, to train on or to run in PyTorch
    self_test/00.png …    pictures exactly as the network sees them
    manifest.json         everything else, with the size and SHA-256 of each file and a seal over itself

The hashes find every accident and every careless edit. They are no signature: who can write the folder can write a
whole new bundle.
"""

from __future__ import annotations

import hashlib
import io
import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workbench.atomic import whole_folder, write_bytes
from workbench.errors import WorkbenchError
from workbench.preprocessing import Preprocessing
from workbench.sealed import SealError, now, seal, shortened, unseal, versions

MANIFEST = "manifest.json"
WEIGHTS = "weights.safetensors"
ENGINE_FILES = {"onnx": "model.onnx", "onnx-int8": "model-int8.onnx"}
SELF_TEST_PICTURES = 10

MAX_MANIFEST_BYTES = 4 * 2**20
MAX_FILE_BYTES = 2 * 2**30  # also the largest ONNX file in one piece
FORMAT = "workbench bundle 1"

_SELF_TEST_FILE = re.compile(r"self_test/\d\d\.png")
_KEYS = {
    "about": dict,
    "accuracy": float,
    "created": str,
    "engines": dict,
    "files": dict,
    "format": str,
    "hyperparameters": dict,
    "input": dict,
    "labels": list,
    "left_out": dict,
    "output": dict,
    "preprocessing": dict,
    "self_test": list,
    "versions": dict,
}


class BundleError(WorkbenchError):
    """A bundle is missing, damaged or altered; the text names the file or the key."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Engine:
    """One exported network: its verified bytes, its accuracy on the test set and its parity with eager PyTorch.

    accuracy: 0 to 1. parity: as `workbench.parity.Parity` has it (largest_difference, agreement, pictures, …).
    """

    name: str
    content: bytes
    accuracy: float
    parity: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Bundle:
    """A bundle, checked: nothing here was read again after its hash was compared.

    accuracy: of eager fp32 on the test set, 0 to 1. engines: by name, at least "onnx". left_out: engines that were
    not good enough, with the reason. weights: the bytes of weights.safetensors. self_test_pictures: uint8
    (T, H, W, C); self_test_expected: float32 (T, K), the probabilities of eager fp32. manifest: all of manifest.json
    but its hashes.
    """

    path: Path
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    accuracy: float
    engines: Mapping[str, Engine]
    left_out: Mapping[str, Any]
    weights: bytes
    self_test_pictures: NDArray[np.uint8]
    self_test_expected: NDArray[np.float32]
    manifest: Mapping[str, Any]

    @property
    def model(self) -> str:
        """The network's name, or that of its class."""
        about = self.manifest["about"]
        spec = about.get("model")
        name = spec.get("name") if isinstance(spec, dict) else about.get("class_name")
        return shortened(name or "network")

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that stand for all that the bundle holds: another byte, another version."""
        return hashlib.sha256(seal(self.manifest).encode("utf-8")).hexdigest()[:12]

    def engine(self, name: str) -> Engine:
        """One of `engines`. Raises BundleError for one that is not there, with the reason where it was left out."""
        if name in self.engines:
            return self.engines[name]
        left_out = self.left_out.get(name)
        if isinstance(left_out, dict):
            raise BundleError(f"The engine {name!r} was left out of {self.path} at export: {left_out.get('reason')}.")
        known = ", ".join(self.engines)
        raise BundleError(f"engine = {name!r}: {self.path} has {known}; eager and compiled run its weights in PyTorch.")

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each file the manifest lists."""
        return {name: entry["bytes"] for name, entry in self.manifest["files"].items()}


def read_bundle(folder: Path) -> Bundle:
    """Read and check everything in `folder`.

    Files whose name begins with a dot are ignored. Raises BundleError, naming the file or the key, where anything
    is missing, added, altered, linked, too large, or no bundle at all.
    """
    folder = Path(folder)
    manifest = _read_manifest(folder)
    content = {name: _read_listed(folder, name, entry) for name, entry in _checked_files(manifest, folder).items()}
    _refuse_unlisted(folder, set(content))
    labels, preprocessing = _checked_interface(manifest, folder)
    return Bundle(
        path=folder,
        labels=labels,
        preprocessing=preprocessing,
        accuracy=_share(manifest["accuracy"], "accuracy", folder),
        engines=_engines(manifest, content, folder),
        left_out=manifest["left_out"],
        weights=content[WEIGHTS],
        self_test_pictures=_self_test_pictures(manifest, content, preprocessing, folder),
        self_test_expected=_self_test_expected(manifest, labels, folder),
        manifest=manifest,
    )


def write_bundle(
    folder: Path,
    *,
    labels: Sequence[str],
    preprocessing: Preprocessing,
    accuracy: float,
    engines: Mapping[str, Engine],
    left_out: Mapping[str, Any],
    weights: bytes,
    self_test_pictures: NDArray[np.uint8],
    self_test_labels: Sequence[str],
    self_test_expected: NDArray[np.float32],
    hyperparameters: Mapping[str, Any],
    about: Mapping[str, Any],
    packages: Sequence[str] = (),
) -> Bundle:
    """Write a bundle to `folder` and read it back; the arguments are the fields of `Bundle`.

    about: plain values of any kind (model, data). packages: whose versions to note. The files are written to a hidden
    folder beside `folder`, checked, and renamed; a bundle that was there is replaced only then. Raises BundleError
    where `folder` holds anything but a bundle, WorkbenchError where it cannot be written.
    """
    folder = Path(folder).absolute()
    _refuse_to_replace(folder)
    content = {ENGINE_FILES[name]: engine.content for name, engine in engines.items()} | {WEIGHTS: weights}
    self_test = []
    for index, picture in enumerate(self_test_pictures):
        name = f"self_test/{index:02d}.png"
        content[name] = _encode_picture(picture)
        # The shortest decimals that give the same float32 again.
        row = [float(str(value)) for value in self_test_expected[index].astype(np.float32)]
        self_test.append({"file": name, "label": self_test_labels[index], "probabilities": row})
    manifest = {
        "format": FORMAT,
        "created": now(),
        "labels": list(labels),
        "preprocessing": preprocessing.to_mapping(),
        **interface(preprocessing, len(labels)),
        "accuracy": float(accuracy),
        "engines": {
            name: {"file": ENGINE_FILES[name], "accuracy": engine.accuracy, "parity": dict(engine.parity)}
            for name, engine in engines.items()
        },
        "left_out": dict(left_out),
        "about": dict(about),
        "hyperparameters": dict(hyperparameters),
        "self_test": self_test,
        "files": {name: file_entry(content[name]) for name in sorted(content)},
        "versions": versions(*packages),
    }
    content[MANIFEST] = seal(manifest, indent=2).encode("utf-8")
    with whole_folder(folder) as part:
        for name, data in content.items():
            write_bytes(part / name, data)
        bundle = read_bundle(part)
    return replace(bundle, path=folder)


def decode_picture(content: bytes, preprocessing: Preprocessing) -> NDArray[np.uint8]:
    """A self-test PNG as uint8 (H, W, C); raises ValueError for any other picture than `preprocessing` calls for."""
    # The size is read before Pillow sees the file: it would warn of a huge picture, or decode a large one.
    size = (int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big"))
    if content[:8] != b"\x89PNG\r\n\x1a\n" or size != (preprocessing.width, preprocessing.height):
        raise ValueError(f"no PNG picture that the network could see (it says {size[0]}×{size[1]} pixels)")
    try:
        image = Image.open(io.BytesIO(content), formats=["PNG"])
        pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError) as error:
        raise ValueError(f"a damaged PNG picture ({shortened(error)})") from error
    mode = "L" if preprocessing.channels == 1 else "RGB"
    if image.mode != mode:
        raise ValueError(f"a picture of the kind {image.mode}, where the network sees {mode}")
    return pixels.reshape(preprocessing.height, preprocessing.width, preprocessing.channels)


def _encode_picture(picture: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(buffer, format="PNG")
    return buffer.getvalue()


def file_entry(content: bytes) -> dict[str, Any]:
    """What the manifest says of a file: its size in bytes and its SHA-256."""
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _read_manifest(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise BundleError(f"{folder} {what}: a bundle is the folder that `workbench export` writes.")
    content = _read_plain(folder, MANIFEST, MAX_MANIFEST_BYTES)
    try:
        manifest = unseal(content.decode("utf-8"), indent=2)
    except (SealError, UnicodeDecodeError) as error:
        reason = error if isinstance(error, SealError) else "is not UTF-8 text"
        raise BundleError(f"{folder}: {MANIFEST} {reason}.") from error
    if manifest.get("format") != FORMAT:
        found = shortened(manifest.get("format"))
        raise BundleError(f"{folder}: {MANIFEST} is in the format {found!r}; this workbench reads {FORMAT!r}.")
    for key in sorted(_KEYS.keys() ^ manifest.keys()):
        raise BundleError(f"{folder}: the key {shortened(key)!r} of {MANIFEST} is missing or unknown.")
    for key, kind in _KEYS.items():
        if not isinstance(manifest[key], kind):
            raise BundleError(f"{folder}: the key {key!r} of {MANIFEST} must be a {kind.__name__}.")
    return manifest


def _read_plain(folder: Path, name: str, max_bytes: int) -> bytes:
    """The bytes of a plain file in `folder`; a link, a folder or too large a file is a BundleError."""
    path = folder / name
    try:
        for part in (path, *([path.parent] if "/" in name else [])):
            if part.is_symlink():
                raise BundleError(f"{folder}: {part.relative_to(folder)} is a link; a bundle holds plain files only.")
        about = path.stat()
        if not stat.S_ISREG(about.st_mode):
            raise BundleError(f"{folder}: {name} is not a plain file.")
        with open(path, "rb") as file:
            content = file.read(max_bytes + 1) if about.st_size <= max_bytes else None
    except FileNotFoundError as error:
        raise BundleError(f"{folder}: {name} is missing.") from error
    except OSError as error:
        raise BundleError(f"{folder}: {name} cannot be read ({error.strerror}).") from error
    if content is None or len(content) > max_bytes:
        raise BundleError(f"{folder}: {name} is larger than the {max_bytes:,} bytes it may have.")
    return content


def _checked_files(manifest: Mapping[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    """The manifest's list of files: only names that a bundle can have, so that no path leads out of the folder."""
    files: dict[str, dict[str, Any]] = manifest["files"]
    for name, entry in files.items():
        if name not in (WEIGHTS, *ENGINE_FILES.values()) and not _SELF_TEST_FILE.fullmatch(name):
            raise BundleError(f"{folder}: {MANIFEST} lists {shortened(name)!r}, which is no file of a bundle.")
        size = entry.get("bytes") if isinstance(entry, dict) else None
        if type(size) is not int or not 0 < size <= MAX_FILE_BYTES or set(entry) != {"bytes", "sha256"}:
            raise BundleError(
                f"{folder}: {MANIFEST} must give {name} from 1 to {MAX_FILE_BYTES:,} bytes and a SHA-256."
            )
    for name in (WEIGHTS, ENGINE_FILES["onnx"]):
        if name not in files:
            raise BundleError(f"{folder}: {MANIFEST} does not list {name}.")
    return files


def _read_listed(folder: Path, name: str, entry: Mapping[str, Any]) -> bytes:
    content = _read_plain(folder, name, entry["bytes"])
    if len(content) != entry["bytes"]:
        raise BundleError(f"{folder}: {name} has {len(content):,} bytes and {MANIFEST} says {entry['bytes']:,}.")
    if file_entry(content) != entry:
        raise BundleError(f"{folder}: {name} was changed (its SHA-256 is not the one in {MANIFEST}).")
    return content


def _refuse_unlisted(folder: Path, listed: set[str]) -> None:
    found = {path.relative_to(folder).as_posix() for path in folder.iterdir() if not path.name.startswith(".")}
    if "self_test" in found:
        found.remove("self_test")
        inside = (folder / "self_test").iterdir() if (folder / "self_test").is_dir() else [folder / "self_test"]
        found |= {path.relative_to(folder).as_posix() for path in inside if not path.name.startswith(".")}
    extra = sorted(found - listed - {MANIFEST})
    if extra:
        raise BundleError(f"{folder}: {shortened(extra[0])} is not listed in {MANIFEST}. Take it out of the bundle.")


def _checked_interface(manifest: Mapping[str, Any], folder: Path) -> tuple[tuple[str, ...], Preprocessing]:
    """Labels and preprocessing, once they agree with the input and the output of the network."""
    labels = manifest["labels"]
    names = all(isinstance(label, str) and label for label in labels)
    if not labels or not names or len(set(labels)) != len(labels):
        raise BundleError(f"{folder}: the key 'labels' of {MANIFEST} must be a list of different, non-empty names.")
    try:
        preprocessing = Preprocessing.from_mapping(manifest["preprocessing"])
    except WorkbenchError as error:
        raise BundleError(f"{folder}: the key 'preprocessing' of {MANIFEST} is wrong. {error}") from error
    for key, expected in interface(preprocessing, len(labels)).items():
        if manifest[key] != expected:
            raise BundleError(f"{folder}: the key {key!r} of {MANIFEST} must be {expected}.")
    return tuple(labels), preprocessing


def interface(preprocessing: Preprocessing, classes: int) -> dict[str, Any]:
    """Name, dtype and shape of what goes into an exported network and of what comes out; None is the batch."""
    shape = [None, preprocessing.height, preprocessing.width, preprocessing.channels]
    return {
        "input": {"name": "pictures", "dtype": "uint8", "shape": shape},
        "output": {"name": "probabilities", "dtype": "float32", "shape": [None, classes]},
    }


def _engines(manifest: Mapping[str, Any], content: Mapping[str, bytes], folder: Path) -> dict[str, Engine]:
    engines = {}
    for name, entry in manifest["engines"].items():
        file = ENGINE_FILES.get(name)
        wrong = not isinstance(entry, dict) or set(entry) != {"file", "accuracy", "parity"}
        if (
            file is None
            or file not in content
            or wrong
            or entry["file"] != file
            or not isinstance(entry["parity"], dict)
        ):
            raise BundleError(f"{folder}: the engine {shortened(name)!r} in {MANIFEST} is unknown or has no file.")
        for key in ("largest_difference", "agreement"):
            _share(entry["parity"].get(key), f"engines {name} parity {key}", folder)
        accuracy = _share(entry["accuracy"], f"engines {name} accuracy", folder)
        engines[name] = Engine(name=name, content=content[file], accuracy=accuracy, parity=entry["parity"])
    orphans = [file for name, file in ENGINE_FILES.items() if file in content and name not in engines]
    if orphans:
        raise BundleError(f"{folder}: {MANIFEST} lists {orphans[0]} without an engine that uses it.")
    return engines


def _refuse_to_replace(folder: Path) -> None:
    """Refuse a folder that exists and is neither empty nor a bundle: replacing it would delete the user's files."""
    if not folder.exists() and not folder.is_symlink():
        return
    if folder.is_symlink() or not folder.is_dir():
        raise BundleError(f"{folder} exists and is no folder: choose another place for the bundle.")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    own = {MANIFEST, WEIGHTS, "self_test", *ENGINE_FILES.values()}
    strange = [
        name for name in sorted(found - own) if not _SELF_TEST_FILE.fullmatch(name) and Path(name).name != ".DS_Store"
    ]
    if strange or (found and MANIFEST not in found):
        what = strange[0] if strange else sorted(found)[0]
        raise BundleError(f"{folder} is not a bundle (it holds {shortened(what)}): choose another folder, or empty it.")


def _share(value: Any, key: str, folder: Path) -> float:
    if not isinstance(value, float) or not 0 <= value <= 1:
        raise BundleError(f"{folder}: {key} in {MANIFEST} must be a number from 0 to 1, not {shortened(value)}.")
    return value


def _self_test_pictures(
    manifest: Mapping[str, Any], content: Mapping[str, bytes], preprocessing: Preprocessing, folder: Path
) -> NDArray[np.uint8]:
    entries = manifest["self_test"]
    files = [entry.get("file") if isinstance(entry, dict) else None for entry in entries]
    if not files or files != sorted(name for name in content if _SELF_TEST_FILE.fullmatch(name)):
        raise BundleError(f"{folder}: the key 'self_test' of {MANIFEST} does not go with the pictures in self_test/.")
    pictures = []
    for file in files:
        try:
            pictures.append(decode_picture(content[file], preprocessing))
        except ValueError as error:
            raise BundleError(f"{folder}: {file} is {error}.") from error
    return np.stack(pictures)


def _self_test_expected(manifest: Mapping[str, Any], labels: tuple[str, ...], folder: Path) -> NDArray[np.float32]:
    rows = []
    for entry in manifest["self_test"]:
        row = entry.get("probabilities")
        numbers = isinstance(row, list) and all(isinstance(value, float) and 0 <= value <= 1 for value in row)
        if set(entry) != {"file", "label", "probabilities"} or not numbers or len(row) != len(labels):
            raise BundleError(
                f"{folder}: {shortened(entry['file'])} in {MANIFEST} needs its label and {len(labels)} probabilities."
            )
        if entry["label"] not in labels:
            raise BundleError(f"{folder}: {entry['file']} in {MANIFEST} has the unknown label {entry['label']!r}.")
        rows.append(row)
    return np.asarray(rows, dtype=np.float32)
