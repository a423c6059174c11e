"""One way to bring pictures into a training loop, in a process of its own: `python -m benchmarks.peers.loading JSON`.

It obeys lines on its standard input and answers each with a line of JSON: "load" (open the data set anew), "epoch" (all
pictures once: shuffled, flipped at random, in batches, as normalised float tensors) and "memory".
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

from workbench import cache
from workbench.batches import Batches
from workbench.data import Split
from workbench.hyperparameters import HyperParameters
from workbench.models import Normalise
from workbench.preprocessing import Preprocessing
from workbench.processor import LINUX, free_memory_bytes, peak_memory_bytes

Batch = tuple[torch.Tensor, torch.Tensor]
SAMPLED_AT = 4  # the batch of an epoch at which the memory of workers is read
NEVER, ALWAYS = 1.0, -1.0  # of cache.MINIMAL_SAVING: nothing saves all of its bytes; nothing doubles


class Source(Protocol):
    """How a contender loads, and what it then gives in each epoch."""

    def load(self) -> None: ...
    def epoch(self, number: int) -> Iterator[Batch]: ...


class PackedCache:
    """The workbench's own: the file checked and unpacked into memory, batches cut from it by `Batches`."""

    def __init__(self, facts: dict[str, Any]) -> None:
        self.facts, self.normalise = facts, Normalise(Preprocessing.from_mapping(facts["preprocessing"]))
        self.options = HyperParameters(batch_size=facts["batch_size"], flip=True, shift=0)

    def load(self) -> None:
        self.batches: Any = None  # the memory of the last one is free before the next is read
        with codec_of_caches(self.facts["codec"]):
            tensors, _, _ = cache.read_cache(Path(self.facts["path"]), self.facts["path"])
        split = Split("train", tensors["pictures"], tensors["labels"])
        self.batches = Batches(split, self.options, torch.device("cpu"), free_memory_bytes())

    def epoch(self, number: int) -> Iterator[Batch]:
        for pictures, labels in self.batches.epoch(number):
            yield self.normalise(pictures), labels


class Loader:
    """What torchvision's tutorials do: PIL's pictures, ToTensor and Normalize for each, and a DataLoader."""

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
            pictures: Any = Subset(whole, facts["rows"])
        else:
            if preprocessing["channels"] == 1:  # ImageFolder opens every file as RGB
                steps.insert(0, transforms.Grayscale())
            pictures = torchvision.datasets.ImageFolder(facts["path"], transform=transforms.Compose(steps))
        workers = facts["workers"]
        loader = DataLoader(
            pictures, facts["batch_size"], shuffle=True, num_workers=workers, persistent_workers=workers > 0
        )
        self.loader = self.loader or loader  # whose workers live on from epoch to epoch

    def epoch(self, number: int) -> Iterator[Batch]:
        yield from self.loader


@contextmanager
def codec_of_caches(codec: str) -> Iterator[Any]:
    """Have `workbench.cache` keep data sets in this codec, whatever it would choose; what compresses and decompresses.

    So zstd takes LZ4's place in the very same code: file, hashes and copies are alike.
    """
    before = cache.MINIMAL_SAVING, cache.lz4
    frame = _zstandard() if codec == "zstd" else importlib.import_module("lz4.frame")
    cache.MINIMAL_SAVING, cache.lz4 = NEVER if codec == "raw" else ALWAYS, SimpleNamespace(frame=frame)
    try:
        yield frame
    finally:
        cache.MINIMAL_SAVING, cache.lz4 = before


def has_zstandard() -> bool:
    """Whether zstandard is installed."""
    return importlib.util.find_spec("zstandard") is not None


def _zstandard() -> SimpleNamespace:
    """zstandard at its default level, called as lz4.frame is."""
    zstandard = importlib.import_module("zstandard")

    def decompress(content: memoryview, *, return_bytearray: bool) -> bytearray:
        whole = bytearray(zstandard.frame_content_size(content))
        with zstandard.ZstdDecompressor().stream_reader(content) as reader:
            reader.readinto(whole)
        return whole

    return SimpleNamespace(compress=zstandard.ZstdCompressor().compress, decompress=decompress)


def memory(sampled: int) -> dict[str, int | None]:
    """peak_bytes: the most this process held at once (VmHWM), torch and all, and what its workers held beside it."""
    own = peak_memory_bytes()
    return {"peak_bytes": None if own is None else own + sampled, "of_workers": sampled}


def of_workers() -> int:
    """Bytes that the processes which this one has made share with nobody (USS); 0 where it cannot be told."""
    if not LINUX:
        return 0
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    rolled = "".join(Path(f"/proc/{child}/smaps_rollup").read_text() for child in children)
    return sum(int(line.split()[1]) * 1024 for line in rolled.splitlines() if line.startswith("Private_"))


def main() -> None:
    """Obey until the input ends."""
    facts = json.loads(sys.argv[1])
    torch.set_num_threads(facts["threads"])
    source: Source = PackedCache(facts) if facts["kind"] == "cache" else Loader(facts)
    sampled = epochs = 0

    def epoch() -> dict[str, Any]:
        nonlocal sampled, epochs
        count, seconds, begun = 0, 0.0, time.perf_counter()
        for place, (pictures, labels) in enumerate(source.epoch(epochs)):
            assert pictures.dtype == torch.float32
            count += len(labels)
            if place == SAMPLED_AT:  # the clock stands still meanwhile
                seconds += time.perf_counter() - begun
                sampled = max(sampled, of_workers())
                begun = time.perf_counter()
        epochs += 1
        return {"seconds": seconds + time.perf_counter() - begun, "pictures": count}

    def load() -> dict[str, Any]:
        begun = time.perf_counter()
        source.load()
        return {"seconds": time.perf_counter() - begun}

    orders: dict[str, Callable[[], dict[str, Any]]] = {"load": load, "epoch": epoch, "memory": lambda: memory(sampled)}
    print(json.dumps(memory(0)), flush=True)
    for line in sys.stdin:
        print(json.dumps(orders[line.strip()]()), flush=True)


if __name__ == "__main__":
    main()
