"""Bundles: what was written is read back, and any changed byte is refused.

Covers: files, manifest, writer.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from workbench.bundle.checksums import add_checksums, verify_checksums
from workbench.bundle.files import BundleError
from workbench.bundle.manifest import Engine, read_bundle
from workbench.bundle.preprocessing import Preprocessing
from workbench.bundle.writer import write_bundle
from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from conftest import Exported, Mutate

STRESS = os.environ.get("WORKBENCH_STRESS") == "1"
LABELS = ("cat", "dog", "horse")


def write(folder: Path, channels: int = 3, **changes: object) -> None:
    """A small bundle; its networks are just bytes here, which nobody runs."""
    rng = np.random.default_rng(0)
    parity = {"largest_difference": 1e-6, "agreement": 1.0, "images": 100}
    values = {
        "labels": LABELS,
        "preprocessing": Preprocessing(
            height=6, width=5, channels=channels, mean=(0.5,) * channels, std=(0.2,) * channels
        ),
        "accuracy": 0.9,
        "engines": {
            name: Engine(name=name, content=rng.bytes(500), accuracy=0.9, parity=parity)
            for name in ("onnx", "onnx-int8")
        },
        "left_out": {},
        "weights": rng.bytes(300),
        "self_test_images": rng.integers(0, 256, (3, 6, 5, channels), dtype=np.uint8),
        "self_test_labels": LABELS,
        "self_test_expected": rng.dirichlet(np.ones(3), 3).astype(np.float32),
        "hyperparameters": {"epochs": 3},
        "about": {"data": "animals"},
    }
    write_bundle(folder, **(values | changes))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "bundle")
    return tmp_path / "bundle"


def refused(folder: Path, *words: str) -> None:
    with pytest.raises(BundleError) as caught:
        read_bundle(folder)
    sentence = str(caught.value)
    assert "\n" not in sentence
    for word in words:
        assert word in sentence, sentence


def edited(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest and recompute its checksums, as someone who knows the format could."""
    path = folder / "manifest.json"
    manifest = verify_checksums(path.read_text(encoding="utf-8"), indent=2)
    change(manifest)
    path.write_text(add_checksums(manifest, indent=2), encoding="utf-8")


# --- what is written is read again ------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
def test_everything_comes_back(tmp_path: Path, channels: int) -> None:
    images = np.random.default_rng(1).integers(0, 256, (3, 6, 5, channels), dtype=np.uint8)
    expected = np.array([[1, 0, 0], [1e-9, 1 - 1e-7, 1e-7], [1 / 3, 1 / 3, 1 / 3]], dtype=np.float32)
    write(tmp_path / "b", channels, self_test_images=images, self_test_expected=expected)
    bundle = read_bundle(tmp_path / "b")
    assert np.array_equal(bundle.self_test_images, images)
    assert bundle.self_test_images.dtype == np.uint8
    assert np.array_equal(bundle.self_test_expected, expected)
    assert bundle.self_test_expected.dtype == np.float32
    assert (bundle.labels, bundle.accuracy, list(bundle.engines)) == (LABELS, 0.9, ["onnx", "onnx-int8"])
    assert bundle.preprocessing.channels == channels
    assert bundle.sizes["model.onnx"] == (tmp_path / "b" / "model.onnx").stat().st_size == 500
    assert bundle.engines["onnx"].content == (tmp_path / "b" / "model.onnx").read_bytes()


