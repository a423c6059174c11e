"""The command in this process, a user's own folder of images, and one finished workflow on it."""

import sys

import numpy as np
import pytest
from cli.command import last_json, start
from PIL import Image

from workbench.cli import main


@pytest.fixture
def workbench(capfd, monkeypatch):
    """Return a function that runs the command in this process: (exit code, stdout, stderr)."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["workbench", *map(str, arguments)])
        capfd.readouterr()
        code = 0
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
        return code, *capfd.readouterr()

    return run


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """Return a user's own folder: light and dark images, and one file that is not an image."""
    folder = tmp_path_factory.mktemp("own") / "my images"
    chance = np.random.default_rng(0)
    for label, level in (("light", 170), ("dark", 40)):
        (folder / label).mkdir(parents=True)
        for k in range(60):
            pixels = chance.integers(level, level + 80, (24, 20, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / label / f"{k}.png")
    (folder / "dark" / "notes.txt").write_text("not an image")
    return folder


@pytest.fixture(scope="session")
def finished(images, tmp_path_factory):
    """Return the folder of one finished workflow, its JSON and its stderr."""
    out = tmp_path_factory.mktemp("runs") / "mine"
    options = ["--data", images, "--out", out, "--epochs", 3, "--set", "width=0.25", "--size", 16, "--json"]
    run = start("workflow", *options)
    printed, text = run.communicate()
    assert run.returncode == 0, text
    return out, last_json(printed), text
