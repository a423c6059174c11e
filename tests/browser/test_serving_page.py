"""The application's page in a browser, sent by the application itself, started as a user starts it."""

from __future__ import annotations

import base64
import io
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser.lab import chromium, complaints_of
from browser.pages import axe, overflowing, smallest_text
from PIL import Image
from playwright.sync_api import expect
from serving.application import Application, another, application

from workbench.bundle.images import read_image
from workbench.bundle.manifest import read_bundle
from workbench.bundle.preprocessing import fit_image
from workbench.folders import REFERENCE
from workbench.inference.predictor import Predictor
from workbench.units import format_share

INVITING = "Draw something, or choose an image."
STOPPED = "The application does not answer; is it still running?"
# What the page asks, as it asks it: all bodies, how many wait for their answer, and how many did so at most.
WATCH = """
Object.assign(window, {bodies: [], waiting: 0, most: 0, changed: 0});
const ask = window.fetch;
window.fetch = async (address, options) => {
  if (address !== "classify") return ask(address, options);
  window.bodies.push(options.body);
  window.most = Math.max(window.most, ++window.waiting);
  try { return await ask(address, options); } finally { window.waiting -= 1; window.changed = performance.now(); }
};
"""
LAST = """async () => {
  const bytes = new Uint8Array(await window.bodies.at(-1).arrayBuffer());
  return btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(""));
}"""
# As the browser hands over files that are dropped or pasted.
HAND_OVER = """([kind, files]) => {
  const data = new DataTransfer();
  for (const [name, type, text] of files) {
    data.items.add(new File([Uint8Array.from(atob(text), letter => letter.charCodeAt(0))], name, {type}));
  }
  const options = {bubbles: true, cancelable: true};
  const paper = document.querySelector(".cl-paper");
  if (kind === "drop") paper.dispatchEvent(new DragEvent("dragover", {...options, dataTransfer: data}));
  paper.dispatchEvent(kind === "drop" ? new DragEvent(kind, {...options, dataTransfer: data})
    : new ClipboardEvent(kind, {...options, clipboardData: data}));
}"""


@pytest.fixture(scope="module")
def served() -> Iterator[Application]:
    with application() as running:
        yield running


@contextmanager
def visited(
    browser: str, served: Application, *, width: int = 1200, system: str = "light", before: Any = None, **more: Any
) -> Iterator[tuple[Any, list[str]]]:
    """The page, and what it complains of: a breach of its own policy too, and whatever it asks of others."""
    with chromium(browser) as running:
        context = running.new_context(viewport={"width": width, "height": 900}, color_scheme=system, **more)
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.add_init_script(WATCH)
        complaints = complaints_of(page)
        ours = (served.address, "data:", "blob:")
        page.on("request", lambda asked: None if asked.url.startswith(ours) else complaints.append(asked.url))
        if before is not None:
            before(page)
        page.goto(served.address)
        page.locator("#pens input").last.wait_for()
        yield page, complaints


def answered(page: Any, act: Callable[[], object]) -> tuple[str, list[str]]:
    """What the page says after something was done, once all is answered: the sentence and the notes.

    What it shows is checked against a Predictor's answer to the very bytes that were sent.
    """
    before = page.evaluate("bodies.length")
    act()
    quiet = "before => bodies.length > before && !waiting && performance.now() - changed > 600"
    page.wait_for_function(quiet, arg=before)
    image = fit_image(read_image(base64.b64decode(page.evaluate(LAST))).pixels, read_bundle(REFERENCE).preprocessing)
    predictor = Predictor.from_bundle(REFERENCE, "onnx", threads=1)
    expected = dict(zip(predictor.labels, predictor(image[None])[0], strict=True))
    shown = dict(page.evaluate("[...document.querySelectorAll('#bars li')].map(row => row.innerText.split(/\\n+/))"))
    assert shown.keys() == expected.keys()
    for label, probability in expected.items():
        assert shown[label] in {format_share(min(1.0, abs(float(probability) + rest))) for rest in (-1e-6, 0.0, 1e-6)}
    numbers = [percent(text) for text in shown.values()]
    assert numbers == sorted(numbers, reverse=True)
    sentence = page.locator("#sentence").inner_text()
    assert sentence.startswith(f"It says: {max(expected, key=lambda label: expected[label])}, ")
    return sentence, page.locator("#notes li").all_inner_texts()


