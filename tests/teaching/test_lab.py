"""The command that starts JupyterLab. That it works in a browser is tested in tests/browser."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

from workbench.errors import WorkbenchError
from workbench.folders import CHECKOUT
from workbench.teaching.lab import FIRST_NOTEBOOK, SETTINGS, lab_command


def test_the_command_serves_the_checkout_to_this_machine_only() -> None:
    command = lab_command()
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert {
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.root_dir={CHECKOUT}",
        f"--LabApp.default_url=/lab/tree/{FIRST_NOTEBOOK}",
        f"--LabApp.app_settings_dir={SETTINGS}",
    } <= set(command)
    assert not [argument for argument in command if "token" in argument.lower()], "JupyterLab's own token stays on"
    assert "--no-browser" not in command
    assert "--no-browser" in lab_command(browser=False)


def test_another_folder_and_notebook(tmp_path: Path) -> None:
    (tmp_path / "mine.ipynb").write_text("{}")
    command = lab_command("mine.ipynb", folder=tmp_path)
    assert f"--ServerApp.root_dir={tmp_path}" in command
    assert "--LabApp.default_url=/lab/tree/mine.ipynb" in command


def test_the_settings_keep_jupyterlab_off_the_network() -> None:
    settings = json.loads((SETTINGS / "overrides.json").read_text(encoding="utf-8"))
    assert settings["@jupyterlab/apputils-extension:notification"] == {"checkForUpdates": False, "fetchNews": "false"}


def test_what_is_missing_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(WorkbenchError, match=r"There is no notebook .*99_none\.ipynb: run this in a checkout"):
        lab_command("notebooks/99_none.ipynb")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(WorkbenchError, match=r"JupyterLab is not installed: `workbench doctor` says how to add it\."):
        lab_command()
