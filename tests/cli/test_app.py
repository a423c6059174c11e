"""Every command of `workbench`: its help, and its answer to invalid input.

Covers: serve, classroom.
"""

import pytest

COMMANDS = (
    *("doctor", "devices", "lab", "record", "compare", "train", "evaluate", "search", "export", "classify", "workflow"),
    *("serve", "swap", "classroom build", "classroom compare"),
)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["train", "--data", "animal"], "animal"),
        (["train", "--data", "digits", "--learning-rate", "-1"], "learning_rate = -1.0: must be a number from"),
        (["train", "--data", "digits", "--set", "lr=1"], "Unknown hyper-parameter 'lr'"),
        (["train", "--data", "digits", "--set", f"seed={10**400}"], "seed = 1000"),
        (["train", "--data", "digits", "--set", "model=" + "[" * 100_000], "Unknown model"),
        (["train", "--data", "digits", "--set", "epochs"], "write NAME=VALUE"),
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
        (["compare", "--phase", "sleep"], "'sleep' is not one of 'inference', 'training'"),
        (["compare", "--model", "vgg"], "'vgg' is not one of"),
        (["compare", "--metric", "beauty"], "'beauty' is not one of 'latency'"),
        (["compare", "--batch-size", "70000"], "'--batch-size'"),
        (["compare", "--folder", "missing"], "no recorded devices at missing"),
        (["record", "--device", "tpu"], "no device 'tpu'"),
        (["record", "--out", "missing/here.json"], "name a file in a folder that exists"),
        (["record", "--card", "missing.json"], "missing.json is not a recorded device"),
        (["record", "--seconds", "0"], "'--seconds'"),
        (["lab", "notebooks/99.ipynb"], "99.ipynb"),
        (["classroom", "compare", "missing"], "no recorded devices at missing"),
        (["classroom", "compare", "missing", "--page", "room.json"], "name an HTML file"),
        (["classroom", "build", "course", "--solutions", "missing"], "There is no folder missing"),
        (["serve", "missing"], "missing"),
        (["serve", "--port", "many"], "--port"),
        (["swap", "missing", "--port", "1"], "1"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(workbench, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    code, printed, text = workbench(*arguments)
    assert code == 2
    assert sentence in text
    assert "Traceback" not in text + printed
    assert printed == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(workbench, command):
    code, printed, _ = workbench(*command.split(), "--help")
    assert code == 0
    assert "Example:" in printed
    assert f"workbench {command}" in printed
