"""Where data sets and caches are stored, by environment and by kind of installation."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench import folders
from workbench.errors import WorkbenchError
from workbench.folders import CHECKOUT, REFERENCE, data_root, is_checkout, user_folder


def test_the_environment_names_the_folder_of_the_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path))
    assert data_root() == tmp_path
    monkeypatch.setenv("WORKBENCH_DATA", "~/data")
    assert data_root() == Path.home() / "data"
    monkeypatch.setenv("WORKBENCH_DATA", "~no-such-user/data")
    with pytest.raises(WorkbenchError, match="WORKBENCH_DATA = '~no-such-user/data'"):
        data_root()


def test_without_it_a_checkout_uses_its_own_and_an_installation_the_users_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("WORKBENCH_DATA", raising=False)
    assert is_checkout()
    assert data_root() == CHECKOUT / "datasets"
    assert REFERENCE.is_dir()
    monkeypatch.setattr(folders, "CHECKOUT", tmp_path)
    assert not is_checkout()
    assert data_root() == user_folder()
