"""Real pages around our widgets: a small notebook in JupyterLab, or a file without a network; and what to ask of them.

A page costs about ten seconds, so open one and look at it from many sides.
"""

from __future__ import annotations

import json
import math
import os
import re
import signal
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import nbformat
from browser.lab import Server, chromium, complaints_of

KERNELSPEC = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
IDLE = "Python 3 (ipykernel) | Idle"
CODE_CELLS = ".jp-Notebook .jp-CodeCell"
PROMPT = ".jp-InputArea-prompt"
VIEW = ".jp-OutputArea-output.lm-Panel"  # of all outputs only a widget's is a panel, and it names no type
# JupyterLab shows what is raised as what is said to stderr, but in colours.
ERROR = '.jp-OutputArea-output[data-mime-type="application/vnd.jupyter.stderr"]:has(.ansi-red-fg)'
TEXTS = ", ".join(
    f'.jp-OutputArea-output[data-mime-type="{kind}"]' for kind in ("application/vnd.jupyter.stdout", "text/plain")
)
OF_JUPYTERLAB = "Could not restore the debugger state"  # where a kernel ends before its debugger has answered
SURROUNDINGS = 300  # px that JupyterLab takes above and below a notebook, and more
QUESTIONS = r"""
const WORDLESS = "style, script, noscript, title, desc, option";
const TYPED = "textarea, select, input:not([type=range], [type=checkbox], [type=radio], [type=hidden], [type=color])";

const words = text => text.trim().replace(/\s+/g, " ").slice(0, 40);
const named = element => `<${[element.localName, ...element.classList].join(".")}>`;
const seen = element => element.checkVisibility({ opacityProperty: true, visibilityProperty: true });
const holders = (element, root) => {
  const found = [];
  for (let holder = element; holder; holder = holder === root ? null : holder.parentElement) found.push(holder);
  return found;
};
const forScreenReaders = holder => {
  const { position, clip, clipPath } = getComputedStyle(holder);
  const { width, height } = holder.getBoundingClientRect();
  return /absolute|fixed/.test(position) && (clip !== "auto" || clipPath !== "none" || (width <= 1 && height <= 1));
};
const texts = root => {
  const found = [];
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
  const range = document.createRange();
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest(WORDLESS) || !seen(element)) continue;
    range.selectNodeContents(walker.currentNode);
    const boxes = [...range.getClientRects()].filter(({ width, height }) => width > 0 && height > 0);
    if (boxes.length && !holders(element, root).some(forScreenReaders))
      found.push({ element, text: words(walker.currentNode.data), boxes });
  }
  return found;
};

const drawnSize = element => {
  const graphic = holders(element).find(holder => holder instanceof SVGGraphicsElement);
  const { a, b, c, d } = graphic?.getScreenCTM() ?? { a: 1, b: 0, c: 0, d: 1 };
  return parseFloat(getComputedStyle(element).fontSize) * Math.sqrt(Math.abs(a * d - b * c));
};
const smallest_text = root => {
  const written = texts(root).map(({ element }) => element);
  return Math.min(...[...written, ...root.querySelectorAll(TYPED)].filter(seen).map(drawnSize));
};

const AXES = [
  { overflow: "overflowX", low: "left", high: "right", size: "width", air: 0 },
  // The box of a text is higher than its letters.
  { overflow: "overflowY", low: "top", high: "bottom", size: "height", air: 0.25 },
];
const keepers = (element, root, { overflow }) => {
  // What holds `element` and hides what is outside, out to the first that lets the reader scroll to it.
  const all = holders(element, root);
  const style = holder => getComputedStyle(holder);
  const scroller = all.findIndex(holder => /auto|scroll/.test(style(holder)[overflow]));
  const near = scroller < 0 ? all : all.slice(0, scroller);
  const hides = holder =>
    /hidden|clip/.test(style(holder)[overflow]) && (holder instanceof SVGElement || style(holder).display !== "inline");
  const hiding = near.filter(hides);
  return { hiding, free: scroller < 0 && !hiding.some(holder => holder !== root) };
};
const beyond = (box, limits, { low, high }) => Math.max(limits[low] - box[low], box[high] - limits[high]);
const textBeyond = (boxes, limits, axis) =>
  Math.max(...boxes.map(box => beyond(box, limits, axis) - axis.air * box.height));
const px = length => `${Math.round(length)} px`;

const cut = root => {
  const found = new Map();
  for (const { element, text, boxes } of texts(root))
    for (const axis of AXES)
      for (const keeper of keepers(element, root, axis).hiding) {
        const length = textBeyond(boxes, keeper.getBoundingClientRect(), axis);
        if (length > 1) found.set(element, `cut: "${text}" by ${px(length)} of ${axis.size} in ${named(keeper)}`);
      }
  const lacking = element => element.scrollWidth - element.clientWidth;
  const written = [...root.querySelectorAll(TYPED)].map(element => ({ element, text: words(element.value ?? "") }));
  const short = texts(root).filter(({ element }) => /hidden|clip/.test(getComputedStyle(element).overflowX));
  for (const { element, text } of [...short, ...written])
    if (text && seen(element) && lacking(element) > 1 && !found.has(element))
      found.set(element, `cut: "${text}" by ${px(lacking(element))} of width in ${named(element)}`);
  return [...found.values()];
};
const sticking = root => {
  const limits = root.getBoundingClientRect();
  const found = new Map();
  const note = (element, length, what) => {
    if (length > 1 && !holders(element, root).some(holder => found.has(holder))) found.set(element, what(px(length)));
  };
  const boxes = [...root.querySelectorAll(":not(svg *)")]
    .filter(element => seen(element) && !holders(element, root).some(forScreenReaders));
  for (const element of boxes)
    for (const axis of AXES)
      if (keepers(element.parentElement, root, axis).free)
        note(element, beyond(element.getBoundingClientRect(), limits, axis), length =>
          `sticks out: ${named(element)} by ${length} of ${axis.size}`);
  for (const { element, text, boxes } of texts(root))
    for (const axis of AXES)
      if (keepers(element, root, axis).free)
        note(element, textBeyond(boxes, limits, axis), length =>
          `sticks out: "${text}" in ${named(element)} by ${length} of ${axis.size}`);
  const holder = holders(root.parentElement).find(holder => getComputedStyle(holder).overflowX !== "visible");
  const length = holder ? beyond(limits, holder.getBoundingClientRect(), AXES[0]) : 0;
  const whole = length > 1 ? [`sticks out: ${named(root)} of ${named(holder)} by ${px(length)} of width`] : [];
  return [...whole, ...found.values()];
};
const colliding = root => {
  const labels = [...root.querySelectorAll("text")]
    .filter(element => element.textContent.trim() && seen(element))
    .map(element => ({ text: words(element.textContent), box: element.getBoundingClientRect() }))
    .filter(({ box }) => box.width > 0);
  const shared = (a, b, axis) => Math.min(a[axis.high], b[axis.high]) - Math.max(a[axis.low], b[axis.low]);
  const both = (a, b) => AXES.map(axis => shared(a.box, b.box, axis));
  return labels.flatMap((a, index) =>
    labels
      .slice(index + 1)
      .filter(b => both(a, b).every(length => length > 1))
      .map(b => `overlap: "${a.text}" and "${b.text}" by ${both(a, b).map(px).join(" x ")}`)
  );
};
const overflowing = root => [...cut(root), ...sticking(root), ...colliding(root)];

const findings = async root => {
  // JupyterLab's body has no height and hides what is outside of it: axe would take everything to be out of sight,
  // and pass over its contrast without a word.
  const { body } = document;
  const before = body.style.minHeight;
  body.style.minHeight = "100vh";
  window.axe.setup();
  const inSight = window.axe.commons.dom.isVisibleOnScreen(root);
  window.axe.teardown();
  if (!inSight) throw new Error("axe-core does not see it");
  const { violations } = await window.axe.run(root, { resultTypes: ["violations"], iframes: false });
  body.style.minHeight = before;
  return violations
    .filter(({ impact }) => /serious|critical/.test(impact))
    .flatMap(({ id, impact, nodes }) =>
      nodes.map(({ target, failureSummary }) => {
        const summary = failureSummary.replace(/\s*\n\s*/g, " ");
        return `${id} (${impact}) at ${target.flat().join(" ")}: ${summary}`;
      })
    );
};
"""


