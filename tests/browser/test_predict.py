"""Predict and Decide in a real JupyterLab, by keyboard, and as pages without a kernel."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

from browser.lab import Server
from browser.pages import (
    add_and_run,
    axe,
    file_page,
    opened,
    overflowing,
    restart_kernel,
    run_all,
    save_and_reload,
    smallest_text,
)
from playwright.sync_api import expect

from workbench.comparing.comparison import Comparison
from workbench.measuring.measurement import Latency, Measurement
from workbench.widgets.decide import Decide
from workbench.widgets.predict import Predict
from workbench.widgets.view import dated

GUESS = 'section[aria-label^="Predict: How many"]'
CHOICE = 'section[aria-label^="Predict: Which"]'
DECIDE = 'section[aria-label^="Decide"]'
CELLS = (
    """
import workbench as wb
from workbench.measuring.measurement import Latency, Measurement
guess = wb.Predict("How many times as fast is the biggest?", unit="times as fast", id="browser-race")
guess""",
    """
which = wb.Predict("Which is ahead?", choices=["one core", "all cores", "the GPU"], id="browser-which")
which""",
    """
def row(device, size, seconds, **changes):
    latency = Latency(p50=seconds, p90=seconds, p99=seconds, count=9, warm_up=seconds)
    plain = {"phase": "inference", "model": "convnet", "kind": "cpu", "engine": "onnx", "precision": "fp32"}
    return Measurement(**plain | {"threads": 1, "device": device, "batch_size": size, "latency": latency} | changes)
