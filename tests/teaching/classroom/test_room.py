"""One page for the thirty recordings of a class, two of them broken."""

from __future__ import annotations

import json
import random
from html import escape
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.folders import DEVICES
from workbench.measuring.recordings import load_recordings
from workbench.teaching.classroom.room import room_html, write_room_page

REAL = DEVICES / "amd-epyc-zen5-2-cores.json"


def room(folder: Path, count: int = 30) -> Path:
    """`count` recordings made from the real one, each with its own speed; the second and the last are broken."""
    draw = random.Random(0)
    folder.mkdir(parents=True, exist_ok=True)
    real = json.loads(REAL.read_text())
    for number in range(count):
        made = json.loads(json.dumps(real))
        made["card"]["name"] = f"Laptop {number:02} of a student <b>" if number % 3 else "The same laptop"
        slower = draw.lognormvariate(1, 0.7)
        for measurement in made["measurements"]:
            measurement["device"] = made["card"]["name"]
            latency = measurement["latency"]
            for name in ("p50", "p90", "p99", "mean", "minimum", "maximum", "first"):
                if name in latency:
                    latency[name] *= slower
        text = json.dumps(made)
        if number == 1:
            text = text[: len(text) // 2]
        (folder / f"laptop-{number:02}.json").write_text(
            text if number != count - 1 else '{"format": "of another program"}'
        )
    return folder


def test_the_page_lists_every_device_and_names_the_files_left_out(tmp_path: Path) -> None:
    sentences = write_room_page(tmp_path / "room.html", room(tmp_path / "room"))
    page = (tmp_path / "room.html").read_text(encoding="utf-8")
    assert sentences[0] == "Inference was recorded on 28 devices in this room."
    recordings = load_recordings(tmp_path / "room", skipped=[])
    assert len(recordings) == 28
    for recording in recordings:
        assert page.count(escape(recording.card.name, quote=False)) >= 2  # the table and the chart's text
    assert "<b>" not in page
    assert page.count("laptop-01.json") == page.count("laptop-29.json") == 1
    assert "Left out: 2" in page
    assert sum(sentence.startswith("Left out: ") for sentence in sentences) == 2
    fastest = min(
        (m.latency.p50, recording.card.name)
        for recording in recordings
        for m in recording.measurements
        if (m.phase, m.batch_size, m.model) == ("inference", 1, "convnet")
    )
    assert f"One image at a time, {fastest[1]} is the fastest" in sentences[1]
    first_row = page[page.index("<tbody") :].partition("</th>")[0]
    assert first_row.endswith(f">{escape(fastest[1], quote=False)}")
    assert "http" not in page.replace("http://www.w3.org", "")


def test_a_device_card_without_measurements_is_left_out(tmp_path: Path) -> None:
    page, sentences = room_html(load_recordings())
    assert sentences[0] == "Inference was recorded on 3 devices in this room."
    assert "Raspberry Pi 5, 8 GB (raspberry-pi-5.json) has no recorded inference with convnet." in page


def test_nothing_to_compare_is_reported(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="There are no recorded devices at"):
        write_room_page(tmp_path / "room.html", tmp_path / "none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        WorkbenchError, match=r"There is no recording to compare: run `workbench record` on each machine"
    ):
        write_room_page(tmp_path / "room.html", tmp_path / "empty")
    (tmp_path / "empty" / "x.json").write_text("[]")
    with pytest.raises(WorkbenchError, match=r"run `workbench record` on each machine\. .*x\.json"):
        write_room_page(tmp_path / "room.html", tmp_path / "empty")
    assert not (tmp_path / "room.html").exists()
