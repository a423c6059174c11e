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

from workbench.checkpoint import load_weights
from workbench.data import load_dataset
from workbench.evaluation import evaluate, predict
from workbench.runs import Run

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
        assert set(cell.metadata) <= {"nbgrader"}, "times of a run are outputs too"
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    # Two people's editors must not fight over the file: one way to write it.
    text = path.read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n"


@every_notebook
def test_its_cells_are_few_short_and_introduced(path: Path) -> None:
    cells = cells_of(path)
    exercises = next(place for place, cell in enumerate(cells) if cell.source.startswith("## Exercises"))
    # Besides the exercises, which come last, and a widget that is alone in its cell; the recap counts.
    alone = [
        cell
        for cell in cells[:exercises]
        if cell.cell_type == "code" and re.fullmatch(r"(\w+) = wb\.[A-Z].*\n\1", cell.source)
    ]
    assert exercises - len(alone) <= 40
    for before, cell in zip([None, *cells], cells, strict=False):
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 12, cell.source
            assert before is not None
            if cell.metadata.get("nbgrader", {}).get("grade"):
                continue  # the check of an answer stands right below it
            assert before.cell_type == "markdown", f"no prose before:\n{cell.source}"
            assert re.search(r"""^[A-Z✗`*"(].*[.:?)]$""", before.source, flags=re.MULTILINE), before.source
        else:
            # Every picture has a text for those who do not see it.
            assert not re.search(r"!\[\s*\]\(", cell.source)
            assert "<img" not in cell.source or "alt=" in cell.source


@every_notebook
def test_it_says_first_what_it_is_for_and_last_what_came_out(path: Path) -> None:
    first, *rest = cells_of(path)
    assert first.source.startswith("# ")
    for promise in ("You will be able to", "**Minutes:**", "**Device:**", "without"):
        assert promise in first.source
    headings = [cell.source.partition("\n")[0] for cell in rest if cell.source.startswith("## ")]
    assert headings[-3:] == ["## Recap", "## Exercises", "## More to try"]
    assert "**Next:**" in rest[-1].source


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
    answers = [cell.metadata.get("nbgrader", {}).get("solution") for cell in cells]
    silent = [cell.source for cell, answer in zip(cells, answers, strict=True) if not cell.outputs and not answer]
    assert silent == []


def printed(execution: Execution) -> str:
    """All that the cells printed, its lines joined and its white space made plain."""
    cells = [cell for cell in execution.notebook.cells if cell.cell_type == "code"]
    said = "".join(output.text for cell in cells for output in cell.outputs if output.output_type == "stream")
    return " ".join(said.split())


@every_notebook
def test_what_it_prints_says_where_its_numbers_come_from(path: Path, executed: Callable[[str], Execution]) -> None:
    said = printed(executed(path.name))
    assert "measured" in said
    assert re.search(r"\d[\d.,]* ?(ms|µs|s|kB|MB|%)", said)


@every_notebook
def test_no_number_is_typed_into_its_prose(path: Path) -> None:
    """A figure that was measured once, somewhere, has no place in the prose: the learner's own stands below."""
    for cell in cells_of(path, "markdown"):
        prose = re.sub(r"`[^`]*`|\*\*Minutes:.*", "", cell.source)
        assert not re.search(r"\d\s*(ms|µs|kB|MB|GB|pictures/s|GFLOP|times as fast|×(?! ?\d))", prose), cell.source


def test_the_first_lesson_compares_devices_and_trains_nothing(executed: Callable[[str], Execution]) -> None:
    execution = executed("00_start_here.ipynb")
    cells = [cell for cell in execution.notebook.cells if cell.cell_type == "code"]
    assert sum("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs) == 1
    said = printed(execution)
    for word in ("measured here, now", "recorded", "modelled", "does not fit: power", "does not fit: memory"):
        assert word in said
    assert re.search(r"32 × 32: ahead is .+ \(measured here, now\)", said)
    assert re.search(r"One picture at a time, .+ answers in", said)
    assert re.search(r"one answer takes \S+\s[µm]s", said)
    assert re.search(r"learning from 128 at once takes \d+× the memory of answering one", said)
    assert "new: 100 pictures" in said
    assert "epoch" not in said


def test_lesson_02_leaves_a_run_that_the_others_go_on_with(executed: Callable[[str], Execution]) -> None:
    execution = executed("02_gpu_training.ipynb")
    assert re.search(r"(\d+) of \1 tensors equal those of the run never stopped", printed(execution))
    # Half of the usual epochs, with the hyper-parameters that lesson 01 found, on pictures that chose nothing.
    data, found = load_dataset("animals"), load_weights(Run(execution.folder / "runs" / "lesson").weights)
    answers = predict(found.model, data.test, data.preprocessing)
    assert evaluate(answers, data.test.labels, data.labels).accuracy >= 0.9
    for name in ("03_weight_saving.ipynb", "04_cpu_inference.ipynb", "05_deployment.ipynb"):
        assert "Going on with the network of ../runs/lesson." in printed(executed(name))


def test_lesson_03_refuses_what_was_changed_and_runs_no_strangers_code(executed: Callable[[str], Execution]) -> None:
    said = printed(executed("03_weight_saving.ipynb"))
    assert "was changed (its SHA-256 does not match)" in said
    assert "is a pickle (as torch.save writes), not a weights file" in said
    assert said.endswith("(measured)")
    assert re.search(r"equal to the last bit: True", said)


def test_lesson_05_answers_without_torch_as_with_it(executed: Callable[[str], Execution]) -> None:
    said = printed(executed("05_deployment.ipynb"))
    assert re.search(r"100 of 100 answers equal PyTorch's, \d+ right", said)
    # The application, asked over HTTP; it keeps its bundle where the new one is not whole, and is gone at the end.
    assert re.search(r"bundle [0-9a-f]{12} at http://127\.0\.0\.1:\d+ listening after", said)
    assert "100 of 100 answers equal PyTorch's, probabilities off by at most" in said
    assert re.search(r"16 at once: [\d,]+ requests/s, median", said)
    assert re.search(r"Refused: .*tampered.* was changed .*goes on", said)
    assert re.search(r"Done: .* answers from now on, in place of", said)
