"""`View`, the base class of all widgets: an anywidget that can also be written as a page without a kernel."""

from __future__ import annotations

import json
import sys
import weakref
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

import anywidget
import traitlets

from workbench import arguments
from workbench.atomic import write_text
from workbench.errors import WorkbenchError
from workbench.serving.javascript import join_modules
from workbench.widgets.worker import Job

_FOLDER = Path(__file__).parent
_views_of_cells: dict[str, tuple[str, list[weakref.ref[View]]]] = {}  # by cell: its latest run, and the views it made


class View(anywidget.AnyWidget):
    """A widget drawn by the ES module `module`; its state consists of traits with plain values.

    live: whether a kernel is behind it; False on a page written by `to_html`. job: its background work, if any, which
    ends when the widget is closed or its cell is run again. Traits that only show results are read-only; the widget
    itself sets them with `_set`.
    """

    module: ClassVar[str]
    title: ClassVar[str]

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    live = traitlets.Bool(True, read_only=True).tag(sync=True)
    job: Job | None = None

    def __init__(self, **traits: Any) -> None:
        self._set(**traits)
        super().__init__()
        cell, run = _current_cell()
        if cell:
            last_run, views = _views_of_cells.get(cell, (run, []))
            if last_run != run:
                for view in (reference() for reference in views):
                    if view is not None:
                        view.release()
                views = []
            _views_of_cells[cell] = (run, [*views, weakref.ref(self)])

    def _set(self, **traits: Any) -> None:
        """Set traits in order, including read-only ones."""
        for name, value in traits.items():
            self.set_trait(name, value)

    def release(self) -> None:
        """Stop the background work."""
        if self.job is not None:
            self.job.stop()

    def close(self) -> None:
        """Stop the background work and remove the widget from the page."""
        self.release()
        super().close()

    @traitlets.default("_esm")
    def _read_module(self) -> str:
        return join_modules(_FOLDER / f"{self.module}.js")

    @traitlets.default("_css")
    def _read_style(self) -> str:
        return (_FOLDER / "style.css").read_text(encoding="utf-8")

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.describe()}"

    def describe(self) -> str:
        """Describe in words what the widget shows, for readers who cannot see it and places that cannot draw it."""
        raise NotImplementedError

    def fallback(self) -> Iterable[Any]:
        """Return the elements of `pages.html` that a page shows without scripts: by default, the description."""
        from workbench.pages.html import tag

        return [tag("p", self.describe())]

    def page_state(self) -> dict[str, Any]:
        """Return the traits whose values differ on a page, other than by `dated`."""
        return {}

    def to_html(self, path: Path | str | None = None) -> str:
        """Return a self-contained, interactive page that needs neither kernel nor network; write it to `path` if given.

        Raise WorkbenchError if it cannot be written, or if the widget has nothing to show without a kernel.
        """
        from workbench.pages.html import render, tag

        own = set(self.trait_names(sync=True)) - set(anywidget.AnyWidget.class_trait_names())
        state = {name: getattr(self, name) for name in own if not name.startswith("_")}
        state = {**dated(state), **self.page_state(), "live": False}
        text = json.dumps({"state": state, "module": self._esm}, default=_plain)
        mount = tag("div", tag("noscript", self.fallback()), id="widget", class_="wb-page")
        script = _PAGE % (self._css, text.replace("<", "\\u003c"))
        page = str(dated(render(self.title, [mount]))).replace("</body>", f"{script}</body>")
        if path is not None:
            write_text(arguments.path("path", path), page)
        return page


def dated(state: Any) -> Any:
    """Return the same value with "here, now" replaced by today's date, for a page that is read elsewhere and later."""
    if isinstance(state, str):
        return state.replace("here, now", f"before this page was written, {date.today().isoformat()}")
    if isinstance(state, dict):
        return {name: dated(value) for name, value in state.items()}
    return [dated(value) for value in state] if isinstance(state, list | tuple) else state


def _current_cell() -> tuple[str, str]:
    """Return the id of the notebook cell that is running and of this run; "" where there is none."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    get_parent = getattr(get_ipython(), "get_parent", dict)
    parent: dict[str, Any] = get_parent()
    return parent.get("metadata", {}).get("cellId", ""), parent.get("header", {}).get("msg_id", "")


def _plain(value: object) -> object:
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    raise WorkbenchError(f"{type(value).__name__} cannot be written into a page.")


# Jupyter's model is replaced by one that only keeps values.
_PAGE = """<style>%s</style>
<script type="module">
const {state, module} = %s;
const listeners = {};
const model = {
  get: name => state[name],
  set(name, value) {
    if (state[name] === value) return;
    state[name] = value;
    for (const listener of listeners["change:" + name] ?? []) listener();
  },
  on(names, listener) { for (const name of names.split(" ")) (listeners[name] ??= []).push(listener); },
  off() {}, save_changes() {}, send() {},
};
const address = URL.createObjectURL(new Blob([module], {type: "text/javascript"}));
const widget = (await import(address)).default;
widget.render({model, el: document.getElementById("widget")});
</script>
"""
