"""The built-in data sets against what their makers' own loaders give.

Covers: archives, cifar_jpegs, sources.
"""

from __future__ import annotations

import os
import sys
import tarfile
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader

from workbench.bundle.preprocessing import Preprocessing, fit_image
from workbench.data import archives, sources
from workbench.data.animals import draw_animals
from workbench.data.animals.parallel import draw_in_processes
from workbench.data.datasets import NAMES, Data, Split, load_dataset
from workbench.errors import WorkbenchError

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root of our own whose real sets are links to the shared ones, so that nothing is written there."""
    named = os.environ.get("WORKBENCH_DATA")
    shared = Path(named) if named else REPOSITORY.parent / "shared" / "datasets"
    own = tmp_path_factory.mktemp("root")
    for name in ("FashionMNIST", "MNIST", "cifar10-jpeg"):
        if (shared / name).is_dir():
            (own / name).symlink_to((shared / name).resolve(), target_is_directory=True)
    return own


@pytest.fixture(autouse=True)
def own_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(root))
    monkeypatch.setenv("XDG_CACHE_HOME", str(root / "home"))


def needs(root: Path, name: str) -> None:
    if not (root / name).is_dir():
        text = f"{name} is not in the folder that WORKBENCH_DATA names"
        pytest.fail(text) if os.environ.get("CI") == "true" else pytest.skip(text)


def rows_of(split: Split) -> set[bytes]:
    return {image.numpy().tobytes() for image in split.images}


def content(images: torch.Tensor, labels: torch.Tensor) -> list[tuple[bytes, int]]:
    """Every image with its label, whatever their order was."""
    return sorted((image.tobytes(), int(label)) for image, label in zip(images.numpy(), labels, strict=True))


def matches(split: Split, pixels: np.ndarray, labels: np.ndarray) -> None:
    """Every image of the split is one of `pixels`, with its label."""
    known: dict[bytes, set[int]] = {}
    for image, label in zip(pixels, labels, strict=True):
        known.setdefault(image.tobytes(), set()).add(int(label))
    for image, label in zip(split.images, split.labels, strict=True):
        assert int(label) in known[image.numpy().tobytes()]


def check_preprocessing(data: Data) -> None:
    """Mean and spread are those of the training images, in float64."""
    pixels = data.train.images.double() / 255
    assert data.preprocessing.mean == pytest.approx(pixels.mean(dim=(0, 1, 2)).tolist(), abs=1e-9)
    assert data.preprocessing.std == pytest.approx(pixels.std(dim=(0, 1, 2), correction=0).tolist(), abs=1e-9)
    assert data.shape == tuple(data.train.images.shape[1:])


# ---- real sets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "folder"), [("fashion-mnist", "FashionMNIST"), ("mnist", "MNIST")])
def test_torchvision_sets_are_byte_identical(root: Path, tmp_path: Path, name: str, folder: str) -> None:
    needs(root, folder)
    data = load_dataset(name)
    (tmp_path / folder / "raw").mkdir(parents=True)
    for archive in (root / folder / "raw").glob("*.gz"):
        (tmp_path / folder / "raw" / archive.name).symlink_to(archive.resolve())
    loader = getattr(torchvision.datasets, folder)
    train, test = (loader(tmp_path, train=part, download=True) for part in (True, False))
    assert torch.equal(data.test.images[..., 0], test.data)
    assert torch.equal(data.test.labels, test.targets)
    assert [len(split) for split in data.splits] == [54_900, 5_000, 10_000, 100]
    # The three parts of the training file put together again are the training file.
    parts = [data.train, data.validation, data.new]
    images, labels = (torch.cat([getattr(part, field) for part in parts]) for field in ("images", "labels"))
    assert content(images, labels) == content(train.data, train.targets)
    share = labels.bincount() / len(labels)
    for part in parts:
        assert (part.labels.bincount(minlength=10) / len(part) - share).abs().max() < 1.01 / len(part)
    check_preprocessing(data)
    assert data.storage is not None
    assert data.storage.codec == "lz4"
    assert list((root / folder / "raw").glob("*ubyte")) == []  # nothing unpacked beside the archives


def test_labels_are_words(root: Path) -> None:
    needs(root, "MNIST")
    assert load_dataset("mnist").labels == tuple("0123456789")
    needs(root, "FashionMNIST")
    assert load_dataset("FashionMNIST").labels[:2] == ("T-shirt/top", "Trouser")


def test_the_seed_moves_images_but_never_the_test(root: Path) -> None:
    needs(root, "MNIST")
    first, second = load_dataset("mnist"), load_dataset("mnist", seed=1)
    assert torch.equal(first.test.images, second.test.images)
    assert not torch.equal(first.validation.images, second.validation.images)


def test_digits_are_scikit_learns() -> None:
    data, digits = load_dataset("digits", size=8), load_digits()
    assert [len(split) for split in data.splits] == [1197, 200, 300, 100]
    pixels = np.round(digits.images * 255 / 16).astype(np.uint8)[..., None]
    for split in data.splits:
        matches(split, pixels, digits.target)
    assert sum(len(rows_of(split)) for split in data.splits) == 1797
    assert len(set.union(*map(rows_of, data.splits))) == 1797
    check_preprocessing(data)
    larger = load_dataset("digits")
    target = Preprocessing(height=16, width=16, channels=1, mean=(0.0,), std=(1.0,))
    assert torch.equal(larger.test.labels, data.test.labels)
    for small, large in zip(data.test.images, larger.test.images, strict=True):
        assert np.array_equal(large.numpy(), fit_image(small.numpy(), target))


def test_animals_are_drawn_once_with_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "COUNTS", {"train": 60, "validation": 20, "test": 20, "new": 10})
    reports: list[tuple[str, int, int]] = []
    data = load_dataset("animals", progress=lambda *report: reports.append(report))
    assert [len(split) for split in data.splits] == [60, 20, 20, 10]
    assert reports[-1] == ("drawing animals", 110, 110)
    assert "legs" in data.train.attributes
    for split in data.splits:
        assert all(values.shape == (len(split),) for values in split.attributes.values())
        assert set(split.labels.tolist()) == set(range(10))
    assert len(set.union(*map(rows_of, data.splits))) == 110
    check_preprocessing(data)
    again = load_dataset("animals", progress=lambda *report: reports.append(report))
    assert reports[-1] == ("drawing animals", 110, 110)
    assert len(reports) == 4
    for before, after in zip(data.splits, again.splits, strict=True):
        assert torch.equal(before.images, after.images)
        for name, values in before.attributes.items():
            assert torch.equal(after.attributes[name], values)
    assert not torch.equal(load_dataset("animals", seed=1).test.images, data.test.images)


def test_processes_draw_what_one_process_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.data.animals.parallel.PAYS_FROM", 1)
    monkeypatch.setattr("workbench.data.animals.parallel._CHUNK", 30)
    drawn, expected = draw_in_processes(100, seed=3, size=16, processes=2), draw_animals(100, seed=3, size=16)
    assert np.array_equal(drawn.images, expected.images)
    assert np.array_equal(drawn.labels, expected.labels)
    assert drawn.attributes.keys() == expected.attributes.keys()
    for name, values in expected.attributes.items():
        assert np.array_equal(drawn.attributes[name], values)
    # Where no process can be used, the images come all the same.
    monkeypatch.setattr(sys, "executable", sys.executable + "-missing")
    assert np.array_equal(draw_in_processes(60, seed=3, size=16, processes=2).images, expected.images[:60])


def test_cifar_10_from_jpeg_files(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs(root, "cifar10-jpeg")
    with tarfile.open(root / "cifar10-jpeg" / "cifar10-jpeg.tar.gz") as archive:
        for member in archive:
            if member.isfile() and int(Path(member.name).stem) < (60 if "/train/" in member.name else 20):
                archive.extract(member, tmp_path, filter="data")
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(sources, "HELD_BACK", {"validation": 100, "new": 20})
    data = load_dataset("cifar-10")
    test = torchvision.datasets.ImageFolder(tmp_path / "cifar10-jpeg" / "test")
    assert data.labels == tuple(test.classes)
    assert [len(split) for split in data.splits] == [480, 100, 200, 20]
    pixels = torch.stack([torch.from_numpy(np.array(image.convert("RGB"))) for image, _ in test])
    assert content(data.test.images, data.test.labels) == content(pixels, torch.tensor(test.targets))
    assert len(set(data.test.labels[:30].tolist())) > 5  # mixed, though the files are sorted by class
    assert "not pixel-exact" in data.notes[0]
    # A tree that has changed is read again, and one that is too small is not taken for CIFAR-10.
    monkeypatch.setattr(sources, "HELD_BACK", {"validation": 500, "new": 100})
    with pytest.raises(WorkbenchError, match="only 600 usable images in train"):
        load_dataset("cifar-10")


# ---- what is refused ----------------------------------------------------------------------------------------------


def test_without_a_network_one_sentence_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(archives, "PAUSE_SECONDS", 0.0)
    monkeypatch.setattr(urllib.request, "_opener", None)  # urllib keeps the proxies of the first call in a process
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name, file in (("mnist", "t10k-labels-idx1-ubyte.gz"), ("cifar-10", "cifar-10-python.tar.gz")):
        with pytest.raises(WorkbenchError) as caught:
            load_dataset(name)
        text = str(caught.value)
        for part in (name, str(tmp_path), "failed 3 times", "refused", file, "animals or digits"):
            assert part in text
        assert "\n" not in text


def test_a_damaged_archive_is_not_used(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    needs(root, "MNIST")
    (tmp_path / "MNIST" / "raw").mkdir(parents=True)
    for archive in (root / "MNIST" / "raw").glob("*.gz"):
        content = bytearray(archive.read_bytes())
        content[-1] ^= archive.name.startswith("t10k-labels")
        (tmp_path / "MNIST" / "raw" / archive.name).write_bytes(content)
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    monkeypatch.setattr(archives, "PAUSE_SECONDS", 0.0)
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(WorkbenchError, match="does not hold its official files"):
        load_dataset("mnist")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"name_or_folder": "cats"}, "animals, digits, fashion-mnist"),
        ({"name_or_folder": ""}, "There is no data set"),
        ({"name_or_folder": "no\0such"}, "There is no data set"),
        ({"name_or_folder": 3}, "not int"),
        ({"name_or_folder": "digits", "size": 7}, "size = 7"),
        ({"name_or_folder": "digits", "size": 1025}, "size = 1025"),
        ({"name_or_folder": "digits", "size": 16.0}, r"size = 16\.0"),
        ({"name_or_folder": "digits", "seed": -1}, "seed = -1"),
        ({"name_or_folder": "digits", "seed": "0"}, "seed = '0'"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, what: str) -> None:
    with pytest.raises(WorkbenchError, match=what):
        load_dataset(**arguments)


def test_loading_prints_nothing(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    needs(root, "MNIST")
    (tmp_path / "MNIST").symlink_to((root / "MNIST").resolve(), target_is_directory=True)
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    load_dataset("mnist")
    load_dataset("digits")
    assert capfd.readouterr() == ("", "")


# ---- splits -------------------------------------------------------------------------------------------------------


def test_a_split_works_with_a_data_loader_and_its_workers() -> None:
    split = load_dataset("digits").test
    image, label = split[5]
    assert (image.dtype, image.shape, type(label)) == (torch.float32, (1, 16, 16), int)
    assert torch.equal(image, split.images[5].permute(2, 0, 1) / 255)
    for workers in (0, 2):
        batches = list(DataLoader(split, batch_size=64, num_workers=workers))
        assert torch.equal(torch.cat([labels for _, labels in batches]), split.labels)
        assert torch.equal(torch.cat([x for x, _ in batches]), split.images.permute(0, 3, 1, 2) / 255)
    assert len(list(split)) == len(split)


def test_a_subset_keeps_what_is_known_of_each_image() -> None:
    split = Split(
        "test",
        torch.arange(4 * 12, dtype=torch.uint8).reshape(4, 2, 2, 3),
        torch.tensor([3, 2, 1, 0]),
        {"legs": torch.tensor([4, 2, 6, 8])},
        ("a", "b", "c", "d"),
    )
    part = split.subset([2, 0])
    assert torch.equal(part.images, split.images[[2, 0]])
    assert part.labels.tolist() == [1, 3]
    assert part.attributes["legs"].tolist() == [6, 4]
    assert (part.name, part.names, len(part)) == ("test", ("c", "a"), 2)
    assert len(split.subset(torch.tensor([], dtype=torch.int64))) == 0


def test_every_name_is_known() -> None:
    assert set(archives.ARCHIVES) | {"animals", "digits"} == set(NAMES)
