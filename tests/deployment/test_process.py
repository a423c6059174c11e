"""The process of an application: its first line, its log, its environment and its end."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from serving.application import is_running, until

from workbench.deployment.process import ApplicationProcess, environment_of, last_line
from workbench.errors import WorkbenchError
from workbench.folders import CHECKOUT, REFERENCE

SERVE = ["serve", str(REFERENCE), "--port=0", "--stop-with-stdin"]


def test_a_command_that_ends_by_itself() -> None:
    process = ApplicationProcess(sys.executable, ["serve", "--help"], 10)
    line, seconds = process.first_line(60)
    assert line.startswith("usage: workbench serve")
    assert 0 < seconds < 60
    process.wait(60)
    assert process.exit_code == 0
    assert process.family() == []
    assert process.end()


def test_a_command_that_fails_leaves_a_log() -> None:
    process = ApplicationProcess(sys.executable, ["serve", "--nonsense"], 10)
    assert process.first_line(60)[0] == ""
    process.wait(60)
    assert process.exit_code == 2
    assert last_line(process.log).startswith("unrecognized arguments: --nonsense")


@pytest.mark.parametrize(("grace_seconds", "in_time"), [(60, True), (0, False)])
def test_the_end_is_asked_for_and_then_forced(grace_seconds: float, in_time: bool) -> None:
    process = ApplicationProcess(sys.executable, SERVE, grace_seconds)
    assert process.first_line(60)[0].startswith("Serving convnet")
    pids = [each.pid for each in process.family()]
    assert len(pids) == 2
    assert process.end() == in_time
    assert process.exit_code is not None
    until(lambda: not any(map(is_running, pids)))


def test_what_cannot_be_started(tmp_path: Path) -> None:
    with pytest.raises(WorkbenchError, match="nothing' cannot be started: No such file"):
        ApplicationProcess(str(tmp_path / "nothing"), SERVE, 10)
    with pytest.raises(WorkbenchError, match=r"'--host=a\\x00b': cannot be passed on a command line"):
        ApplicationProcess(sys.executable, ["serve", "--host=a\0b"], 10)


def test_import_paths_are_passed_on_to_the_same_python_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    assert environment_of(sys.executable)["PYTHONPATH"].split(os.pathsep) == [str(CHECKOUT), "elsewhere"]
    assert "PYTHONPATH" not in environment_of("another/python")
    assert environment_of("another/python")["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize(
    ("text", "ignoring", "expected"),
    [
        ("", None, ""),
        ("one\nworkbench: two \n\n", None, "two"),
        ("1 WARNING gives up\n2 INFO stopped", " INFO ", "1 WARNING gives up"),
        ("INFO only", "INFO", ""),
    ],
)
def test_the_last_line_of_a_log(text: str, ignoring: str | None, expected: str) -> None:
    assert last_line(text, ignoring) == expected
