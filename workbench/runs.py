"""Where the files of a training run lie."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from workbench.atomic import write_text
from workbench.errors import WorkbenchError

RUNS = Path("runs")


@dataclass(frozen=True)
class Run:
    """A run's folder, a path or its text, and the names in it."""

    folder: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))

    @property
    def about(self) -> Path:
        """run.json: the data set the run learns from, and when it began."""
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
        """resume.pt: the whole state of the training, to go on from."""
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
        """What run.json says; a WorkbenchError where this folder is no run."""
        if not self.about.is_file():
            raise WorkbenchError(f"{self.folder} is not the folder of a run: there is no {self.about}.")
        try:
            about = json.loads(self.about.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise WorkbenchError(f"{self.folder} is not the folder of a run: {self.about.name}: {error}.") from error
        wanted = {"data": str, "size": int | None, "fingerprint": str, "begun_from": str | None}
        for key, kind in wanted.items():
            if not isinstance(about, dict) or key not in about or not isinstance(about[key], kind):
                raise WorkbenchError(f"{self.about} is damaged: it does not say the run's {key}.")
        return about

    def write_about(self, data: str, size: int | None, fingerprint: str, begun_from: str | None = None) -> None:
        """Note the data set (a name, or the absolute path of a folder), the size its pictures are brought to, and
        what they were (`Data.fingerprint`)."""
        about = {"data": data, "size": size, "fingerprint": fingerprint, "begun_from": begun_from, "created": _now()}
        write_text(self.about, json.dumps(about, indent=2) + "\n")


def new_run(data_name: str, out: Path | None = None) -> Run:
    """A folder for a new run: `out`, or the next free runs/NAME-K. Refuses a folder that holds something."""
    if out is not None and out.exists() and not out.is_dir():
        raise WorkbenchError(f"{out} is a file: --out names a folder that is new or empty.")
    if out is not None and out.exists() and any(out.iterdir()):
        raise WorkbenchError(f"{out} is not empty: choose another --out, or go on with that run by --resume {out}.")
    folder = out or RUNS / f"{data_name}-1"
    try:
        return Run(_next_free(data_name) if out is None else _made(out))
    except OSError as error:
        raise WorkbenchError(
            f"Cannot make the folder {folder}: {error.strerror}. Choose another with --out."
        ) from error


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _next_free(data_name: str) -> Path:
    RUNS.mkdir(parents=True, exist_ok=True)
    for number in itertools.count(1):
        folder = RUNS / f"{data_name}-{number}"
        try:
            folder.mkdir()  # of two commands that begin at once, only one can make it
            return folder
        except FileExistsError:
            continue
    raise AssertionError


def latest_run(needs: str = "weights.safetensors") -> Run:
    """The run under runs/ whose file or folder `needs` is the newest; a WorkbenchError where there is none."""
    found = sorted(RUNS.glob(f"*/{needs}"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise WorkbenchError(
            f"There is no run with a {needs} under {RUNS}/ here: name one, or start with: workbench workflow"
        )
    return Run(found[-1].parent)


def _now() -> str:
    return datetime.now().astimezone().isoformat(timespec="seconds")
