"""The notebooks: their form, as kept in git, and what comes out when they are run from top to bottom."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from browser.lab import NOTEBOOKS, ROOT, Execution

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells_of(path: Path, kind: str | None = None) -> list[Any]:
    notebook = nbformat.read(path, as_version=4)
    return [cell for cell in notebook.cells if kind in (None, cell.cell_type)]


def test_there_is_a_first_notebook() -> None:
    assert NOTEBOOKS[0].name == "00_start_here.ipynb"
    assert not [path for path in (ROOT / "notebooks").glob("*.ipynb") if path not in NOTEBOOKS]


@every_notebook
def test_it_is_kept_without_outputs_and_with_a_kernel(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in cells_of(path, "code"):
        assert cell.outputs == []
        assert cell.execution_count is None
        assert cell.metadata == {}, "times of a run are outputs too"
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    # Two people's editors must not fight over the file: one way to write it.
    text = path.read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n"


@every_notebook
def test_its_cells_are_few_short_and_introduced(path: Path) -> None:
    cells = cells_of(path)
    assert len(cells) <= 40
    for before, cell in zip([None, *cells], cells, strict=False):
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 12, cell.source
            assert before is not None
            assert before.cell_type == "markdown", f"no prose before:\n{cell.source}"
            assert re.search(r"^[A-Z✗`*].*[.:?]$", before.source, flags=re.MULTILINE), before.source
        else:
            # Every picture has a text for those who do not see it.
            assert not re.search(r"!\[\s*\]\(", cell.source)
            assert "<img" not in cell.source or "alt=" in cell.source


@every_notebook
def test_it_says_first_what_it_is_for_and_last_what_came_out(path: Path) -> None:
    first, *_, last = cells_of(path)
    assert first.source.startswith("# ")
    for promise in ("You will be able to", "**Minutes:**", "**Device:**", "without"):
        assert promise in first.source
    assert "ecap" in last.source
    assert "xercises" in last.source


@every_notebook
def test_its_code_uses_the_package_and_defines_nothing_large(path: Path) -> None:
    code = "\n".join(cell.source for cell in cells_of(path, "code"))
    assert "import workbench as wb" in code
    assert "import *" not in code
    assert not re.search(r"^class ", code, flags=re.MULTILINE)
    assert "warnings" not in code
    assert not re.search(r"\.cuda\(\)|assert .*cuda", code)


@every_notebook
def test_run_from_top_to_bottom_every_cell_works_and_nothing_warns(
    path: Path, executed: Callable[[str], Execution]
) -> None:
    cells = [cell for cell in executed(path.name).notebook.cells if cell.cell_type == "code"]
    outputs = [output for cell in cells for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "error"] == []
    assert [output.text for output in outputs if output.output_type == "stream" and output.name == "stderr"] == []
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    silent = [cell.source for cell in cells if not cell.outputs]
    assert silent == []


def test_the_first_tour_shows_animals_and_ends_with_numbers(executed: Callable[[str], Execution]) -> None:
    cells = [cell for cell in executed("00_start_here.ipynb").notebook.cells if cell.cell_type == "code"]
    assert sum("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs) == 2
    said = "".join(output.text for cell in cells for output in cell.outputs if output.output_type == "stream")
    assert re.search(r"epoch 3 of 3, .*:\n +\d\d\.\d% of the validation pictures right", said)
    right = re.search(r"onnx: .*, (\d\d\.\d)% of the test pictures right", said)
    assert right
    assert float(right.group(1)) > 60
    assert re.search(r"an answer: \S+\s[µm]s on one CPU core", said)
