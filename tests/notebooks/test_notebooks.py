"""The notebooks: their form in git, and their output when run from top to bottom."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from browser.lab import NOTEBOOKS, ROOT, Execution

from workbench.data.datasets import load_dataset
from workbench.runs import Run
from workbench.training.checkpoint import load_weights
from workbench.training.evaluation import evaluate, predict

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def cells_of(path: Path, kind: str | None = None) -> list[Any]:
    notebook = nbformat.read(path, as_version=4)
    return [cell for cell in notebook.cells if kind in (None, cell.cell_type)]


def test_there_is_a_first_notebook() -> None:
    assert NOTEBOOKS[0].name == "00_start_here.ipynb"
    assert not [path for path in (ROOT / "notebooks").glob("*.ipynb") if path not in NOTEBOOKS]


@every_notebook
def test_it_has_no_outputs_and_a_kernel(path: Path) -> None:
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
def test_its_cells_are_few_and_short_and_have_an_introduction(path: Path) -> None:
    cells = cells_of(path)
    exercises = next(index for index, cell in enumerate(cells) if cell.source.startswith("## Exercises"))
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
            # Every image has an alternative text.
            assert not re.search(r"!\[\s*\]\(", cell.source)
            assert "<img" not in cell.source or "alt=" in cell.source


@every_notebook
def test_it_begins_with_its_aims_and_ends_with_a_recap(path: Path) -> None:
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
    """Return all that the cells printed, with white space collapsed."""
    cells = [cell for cell in execution.notebook.cells if cell.cell_type == "code"]
    text = "".join(output.text for cell in cells for output in cell.outputs if output.output_type == "stream")
    return " ".join(text.split())


@every_notebook
def test_printed_numbers_have_an_origin_and_units(path: Path, executed: Callable[[str], Execution]) -> None:
    text = printed(executed(path.name))
    assert "measured" in text
    assert re.search(r"\d[\d.,]* ?(ms|µs|s|kB|MB|%)", text)


@every_notebook
def test_its_prose_contains_no_measured_number(path: Path) -> None:
    """A figure measured once, somewhere else, does not belong in the prose: the learner's own figure is below."""
    for cell in cells_of(path, "markdown"):
        prose = re.sub(r"`[^`]*`|\*\*Minutes:.*", "", cell.source)
        assert not re.search(r"\d\s*(ms|µs|kB|MB|GB|images/s|GFLOP|times as fast|×(?! ?\d))", prose), cell.source


def test_the_first_lesson_compares_devices_and_trains_nothing(executed: Callable[[str], Execution]) -> None:
    execution = executed("00_start_here.ipynb")
    cells = [cell for cell in execution.notebook.cells if cell.cell_type == "code"]
    assert sum("image/png" in output.get("data", {}) for cell in cells for output in cell.outputs) == 1
    text = printed(execution)
    for word in ("measured here, now", "recorded", "modelled", "does not fit: power", "does not fit: memory"):
        assert word in text
    assert re.search(r"32 × 32: ahead is .+ \(measured here, now\)", text)
    assert re.search(r"One image at a time, .+ answers in", text)
    assert re.search(r"one answer takes \S+\s[µm]s", text)
    assert re.search(r"learning from 128 at once takes \d+× the memory of answering one", text)
    assert "new: 100 images" in text
    assert "epoch" not in text


def test_lesson_02_leaves_a_run_that_the_others_use(executed: Callable[[str], Execution]) -> None:
    execution = executed("02_gpu_training.ipynb")
    assert re.search(r"(\d+) of \1 tensors equal those of the run never stopped", printed(execution))
    # Half of the usual epochs, with the hyper-parameters that lesson 01 found, on images that chose nothing.
    data, found = load_dataset("animals"), load_weights(Run(execution.folder / "runs" / "lesson").weights)
    answers = predict(found.model, data.test, data.preprocessing)
    assert evaluate(answers, data.test.labels, data.labels).accuracy >= 0.9
    for name in ("03_weight_saving.ipynb", "04_cpu_inference.ipynb", "05_deployment.ipynb"):
        assert "Using the network in ../runs/lesson." in printed(executed(name))


def test_lesson_03_refuses_altered_files_and_runs_no_foreign_code(executed: Callable[[str], Execution]) -> None:
    text = printed(executed("03_weight_saving.ipynb"))
    assert "was changed (its SHA-256 does not match)" in text
    assert "is a pickle (as torch.save writes), not a weights file" in text
    assert text.endswith("(measured)")
    assert re.search(r"equal to the last bit: True", text)


def test_lesson_05_answers_alike_with_and_without_torch(executed: Callable[[str], Execution]) -> None:
    text = printed(executed("05_deployment.ipynb"))
    assert re.search(r"100 of 100 answers equal PyTorch's, \d+ right", text)
    # The application, asked over HTTP; it keeps its bundle if the new one was altered, and is gone at the end.
    assert re.search(r"bundle [0-9a-f]{12} at http://127\.0\.0\.1:\d+ listening after", text)
    assert "100 of 100 answers equal PyTorch's, probabilities off by at most" in text
    assert re.search(r"16 at once: [\d,]+ requests/s, median", text)
    assert re.search(r"Refused: .*tampered.* was changed .*stays in service", text)
    assert re.search(r"Done: .* is in service now, replacing", text)
