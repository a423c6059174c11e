"""The folder of a training run and the files in it."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.arguments import path
from workbench.atomic import write_text
from workbench.errors import WorkbenchError
from workbench.folders import RUNS
from workbench.wording import now

_ABOUT = {"data": str, "size": int | None, "fingerprint": str, "initial_weights": str | None}


@dataclass(frozen=True)
class Run:
    """The folder of a training run, given as a path or text, and the paths of the files in it.

    >>> wb.Run("runs/animals-1").weights.name
    'weights.safetensors'
    """

    folder: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", path("folder", self.folder))

    @property
    def about(self) -> Path:
        """run.json: the data set the run learns from, and when it was created."""
        return self.folder / "run.json"

    @property
    def hyperparameters(self) -> Path:
        """hyperparameters.json."""
        return self.folder / "hyperparameters.json"

    @property
    def history(self) -> Path:
        """history.json: every record of the training."""
        return self.folder / "history.json"

    @property
    def resume_point(self) -> Path:
        """resume.pt: the whole state of the training, from which it can continue."""
        return self.folder / "resume.pt"

    @property
    def weights(self) -> Path:
        """weights.safetensors."""
        return self.folder / "weights.safetensors"

    @property
    def bundle(self) -> Path:
        """bundle/: what leaves the bench."""
        return self.folder / "bundle"

    @property
    def summary(self) -> Path:
        """summary.json: the figures of the whole workflow."""
        return self.folder / "summary.json"

    @property
    def report(self) -> Path:
        """report.html."""
        return self.folder / "report.html"

    def read_about(self) -> dict[str, Any]:
        """Return the content of run.json. Raises WorkbenchError if the folder is not that of a run."""
        if not self.about.is_file():
            raise WorkbenchError(f"{self.folder} is not the folder of a run: there is no {self.about}.")
        try:
            about = json.loads(self.about.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise WorkbenchError(f"{self.folder} is not the folder of a run: {self.about.name}: {error}.") from error
        for key, kind in _ABOUT.items():
            if not isinstance(about, dict) or key not in about or not isinstance(about[key], kind):
                raise WorkbenchError(f"{self.about} is damaged: the run's {key} is missing or wrong.")
        return about

    def write_about(self, data: str, size: int | None, fingerprint: str, initial_weights: str | None = None) -> None:
        """Write run.json.

        data: the name of the data set, or the absolute path of a folder. size: the side its images are scaled to, in
        pixels. fingerprint: `Data.fingerprint`. initial_weights: the file that training starts from.
        """
        values = (data, size, fingerprint, initial_weights)
        about = dict(zip(_ABOUT, values, strict=True)) | {"created": now()}
        write_text(self.about, json.dumps(about, indent=2) + "\n")


def new_run(data_name: str, out: Path | None = None) -> Run:
    """Create the folder of a new run: `out`, or else the next free runs/NAME-K.

    Raises WorkbenchError if `out` is a file or a folder that is not empty, or cannot be created.
    """
    if out is not None and out.exists() and not out.is_dir():
        raise WorkbenchError(f"{out} is a file: --out names a folder that is new or empty.")
    if out is not None and out.exists() and any(out.iterdir()):
        raise WorkbenchError(f"{out} is not empty: choose another --out, or continue that run with --resume {out}.")
    try:
        if out is None:
            return Run(_next_free(data_name))
        out.mkdir(parents=True, exist_ok=True)
        return Run(out)
    except OSError as error:
        folder = out or RUNS / f"{data_name}-1"
        raise WorkbenchError(
            f"Cannot create the folder {folder}: {error.strerror}. Choose another with --out."
        ) from error


def _next_free(data_name: str) -> Path:
    RUNS.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        folder = RUNS / f"{data_name}-{number}"
        try:
            folder.mkdir()  # of two commands that start together, only one can create it
            return folder
        except FileExistsError:
            continue
    raise AssertionError


def latest_run(needs: str = "weights.safetensors") -> Run:
    """Return the run under runs/ whose file or folder `needs` is the newest. Raises WorkbenchError if there is none."""
    found = sorted(RUNS.glob(f"*/{needs}"), key=lambda file: file.stat().st_mtime)
    if not found:
        raise WorkbenchError(
            f"There is no run with a {needs} under {RUNS}/: name one, or start with: workbench workflow"
        )
    return Run(found[-1].parent)
