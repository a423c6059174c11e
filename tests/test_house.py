"""The habits that keep the house in order: words, lengths, a test for each module, an example for each public name."""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import io
import pkgutil
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import workbench as wb

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "workbench"
SOURCES = sorted(path for folder in ("workbench", "tests", "benchmarks") for path in (ROOT / folder).rglob("*.py"))
SCRIPTS = sorted(PACKAGE.rglob("*.js"))
ROOMS = sorted(path.parent.name for path in PACKAGE.glob("*/__init__.py"))

SCREEN = 50  # lines of a function
SMELL = 400  # lines of a module
FOREIGN_WORDS = re.compile(r"(?<![a-z])told(?![a-z])|picture|(?<![a-z])seal(ed)?(?![a-z])", re.IGNORECASE)
# Not executed: they would take minutes, or wait for a person.
TOO_LONG_TO_RUN = {"field_environment", "record_machine"}


def _identifiers(path: Path) -> Iterator[tuple[int, str]]:
    if path.suffix == ".js":
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            code = re.sub(r'"[^"]*"|`[^`]*`|//.*', "", line)
            yield from ((number, name) for name in re.findall(r"[A-Za-z_$][\w$]*", code))
        return
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.NAME:
            yield token.start[0], token.string


@pytest.mark.parametrize("path", [*SOURCES, *SCRIPTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_identifiers_are_the_fields_words(path: Path) -> None:
    foreign = [f"line {number}: {name}" for number, name in _identifiers(path) if FOREIGN_WORDS.search(name)]
    assert not foreign


def test_functions_fit_a_screen_and_modules_hold_one_job() -> None:
    long = []
    for path in (path for path in SOURCES if "tests" not in path.parts):
        text = path.read_text(encoding="utf-8")
        if text.count("\n") > SMELL:
            long.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > SCREEN:
                    long.append(f"{path.relative_to(ROOT)}: {node.name} has {lines} lines")
    assert not long


def test_every_module_has_its_tests() -> None:
    """Its own test file, or a line "Covers: name, name." in one of its room."""
    missing = []
    for room in ROOMS:
        files = list((ROOT / "tests" / room).rglob("test_*.py"))
        texts = " ".join(path.read_text(encoding="utf-8") for path in files)
        tested = {path.stem.removeprefix("test_") for path in files}
        for names in re.findall(r"Covers: ([\w\s,./]+?)\.\s", texts):
            tested |= {name.strip() for name in names.split(",")}
        for path in (PACKAGE / room).rglob("*.py"):
            name = path.relative_to(PACKAGE / room).with_suffix("").as_posix()
            if path.stem not in ("__init__", "__main__") and not {path.stem, name, path.parent.name} & tested:
                missing.append(f"{room}/{name}")
    assert not missing


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_in_a_sentence_what_it_is_for(room: str) -> None:
    module = importlib.import_module(f"workbench.{room}")
    assert module.__doc__
    assert "\n" not in module.__doc__.strip()
    for name in getattr(module, "__all__", ()):
        assert getattr(module, name) is not None


def _public() -> dict[str, Any]:
    found = {name: getattr(wb, name) for name in wb.__all__ if name not in ("__version__", "plots")}
    for room in ROOMS:
        module = importlib.import_module(f"workbench.{room}")
        found |= {name: getattr(module, name) for name in getattr(module, "__all__", ()) if name != "plots"}
    return found


def test_every_public_name_has_an_example() -> None:
    assert not sorted(name for name, value in _public().items() if ">>>" not in (inspect.getdoc(value) or ""))


def _examples() -> list[Any]:
    finder, found = doctest.DocTestFinder(exclude_empty=True), []
    for module in pkgutil.walk_packages(wb.__path__, "workbench."):
        source = Path(importlib.util.find_spec(module.name).origin or "")  # type: ignore[union-attr]
        if ">>>" in source.read_text(encoding="utf-8"):
            loaded = importlib.import_module(module.name)
            found += [each for each in finder.find(loaded, module.name) if each.examples]
    return found


@pytest.mark.parametrize("example", _examples(), ids=lambda example: example.name)
def test_examples_in_docstrings_run(
    example: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if example.name.rpartition(".")[2] in TOO_LONG_TO_RUN:
        pytest.skip("it would take minutes")
    monkeypatch.chdir(tmp_path)
    example.globs |= {"wb": wb, "np": np}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    failed = runner.run(example).failed
    assert not failed, capsys.readouterr().out
