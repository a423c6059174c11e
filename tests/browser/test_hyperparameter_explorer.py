"""The explorer as a learner meets it: in JupyterLab, and as a page without a kernel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from browser.lab import Server
from browser.pages import VIEW, add_and_run, axe, file_page, opened, overflowing, save_and_reload, smallest_text
from playwright.sync_api import expect

from workbench.data.datasets import Data
from workbench.hyperparameters import HyperParameters
from workbench.training.search import Trial
from workbench.widgets.hyperparameter_explorer import HyperparameterExplorer

WIDGET = ".wb"
QUICK = HyperParameters(model="mlp", width=0.125, batch_size=64, learning_rate=0.05, epochs=3, precision="fp32")
CELLS = [
    """
import workbench as wb
from workbench.training.search import Trial
data = wb.load_dataset("digits")
plan = wb.HyperParameters(model="mlp", width=0.125, batch_size=64, learning_rate=0.05, precision="fp32")
trials = [
    Trial(number=number, hyperparameters=plan.replace(learning_rate=rate), sampled={"learning_rate": rate},
          value=value, state="complete", epochs=1, seconds=1.0)
    for number, (rate, value) in enumerate([(0.0123, 0.4), (0.2, 0.9), (1.5, 0.6)])
]
explorer = wb.HyperparameterExplorer(data, plan, trials=trials)
""",
    "explorer",
]


def trials() -> list[Trial]:
    spread = [(0.0123, 0.5, "complete"), (0.2, 0.9, "complete"), (1.5, 0.3, "pruned"), (9.0, None, "failed")]
    return [
        Trial(
            number=number,
            hyperparameters=QUICK.replace(learning_rate=rate, momentum=0.1 * number),
            sampled={"learning_rate": rate, "momentum": 0.1 * number, "batch_size": 64, "weight_decay": 1e-5 * rate},
            value=value,
            state=state,  # type: ignore[arg-type]
            epochs=1,
            seconds=1.0,
        )
        for number, (rate, value, state) in enumerate(spread * 2)
    ]


@pytest.fixture(scope="module")
def page_path(make_data: Callable[..., Data], tmp_path_factory: pytest.TempPathFactory) -> Path:
    explorer = HyperparameterExplorer(make_data(size=8), QUICK, trials=trials(), images=256, device="cpu")
    for learning_rate in (0.05, 0.1):
        explorer.hyperparameters = QUICK.replace(learning_rate=learning_rate)
        explorer.starts += 1
        assert explorer.job
        assert explorer.job.wait(120)
    path = tmp_path_factory.mktemp("explorer") / "explorer.html"
    explorer.to_html(path)
    explorer.close()
    return path


@pytest.mark.parametrize(("system", "width"), [("light", 1100), ("dark", 700), ("light", 340)])
def test_a_page_without_a_kernel_shows_all_and_reacts(browser: str, page_path: Path, system: str, width: int) -> None:
    with file_page(browser, page_path, system=system, width=width) as (page, complaints):
        page.locator(".hx-bar svg").first.wait_for()
        page.get_by_text("This page has no kernel").wait_for()
        for control in page.locator("input[type=range], .hx-grid select, .hx-grid input").all():
            assert control.is_disabled()
        page.get_by_text("More: the other 13").click()
        page.get_by_text("The same as a table").click()
        page.get_by_text("NVIDIA H100 SXM").first.wait_for()
        expect(page.locator("tr[data-number]")).to_have_count(8)
        page.get_by_label("show trials with a validation accuracy of at least").select_option(index=3)
        expect(page.locator("tr[data-number]")).to_have_count(2)
        expect(page.locator("svg .hx-trial[data-number]")).to_have_count(2)
        page.locator("tr[data-number='1']").hover()
        assert page.locator("svg .hx-trial.hx-lit").get_attribute("data-number") == "1"
        assert axe(page, WIDGET) == []
        assert overflowing(page, WIDGET) == []
        assert smallest_text(page, WIDGET) >= 11
        assert complaints == []


def test_without_scripts_the_page_says_what_it_would_show(browser: str, page_path: Path) -> None:
    with file_page(browser, page_path, java_script_enabled=False) as (page, _):
        text = page.inner_text("body")
        assert "parameters" in text
        assert "NVIDIA H100 SXM" in text
        assert "Short runs" in text


def test_in_jupyterlab_controls_runs_and_the_search_work_by_keyboard(browser: str, lab: Server) -> None:
    with opened(browser, lab, "hyperparameter_explorer", CELLS) as (page, complaints):
        widget = page.locator(VIEW)
        parameters = widget.locator(".hx-numbers dd").first
        parameters.wait_for()
        before = parameters.inner_text()
        width = widget.get_by_label("width", exact=True)
        width.focus()
        page.keyboard.press("ArrowRight")
        widget.get_by_text("Twice the width").wait_for()
        assert parameters.inner_text() != before
        assert "every layer" in widget.locator(".hx-help").inner_text()
        # Its networks counted, a slider's figures follow by themselves.
        batch = widget.get_by_label("batch size", exact=True)
        batch.focus()
        page.evaluate(_FOLLOWED)
        assert add_and_run(page, "explorer.hyperparameters.width, explorer.hyperparameters.batch_size") == "(0.25, 128)"

        _take_values(widget)
        assert add_and_run(page, "explorer.hyperparameters.learning_rate") == "0.2"

        widget.get_by_role("button", name="Run it").press("Enter")
        widget.locator(".wb-status", has_text="classified correctly").wait_for()
        widget.get_by_text("1: ").first.wait_for()
        assert add_and_run(page, "[len(records) > 0 for records in explorer.runs.values()]") == "[True]"
        assert axe(page, VIEW) == []
        save_and_reload(page)
        widget.locator("tbody", has_text="measured here, now").first.wait_for()
        assert complaints == []


def _take_values(widget: Any) -> None:
    widget.get_by_role("button", name="Take the values of trial 1").press("Enter")
    widget.locator(".wb-field", has_text="learning rate").get_by_text("0.2", exact=True).first.wait_for()


_FOLLOWED = """() => new Promise(resolve => {
    const control = document.activeElement;
    const shown = document.querySelector(".hx-numbers").parentElement;
    const began = performance.now();
    new MutationObserver(() => resolve(performance.now() - began)).observe(shown, {childList: true});
    control.value = Number(control.value) + 1;
    control.dispatchEvent(new Event("input"));
})"""
