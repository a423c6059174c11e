"""The dashboard in real JupyterLab, by keyboard; and as a page without a kernel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser.lab import Server
from browser.pages import add_and_run, axe, file_page, opened, overflowing, save_and_reload, smallest_text
from playwright.sync_api import expect

BEGIN = """import torch; torch.set_num_threads(1)
import workbench as wb
data = wb.load_dataset("digits")
plan = wb.HyperParameters(epochs=2000, batch_size=64, precision="fp32", learning_rate=0.1)
model = wb.build_model("convnet", classes=10, shape=data.shape, width=0.25)
board = wb.TrainingDashboard(wb.train(model, data, plan, device="cpu", record_every=5))
board"""
WIDGET = "section.wb"


def press(page: Any, name: str) -> None:
    page.get_by_role("button", name=name).press("Enter")


def test_it_is_held_slowed_and_stopped_by_keyboard_while_cells_run(browser: str, lab: Server) -> None:
    with opened(browser, lab, "training_dashboard", [BEGIN]) as (page, complaints):
        page.get_by_text("of the validation images right").first.wait_for()
        assert int(add_and_run(page, "len(board.records['run'])")) > 0  # the kernel is free

        press(page, "Pause")
        page.get_by_text("run is paused at step").first.wait_for()
        counted = "import time; time.sleep(0.5); before = len(board.records['run']); time.sleep(0.5)"
        assert add_and_run(page, f"{counted}; len(board.records['run']) - before") == "0"

        rate = page.get_by_label("Peak learning rate from here on")
        rate.focus()
        for _ in range(6):  # thirty hundredths of a power of ten
            page.keyboard.press("ArrowLeft")
        assert rate.get_attribute("aria-valuetext") == "0.0501"
        assert add_and_run(page, "board.learning_rate") == "0.0501"
        assert axe(page, WIDGET) == []
        assert overflowing(page, WIDGET) == []
        assert smallest_text(page, WIDGET) >= 11

        save_and_reload(page)
        page.get_by_text("run is paused at step").first.wait_for()
        assert page.get_by_label("Peak learning rate from here on").get_attribute("aria-valuetext") == "0.0501"
        assert page.locator(".wb-chart path").count() > 2
        press(page, "Resume")
        page.get_by_text("peak 0.0501").wait_for()
        press(page, "Stop")
        page.get_by_text("run was stopped by you at step").first.wait_for()
        assert page.get_by_role("button", name="Stop").is_disabled()
        text = add_and_run(page, "record = board.result(); print(0 < record.step < record.steps, model.training)")
        assert text == "True False"
        assert complaints == []


@pytest.mark.parametrize("system", ["light", "dark"])
def test_a_page_without_a_kernel_shows_the_ended_runs(
    browser: str, tmp_path: Path, make_data: Any, system: str
) -> None:
    from workbench.hyperparameters import HyperParameters
    from workbench.training.loop import train
    from workbench.training.models import build_model
    from workbench.widgets.training_dashboard import TrainingDashboard

    data = make_data()
    plan = HyperParameters(epochs=3, precision="fp32", learning_rate=0.05)
    runs = {
        f"rate {rate}": train(
            build_model("convnet", classes=4, shape=data.shape, width=0.25),
            data,
            plan.replace(learning_rate=rate),
            device="cpu",
            record_every=2,
        )
        for rate in (0.05, 0.1)
    }
    board = TrainingDashboard(runs)
    board.result()
    board.to_html(tmp_path / "page.html")
    with file_page(browser, tmp_path / "page.html", system=system) as (page, complaints):
        page.locator(".wb-chart svg").first.hover(position={"x": 150, "y": 90})
        page.get_by_text("rate 0.05 training").wait_for()
        assert page.get_by_text("This page has no kernel").is_visible()
        expect(page.get_by_role("button")).to_have_count(0)
        page.get_by_text("The same as a table").click()
        expect(page.locator("tbody tr")).to_have_count(6)
        for width in (1280, 700, 360):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(200)
            assert overflowing(page, WIDGET) == []
            assert smallest_text(page, WIDGET) >= 11
        assert axe(page, WIDGET) == []
        assert complaints == []
