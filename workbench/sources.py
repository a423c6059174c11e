"""The built-in data sets: drawn, shipped with scikit-learn, or downloaded through torchvision and checked."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import socket
import tarfile
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.atomic import whole_file
from workbench.cache import Array, Rows, data_root, user_folder
from workbench.errors import WorkbenchError
from workbench.preprocessing import Preprocessing, fit_picture
from workbench.splits import stratified

Progress = Callable[[str, int, int], None]

COUNTS = {"train": 10_000, "validation": 2_000, "test": 2_000, "new": 100}
DIGIT_COUNTS = {"validation": 200, "test": 300, "new": 100}
HELD_BACK = {"validation": 5_000, "new": 100}

ATTEMPTS = 3
PAUSE_SECONDS = 1.0
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, eq=False)
class Part:
    """One split before it is packed. pictures: uint8 (N, H, W, C); labels: int64 (N,); attributes: (N,) each."""

    pictures: Rows | Array
    labels: NDArray[np.int64]
    attributes: dict[str, Array] = field(default_factory=dict)
    names: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Made:
    """A data set as its source gives it: `parts` holds train, validation, test and new."""

    labels: tuple[str, ...]
    parts: dict[str, Part]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Archives:
    """Files of a data set that torchvision can load, in a folder below the data root, with the SHA-256 of each."""

    loader: str
    folder: str
    sha256: dict[str, str]
    megabytes: float

    @property
    def files(self) -> dict[str, str]:
        """Path below the data root -> SHA-256."""
        return {f"{self.folder}/{name}" if self.folder else name: digest for name, digest in self.sha256.items()}


ARCHIVES = {
    "fashion-mnist": Archives(
        "FashionMNIST",
        "FashionMNIST/raw",
        {
            "train-images-idx3-ubyte.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "train-labels-idx1-ubyte.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "t10k-images-idx3-ubyte.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "t10k-labels-idx1-ubyte.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        },
        30.9,
    ),
    "mnist": Archives(
        "MNIST",
        "MNIST/raw",
        {
            "train-images-idx3-ubyte.gz": "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "train-labels-idx1-ubyte.gz": "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "t10k-images-idx3-ubyte.gz": "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "t10k-labels-idx1-ubyte.gz": "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        },
        11.6,
    ),
    "cifar-10": Archives(
        "CIFAR10",
        "",
        {"cifar-10-python.tar.gz": "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce"},
        170.5,
    ),
}

JPEG_TREE = "cifar10-jpeg"
_JPEG_ARCHIVE = "cifar10-jpeg/cifar10-jpeg.tar.gz"
JPEG_ARCHIVE_SHA256 = "a578d77c4282fad55b323e5e5071d1249196353ef574ae61c4e28d2a23e7bb4b"

Pair = tuple[Array, NDArray[np.int64]]


def make_animals(size: int, seed: int, progress: Progress) -> Made:
    """The ten animals, drawn: uint8 (N, size, size, 3), each split from a seed of its own."""
    from workbench.animals import LABELS
    from workbench.drawing import draw_in_processes

    parts: dict[str, Part] = {}
    total = sum(COUNTS.values())
    for place, (split, count) in enumerate(COUNTS.items()):
        before = sum(list(COUNTS.values())[:place])
        drawn = draw_in_processes(
            count,
            seed=int(np.random.SeedSequence([seed, place]).generate_state(1)[0]),
            size=size,
            processes=available_cores(),
            report=partial(_report_drawn, progress, before, total),
        )
        parts[split] = Part(drawn.pictures, drawn.labels, dict(drawn.attributes))
    return Made(tuple(LABELS), parts)


def _report_drawn(progress: Progress, before: int, total: int, drawn: int) -> None:
    progress("drawing animals", before + drawn, total)


def make_digits(size: int, seed: int, progress: Progress) -> Made:
    """scikit-learn's 1,797 handwritten digits, 8×8 of 0..16, spread to 0..255, enlarged: uint8 (N, size, size, 1)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.round(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = digits.target.astype(np.int64)
    pictures = resized(pixels, size, 1, "digits", progress)
    chosen = stratified(labels, list(DIGIT_COUNTS.values()), seed=seed)
    parts = {
        split: Part(Rows(pictures, rows), labels[rows])
        for split, rows in zip((*DIGIT_COUNTS, "train"), chosen, strict=True)
    }
    return Made(
        tuple(str(k) for k in range(10)),
        parts,
        ("Enlarged from 8×8 pixels.",) if size != 8 else (),
    )


def make_from_archives(name: str, size: int, seed: int, progress: Progress) -> Made:
    """A torchvision set: its test file kept whole, validation and new pictures taken from its training file."""
    train, test, labels = _torchvision_pairs(name, progress)
    channels = train[0].shape[3]
    train = resized(train[0], size, channels, name, progress), train[1]
    test = resized(test[0], size, channels, name, progress), test[1]
    return Made(labels, official_parts(train, test, seed))


def official_parts(train: Pair, test: Pair, seed: int) -> dict[str, Part]:
    """The four splits of a set that comes in a training and a test part."""
    chosen = stratified(train[1], list(HELD_BACK.values()), seed=seed)
    parts = {
        split: Part(Rows(train[0], rows), train[1][rows])
        for split, rows in zip((*HELD_BACK, "train"), chosen, strict=True)
    }
    return parts | {"test": Part(test[0], test[1])}


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def resized(pixels: Array, size: int, channels: int, what: str, progress: Progress) -> Array:
    """uint8 (N, H, W, C) -> (N, size, size, channels) by `fit_picture`; the very array where it fits already."""
    if pixels.shape[1:] == (size, size, channels):
        return pixels
    wanted = Preprocessing(
        height=size,
        width=size,
        channels=channels,
        mean=(0.0,) * channels,
        std=(1.0,) * channels,
    )
    fitted = np.empty((len(pixels), size, size, channels), dtype=np.uint8)
    for index, picture in enumerate(pixels):
        fitted[index] = fit_picture(picture, wanted)
        if index % 1000 == 999 or index == len(pixels) - 1:
            progress(f"resizing {what}", index + 1, len(pixels))
    return fitted