@contextmanager
def opened(
    browser_path: str,
    server: Server,
    name: str,
    cells: Sequence[str],
    *,
    theme: str = "light",
    system: str = "light",
    width: int = 1280,
    height: int = 1000,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    notebook_7: bool = False,
) -> Iterator[tuple[Any, list[str]]]:
    """A notebook of these code cells after Run All, in JupyterLab or Notebook 7: the page, and the errors it reports.

    `theme` is JupyterLab's, `system` what the operating system prefers; JupyterLab follows it only when told to.
    `settings` are more of JupyterLab's, by plugin. The kernel ends with the block.
    """
    path = f"pages/{name}.ipynb"
    _write(server.folder / path, cells)
    with chromium(browser_path) as running:
        page = running.new_page(viewport={"width": width, "height": height}, color_scheme=system)
        page.set_default_timeout(120_000)
        complaints = complaints_of(page, but=OF_JUPYTERLAB)
        _use(page, _themed(theme) | dict(settings or {}))
        try:
            tree = f"notebooks/{path}" if notebook_7 else f"lab/workspaces/pages-{name}/tree/{path}"
            page.goto(f"{server.address}{tree}?token={server.token}")
            _await_kernel(server, page, path) if notebook_7 else page.get_by_text(IDLE).wait_for()
            run_all(page)
            yield page, complaints
        finally:
            _end_session(server, path)


