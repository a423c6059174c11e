"""The harness itself: it finds what is wrong with a widget, and what becomes of one when its kernel is busy or ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from browser.lab import Server
from browser.pages import (
    add_and_run,
    axe,
    begin,
    delete_kernel,
    file_page,
    kill_kernel,
    opened,
    overflowing,
    restart_kernel,
    run_cell,
    save_and_reload,
    shoot,
    smallest_text,
)

GOOD = '''
import threading, time, anywidget, traitlets

class Good(anywidget.AnyWidget):
    choice = traitlets.Int(3).tag(sync=True)
    answer = traitlets.Unicode("no answer").tag(sync=True)
    _esm = """export default { render({ model, el }) {
        el.innerHTML = `<div class="good" style="color: var(--jp-ui-font-color1)">
            <label>Choice <input type="range" max="9"></label> <output></output>
            <svg width="200" height="40"><text y="12" fill="currentColor">few</text>
            <text y="32" fill="currentColor">many</text></svg></div>`;
        const input = el.querySelector("input");
        const show = () => { el.querySelector("output").textContent = model.get("answer"); };
        input.value = model.get("choice");
        input.oninput = () => { model.set("choice", +input.value); model.save_changes(); };
        el.onkeydown = event => event.stopPropagation();
        model.on("change:answer", show);
        model.on("comm_live_update", () => { (window.ends ??= []).push(model.get("choice")); });
        show();
    } }"""

good, threads = Good(), []

@good.observe
def _(change):
    if change.name == "choice":
        threads.append(threading.current_thread().name.partition("-")[0])
        good.answer = f"heard {change.new}"
good
'''
BAD = '''
class Bad(anywidget.AnyWidget):
    _esm = """export default { render({ model, el }) {
        el.innerHTML = `<div class="bad" style="background: #999; color: black; width: 200px">
            <input type="range"><p class="grey" style="color: #aaa">grey on grey</p>
            <p style="color: black; font-size: 8px">tiny</p>
            <p class="cut" style="color: black; width: 60px; overflow: hidden; white-space: nowrap">longer than this</p>
            <div class="wide" style="width: 250px">wider than the rest</div>
            <svg width="200" height="40"><text y="20">one label</text><text y="24" x="9">another</text></svg></div>`;
    } }"""
Bad()
'''


def slide(page: Any, value: int) -> None:
    page.locator(".good input").fill(str(value))


def ends(page: Any) -> int:
    """How often the widget was told of its kernel's end since the last time."""
    return page.evaluate("() => (window.ends ?? []).splice(0).length")


def working(page: Any) -> bool:
    return page.get_by_text("[*]:").count() > 0


def test_a_widget_in_its_kernels_life(browser: str, lab: Server) -> None:
    with opened(browser, lab, "good", [GOOD]) as (page, complaints):
        assert page.evaluate("() => document.body.dataset.jpThemeLight") == "true"
        assert axe(page, ".good") == overflowing(page, ".good") == []
        assert smallest_text(page, ".good") >= 12
        text = page.locator(".good output")

        page.locator(".good input").press("ArrowRight")
        text.get_by_text("heard 4").wait_for()
        begin(page, "time.sleep(4)")
        slide(page, 5)
        text.get_by_text("heard 5").wait_for()
        assert not working(page), "a message waits for the cell that runs: ipykernel 7 would hear it, and lose others"
        begin(page, "good.answer = 'from a busy cell'; time.sleep(3)")
        text.get_by_text("from a busy cell").wait_for()
        assert working(page)
        begin(page, "threading.Timer(0.5, setattr, (good, 'answer', 'from a thread')).start(); time.sleep(3)")
        text.get_by_text("from a thread").wait_for()
        assert working(page)
        assert add_and_run(page, "print(threads, good.choice)") == "['MainThread', 'MainThread'] 5"

        save_and_reload(page)
        assert page.locator(".good input").input_value() == "5"
        assert ends(page) == 0
        restart_kernel(page)
        assert ends(page) == 2
        slide(page, 7)
        run_cell(page, 0)
        assert add_and_run(page, "good.choice") == "3"
        kill_kernel(page)
        assert ends(page) == 1
        run_cell(page, 0)
        assert complaints == []
        delete_kernel(page, lab, "good")
        assert ends(page) == 0, "of a kernel that was shut down a widget hears nothing until it has something to say"
        slide(page, 8)
        page.wait_for_timeout(500)
        assert ["Could not send widget sync message" in complaint for complaint in complaints] == [True]


def test_a_bad_widget_is_found_out_in_the_dark(browser: str, lab: Server, tmp_path: Path) -> None:
    with opened(browser, lab, "bad", [GOOD, BAD], theme="dark") as (page, complaints):
        assert page.evaluate("() => document.body.dataset.jpThemeLight") == "false"
        assert axe(page, ".good") == overflowing(page, ".good") == []
        found = axe(page, ".bad")
        assert [finding.split(":")[0] for finding in found] == [
            "color-contrast (serious) at .grey",
            'label (critical) at .bad > input[type="range"]',
        ]
        assert smallest_text(page, ".bad") == 8
        cut, sticking, overlap = overflowing(page, ".bad")
        assert cut.startswith('cut: "longer than this" by ')
        assert sticking == "sticks out: <div.wide> by 50 px of width"
        assert overlap.startswith('overlap: "one label" and "another" by ')
        assert shoot(page, ".bad", tmp_path / "bad.png").stat().st_size > 1_000
        with pytest.raises(RuntimeError, match="ZeroDivisionError"):
            add_and_run(page, "1 / 0")
        assert complaints == []


@pytest.mark.parametrize("java_script", [True, False])
def test_a_file_is_opened_without_a_network(java_script: bool, browser: str, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    path.write_text(
        "<!doctype html><html lang='en'><title>A page</title>"
        "<body><p>text</p><img src='http://127.0.0.1:1/x.png' alt=''>"
        "<script>document.querySelector('p').textContent = 'written'</script></body></html>"
    )
    with file_page(browser, path, java_script_enabled=java_script, system="dark") as (page, complaints):
        assert page.locator("p").inner_text() == ("written" if java_script else "text")
        assert page.evaluate("() => matchMedia('(prefers-color-scheme: dark)').matches")
        assert complaints[0] == "asked for http://127.0.0.1:1/x.png"
        assert smallest_text(page, "body") == 16
        if java_script:
            assert axe(page, "body") == overflowing(page, "body") == []
