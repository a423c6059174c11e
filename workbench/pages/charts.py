"""Matplotlib figures as inline SVG that follows the reader's light or dark scheme."""

from __future__ import annotations

import io
import re
import threading
import warnings
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from workbench.pages import chart_style
from workbench.pages.html import legal_text, tag

# The colours of charts become variables of page.css, so that dark mode applies inside the charts too.
_THEME = {
    chart_style.INK: "var(--ink)",
    chart_style.MUTED: "var(--muted)",
    chart_style.GRID: "var(--line)",
    chart_style.BLUE: "var(--blue)",
    chart_style.SKY: "var(--sky)",
    chart_style.VERMILLION: "var(--vermillion)",
}
_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_PIXELS_PER_INCH = 96

# rcParams are global: only one thread at a time may change those of SVG.
_rc_lock = threading.Lock()


def draw_chart(
    name: str, draw: Callable[[Axes], Axes], *, width: float = 4.8, height: float = 3.3, note: str = ""
) -> Element:
    """Return a figure element with one chart, drawn by a function of `plots`, and a note below.

    name: unique on the page. width, height: in inches.
    """
    figure, axes = chart_style.new_figure(width, height)
    draw(axes)
    return tag("figure", chart(figure, chart_style.alt_text(axes), name), tag("figcaption", note) if note else None)


def chart(figure: Figure, alt: str, name: str) -> Element:
    """Return a figure as an svg element; `name` keeps its ids apart from those of other charts on the page.

    Text remains text, in the page's own font and the reader's colours.
    """
    buffer = io.BytesIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "DejaVu Sans"}
    with _rc_lock, rc_context(settings), warnings.catch_warnings():
        # Matplotlib only measures text with DejaVu Sans; the browser's fonts have more scripts.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = ElementTree.fromstring(buffer.getvalue())
    for parent in svg.iter():
        for child in list(parent):
            if child.tag.endswith("metadata"):
                parent.remove(child)
    for element in svg.iter():
        element.tag = element.tag.removeprefix(_SVG)
        element.attrib = {key.replace(_LINK, "href"): _adopt(value, name) for key, value in element.items()}
        if "id" in element.attrib:
            element.set("id", f"{name}-{element.get('id')}")
    for key in ("width", "height"):
        svg.attrib.pop(key, None)
    width = figure.get_figwidth() * _PIXELS_PER_INCH
    svg.attrib |= {"role": "img", "aria-label": legal_text(alt), "style": f"max-width: {width:.0f}px"}
    return svg


def _adopt(value: str, name: str) -> str:
    """Return an attribute with its colours, fonts and references replaced by those of the page."""
    value = re.sub(r"url\(#", f"url(#{name}-", value)
    value = re.sub(r"^#", f"#{name}-", value)
    value = re.sub("'DejaVu Sans'[^;]*", "var(--sans)", value)
    return re.sub("#[0-9a-f]{6}", lambda found: _THEME.get(found[0], found[0]), value)
