"""DeviceComparison in real JupyterLab, driven by the keyboard alone; and its page as a file, without a network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser.lab import Server
from browser.pages import (
    add_and_run,
    axe,
    file_page,
    opened,
    overflowing,
    restart_kernel,
    run_cell,
    save_and_reload,
    smallest_text,
)
from playwright.sync_api import expect

from workbench.measuring.recordings import load_recordings
from workbench.widgets.device_comparison import DeviceComparison

CELLS = [
    "import os, tempfile\nos.environ['XDG_CACHE_HOME'] = tempfile.mkdtemp()\nimport torch\nimport workbench as wb\n"
    "from torch import nn\nmodel = nn.Sequential(nn.Flatten(), nn.Linear(192, 32), nn.ReLU(), nn.Linear(32, 3))\n"
    "panel = wb.DeviceComparison(model, torch.rand(1, 3, 8, 8), batch_sizes=(1, 4, 16, 64), seconds=0.02)\npanel",
]
BOX = "section.wb[aria-label='Devices compared']"


def focus(page: Any, label: str) -> None:
    """Move to a control by the Tab key, as somebody without a mouse does."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if (
            page.evaluate("document.activeElement?.labels?.[0]?.textContent ?? document.activeElement?.textContent")
            == label
        ):
            return
    raise AssertionError(f"Tab never reaches {label!r}")


def state(page: Any) -> dict[str, Any]:
    text = add_and_run(page, "import json; print(json.dumps([panel.choice, panel.progress, panel.sentences]))")
    choice, progress, sentences = json.loads(text)
    return {"choice": choice, "progress": progress, "sentences": sentences}


def said(page: Any) -> list[str]:
    return page.locator(f"{BOX} .dc-sentences li").all_text_contents()


def test_it_is_driven_by_keyboard_saved_reloaded_readable_and_outlives_its_kernel(browser: str, lab: Server) -> None:
    with opened(browser, lab, "device-comparison", CELLS) as (page, complaints):
        box = page.locator(BOX)
        first = said(page)
        assert first[0].startswith("One image at a time")
        page.locator(".jp-CodeCell .cm-content").first.click()
        page.keyboard.press("Escape")
        box.locator("h3").click()
        focus(page, "Batch size")
        for _ in range(3):
            page.keyboard.press("ArrowRight")
        page.wait_for_function(f"document.querySelector({BOX!r}).textContent.includes('64 images at once')")
        assert said(page) != first
        page.wait_for_timeout(400)  # the kernel is told a little later
        assert state(page)["choice"]["batch_size"] == 64
        assert state(page)["sentences"] == said(page)

        box.locator("h3").click()
        focus(page, "Measure this machine")
        page.keyboard.press("Enter")
        box.get_by_role("button", name="Cancel").wait_for()
        focus_cancel(page, box)
        page.keyboard.press("Enter")
        box.locator("p.wb-note", has_text="Stopped by you").wait_for()
        box.locator("h3").click()
        focus(page, "Measure this machine")
        page.keyboard.press("Enter")
        box.locator("p.wb-note", has_text="figures measured here, now.").wait_for()
        assert state(page)["progress"]["state"] == "finished"
        assert any("measured here, now" in text for text in box.locator("svg text").all_text_contents())

        shown = said(page)
        save_and_reload(page)
        page.locator(BOX).wait_for()
        assert said(page) == shown
        assert page.locator(f"{BOX} input[type=range]").first.get_attribute("aria-valuetext") == "64 images"
        run_cell(page, 0)
        expect(page.locator(BOX)).to_have_count(1)
        assert_readable(page)
        assert complaints == []
        restart_kernel(page)
        page.locator(f"{BOX} .wb-gone").filter(has_text="The kernel behind this widget is gone").wait_for()
        assert page.locator(f"{BOX} button", has_text="Measure this machine").is_disabled()


