"""The files of devices: their format, what a machine writes about itself, and what is refused."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from conftest import Mutate, int8_overflows

from workbench.bundle.manifest import read_bundle
from workbench.comparing.all_devices import (
    compare_recordings,
    describe_model_errors,
    known_devices,
    model_errors_by_device,
)
from workbench.comparing.comparison import Comparison
from workbench.comparing.recorder import record_machine
from workbench.comparing.sweeps import BATCH_SIZES
from workbench.errors import WorkbenchError
from workbench.folders import DEVICES, REFERENCE
from workbench.inference.predictor import Predictor
from workbench.measuring.device_card import KINDS
from workbench.measuring.recordings import (
    Recording,
    file_name,
    load_recordings,
    read_recording,
    with_distinct_names,
    write_recording,
)

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((DEVICES / "schema.json").read_text(encoding="utf-8"))
FILES = sorted(path for path in DEVICES.glob("*.json") if path.name != "schema.json")
BENCH = (
    "lz4",
    "safetensors",
    "onnx",
    "onnxscript",
    "optuna",
    "sklearn",
    "matplotlib",
    "psutil",
    "pynvml",
    "jupyterlab",
)


@pytest.fixture(scope="module")
def recording() -> Recording:
    """This machine, measured in haste."""
    steps = record_machine("cpu", batch_sizes=(1, 2), seconds=0.005, models=("linear",))
    seen = []
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as done:
            assert [step.done for step in seen] == list(range(1, 7))
            assert {step.total for step in seen} == {6}
            return done.value


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_shipped_device_is_as_the_schema_says_and_reads_back(path: Path):
    values = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(SCHEMA).validate(values)
    found = read_recording(path)
    assert found.to_mapping() == values
    # No path of anybody's machine: what begins with a slash, and is no part of an address or of a unit.
    assert not re.search(r"(?<![\w:/.])/\w+/", path.read_text(encoding="utf-8"))


def test_the_schema_itself_is_sound_and_knows_every_kind():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$defs"]["card"]["properties"]["kind"]["enum"] == list(KINDS)


def test_the_devices_that_lessons_speak_of_are_there():
    found = load_recordings()
    kinds = {recording.card.kind for recording in found}
    assert {
        "data-centre GPU", "laptop GPU", "server CPU", "single-board computer", "embedded GPU module", "phone",
        "microcontroller",
    } <= kinds  # fmt: skip
    measured = [recording for recording in found if recording.measurements]
    assert measured, "at least one machine was measured"
    for each in measured:
        assert {m.phase for m in each.measurements} == {"inference", "training"}
        assert {m.batch_size for m in each.measurements if m.model == "convnet"} == set(BATCH_SIZES)


def test_the_reference_network_is_sound_and_answers_as_it_should():
    bundle = read_bundle(REFERENCE)
    for engine in ("eager", *bundle.engines):
        if engine != "onnx-int8" or not int8_overflows():  # then `record` leaves the engine out
            assert Predictor.from_bundle(bundle, engine, threads=1).self_test().passed
    assert bundle.accuracy > 0.9
    assert sum(bundle.sizes.values()) < 2**20


def test_a_machine_records_itself(recording: Recording, tmp_path: Path):
    path = tmp_path / "here.json"
    write_recording(path, recording)
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(path.read_text(encoding="utf-8")))
    again = read_recording(path)
    assert again.measurements == recording.measurements
    assert {m.origin for m in again.measurements} == {"recorded"}
    assert all(m.source.startswith(f"recorded {recording.created}, torch ") for m in again.measurements)
    found = Comparison.of(again.measurements)
    assert found.models == ("convnet", "linear")
    engines = {(m.phase, m.engine, m.precision) for m in found.select(model="convnet").measurements}
    assert {("inference", "onnx", "fp32"), ("inference", "eager", "bf16"), ("training", "eager", "fp32")} <= engines
    (alone,) = found.select(phase="inference", model="convnet", engine="onnx", threads=1, batch_size=1).measurements
    assert 0.05 < alone.cold_start_seconds < 60
    assert alone.accuracy > 0.9


def test_the_recording_joins_the_others(recording: Recording, tmp_path: Path):
    write_recording(tmp_path / "here.json", recording)
    (tmp_path / "board.json").write_bytes((DEVICES / "raspberry-pi-5.json").read_bytes())
    (tmp_path / "holiday.json").write_text('{"cats": 3}')
    (tmp_path / "broken.json").write_text('{"format"')
    skipped: list[str] = []
    found = known_devices(folder=tmp_path, batch_sizes=(1, 2), skipped=skipped)
    assert {m.origin for m in found.measurements} == {"recorded", "modelled"}
    assert sorted(sentence.split(": ")[0].rsplit("/")[-1] for sentence in skipped) == [
        "broken.json is not a recorded device", "holiday.json"
    ]  # fmt: skip
    with pytest.raises(WorkbenchError, match=r"broken\.json is not a recorded device"):
        load_recordings(tmp_path)
    with pytest.raises(WorkbenchError, match="no recorded devices at"):
        load_recordings(tmp_path / "nowhere")


def test_devices_are_called_as_their_cards_say_and_reported_apart(recording: Recording, tmp_path: Path):
    assert {m.device for m in recording.measurements} == {recording.card.name}
    values = recording.to_mapping()
    for m in values["measurements"]:
        m["device"] = "somebody's laptop"
    (tmp_path / "one.json").write_text(json.dumps(values))
    assert {m.device for m in read_recording(tmp_path / "one.json").measurements} == {recording.card.name}
    write_recording(tmp_path / "two.json", recording)
    names = [f"{recording.card.name} ({stem})" for stem in ("one", "two")]
    assert [each.card.name for each in load_recordings(tmp_path)] == names
    found = known_devices(folder=tmp_path, batch_sizes=(1,))
    assert {m.device for m in found.measurements} == set(names)
    assert set(model_errors_by_device(load_recordings(tmp_path))) == set(names)


def test_an_unfinished_recording_is_passed_over(recording: Recording, tmp_path: Path):
    write_recording(tmp_path / "here-unfinished.json", recording)
    notes: list[str] = []
    assert load_recordings(tmp_path) == load_recordings(tmp_path, skipped=notes) == ()
    assert notes == ["here-unfinished.json is an unfinished recording: rename it to have it compared."]


def test_a_cpu_without_a_card_tells_enough_to_be_modelled(recording: Recording):
    """The oracle for a product's rate is the peak that no x86 or ARM core exceeds."""
    card = recording.card
    assert set(card.peak_flops) == {"fp32", "bf16"}
    assert 1e9 < card.peak_flops["fp32"] < 10e9 * 8 * 32 * card.cores
    assert 1e8 < card.memory_bandwidth < 1e13
    assert 1e-8 < card.launch_seconds < 1e-3
    (errors,) = model_errors_by_device([recording]).values()
    assert len(errors) > 10
    said = describe_model_errors([recording])
    assert f"recorded points of {card.name}, no GPU among them, it was off" in said


