"""A real JupyterLab, started as `make lab` starts it, on a copy of the notebooks; a real browser runs them.

Each notebook is executed once in a session, whatever number of tests look at the result.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from workbench.teaching.lab import lab_command

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
PATIENCE_SECONDS = 1800.0  # a slow machine takes ten times as long as a quick one
BROWSERS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge"),
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    r"C:\Program Files\Google\Chrome\Application\chrome.exe",
)
NO_BROWSER = "no Chromium or Chrome was found: the notebooks were run without a page around them"


@dataclass(frozen=True)
class Server:
    """A running JupyterLab: `address` ends in a slash and asks for `token`; `folder` holds `notebooks/`."""

    address: str
    token: str
    folder: Path


@dataclass(frozen=True)
class Execution:
    """A notebook after Run All: its saved file, the folder that holds `notebooks/` and `runs/`, an image of the page,
    what the page complained of, and the names of the widgets that are seen on it."""

    notebook: Any
    folder: Path
    screenshot: Path | None
    complaints: tuple[str, ...]
    dialogs: int
    widgets: tuple[str, ...] = ()


def find_browser() -> str | None:
    """A Chromium or Chrome on this machine."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def browser() -> str:
    """The browser's path. Without one a user's run skips, and CI's fails."""
    found = find_browser()
    if found is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(NO_BROWSER)
    return found


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """JupyterLab on a copy of the notebooks, with none of the user's own settings."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=shutil.ignore_patterns(".ipynb_checkpoints"))
    kinds = ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")
    kinds += ("JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")
    own = {kind: str(tmp_path_factory.mktemp(kind.lower())) for kind in kinds}
    command = lab_command(folder=folder, browser=False)
    command += [f"--ServerApp.port={_free_port()}", "--ServerApp.port_retries=0"]
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | own, start_new_session=True)
    try:
        yield _ready(process, Path(own["JUPYTER_RUNTIME_DIR"]), folder)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def executed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Execution]:
    """Gives the execution of a notebook by its name: in the browser where there is one, else without a page."""
    done: dict[str, Execution] = {}
    images = tmp_path_factory.mktemp("pages")

    def execution_of(name: str) -> Execution:
        if name not in done:
            path = find_browser()
            if path:
                done[name] = _run_in_browser(path, request.getfixturevalue("lab"), name, images)
            else:
                done[name] = _run_without_page(name, images)
        return done[name]

    return execution_of


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _ready(process: subprocess.Popen[bytes], runtime: Path, folder: Path) -> Server:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        for text in runtime.glob("jpserver-*.json"):
            try:
                facts = json.loads(text.read_text())
                with urllib.request.urlopen(f"{facts['url']}api/status?token={facts['token']}", timeout=10):
                    return Server(facts["url"], facts["token"], folder)
            except (OSError, ValueError):
                continue
        time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not start:\n{(folder / 'server.log').read_text()[-2000:]}")


@contextmanager
def chromium(path: str) -> Iterator[Any]:
    """A running browser, closed again with its block: Playwright's event loop would be in the way of other tests."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        yield playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )


def complaints_of(page: Any, *, but: str | None = None) -> list[str]:
    """A list that grows by each error which the page reports from now on, `but` those that begin so."""
    complaints: list[str] = []

    def note(text: str) -> None:
        if but is None or not text.startswith(but):
            complaints.append(text)

    page.on("console", lambda said: note(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: note(str(error)))
    return complaints


def _run_in_browser(path: str, server: Server, name: str, images: Path) -> Execution:
    with chromium(path) as running:
        page = running.new_page(viewport={"width": 1280, "height": 1000})
        page.set_default_timeout(120_000)
        complaints = complaints_of(page)
        # In a workspace of its own: the default one would open the notebooks before it again, beside this one.
        workspace = f"lab/workspaces/{Path(name).stem}/tree/notebooks/{name}"
        page.goto(f"{server.address}{workspace}?token={server.token}")
        # Told to run before it is connected to its kernel, JupyterLab only renders the prose.
        page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        notebook = _saved_when_done(page, server.folder / "notebooks" / name)
        screenshot = images / f"{Path(name).stem}.png"
        page.screenshot(path=screenshot)
        dialogs = page.locator(".jp-Dialog, .Toastify__toast").count()
        # What is out of sight is in the page too, but not laid out, until it is scrolled to.
        boxes = page.locator("section.wb")
        for place in range(boxes.count()):
            boxes.nth(place).scroll_into_view_if_needed()
            boxes.nth(place).wait_for()
        widgets = tuple(boxes.evaluate_all("all => all.map(each => each.getAttribute('aria-label'))"))
    return Execution(notebook, server.folder, screenshot, tuple(complaints), dialogs, widgets)


def _saved_when_done(page: Any, path: Path) -> Any:
    """Once the kernel is idle, save until every code cell has run, or one has failed; the saved notebook."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        page.wait_for_timeout(1000)
        if not page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]").count():
            continue  # each save takes time that the kernel needs
        page.keyboard.press("Control+s")
        page.wait_for_timeout(500)
        try:
            notebook = nbformat.read(path, as_version=4)
        except nbformat.reader.NotJSONError:  # it is being written
            continue
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        failed = any(output.output_type == "error" for cell in cells for output in cell.outputs)
        if failed or all(cell.execution_count for cell in cells):
            return notebook
    raise RuntimeError(f"{path.name} was not done after {PATIENCE_SECONDS:.0f} s")


def _run_without_page(name: str, folder: Path) -> Execution:
    shutil.copytree(ROOT / "notebooks", folder / "notebooks", dirs_exist_ok=True)
    notebook = nbformat.read(folder / "notebooks" / name, as_version=4)
    client = NotebookClient(
        notebook, timeout=int(PATIENCE_SECONDS), resources={"metadata": {"path": folder / "notebooks"}}
    )
    client.allow_errors = True
    client.execute()
    return Execution(notebook, folder, None, (), 0)
