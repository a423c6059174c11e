"""The environment without PyTorch: made once, and complete or not at all."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

import workbench as wb
from workbench.bundle.manifest import read_bundle
from workbench.deployment.environment import MARKER
from workbench.folders import REFERENCE

BUNDLE = read_bundle(REFERENCE)
NO_ENVIRONMENT = "no environment without PyTorch could be made here"


def test_an_environment_without_pytorch_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "runs" / "field"
    folder.mkdir(parents=True)
    (folder / MARKER).touch()  # as one that was left half made
    (folder / "junk").touch()
    monkeypatch.chdir(tmp_path)
    try:
        python = wb.field_environment("runs/field")
    except wb.WorkbenchError as error:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{NO_ENVIRONMENT}: {error}")
    assert not (folder / "junk").exists()
    assert python.is_relative_to(folder)
    begun, made = time.monotonic(), python.lstat().st_mtime_ns
    assert wb.field_environment(folder) == python
    assert python.lstat().st_mtime_ns == made
    assert time.monotonic() - begun < 5
    code = "import workbench, importlib.util; print(workbench.__file__, importlib.util.find_spec('torch'))"
    text = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path).stdout.split()
    assert Path(text[0]).is_relative_to(folder)
    assert text[1] == "None"
    with wb.deploy(REFERENCE, python=python) as served:
        assert served.python == str(python)
        assert np.abs(served.classify(BUNDLE.self_test_images) - BUNDLE.self_test_expected).max() < 1e-4


def test_an_environment_that_cannot_be_made_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CACHE_DIR", str(tmp_path / "cache"))
    with pytest.raises(wb.WorkbenchError, match=r"cannot be made; (uv|pip) says: .*(refused|connect)"):
        wb.field_environment(tmp_path / "field")
    assert (tmp_path / "field" / MARKER).read_text() == ""  # will be made anew


def test_an_environment_takes_no_folder_that_holds_something_else(tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("dear diary")
    with pytest.raises(wb.WorkbenchError, match="holds something else"):
        wb.field_environment(tmp_path)
    assert (tmp_path / "diary.txt").read_text() == "dear diary"
    with pytest.raises(wb.WorkbenchError, match="holds something else"):
        wb.field_environment(tmp_path / "diary.txt")
