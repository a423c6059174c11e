"""The command as a user types it: what it prints, what it leaves behind, and how it says no."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workbench.bundle import read_bundle
from workbench.cli import main
from workbench.cli.compare import MANY
from workbench.cli.deliver import _tell
from workbench.devices import find_device
from workbench.hyperparameters import HyperParameters
from workbench.inference import Predictor
from workbench.recorder import record_machine
from workbench.recordings import REFERENCE, file_name, read_recording
from workbench.sweeps import LARGEST_BATCH

COMMANDS = [
    "doctor",
    "devices",
    "train",
    "evaluate",
    "search",
    "export",
    "classify",
    "workflow",
    "lab",
    "record",
    "compare",
    "serve",
    "swap",
    "classroom build",
    "classroom compare",
]


@pytest.fixture
def workbench(capfd, monkeypatch):
    """Runs the command in this process: gives (exit code, stdout, stderr)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["workbench", *map(str, arguments)])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        return code, *capfd.readouterr()

    return run


def process(*arguments, **options):
    """The same in a process of its own."""
    command = [sys.executable, "-c", "from workbench.cli import main; main()", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def last_json(text):
    return json.loads(text.strip().splitlines()[-1])


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A user's own folder: light and dark pictures, and one file that is no picture."""
    folder = tmp_path_factory.mktemp("own") / "my pictures"
    chance = np.random.default_rng(0)
    for label, level in (("light", 170), ("dark", 40)):
        (folder / label).mkdir(parents=True)
        for k in range(60):
            pixels = chance.integers(level, level + 80, (24, 20, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{k}.png")
    (folder / "dark" / "notes.txt").write_text("not a picture")
    return folder


@pytest.fixture(scope="module")
def finished(pictures, tmp_path_factory):
    """The folder of one finished workflow, its JSON and what was told on stderr."""
    out = tmp_path_factory.mktemp("runs") / "mine"
    options = ["--data", pictures, "--out", out, "--epochs", 3, "--set", "width=0.25", "--size", 16, "--json"]
    run = process("workflow", *options)
    printed, told = run.communicate()
    assert run.returncode == 0, told
    return out, last_json(printed), told


def test_a_workflow_leaves_a_whole_run(finished, pictures):
    out, summary, told = finished
    names = {path.name for path in out.iterdir()}
    assert names == {
        *("run.json", "hyperparameters.json", "history.json", "resume.pt", "weights.safetensors"),
        *("bundle", "summary.json", "report.html"),
    }
    assert summary["test_accuracy"] >= 0.9
    assert set(summary["seconds"]) == {
        "data",
        "hyper-parameters",
        "training",
        "weight saving",
        "CPU inference",
        "export",
    }
    assert summary["parity"]["onnx"]["parity"]["largest_difference"] <= 1e-4
    assert summary["sizes"]["weights"] == (out / "weights.safetensors").stat().st_size
    assert summary["sizes"]["bundle"] == sum(
        path.stat().st_size for path in (out / "bundle").rglob("*") if path.is_file()
    )
    assert {(row["engine"], row["batch_size"]) for row in summary["latency"]} >= {
        ("eager", 1),
        ("onnx", 1),
        ("onnx", 64),
    }
    assert HyperParameters.load(out / "hyperparameters.json").width == 0.25
    assert "notes.txt" in told
    assert re.search(r"epoch 3/3: training loss .* validation accuracy .* pictures/s", told)
    assert read_bundle(out / "bundle").labels == ("dark", "light")
    assert str(pictures) not in (out / "bundle" / "manifest.json").read_text()


def test_the_figures_of_a_workflow_are_told_to_a_person(finished, capfd):
    _, summary, _ = finished
    _tell(summary)
    lines = capfd.readouterr().out.strip().splitlines()
    latencies = [line for line in lines if "measured on this CPU" in line]
    assert len(latencies) == len(summary["latency"])
    assert latencies[0].startswith(f"{summary['latency'][0]['engine']}: ")
    assert lines[-1] == f"report: {summary['report']}"


def test_what_is_not_installed_is_named():
    code = "import sys; sys.modules['torch'] = None; from workbench.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "train", "--data", "digits"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "workbench: torch is not installed here: `workbench doctor` says how to add it.\n"
    code = code.replace("'torch'", "'workbench.hyperparameters'")  # ours is never the user's to install
    done = subprocess.run([sys.executable, "-c", code, "train", "--data", "digits"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "this is a bug" in done.stderr
    assert "Traceback" not in done.stderr


def test_evaluate_agrees_with_the_workflow(finished, workbench):
    out, summary, _ = finished
    code, printed, _ = workbench("evaluate", out, "--json")
    assert code == 0
    assert last_json(printed)["accuracy"] == summary["test_accuracy"]
    code, printed, _ = workbench("evaluate", out)
    assert code == 0
    assert "light" in printed
    assert "points, 95 %" in printed


def test_classify_names_what_it_can_and_says_what_it_cannot(finished, pictures, tmp_path, workbench):
    bundle = finished[0] / "bundle"
    good, bad = pictures / "light" / "3.png", tmp_path / "broken.png"
    bad.write_bytes(good.read_bytes()[:50])
    code, printed, _ = workbench("classify", good, "--bundle", bundle)
    assert code == 0
    assert re.match(r".*3\.png: light \d+\.\d", printed)
    code, printed, _ = workbench("classify", good, bad, tmp_path / "missing.png", "--bundle", bundle, "--json")
    assert code == 2
    answers = last_json(printed)["pictures"]
    assert answers[0]["answers"][0]["label"] == "light"
    assert "broken.png" in answers[1]["error"]
    assert "missing.png" in answers[2]["error"]


@pytest.mark.parametrize("engine", ["onnx-int8", "eager"])
def test_every_engine_classifies(finished, pictures, workbench, engine):
    out, summary, _ = finished
    if engine not in summary["sizes"] and engine == "onnx-int8" and "engine onnx-int8" not in summary["sizes"]:
        pytest.skip("int8 was left out of this bundle for its parity")
    code, printed, _ = workbench(
        "classify", pictures / "dark" / "5.png", "--bundle", out / "bundle", "--engine", engine
    )
    assert (code, ": dark" in printed) == (0, True)


def test_export_makes_the_bundle_again(finished, workbench):
    out, summary, _ = finished
    code, printed, _ = workbench("export", out, "--json")
    assert code == 0
    assert last_json(printed)["accuracy"] == summary["test_accuracy"]
    assert read_bundle(out / "bundle").accuracy == summary["test_accuracy"]


def test_fine_tuning_starts_where_the_weights_left_off(finished, pictures, tmp_path, workbench):
    options = ["--data", pictures, "--size", 16, "--set", "width=0.25", "--epochs", 1, "--json"]
    weights = finished[0] / "weights.safetensors"
    _, _, _ = workbench("train", *options, "--out", tmp_path / "fresh")
    code, _, _ = workbench("train", *options, "--out", tmp_path / "tuned", "--from", weights)
    assert code == 0
    first = {}
    for name in ("fresh", "tuned"):
        first[name] = json.loads((tmp_path / name / "history.json").read_text())[0]["loss"]
    assert first["tuned"] < first["fresh"]


def test_a_search_goes_on_where_it_stopped(pictures, tmp_path, workbench):
    options = ["--data", pictures, "--size", 16, "--set", "width=0.25", "--epochs", 1, "--out", tmp_path / "search"]
    code, printed, told = workbench("search", *options, "--trials", 1, "--json")
    assert (code, last_json(printed)["trials"]) == (0, 1), told
    code, printed, told = workbench("search", *options, "--trials", 2, "--json")
    assert (code, last_json(printed)["trials"]) == (0, 2), told
    assert "trial 1/2" not in told
    assert HyperParameters.load(tmp_path / "search" / "hyperparameters.json").epochs == 1
    assert all(Path(path).stat().st_size > 1000 for path in last_json(printed)["plots"])


@pytest.mark.skipif(os.name != "posix", reason="Ctrl-C is sent as a POSIX signal")
def test_ctrl_c_says_how_to_go_on_and_going_on_works(pictures, tmp_path, workbench):
    out = tmp_path / "run"
    options = ["--data", pictures, "--size", 16, "--set", "width=0.25", "--epochs", 400, "--out", out]
    run = process("train", *options)
    for line in run.stderr:
        if line.startswith("epoch 2/"):
            run.send_signal(signal.SIGINT)
            break
    _, told = run.communicate()
    assert run.returncode == 130
    assert f"Nothing is lost: workbench train --resume {out} goes on." in told
    assert "Traceback" not in told
    code, _, told = workbench("train", "--resume", out, "--epochs", 3)
    assert (code, "was begun with epochs = 400, not 3" in told) == (2, True)
    going_on = process("train", "--resume", out)
    for line in going_on.stderr:
        if line.startswith("epoch "):
            assert int(re.match(r"epoch (\d+)/400", line)[1]) > 2
            going_on.send_signal(signal.SIGINT)
            break
    going_on.communicate()


def test_resume_takes_no_options_that_would_make_another_run(finished, workbench):
    for option in (["--data", "digits"], ["--size", 64], ["--out", "elsewhere"], ["--set", "epochs=9"], ["--seed", 9]):
        code, _, told = workbench("train", "--resume", finished[0], *option)
        assert code == 2
        assert option[0].strip("-") in told
    code, printed, _ = workbench("train", "--resume", finished[0], "--json")
    assert code == 0
    assert last_json(printed)["validation_accuracy"] == finished[1]["validation_accuracy"]


def test_a_folder_that_changed_is_not_evaluated(pictures, tmp_path, workbench):
    mine = tmp_path / "mine"
    shutil.copytree(pictures, mine)
    options = ["--data", mine, "--size", 16, "--model", "linear", "--epochs", 1, "--out", tmp_path / "run"]
    assert workbench("train", *options)[0] == 0
    (mine / "light" / "0.png").unlink()
    code, _, told = workbench("evaluate", tmp_path / "run")
    assert (code, "has changed since" in told) == (2, True)


def test_a_search_touches_no_folder_or_database_of_something_else(finished, tmp_path, workbench):
    code, _, told = workbench("search", "--data", "digits", "--out", finished[0])
    assert (code, "something else than a search" in told) == (2, True)
    (tmp_path / "other").mkdir()
    with closing(sqlite3.connect(tmp_path / "other" / "search.db")) as database:
        database.execute("CREATE TABLE cookies (name)")
    before = (tmp_path / "other" / "search.db").read_bytes()
    code, _, told = workbench("search", "--data", "digits", "--out", tmp_path / "other")
    assert (code, "database of something else" in told) == (2, True)
    assert (tmp_path / "other" / "search.db").read_bytes() == before


def test_strange_names_are_shown_as_they_are_and_harmlessly(finished, pictures, tmp_path, workbench):
    strange = tmp_path / "\x1b[31mcat\nfake: cat 100 %.png"
    shutil.copy(pictures / "light" / "1.png", strange)
    code, printed, _ = workbench("classify", strange, "--bundle", finished[0] / "bundle")
    assert code == 0
    assert "\x1b" not in printed
    assert len(printed.splitlines()) == 1


def test_a_closed_stdout_is_no_error():
    run = subprocess.run(
        [sys.executable, "-c", "import sys; sys.stdout = None\nfrom workbench.cli import main; main()", "devices"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "--data", "animal"], "animal"),
        (["train", "--data", "digits", "--learning-rate", "-1"], "learning_rate = -1.0: must be a number from"),
        (["train", "--data", "digits", "--set", "lr=1"], "Unknown hyper-parameter 'lr'"),
        (["train", "--data", "digits", "--set", f"seed={10**400}"], "seed = 1000"),
        (["train", "--data", "digits", "--set", "model=" + "[" * 100_000], "Unknown model"),
        (["train", "--data", "digits", "--set", "epochs"], "write it as NAME=VALUE"),
        (["train", "--data", "digits", "--model", "convent"], "Unknown model 'convent'"),
        (["train", "--data", "digits", "--device", "tpu"], "tpu"),
        (["train", "--data", "digits", "--from", "missing.safetensors"], "missing.safetensors"),
        (["train", "--data", "digits", "--hyperparameters", "missing.json"], "missing.json"),
        (["train", "--resume", "missing"], "missing is not the folder of a run"),
        (["train", "--data", "digits", "--size", "4"], "size = 4"),
        (["evaluate", "missing"], "missing"),
        (["export", "missing"], "missing"),
        (["evaluate"], "no run with a weights.safetensors"),
        (["classify", "x.png"], "no run with a bundle"),
        (["classify", "x.png", "--bundle", "missing"], "missing"),
        (["classify"], "Missing argument"),
        (["search", "--data", "digits", "--trials", "0"], "trials"),
        (["workflow", "--epochs", "many"], "'--epochs': Input should be a valid integer"),
        (["wrokflow"], "wrokflow"),
        (["compare", "--phase", "sleep"], "--phase sleep: choose inference, training"),
        (["compare", "--model", "vgg"], "--model vgg: choose"),
        (["compare", "--metric", "beauty"], "--metric beauty: choose latency"),
        (["compare", "--batch-size", "70000"], "'--batch-size'"),
        (["compare", "--folder", "missing"], "no recorded devices at missing"),
        (["record", "--device", "tpu"], "no device 'tpu'"),
        (["record", "--out", "missing/here.json"], "name a file in a folder that exists"),
        (["record", "--card", "missing.json"], "missing.json is no file"),
        (["record", "--seconds", "0"], "'--seconds'"),
        (["lab", "notebooks/99.ipynb"], "99.ipynb"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(workbench, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    code, printed, told = workbench(*arguments)
    assert code == 2
    assert sentence in told
    assert "Traceback" not in told + printed
    assert printed == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(workbench, command):
    code, printed, _ = workbench(*command.split(), "--help")
    assert code == 0
    assert "Example:" in printed
    assert f"workbench {command}" in printed


def test_this_machine_is_recorded_and_compared(workbench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # The other networks are recorded in test_recordings.py, where only PyTorch and ONNX Runtime are.
    monkeypatch.setattr("workbench.recorder.record_machine", partial(record_machine, models=()))
    (tmp_path / "mine").mkdir()
    code, printed, told = workbench(
        "record", "--out", "mine/here.json", "--batch-size", "1", "--seconds", "0.01", "--device", "cpu"
    )
    assert code == 0, told
    assert "inference of the reference network, batch 1" in printed
    assert "Written: mine/here.json" in printed
    # A processor without the instructions for it does not answer in int8 as the network should, and is not timed.
    able = Predictor.from_bundle(REFERENCE, "onnx-int8").self_test().passed
    assert (
        "onnx-int8 on cpu does not answer as the reference network should" in " ".join((printed + told).split())
    ) != able
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


def test_a_recording_that_is_stopped_keeps_what_was_measured(tmp_path):
    run = process("record", "--out", str(tmp_path / "here.json"), "--device", "cpu", "--seconds", "0.05")
    unfinished = tmp_path / "here-unfinished.json"
    for _ in range(3_000):
        if unfinished.exists() or run.poll() is not None:
            break
        time.sleep(0.1)
    run.send_signal(signal.SIGINT)
    said = run.communicate(timeout=60)[1]
    assert run.returncode == 130
    assert f"Stopped. What was measured so far is in {unfinished}" in said
    assert [path.name for path in tmp_path.iterdir()] == [unfinished.name]
    assert read_recording(unfinished).measurements


def test_a_file_elsewhere_is_compared_with_the_devices_that_are_known(workbench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known = Path(__file__).parent.parent / "datasets" / "devices" / "raspberry-pi-5.json"
    (tmp_path / "pi.json").write_bytes(known.read_bytes())
    code, printed, _ = workbench("compare", "--with", "pi.json")
    assert code == 0
    assert "(raspberry-pi-5)" in printed
    assert "(pi)" in printed
    assert "(raspberry-pi-5)" not in workbench("compare", "--with", known)[1]  # the same file is one device
    code, _, told = workbench("compare", "--with", "missing.json")
    assert code == 2
    assert "missing.json is no file" in told


def test_nothing_recorded_before_is_replaced_unasked(workbench, monkeypatch, tmp_path):
    monkeypatch.setattr("workbench.recordings.FOLDER", tmp_path)
    there = tmp_path / f"{file_name(find_device('cpu').description)}.json"
    there.write_text("{}")
    code, _, told = workbench("record", "--device", "cpu")
    assert (code, there.read_text()) == (2, "{}")
    assert "is there already" in told
    (tmp_path / "mine-unfinished.json").write_text("{}")
    code, _, told = workbench("record", "--device", "cpu", "--out", tmp_path / "mine.json")
    assert (code, (tmp_path / "mine-unfinished.json").read_text()) == (2, "{}")
    assert "from a recording that was stopped" in told
    assert workbench("record", "--device", "cpu", "--out", tmp_path / "a-unfinished.json")[0] == 2
    code, _, told = workbench("compare", "--page", there)
    assert (code, there.read_text()) == (2, "{}")
    assert "name an HTML file" in told
    code, _, told = workbench("record", "--device", "cpu", "--out", "/dev/null")
    assert code == 2
    assert "no ordinary file" in told


def test_devices_are_compared_whatever_was_measured(workbench, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    board = Path(__file__).parent.parent / "datasets" / "devices" / "raspberry-pi-5.json"
    for number in range(15):
        values = json.loads(board.read_text(encoding="utf-8"))
        values["card"]["name"] = f"Board {number}"
        (tmp_path / "mine" / f"{number}.json").write_text(json.dumps(values))
    (tmp_path / "mine" / "\x1b[31mred.json").write_text("{")
    code, printed, told = workbench("compare", "--folder", "mine", "--batch-size", "3")
    assert (code, told) == (0, "")
    assert printed.count("Board 14") >= 1
    assert "\x1b" not in printed
    page = (tmp_path / "runs" / "devices.html").read_text(encoding="utf-8")
    assert "The best 12; 3 more are in the tables." in page
    (tmp_path / "file").write_text("")
    code, printed, told = workbench("compare", "--folder", "mine", "--page", "file/page.html")
    assert code == 2
    assert "Cannot write file/page.html" in told
    assert "Board 14" in printed


def test_devices_and_doctor_describe_this_machine(workbench):
    code, printed, _ = workbench("devices", "--json")
    assert code == 0
    assert last_json(printed)["devices"][-1]["name"] == "cpu"
    code, printed, _ = workbench("doctor", "--json")
    found = last_json(printed)
    assert code == (1 if found["problems"] else 0)
    assert {finding["subject"] for finding in found["findings"]} >= {"python", "torch"}


def test_the_largest_batch_is_the_same_for_the_commands_as_for_a_sweep():
    assert MANY == LARGEST_BATCH  # told twice, since the command's options may not load torch


def test_a_reader_that_leaves_early_is_no_error():
    run = process("devices")
    run.stdout.close()
    assert "Traceback" not in run.stderr.read()
    run.stderr.close()
    run.wait()
