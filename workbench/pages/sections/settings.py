"""What the run was made with: hyper-parameters, data, machine and software."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

import numpy as np

from workbench.hyperparameters import HyperParameters
from workbench.pages.html import Content, table, tag
from workbench.pages.run_summary import RunSummary
from workbench.units import format_number


def hyperparameters(run: RunSummary) -> Iterable[Content]:
    """Yield each hyper-parameter with its default and its meaning."""
    described = HyperParameters.describe()
    rows = []
    for name, value in asdict(run.hyperparameters).items():
        default, text = described[name]["default"], format_number(value)
        cell: Content = text if value == default else tag("strong", text)
        rows.append((name, cell, format_number(default), described[name]["help"]))
    caption = "What was decided before training; values other than the default are bold"
    yield table(caption, ("name", "value", "default", "meaning"), rows, numeric=(1, 2), prose=True)


def data(run: RunSummary) -> Iterable[Content]:
    """Yield the shape and the number of the images, and notes from loading them."""
    height, width, channels = np.asarray(run.test_images[:1]).shape[1:]
    colours = "grey" if channels == 1 else "in colour"
    yield tag("p", f"{run.data}: images of {width}×{height} pixels, {colours}, split once and for all by a seed.")
    rows = [(split, f"{count:,}") for split, count in run.images.items()]
    yield table("Images in each split", ("split", "images"), rows, numeric=(1,))
    if run.notes:
        yield tag("h3", "Notes from loading them")
        yield tag("ul", (tag("li", note) for note in run.notes))


def software(run: RunSummary) -> Iterable[Content]:
    """Yield the machine and the versions of software."""
    yield tag("p", f"{run.machine}. Training ran on {run.device}.")
    if run.versions:
        yield table("Versions in use", ("software", "version"), list(run.versions.items()))
