"""The page of all devices, and the commands that make it: read by a parser, as a browser and a screen reader would."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from workbench.comparing.all_devices import describe_model_errors, known_devices
from workbench.errors import WorkbenchError
from workbench.measuring.recordings import load_recordings
from workbench.pages.comparison_page import comparison_html, write_comparison_page


class Reader(HTMLParser):
    """Texts, and attributes of every element."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.text: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def said(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.text))


@pytest.fixture(scope="module")
def page() -> str:
    return comparison_html(recordings=load_recordings())


def test_it_names_every_device_with_the_origin_of_its_figures(page: str):
    said = Reader(page).said()
    for recording in load_recordings():
        assert recording.card.name in said
    for phase in ("inference", "training"):
        found = known_devices(phase=phase).best_of_each()
        for row in found.rows(1):
            assert row.name in said
        for sentence in found.sentences(64):
            assert re.sub(r"\s+", " ", sentence) in said
    assert said.count("modelled") > 20
    assert describe_model_errors(load_recordings()) in said
    assert "does not fit: memory" in said  # training on a microcontroller


def test_it_needs_nothing_from_elsewhere_and_every_chart_has_words(page: str):
    elements = Reader(page).elements
    assert not [attributes for name, attributes in elements if name in ("script", "link", "iframe")]
    sources = [attributes.get("src") or attributes.get("href") or "" for _, attributes in elements]
    assert not [source for source in sources if source.startswith(("http", "//"))]
    charts = [attributes for name, attributes in elements if name == "svg"]
    assert len(charts) == 4
    assert all("by batch size" in (chart["aria-label"] or "") for chart in charts)
    identities = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(identities) == len(set(identities))


def test_a_broken_file_is_reported_on_the_page(tmp_path: Path):
    source = next(recording for recording in load_recordings() if not recording.measurements)
    (tmp_path / "board.json").write_text(json.dumps(source.to_mapping()))
    (tmp_path / "broken.json").write_text("{")
    skipped: list[str] = []
    recordings = load_recordings(tmp_path, skipped=skipped)
    write_comparison_page(tmp_path / "page.html", recordings=recordings, notes=skipped)
    said = Reader((tmp_path / "page.html").read_text(encoding="utf-8")).said()
    assert "Left out" in said
    assert "broken.json" in said
    assert len(skipped) == 1
    assert "No device here was measured" in said


def test_without_a_device_there_is_no_page(tmp_path: Path):
    with pytest.raises(WorkbenchError, match="no device to compare"):
        write_comparison_page(tmp_path / "page.html", recordings=())
    assert list(tmp_path.iterdir()) == []
