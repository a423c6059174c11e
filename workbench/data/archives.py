"""torchvision's own files of a data set: found, copied or downloaded, and verified by SHA-256."""

from __future__ import annotations

import contextlib
import hashlib
import io
import shutil
import socket
import tempfile
import time
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.atomic import whole_file
from workbench.callbacks import Progress
from workbench.errors import WorkbenchError
from workbench.folders import data_root, user_folder
from workbench.wording import one_line

ATTEMPTS = 3
PAUSE_SECONDS = 1.0
_TIMEOUT_SECONDS = 30.0

Pair = tuple[NDArray[np.uint8], NDArray[np.int64]]  # images (N, H, W, C) and labels (N,)


@dataclass(frozen=True)
class Archives:
    """Files that torchvision's `loader` reads from `folder` below the data root, with the SHA-256 of each."""

    loader: str
    folder: str
    sha256: dict[str, str]
    megabytes: float

    @property
    def files(self) -> dict[str, str]:
        """The SHA-256 of each file by its path below the data root."""
        return {f"{self.folder}/{name}" if self.folder else name: digest for name, digest in self.sha256.items()}

    def are_in(self, root: Path) -> bool:
        """Whether `root` holds all files, undamaged."""
        return all(file_sha256(root / file) == expected for file, expected in self.files.items())


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


def has_archives(name: str) -> bool:
    """Whether the data root or the user's cache holds torchvision's files of this set."""
    return any(ARCHIVES[name].are_in(root) for root in (data_root(), user_folder()))


def read_archives(name: str, progress: Progress) -> tuple[Pair, Pair, tuple[str, ...]]:
    """Return training and test images with labels, and the classes, as torchvision's loader reads them.

    Downloads the files where they are missing. Raises WorkbenchError where that fails.
    """
    archives = ARCHIVES[name]
    with tempfile.TemporaryDirectory() as folder:
        # torchvision unpacks beside the archives, and the user's folder may be read-only.
        stage = Path(folder)
        for root in (data_root(), user_folder()):
            if archives.are_in(root):
                _copy(archives, root, stage)
                break
        else:
            _download(name, archives, stage, progress)
            _keep(archives, stage)
        with _quiet():
            import torchvision

            loader = getattr(torchvision.datasets, archives.loader)
            train, test = (loader(stage, train=part, download=True) for part in (True, False))
    # torchvision calls MNIST's classes "0 - zero".
    labels = tuple(label.split(" - ")[0] if label[:1].isdigit() else label for label in train.classes)
    return _pair(train), _pair(test), labels


def file_sha256(path: Path) -> str | None:
    """Return the SHA-256 of a file, or None where it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _pair(dataset: Any) -> Pair:
    pixels = np.asarray(dataset.data)
    return (pixels if pixels.ndim == 4 else pixels[..., None]), np.asarray(dataset.targets, dtype=np.int64)


def _copy(archives: Archives, source: Path, target: Path) -> None:
    for file in archives.files:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / file, target / file)


def _keep(archives: Archives, stage: Path) -> None:
    """Store a download where it will be found again; if no folder can be written, the packed cache must do."""
    for root in (data_root(), user_folder()):
        try:
            for file in archives.files:
                with whole_file(root / file) as part:
                    shutil.copyfile(stage / file, part)
        except (WorkbenchError, OSError):
            continue
        return


def _download(name: str, archives: Archives, stage: Path, progress: Progress) -> None:
    """Download through torchvision, which tries its mirrors and checks MD5; retry, and verify SHA-256."""
    reason = ""
    for attempt in range(ATTEMPTS):
        time.sleep(attempt * PAUSE_SECONDS)
        try:
            _fetch(name, archives, stage, progress)
        except (OSError, RuntimeError, RecursionError, ValueError) as error:
            reason = one_line(error, 10_000) or type(error).__name__
            reason = reason if len(reason) <= 160 else f"… {reason[-160:].partition(' ')[2]}"
            continue
        if archives.are_in(stage):
            return
        reason = "what arrived does not have the expected SHA-256"
        shutil.rmtree(stage, ignore_errors=True)
    files = ", ".join(archives.sha256)
    raise WorkbenchError(
        f"Cannot load {name}: {data_root() / archives.folder} does not hold its official files, and downloading "
        f"failed {ATTEMPTS} times ({reason}). Put {files} into that folder, or choose animals or digits, which need "
        "no network."
    )


def _fetch(name: str, archives: Archives, stage: Path, progress: Progress) -> None:
    """Download in a thread and report the bytes that have arrived."""
    with _quiet():
        import torchvision

        stage.mkdir(parents=True, exist_ok=True)
        total = int(archives.megabytes * 1e6)
        with ThreadPoolExecutor(1) as pool:
            download = pool.submit(getattr(torchvision.datasets, archives.loader), stage, download=True)
            while not wait([download], timeout=0.5).done:
                arrived = sum(path.stat().st_size for path in stage.rglob("*.gz") if path.is_file())
                progress(f"downloading {name} (bytes)", min(arrived, total), total)
            download.result()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress torchvision's progress bars and its archive reader's warnings, and let downloads time out."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_TIMEOUT_SECONDS)
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        socket.setdefaulttimeout(before)
