"""Images into the training loop, without a network: image files, torchvision's data set, and the packed cache.

Each contender is a process that provides the same images in batches of 128: shuffled, flipped at random, as normalised
float tensors for a first convolution. They take turns in several rounds after a warm-up round; in each round a
contender opens its data set anew (load) and goes through it once (epoch). A figure is the median over the rounds, with
the lowest and the highest. The files are in the system's file cache.

    ImageFolder        torchvision's, on JPEG or PNG files: PIL, ToTensor, Normalize, a DataLoader; 0 and 2 workers
    FashionMNIST       torchvision's data set of that name and a DataLoader; 0 and 2 workers
    packed cache       the workbench's cache file, unpacked into memory, by `training.batches.Batches`: raw, with LZ4,
                       and with zstd, which the workbench does not use (only if zstandard is installed)

Memory is the resident peak of the process (VmHWM), including torch, and the unshared memory of its workers (USS) during
an epoch. torchvision's FashionMNIST opens all 60,000 images, which is its load; its bytes are given for the images that
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

from benchmarks.figures import check_rounds, machine, option_parser, ratios
from benchmarks.order import order
from benchmarks.peers import loading_sets
from benchmarks.peers.loading import codec_of_caches, has_zstandard
from workbench.arguments import whole_number
from workbench.data import cache
from workbench.data.datasets import measure_preprocessing
from workbench.data.folder import decode
from workbench.data.scan import scan
from workbench.errors import WorkbenchError
from workbench.machine.threads import resolve_threads
from workbench.wording import versions

SETS = {
    "animals": loading_sets.animals,
    "fashion-mnist": loading_sets.fashion_mnist,
    "cifar10-jpeg": loading_sets.cifar_jpegs,
}
FASHION_MNIST = 60_000
CACHE_EPOCHS = 5  # in each round, because they are short; their median counts
DATALOADER_GOAL, LZ4_GOAL = 10.0, 1.05
HOW_TO_ADD_ZSTD = (
    "zstandard is not installed, so zstd does not race. To add it: uv pip install --no-deps --target FOLDER "
    "zstandard, then run this with PYTHONPATH=FOLDER."
)

Facts = dict[str, Any]


def main() -> None:
    """Race on each data set, then print tables and one line of JSON."""
    parser = option_parser(__doc__)
    parser.add_argument("--data", nargs="+", choices=SETS, default=[*SETS], help="data sets")
    parser.add_argument("--images", type=int, default=10_000, help="of each set, the same number of each class")
    parser.add_argument("--batch", type=int, default=128, help="batch size")
    parser.add_argument("--threads", type=int, help="of PyTorch in each process; all cores by default")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    check_rounds(parser, options.rounds)
    codecs = ("raw", "lz4", *(["zstd"] if has_zstandard() else []))
    try:
        whole_number("--batch", options.batch, 1, 2**16)
        whole_number("--images", options.images, 100, 50_000)
        options.threads = resolve_threads(options.threads)
        with tempfile.TemporaryDirectory() as scratch:
            sets = {name: _race(name, Path(scratch) / name, codecs, options) for name in options.data}
    except WorkbenchError as error:
        parser.error(str(error))
    result = {"benchmark": "loading", "origin": "measured", **machine(), "rounds": options.rounds}
    result |= {"batch": options.batch, "threads": options.threads, "sets": sets}
    result["versions"] |= versions("torchvision", "pillow", "lz4", *(["zstandard"] if has_zstandard() else []))
    _report(result)
    print(json.dumps(result))


def _race(name: str, folder: Path, codecs: tuple[str, ...], options: argparse.Namespace) -> Facts:
    """Write the images as files and with each codec, then let all contenders take turns."""
    files = folder / "files"
    pixels, labels, rows = SETS[name](files, options.images)
    preprocessing = measure_preprocessing(pixels)
    common = {"batch_size": options.batch, "threads": options.threads, "preprocessing": preprocessing.to_mapping()}
    contenders: dict[str, Facts] = {}
    for workers in (0, 2):
        about = common | {"workers": workers}
        contenders[f"ImageFolder, {workers} workers"] = about | {"kind": "files", "path": str(files)}
        if rows is not None:
            own = {"kind": "torchvision", "path": str(folder), "rows": rows}
            contenders[f"FashionMNIST, {workers} workers"] = about | own
    storages = {codec: _packed(folder / f"{codec}.safetensors", codec, pixels, labels) for codec in codecs}
    for codec, storage in storages.items():
        contenders[f"packed cache, {codec}"] = common | {"kind": "cache", "codec": codec, "path": storage["path"]}
    found = _turns(contenders, options.rounds)
    for contender, facts in contenders.items():
        paths, share = [Path(facts["path"])], 1.0
        if facts["kind"] == "torchvision":
            paths = list((folder / "FashionMNIST" / "raw").glob("train*-ubyte"))
            share = len(pixels) / FASHION_MNIST
        found[contender] |= _disk(paths, share)
    seconds = _median_seconds(lambda: decode(scan(files), pixels.shape[1], lambda *_: None))
    return {
        "images": len(pixels),
        "decode_files_seconds": seconds,
        "codecs": storages,
        "contenders": found,
        "goals": _goals(found),
    }


def _packed(path: Path, codec: str, pixels: Any, labels: Any) -> Facts:
    """Write a cache with `codec`; return its sizes and the seconds of decoding the images alone."""
    with codec_of_caches(codec) as frame:
        cache.write_cache(path, str(path), {"images": pixels, "labels": labels}, {})
        storage = cache.read_cache(path, str(path))[2]
    facts = {"path": str(path), "raw_bytes": storage.raw_bytes, "packed_bytes": storage.packed_bytes}
    facts |= {"ratio": storage.ratio, "pack_and_write_seconds": storage.pack_seconds}
    if codec != "raw":
        content = memoryview(frame.compress(pixels.reshape(-1).data))
        facts["decode_seconds"] = _median_seconds(lambda: frame.decompress(content, return_bytearray=True))
    return facts


def _disk(paths: list[Path], share: float) -> Facts:
    """Return the bytes in this share of the files, and in the blocks of the file system that it takes."""
    states = [
        file.stat() for path in paths for file in (path.rglob("*") if path.is_dir() else [path]) if file.is_file()
    ]
    return {
        "files": len(states),
        "content_bytes": round(share * sum(state.st_size for state in states)),
        "disk_bytes": round(share * sum(getattr(state, "st_blocks", 0) * 512 for state in states)),
    }


def _median_seconds(call: Callable[[], object]) -> float:
    """Return the median of three calls after a warm-up."""
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def _turns(contenders: dict[str, Facts], rounds: int) -> dict[str, Facts]:
    """Return the loads and epochs of each contender by round, and its memory at the end."""
    loads: dict[str, list[float]] = {name: [] for name in contenders}
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    with ExitStack() as stack:
        children = {name: stack.enter_context(_Child(facts)) for name, facts in contenders.items()}
        for number in range(rounds + 1):
            for name in order(children, number):
                load = children[name].ask("load")
                count = CACHE_EPOCHS if contenders[name]["kind"] == "cache" else 1
                epochs = [children[name].ask("epoch") for _ in range(count)]
                if number > 0:  # the first is warm-up
                    loads[name].append(load["seconds"])
                    speeds[name].append(statistics.median(epoch["images"] / epoch["seconds"] for epoch in epochs))
        return {
            name: {"loads": loads[name], "images_per_second": speeds[name], "imports_bytes": child.imports}
            | child.ask("memory")
            for name, child in children.items()
        }


class _Child:
    """The process of a contender, which loads its data set or goes through an epoch on request."""

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

    def ask(self, request: str) -> Facts:
        assert self.process.stdin is not None
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> Facts:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise WorkbenchError("The process of a contender has exited; see its output above.")
        return json.loads(line)


def _goals(found: dict[str, Facts]) -> Facts:
    def ratio(one: list[float], other: list[float]) -> float:
        return statistics.median(ratios(one, other))

    speeds = {name: facts["images_per_second"] for name, facts in found.items()}
    lz4, raw = "packed cache, lz4", "packed cache, raw"
    return {
        "times_image_folder": min(ratio(speeds[lz4], speeds[f"ImageFolder, {workers} workers"]) for workers in (0, 2)),
        "lz4_epoch_over_raw": ratio(speeds[raw], speeds[lz4]),
        "lz4_load_over_raw": ratio(found[lz4]["loads"], found[raw]["loads"]),
    }


def _report(result: Facts) -> None:
    print(f"{result['processor']}, {result['usable_cores']} usable cores, {result['threads']} threads a process")
    print(f"{result['system']}, Python {result['python']}, {result['versions']}")
    print(f"load average at the end: {result['load_average']}; measured {result['measured']}")
    if not has_zstandard():
        print(HOW_TO_ADD_ZSTD)
    heading = f"{'':24} {'images/s':>10} {'lowest–highest':>19}"
    heading += "".join(f" {what:>9}" for what in ("epoch", "load", "content", "on disk", "memory"))
    for name, about in result["sets"].items():
        print(f"\n{name}, {about['images']:,} images\n{heading}")
        for contender, facts in about["contenders"].items():
            speeds = facts["images_per_second"]
            speed = statistics.median(speeds)
            limits = f"{min(speeds):,.0f}–{max(speeds):,.0f}"
            memory = f"{facts['peak_bytes'] / 1e6:,.0f} MB" if facts["peak_bytes"] else "?"
            print(
                f"{contender:24} {speed:>10,.0f} {limits:>19} {about['images'] / speed:>7.3f} s "
                f"{statistics.median(facts['loads']):>7.3f} s {facts['content_bytes'] / 1e6:>6.1f} MB "
                f"{facts['disk_bytes'] / 1e6:>6.1f} MB {memory:>9}"
            )
        _report_codecs(about)
        goals = about["goals"]
        for value, goal, what, reached in (
            (goals["times_image_folder"], DATALOADER_GOAL, "× the faster ImageFolder, at least", float.__ge__),
            (goals["lz4_epoch_over_raw"], LZ4_GOAL, "× the epoch of raw with LZ4, at most", float.__le__),
        ):
            print(f"{value:.3f} {what} {goal:g}: {'reached' if reached(value, goal) else 'MISSED'}")
        print(f"{goals['lz4_load_over_raw']:.2f} × the load of raw with LZ4, which verifies and unpacks it")
    imports = [facts["imports_bytes"] for about in result["sets"].values() for facts in about["contenders"].values()]
    if all(imports):
        print(f"\n{statistics.median(imports) / 1e6:,.0f} MB of the memory are in use after the imports")


def _report_codecs(about: Facts) -> None:
    """Print ratio and speed of each codec, and below which speed of a disk packing saves time."""
    seconds = about["decode_files_seconds"]
    rate = about["images"] / seconds
    print(f"the workbench decodes the files once, on all cores: {seconds:.2f} s, {rate:,.0f} images/s")
    for codec, facts in about["codecs"].items():
        raw, saved = facts["raw_bytes"], facts["raw_bytes"] - facts["packed_bytes"]
        if codec == "raw":
            continue
        verdict = f"so it pays on disks below {saved / facts['decode_seconds'] / 1e6:,.0f} MB/s"
        if codec == "lz4" and saved < cache.MINIMAL_SAVING * raw:
            verdict += f"; the workbench stores this set raw, because LZ4 saves less than {cache.MINIMAL_SAVING:.0%}"
        print(
            f"{codec}: {facts['ratio']:.0%} of raw's {raw / 1e6:.1f} MB, packed and written in "
            f"{facts['pack_and_write_seconds']:.2f} s, decoded at {raw / facts['decode_seconds'] / 1e6:,.0f} MB/s, "
            f"{verdict}"
        )
