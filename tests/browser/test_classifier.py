"""The Classifier in JupyterLab: drawn upon with the mouse and by keyboard, flipped through, given files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from browser.lab import Server
from browser.pages import add_and_run, axe, file_page, opened, overflowing, save_and_reload, smallest_text
from PIL import Image
from playwright.sync_api import expect

import workbench as wb
from workbench.bundle.images import read_image
from workbench.bundle.manifest import read_bundle
from workbench.bundle.preprocessing import fit_image
from workbench.folders import REFERENCE
from workbench.inference.predictor import Predictor

ROOT = ".wb"
MADE = f"""import json
import workbench as wb
classifier = wb.Classifier({str(REFERENCE)!r})
classifier"""
TELL = """json.dumps([classifier.image.tolist(), [[a["engine"], a["label"], a["probabilities"]]
    for a in classifier.answers], classifier.request["source"], classifier.problem])"""


def describe(page: Any) -> tuple[np.ndarray, dict[str, dict[str, float]], str]:
    """What the next cell reads, once all engines have answered; each answer is checked against a Predictor's own."""
    page.wait_for_function("() => !document.querySelector('.wb .cl-old')")
    pixels, answers, source, _ = json.loads(add_and_run(page, TELL).strip("'").replace("\\\\", "\\"))
    image = np.array(pixels, dtype=np.uint8)
    for engine, label, probabilities in answers:
        row = Predictor.from_bundle(read_bundle(REFERENCE), engine, threads=1)(image[None])[0]
        assert np.abs(np.array(list(probabilities.values())) - row).max() < 1e-5
        assert label == list(probabilities)[int(row.argmax())]
    return image, {engine: probabilities for engine, _, probabilities in answers}, source


def stroke(page: Any, points: list[tuple[float, float]]) -> None:
    paper = page.locator(".cl-paper")
    size = paper.bounding_box()
    # A cell just scrolled into sight takes no mouse for some milliseconds; `hover` waits until it does.
    paper.hover(position={"x": points[0][0] * size["width"], "y": points[0][1] * size["height"]})
    box = paper.bounding_box()
    page.mouse.down()
    for x, y in points[1:]:
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=8)
    page.mouse.up()


def answered(page: Any, act: Any) -> None:
    """Do something in the widget and wait until it is answered."""
    before = page.locator(".cl-seen").get_attribute("src")
    act()
    page.wait_for_function("before => document.querySelector('.wb .cl-seen').src !== before", arg=before)
    page.wait_for_timeout(400)


def test_in_jupyterlab(browser: str, lab: Server, tmp_path: Path) -> None:
    with opened(browser, lab, "classifier", [MADE]) as (page, complaints):
        first, *_ = describe(page)
        np.testing.assert_array_equal(first, read_bundle(REFERENCE).self_test_images[0])

        answered(page, lambda: stroke(page, [(0.2, 0.5), (0.8, 0.5), (0.8, 0.8)]))
        drawn, answers, source = describe(page)
        assert source == "drawing"
        assert set(answers) == {"onnx", "onnx-int8", "eager"}
        assert drawn[16, 8:24].mean() < 128 < 250 < drawn[:8].mean()  # a dark line on white paper
        answered(page, lambda: stroke(page, [(0.3, 0.1), (0.5, 0.9)]))
        more, others, _ = describe(page)
        assert (more != drawn).any()
        assert others != answers
        assert "median of" in page.locator(".cl-card").first.text_content()

        answered(page, lambda: page.get_by_role("button", name="Undo").click())
        np.testing.assert_array_equal(describe(page)[0], drawn)
        save_and_reload(page)
        np.testing.assert_array_equal(describe(page)[0], drawn)
        complaints.clear()  # what the page says while it is left
        page.get_by_role("button", name="Clear").click()
        page.get_by_text("Draw something").first.wait_for()

        paper = page.locator(".cl-paper")
        paper.focus()
        page.keyboard.down(" ")
        for _ in range(10):
            page.keyboard.press("ArrowRight")
        page.keyboard.up(" ")
        page.locator(".cl-seen:visible").wait_for()
        by_keyboard, _, source = describe(page)
        assert source == "drawing"
        assert by_keyboard[16, 16:24].mean() < 128 < 250 < by_keyboard[16, :12].mean()

        def flip() -> None:
            page.get_by_label("Images to flip through").focus()
            page.keyboard.press("ArrowRight")

        answered(page, flip)
        flipped, _, source = describe(page)
        assert source == "image"
        np.testing.assert_array_equal(flipped, read_bundle(REFERENCE).self_test_images[1])

        photo = tmp_path / "photo.png"
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (90, 70, 3), dtype=np.uint8)).save(photo)
        answered(page, lambda: page.get_by_label("Pick an image").set_input_files(photo))
        picked, _, source = describe(page)
        assert source == "file"
        np.testing.assert_array_equal(picked, fit_image(read_image(photo).pixels, read_bundle(REFERENCE).preprocessing))
        (tmp_path / "notes.txt").write_text("dear diary")
        page.get_by_label("Pick an image").set_input_files(tmp_path / "notes.txt")
        page.get_by_text("notes.txt: is text, not an image").wait_for()
        (tmp_path / "big.png").write_bytes(bytes(9_000_000))
        page.get_by_label("Pick an image").set_input_files(tmp_path / "big.png")
        page.get_by_text("big.png has 9.00\N{NO-BREAK SPACE}MB, more than the limit of 8.00").wait_for()
        (tmp_path / "bytes.png").write_bytes(bytes(7_900_000))
        page.get_by_label("Pick an image").set_input_files(tmp_path / "bytes.png")
        page.get_by_text("bytes.png: is of an unknown kind").wait_for()

        page.locator(".cl-paper").scroll_into_view_if_needed()
        assert axe(page, ROOT) == []
        assert overflowing(page, ROOT) == []
        assert smallest_text(page, ROOT) >= 11
        assert complaints == []


def test_a_file_keeps_the_last_answers(browser: str, tmp_path: Path) -> None:
    classifier = wb.Classifier(REFERENCE)
    assert classifier.job is not None
    assert classifier.job.wait(60)
    path = tmp_path / "classifier.html"
    classifier.to_html(path)
    for width, system in ((1100, "light"), (360, "dark")):
        with file_page(browser, path, width=width, system=system) as (page, complaints):
            assert page.get_by_text(classifier.sentence).first.is_visible()
            assert page.get_by_text("This page has no kernel").is_visible()
            expect(page.locator(".cl-card")).to_have_count(3)
            expect(page.locator(".cl-paper, button, input")).to_have_count(0)
            assert axe(page, ROOT) == []
            assert overflowing(page, ROOT) == []
            assert complaints == []
