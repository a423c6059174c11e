"""What `make lab` opens: behind a token, on this machine only, and working in a browser."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from browser.lab import NOTEBOOKS, Execution, Server

from workbench.errors import WorkbenchError
from workbench.teaching.lab import FIRST_NOTEBOOK, lab_command


def test_only_who_has_the_token_gets_in(lab: Server) -> None:
    assert lab.address.startswith(("http://127.0.0.1:", "http://localhost:"))
    assert len(lab.token) >= 32
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{lab.address}api/contents", timeout=30)
    assert refused.value.code == 403
    refused.value.close()
    with urllib.request.urlopen(f"{lab.address}?token={lab.token}", timeout=30) as answer:
        assert f"/lab/tree/{FIRST_NOTEBOOK}" in answer.url


@pytest.mark.usefixtures("browser")
@pytest.mark.parametrize("name", [path.name for path in NOTEBOOKS])
def test_run_all_works_in_the_browser(name: str, executed: Callable[[str], Execution]) -> None:
    execution = executed(name)
    assert execution.complaints == ()
    assert execution.dialogs == 0
    assert execution.screenshot
    assert execution.screenshot.stat().st_size > 20_000
    outputs = [output for cell in execution.notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    shown = [output for output in outputs if "application/vnd.jupyter.widget-view+json" in output.get("data", {})]
    assert shown
    assert len(execution.widgets) == len(shown)


def test_a_notebook_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="There is no notebook"):
        lab_command("notebooks/99_nothing.ipynb", folder=tmp_path)
    assert lab_command()[-1] != "--no-browser"
    assert "--no-browser" in lab_command(browser=False)
