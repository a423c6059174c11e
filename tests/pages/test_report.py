"""The report is one sound page: whole, self-contained, escaped, described in words, and its numbers are the run's.

Covers: run_summary, sections.
"""

from __future__ import annotations

import base64
import io
import os
import re
import shutil
from collections import Counter
from dataclasses import replace
from datetime import datetime
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from workbench.bundle.parity import Parity
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.measuring.measurement import Latency, Measurement
from workbench.pages.report import report_html, write_report
from workbench.pages.run_summary import ParityRow, RunSummary, StepTime
from workbench.training.evaluation import Evaluation, evaluate
from workbench.training.records import Record

LABELS = ("cat", "dog", "horse", "cow")
HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "a&amp;b $\\frac{$", "\x00\ud800\u732b")
VOID = {"meta", "img", "br"}


class Page(HTMLParser):
    """What a reader's browser would find: elements with their attributes, and the text inside of each section."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.section = ""
        self.texts: dict[str, str] = {}
        self.cells: dict[str, list[list[str]]] = {}
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "section":
            self.section = str(dict(attrs)["id"])
        elif tag == "tr":
            self.cells.setdefault(self.section, []).append([])
        elif tag in ("th", "td"):
            self.cells[self.section][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            return
        said = data.replace("\N{NO-BREAK SPACE}", " ")
        self.texts[self.section] = self.texts.get(self.section, "") + said
        if "th" in self.open or "td" in self.open:
            self.cells[self.section][-1][-1] += said

    def attributes(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def _evaluation(count: int, labels: tuple[str, ...] = LABELS, seed: int = 0) -> Evaluation:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.arange(count) % len(labels)
    logits = torch.randn(count, len(labels), generator=generator)
    logits[torch.arange(count), truth] += 2.0
    return evaluate(logits.softmax(1), truth, labels)


def _images(count: int, size: int = 16, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, channels), dtype=np.uint8)


def _records(epochs: int = 3, validated: bool = True) -> list[Record]:
    return [
        Record(
            kind="epoch",
            epoch=epoch,
            epochs=epochs,
            step=10 * epoch,
            steps=10 * epochs,
            loss=1 / epoch,
            accuracy=1 - 0.5 / epoch,
            validation_loss=1.1 / epoch if validated else None,
            validation_accuracy=1 - 0.6 / epoch if validated else None,
            learning_rate=0.1,
            seconds=2.5 * epoch,
            images_per_second=5432.0,
            memory_bytes=612_000_000,
            device="cpu",
            precision="bf16",
        )
        for epoch in range(1, epochs + 1)
    ]


def _parity(agreement: float, largest_difference: float | None = 3e-7) -> Parity:
    return Parity(
        images=200,
        largest_difference=largest_difference,  # type: ignore[arg-type]
        agreement=agreement,
        clear_changes=0,
        accuracy=0.81,
        reference_accuracy=0.82,
    )


def _row(engine: str, batch_size: int, p50: float) -> Measurement:
    return Measurement(
        phase="inference",
        model="convnet",
        device="box",
        kind="cpu",
        engine=engine,
        precision="fp32",
        threads=batch_size // 64 + 1,
        batch_size=batch_size,
        latency=Latency(p50=p50, p90=1.25 * p50, p99=2 * p50, count=1234, warm_up=0.1),
    )


def _summary(**changes: Any) -> RunSummary:
    steps = ("hyper-parameters", "training", "weight saving", "CPU inference", "export")
    base = RunSummary(
        data="farm",
        images={"training": 1000, "validation": 100, "test": 200, "new": 20},
        model="convnet",
        parameters=94_762,
        device="2 cores of a CPU",
        hyperparameters=HyperParameters(epochs=3),
        steps=[StepTime(name=name, seconds=3.0 + i, device="cpu", detail="done") for i, name in enumerate(steps)],
        records=_records(),
        test=_evaluation(200),
        test_images=torch.from_numpy(_images(200)),
        new=_evaluation(20, seed=1),
        new_images=_images(20, seed=1),
        sizes={"resume point": 783_221, "weights": 384_980, "bundle": 12_000_000},
        latencies=[_row("eager", 1, 489e-6), _row("onnx", 1, 93e-6), _row("eager", 64, 17.2e-3)],
        parity=[
            ParityRow(engine="onnx", parity=_parity(1.0)),
            ParityRow(engine="onnx-int8", parity=_parity(0.97), left_out="its answers differ too often"),
            ParityRow(engine="compiled", parity=None, left_out="no compiler was found"),
            ParityRow(engine="half", parity=_parity(0.5, None), left_out="some are not numbers"),
        ],
        notes=("cat/broken.jpg: damaged; skipped.",),
        versions={"torch": "2.15.0"},
        machine="2 cores of a CPU, 8 GB",
        created=datetime(2026, 3, 14, 9, 26),
    )
    return replace(base, **changes)


def _hostile() -> RunSummary:
    bad = HOSTILE[0]
    return _summary(
        data=bad,
        model=HOSTILE[1],
        device=bad,
        machine=bad,
        test=_evaluation(200, HOSTILE),
        new=_evaluation(20, HOSTILE, seed=1),
        notes=HOSTILE,
        versions={bad: bad},
        sizes={bad: 10, HOSTILE[3]: 20},
        steps=[StepTime(name=bad, seconds=1.0, device=bad, detail=HOSTILE[1])],
        latencies=[replace(_row("eager", 1, 1e-3), engine=bad)],
        parity=[ParityRow(engine=bad, parity=None, left_out=HOSTILE[1])],
    )


_NOTHING: dict[str, Any] = {"sizes": {}, "latencies": (), "parity": (), "notes": (), "versions": {}, "records": ()}
UNUSUAL: dict[str, dict[str, Any]] = {
    "nothing but training": {"new": None, "new_images": None} | _NOTHING,
    "no validation, an empty file": {"records": _records(validated=False), "sizes": {"weights": 10, "nothing": 0}},
    "grey, one epoch, one size": {
        "test_images": _images(200, channels=1),
        "new_images": _images(20, channels=1),
        "records": _records(1),
        "sizes": {"weights": 10},
    },
    "all right": {"test": evaluate(torch.eye(4)[torch.arange(200) % 4], torch.arange(200) % 4, LABELS)} | _NOTHING,
    "many classes": {"test": _evaluation(200, tuple(f"kind {k}" for k in range(60)))} | _NOTHING,
}


@cache
def _usual() -> Page:
    return Page(report_html(_summary()))


@pytest.mark.parametrize(
    "run", [_summary(), _hostile(), *(_summary(**changes) for changes in UNUSUAL.values())],
    ids=["usual", "hostile", *UNUSUAL],
)  # fmt: skip
def test_page_is_sound_and_needs_nothing_from_outside(run: RunSummary) -> None:
    text = report_html(run)
    text.encode("utf-8")
    found = Page(text)
    assert found.attributes("html")[0]["lang"] == "en"
    assert not {"script", "iframe", "object", "link", "base"} & {name for name, _ in found.elements}
    assert not [key for _, attributes in found.elements for key in attributes if key.startswith("on")]
    for name, attributes in found.elements:
        for key in ("src", "href"):
            assert (attributes.get(key) or "#").startswith(("#", "data:image/")), (name, attributes)
    assert not re.search(r"@import|url\((?!#)", text)
    ids = Counter(attributes["id"] for _, attributes in found.elements if "id" in attributes)
    assert max(ids.values()) == 1
    pointed = {str(attributes["href"])[1:] for _, attributes in found.elements if attributes.get("href")}
    assert (pointed | set(re.findall(r"url\(#([^)]+)\)", text))) <= set(ids)


def test_everything_drawn_is_also_said() -> None:
    found = _usual()
    assert all(attributes.get("alt") for attributes in found.attributes("img"))
    charts = found.attributes("svg")
    assert len(charts) == 7
    assert all(attributes["role"] == "img" and len(str(attributes["aria-label"])) > 40 for attributes in charts)
    names = [name for name, _ in found.elements]
    assert names.count("table") == names.count("caption")
    assert all(attributes.get("scope") in ("row", "col") for attributes in found.attributes("th"))
    headings = [name for name in names if name in ("h1", "h2", "h3")]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1


def test_numbers_are_those_of_the_run() -> None:
    run, found = _summary(), _usual()
    accuracy, margin = f"{100 * run.test.accuracy:.1f} %", f"± {100 * run.test.margin:.1f} points"
    top = found.texts[""]
    for said in (accuracy, margin, "200 images", "94,762", "25.0 s", "93.0 µs", "14 March 2026", "1,000 images"):
        assert said in top, said
    assert ["2. training", "4.00 s", "cpu", "done"] in found.cells["steps"]
    recalls = {row["label"]: row for row in run.test.per_class()}
    for label in LABELS:
        recall, precision = (f"{100 * recalls[label][key]:.1f} %" for key in ("recall", "precision"))
        assert [label, "50", recall, precision] in found.cells["confusions"]
    for label, row in zip(LABELS, run.test.confusion.tolist(), strict=True):
        assert [label, *map(str, row)] in found.cells["confusions"]
    assert ["resume point", "783,221", "6.5 %"] in found.cells["sizes"]
    assert "31× the size" in found.texts["sizes"]
    onnx = ["onnx", "1", "1", "93.0 µs", "116 µs", "10,753", "1,234", "measured"]
    assert onnx in found.cells["latency"]
    assert ["onnx", "3e-07", "100.00 %", "81.0 %", "✓ in the bundle"] in found.cells["parity"]
    assert ["onnx-int8", "3e-07", "97.00 %", "81.0 %", "✗ left out: its answers differ too often"] in found.cells[
        "parity"
    ]
    assert ["compiled", "–", "–", "–", "✗ left out: no compiler was found"] in found.cells["parity"]
    assert ["half", "not a number", "50.00 %", "81.0 %", "✗ left out: some are not numbers"] in found.cells["parity"]
    described = HyperParameters.describe()
    assert ["epochs", "3", "12", described["epochs"]["help"]] in found.cells["hyper-parameters"]
    assert len(found.cells["hyper-parameters"]) == len(described) + 1
    assert "cat/broken.jpg: damaged; skipped." in found.texts["data"]
    assert ["torch", "2.15.0"] in found.cells["software"]


def test_wrong_answers_are_marked_by_sign_and_word() -> None:
    run = _summary()
    assert run.new is not None
    found = _usual()
    wrong = int((run.new.predictions != run.new.truth).sum())
    assert 0 < wrong < 20
    assert (found.texts["new"].count("✗"), found.texts["new"].count("✓")) == (wrong, 20 - wrong)
    assert found.texts["new"].count("wrong: it is") == wrong
    assert f"{20 - wrong} named right, {wrong} wrong" in found.texts["new"]
    index = run.test.most_confidently_wrong(1)[0]
    sure = f"{100 * float(run.test.probabilities[index].max()):.0f} %"
    truth, answer = LABELS[int(run.test.truth[index])], LABELS[int(run.test.predictions[index])]
    assert f"✗ {answer} {sure}, wrong: it is {truth}" in found.texts["mistakes"]


def test_images_are_the_images() -> None:
    run = _summary()
    images = _usual().attributes("img")
    shown = [np.asarray(Image.open(io.BytesIO(base64.b64decode(str(a["src"]).split(",")[1])))) for a in images]
    worst = run.test.most_confidently_wrong(16)
    expected = [*np.asarray(run.test_images)[worst], *run.new_images]
    assert len(shown) == len(expected)
    assert all((one == other).all() for one, other in zip(shown, expected, strict=True))


def test_names_are_shown_as_they_are_and_never_run() -> None:
    found = Page(report_html(_hostile()))
    for label in HOSTILE[:3]:
        assert label in found.texts["confusions"]
        assert label in found.texts["data"]
    assert "\ufffd\ufffd\u732b" in found.texts["data"]


def test_a_hundred_photographs_stay_below_two_megabytes(tmp_path: Path) -> None:
    photos = np.stack([np.asarray(Image.effect_noise((224, 224), 60).convert("RGB")) for _ in range(4)])
    run = _summary(
        new=_evaluation(150, seed=1),
        new_images=photos[np.arange(150) % 4],
        test_images=photos[np.arange(200) % 4],
    )
    path = tmp_path / "made" / "report.html"
    write_report(path, run)
    assert path.stat().st_size < 2_000_000
    found = Page(path.read_text(encoding="utf-8"))
    assert "The first 100 are shown" in found.texts["new"]
    assert len(found.attributes("img")) == 116
    assert [entry.name for entry in path.parent.iterdir()] == ["report.html"]


def test_a_page_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WorkbenchError, match="Cannot write"):
        write_report(tmp_path / "file" / "report.html", _summary())


def test_fits_a_phone_in_a_real_browser(tmp_path: Path) -> None:
    browser_path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser_path is None:
        assert os.environ.get("CI") != "true", "CI must have Chromium"
        pytest.skip("no Chromium on this machine")
    sync_api = pytest.importorskip("playwright.sync_api")
    write_report(tmp_path / "report.html", _summary())
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=flags)
        tab = browser.new_page(viewport={"width": 360, "height": 800}, color_scheme="dark")
        requested: list[str] = []
        errors: list[str] = []
        tab.on("request", lambda request: requested.append(request.url))
        tab.on("console", lambda message: errors.append(message.text))
        tab.goto((tmp_path / "report.html").as_uri())
        assert tab.evaluate("document.documentElement.scrollWidth") == 360
        assert tab.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
        assert tab.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(20, 24, 29)"
        # Dark mode reaches the charts: the ink of the first title is the page's.
        ink = "getComputedStyle(document.querySelector('svg text')).fill"
        assert tab.evaluate(ink) == "rgb(230, 237, 243)"
        assert all(url.startswith(("file:", "data:")) for url in requested)
        assert errors == []
        browser.close()
