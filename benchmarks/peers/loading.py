"""A way to bring images into a training loop, in its own process: `python -m benchmarks.peers.loading JSON`.

It answers each line on its standard input with a line of JSON: "load" (open the data set anew), "epoch" (go through all
images once, shuffled, flipped at random, in batches, as normalised float tensors) and "memory".
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol

import torch
import torchvision
from torch.utils.data import DataLoader, Subset
from torchvision import transforms

from workbench.bundle.preprocessing import Preprocessing
from workbench.data import cache
from workbench.data.datasets import Split
from workbench.hyperparameters import HyperParameters
from workbench.machine.processor import LINUX, free_memory_bytes, peak_memory_bytes
from workbench.training.batches import Batches
from workbench.training.models import Normalise

Batch = tuple[torch.Tensor, torch.Tensor]
SAMPLED_AT = 4  # the batch of an epoch at which the memory of the workers is read
NEVER, ALWAYS = 1.0, -1.0  # as cache.MINIMAL_SAVING: no codec saves all bytes, and none doubles them


class Source(Protocol):
    """How a contender loads, and the batches of an epoch."""

    def load(self) -> None: ...
    def epoch(self, number: int) -> Iterator[Batch]: ...


class PackedCache:
    """The workbench: the cache file is checked and unpacked into memory, `Batches` cuts batches from it."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts, self.normalise = facts, Normalise(Preprocessing.from_mapping(facts["preprocessing"]))
        self.options = HyperParameters(batch_size=facts["batch_size"], flip=True, shift=0)

    def load(self) -> None:
        self.batches: Any = None  # free the memory of the last ones before the next are read
        with codec_of_caches(self.facts["codec"]):
            tensors, _, _ = cache.read_cache(Path(self.facts["path"]), self.facts["path"])
        split = Split("train", tensors["images"], tensors["labels"])
        self.batches = Batches(split, self.options, torch.device("cpu"), free_memory_bytes())

    def epoch(self, number: int) -> Iterator[Batch]:
        for images, labels in self.batches.epoch(number):
            yield self.normalise(images), labels


class Loader:
    """As in torchvision's tutorials: PIL images, ToTensor and Normalize for each, and a DataLoader."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts = facts
        self.loader: Any = None

    def load(self) -> None:
        facts, preprocessing = self.facts, self.facts["preprocessing"]
        steps = [
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(preprocessing["mean"], preprocessing["std"]),
        ]
        if facts["kind"] == "torchvision":
            whole = torchvision.datasets.FashionMNIST(facts["path"], transform=transforms.Compose(steps))
            images: Any = Subset(whole, facts["rows"])
        else:
            if preprocessing["channels"] == 1:  # ImageFolder opens every file as RGB
                steps.insert(0, transforms.Grayscale())
            images = torchvision.datasets.ImageFolder(facts["path"], transform=transforms.Compose(steps))
        workers = facts["workers"]
        loader = DataLoader(
            images, facts["batch_size"], shuffle=True, num_workers=workers, persistent_workers=workers > 0
        )
        self.loader = self.loader or loader  # the first, because its workers persist from epoch to epoch

    def epoch(self, number: int) -> Iterator[Batch]:
        yield from self.loader


@contextmanager
def codec_of_caches(codec: str) -> Iterator[Any]:
    """Make `workbench.data.cache` use this codec, whatever it would choose.

    zstd replaces LZ4 in the same code, so that file, hashes and copies are the same.
    """
    before = cache.MINIMAL_SAVING, cache.lz4
    frame = _zstandard() if codec == "zstd" else importlib.import_module("lz4.frame")
    cache.MINIMAL_SAVING, cache.lz4 = NEVER if codec == "raw" else ALWAYS, SimpleNamespace(frame=frame)
    try:
        yield frame
    finally:
        cache.MINIMAL_SAVING, cache.lz4 = before


def has_zstandard() -> bool:
    """Return whether zstandard is installed."""
    return importlib.util.find_spec("zstandard") is not None


def _zstandard() -> SimpleNamespace:
    """Return zstandard at its default level, with the interface of lz4.frame."""
    zstandard = importlib.import_module("zstandard")

    def decompress(content: memoryview, *, return_bytearray: bool) -> bytearray:
        whole = bytearray(zstandard.frame_content_size(content))
        with zstandard.ZstdDecompressor().stream_reader(content) as reader:
            reader.readinto(whole)
        return whole

    return SimpleNamespace(compress=zstandard.ZstdCompressor().compress, decompress=decompress)


def memory(sampled: int) -> dict[str, int | None]:
    """Return peak_bytes, the peak of this process (VmHWM, with torch) and its workers, and of_workers, theirs."""
    own = peak_memory_bytes()
    return {"peak_bytes": None if own is None else own + sampled, "of_workers": sampled}


def worker_bytes() -> int:
    """Return the bytes that only the child processes use (USS); 0 where that is not measurable."""
    if not LINUX:
        return 0
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    rolled = "".join(Path(f"/proc/{child}/smaps_rollup").read_text() for child in children)
    return sum(int(line.split()[1]) * 1024 for line in rolled.splitlines() if line.startswith("Private_"))


def main() -> None:
    """Answer until the input ends."""
    facts = json.loads(sys.argv[1])
    torch.set_num_threads(facts["threads"])
    source: Source = PackedCache(facts) if facts["kind"] == "cache" else Loader(facts)
    sampled = epochs = 0

    def epoch() -> dict[str, Any]:
        nonlocal sampled, epochs
        count, seconds, begun = 0, 0.0, time.perf_counter()
        for index, (images, labels) in enumerate(source.epoch(epochs)):
            assert images.dtype == torch.float32
            count += len(labels)
            if index == SAMPLED_AT:  # with the clock stopped
                seconds += time.perf_counter() - begun
                sampled = max(sampled, worker_bytes())
                begun = time.perf_counter()
        epochs += 1
        return {"seconds": seconds + time.perf_counter() - begun, "images": count}

    def load() -> dict[str, Any]:
        begun = time.perf_counter()
        source.load()
        return {"seconds": time.perf_counter() - begun}

    answers: dict[str, Callable[[], dict[str, Any]]] = {"load": load, "epoch": epoch, "memory": lambda: memory(sampled)}
    print(json.dumps(memory(0)), flush=True)
    for line in sys.stdin:
        print(json.dumps(answers[line.strip()]()), flush=True)


if __name__ == "__main__":
    main()
