"""What an application takes before its first answer: seconds, memory, modules, and room on the disk."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from workbench.bundle import read_bundle
from workbench.errors import WorkbenchError
from workbench.inference import ONNX_ENGINES, TORCH_ENGINES
from workbench.sealed import shortened

PATIENCE_SECONDS = 300.0
BENCH = ("torch", "torchvision", "matplotlib", "jupyterlab", "onnx", "onnxscript", "optuna", "safetensors", "sklearn")

# Runs in a Python of its own. What is forbidden fails to import, as in an environment where it is not installed.
_APPLICATION = """
import json, sys, time
sys.path.append({home!r})
for name in {without!r}:
    sys.modules[name] = None
from workbench.bundle import read_bundle
from workbench.inference import Predictor
bundle = read_bundle({folder!r})
predictor = Predictor.from_bundle(bundle, {engine!r}, threads=1)
answer = predictor.classify(bundle.self_test_pictures[:1])[0]
seconds = time.time() - {start!r}
from workbench.processor import peak_memory_bytes
peak, loaded = peak_memory_bytes(), [name for name, module in sys.modules.items() if module is not None]
facts = {{"seconds_to_first_answer": seconds, "peak_memory_bytes": peak, "modules": len(loaded)}}
facts |= {{"has_torch": "torch" in loaded, "label": answer.label, "passed": predictor.self_test().passed}}
print(json.dumps(facts))
"""


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """What a fresh Python took, measured here and now.

    seconds_to_first_answer: from its start until it had read and checked the bundle and named a picture.
    peak_memory_bytes: the most it held, None where the system does not tell. modules: Python modules loaded. has_torch:
    whether PyTorch was among them. label: its first answer. passed: its answers to the self-test are as expected.
    """

    engine: str
    seconds_to_first_answer: float
    peak_memory_bytes: int | None
    modules: int
    has_torch: bool
    label: str
    passed: bool


def measure_footprint(bundle: Path | str, engine: str = "onnx", *, without: Iterable[str] | None = None) -> Footprint:
    """Start a new Python, have it read the bundle in this folder and name a picture, and tell what that took.

    without: modules it may not import, as if they were not installed; by default those of the bench (BENCH) for the
    engines of ONNX Runtime, and none for those of PyTorch. Raises WorkbenchError for a bundle or an engine that does
    not work, with what Python said.
    """
    folder = read_bundle(Path(bundle)).path.resolve()
    if engine not in (*TORCH_ENGINES, *ONNX_ENGINES):
        raise WorkbenchError(f"engine = {engine!r}: choose {', '.join((*ONNX_ENGINES, *TORCH_ENGINES))}.")
    if isinstance(without, str):
        raise WorkbenchError(f"without = {without!r}: give several names, such as [{without!r}].")
    forbidden = tuple(without) if without is not None else BENCH if engine in ONNX_ENGINES else ()
    # The wall clock is the only one that every system's processes share.
    home = str(Path(__file__).resolve().parent.parent)
    code = _APPLICATION.format(without=forbidden, home=home, folder=str(folder), engine=engine, start=time.time())
    command = [sys.executable, "-P", "-W", "ignore", "-c", code]  # -P: nothing is imported from the working directory
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise WorkbenchError(f"A new Python did not answer with {engine} in {PATIENCE_SECONDS:.0f} s.") from error
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing"])[-1]
        raise WorkbenchError(f"A new Python could not answer with {engine}; it said: {shortened(said, 300)}")
    return Footprint(engine=engine, **json.loads(done.stdout.splitlines()[-1]))


def installed_bytes(*names: str) -> dict[str, int]:
    """Bytes on the disk of each distribution and of all that they need, by name, as installed here.

    Extras that were not asked for are left out. Raises WorkbenchError for a name that is not installed.
    """
    from packaging.requirements import Requirement

    waiting, sizes = [_canonical(name) for name in names], dict[str, int]()
    while waiting:
        name = waiting.pop()
        if name in sizes:
            continue
        try:
            distribution = metadata.distribution(name)
        except (metadata.PackageNotFoundError, ValueError):
            if name in map(_canonical, names):
                raise WorkbenchError(
                    f"{shortened(name) or repr(name)} is not installed here: `pip list` says what is."
                ) from None
            continue  # a requirement of another system
        files = distribution.files or ()
        sizes[name] = sum(
            Path(str(file.locate())).stat().st_size for file in files if Path(str(file.locate())).is_file()
        )
        for text in distribution.requires or ():
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                waiting.append(_canonical(requirement.name))
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
