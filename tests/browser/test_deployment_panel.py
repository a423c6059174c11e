"""The panel in real JupyterLab, by keyboard: an application started, put under load, stopped; and as a page."""

from __future__ import annotations

import re
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser.lab import Server
from browser.pages import (
    add_and_run,
    axe,
    file_page,
    kill_kernel,
    opened,
    overflowing,
    run_cell,
    save_and_reload,
    smallest_text,
)
from playwright.sync_api import expect
from serving.application import is_running

import workbench as wb
from workbench.folders import REFERENCE

WIDGET = "section.wb"
MADE = f"""import workbench as wb
panel = wb.DeploymentPanel({str(REFERENCE)!r}, workers=2)
panel"""


def press(page: Any, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).press("Enter")


def started(page: Any) -> list[int]:
    """Start it by keyboard; its processes."""
    press(page, "Start")
    page.locator(WIDGET).get_by_text("(onnx, 2 workers) answers.").first.wait_for()
    assert page.evaluate("document.activeElement.textContent") == "Start"  # who pressed it is not thrown out
    return [int(each) for each in add_and_run(page, "print(*panel.deployment.processes)").split()]


def gone(processes: list[int]) -> Callable[[], bool]:
    return lambda: not any(map(is_running, processes))


def until(holds: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.1)


def figure(page: Any, name: str) -> str:
    item = page.locator(".wb-figures > div").filter(has=page.get_by_text(name, exact=True))
    return str(item.locator(".wb-figure").inner_text())


def test_an_application_is_started_put_under_load_and_stopped(browser: str, lab: Server) -> None:
    with opened(browser, lab, "deployment_panel", [MADE]) as (page, complaints):
        assert page.get_by_role("button", name="Stop", exact=True).get_attribute("aria-disabled") == "true"
        press(page, "Stop")  # does nothing, and says so to who cannot see it
        processes = started(page)
        assert len(processes) == 3
        address = page.locator(WIDGET).get_by_role("link").get_attribute("href")
        assert address == add_and_run(page, "print(panel.deployment.address)")
        with urllib.request.urlopen(address) as answer:
            assert b"<html" in answer.read()

        page.get_by_text("It has received no requests yet.").wait_for()
        assert figure(page, "Workers") == "2"
        page.get_by_label("Concurrent clients").select_option("4")
        press(page, "Run a load test")
        page.get_by_role("button", name="Load test is running …").wait_for()
        assert int(add_and_run(page, "panel.concurrency")) == 4  # and the kernel is free
        page.locator(WIDGET).get_by_text("4 concurrent clients for").first.wait_for()
        text = add_and_run(
            page, "print(panel.load_tests[-1].concurrency, panel.load_tests[-1].answered, len(panel.history) > 2)"
        )
        assert re.fullmatch(r"4 [1-9]\d* True", text)
        page.locator(f"{WIDGET} table").first.get_by_text(f"{int(text.split()[1]):,}").wait_for()  # of the status 200
        row = page.locator(f"{WIDGET} table").nth(1).locator("tbody tr").first
        assert row.locator("th").inner_text() == "4"
        page.wait_for_function("document.querySelector('.dp-track > span').getBoundingClientRect().width > 10")
        assert page.locator(".dp-line path").get_attribute("d").count("L") > 1
        # The figures stand in a row: JupyterLab would have their parts float.
        boxes = [page.locator(".wb-figures > div").nth(place).bounding_box() for place in range(2)]
        assert boxes[0]["y"] == boxes[1]["y"]

        # A screen reader hears of changes of state, not of numbers.
        page.wait_for_function("document.querySelector('.wb-figures .wb-figure').textContent === '0'")
        heard = page.get_by_role("status").filter(has_text="concurrent clients for").inner_text()
        page.wait_for_timeout(2500)
        assert page.get_by_role("status").filter(has_text="concurrent clients for").inner_text() == heard
        for width in (1280, 700):
            page.set_viewport_size({"width": width, "height": 1000})
            page.wait_for_timeout(400)
            assert axe(page, WIDGET) == []
            assert overflowing(page, WIDGET) == []
            assert smallest_text(page, WIDGET) >= 11

        save_and_reload(page)
        page.locator(WIDGET).get_by_text("(onnx, 2 workers) answers.").first.wait_for()
        assert page.get_by_label("Concurrent clients").input_value() == "4"
        press(page, "Stop")
        page.locator(WIDGET).get_by_text("finished what it had accepted and ended.").first.wait_for()
        until(gone(processes), 1)
        assert complaints == []


def test_run_again_killed_or_dead_no_process_is_left(browser: str, lab: Server) -> None:
    with opened(browser, lab, "deployment_panel_again", [MADE], theme="dark") as (page, _):
        first = started(page)
        run_cell(page, 0)
        until(gone(first))
        page.locator(WIDGET).get_by_text("The application is not running.").first.wait_for()

        supervisor, *_ = started(page)
        add_and_run(page, f"import os, signal; os.kill({supervisor}, signal.SIGKILL)")
        page.get_by_role("alert").get_by_text("has ended (exit code -9); its last words:").wait_for()
        assert axe(page, WIDGET) == []

        last = started(page)
        kill_kernel(page)
        until(gone(last))
        page.locator(".wb-gone").filter(has_text="The kernel behind this widget is gone").wait_for()
        assert page.get_by_role("button", name="Stop", exact=True).is_disabled()


@pytest.mark.parametrize(("system", "running"), [("light", True), ("dark", False)])
def test_a_page_without_a_kernel_keeps_the_last_state(browser: str, tmp_path: Path, system: str, running: bool) -> None:
    panel = wb.DeploymentPanel(REFERENCE)
    panel.start()
    panel.load_test(1.0, concurrency=2)
    until(lambda: panel.metrics and panel.metrics.requests)
    if not running:
        panel.stop()
    panel.to_html(tmp_path / "page.html")
    panel.close()
    with file_page(browser, tmp_path / "page.html", system=system) as (page, complaints):
        ended = "answered when this page was written." if running else "finished what it had accepted and ended."
        assert page.get_by_text(ended).first.is_visible()
        assert page.get_by_text("This page has no kernel").is_visible()
        expect(page.locator("section.wb :is(button, select, a):visible")).to_have_count(0)
        expect(page.locator(".dp-answers li")).to_have_count(10)
        for width in (1050, 700, 360):
            page.set_viewport_size({"width": width, "height": 900})
            page.wait_for_timeout(200)
            assert overflowing(page, WIDGET) == []
            assert smallest_text(page, WIDGET) >= 11
        assert axe(page, WIDGET) == []
        assert complaints == []
    with file_page(browser, tmp_path / "page.html", java_script_enabled=False) as (page, _):
        assert ended in page.locator("noscript").inner_text()
        expect(page.locator("noscript table")).to_have_count(3)
