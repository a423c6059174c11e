"""The packed cache: what goes in comes out, and nothing damaged ever does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from workbench.data import cache
from workbench.data.cache import CacheError, Rows, cached, read_cache, write_cache
from workbench.folders import data_root

STRESS = os.environ.get("WORKBENCH_STRESS") == "1"
RNG = np.random.default_rng(5)
NOISE = RNG.integers(0, 256, (200, 8, 8, 3), dtype=np.uint8)
SMOOTH = np.repeat(RNG.integers(0, 256, (200, 1, 1, 1), dtype=np.uint8), 192, axis=1).reshape(200, 8, 8, 3)
ABOUT = {"labels": ["cat", "żaba"], "notes": []}


def arrays(images: np.ndarray = SMOOTH) -> dict[str, Any]:
    return {
        "odd.bytes": np.arange(7, dtype=np.uint8),
        "train.images": images,
        "train.labels": np.arange(len(images), dtype=np.int64),
        "train.share": np.linspace(0, 1, len(images), dtype=np.float32),
        "none.images": images[:0],
        "none.labels": np.arange(0, dtype=np.int64),
        "more.labels": np.arange(3, dtype=np.int64),
    }


@pytest.mark.parametrize(("images", "codec"), [(SMOOTH, "lz4"), (NOISE, "raw")])
def test_what_is_written_is_read(tmp_path: Path, images: np.ndarray, codec: str) -> None:
    path = tmp_path / "set.safetensors"
    write_cache(path, "key", arrays(images), ABOUT)
    tensors, about, storage = read_cache(path, "key")
    for name, array in arrays(images).items():
        assert np.array_equal(tensors[name].numpy(), array)
        assert tensors[name].numpy().dtype == array.dtype
        assert tensors[name].shape == array.shape
    assert about == ABOUT
    assert (storage.codec, storage.mapped, storage.path) == (codec, False, path)
    assert storage.raw_bytes == sum(array.nbytes for array in arrays(images).values())
    assert (storage.packed_bytes < 0.8 * storage.raw_bytes) == (codec == "lz4")
    assert storage.packed_bytes <= path.stat().st_size < storage.packed_bytes + 4000
    assert "MB" in storage.describe()
    assert os.listdir(tmp_path) == ["set.safetensors"]


def test_any_reader_of_safetensors_can_open_it(tmp_path: Path) -> None:
    write_cache(tmp_path / "a", "key", arrays(NOISE), ABOUT)
    assert np.array_equal(load_file(tmp_path / "a")["train.images"].numpy(), NOISE)


def test_a_large_set_is_mapped_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "IN_MEMORY_BYTES", 1000)
    path = tmp_path / "set"
    write_cache(path, "key", arrays(SMOOTH), ABOUT)
    tensors, _, storage = read_cache(path, "key")
    assert (storage.codec, storage.mapped) == ("raw", True)
    assert all(tensor.data_ptr() % tensor.element_size() == 0 for tensor in tensors.values())
    assert np.array_equal(tensors["train.images"].numpy(), SMOOTH)
    if sys.platform == "linux":
        # Mapped means: the pages of the tensor belong to the file.
        address = tensors["train.images"].data_ptr()
        for line in Path("/proc/self/maps").read_text().splitlines():
            low, high = (int(edge, 16) for edge in line.split()[0].split("-"))
            if low <= address < high:
                assert line.endswith(str(path))
                break
        else:
            pytest.fail("the tensor lies nowhere")


def test_rows_are_gathered_in_order_and_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "_CHUNK_BYTES", 1000)
    order = RNG.permutation(200)[:150]
    rows = Rows(NOISE, order)
    assert len(list(rows.pieces())) > 10
    assert (rows.shape, rows.nbytes) == ((150, 8, 8, 3), 150 * 192)
    for limit in (10, 2**30):
        monkeypatch.setattr(cache, "IN_MEMORY_BYTES", limit)
        write_cache(tmp_path / "a", "key", {"x": rows, "none": Rows(NOISE, order[:0])}, {})
        tensors, _, _ = read_cache(tmp_path / "a", "key")
        assert np.array_equal(tensors["x"].numpy(), NOISE[order])
        assert tensors["none"].shape == (0, 8, 8, 3)


@pytest.mark.stress
@pytest.mark.parametrize("images", [SMOOTH, NOISE])
def test_no_damage_goes_unnoticed(tmp_path: Path, images: np.ndarray) -> None:
    path = tmp_path / "set"
    write_cache(path, "key", arrays(images), ABOUT)
    content = path.read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(3000 if STRESS else 150):
        damaged = bytearray(content)
        place = int(rng.integers(0, len(content) if rng.random() < 0.5 else 1500))
        action = rng.integers(0, 4)
        if action == 0:
            damaged[place] ^= 1 << int(rng.integers(0, 8))
        elif action == 1:
            del damaged[place:]
        elif action == 2:
            del damaged[place : place + int(rng.integers(1, 50))]
        else:
            damaged[place:place] = bytes(rng.integers(0, 256, 9, dtype=np.uint8))
        path.write_bytes(damaged)
        try:
            tensors, about, _ = read_cache(path, "key")
        except CacheError:
            continue
        # Only the padding behind the header can change without harm.
        assert about == ABOUT
        assert all(np.array_equal(tensors[name].numpy(), array) for name, array in arrays(images).items())


def test_a_large_set_is_checked_by_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "BLOCK_BYTES", 100)
    monkeypatch.setattr(cache, "IN_MEMORY_BYTES", 10)
    path = tmp_path / "set"
    write_cache(path, "key", arrays(NOISE), ABOUT)
    content = path.read_bytes()
    for damaged in (content[:-1], content + b"x", content[:-1] + bytes([content[-1] ^ 1])):
        path.write_bytes(damaged)
        with pytest.raises(CacheError):
            read_cache(path, "key")


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "set"
    write_cache(path, "another key", arrays(), ABOUT)
    with pytest.raises(CacheError, match="other data"):
        read_cache(path, "key")
    save_file({"train.images": torch.zeros(3)}, path)
    with pytest.raises(CacheError, match="damaged"):
        read_cache(path, "key")
    path.write_bytes(b"")
    with pytest.raises(CacheError, match="damaged"):
        read_cache(path, "key")


def test_a_cache_of_another_version_is_made_again_with_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    path = tmp_path / "cache" / "set.safetensors"
    with monkeypatch.context() as older:
        older.setattr(cache, "_FORMAT", "workbench-cache-1")
        write_cache(path, "key", arrays(), ABOUT)
    with pytest.raises(CacheError, match="not in the format 'workbench-cache-2'"):
        read_cache(path, "key")
    # The first format called its checksum otherwise.
    save_file({"x": torch.zeros(3)}, path, metadata={"description": '{"format":"workbench-cache-1","seal":"0"}'})
    tensors, about, _, notes = cached("set", "key", lambda: (arrays(), ABOUT))
    assert "set.safetensors was made again: it is not in the format 'workbench-cache-2' of this version" in notes[0]
    assert np.array_equal(tensors["train.images"].numpy(), SMOOTH)
    assert about == ABOUT
    assert cached("set", "key", lambda: (arrays(), ABOUT))[3] == ()


def test_a_set_is_built_once_and_again_after_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    built = []

    def build() -> Any:
        built.append(1)
        return arrays(), ABOUT

    *_, storage, notes = cached("set", "key", build)
    assert (len(built), notes, storage.path) == (1, (), tmp_path / "cache" / "set.safetensors")
    cached("set", "key", build)
    assert len(built) == 1
    assert storage.path is not None
    storage.path.write_bytes(storage.path.read_bytes()[:-10])
    tensors, *_, notes = cached("set", "key", build)
    assert len(built) == 2
    assert "set.safetensors was made again: it is damaged" in notes[0]
    assert np.array_equal(tensors["train.images"].numpy(), SMOOTH)
    *_, notes = cached("set", "new key", build)
    assert len(built) == 3
    assert "other data" in notes[0]
    assert cached("set", "new key", build)[3] == ()


def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A file where the folder should be cannot be written to by anyone, root included.
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    monkeypatch.setenv("WORKBENCH_DATA", str(blocked))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "home"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    _, _, storage, notes = cached("set", "key", lambda: (arrays(), ABOUT))
    assert notes == ()
    assert storage.path is not None
    assert (tmp_path / "home") in storage.path.parents

    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(name, str(blocked))
    tensors, about, storage, notes = cached("set", "key", lambda: (arrays(), ABOUT))
    assert (storage.codec, storage.path, about) == ("none", None, ABOUT)
    assert "could not be kept on disk" in notes[0]
    assert np.array_equal(tensors["train.images"].numpy(), SMOOTH)


def test_processes_that_build_the_same_cache_do_no_harm(tmp_path: Path) -> None:
    code = """
import numpy as np
from workbench.data.cache import cached
for turn in range(5):
    images = np.full((300, 8, 8, 3), turn, dtype=np.uint8)
    tensors, *_ = cached("set", str(turn), lambda: ({"x": images}, {}))
    assert np.array_equal(tensors["x"].numpy(), images)
"""
    environment = {**os.environ, "WORKBENCH_DATA": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "home")}
    running = [
        subprocess.Popen([sys.executable, "-W", "error", "-c", code], env=environment, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for process in running:
        _, errors = process.communicate()
        assert process.returncode == 0, errors.decode()
    assert os.listdir(tmp_path / "cache") == ["set.safetensors"]


def test_the_data_root_is_where_the_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    assert data_root() == tmp_path
    monkeypatch.delenv("WORKBENCH_DATA")
    assert data_root().name in ("datasets", "workbench")
