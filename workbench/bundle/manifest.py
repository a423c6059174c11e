"""The bundle that leaves the bench: a folder that a production application can check and run. No torch, no onnx.

    model.onnx            uint8 images in, probabilities out
    model-int8.onnx       the same with 8-bit arithmetic, if it answers as well
    weights.safetensors   the weights, to continue training or to run in PyTorch
    self_test/00.png …    images exactly as the network receives them
    manifest.json         everything else, with the size and SHA-256 of each file and a checksum over itself

The hashes detect every accident and every careless edit. They are not a signature: anyone who can write the folder can
write a whole new bundle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.arguments import path
from workbench.bundle.checksums import ChecksumError, add_checksums, verify_checksums
from workbench.bundle.files import (
    ENGINE_FILES,
    MANIFEST,
    SELF_TEST_FILE,
    WEIGHTS,
    BundleError,
    decode_image,
    read_listed,
    read_plain,
)
from workbench.bundle.preprocessing import Preprocessing
from workbench.errors import WorkbenchError
from workbench.wording import shorten

FORMAT = "workbench bundle 2"
MAX_MANIFEST_BYTES = 4 * 2**20

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


@dataclass(frozen=True, kw_only=True, eq=False)
class Engine:
    """An exported network: its verified bytes, its accuracy on the test set and its parity with eager PyTorch.

    accuracy: 0 to 1. parity: the fields of `workbench.bundle.parity.Parity`.
    """

    name: str
    content: bytes
    accuracy: float
    parity: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class Bundle:
    """A verified bundle, held in memory: nothing is read again after its hash was compared.

    accuracy: of eager fp32 on the test set, 0 to 1. engines: by name, at least "onnx". left_out: the engines that were
    not good enough, with the reason. weights: the bytes of weights.safetensors. self_test_images: uint8
    (T, H, W, C). self_test_expected: float32 (T, K), the probabilities of eager fp32. manifest: manifest.json without
    its checksums.

    >>> from workbench.folders import REFERENCE
    >>> bundle = wb.read_bundle(REFERENCE)
    >>> bundle.model, bundle.preprocessing.shape, bundle.self_test_images.shape
    ('convnet', (32, 32, 3), (10, 32, 32, 3))
    """

    path: Path
    labels: tuple[str, ...]
    preprocessing: Preprocessing
    accuracy: float
    engines: Mapping[str, Engine]
    left_out: Mapping[str, Any]
    weights: bytes
    self_test_images: NDArray[np.uint8]
    self_test_expected: NDArray[np.float32]
    manifest: Mapping[str, Any]

    @property
    def model(self) -> str:
        """The network's name, or that of its class."""
        about = self.manifest["about"]
        spec = about.get("model")
        name = spec.get("name") if isinstance(spec, dict) else about.get("class_name")
        return shorten(name or "network")

    @property
    def version(self) -> str:
        """Twelve hexadecimal digits that identify the content of the bundle: any changed byte changes them."""
        return hashlib.sha256(add_checksums(self.manifest).encode("utf-8")).hexdigest()[:12]

    @property
    def sizes(self) -> dict[str, int]:
        """Bytes of each file that the manifest lists."""
        return {name: entry["bytes"] for name, entry in self.manifest["files"].items()}

    def engine(self, name: str) -> Engine:
        """Return one of `engines`. Raises BundleError, with the reason if the engine was left out at export."""
        if name in self.engines:
            return self.engines[name]
        left_out = self.left_out.get(name)
        if isinstance(left_out, dict):
            raise BundleError(f"The engine {name!r} was left out of {self.path} at export: {left_out.get('reason')}.")
        known = ", ".join(self.engines)
        raise BundleError(f"engine = {name!r}: {self.path} has {known}; eager and compiled run its weights in PyTorch.")


def read_bundle(folder: Path | str) -> Bundle:
    """Read and verify the bundle in `folder`.

    Files whose name begins with a dot are ignored. Raises BundleError, naming the file or the key, if anything is
    missing, added, altered, a link or too large, or if `folder` is not a bundle.

    >>> from workbench.folders import REFERENCE
    >>> wb.read_bundle(REFERENCE).labels[:3]
    ('cat', 'dog', 'horse')
    """
    folder = path("bundle", folder)
    if not folder.is_dir():
        what = "is not a folder" if folder.exists() else "does not exist"
        raise BundleError(f"{folder} {what}: a bundle is the folder that `workbench export` writes.")
    try:
        return _verified(folder)
    except BundleError as error:
        raise BundleError(f"{folder}: {error}") from error


def interface(preprocessing: Preprocessing, classes: int) -> dict[str, Any]:
    """Return name, dtype and shape of an exported network's input and output; None stands for the batch."""
    return {
        "input": {"name": "images", "dtype": "uint8", "shape": [None, *preprocessing.shape]},
        "output": {"name": "probabilities", "dtype": "float32", "shape": [None, classes]},
    }


