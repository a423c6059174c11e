"""Pictures into the training loop, without a network: picture files, torchvision's data set, and the packed cache.

Each contender is a process of its own that gives the same pictures in batches of 128: shuffled, flipped at random, as
normalised float tensors that a first convolution takes. They take turns in several rounds after one that is not
counted; in each round a contender opens its data set anew (load) and goes through it once (epoch). A figure is the
median over the rounds, with the lowest and the highest as its spread. What is read lies in the system's file cache.

    ImageFolder        torchvision's, on JPEG or PNG files: PIL, ToTensor, Normalize, a DataLoader; 0 and 2 workers
    FashionMNIST       torchvision's data set of that name and a DataLoader; 0 and 2 workers
    packed cache       the workbench's cache file, unpacked into memory, through workbench.batches.Batches: raw, by LZ4,
                       and by zstd, which the workbench does not use (only where zstandard is installed)

Memory is the resident peak of the process (VmHWM), torch and all, and what its workers share with nobody (USS) within
an epoch. torchvision's FashionMNIST opens all 60,000 pictures, and that is its load; its bytes are told for as many as
race. The sets are animals (drawn, as PNG files), fashion-mnist (as PNG files) and cifar10-jpeg (the JPEG files of the
data folder).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.inference import machine
from benchmarks.order import order
from benchmarks.peers import loading_sets
from benchmarks.peers.loading import codec_of_caches, has_zstandard
from workbench import cache
from workbench.arguments import whole_number
from workbench.data import measured
from workbench.devices import checked_threads
from workbench.errors import WorkbenchError
from workbench.folder import Oddities, decode, scan
from workbench.sealed import versions

SETS = {
    "animals": loading_sets.animals,
    "fashion-mnist": loading_sets.fashion_mnist,
    "cifar10-jpeg": loading_sets.cifar_jpegs,
}
FASHION_MNIST = 60_000
EPOCHS_OF_CACHE = 5  # in each round, of which the median counts: they are short
DATALOADER_GOAL, LZ4_GOAL = 10.0, 1.05
HOW_TO_ADD_ZSTD = (
    "zstandard is not installed, so zstd does not race. To add it: uv pip install --no-deps --target FOLDER "
    "zstandard, then run this with PYTHONPATH=FOLDER."
)

Facts = dict[str, Any]


def main() -> None:
    """Race on each data set, then print tables and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=SETS, default=[*SETS], help="data sets")
    parser.add_argument("--pictures", type=int, default=10_000, help="of each set, as many of each class")
    parser.add_argument("--batch", type=int, default=128, help="pictures at once")
    parser.add_argument("--threads", type=int, help="of PyTorch in each process; by default all cores")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.rounds < 5:
        parser.error("--rounds: at least 5, or the spread means nothing")
    codecs = ("raw", "lz4", *(["zstd"] if has_zstandard() else []))
    try:
        whole_number("--batch", options.batch, 1, 2**16)
        whole_number("--pictures", options.pictures, 100, 50_000)
        options.threads = checked_threads(options.threads)
        with tempfile.TemporaryDirectory() as scratch:
            sets = {name: _race(name, Path(scratch) / name, codecs, options) for name in options.data}
    except WorkbenchError as error:
        parser.error(str(error))
    result = {"benchmark": "loading", "origin": "measured", **machine(), "rounds": options.rounds}
    result |= {"batch": options.batch, "threads": options.threads, "sets": sets}
    result["versions"] |= versions("torchvision", "pillow", "lz4", *(["zstandard"] if has_zstandard() else []))
    _report(result)
    print(json.dumps(result))


# What there is to load --------------------------------------------------------------------------------------------


