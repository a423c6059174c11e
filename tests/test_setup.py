"""The set-up: what is installed, from which lists, by which command; and that the documents name what exists."""

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
REQUIRED = [Requirement(text) for texts in (PROJECT["dependencies"], *EXTRAS.values()) for text in texts]
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


@pytest.mark.parametrize("required", REQUIRED, ids=lambda required: required.name)
def test_every_dependency_has_a_suitable_tested_version(required: Requirement) -> None:
    assert required.specifier, "a lower bound says what is known to work"
    assert required.specifier.contains(version_of(TESTED[canonicalize_name(required.name)]))


def test_constraints_are_exact_sorted_and_public_releases() -> None:
    assert len(TESTED) == len(CONSTRAINTS) > 100
    assert list(TESTED) == sorted(TESTED)
    for constraint in CONSTRAINTS:
        version = version_of(constraint)
        assert "+" not in version, "a build's tag would tie everyone to one GPU"
        assert "*" not in version
        assert constraint.url is None
    assert "workbench" not in TESTED


@pytest.mark.skipif(sys.platform != "linux", reason="the tested set is of Linux")
def test_everything_that_gets_installed_has_a_tested_version() -> None:
    waiting, seen = [(required, ()) for required in REQUIRED], set()
    while waiting:
        required, extras = waiting.pop()
        applies = required.marker is None or any(required.marker.evaluate({"extra": e}) for e in ("", *extras))
        item = (canonicalize_name(required.name), tuple(sorted(required.extras)))
        if applies and item not in seen:
            seen.add(item)
            waiting += [(Requirement(text), item[1]) for text in metadata.requires(item[0]) or ()]
    assert sorted({name for name, _ in seen} - TESTED.keys()) == []


def test_every_dependency_says_what_it_is_for() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    lists = re.findall(
        r"^(?:dependencies|\w+) = \[\n(.*?)^\]", text.partition("[tool.")[0], flags=re.MULTILINE | re.DOTALL
    )
    lines = [line for block in lists for line in block.splitlines()]
    assert len(lines) == len(REQUIRED)
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
    """Run make as if from a shell: without the variables that `make test` passes to its own children."""
    passed = ("ARGS", "BROWSER", "MAKE", "MFLAGS", "PEERS", "TORCH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(passed)}
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
        (
            ("test",),
            ".venv/bin/coverage run -m pytest\n.venv/bin/coverage combine --quiet\n.venv/bin/coverage report\n",
        ),
        (("test", "ARGS=tests/cli"), ".venv/bin/lint-imports\n.venv/bin/python -m pytest tests/cli\n"),
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


def test_a_commit_is_checked_as_make_check_does() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    recipe = re.search(r"^check: .*\n((?:\t.+\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert recipe

    def commands(lines: list[str]) -> list[str]:
        return [re.findall(r"(?:\.venv/bin|\$\(BIN\))/([\w-]+(?: [\w-]+)*)", line)[-1] for line in lines]

    entries = re.findall(r"^ +entry: (.+)$", hooks, flags=re.MULTILINE)
    assert commands(entries) == commands(recipe.group(1).replace("\\\n", "").splitlines())
    assert "http" not in hooks, "a commit needs no network"


def test_the_architecture_lists_the_rooms_in_the_order_of_their_imports() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(contract["layers"] for contract in contracts if contract["id"] == "rooms")
    names = [name.strip() for layer in layers for name in re.split(r"[|:]", layer)]
    rooms = [name for name in names if (ROOT / "workbench" / name).is_dir()]
    assert re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE) == rooms
    files = {name for name in names if name not in rooms and name != "__main__"}
    assert files <= set(re.findall(r"`(\w+)\.py`", text))


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "notebooks/TEACHING.md"])
def test_a_document_names_files_that_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    paths = re.findall(r"`((?:workbench|tests|benchmarks|datasets|docs|notebooks)/[\w./-]+)`", text)
    paths = [path for path in paths if not re.search(r"[A-Z]{3}", path) or path.endswith(".md")]
    missing = [path for path in paths if not (ROOT / path).exists()]
    linked = re.findall(r"\]\((?!http)([^)#]+)", text)
    missing += [link for link in linked if not ((ROOT / name).parent / link).exists()]
    assert missing == []


def test_ci_runs_the_same_command() -> None:
    script = ROOT / ".ci" / "run"
    text = script.read_text(encoding="utf-8")
    assert text.rstrip().endswith("\nmake test")
    assert "export CI=true" in text
    if os.name == "posix":
        assert os.access(script, os.X_OK)
        subprocess.run(["bash", "-n", script], check=True)
