"""Thirty machines of a class, two of their files broken, become one page."""

from __future__ import annotations

import json
import random
from html import escape
from pathlib import Path

import pytest

from workbench.classroom.room import room_html, write_room_page
from workbench.errors import WorkbenchError
from workbench.recordings import FOLDER, load_recordings

REAL = FOLDER / "amd-epyc-zen5-2-cores.json"


def room(folder: Path, count: int = 30) -> Path:
    """So many recordings made from the real one, each at a speed of its own; the second and the last are broken."""
    draw = random.Random(0)
    folder.mkdir(parents=True, exist_ok=True)
    real = json.loads(REAL.read_text())
    for place in range(count):
        made = json.loads(json.dumps(real))
        made["card"]["name"] = f"Laptop {place:02} of a student <b>" if place % 3 else "The same laptop"
        slower = draw.lognormvariate(1, 0.7)
        for measurement in made["measurements"]:
            measurement["device"] = made["card"]["name"]
            latency = measurement["latency"]
            for name in ("p50", "p90", "p99", "mean", "minimum", "maximum", "first"):
                if name in latency:
                    latency[name] *= slower
        text = json.dumps(made)
        if place == 1:
            text = text[: len(text) // 2]
        (folder / f"laptop-{place:02}.json").write_text(
            text if place != count - 1 else '{"format": "of another program"}'
        )
    return folder


def test_it_tells_them_apart_and_names_what_it_leaves_out(tmp_path: Path) -> None:
    said = write_room_page(tmp_path / "room.html", room(tmp_path / "room"))
    page = (tmp_path / "room.html").read_text(encoding="utf-8")
    assert said[0] == "28 devices of this room recorded how they answer."
    recordings = load_recordings(tmp_path / "room", skipped=[])
    assert len(recordings) == 28
    for recording in recordings:
        assert page.count(escape(recording.card.name, quote=False)) >= 2  # the table and the chart's text
    assert "<b>" not in page
    assert page.count("laptop-01.json") == page.count("laptop-29.json") == 1
    assert "Left out: 2" in page
    assert sum(sentence.startswith("Left out: ") for sentence in said) == 2
    quickest = min(
        (m.latency.p50, recording.card.name)
        for recording in recordings
        for m in recording.measurements
        if (m.phase, m.batch_size, m.model) == ("inference", 1, "convnet")
    )
    assert f"One picture at a time, {quickest[1]} is the quickest" in said[1]
    first_row = page[page.index("<tbody") :].partition("</th>")[0]
    assert first_row.endswith(f">{escape(quickest[1], quote=False)}")
    assert "http" not in page.replace("http://www.w3.org", "")


def test_a_card_alone_is_no_recording_of_the_room(tmp_path: Path) -> None:
    page, said = room_html(load_recordings())
    assert said[0] == "3 devices of this room recorded how they answer."
    assert "Raspberry Pi 5, 8 GB (raspberry-pi-5.json) has no recorded answer of convnet." in page


def test_nothing_to_compare_is_told(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="There are no recorded devices at"):
        write_room_page(tmp_path / "room.html", tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(WorkbenchError, match=r"There is no recording to compare: have each machine run"):
        write_room_page(tmp_path / "room.html", tmp_path / "empty")
    (tmp_path / "empty" / "x.json").write_text("[]")
    with pytest.raises(WorkbenchError, match=r"have each machine run `workbench record`\. .*x\.json"):
        write_room_page(tmp_path / "room.html", tmp_path / "empty")
    assert not (tmp_path / "room.html").exists()