def _race(name: str, folder: Path, codecs: tuple[str, ...], options: argparse.Namespace) -> Facts:
    """Write the pictures as files and in each codec, then have all contenders take turns."""
    files = folder / "files"
    pixels, labels, rows = SETS[name](files, options.pictures)
    preprocessing = measured(pixels)
    common = {"batch_size": options.batch, "threads": options.threads, "preprocessing": preprocessing.to_mapping()}
    contenders: dict[str, Facts] = {}
    for workers in (0, 2):
        about = common | {"workers": workers}
        contenders[f"ImageFolder, {workers} workers"] = about | {"kind": "files", "path": str(files)}
        if rows is not None:
            told = {"kind": "torchvision", "path": str(folder), "rows": rows}
            contenders[f"FashionMNIST, {workers} workers"] = about | told
    storages = {codec: _packed(folder / f"{codec}.safetensors", codec, pixels, labels) for codec in codecs}
    for codec, storage in storages.items():
        contenders[f"packed cache, {codec}"] = common | {"kind": "cache", "codec": codec, "path": storage["path"]}
    found = _turns(contenders, options.rounds)
    for contender, facts in contenders.items():
        own = [files] if facts["kind"] == "files" else [Path(facts["path"])]
        own = list((folder / "FashionMNIST" / "raw").glob("train*-ubyte")) if facts["kind"] == "torchvision" else own
        found[contender] |= _disk(own, len(pixels) / FASHION_MNIST if facts["kind"] == "torchvision" else 1.0)
    seconds = _seconds(lambda: decode(scan(files), pixels.shape[1], lambda *_: None, Oddities()))
    return {
        "pictures": len(pixels),
        "decode_files_seconds": seconds,
        "codecs": storages,
        "contenders": found,
        "goals": _goals(found),
    }


def _packed(path: Path, codec: str, pixels: Any, labels: Any) -> Facts:
    """Write a cache in `codec`; its sizes, and the seconds of coding and decoding the pictures alone."""
    with codec_of_caches(codec) as frame:
        cache.write_cache(path, str(path), {"pictures": pixels, "labels": labels}, {})
        storage = cache.read_cache(path, str(path))[2]
    facts = {"path": str(path), "raw_bytes": storage.raw_bytes, "packed_bytes": storage.packed_bytes}
    facts |= {"ratio": storage.ratio, "pack_and_write_seconds": storage.pack_seconds}
    if codec != "raw":
        content = memoryview(frame.compress(pixels.reshape(-1).data))
        facts["decode_seconds"] = _seconds(lambda: frame.decompress(content, return_bytearray=True))
    return facts


def _disk(paths: list[Path], share: float) -> Facts:
    """Bytes that this share of the files holds, and that it takes in whole blocks of the file system."""
    states = [
        file.stat() for path in paths for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()
    ]
    return {
        "files": len(states),
        "content_bytes": round(share * sum(state.st_size for state in states)),
        "disk_bytes": round(share * sum(getattr(state, "st_blocks", 0) * 512 for state in states)),
    }


def _seconds(call: Callable[[], object]) -> float:
    """The median of three, after one that is not counted."""
    taken = []
    for _ in range(4):
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken[1:])


# The race ---------------------------------------------------------------------------------------------------------


def _turns(contenders: dict[str, Facts], rounds: int) -> dict[str, Facts]:
    """Every contender's loads and epochs, round by round, and its memory at the end."""
    loads: dict[str, list[float]] = {name: [] for name in contenders}
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    with ExitStack() as open_ones:
        children = {name: open_ones.enter_context(_Child(facts)) for name, facts in contenders.items()}
        for number in range(rounds + 1):
            for name in order(children, number):
                load = children[name].ask("load")
                count = EPOCHS_OF_CACHE if contenders[name]["kind"] == "cache" else 1
                epochs = [children[name].ask("epoch") for _ in range(count)]
                if number > 0:  # the first is warm-up
                    loads[name].append(load["seconds"])
                    speeds[name].append(statistics.median(epoch["pictures"] / epoch["seconds"] for epoch in epochs))
        return {
            name: {"loads": loads[name], "pictures_per_second": speeds[name], "imports_bytes": child.imports}
            | child.ask("memory")
            for name, child in children.items()
        }


class _Child:
    """A contender's process, which loads and goes through an epoch when told."""

    def __init__(self, facts: Facts) -> None:
        command = [sys.executable, "-m", "benchmarks.peers.loading", json.dumps(facts)]
        path = os.pathsep.join(each for each in sys.path if each)
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}
        )
        self.imports = self._answer()["peak_bytes"]

    def __enter__(self) -> _Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate()

    def ask(self, order: str) -> Facts:
        assert self.process.stdin is not None
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> Facts:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise WorkbenchError("A contender's process has ended; what it said stands above.")
        return json.loads(line)