def _verified(folder: Path) -> Bundle:
    manifest = _read_manifest(folder)
    content = read_listed(folder, manifest["files"])
    labels, preprocessing = _interface(manifest)
    return Bundle(
        path=folder,
        labels=labels,
        preprocessing=preprocessing,
        accuracy=_share(manifest["accuracy"], "accuracy"),
        engines=_engines(manifest, content),
        left_out=manifest["left_out"],
        weights=content[WEIGHTS],
        self_test_images=_self_test_images(manifest, content, preprocessing),
        self_test_expected=_self_test_expected(manifest, labels),
        manifest=manifest,
    )


def _read_manifest(folder: Path) -> dict[str, Any]:
    content = read_plain(folder, MANIFEST, MAX_MANIFEST_BYTES)
    try:
        manifest = verify_checksums(content.decode("utf-8"), indent=2)
    except UnicodeDecodeError as error:
        raise BundleError(f"{MANIFEST} is not UTF-8 text.") from error
    except ChecksumError as error:
        raise BundleError(f"{MANIFEST} {error}.") from error
    if manifest.get("format") != FORMAT:
        found = shorten(manifest.get("format"))
        raise BundleError(f"{MANIFEST} is in the format {found!r}; this workbench reads {FORMAT!r}.")
    for key in sorted(_KEYS.keys() ^ manifest.keys()):
        raise BundleError(f"the key {shorten(key)!r} of {MANIFEST} is missing or unknown.")
    for key, kind in _KEYS.items():
        if not isinstance(manifest[key], kind):
            raise BundleError(f"the key {key!r} of {MANIFEST} must be a {kind.__name__}.")
    return manifest


def _interface(manifest: Mapping[str, Any]) -> tuple[tuple[str, ...], Preprocessing]:
    """Return labels and preprocessing, once they match the network's input and output."""
    labels = manifest["labels"]
    named = all(isinstance(label, str) and label for label in labels)
    if not labels or not named or len(set(labels)) != len(labels):
        raise BundleError(f"the key 'labels' of {MANIFEST} must be a list of different, non-empty names.")
    try:
        preprocessing = Preprocessing.from_mapping(manifest["preprocessing"])
    except WorkbenchError as error:
        raise BundleError(f"the key 'preprocessing' of {MANIFEST} is wrong. {error}") from error
    for key, expected in interface(preprocessing, len(labels)).items():
        if manifest[key] != expected:
            raise BundleError(f"the key {key!r} of {MANIFEST} must be {expected}.")
    return tuple(labels), preprocessing


def _engines(manifest: Mapping[str, Any], content: Mapping[str, bytes]) -> dict[str, Engine]:
    engines = {}
    for name, entry in manifest["engines"].items():
        file = ENGINE_FILES.get(name, "")
        known = isinstance(entry, dict) and entry.keys() == {"file", "accuracy", "parity"} and entry["file"] == file
        if not known or file not in content or not isinstance(entry["parity"], dict):
            raise BundleError(f"the engine {shorten(name)!r} in {MANIFEST} is unknown or has no file.")
        for key in ("largest_difference", "agreement"):
            _share(entry["parity"].get(key), f"engines {name} parity {key}")
        accuracy = _share(entry["accuracy"], f"engines {name} accuracy")
        engines[name] = Engine(name=name, content=content[file], accuracy=accuracy, parity=entry["parity"])
    for name, file in ENGINE_FILES.items():
        if file in content and name not in engines:
            raise BundleError(f"{MANIFEST} lists {file} without an engine that uses it.")
    return engines


def _self_test_images(
    manifest: Mapping[str, Any], content: Mapping[str, bytes], preprocessing: Preprocessing
) -> NDArray[np.uint8]:
    files = [entry.get("file") if isinstance(entry, dict) else None for entry in manifest["self_test"]]
    if not files or files != sorted(name for name in content if SELF_TEST_FILE.fullmatch(name)):
        raise BundleError(f"the key 'self_test' of {MANIFEST} does not match the images in self_test/.")
    images = []
    for file in files:
        try:
            images.append(decode_image(content[file], preprocessing))
        except ValueError as error:
            raise BundleError(f"{file} is {error}.") from error
    return np.stack(images)


def _self_test_expected(manifest: Mapping[str, Any], labels: tuple[str, ...]) -> NDArray[np.float32]:
    rows = []
    for entry in manifest["self_test"]:
        row = entry.get("probabilities")
        numbers = isinstance(row, list) and all(isinstance(value, float) and 0 <= value <= 1 for value in row)
        if set(entry) != {"file", "label", "probabilities"} or not numbers or len(row) != len(labels):
            raise BundleError(
                f"{shorten(entry['file'])} in {MANIFEST} needs its label and {len(labels)} probabilities."
            )
        if entry["label"] not in labels:
            raise BundleError(f"{entry['file']} in {MANIFEST} has the unknown label {entry['label']!r}.")
        rows.append(row)
    return np.asarray(rows, dtype=np.float32)


def _share(value: Any, key: str) -> float:
    if not isinstance(value, float) or not 0 <= value <= 1:
        raise BundleError(f"{key} in {MANIFEST} must be a number from 0 to 1, not {shorten(value)}.")
    return value
