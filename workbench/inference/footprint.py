"""Measure what an application needs before its first answer: seconds, memory, modules and disk space."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from workbench.arguments import one_of
from workbench.bundle.manifest import read_bundle
from workbench.errors import WorkbenchError
from workbench.folders import CHECKOUT
from workbench.inference.predictor import ONNX_ENGINES, TORCH_ENGINES
from workbench.wording import shorten

TIMEOUT_SECONDS = 300.0
BENCH = ("torch", "torchvision", "matplotlib", "jupyterlab", "onnx", "onnxscript", "optuna", "safetensors", "sklearn")

# Runs in a new Python. Forbidden modules fail to import, as where they are not installed.
_APPLICATION = """
import json, sys, time
sys.path.append({home!r})
for name in {without!r}:
    sys.modules[name] = None
from workbench.bundle.manifest import read_bundle
from workbench.inference.predictor import Predictor
bundle = read_bundle({folder!r})
predictor = Predictor.from_bundle(bundle, {engine!r}, threads=1)
answer = predictor.classify(bundle.self_test_images[:1])[0]
seconds = time.time() - {start!r}
from workbench.machine.processor import peak_memory_bytes
peak, loaded = peak_memory_bytes(), [name for name, module in sys.modules.items() if module is not None]
facts = {{"seconds_to_first_answer": seconds, "peak_memory_bytes": peak, "modules": len(loaded)}}
facts |= {{"has_torch": "torch" in loaded, "label": answer.label, "passed": predictor.self_test().passed}}
print(json.dumps(facts))
"""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What a new Python process needed to classify an image, measured on this machine.

    seconds_to_first_answer: from its start until it had verified the bundle and classified an image.
    peak_memory_bytes: its peak resident memory, None if the system does not report it. modules: Python modules loaded.
    has_torch: whether PyTorch was among them. label: its first answer. passed: whether it passed the self-test.

    >>> from workbench.folders import REFERENCE
    >>> wb.measure_footprint(REFERENCE).label
    'butterfly'
    """

    engine: str
    seconds_to_first_answer: float
    peak_memory_bytes: int | None
    modules: int
    has_torch: bool
    label: str
    passed: bool


def measure_footprint(bundle: Path | str, engine: str = "onnx", *, without: Iterable[str] | None = None) -> Footprint:
    """Start a new Python that reads the bundle in this folder and classifies an image; return what that needed.

    without: modules that it cannot import, as if they were not installed; by default those of the bench (BENCH) for the
    engines of ONNX Runtime, and none for those of PyTorch. Raises WorkbenchError for a bundle or an engine that does
    not work, with the last line of Python's error.

    >>> from workbench.folders import REFERENCE
    >>> footprint = wb.measure_footprint(REFERENCE, "onnx-int8")
    >>> footprint.has_torch, footprint.engine
    (False, 'onnx-int8')
    """
    folder = read_bundle(bundle).path.resolve()
    one_of("engine", engine, (*ONNX_ENGINES, *TORCH_ENGINES))
    if isinstance(without, str):
        raise WorkbenchError(f"without = {without!r}: give a list of names, such as [{without!r}].")
    forbidden = tuple(without) if without is not None else BENCH if engine in ONNX_ENGINES else ()
    # The wall clock is the only one that processes share on every system.
    home = str(CHECKOUT)
    code = _APPLICATION.format(without=forbidden, home=home, folder=str(folder), engine=engine, start=time.time())
    command = [sys.executable, "-P", "-W", "ignore", "-c", code]  # -P: nothing is imported from the working directory
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise WorkbenchError(f"A new Python did not answer with {engine} in {TIMEOUT_SECONDS:.0f} s.") from error
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise WorkbenchError(f"A new Python could not answer with {engine}: {shorten(reason, 300)}")
    return Footprint(engine=engine, **json.loads(done.stdout.splitlines()[-1]))


def installed_bytes(*names: str) -> dict[str, int]:
    """Return the bytes on disk of each installed distribution and of all that it requires, largest first.

    Optional extras are left out. Raises WorkbenchError for a name that is not installed.

    >>> list(wb.installed_bytes("pillow"))
    ['pillow']
    """
    pending, sizes = [canonicalize_name(name) for name in names], dict[str, int]()
    while pending:
        name = pending.pop()
        if name in sizes:
            continue
        try:
            distribution = metadata.distribution(name)
        except (metadata.PackageNotFoundError, ValueError):
            if name in map(canonicalize_name, names):
                raise WorkbenchError(
                    f"{shorten(name) or repr(name)} is not installed here: `pip list` shows what is."
                ) from None
            continue  # a requirement on another system
        paths = [Path(str(file.locate())) for file in distribution.files or ()]
        sizes[name] = sum(path.stat().st_size for path in paths if path.is_file())
        for requirement in map(Requirement, distribution.requires or ()):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                pending.append(canonicalize_name(requirement.name))
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))
