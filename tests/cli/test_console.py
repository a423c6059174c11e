"""Closed pipes, missing packages and control characters end in one sentence, never in a traceback."""

import subprocess
import sys

import pytest
from cli.command import MAIN, last_json, start

from workbench.cli import console


def test_a_missing_package_is_named():
    code = f"import sys; sys.modules['torch'] = None; {MAIN}"
    done = subprocess.run([sys.executable, "-c", code, "train", "--data", "digits"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "workbench: torch is not installed: `workbench doctor` shows how to install it.\n"
    code = code.replace("'torch'", "'workbench.hyperparameters'")  # ours is never the user's to install
    done = subprocess.run([sys.executable, "-c", code, "train", "--data", "digits"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "this is a bug" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_closed_stdout_is_not_an_error():
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.stdout = None; {MAIN}", "devices"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_a_reader_that_leaves_early_is_not_an_error():
    run = start("devices")
    run.stdout.close()
    assert "Traceback" not in run.stderr.read()
    run.stderr.close()
    run.wait()


def test_json_is_one_line_and_never_nan(capsys):
    console.print_json({"text": "two\nlines"})
    printed = capsys.readouterr().out
    assert printed.count("\n") == 1
    assert last_json(printed) == {"text": "two\nlines"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        console.print_json({"accuracy": float("nan")})


def test_a_bar_restarts_with_each_activity(capsys):
    with console.progress_bar() as progress:
        bar = console.Bar(progress)
        bar("drawing", 1, 2)
        bar("training", 3, 9)
        assert [(task.description, task.completed, task.total) for task in progress.tasks] == [("training", 3, 9)]
        bar.line("[bold] :smile:")
        bar.clear()
        assert not progress.tasks
    assert "[bold] :smile:" in capsys.readouterr().err