def has_jpegs() -> bool:
    """Whether the data root holds CIFAR-10 as JPEG files, unpacked or packed."""
    return jpegs_unpacked() or _sha256(data_root() / _JPEG_ARCHIVE) == JPEG_ARCHIVE_SHA256


def jpegs_unpacked() -> bool:
    """Whether the data root holds CIFAR-10 as folders of JPEG files."""
    return all((data_root() / JPEG_TREE / split).is_dir() for split in ("train", "test"))


@contextlib.contextmanager
def jpeg_tree() -> Iterator[Path | None]:
    """The folder with CIFAR-10 as JPEGs (`train` and `test` in it), unpacked for the moment if need be, or None."""
    root = data_root()
    if jpegs_unpacked():
        yield root / JPEG_TREE
    elif _sha256(root / _JPEG_ARCHIVE) == JPEG_ARCHIVE_SHA256:
        with (
            tempfile.TemporaryDirectory() as stage,
            tarfile.open(root / _JPEG_ARCHIVE) as archive,
        ):
            archive.extractall(stage, filter="data")
            yield Path(stage) / JPEG_TREE
    else:
        yield None


def has_archives(name: str) -> bool:
    """Whether torchvision's own files of this set lie where they are looked for."""
    return any(_present(ARCHIVES[name], root) for root in (data_root(), user_folder()))


def _torchvision_pairs(name: str, progress: Progress) -> tuple[Pair, Pair, tuple[str, ...]]:
    """Training and test pictures, uint8 (N, H, W, C), with labels, as torchvision's loader reads them."""
    archives = ARCHIVES[name]
    with tempfile.TemporaryDirectory() as folder:
        # torchvision unpacks beside the archives; in a folder of our own the user's may be read-only.
        stage = Path(folder)
        for root in (data_root(), user_folder()):
            if _present(archives, root):
                _copy(archives, root, stage)
                break
        else:
            _download(name, archives, stage, progress)
            _keep(archives, stage)
        with _quiet():
            import torchvision

            loader = getattr(torchvision.datasets, archives.loader)
            train, test = (loader(stage, train=part, download=True) for part in (True, False))
    labels = tuple(_tidy(label) for label in train.classes)
    return _pair(train), _pair(test), labels


def _pair(dataset: Any) -> Pair:
    pixels = np.asarray(dataset.data)
    return (pixels if pixels.ndim == 4 else pixels[..., None]), np.asarray(dataset.targets, dtype=np.int64)


def _tidy(label: str) -> str:
    # torchvision calls MNIST's classes "0 - zero".
    return label.split(" - ")[0] if label[:1].isdigit() else label


def _present(archives: Archives, root: Path) -> bool:
    return all(_sha256(root / file) == expected for file, expected in archives.files.items())


def _copy(archives: Archives, source: Path, target: Path) -> None:
    for file in archives.files:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file, target / file)


def _keep(archives: Archives, stage: Path) -> None:
    """Keep a download where it will be found again; without a writable folder the packed cache has to do."""
    for root in (data_root(), user_folder()):
        try:
            for file in archives.files:
                with whole_file(root / file) as part:
                    shutil.copyfile(stage / file, part)
        except (WorkbenchError, OSError):
            continue
        return


def _sha256(path: Path) -> str | None:
    """SHA-256 of a file, or None where there is none to read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _download(name: str, archives: Archives, stage: Path, progress: Progress) -> None:
    """Through torchvision, which tries its mirrors and checks MD5; we retry, then check SHA-256."""
    reason = ""
    for attempt in range(ATTEMPTS):
        time.sleep(attempt * PAUSE_SECONDS)
        try:
            _watched(lambda: _fetch(archives, stage), name, archives, stage, progress)
        except (OSError, RuntimeError, RecursionError, ValueError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            reason = reason if len(reason) <= 160 else f"… {reason[-160:].partition(' ')[2]}"
            continue
        if _present(archives, stage):
            return
        reason = "what arrived does not have the expected SHA-256"
        shutil.rmtree(stage, ignore_errors=True)
    files = ", ".join(archives.sha256)
    raise WorkbenchError(
        f"Cannot load {name}: {data_root() / archives.folder} does not hold its official files, and downloading "
        f"failed {ATTEMPTS} times ({reason}). Put {files} into that folder, or choose animals or digits, which need "
        "no network."
    )


def _fetch(archives: Archives, stage: Path) -> None:
    with _quiet():
        import torchvision

        stage.mkdir(parents=True, exist_ok=True)
        getattr(torchvision.datasets, archives.loader)(stage, download=True)


def _watched(
    work: Callable[[], None],
    name: str,
    archives: Archives,
    stage: Path,
    progress: Progress,
) -> None:
    """Run `work` in a thread and report the bytes that have arrived in `stage`."""
    total = int(archives.megabytes * 1e6)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(work)
        while not wait([running], timeout=0.5).done:
            arrived = sum(path.stat().st_size for path in stage.rglob("*.gz") if path.is_file())
            progress(f"downloading {name} (bytes)", min(arrived, total), total)
        running.result()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars from torchvision, no warnings from its archive reader, and no download that hangs for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_SECONDS)
    nowhere = io.StringIO()
    try:
        with (
            contextlib.redirect_stdout(nowhere),
            contextlib.redirect_stderr(nowhere),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        socket.setdefaulttimeout(before)