def test_in_notebook_7_its_keys_are_its_own_too(browser: str, lab: Server) -> None:
    # What else Notebook 7 complains of is its own: as long as it loads, it asks for what only JupyterLab has.
    with opened(browser, lab, "device-comparison-7", CELLS, notebook_7=True) as (page, _):
        page.get_by_role("slider", name="Batch size").press("ArrowRight")
        page.wait_for_function(f"document.querySelector({BOX!r}).textContent.includes('4 images at once')")
        page.wait_for_timeout(400)  # the kernel is told a little later
        assert state(page)["choice"]["batch_size"] == 4


def focus_cancel(page: Any, box: Any) -> None:
    box.locator("h3").click()
    focus(page, "Cancel")


def test_it_can_be_read_by_everyone_in_the_dark(browser: str, lab: Server) -> None:
    cells = ["import workbench as wb\npanel = wb.DeviceComparison()\npanel"]
    with opened(browser, lab, "device-comparison-dark", cells, theme="dark") as (page, complaints):
        assert_readable(page)
        assert complaints == []


def assert_readable(page: Any) -> None:
    page.locator(f"{BOX} details").evaluate_all("all => all.forEach(each => { each.open = true; })")
    page.locator(f"{BOX} .dc-budget input[type=checkbox]").check()
    page.get_by_label("Compare by").select_option("cost")
    for width in (1280, 700):
        page.set_viewport_size({"width": width, "height": 1000})
        page.wait_for_timeout(300)
        assert axe(page, BOX) == []
        assert smallest_text(page, BOX) >= 11
        assert overflowing(page, BOX) == []


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    path = tmp_path_factory.mktemp("page") / "devices.html"

    def write() -> Path:
        if not path.exists():
            DeviceComparison(recordings=load_recordings()).to_html(path)
        return path

    return write


def test_its_page_reacts_without_kernel_and_network(browser: str, written: Callable[[], Path]) -> None:
    with file_page(browser, written()) as (page, complaints):
        page.locator(BOX).wait_for()
        first = said(page)
        batch = page.get_by_role("slider", name="Batch size")
        batch.focus()
        for _ in range(6):
            batch.press("ArrowRight")
        page.wait_for_function(f"document.querySelector({BOX!r}).textContent.includes('64 images at once')")
        assert said(page) != first
        page.get_by_label("Phase").select_option("training")
        page.wait_for_function(f"document.querySelector({BOX!r}).textContent.includes('takes a training step')")
        expect(page.get_by_role("button", name="Measure this machine")).to_have_count(0)
        assert "This page has no kernel" in page.locator(BOX).text_content()
        with page.expect_download() as csv:
            page.get_by_role("button", name="Figures as CSV").click()
        rows = Path(csv.value.path()).read_text().splitlines()
        assert rows[0].startswith("device,phase,network,engine")
        assert len(rows) > 40
        with page.expect_download() as png:
            page.get_by_role("button", name="Chart as PNG").click()
        assert Path(png.value.path()).read_bytes().startswith(b"\x89PNG")
        assert complaints == []


def test_its_budget_line_can_be_dragged(browser: str, written: Callable[[], Path]) -> None:
    with file_page(browser, written()) as (page, _):
        page.locator(BOX).wait_for()
        assert_readable(page)
        page.get_by_label("Compare by").select_option("latency")
        page.get_by_label("Set a budget").uncheck()
        page.locator(f"{BOX} details").evaluate_all("all => all.forEach(each => { each.open = false; })")
        page.set_viewport_size({"width": 1280, "height": 1000})
        page.locator(".dc-more > summary").click()
        page.get_by_label("Set a budget").check()
        page.locator(".dc-line").wait_for()
        before = next(text for text in said(page) if "budget of" in text)
        box = page.locator(".dc-line rect").bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x - 120, y, steps=4)
        page.mouse.up()
        page.wait_for_timeout(200)
        after = [text for text in said(page) if "budget of" in text]
        assert before not in after
        assert any(text.startswith(("Over the budget", "Nothing keeps")) for text in after)


def test_with_scripts_off_the_sentence_and_the_table_are_there(browser: str, written: Callable[[], Path]) -> None:
    with file_page(browser, written(), java_script_enabled=False) as (page, _):
        text = page.locator("main").inner_text()
        assert "One image at a time" in text
        assert page.locator("table tbody tr").count() >= 7
