"""A production Python: a virtual environment with what the application needs, and without PyTorch."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from workbench.arguments import path
from workbench.atomic import write_text
from workbench.errors import WorkbenchError
from workbench.folders import CHECKOUT
from workbench.wording import shorten

FOLDER = Path("../runs/field")  # beside the run of the lessons, which are in notebooks/
MARKER = "workbench-environment"  # a file with the sources' fingerprint; empty while the environment is being made
TIMEOUT_SECONDS = 1800.0

_CAUSE = re.compile(r"^\W*(?:error|cause): (.+)", re.IGNORECASE | re.MULTILINE)
# Without internet, pip's last line says that no version fits; the cause is in its warnings.
_BROKEN = re.compile(r"connection broken by '(?:.*>: )?(.+?)['\")]*: /")
_PROJECT_FILES = ("pyproject.toml", "constraints.txt", "README.md", "LICENSE")  # needed to install the package


def field_environment(folder: Path | str = FOLDER) -> Path:
    """Return the Python of a virtual environment in `folder` with this workbench, its `serve` extra, and no PyTorch.

    The environment is made on the first call, in a minute or less, and made again when the package or its requirements
    have changed or an earlier call was interrupted. This needs the internet, unless uv has the packages in its cache.
    Raises WorkbenchError with the installer's reason if it fails, and for a folder that holds anything else.

    >>> python = wb.field_environment("field")
    >>> with wb.deploy("bundle", python=python) as deployment:
    ...     print(deployment.python)
    /.../field/bin/python
    """
    folder = path("folder", folder).absolute()
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    marker, fingerprint = folder / MARKER, _fingerprint()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock"), timeout=TIMEOUT_SECONDS):
            if _read(marker) == fingerprint and python.exists():
                return python
            if folder.exists() and not marker.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise WorkbenchError(f"{folder} holds something else: name another folder for the environment.")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(exist_ok=True)
            write_text(marker, "")
            _make(folder, python)
            write_text(marker, fingerprint)
            return python
    except Timeout as error:
        raise WorkbenchError(f"Another Python has been making {folder} for {TIMEOUT_SECONDS:.0f} s.") from error
    except OSError as error:
        raise WorkbenchError(f"{folder} cannot be written: {error.strerror or error}.") from error


def _make(folder: Path, python: Path) -> None:
    # The environment needs no installer of its own: uv and pip can both install into it from outside.
    _run([[sys.executable, "-m", "venv", "--without-pip", str(folder)]])
    with tempfile.TemporaryDirectory() as scratch:  # setuptools leaves a folder build/ where it works
        for name in _PROJECT_FILES:
            shutil.copy(CHECKOUT / name, scratch)
        shutil.copytree(
            CHECKOUT / "workbench", Path(scratch, "workbench"), ignore=shutil.ignore_patterns("__pycache__")
        )
        packages = ["--quiet", "-c", str(Path(scratch, "constraints.txt")), f"{scratch}[serve]"]
        uv = Path(sys.executable).with_name("uv.exe" if os.name == "nt" else "uv")
        if uv.exists():
            install = [str(uv), "pip", "install", "--python", str(python), "--compile-bytecode", *packages]
            _run([[*install, "--offline"], install])
        else:
            pip = [sys.executable, "-m", "pip", "--python", str(python)]
            _run([[*pip, "install", "--retries", "1", *packages]], "pip")


def _run(alternatives: list[list[str]], name: str = "") -> None:
    """Run the commands until one succeeds. Raises WorkbenchError with the last one's reason if none does."""
    for command in alternatives:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            reason = f"nothing within {TIMEOUT_SECONDS:.0f} s"
            continue
        if not done.returncode:
            return
        reason = _reason(done.stderr or done.stdout)
    name = name or Path(command[0]).name
    raise WorkbenchError(f"The environment without PyTorch cannot be made; {name} says: {reason}")


def _reason(text: str) -> str:
    """Return the first and the last cause that an installer's output names."""
    broken = _BROKEN.search(text)
    causes = [broken[1]] if broken else _CAUSE.findall(text) or text.strip().splitlines()[-1:] or ["nothing"]
    return shorten("; ".join(dict.fromkeys([causes[0], causes[-1]])), 400)


def _fingerprint() -> str:
    """Return a hash of this Python's version and of every file the environment is made from."""
    digest = hashlib.sha256(sys.version.encode("utf-8"))
    package = sorted(
        file for file in (CHECKOUT / "workbench").rglob("*") if file.suffix in (".py", ".pyi", ".js", ".css", ".html")
    )
    for file in [*(CHECKOUT / name for name in _PROJECT_FILES), *package]:
        if not file.is_file():
            raise WorkbenchError(f"There is no {file}: the environment is made from a checkout of the project.")
        digest.update(f"{file.relative_to(CHECKOUT)}\0{file.stat().st_size}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _read(file: Path) -> str:
    with suppress(OSError):
        return file.read_text(encoding="utf-8")
    return ""