@contextmanager
def file_page(
    browser_path: str,
    path: Path,
    *,
    offline: bool = True,
    java_script_enabled: bool = True,
    system: str = "light",
    width: int = 1280,
    height: int = 1000,
) -> Iterator[tuple[Any, list[str]]]:
    """A file of this machine in the browser: the page, and the errors it reports.

    `offline`: it gets nothing but itself, and each address it asks for is a complaint.
    """
    with chromium(browser_path) as running:
        context = running.new_context(
            viewport={"width": width, "height": height}, color_scheme=system, java_script_enabled=java_script_enabled
        )
        page = context.new_page()
        page.set_default_timeout(30_000)
        complaints = complaints_of(page)
        if offline:
            context.set_offline(True)
            context.route(lambda address: not address.startswith(("file:", "blob:", "data:")), _refused(complaints))
        page.goto(path.resolve().as_uri())
        yield page, complaints


def run_all(page: Any) -> None:
    """Run > Run All Cells, until each cell has run and its widgets are drawn."""
    with _executing(page):
        choose(page, "Run", "Run All Cells")


def run_cell(page: Any, index: int) -> None:
    """Run the code cell number `index` (-1: the last) again, and wait for it."""
    cell = page.locator(CODE_CELLS).nth(index)
    # Into its code: a click beside it leaves the focus with a widget in its output, which may keep key strokes.
    cell.locator(".cm-content").click()
    with _executing(page, cell):
        page.keyboard.press("Control+Enter")


def add_and_run(page: Any, code: str) -> str:
    """What `code` prints or has for a value, from a new cell at the end of the notebook."""
    cell = _new_cell(page, code)
    with _executing(page, cell):
        page.keyboard.press("Control+Enter")
    return "\n".join(cell.locator(TEXTS).all_inner_texts()).strip()


def begin(page: Any, code: str) -> None:
    """Run `code` in a new cell at the end of the notebook, and do not wait for it."""
    cell = _new_cell(page, code)
    page.keyboard.press("Control+Enter")
    cell.get_by_text("[*]:").wait_for()


def restart_kernel(page: Any) -> None:
    """Kernel > Restart Kernel…, until the new kernel is idle. Nothing is run again."""
    choose(page, "Kernel", "Restart Kernel…")
    # Until the server has answered, the page may still say that the old kernel is idle.
    with page.expect_response(re.compile(r"/api/kernels/[^/]+/restart")):
        page.locator(".jp-Dialog").get_by_role("button", name="Confirm Kernel Restart").click()
    page.get_by_text(IDLE).wait_for()