def test_names_stay_apart_whatever_the_files_are_called(recording: Recording):
    twice = with_distinct_names([recording, replace(recording, measurements=()), replace(recording, name="other")])
    names = [each.card.name for each in twice]
    assert names == [f"{recording.card.name} ({name})" for name in (recording.name, f"{recording.name}, 2", "other")]
    assert {m.device for m in twice[0].measurements} == {names[0]}
    long = replace(recording, name="x" * 60, card=replace(recording.card, name="y" * 120))
    assert len({each.card.name for each in with_distinct_names([long] * 3)}) == 3


def test_who_was_recorded_otherwise_is_reported(recording: Recording):
    notes: list[str] = []
    found = compare_recordings([recording], phase="inference", model="convnet", batch_sizes=(64,), skipped=notes)
    assert found.measurements == ()
    assert notes == [f"{recording.card.name} was recorded in inference of convnet only at batch sizes 1, 2."]
    compare_recordings([recording], phase="training", model="resnet", skipped=notes)
    assert notes[-1] == f"{recording.card.name} was not recorded in training of resnet."


def test_what_does_not_fit_is_not_modelled():
    notes: list[str] = []
    found = known_devices(phase="training", skipped=notes)
    board = next(recording.card.name for recording in load_recordings() if recording.card.is_microcontroller)
    assert board not in {m.device for m in found.measurements}
    assert f"{board} has memory for not a single image in training of convnet (modelled)." in notes
    assert board in {m.device for m in known_devices(skipped=notes).measurements}


def test_a_card_of_another_device_is_refused_before_anything_is_measured(recording: Recording):
    gpu = next(each.card for each in load_recordings() if each.card.is_gpu)
    for card, sentence in (
        (gpu, r"card is of a .*GPU"),
        (replace(recording.card, cores=9999), "says cores = 9,999"),
        (replace(recording.card, memory_bytes=2**30), "says memory_bytes"),
    ):
        with pytest.raises(WorkbenchError, match=sentence):
            next(record_machine("cpu", card=card))
    with pytest.raises(WorkbenchError, match="batch_sizes"):
        next(record_machine("cpu", batch_sizes=(2**30,)))


