"""Locate the checkout, the data sets, the recorded devices and the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

from workbench.arguments import path

CHECKOUT = Path(__file__).resolve().parent.parent
DEVICES = CHECKOUT / "datasets" / "devices"
REFERENCE = DEVICES / "reference"  # the bundle whose network is measured on every device
RUNS = Path("runs")


def is_checkout() -> bool:
    """Return whether the package runs from a checkout of the repository rather than from site-packages.

    >>> is_checkout()
    True
    """
    return (CHECKOUT / "pyproject.toml").is_file() and (CHECKOUT / "datasets").is_dir()


def data_root() -> Path:
    """Return the folder of the data sets: WORKBENCH_DATA, else `datasets` in the checkout, else the user's cache.

    Raises WorkbenchError if WORKBENCH_DATA names the home of an unknown user.

    >>> data_root().is_absolute()
    True
    """
    named = os.environ.get("WORKBENCH_DATA")
    if named:
        return path("WORKBENCH_DATA", named)
    return CHECKOUT / "datasets" if is_checkout() else user_folder()


def user_folder() -> Path:
    """Return the user's cache folder for the workbench, by the conventions of the operating system.

    >>> "workbench" in user_folder().parts
    True
    """
    from platformdirs import user_cache_path  # imported here so that `doctor` runs where it is not installed

    return user_cache_path("workbench", appauthor=False)