def kill_kernel(page: Any) -> None:
    """End the kernel's process as a lack of memory does, until the server has started another. Adds a cell."""
    os.kill(int(add_and_run(page, "import os; print(os.getpid())")), signal.SIGKILL)
    page.locator(".jp-Dialog").get_by_role("button", name="Ok").click()
    page.get_by_text(IDLE).wait_for()


def delete_kernel(page: Any, server: Server, name: str) -> None:
    """End the kernel of the notebook `name` from elsewhere, by the server's API: no other takes its place."""
    _end_session(server, f"pages/{name}.ipynb")
    page.get_by_text("No Kernel").first.wait_for()


def save_and_reload(page: Any) -> None:
    """Save the notebook and load the page again, until the kernel, alive all the while, has drawn its widgets."""
    # By the menu: a widget that keeps key strokes to itself may have the focus.
    with page.expect_response(lambda answer: answer.request.method == "PUT" and "/api/contents/" in answer.url):
        choose(page, "File", "Save Notebook")
    views = page.locator(VIEW).count()
    page.reload()
    page.get_by_text(IDLE).wait_for()
    page.wait_for_function("([view, count]) => document.querySelectorAll(view).length === count", arg=[VIEW, views])
    _wait_until_drawn(page)


def choose(page: Any, menu: str, entry: str) -> None:
    """Choose an entry of JupyterLab's menu."""
    page.get_by_role("menuitem", name=menu, exact=True).click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile(f"^{re.escape(entry)}$")).click()


def axe(page: Any, selector: str) -> list[str]:
    """What axe-core finds serious or critical inside the first match: rule, element, and what is wrong."""
    if page.evaluate("() => matchMedia('(scripting: none)').matches"):
        raise RuntimeError("axe-core waits for ever in a page without JavaScript")
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(_axe_core())
    with _in_sight(page, selector):
        return _ask(page, selector, "findings")


def smallest_text(page: Any, selector: str) -> float:
    """The size in px of the smallest text to be seen inside the first match, as drawn: an SVG may be scaled."""
    return _ask(page, selector, "smallest_text")


def overflowing(page: Any, selector: str) -> list[str]:
    """Text that is cut, things that stick out of the first match or it out of what holds it, SVG texts that collide."""
    return _ask(page, selector, "overflowing")


def shoot(page: Any, selector: str, path: Path) -> Path:
    """An image of the first match."""
    with _in_sight(page, selector) as element:
        element.screenshot(path=path)
    return path


def _write(path: Path, cells: Sequence[str]) -> None:
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata={"kernelspec": KERNELSPEC}
    )
    path.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, path)


def _themed(theme: str) -> dict[str, Mapping[str, Any]]:
    return {"@jupyterlab/apputils-extension:themes": {"theme": f"JupyterLab {theme.title()}"}}


def _use(page: Any, settings: Mapping[str, Mapping[str, Any]]) -> None:
    """Slip settings into the server's answer: stored there, they would be those of every other page too."""

    def answer(route: Any) -> None:
        response = route.fetch()
        text = response.json()
        for plugin in text["settings"]:
            if plugin["id"] in settings:
                plugin["raw"] = json.dumps(settings[plugin["id"]])
        route.fulfill(response=response, json=text)

    page.route(re.compile(r"/lab/api/settings\?\d+$"), answer)


def _refused(complaints: list[str]) -> Callable[[Any], None]:
    def refuse(route: Any) -> None:
        complaints.append(f"asked for {route.request.url}")
        route.abort()

    return refuse


def _new_cell(page: Any, code: str) -> Any:
    count = page.locator(CODE_CELLS).count()
    page.locator(".jp-Notebook-footer").click()
    cell = page.locator(CODE_CELLS).nth(count)
    editor = cell.locator(".cm-content")
    editor.click()
    # Pasted, and looked at: on a busy machine a new cell's editor at times takes the beginning of its text twice.
    for _ in range(5):
        editor.press("Control+a")
        editor.evaluate(_PASTE, code)
        page.wait_for_timeout(100)
        if editor.evaluate(_LINES) == code:
            return cell
    raise RuntimeError(f"the editor does not take {code!r}: it holds {editor.evaluate(_LINES)!r}")


