"""The set-up: what is installed, from which lists, by which command."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
ASKED = [Requirement(text) for texts in (PROJECT["dependencies"], *EXTRAS.values()) for text in texts]
CONSTRAINTS = [
    Requirement(line)
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
TESTED = {canonicalize_name(constraint.name): constraint for constraint in CONSTRAINTS}
MAKE = shutil.which("make") or ""

with_make = pytest.mark.skipif(os.name != "posix" or not MAKE, reason="make is not installed")


def version_of(constraint: Requirement) -> str:
    (specifier,) = constraint.specifier
    assert specifier.operator == "=="
    return specifier.version


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.name)
def test_every_dependency_has_a_tested_version_that_suits_it(asked: Requirement) -> None:
    assert asked.specifier, "a lower bound says what is known to work"
    assert asked.specifier.contains(version_of(TESTED[canonicalize_name(asked.name)]))


def test_constraints_are_exact_and_name_nothing_but_public_releases() -> None:
    assert len(TESTED) == len(CONSTRAINTS) > 100
    for constraint in CONSTRAINTS:
        version = version_of(constraint)
        assert "+" not in version, "a build's tag would tie everyone to one GPU"
        assert "*" not in version
        assert constraint.url is None
    assert "workbench" not in TESTED


@pytest.mark.skipif(sys.platform != "linux", reason="the tested set is of Linux")
def test_nothing_that_gets_installed_is_left_without_a_tested_version() -> None:
    waiting, seen = [("workbench", tuple(EXTRAS))], set()
    while waiting:
        name, extras = waiting.pop()
        for text in metadata.requires(name) or ():
            needed = Requirement(text)
            applies = needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in ("", *extras))
            item = (canonicalize_name(needed.name), tuple(sorted(needed.extras)))
            if applies and item not in seen:
                seen.add(item)
                waiting.append(item)
    assert sorted({name for name, _ in seen} - TESTED.keys()) == []


def test_every_dependency_says_what_it_is_for() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lists = re.findall(
        r"^(?:dependencies|\w+) = \[\n(.*?)^\]", text.partition("[tool.")[0], flags=re.MULTILINE | re.DOTALL
    )
    lines = [line for block in lists for line in block.splitlines()]
    assert len(lines) == len(ASKED)
    for line in lines:
        assert re.fullmatch(r' {4}"[^"]+",\s+# \S.+', line), line


def test_conda_installs_the_same() -> None:
    text = (ROOT / "environment.yml").read_text(encoding="utf-8")
    lines = [line.partition("#")[0].strip().removeprefix("- ") for line in text.splitlines()]
    (python,) = (line for line in lines if line.startswith("python="))
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(python.partition("=")[2])
    (extras,) = re.findall(r"^-e \.\[(.+)\]$", "\n".join(lines), flags=re.MULTILINE)
    assert extras.split(",") == list(EXTRAS)
    assert "-c constraints.txt" in lines
    assert f"-e '.[{extras}]'" in (ROOT / "Makefile").read_text(encoding="utf-8")


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make as if from a shell: `make test` itself has told its children how it was called."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS", "TORCH"))}
    return subprocess.run(
        [MAKE, *arguments], cwd=folder, capture_output=True, text=True, env=kept | environment, check=False
    )


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that decide what is installed, in a folder with a space in its name."""
    folder = tmp_path / "my copy"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


@with_make
@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (("lab",), ".venv/bin/workbench lab \n"),
        (("lab", "BROWSER=no"), ".venv/bin/workbench lab --no-browser\n"),
        (("workflow", "ARGS=--data digits"), ".venv/bin/workbench workflow --data digits\n"),
        (("check",), ".venv/bin/ruff check\n.venv/bin/ruff format --check\n.venv/bin/mypy\n.venv/bin/lint-imports\n"),
        (("test",), ".venv/bin/lint-imports\n.venv/bin/python -m pytest"),
        (("stress",), "WORKBENCH_STRESS=1 .venv/bin/python -m pytest -m stress"),
        (("setup", "TORCH=cpu"), "uv pip install --compile-bytecode --python .venv/bin/python --torch-backend=cpu"),
        (("setup",), "python -m pip install  -c constraints.txt -C editable_mode=compat -e '.[lab,serve,test]'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_each_target_runs_what_it_says(checkout: Path, arguments: tuple[str, ...], command: str) -> None:
    planned = make(checkout, "--dry-run", *arguments)
    assert planned.returncode == 0, planned.stderr
    assert command in planned.stdout
    assert "venv --clear .venv" in planned.stdout


@with_make
def test_a_second_call_installs_nothing_until_the_lists_change(checkout: Path) -> None:
    assert make(checkout, "--question", "setup").returncode == 1
    mark = checkout / ".venv" / ".ready-cpu"
    mark.parent.mkdir()
    mark.touch()
    assert make(checkout, "--question", "setup").returncode == 0
    assert make(checkout, "--question", "setup", "TORCH=cpu").returncode == 0
    other = make(checkout, "--dry-run", "setup", "TORCH=cu126")
    assert "rm -rf .venv" in other.stdout
    os.utime(mark, (0, 0))
    again = make(checkout, "--dry-run", "setup")
    assert "--torch-backend=cpu" in again.stdout, "the build that was chosen once stays chosen"


@with_make
def test_without_a_suitable_python_one_sentence_says_what_to_do(checkout: Path, tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "rm").symlink_to(shutil.which("rm") or "/bin/rm")
    # Debian's python3 without python3-venv: it runs, and cannot import ensurepip.
    (programs / "python3").write_text("#!/bin/sh\nexit 1\n")
    (programs / "python3").chmod(0o755)
    done = make(checkout, "setup", PATH=str(programs))
    assert done.returncode != 0
    sentence, *rest = done.stderr.splitlines()
    assert sentence.startswith("Python 3.11 or newer with its venv module is needed, and none was found.")
    assert "sudo apt install python3-venv" in sentence
    assert len(rest) == 1, "make adds a line of its own, and that is all"
    assert not (checkout / ".venv").exists()


@with_make
def test_make_alone_lists_its_targets(checkout: Path) -> None:
    listed = make(checkout).stdout
    targets = re.findall(r"^make (\w+)", listed, flags=re.MULTILINE)
    assert {"setup", "lab", "workflow", "test", "check", "stress"} <= set(targets)
    phony = re.search(r"^\.PHONY: (.+)$", (checkout / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert phony
    assert set(targets) <= set(phony.group(1).split())


def test_ci_runs_the_same_command() -> None:
    script = ROOT / ".ci" / "run"
    text = script.read_text(encoding="utf-8")
    assert text.rstrip().endswith("\nmake test")
    assert "export CI=true" in text
    if os.name == "posix":
        assert os.access(script, os.X_OK)
        subprocess.run(["bash", "-n", script], check=True)
