"""A user's own images, with everything that can be wrong with them.

Covers: scan.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from workbench.bundle.images import read_image
from workbench.bundle.preprocessing import Preprocessing, fit_image
from workbench.data import cache
from workbench.data.datasets import Data, load_dataset
from workbench.errors import WorkbenchError

RNG = np.random.default_rng(7)


def noise(height: int = 40, width: int = 50) -> Image.Image:
    return Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8))


def fill(folder: Path, count: int, suffix: str = "png") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        noise().save(folder / f"{number:03}.{suffix}")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path_factory.mktemp("root")))


def names(data: Data) -> list[str]:
    return sorted(name for split in data.splits for name in split.names)


def note(data: Data, beginning: str) -> str:
    found = [text for text in data.notes if text.startswith(beginning)]
    assert len(found) == 1, data.notes
    return found[0]


def test_a_folder_becomes_stratified_disjoint_splits(tmp_path: Path) -> None:
    for label, count in (("cat", 40), ("dog", 60), ("żaba", 100)):
        fill(tmp_path / label, count)
    data = load_dataset(tmp_path)
    assert data.labels == ("cat", "dog", "żaba")
    assert data.name == tmp_path.name
    assert data.notes == ()
    assert [len(split) for split in data.splits] == [130, 30, 30, 10]
    for split, counts in zip(data.splits, ((26, 39, 65), (6, 9, 15), (6, 9, 15), (2, 3, 5)), strict=True):
        assert tuple(split.labels.bincount().tolist()) == counts
    everything = names(data)
    assert len(everything) == len(set(everything)) == 200
    target = Preprocessing(height=32, width=32, channels=3, mean=(0.0,) * 3, std=(1.0,) * 3)
    for split in data.splits:
        for name, image, label in zip(split.names, split.images, split.labels, strict=True):
            assert name.startswith(data.labels[int(label)] + "/")
            assert np.array_equal(image.numpy(), fit_image(read_image(tmp_path / name).pixels, target))
    again, other = load_dataset(str(tmp_path)), load_dataset(tmp_path, seed=1)
    assert [split.names for split in again.splits] == [split.names for split in data.splits]
    assert other.test.names != data.test.names


def test_each_oddity_is_named_with_what_was_done(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        fill(tmp_path / label, 10)
    cat, dog = tmp_path / "cat", tmp_path / "dog"
    (cat / "broken.jpg").write_bytes((cat / "000.png").read_bytes()[:300])
    (cat / "nothing.png").write_bytes(b"")
    (dog / "readme.txt").write_text("These are my dogs.")
    noise().convert("CMYK").save(cat / "print.jpg")
    deep = RNG.integers(0, 65536, (30, 30), dtype=np.uint16)
    Image.fromarray(deep).save(cat / "scan.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    noise(30, 60).save(dog / "phone.jpg", exif=exif.tobytes())
    noise().save(dog / "dance.gif", save_all=True, append_images=[noise()])
    noise().convert("RGBA").save(dog / "opaque.png")
    (tmp_path / "empty").mkdir()
    fill(tmp_path / "unicorn", 1)
    fill(tmp_path / "rare", 2)
    (tmp_path / "only text").mkdir()
    (tmp_path / "only text" / "a.md").write_text("nothing to see")
    shutil.copy(cat / "001.png", cat / "001 copy.png")
    shutil.copy(cat / "002.png", dog / "surely a dog.png")
    with Image.open(cat / "003.png") as image:
        image.save(cat / "same pixels.bmp")
    noise().save(tmp_path / "loose.png")
    (cat / ".hidden").write_text("not meant")
    (cat / "Thumbs.db").write_text("not meant")

    data = load_dataset(tmp_path)
    skipped = note(data, "Skipped")
    assert "cat/broken.jpg (the PNG is cut short)" in skipped
    assert "cat/nothing.png (is empty" in skipped
    assert "dog/readme.txt (is text" in skipped
    assert "only text/a.md" in skipped
    assert note(data, "CMYK converted to RGB") == "CMYK converted to RGB: cat/print.jpg."
    assert "cat/scan.png" in note(data, "16 bits")
    assert "dog/phone.jpg" in note(data, "Turned upright")
    assert "dog/dance.gif" in note(data, "Animated: first frame used")
    assert note(data, "Empty, so left out") == "Empty, so left out: empty."
    assert "only text" in note(data, "No usable image")
    assert "unicorn (1)" in note(data, "Too few images to be tested")
    assert "rare (2)" in note(data, "Too few images to be validated")
    copies = note(data, "Copies used once")
    assert "cat/001.png (= cat/001 copy.png)" in copies
    assert "cat/same pixels.bmp (= cat/003.png)" in copies
    assert "cat/002.png = dog/surely a dog.png" in note(data, "The same image in two classes")
    assert "loose.png" in note(data, "Not in any class folder")
    assert not any("hidden" in text or "Thumbs" in text for text in data.notes)

    assert data.labels == ("cat", "dog", "rare", "unicorn")
    used = names(data)
    assert len(used) == len(set(used)) == 9 + 2 + 10 + 3 + 1 + 2
    assert not {"cat/002.png", "dog/surely a dog.png", "cat/001.png", "cat/broken.jpg"} & set(used)
    assert "unicorn/000.png" in data.train.names
    assert {"cat", "dog", "rare"} == {name.split("/")[0] for name in data.test.names}
    # The notes are as good from the cache.
    assert load_dataset(tmp_path).notes == data.notes


def test_train_and_test_folders_are_kept_apart(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        fill(tmp_path / "train" / label, 40)
        fill(tmp_path / "Test" / label, 10)
    shutil.copy(tmp_path / "Test" / "cat" / "000.png", tmp_path / "train" / "cat" / "seen before.png")
    fill(tmp_path / "extras" / "cat", 2)
    data = load_dataset(tmp_path)
    assert data.labels == ("cat", "dog")
    assert {name.split("/")[0] for name in data.test.names} == {"Test"}
    assert [len(split) for split in data.splits] == [64, 12, 20, 4]
    assert "train/cat/seen before.png (= Test/cat/000.png)" in note(data, "Copies used once")
    assert "extras" in note(data, "Beside train and test")

    fill(tmp_path / "val" / "cat", 5)
    fill(tmp_path / "val" / "dog", 5)
    shutil.copy(tmp_path / "val" / "dog" / "000.png", tmp_path / "train" / "dog" / "copy.png")
    data = load_dataset(tmp_path)
    assert [len(split) for split in data.splits] == [76, 10, 20, 4]
    assert "train/dog/copy.png (= val/dog/000.png)" in note(data, "Copies used once")
    assert {name.split("/")[0] for name in data.validation.names} == {"val"}


def test_nested_folders_belong_to_the_class_above(tmp_path: Path) -> None:
    fill(tmp_path / "cat" / "garden" / "2024", 6)
    fill(tmp_path / "cat", 3)
    fill(tmp_path / "dog" / "park", 6)
    data = load_dataset(tmp_path)
    assert data.labels == ("cat", "dog")
    assert sum(name.startswith("cat/garden/2024/") for name in names(data)) == 6
    assert len(names(data)) == 15


@pytest.mark.skipif(os.name != "posix", reason="links need a privilege on Windows")
def test_links_are_followed_and_loops_are_harmless(tmp_path: Path) -> None:
    fill(tmp_path / "pets" / "cat", 5)
    fill(tmp_path / "elsewhere", 5)
    (tmp_path / "pets" / "cat" / "again").symlink_to(tmp_path / "pets", target_is_directory=True)
    (tmp_path / "pets" / "dog").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "pets" / "cat" / "gone.png").symlink_to(tmp_path / "nowhere.png")
    os.mkfifo(tmp_path / "pets" / "dog" / "pipe.png")
    data = load_dataset(tmp_path / "pets")
    assert data.labels == ("cat", "dog")
    assert "cat/gone.png (does not exist)" in note(data, "Skipped")
    assert "dog/pipe.png (is not a file)" in note(data, "Skipped")


@pytest.mark.skipif(os.name != "posix", reason="such names exist on POSIX only")
def test_names_that_are_no_text_can_be_shown(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        fill(tmp_path / label, 5)
    strange = os.fsencode(tmp_path / "cat") + b"/\xff\n.png"
    try:
        with open(strange, "wb") as file:
            file.write(b"junk")
    except OSError:
        pytest.skip("this file system takes text names only")
    (text,) = load_dataset(tmp_path).notes
    assert text.encode("utf-8")
    assert "\n" not in text


def test_a_set_larger_than_memory_is_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for label in ("cat", "dog"):
        fill(tmp_path / label, 20)
    expected = load_dataset(tmp_path)
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / ".mapped"))
    monkeypatch.setattr(cache, "IN_MEMORY_BYTES", 1000)
    for _ in range(2):
        data = load_dataset(tmp_path)
        assert data.storage is not None
        assert data.storage.mapped
        assert data.preprocessing == expected.preprocessing
        for mapped, read in zip(data.splits, expected.splits, strict=True):
            assert torch.equal(mapped.images, read.images)
            assert mapped.names == read.names
    images, labels = next(iter(DataLoader(data.train, batch_size=28, num_workers=1)))
    assert torch.equal(images, expected.train.images.permute(0, 3, 1, 2) / 255)
    assert torch.equal(labels, expected.train.labels)


def nothing(folder: Path) -> None:
    """Leave the folder empty."""


def loose_images(folder: Path) -> None:
    fill(folder, 3)


def one_class(folder: Path) -> None:
    fill(folder / "cat", 3)
    (folder / "dog").mkdir()


def only_text(folder: Path) -> None:
    for label in ("cat", "dog"):
        (folder / label).mkdir()
        (folder / label / "a.txt").write_text("no image")


def empty_classes(folder: Path) -> None:
    for label in ("cat", "dog"):
        (folder / label).mkdir()


@pytest.mark.parametrize(
    ("prepare", "what"),
    [
        (nothing, "holds nothing"),
        (loose_images, "3 files but no sub-folders"),
        (one_class, "only one class, 'cat', has usable images"),
        (only_text, r"no class has usable images.*cat/a\.txt \(is text"),
        (empty_classes, "There are no images in"),
    ],
)
def test_a_folder_that_cannot_be_learned_from_shows_the_layout(
    tmp_path: Path, prepare: Callable[[Path], None], what: str
) -> None:
    prepare(tmp_path)
    with pytest.raises(WorkbenchError, match=what) as caught:
        load_dataset(tmp_path)
    assert "pets/cat/tom.jpg" in str(caught.value)


def test_a_changed_folder_is_read_again(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        fill(tmp_path / label, 6)
    reports: list[Any] = []
    load_dataset(tmp_path, progress=lambda *report: reports.append(report))
    assert reports[-1] == ("reading images", 12, 12)
    reports.clear()
    load_dataset(tmp_path, progress=lambda *report: reports.append(report))
    assert reports == []
    fill(tmp_path / "owl", 6)
    assert load_dataset(tmp_path).labels == ("cat", "dog", "owl")


def test_hundreds_of_oddities_make_short_notes(tmp_path: Path) -> None:
    for label in ("cat", "dog"):
        fill(tmp_path / label, 4)
        for number in range(200):
            (tmp_path / label / f"note{number}.txt").write_text(f"{number}")
    text = note(load_dataset(tmp_path), "Skipped")
    assert "and 395 more" in text
    assert len(text) < 800
