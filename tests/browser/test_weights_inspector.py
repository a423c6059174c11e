"""The WeightsInspector by keyboard: in JupyterLab, and as a file without a kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from browser.lab import Server
from browser.pages import add_and_run, axe, file_page, opened, overflowing, save_and_reload, smallest_text

import workbench as wb
from workbench.folders import REFERENCE

WEIGHTS = REFERENCE / "weights.safetensors"
ROOT = ".wb"


def choose_by_keyboard(page: Any) -> None:
    """From the largest tensor, which is chosen first, one down and two up."""
    page.get_by_role("radio", name="8.weight").focus()
    page.keyboard.press("ArrowDown")
    assert page.get_by_role("radio", name="9.bias").is_checked()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")


def test_in_jupyterlab(browser: str, lab: Server) -> None:
    cells = [f"import workbench as wb\ninspector = wb.WeightsInspector({str(WEIGHTS)!r})\ninspector"]
    with opened(browser, lab, "weights", cells, theme="dark") as (page, complaints):
        page.locator(".wb svg path").first.wait_for()
        choose_by_keyboard(page)
        page.get_by_text("5.weight holds 64 numbers").wait_for()
        assert add_and_run(page, "inspector.chosen") == "'5.weight'"
        add_and_run(page, "inspector.select('0.weight')")
        page.get_by_text("0.weight holds 864 numbers").wait_for()
        assert page.get_by_role("radio", name="0.weight").is_checked()
        assert axe(page, ROOT) == []
        assert overflowing(page, ROOT) == []
        save_and_reload(page)
        page.get_by_text("0.weight holds 864 numbers").wait_for()
        assert complaints == []


def test_a_file_reacts_without_a_kernel(browser: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.html"
    inspector = wb.WeightsInspector(WEIGHTS)
    inspector.to_html(path)
    text = {tensor["name"]: detail["text"] for tensor, detail in zip(inspector.tensors, inspector.details, strict=True)}
    for width, system in ((1100, "light"), (700, "dark"), (360, "light")):
        with file_page(browser, path, width=width, system=system) as (page, complaints):
            page.locator(".wb svg path").first.wait_for()
            assert page.get_by_text(inspector.sentence).is_visible()
            choose_by_keyboard(page)
            assert page.locator(".wb-status").inner_text() == text["5.weight"].strip()
            page.get_by_role("img", name="Histogram of 5.weight").wait_for()
            page.get_by_text("What its text says").click()
            assert page.get_by_text("cat, dog, horse").is_visible()
            assert axe(page, ROOT) == []
            assert overflowing(page, ROOT) == []
            assert smallest_text(page, ROOT) >= 11
            assert complaints == []