def percent(text: str) -> float:
    number = float(text.strip("<%\N{NO-BREAK SPACE}"))
    return number / 2 if text.startswith("<") else number


def stroke(page: Any, *points: tuple[float, float], lift: bool = True) -> None:
    page.locator(".cl-paper").scroll_into_view_if_needed()
    box = page.locator(".cl-paper").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for x, y in places[1:]:
        page.mouse.move(x, y, steps=8)
    if lift:
        page.mouse.up()


def photograph(seed: int, size: tuple[int, int] = (90, 70), mode: str = "RGB") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 255, (*size, len(mode)), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels, mode).save(file, "PNG")
    return file.getvalue()


def handed(name: str, content: bytes, kind: str = "image/png") -> tuple[str, str, str]:
    return name, kind, base64.b64encode(content).decode("ascii")


def alert(page: Any) -> Any:
    return page.get_by_role("alert")


def test_a_drawing_is_answered_while_it_is_drawn(browser: str, served: Application) -> None:
    with visited(browser, served) as (page, complaints):
        assert page.locator("#sentence").inner_text() == INVITING
        stroke(page, (0.2, 0.5), (0.8, 0.5), (0.8, 0.8), lift=False)
        page.get_by_text("It says:").first.wait_for()
        half = page.evaluate("bodies.length")
        first, notes = answered(page, lambda: page.mouse.move(400, 400, steps=20))
        page.mouse.up()
        assert notes == []
        assert page.evaluate("half => [bodies.length > half, most]", half) == [True, 1]
        answered(page, lambda: stroke(page, (0.3, 0.2), (0.4, 0.9)))
        page.wait_for_function(
            "() => ['#announcement', '#sentence'].map(id => document.querySelector(id).textContent)"
            ".every((text, _, [first]) => text === first)"
        )
        assert answered(page, lambda: page.get_by_role("button", name="Undo").click())[0] == first

        times = page.locator("#times > div").all_inner_texts()
        assert [len(re.findall(r"measured just now by (this page|the server)", text)) for text in times] == [1, 1, 1]
        assert all(re.search(r"\d\N{NO-BREAK SPACE}[mµ]?s\b", text) for text in times)
        seconds = page.evaluate(
            "[...document.querySelectorAll('#split span')].map(part => Number(part.style.flexGrow))"
        )
        assert sum(seconds) == pytest.approx(1, abs=1e-3)

        page.get_by_role("button", name="Clear").click()
        assert page.locator("#sentence").inner_text() == INVITING
        assert page.locator("#bars .number").all_inner_texts() == ["–"] * 10
        assert complaints == []


def test_images_that_are_there_already(browser: str, served: Application, tmp_path: Path) -> None:
    labels = [entry["label"] for entry in read_bundle(REFERENCE).manifest["self_test"]]
    file = tmp_path / "cat.png"
    file.write_bytes(photograph(1, mode="RGBA"))
    with visited(browser, served) as (page, complaints):
        examples = page.locator("#examples button")
        expect(examples).to_have_count(len(labels))
        assert answered(page, examples.nth(1).click)[1] == [f"Its label is {labels[1]}."]
        sent = read_image(base64.b64decode(page.evaluate(LAST))).pixels
        np.testing.assert_array_equal(sent, read_bundle(REFERENCE).self_test_images[1])
        assert answered(page, lambda: stroke(page, (0.2, 0.5), (0.8, 0.5)))[1] == []  # drawn upon, it is another

        picked = answered(page, lambda: page.get_by_label("Pick a file").set_input_files(file))
        assert picked[1] == ["Transparency laid over white"]
        dropped = answered(page, lambda: page.evaluate(HAND_OVER, ["drop", [handed("a.png", photograph(2))]]))
        several = [handed("a.png", photograph(3)), handed("b.png", photograph(4))]
        pasted = answered(page, lambda: page.evaluate(HAND_OVER, ["paste", several]))
        assert dropped[1] == []
        assert pasted[1] == ["This is the first of 2 files."]
        answered(page, lambda: page.evaluate(HAND_OVER, ["drop", [handed("a.png", photograph(5, (40, 300)))]]))
        assert complaints == []