modelled = {"origin": "modelled", "source": "modelled from its data sheet", "energy_joules": 0.004}
rows = [row("CPU", size, 1e-4 * size) for size in (1, 4, 16)]
rows += [row("Board", size, 2e-3 * size, **modelled) for size in (1, 4, 16)]
decide = wb.Decide("Which machine for the gate?", wb.Comparison.of(rows), id="browser-gate")
decide""",
)


def test_guesses_and_decisions_by_keyboard_in_jupyterlab(browser: str, lab: Server) -> None:
    with opened(browser, lab, "predict", CELLS) as (page, complaints):
        keys = page.keyboard
        page.locator(GUESS).get_by_label("Your guess, a number (times as fast)").focus()
        keys.type("many")
        keys.press("Enter")
        page.locator(GUESS).get_by_text("“many” is not a number of 0 or more").wait_for()
        keys.press("Control+a")
        keys.type("3")
        keys.press("Enter")
        page.locator(GUESS).get_by_text("Your guess: 3 times as fast").wait_for()
        page.wait_for_function("document.activeElement.textContent === 'Your guess: 3 times as fast'")
        keys.press("Tab")
        keys.press("Enter")  # guess again
        keys.press("Control+a")
        keys.type("2,5")
        keys.press("Tab")
        keys.press("Space")
        page.locator(GUESS).get_by_text("Your guess: 2.5 times as fast").wait_for()
        assert add_and_run(page, "guess.value") == "2.5"
        said = add_and_run(page, "print(guess.reveal(0.5))")
        assert (
            said
            == "You guessed 2.5 times as fast; measured here, now: 0.5 times as fast: your guess was 5.0× too high."
        )
        page.locator(GUESS).get_by_role("status").get_by_text(said).wait_for()

        page.locator(CHOICE).get_by_label("one core").focus()
        keys.press("ArrowDown")
        keys.press("Enter")
        page.locator(CHOICE).get_by_text("Your guess: all cores").wait_for()
        assert add_and_run(page, "print(which.value, which.reveal('all cores'))").endswith("that is what you guessed.")

        shown = _decide_by_keyboard(page)
        assert add_and_run(page, "print(' '.join(decide.decision['sentences']))").split() == shown.split()
        assert add_and_run(page, "print(decide.decision['device'], decide.decision['batch_size'])") == "Board 4"
        for selector in (GUESS, CHOICE, DECIDE):
            assert axe(page, selector) == []
            assert overflowing(page, selector) == []
            assert smallest_text(page, selector) >= 11

        save_and_reload(page)
        assert page.locator(GUESS).get_by_role("status").inner_text() == said
        assert page.locator(DECIDE).locator(".wb-card").inner_text().split() == shown.split()

        kept = lab.folder / "runs" / "learner.json"
        before = json.loads(kept.read_text(encoding="utf-8"))["entries"]
        own = [entry for entry in before if entry["id"].startswith("browser-")]
        assert [entry["kind"] for entry in own] == [
            "predicted",
            "predicted",
            "measured",
            "predicted",
            "measured",
            "decided",
        ]
        restart_kernel(page)
        run_all(page)
        page.locator(GUESS).get_by_text("Your guess: 2.5 times as fast").wait_for()
        page.locator(GUESS).get_by_text(said).first.wait_for()
        assert page.locator(DECIDE).locator(".wb-card").inner_text().split() == shown.split()
        after = json.loads(kept.read_text(encoding="utf-8"))["entries"]
        assert [entry["kind"] for entry in after] == [entry["kind"] for entry in before]
        assert complaints == []


def _decide_by_keyboard(page: Any) -> str:
    """Fill in and decide; what the preview said."""
    keys, form = page.keyboard, page.locator(DECIDE)
    form.get_by_label("Device").focus()
    keys.press("B")  # Board
    keys.press("Tab")
    keys.press("Tab")
    keys.press("ArrowDown")  # batch size 4
    keys.press("Tab")
    keys.press("Tab")
    keys.press("t")  # time of a batch
    keys.press("Tab")
    keys.type("12")
    keys.press("Tab")
    keys.type("A real board  that takes")
    keys.press("Enter")
    keys.type("more than 10 ms.")
    shown = form.locator(".wb-preview").inner_text()
    keys.press("Tab")
    keys.press("Enter")
    form.locator(".wb-card").wait_for()
    assert "Board with onnx fp32, 1 thread, 4 images at once; chosen for its time of a batch (median): 8.00" in shown
    assert "A modelled figure is too rough to tell whether it stays within that" in shown
    assert form.locator(".wb-card").inner_text().split() == shown.split()
    return shown


def _row(device: str, size: int, seconds: float, **changes: Any) -> Measurement:
    latency = Latency(p50=seconds, p90=seconds, p99=seconds, count=9, warm_up=seconds)
    plain = {
        "phase": "inference",
        "model": "convnet",
        "kind": "cpu",
        "engine": "onnx",
        "precision": "fp32",
        "threads": 1,
    }
    return Measurement(**plain | {"device": device, "batch_size": size, "latency": latency} | changes)


def _three_machines() -> Comparison:
    gpu = {"origin": "recorded", "source": "recorded 2026-01-02, torch 2.15.0", "kind": "cuda", "energy_joules": 0.1}
    modelled = {"origin": "modelled", "source": "modelled from its data sheet", "energy_joules": 0.004}
    return Comparison.of(
        [_row("AMD EPYC (2 cores)", size, 1e-4 * size, memory_bytes=1000 * size) for size in (1, 4, 1024)]
        + [_row("NVIDIA H100 80GB HBM3", size, 1e-3, **gpu) for size in (1, 4)]
        + [_row("Raspberry Pi 5", size, 2e-3 * size, **modelled) for size in (1, 4)]
    )


LIMITS = [
    ("none", ""),
    ("latency", "5"),
    ("latency", "1,5 ms"),
    ("latency", "0.05"),
    ("energy", "20"),
    ("energy", "3"),
    ("memory", "0.002"),
    ("power", "150"),
    ("price", "1,200"),
    ("other", "It must fit into  the box."),
]


def test_the_browser_words_a_decision_as_python_does(browser: str, tmp_path: Path) -> None:
    decide, verdicts = Decide("Which machine for the gate?", _three_machines(), record=tmp_path / "learner.json"), set()
    _as_if_live(decide.to_html(), tmp_path / "form.html")
    with file_page(browser, tmp_path / "form.html") as (page, complaints):
        form = page.locator(DECIDE)
        form.get_by_label("What could prove it wrong").fill(" One  that is slower. ")
        figures = itertools.cycle([(1, "latency"), (4, "throughput"), (1024, "energy"), (4, "memory"), (1, "energy")])
        for device in dict.fromkeys(offer["device"] for offer in decide.offers):
            form.get_by_label("Device").select_option(device)
            for (limit, typed), (size, metric) in zip(LIMITS, figures, strict=False):
                form.get_by_label("Batch size").select_option(str(size))
                form.get_by_label("Chosen for its").select_option(metric)
                form.get_by_label("A limit to keep").select_option(limit)
                if limit == "other":
                    form.get_by_label("In your words").fill(typed)
                elif limit != "none":
                    form.get_by_label(re.compile("^At most")).fill(typed)
                choice = {"metric": metric, "limit": limit, "at_most": typed, "words": typed}
                made = decide.decide(device, "onnx", size, **choice, proof="One that is slower.")
                assert form.locator(".wb-preview").inner_text() == dated(" ".join(made["sentences"]))
                verdicts.add(made["verdict"])
        assert verdicts == {"", "keeps", "breaks", "doubt", "unknown"}
        assert complaints == []


def test_every_state_fits_and_can_be_read(browser: str, tmp_path: Path) -> None:
    states = _states(tmp_path)
    with file_page(browser, states[0]) as (page, complaints):
        for path in states:
            page.goto(path.as_uri())
            for width in (1000, 360, 320):
                page.set_viewport_size({"width": width, "height": 900})
                assert overflowing(page, ".wb") == [], (path, width)
            assert smallest_text(page, ".wb") >= 11
            for system in ("dark", "light"):
                page.emulate_media(color_scheme=system)
                assert axe(page, ".wb") == [], (path, system)
        assert complaints == []


def _states(folder: Path) -> list[Path]:
    """Each widget before, in between and after: as pages, and as if a kernel stood behind them."""
    number = Predict("How many times as fast is the biggest?", unit="times as fast", record=folder / "a.json")
    choice = Predict("Which is ahead?", choices=["one core", "the GPU"], record=folder / "b.json")
    late = Predict("How many times as fast?", unit="times as fast", record=folder / "c.json")
    late.reveal(1234.5)
    late.set_state({"draft": "many", "requests": 1})
    decide = Decide("Which machine for the gate?", _three_machines(), record=folder / "d.json")
    pages = [number.to_html(), choice.to_html(), late.to_html(), decide.to_html()]
    number.lock(3)
    number.reveal(0.44)
    choice.lock("one core")
    decide.decide("NVIDIA H100 80GB HBM3", "onnx", 4, limit="power", at_most=50, proof="a meter")
    pages += [number.to_html(), choice.to_html(), decide.to_html()]
    found = []
    for place, page in enumerate(pages):
        for live in (False, True):
            path = folder / f"{place}-{live}.html"
            path.write_text(page, encoding="utf-8")
            if live:
                _as_if_live(page, path)
            found.append(path)
    return found


def _as_if_live(page: str, path: Path) -> None:
    assert '"live": false' in page
    path.write_text(page.replace('"live": false', '"live": true'), encoding="utf-8")


def test_a_page_without_a_kernel_shows_what_was_decided_and_asks_nothing(browser: str, tmp_path: Path) -> None:
    guess = Predict("How many times as fast is the biggest?", unit="times as fast", record=tmp_path / "learner.json")
    guess.to_html(tmp_path / "before.html")
    with file_page(browser, tmp_path / "before.html") as (page, _):
        assert page.get_by_text("This page has no kernel: no guess can be locked in here.").is_visible()
        expect(page.get_by_role("button")).to_have_count(0)
    guess.lock(3)
    said = guess.reveal(0.44)
    guess.to_html(tmp_path / "after.html")
    with file_page(browser, tmp_path / "after.html", java_script_enabled=False) as (page, _):
        assert dated(said) in page.locator("noscript").inner_text()
