"""Write a bundle: its files, the manifest that lists them, and both read back before they replace anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.atomic import whole_folder, write_bytes
from workbench.bundle.checksums import add_checksums
from workbench.bundle.files import (
    ENGINE_FILES,
    MANIFEST,
    SELF_TEST_FILE,
    WEIGHTS,
    BundleError,
    encode_image,
    file_entry,
)
from workbench.bundle.manifest import FORMAT, Bundle, Engine, interface, read_bundle
from workbench.bundle.preprocessing import Preprocessing
from workbench.wording import now, shorten, versions


def write_bundle(
    folder: Path,
    *,
    labels: Sequence[str],
    preprocessing: Preprocessing,
    accuracy: float,
    engines: Mapping[str, Engine],
    left_out: Mapping[str, Any],
    weights: bytes,
    self_test_images: NDArray[np.uint8],
    self_test_labels: Sequence[str],
    self_test_expected: NDArray[np.float32],
    hyperparameters: Mapping[str, Any],
    about: Mapping[str, Any],
    packages: Sequence[str] = (),
) -> Bundle:
    """Write a bundle to `folder` and read it back; the arguments are the fields of `Bundle`.

    about: further plain values (model, data). packages: those whose versions to note. The files are written to a hidden
    folder beside `folder`, checked, and renamed; only then is a bundle that was there replaced. Raises BundleError if
    `folder` contains anything but a bundle, WorkbenchError if it cannot be written.

    >>> from workbench.folders import REFERENCE
    >>> old = wb.read_bundle(REFERENCE)
    >>> kept = {name: value for name, value in vars(old).items() if name not in ("path", "manifest")}
    >>> labels = [entry["label"] for entry in old.manifest["self_test"]]
    >>> write_bundle("copy", **kept, self_test_labels=labels, hyperparameters={}, about={}).sizes == old.sizes
    True
    """
    folder = _replaceable(Path(folder).absolute())
    images = {f"self_test/{index:02d}.png": encode_image(image) for index, image in enumerate(self_test_images)}
    tests = zip(images, self_test_labels, self_test_expected.astype(np.float32), strict=True)
    content = {ENGINE_FILES[name]: engine.content for name, engine in engines.items()} | {WEIGHTS: weights} | images
    manifest = {
        "format": FORMAT,
        "created": now(),
        "labels": list(labels),
        "preprocessing": preprocessing.to_mapping(),
        **interface(preprocessing, len(labels)),
        "accuracy": float(accuracy),
        "engines": {name: _engine_entry(engine) for name, engine in engines.items()},
        "left_out": dict(left_out),
        "about": dict(about),
        "hyperparameters": dict(hyperparameters),
        "self_test": [_self_test_entry(*test) for test in tests],
        "files": {name: file_entry(content[name]) for name in sorted(content)},
        "versions": versions(*packages),
    }
    return _write(folder, content | {MANIFEST: add_checksums(manifest, indent=2).encode("utf-8")})


def _engine_entry(engine: Engine) -> dict[str, Any]:
    return {"file": ENGINE_FILES[engine.name], "accuracy": engine.accuracy, "parity": dict(engine.parity)}


def _self_test_entry(file: str, label: str, probabilities: NDArray[np.float32]) -> dict[str, Any]:
    # str() gives the shortest decimals that read back as the same float32.
    return {"file": file, "label": label, "probabilities": [float(str(value)) for value in probabilities]}


def _write(folder: Path, content: Mapping[str, bytes]) -> Bundle:
    with whole_folder(folder) as part:
        for name, data in content.items():
            write_bytes(part / name, data)
        bundle = read_bundle(part)
    return replace(bundle, path=folder)


def _replaceable(folder: Path) -> Path:
    """Return `folder` if it is new, empty or a bundle; raise BundleError if replacing it would delete other files."""
    if not folder.exists() and not folder.is_symlink():
        return folder
    if folder.is_symlink() or not folder.is_dir():
        raise BundleError(f"{folder} exists and is not a folder: choose another folder for the bundle.")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*")}
    own = {MANIFEST, WEIGHTS, "self_test", *ENGINE_FILES.values()}
    foreign = [
        name for name in sorted(found - own) if not SELF_TEST_FILE.fullmatch(name) and Path(name).name != ".DS_Store"
    ]
    if foreign or (found and MANIFEST not in found):
        what = foreign[0] if foreign else min(found)
        raise BundleError(f"{folder} is not a bundle (it contains {shorten(what)}): choose another folder.")
    return folder
