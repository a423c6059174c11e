"""The steps of deploy/Dockerfile, run in a plain virtual environment, without a container engine.

Covers: command_line, supervisor.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from workbench.folders import REFERENCE

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8")
STEPS = re.findall(r"^([A-Z]+)\s+(.+)$", re.sub(r"\\\n\s*", " ", TEXT), flags=re.MULTILINE)


@dataclass
class Image:
    """The result of the steps. bin: of the virtual environment that stands for the image's Python."""

    root: Path
    bin: Path
    arguments: dict[str, str] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def path(self, place: str) -> Path:
        """A path in the image; relative paths start at its WORKDIR."""
        return self.root / ("app/" + place if not place.startswith("/") else place[1:])

    def variables(self, **more: str) -> dict[str, str]:
        return {"PATH": f"{self.bin}:/usr/bin:/bin", "TMPDIR": str(self.root / "tmp")} | self.environment | more


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image, built. Without internet, CI fails and other runs skip."""
    root = tmp_path_factory.mktemp("image")
    subprocess.run([sys.executable, "-m", "venv", str(root / "python")], check=True)
    made = Image(root, root / "python" / "bin")
    made.path("/tmp").mkdir()
    for kind, words in STEPS:
        if kind == "ARG":
            name, _, value = words.partition("=")
            made.arguments[name] = value
        elif kind == "ENV":
            made.environment |= dict(word.split("=", 1) for word in words.split())
            made.environment["HOME"] = str(made.path(made.environment["HOME"]))
        elif kind == "COPY":
            _copy(made, words)
        elif kind == "RUN":
            done = subprocess.run(
                words, shell=True, cwd=made.path(""), env=made.variables(), capture_output=True, text=True
            )
            if done.returncode and "No matching distribution" in done.stdout + done.stderr and not os.environ.get("CI"):
                pytest.skip("the packages of the application could not be fetched")
            assert done.returncode == 0, done.stdout + done.stderr
    return made


def _copy(image: Image, words: str) -> None:
    *sources, target = re.sub(r"\$\{(\w+)\}", lambda found: image.arguments[found[1]], words).split()
    for source in sources:
        end = image.path(target) / source if target.endswith("/") else image.path(target)
        end.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, end, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / source, end)


def test_the_image_is_slim_and_does_not_run_as_root() -> None:
    kinds = [kind for kind, _ in STEPS]
    assert dict(STEPS)["FROM"].endswith("-slim")
    assert kinds.index("USER") > kinds.index("RUN")
    assert not re.match(r"(root|0)\b", dict(STEPS)["USER"])
    assert {"HEALTHCHECK", "EXPOSE", "ENTRYPOINT"} <= set(kinds)
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    copied = [source for kind, words in STEPS if kind == "COPY" for source in words.split()[:-1] if "$" not in source]
    assert [source for source in copied if f"!{source}" not in ignored] == []


def test_the_image_holds_no_pytorch_and_at_most_300_mb(image: Image) -> None:
    """pip itself counts."""
    folders = subprocess.run(
        [image.bin / "python", "-c", "import site, json; print(json.dumps(site.getsitepackages()))"],
        capture_output=True,
        text=True,
        check=True,
    )
    packages = Path(json.loads(folders.stdout)[0])
    names = {path.name.partition("-")[0].lower() for path in packages.glob("*.dist-info")}
    assert {"starlette", "uvicorn", "onnxruntime", "workbench"} <= names
    assert not {"torch", "torchvision", "jupyterlab", "matplotlib", "onnx", "optuna"} & names
    size = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file())
    print(f"{size / 1e6:.0f} MB in {len(names)} packages")
    assert size <= 300e6


def test_it_starts_answers_and_stops(image: Image) -> None:
    """It writes to /tmp only, and leaves nothing there."""
    entry = [word.replace("/bundle", str(image.path("/bundle"))) for word in json.loads(dict(STEPS)["ENTRYPOINT"])]
    assert entry[-1] == "0.0.0.0"
    entry[-1] = "127.0.0.1"
    before = _files(image.root)
    process = subprocess.Popen(
        [image.bin / entry[0], *entry[1:], "--port", "0"],
        cwd=image.path(""),
        env=image.variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        text = re.search(r"http://\S+:(\d+)", process.stdout.readline())
        assert text, process.stderr.read()
        body = (REFERENCE / "self_test" / "00.png").read_bytes()
        with urllib.request.urlopen(f"http://127.0.0.1:{text[1]}/classify", data=body, timeout=30) as answer:
            assert json.load(answer)["answers"][0]["probability"] > 0.5
        (check,) = re.findall(r"CMD (\[.*\])", dict(STEPS)["HEALTHCHECK"])
        words = json.loads(check.replace(":8000", f":{text[1]}"))
        assert subprocess.run([image.bin / words[0], *words[1:]], env=image.variables()).returncode == 0
    finally:
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=60)[1]
        print(errors)  # pytest shows it if the test fails
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert _files(image.root) == before


def _files(folder: Path) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*") if not path.is_dir()}