_PASTE = """(editor, code) => {
    const clipboardData = new DataTransfer();
    clipboardData.setData("text/plain", code);
    editor.dispatchEvent(new ClipboardEvent("paste", {clipboardData, bubbles: true, cancelable: true}));
}"""
_LINES = "editor => [...editor.querySelectorAll('.cm-line')].map(line => line.textContent).join('\\n')"


@contextmanager
def _executing(page: Any, cell: Any | None = None) -> Iterator[None]:
    """Wait for what the block sets going: `cell`, or all of them. Raises RuntimeError with what a cell raises."""
    cells = page.locator(CODE_CELLS) if cell is None else cell
    prompts = cells.locator(PROMPT)
    # Its number alone does not tell a cell that has run again: after a restart the count begins anew.
    prompts.evaluate_all("prompts => prompts.forEach(prompt => { prompt.textContent = '[ ]:'; })")
    yield
    page.wait_for_function(
        """([cells, error]) => {
            const done = cell => /^\\[\\d+\\]:$/.test(cell.querySelector(".jp-InputArea-prompt").textContent);
            const idle = document.querySelector(".jp-Notebook-ExecutionIndicator[data-status=idle]");
            return idle && (cells.every(done) || cells.some(cell => done(cell) && cell.querySelector(error)));
        }""",
        arg=[cells.element_handles(), ERROR],
        timeout=300_000,
    )
    failed = cells.locator(ERROR)
    if failed.count():
        raise RuntimeError(f"a cell failed:\n{failed.first.inner_text()}")
    _wait_until_drawn(page)


def _wait_until_drawn(page: Any) -> None:
    page.wait_for_function(
        "view => [...document.querySelectorAll(view)].every(drawn => drawn.querySelector('.lm-Widget:not(:empty)'))",
        arg=VIEW,
    )


def _await_kernel(server: Server, page: Any, path: str) -> None:
    """Until the notebook has its cells and its kernel: Notebook 7 does not say so in words."""
    page.locator(CODE_CELLS).first.wait_for()
    for _ in range(240):
        with _call(server, "GET", "api/sessions") as answer:
            kernels = [session["kernel"] for session in json.load(answer) if session["path"] == path]
        if any(kernel["connections"] and kernel["execution_state"] == "idle" for kernel in kernels):
            return
        page.wait_for_timeout(500)
    raise RuntimeError(f"no kernel came to {path} within two minutes")


def _end_session(server: Server, path: str) -> None:
    with _call(server, "GET", "api/sessions") as answer:
        sessions = [session["id"] for session in json.load(answer) if session["path"] == path]
    for session in sessions:
        _call(server, "DELETE", f"api/sessions/{session}").close()


def _call(server: Server, method: str, address: str) -> Any:
    request = urllib.request.Request(
        f"{server.address}{address}", method=method, headers={"Authorization": f"token {server.token}"}
    )
    return urllib.request.urlopen(request, timeout=60)


@contextmanager
def _in_sight(page: Any, selector: str) -> Iterator[Any]:
    """The first match with all of it on the screen: axe passes over what is scrolled away, and an image cuts it."""
    element, size = page.locator(selector).first, page.viewport_size
    height = max(size["height"], math.ceil(element.bounding_box()["height"]) + SURROUNDINGS)
    page.set_viewport_size(size | {"height": height})
    element.evaluate("element => element.scrollIntoView({ block: 'center', behavior: 'instant' })")
    page.wait_for_timeout(300)  # not by a frame of the page: without JavaScript it tells of none
    yield element
    page.set_viewport_size(size)


def _ask(page: Any, selector: str, question: str) -> Any:
    return page.locator(selector).first.evaluate(f"root => {{ {QUESTIONS}\nreturn {question}(root); }}")


@cache
def _axe_core() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