def test_the_manifest_says_what_anyone_can_check(folder: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["input"] == {"name": "images", "dtype": "uint8", "shape": [None, 6, 5, 3]}
    for name, entry in manifest["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == entry["sha256"]
    with Image.open(folder / "self_test" / "00.png") as image:
        assert np.array_equal(np.asarray(image), read_bundle(folder).self_test_images[0])


def test_files_beginning_with_a_dot_are_ignored(folder: Path) -> None:
    (folder / ".DS_Store").touch()
    (folder / "self_test" / ".hidden").touch()
    (folder / ".ipynb_checkpoints").mkdir()
    read_bundle(folder)


def test_a_folder_reached_by_a_link_is_fine_and_a_link_inside_is_not(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(folder)
    read_bundle(tmp_path / "current")
    shutil.copy(folder / "model.onnx", tmp_path / "elsewhere")
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").symlink_to(tmp_path / "elsewhere")
    refused(folder, "model.onnx is a link")


def test_reading_needs_neither_torch_nor_onnx(folder: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'onnx', 'safetensors', 'onnxruntime'): sys.modules[name] = None\n"
        "from workbench.bundle.manifest import read_bundle\n"
        f"print(read_bundle({str(folder)!r}).labels)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str(LABELS)


# --- writing ----------------------------------------------------------------------------------------------------------


def test_a_bundle_replaces_a_bundle_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    write(folder, accuracy=0.5)
    assert read_bundle(folder).accuracy == 0.5
    (folder / "thesis.txt").touch()
    with pytest.raises(BundleError, match=r"thesis\.txt"):
        write(folder)
    assert (folder / "thesis.txt").exists()
    images = tmp_path / "images"
    images.mkdir()
    write(images)  # an empty folder is free
    (tmp_path / "file").touch()
    (tmp_path / "half").mkdir()
    (tmp_path / "half" / "model.onnx").touch()
    for name in ("file", "half"):
        with pytest.raises(BundleError, match="choose another"):
            write(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "file", "half", "images"]


def test_a_failed_write_leaves_the_old_bundle(folder: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(WorkbenchError):
        write(folder, about={"loss": float("inf")})
    with pytest.raises(BundleError, match="accuracy"):
        write(folder, accuracy=7)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert list(tmp_path.iterdir()) == [folder]


# --- nothing else is accepted -----------------------------------------------------------------------------------------


def test_what_is_no_bundle_is_named(tmp_path: Path) -> None:
    refused(tmp_path / "none", "does not exist")
    refused(tmp_path, "manifest.json is missing")
    (tmp_path / "manifest.json").write_text("{}")
    refused(tmp_path, "manifest.json lacks its 'checksum'")
    refused(tmp_path / "manifest.json", "is not a folder")
    for text in ("[" * 100_000, "nul", "[]", '{"checksum": 1, "sha256": {"a": NaN}}', '{"checksum":"","sha256":{}}'):
        (tmp_path / "manifest.json").write_text(text)
        refused(tmp_path, "manifest.json")
    (tmp_path / "manifest.json").write_bytes(b"\xff\xfe")
    refused(tmp_path, "not UTF-8")
    (tmp_path / "manifest.json").write_bytes(b" " * (5 * 2**20))
    refused(tmp_path, "larger than")


def test_each_kind_of_damage_is_named(folder: Path) -> None:
    def file(name: str, change: Callable[[bytes], bytes], *words: str) -> None:
        path = folder / name
        before = path.read_bytes()
        path.write_bytes(change(before))
        refused(folder, *words)
        path.write_bytes(before)

    file("model.onnx", lambda content: content[:-1] + b"\0", "model.onnx was changed")
    file("model.onnx", lambda content: content[:-1], "model.onnx has 499 bytes", "500")
    file("weights.safetensors", lambda content: content + b"\0", "weights.safetensors is larger")
    file("self_test/01.png", lambda content: content[::-1], "self_test/01.png was changed")
    file("manifest.json", lambda text: text.replace(b'"dog"', b'"cow"'), "'labels' changed")
    file("manifest.json", lambda text: text.replace(b"0.9", b"0.99", 1), "'accuracy' changed")
    file("manifest.json", lambda text: text + b"\n", "spelled differently")
    file("manifest.json", lambda text: text.replace(b"  ", b"\t", 1), "spelled differently")
    file("manifest.json", lambda text: b"\xef\xbb\xbf" + text, "manifest.json is not valid JSON")
    (folder / "notes.txt").touch()
    refused(folder, "notes.txt is not listed")
    (folder / "notes.txt").unlink()
    (folder / "self_test" / "10.png").touch()
    refused(folder, "self_test/10.png is not listed")
    shutil.rmtree(folder / "self_test")
    refused(folder, "self_test/00.png is missing")


def test_a_forged_manifest_reaches_no_file_outside(folder: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    entry = {"bytes": 6, "sha256": hashlib.sha256(b"secret").hexdigest()}
    for name in ("../secret", str(secret), "self_test/../../secret", "self_test/00.png/../../../secret", "a\0b"):
        shutil.copytree(folder, tmp_path / "forged")
        edited(tmp_path / "forged", lambda manifest, name=name: manifest["files"].update({name: entry}))
        refused(tmp_path / "forged", "no file of a bundle")
        shutil.rmtree(tmp_path / "forged")


def _set(key: str, value: object) -> Callable[[dict[str, Any]], object]:
    """Sets the entry at a path such as engines/onnx/accuracy."""

    def change(manifest: dict[str, Any]) -> None:
        place: Any = manifest
        *parents, last = [int(part) if part.isdigit() else part for part in key.split("|")]
        for part in parents:
            place = place[part]
        place[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_set("labels", ["cat", "dog"]), ["'output'"]),
        (_set("labels", ["cat", "cat", "dog"]), ["'labels'"]),
        (_set("labels", [["cat"], 1, {}]), ["'labels'"]),
        (_set("preprocessing|height", 7), ["'input'"]),
        (_set("preprocessing|std", [0, 0, 0]), ["'preprocessing'"]),
        (_set("input|dtype", "float32"), ["'input'"]),
        (_set("format", "workbench bundle 3"), ["workbench bundle 3"]),
        (_set("accuracy", 1.5), ["accuracy"]),
        (_set("accuracy", 1), ["accuracy"]),
        (_set("engines|onnx|accuracy", "high"), ["onnx accuracy"]),
        (_set("engines|onnx|file", "model-int8.onnx"), ["'onnx'"]),
        (_set("engines|tensorrt", {}), ["'tensorrt'"]),
        (_set("engines|onnx|parity", []), ["'onnx'"]),
        (lambda manifest: manifest["engines"].pop("onnx-int8"), ["model-int8.onnx without an engine"]),
        (lambda manifest: manifest["files"].pop("model-int8.onnx"), ["model-int8.onnx is not listed"]),
        (lambda manifest: manifest["files"].pop("model.onnx"), ["does not list model.onnx"]),
        (lambda manifest: manifest.pop("left_out"), ["'left_out'"]),
        (_set("surprise", 1), ["'surprise'"]),
        (_set("files|model.onnx|bytes", 2**60), ["model.onnx"]),
        (_set("files|model.onnx", None), ["model.onnx"]),
        (_set("self_test", []), ["self_test"]),
        (_set("self_test|0", None), ["self_test"]),
        (_set("self_test|0|file", "self_test/02.png"), ["self_test"]),
        (_set("self_test|0|probabilities", [0.5, 0.5]), ["self_test/00.png", "3 probabilities"]),
        (_set("self_test|0|probabilities", [0.5, 0.5, 2.0]), ["self_test/00.png"]),
        (_set("self_test|0|label", "cow"), ["cow"]),
    ],
)
def test_a_forged_value_is_refused_by_its_key(
    folder: Path, change: Callable[[dict[str, Any]], object], words: list[str]
) -> None:
    edited(folder, change)
    refused(folder, *words)


def test_a_forged_self_test_image_is_refused_before_it_is_decoded(folder: Path) -> None:
    def replace(content: bytes) -> None:
        (folder / "self_test" / "00.png").write_bytes(content)
        entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        edited(folder, _set("files|self_test/00.png", entry))

    small = (folder / "self_test" / "00.png").read_bytes()
    for side in (6000, 12_000, 2**31 - 1):  # Pillow alone would decode the first, warn of the second, refuse the third
        replace(small[:16] + side.to_bytes(4, "big") * 2 + small[24:])
        refused(folder, "self_test/00.png", f"{side}×{side}")
    Image.new("RGBA", (5, 6)).save(folder / "self_test" / "00.png")
    replace((folder / "self_test" / "00.png").read_bytes())
    refused(folder, "self_test/00.png", "RGBA")
    replace(b"GIF89a")
    refused(folder, "self_test/00.png")
    replace(b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
    refused(folder, "self_test/00.png")


def _leaves(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) in a JSON value that holds a plain value."""
    pairs = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    found = []
    for key, item in pairs:
        found += _leaves(item) if isinstance(item, (dict, list)) else [(value, key)]
    return found


def _vandalise(folder: Path, rng: random.Random, mutate: Mutate) -> None:
    """One change to a bundle: to bytes, to files, or to one value of the manifest."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    one, other = rng.sample(files, 2)
    kind = rng.choice(["bytes"] * 6 + ["json"] * 4 + ["manifest"] * 3 + ["swap", "rename", "remove", "add", "copy"])
    if kind == "bytes":
        one.write_bytes(mutate(one.read_bytes(), rng))
    elif kind == "manifest":
        path = folder / "manifest.json"
        path.write_bytes(mutate(path.read_bytes(), rng))
    elif kind == "json":
        path = folder / "manifest.json"
        manifest = json.loads(path.read_bytes())
        container, key = rng.choice(_leaves(manifest))
        value = container[key]
        container[key] = value + rng.choice([1, -1]) if isinstance(value, (int, float)) else f"{value}x"
        path.write_text(json.dumps(manifest, indent=2, ensure_ascii=False), encoding="utf-8")
    elif kind == "swap":
        a, b = one.read_bytes(), other.read_bytes()
        one.write_bytes(b)
        other.write_bytes(a)
    elif kind == "rename":
        one.rename(one.with_name(f"x{one.name}"))
    elif kind == "remove":
        one.unlink()
    elif kind == "add":
        (one.parent / "added.bin").write_bytes(b"x")
    else:
        shutil.copy(one, other)


@pytest.mark.stress
def test_no_mutated_bundle_is_accepted(tmp_path: Path, exported: Exported, mutated: Mutate) -> None:
    original = exported.bundle.path
    before = {path.relative_to(original): path.read_bytes() for path in original.rglob("*") if path.is_file()}
    rng = random.Random(5)
    for number in range(1000 if STRESS else 70):
        folder = tmp_path / str(number)
        shutil.copytree(original, folder)
        _vandalise(folder, rng, mutated)
        after = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        if after != before:
            try:
                read_bundle(folder)
            except BundleError:
                pass
            else:
                pytest.fail(f"mutation {number} was accepted")
        shutil.rmtree(folder)
    read_bundle(original)