def test_by_keyboard_alone(browser: str, served: Application) -> None:
    def step() -> str:
        """The next stop of the Tab key, which is to be seen as such."""
        page.keyboard.press("Tab")
        return page.evaluate("""() => {
            const stop = document.activeElement;
            const ringed = [stop, stop.closest("label"), stop.nextElementSibling].filter(Boolean);
            if (!ringed.some(each => getComputedStyle(each).outlineStyle === "solid")) return stop.outerHTML;
            return stop.getAttribute("aria-label") ?? stop.id ?? stop.localName;
        }""")

    with visited(browser, served) as (page, complaints):
        assert step() == "Paper to draw on"

        def draw() -> None:
            page.keyboard.down(" ")
            for _ in range(10):
                page.keyboard.press("ArrowRight")
            page.keyboard.press("Shift+ArrowDown")
            page.keyboard.up(" ")

        first, _ = answered(page, draw)
        page.keyboard.press("ArrowUp")  # without Space the pen moves and does not draw
        stops = [step() for _ in range(5)]
        assert stops == ["black", "width", "undo", "clear", "file"]
        for _ in range(4):
            page.keyboard.press("Shift+Tab")
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "white"
        page.keyboard.press("Shift+Tab")
        assert answered(page, draw)[0] != ""
        assert [step() for _ in range(5)] == ["white", "width", "undo", "clear", "file"]
        assert step().startswith("Example 1")
        assert answered(page, lambda: page.keyboard.press("Enter"))[0] != first
        stops = [step() for _ in range(11)]
        assert stops[8].startswith("Example 10")
        page.keyboard.press("Shift+Tab")
        page.keyboard.press("Enter")
        assert not page.get_by_text("Hyper-parameters").is_visible()
        assert complaints == []