def test_measured_figures_are_not_written_as_if_recorded(recording: Recording, tmp_path: Path):
    measured = replace(recording, measurements=(replace(recording.measurements[0], origin="measured"),))
    with pytest.raises(WorkbenchError, match="holds recorded measurements"):
        write_recording(tmp_path / "here.json", measured)
    assert list(tmp_path.iterdir()) == []


def test_a_hostile_network_or_card_ends_in_no_traceback(recording: Recording):
    odd = replace(recording.measurements[0], model="inception_v3", engine="eager")
    card = next(each.card for each in load_recordings() if each.card.kind == "server CPU")
    assert model_errors_by_device([replace(recording, card=card, measurements=(odd,))]) == {}
    with pytest.raises(WorkbenchError, match="peak_flops"):
        replace(card, peak_flops={"fp32": 5e-324})


def test_the_model_is_judged_by_what_was_measured():
    recordings = load_recordings()
    errors = model_errors_by_device(recordings)
    assert errors
    for found in errors.values():
        factors = [each.factor for each in found]
        assert factors == sorted(factors, reverse=True)
        assert all(each.ratio == pytest.approx(each.predicted_seconds / each.measurement.latency.p50) for each in found)
    worst = max(found[0].factor for found in errors.values())
    assert f"{worst:.1f} at worst" in describe_model_errors(recordings)
    assert describe_model_errors([]) == ""


def test_the_docs_tell_the_models_errors_as_they_are():
    """docs/devices.md holds the table that `python -m benchmarks devices` prints."""
    from benchmarks.devices import table

    assert table(load_recordings()) in (ROOT / "docs" / "devices.md").read_text(encoding="utf-8")


def test_it_records_where_only_torch_and_onnx_runtime_are(tmp_path: Path):
    """A plain checkout on a borrowed GPU server: none of the bench's other packages can be imported."""
    out = tmp_path / "server.json"
    code = (
        "import sys\n"
        f"for name in {BENCH!r}: sys.modules[name] = None\n"
        "import runpy\n"
        "sys.argv = ['workbench', 'record', '--batch-size', '1', '--seconds', '0.01', '--json',\n"
        f"            '--out', {str(out)!r}]\n"
        "runpy.run_module('workbench', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["recording"] == str(out)
    assert read_recording(out).measurements


def test_names_of_files():
    assert file_name("NVIDIA H100 80GB HBM3") == "nvidia-h100-80gb-hbm3"
    assert file_name("///") == "device"
    assert len(file_name("x" * 500)) <= 60


def test_no_altered_file_ends_in_anything_but_a_sentence(recording: Recording, mutated: Mutate, tmp_path: Path):
    path = tmp_path / "here.json"
    write_recording(path, recording)
    content, rng = path.read_bytes(), random.Random(0)
    refused = 0
    for _ in range(300):
        path.write_bytes(mutated(content, rng))
        refused += refusal(path) is not None
    assert refused > 100  # a recording with a changed digit is still valid: it carries no checksum


def refusal(path: Path) -> str | None:
    try:
        read_recording(path)
    except WorkbenchError as error:
        return str(error)
    return None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"format": "other"}, "format"),
        ({"extra": 1}, "'extra' is unknown"),
        ({"versions": {"torch": 2}}, "versions"),
        ({"created": "a\nb"}, "created"),
        ({"measurements": {}}, "measurements = {}: must be a list"),
        ({"card": 3}, "card = 3: must be an object"),
    ],
)
def test_what_is_wrong_is_named(recording: Recording, tmp_path: Path, change: dict[str, Any], sentence: str):
    path = tmp_path / "here.json"
    path.write_text(json.dumps(recording.to_mapping() | change))
    with pytest.raises(WorkbenchError, match=sentence):
        read_recording(path)


def test_a_file_of_measured_figures_is_refused_until_they_are_recorded(recording: Recording, tmp_path: Path):
    values = recording.to_mapping()
    values["measurements"][0]["origin"] = "measured"
    path = tmp_path / "here.json"
    path.write_text(json.dumps(values))
    with pytest.raises(WorkbenchError, match=r"measurement 0: origin = 'measured' must be 'recorded'"):
        read_recording(path)