def _goals(found: dict[str, Facts]) -> Facts:
    def ratio(one: list[float], other: list[float]) -> float:  # within a round the machine's mood is the same for all
        return statistics.median(a / b for a, b in zip(one, other, strict=True))

    speeds = {name: facts["pictures_per_second"] for name, facts in found.items()}
    lz4, raw = "packed cache, lz4", "packed cache, raw"
    return {
        "times_image_folder": min(ratio(speeds[lz4], speeds[f"ImageFolder, {workers} workers"]) for workers in (0, 2)),
        "lz4_epoch_over_raw": ratio(speeds[raw], speeds[lz4]),
        "lz4_load_over_raw": ratio(found[lz4]["loads"], found[raw]["loads"]),
    }


# What came of it --------------------------------------------------------------------------------------------------


def _report(result: Facts) -> None:
    print(f"{result['processor']}, {result['usable_cores']} usable cores, {result['threads']} threads a process")
    print(f"{result['system']}, Python {result['python']}, {result['versions']}")
    print(f"load average when it ended: {result['load_average']}; measured {result['measured']}")
    if not has_zstandard():
        print(HOW_TO_ADD_ZSTD)
    heading = f"{'':24} {'pictures/s':>10} {'lowest–highest':>19}"
    heading += "".join(f" {what:>9}" for what in ("epoch", "load", "content", "on disk", "memory"))
    for name, about in result["sets"].items():
        print(f"\n{name}, {about['pictures']:,} pictures\n{heading}")
        for contender, facts in about["contenders"].items():
            speeds = facts["pictures_per_second"]
            speed = statistics.median(speeds)
            spread = f"{min(speeds):,.0f}–{max(speeds):,.0f}"
            memory = f"{facts['peak_bytes'] / 1e6:,.0f} MB" if facts["peak_bytes"] else "?"
            print(
                f"{contender:24} {speed:>10,.0f} {spread:>19} {about['pictures'] / speed:>7.3f} s "
                f"{statistics.median(facts['loads']):>7.3f} s {facts['content_bytes'] / 1e6:>6.1f} MB "
                f"{facts['disk_bytes'] / 1e6:>6.1f} MB {memory:>9}"
            )
        _report_codecs(about)
        goals = about["goals"]
        for value, goal, what, reached in (
            (goals["times_image_folder"], DATALOADER_GOAL, "× the quicker ImageFolder, at least", float.__ge__),
            (goals["lz4_epoch_over_raw"], LZ4_GOAL, "× the epoch of raw with LZ4, at most", float.__le__),
        ):
            print(f"{value:.3f} {what} {goal:g} wanted: {'reached' if reached(value, goal) else 'MISSED'}")
        print(f"{goals['lz4_load_over_raw']:.2f} × the load of raw with LZ4, which checks and unpacks it")
    imports = [facts["imports_bytes"] for about in result["sets"].values() for facts in about["contenders"].values()]
    if all(imports):
        print(f"\nof the memory, {statistics.median(imports) / 1e6:,.0f} MB are there after the imports")


def _report_codecs(about: Facts) -> None:
    """Ratio, speed, and on which disks packing saves time."""
    seconds = about["decode_files_seconds"]
    told = f"{seconds:.2f} s, {about['pictures'] / seconds:,.0f} pictures/s"
    print(f"the workbench decodes the files once, on all cores: {told}")
    for codec, facts in about["codecs"].items():
        raw, saved = facts["raw_bytes"], facts["raw_bytes"] - facts["packed_bytes"]
        if codec == "raw":
            continue
        kept = saved >= cache.MINIMAL_SAVING * raw
        verdict = f"so it pays where a disk gives less than {saved / facts['decode_seconds'] / 1e6:,.0f} MB/s"
        if codec == "lz4" and not kept:
            verdict += f"; the workbench keeps this set raw, as it would save less than {cache.MINIMAL_SAVING:.0%}"
        print(
            f"{codec}: {facts['ratio']:.0%} of raw's {raw / 1e6:.1f} MB, packed and written in "
            f"{facts['pack_and_write_seconds']:.2f} s, decoded at {raw / facts['decode_seconds'] / 1e6:,.0f} MB/s, "
            f"{verdict}"
        )