def test_what_goes_wrong_is_reported(browser: str, served: Application, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("dear diary")
    (tmp_path / "big.png").write_bytes(bytes(9_000_000))
    busy = {"left": 0}

    def turn_away(route: Any) -> None:
        if not busy["left"]:
            route.continue_()
            return
        busy["left"] -= 1
        route.fulfill(status=503, headers={"Retry-After": "2"}, json={"detail": "Too much at once."})

    with visited(browser, served, before=lambda page: page.route("**/classify", turn_away)) as (page, complaints):
        picker = page.get_by_label("Pick a file")
        answered(page, page.locator("#examples button").nth(0).click)
        picker.set_input_files(tmp_path / "notes.txt")
        alert(page).get_by_text("notes.txt: is text, not an image in PNG, JPEG, WebP, GIF or BMP format.").wait_for()
        assert page.locator("#sentence").inner_text() == "No answer to this image."
        assert len(complaints) == 1  # Chromium tells each answer of 400 and more
        complaints.clear()

        asked = page.evaluate("bodies.length")
        picker.set_input_files(tmp_path / "big.png")
        alert(page).get_by_text("big.png has 9.00\N{NO-BREAK SPACE}MB, more than the limit of 8.39").wait_for()
        page.evaluate(HAND_OVER, ["drop", []])
        alert(page).get_by_text("What was dropped is no file.").wait_for()
        page.evaluate(HAND_OVER, ["paste", []])
        alert(page).get_by_text("The clipboard holds no image.").wait_for()
        assert page.evaluate("bodies.length") == asked

        busy["left"] = 2
        page.locator("#examples button").nth(2).click()
        alert(page).get_by_text("The server is busy. Asking again in 2 seconds.").wait_for()
        page.get_by_text("Its label is horse.").wait_for()  # the third time it was answered
        assert alert(page).inner_text() == ""
        assert len(complaints) == 2
        complaints.clear()

        busy["left"] = 1
        stroke(page, (0.2, 0.5), (0.8, 0.5))
        alert(page).get_by_text("busy").wait_for()
        page.get_by_role("button", name="Clear").click()
        asked = page.evaluate("bodies.length")
        page.wait_for_timeout(2_500)
        assert page.evaluate("bodies.length") == asked  # what was cleared is not asked again
        assert page.locator("#sentence").inner_text() == INVITING


def test_an_application_that_was_stopped_and_one_that_was_swapped(browser: str, tmp_path: Path) -> None:
    with application() as own, visited(browser, own) as (page, complaints):
        example = page.locator("#examples button").nth(0)
        answered(page, example.click)
        other = another(tmp_path / "other")
        command = [sys.executable, "-m", "workbench", "swap", str(tmp_path / "other"), "--port", str(own.port)]
        subprocess.run(command, check=True, capture_output=True)
        answered(page, example.click)
        page.locator("#facts").get_by_text(other.version).wait_for()
        assert complaints == []

        own.stop()
        stroke(page, (0.2, 0.5), (0.8, 0.5))
        alert(page).get_by_text(STOPPED).wait_for()
        assert page.locator("#sentence").inner_text() == "No answer to this image."
        asked = page.evaluate("bodies.length")
        page.get_by_role("button", name="Try again").click()
        page.wait_for_function("asked => bodies.length > asked && !waiting", arg=asked)
        alert(page).get_by_text(STOPPED).wait_for()


@pytest.mark.parametrize(
    ("width", "system", "more"),
    [
        (1200, "light", {}),
        (700, "dark", {}),
        (360, "light", {"has_touch": True, "is_mobile": True}),
        (360, "dark", {"reduced_motion": "reduce"}),
    ],
)
def test_how_it_looks(browser: str, served: Application, width: int, system: str, more: dict[str, Any]) -> None:
    def sound() -> None:
        assert axe(page, "main") == []
        assert overflowing(page, "main") == []
        assert smallest_text(page, "main") >= 12
        assert page.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [width, width]

    with visited(browser, served, width=width, system=system, **more) as (page, complaints):
        page.locator("#examples img").last.wait_for()
        assert page.locator("#facts").is_visible() == (width >= 900)
        sound()
        if "has_touch" in more:
            answered(page, lambda: page.touchscreen.tap(180, 300))  # on the paper
            assert page.locator("#sentence").evaluate("told => told.getBoundingClientRect().bottom < innerHeight")
        page.locator("#card").evaluate("card => { card.open = true; }")
        page.locator("#examples button").nth(1).click()
        page.get_by_text("It says: dog").first.wait_for()
        if "reduced_motion" in more:
            assert page.evaluate("document.getAnimations().length") == 0
        page.wait_for_timeout(500)
        sound()
        page.evaluate(HAND_OVER, ["drop", []])
        sound()
        assert complaints == []


def test_white_on_black_where_the_network_learned_it_so(browser: str, served: Application) -> None:
    def darker(route: Any) -> None:
        text = route.fetch().json()
        text["input"]["mean"] = [0.13]
        route.fulfill(json=text)

    with visited(browser, served, before=lambda page: page.route("**/card", darker)) as (page, _):
        answered(page, lambda: stroke(page, (0.2, 0.5), (0.8, 0.5)))
        pixels = read_image(base64.b64decode(page.evaluate(LAST))).pixels
        assert pixels[10, 10].max() == 0
        assert pixels[160, 160].min() == 255


def test_in_the_frame_of_another_page(browser: str, served: Application, tmp_path: Path) -> None:
    around = tmp_path / "around.html"
    around.write_text(f'<!doctype html><iframe src="{served.address}" width="700" height="600"></iframe>')
    with chromium(browser) as running:
        page = running.new_page()
        complaints = complaints_of(page)
        page.goto(around.as_uri())
        frame = page.frame_locator("iframe")
        frame.locator("#examples button").nth(1).click()
        frame.get_by_text("It says: dog").first.wait_for()
        assert complaints == []
