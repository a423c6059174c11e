"""Recording this machine, and comparing it with known devices."""

import json
import signal
import time
from functools import partial
from typing import get_args

from cli.command import last_json, start

from workbench.cli import compare
from workbench.comparing.metrics import METRICS
from workbench.comparing.recorder import record_machine
from workbench.comparing.sweeps import LARGEST_BATCH
from workbench.folders import DEVICES, REFERENCE
from workbench.inference.predictor import Predictor
from workbench.machine.devices import find_device
from workbench.measuring.measurement import Phase
from workbench.measuring.recordings import file_name, read_recording
from workbench.training.models import ZOO


def test_this_machine_is_recorded_and_compared(workbench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # The other networks are recorded in test_recordings.py, where only PyTorch and ONNX Runtime are.
    monkeypatch.setattr("workbench.comparing.recorder.record_machine", partial(record_machine, models=()))
    (tmp_path / "mine").mkdir()
    code, printed, text = workbench(
        "record", "--out", "mine/here.json", "--batch-size", "1", "--seconds", "0.01", "--device", "cpu"
    )
    assert code == 0, text
    assert "inference of the reference network, batch 1" in printed
    assert "Saved: mine/here.json" in printed
    # A processor without the instructions for it does not answer in int8 as the network should, and is not timed.
    able = Predictor.from_bundle(REFERENCE, "onnx-int8").self_test().passed
    assert ("onnx-int8 on cpu does not answer like the reference network" in " ".join((printed + text).split())) != able
    code, printed, _ = workbench("compare", "--folder", "mine", "--batch-size", "1", "--all")
    assert code == 0
    assert ("onnx-int8, 1 thread" in printed) == able
    assert "onnx fp32, 1 thread" in printed
    assert (tmp_path / "runs" / "devices.html").is_file()
    answer = last_json(workbench("compare", "--metric", "throughput", "--page", "page.html", "--json")[1])
    assert {row["origin"] for row in answer["measurements"]} == {"recorded", "modelled"}
    assert {row["batch_size"] for row in answer["measurements"]} == {1, 64}
    assert answer["sentences"]
    assert (tmp_path / "page.html").is_file()


def test_an_interrupted_recording_keeps_what_was_measured(tmp_path):
    run = start("record", "--out", str(tmp_path / "here.json"), "--device", "cpu", "--seconds", "0.05")
    unfinished = tmp_path / "here-unfinished.json"
    for _ in range(3_000):
        if unfinished.exists() or run.poll() is not None:
            break
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    errors = run.communicate(timeout=60)[1]
    assert run.returncode == 130
    assert f"Stopped. The measurements so far are in {unfinished}" in errors
    assert [path.name for path in tmp_path.iterdir()] == [unfinished.name]
    assert read_recording(unfinished).measurements


def test_an_additional_file_is_compared_with_the_known_devices(workbench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known = DEVICES / "raspberry-pi-5.json"
    (tmp_path / "pi.json").write_bytes(known.read_bytes())
    code, printed, _ = workbench("compare", "--with", "pi.json")
    assert code == 0
    assert "(raspberry-pi-5)" in printed
    assert "(pi)" in printed
    assert "(raspberry-pi-5)" not in workbench("compare", "--with", known)[1]  # the same file is one device
    code, _, text = workbench("compare", "--with", "missing.json")
    assert code == 2
    assert "missing.json is not a recorded device" in text


def test_an_existing_recording_is_not_replaced(workbench, monkeypatch, tmp_path):
    monkeypatch.setattr("workbench.measuring.recordings.DEVICES", tmp_path)
    there = tmp_path / f"{file_name(find_device('cpu').description)}.json"
    there.write_text("{}")
    code, _, text = workbench("record", "--device", "cpu")
    assert (code, there.read_text()) == (2, "{}")
    assert "already exists" in text
    (tmp_path / "mine-unfinished.json").write_text("{}")
    code, _, text = workbench("record", "--device", "cpu", "--out", tmp_path / "mine.json")
    assert (code, (tmp_path / "mine-unfinished.json").read_text()) == (2, "{}")
    assert "is left from an interrupted recording" in text
    assert workbench("record", "--device", "cpu", "--out", tmp_path / "a-unfinished.json")[0] == 2
    code, _, text = workbench("compare", "--page", there)
    assert (code, there.read_text()) == (2, "{}")
    assert "name an HTML file" in text
    code, _, text = workbench("record", "--device", "cpu", "--out", "/dev/null")
    assert code == 2
    assert "not a regular file" in text


def test_devices_without_common_measurements_are_compared(workbench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    board = DEVICES / "raspberry-pi-5.json"
    for number in range(15):
        values = json.loads(board.read_text(encoding="utf-8"))
        values["card"]["name"] = f"Board {number}"
        (tmp_path / "mine" / f"{number}.json").write_text(json.dumps(values))
    (tmp_path / "mine" / "\x1b[31mred.json").write_text("{")
    code, printed, text = workbench("compare", "--folder", "mine", "--batch-size", "3")
    assert (code, text) == (0, "")
    assert printed.count("Board 14") >= 1
    assert "\x1b" not in printed
    page = (tmp_path / "runs" / "devices.html").read_text(encoding="utf-8")
    assert "The best 12; 3 more are in the tables." in page
    (tmp_path / "file").write_text("")
    code, printed, text = workbench("compare", "--folder", "mine", "--page", "file/page.html")
    assert code == 2
    assert "Cannot write file/page.html" in text
    assert "Board 14" in printed


def test_options_stated_without_torch_match_what_they_stand_for():
    assert compare.LARGEST_BATCH == LARGEST_BATCH
    assert get_args(compare.Phases) == get_args(Phase)
    assert get_args(compare.Models) == ZOO
    assert get_args(compare.Metrics) == tuple(METRICS)
