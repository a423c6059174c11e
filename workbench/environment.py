"""A Python of the field: a virtual environment with what production needs, and without PyTorch."""

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

from workbench.atomic import write_text
from workbench.errors import WorkbenchError
from workbench.sealed import shortened

FOLDER = Path("../runs/field")  # beside the run of the lessons, which are read in notebooks/
MARK = "workbench-environment"  # a file that says what the environment was made from; empty while it is being made
CHECKOUT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 1800.0

_CAUSE = re.compile(r"^\W*(?:error|cause): (.+)", re.IGNORECASE | re.MULTILINE)
# What pip's last words, that no version fits, come from where there is no internet.
_BROKEN = re.compile(r"connection broken by '(?:.*>: )?(.+?)['\")]*: /")
_RECIPE = ("pyproject.toml", "constraints.txt", "README.md", "LICENSE")  # what the package is made from, beside itself


def field_environment(folder: Path | str = FOLDER) -> Path:
    """The Python of a virtual environment in `folder` that has this workbench, what `serve` needs, and no PyTorch.

    It is made once, in a minute or less, and again when the package or its requirements have changed, or where it was
    left half made. Needs the internet, unless uv has kept the packages from the set-up. Raises WorkbenchError with the
    installer's reason where it cannot be made, and for a folder that holds something else.
    """
    folder = Path(folder).expanduser().absolute()
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    mark, fingerprint = folder / MARK, _fingerprint()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_name(f".{folder.name}.lock"), timeout=PATIENCE_SECONDS):
            if _read(mark) == fingerprint and python.exists():
                return python
            if folder.exists() and not mark.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise WorkbenchError(f"{folder} holds something else: name another folder for the environment.")
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(exist_ok=True)
            write_text(mark, "")
            _make(folder, python)
            write_text(mark, fingerprint)
            return python
    except Timeout as error:
        raise WorkbenchError(f"Another Python has been making {folder} for {PATIENCE_SECONDS:.0f} s.") from error
    except OSError as error:
        raise WorkbenchError(f"{folder} cannot be written: {error.strerror or error}.") from error


def _make(folder: Path, python: Path) -> None:
    # Installers need not be installed into it: both can work on an environment from outside.
    _run([[sys.executable, "-m", "venv", "--without-pip", str(folder)]])
    with tempfile.TemporaryDirectory() as scratch:  # setuptools leaves a folder build/ where it works
        for name in _RECIPE:
            shutil.copy(CHECKOUT / name, scratch)
        shutil.copytree(
            CHECKOUT / "workbench", Path(scratch, "workbench"), ignore=shutil.ignore_patterns("__pycache__")
        )
        what = ["--quiet", "-c", str(Path(scratch, "constraints.txt")), f"{scratch}[serve]"]
        uv = Path(sys.executable).with_name("uv.exe" if os.name == "nt" else "uv")
        if uv.exists():
            install = [str(uv), "pip", "install", "--python", str(python), "--compile-bytecode", *what]
            _run([[*install, "--offline"], install])
        else:
            pip = [sys.executable, "-m", "pip", "--python", str(python)]
            _run([[*pip, "install", "--retries", "1", *what]], "pip")


def _run(ways: list[list[str]], who: str = "") -> None:
    """Do it in the first of these ways that succeeds. Raises WorkbenchError with what the last of them said."""
    for command in ways:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            said = f"nothing within {PATIENCE_SECONDS:.0f} s"
            continue
        if not done.returncode:
            return
        said = _reason(done.stderr or done.stdout)
    raise WorkbenchError(f"The environment without PyTorch cannot be made; {who or Path(command[0]).name} says: {said}")


def _reason(text: str) -> str:
    """Why an installer failed: the first and the last cause that it names."""
    broken = _BROKEN.search(text)
    causes = [broken[1]] if broken else _CAUSE.findall(text) or text.strip().splitlines()[-1:] or ["nothing"]
    return shortened("; ".join(dict.fromkeys([causes[0], causes[-1]])), 400)


def _fingerprint() -> str:
    """Stands for the Python and for every file that an environment is made from."""
    found = hashlib.sha256(sys.version.encode("utf-8"))
    package = sorted(
        path for path in (CHECKOUT / "workbench").rglob("*") if path.suffix in (".py", ".js", ".css", ".html")
    )
    for path in [*(CHECKOUT / name for name in _RECIPE), *package]:
        if not path.is_file():
            raise WorkbenchError(f"There is no {path}: an environment is made from a copy of the project's files.")
        found.update(f"{path.relative_to(CHECKOUT)}\0{path.stat().st_size}\0".encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def _read(path: Path) -> str:
    with suppress(OSError):
        return path.read_text(encoding="utf-8")
    return ""
