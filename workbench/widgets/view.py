"""What every widget of the workbench is: an anywidget with a module of its own, that also works as a page of a book."""

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
from workbench.widgets.worker import Job

_FOLDER = Path(__file__).parent
_PAGE_FOLDER = _FOLDER.parent / "serving" / "page"  # what widgets share with the application's page lies there
_in_cell: dict[str, tuple[str, list[weakref.ref[View]]]] = {}  # by cell: the run of it, and what that run made


class View(anywidget.AnyWidget):
    """A widget whose browser side is what all share, what it `uses`, and its `module`; its state is plain values.

    live: a kernel stands behind it; False on a page that `to_html` wrote. job: what it has the worker do, if anything;
    it is stopped when the widget is closed, and when the cell that made it is run again. Traits that only show what
    was found are read-only, for a cell; the widget itself sets them with `_put`.
    """

    module: ClassVar[str]
    uses: ClassVar[tuple[str, ...]] = ()
    title: ClassVar[str]

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    live = traitlets.Bool(True, read_only=True).tag(sync=True)
    job: Job | None = None

    def __init__(self, **traits: Any) -> None:
        self._put(**traits)
        super().__init__()
        cell, run = _current_cell()
        if cell:
            before, views = _in_cell.get(cell, (run, []))
            if before != run:
                for view in (reference() for reference in views):
                    if view is not None:
                        view.leave()
                views = []
            _in_cell[cell] = (run, [*views, weakref.ref(self)])

    def _put(self, **traits: Any) -> None:
        """Set traits one after the other, those too that are read-only for others."""
        for name, value in traits.items():
            self.set_trait(name, value)

    def leave(self) -> None:
        """Stop what it has the worker do."""
        if self.job is not None:
            self.job.stop()

    def close(self) -> None:
        """Stop its work and take it off the page."""
        self.leave()
        super().close()

    @traitlets.default("_esm")
    def _read_module(self) -> str:
        return "\n".join(_read(f"{name}.js") for name in ("elements", "numbers", "shared", *self.uses, self.module))

    @traitlets.default("_css")
    def _read_style(self) -> str:
        return _read("shared.css")

    def __repr__(self) -> str:
        return f"{type(self).__name__}: {self.told()}"

    def told(self) -> str:
        """What it shows, in a sentence: for a reader who does not see it, and where no widget can be drawn."""
        raise NotImplementedError

    def fallback(self) -> Iterable[Any]:
        """Elements of `workbench.page` that a page shows where scripts are off: the sentence, and a table if any."""
        from workbench.page import tag

        return [tag("p", self.told())]

    def page_state(self) -> dict[str, Any]:
        """Traits that are another on a page, besides that its "here, now" is told as there and then."""
        return {}

    def to_html(self, path: Path | str | None = None) -> str:
        """One self-contained page that needs no kernel and no network, and still reacts; written to `path` if given.

        Raises WorkbenchError where it cannot be written, and for a widget that has nothing to show without a kernel.
        """
        from workbench.page import render, tag

        own = set(self.trait_names(sync=True)) - set(anywidget.AnyWidget.class_trait_names())
        shown = {name: getattr(self, name) for name in own if not name.startswith("_")}
        shown = {**told_there(shown), **self.page_state(), "live": False}
        text = json.dumps({"state": shown, "module": self._esm}, default=_plain)
        mount = tag("div", tag("noscript", self.fallback()), id="widget", class_="wb-page")
        text = _PAGE % (self._css, text.replace("<", "\\u003c"))
        page = str(told_there(render(self.title, [mount]))).replace("</body>", f"{text}</body>")
        if path is not None:
            write_text(arguments.path("path", path), page)
        return page


def told_there(state: Any) -> Any:
    """The same values as a page tells them, which is read elsewhere and later: "measured before this page was written,
    2026-11-25". On which day and device is not known here."""
    if isinstance(state, str):
        return state.replace("here, now", f"before this page was written, {date.today().isoformat()}")
    if isinstance(state, dict):
        return {name: told_there(value) for name, value in state.items()}
    return [told_there(value) for value in state] if isinstance(state, list | tuple) else state


def _current_cell() -> tuple[str, str]:
    """The notebook cell that is being run, and this run of it; empty outside a notebook that tells."""
    get_ipython = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)
    get_parent = getattr(get_ipython(), "get_parent", dict)
    parent: dict[str, Any] = get_parent()
    return parent.get("metadata", {}).get("cellId", ""), parent.get("header", {}).get("msg_id", "")


def _plain(value: object) -> object:
    if isinstance(value, tuple | set | frozenset):
        return list(value)
    raise WorkbenchError(f"{type(value).__name__} cannot be written into a page.")


def _read(name: str) -> str:
    path = next(folder / name for folder in (_FOLDER, _PAGE_FOLDER) if (folder / name).is_file())
    return path.read_text(encoding="utf-8")


# The module is told by a model that only keeps values, in place of Jupyter's.
_PAGE = """<style>%s</style>
<script type="module">
const {state, module} = %s;
const heard = {};
const model = {
  get: name => state[name],
  set(name, value) {
    if (state[name] === value) return;
    state[name] = value;
    for (const hear of heard["change:" + name] ?? []) hear();
  },
  on(names, hear) { for (const name of names.split(" ")) (heard[name] ??= []).push(hear); },
  off() {}, save_changes() {}, send() {},
};
const address = URL.createObjectURL(new Blob([module], {type: "text/javascript"}));
const widget = (await import(address)).default;
widget.render({model, el: document.getElementById("widget")});
</script>
"""
