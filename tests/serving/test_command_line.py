"""The command line of `workbench serve`: its help, invalid arguments, and what its start imports."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields

import pytest
from serving.application import (
    children_of,
    is_running,
    run_command,
)

from workbench.folders import REFERENCE
from workbench.serving.options import Options


def test_the_start_imports_neither_typer_nor_rich() -> None:
    code = "import atexit, sys; from workbench.cli import main; "
    code += "atexit.register(lambda: print({'typer', 'rich', 'pydantic'} & set(sys.modules))); main()"
    words = [sys.executable, "-c", code, "serve", str(REFERENCE), "--port", "0", "--stop-with-stdin"]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    served, loaded = done.stdout.splitlines()
    assert served.startswith("Serving convnet "), done.stderr
    assert loaded == "set()"


def test_the_help_names_every_option() -> None:
    printed = " ".join(run_command("serve", "--help").stdout.split())
    for field in fields(Options):
        assert f"--{field.name.replace('_', '-')} " in printed
        assert f"(default: {field.default})" in printed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no-such-folder"], "no-such-folder does not exist"),
        ([REFERENCE, "--host", "no.such.host.invalid"], "no.such.host.invalid, port 8000"),
        ([REFERENCE, "--max-body-bytes", "many"], "argument --max-body-bytes: invalid int value: 'many'"),
        ([REFERENCE, "--max-body", "9"], "unrecognized arguments: --max-body 9"),
        ([REFERENCE, "--workers", "0"], "workers = 0: must be a whole number from 1 to 256"),
    ],
)
def test_invalid_arguments_are_refused(words: list[str], said: str) -> None:
    done = run_command("serve", *words)
    assert done.returncode == 2
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_it_stops_when_its_standard_input_closes() -> None:
    """However that one ends: its end of the pipe closes."""
    command = [sys.executable, "-m", "workbench", "serve", str(REFERENCE), "--port", "0", "--stop-with-stdin"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    assert "Serving" in process.stdout.readline()
    workers = children_of(process.pid)
    process.stdin.close()
    assert process.wait(60) == 0
    process.stdout.close()
    assert not [worker for worker in workers if is_running(worker)]
