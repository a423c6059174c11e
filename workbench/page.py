"""One self-contained HTML page, built from elements so that every text is escaped by construction.

No script, no network: the style is in the page, charts are inline SVG that follow the reader's light or dark scheme,
pictures are data URIs with alt text.
"""

from __future__ import annotations

import base64
import io
import re
import threading
import warnings
from collections.abc import Iterable, Sequence
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from workbench import chart_style

Content = Element | str | None

# The colours of charts become the page's own, so that dark mode reaches into the charts.
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
_THUMBNAIL_SIDE = 96
_ROLES = {
    "table": "table", "group": "rowgroup", "tr": "row", "col": "columnheader", "row": "rowheader", "td": "cell"
}  # fmt: skip

# rcParams are global: only one thread at a time may set those of SVG.
_rc_lock = threading.Lock()


def tag(name: str, /, *children: Content | Iterable[Content], **attributes: object) -> Element:
    """An element with text and elements inside; None is left out. `class_` and `for_` stand for reserved words, and
    an underscore in an attribute for a hyphen; True writes the bare attribute."""
    element = Element(name)
    for key, value in attributes.items():
        if value is not None and value is not False:
            element.set(key.rstrip("_").replace("_", "-"), "" if value is True else _legal(str(value)))
    for child in children:
        _append(element, child)
    return element


def _append(parent: Element, child: Content | Iterable[Content]) -> None:
    if child is None:
        return
    if isinstance(child, str):
        text = _legal(child)
        if len(parent):
            parent[-1].tail = (parent[-1].tail or "") + text
        else:
            parent.text = (parent.text or "") + text
    elif isinstance(child, Element):
        parent.append(child)
    else:
        for each in child:
            _append(parent, each)


def _legal(text: str) -> str:
    # A file name may hold control characters or lone surrogates, which no HTML may.
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]", "\ufffd", text)


def table(
    caption: str,
    head: Sequence[str],
    rows: Iterable[Sequence[Content]],
    *,
    numeric: Iterable[int] = (),
    prose: bool = False,
) -> Element:
    """A table with caption; the first cell of a row is its heading, columns in `numeric` are set to the right.

    prose: the last column is text, which on a phone goes below the rest of its row. A table scrolls by itself, by
    finger or keyboard, where the page is too narrow for it.
    """
    right = set(numeric)
    style = ["n" if column in right else None for column in range(len(head))]
    # A row that is laid out as a grid is no row any more for some screen readers, unless its roles say so.
    named = _ROLES if prose else {}

    def line(cells: Sequence[Content], heads: bool = False) -> Element:
        return tag("tr", (cell(column, content, heads) for column, content in enumerate(cells)), role=named.get("tr"))

    def cell(column: int, content: Content, heads: bool) -> Element:
        scope = "col" if heads else "row" if column == 0 else None
        name = "th" if scope else "td"
        return tag(name, content, scope=scope, class_=style[column], role=named.get(scope or "td"))

    body = tag(
        "table",
        tag("caption", caption),
        tag("thead", line(head, heads=True), role=named.get("group")),
        tag("tbody", map(line, rows), role=named.get("group")),
        class_="prose" if prose else None,
        role=named.get("table"),
        style=f"--columns: {len(head) - 1}" if prose else None,
    )
    return tag("div", body, class_="scroll", tabindex="0", role="region", aria_label=caption)


def picture(pixels: NDArray[np.uint8], alt: str) -> Element:
    """A picture, uint8 (H, W, 1 or 3), as an img element; scaled down to 96 pixels where it is larger."""
    height, width, channels = pixels.shape
    image = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if channels == 1 else pixels))
    scale = min(1.0, _THUMBNAIL_SIDE / max(height, width))
    buffer = io.BytesIO()
    if scale < 1:
        image = image.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.LANCZOS)
    if max(image.size) > 48:  # beyond that, a PNG of a photograph is five times a good JPEG
        image.save(buffer, "JPEG", quality=88)
        kind = "jpeg"
    else:
        image.save(buffer, "PNG", optimize=True)
        kind = "png"
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    smooth = "smooth" if kind == "jpeg" else None
    source = f"data:image/{kind};base64,{data}"
    return tag("img", src=source, alt=alt, width=image.width, height=image.height, class_=smooth)


def chart(figure: Figure, alt: str, name: str) -> Element:
    """A matplotlib figure as inline SVG; `name` keeps its ids apart from those of other charts on the page.

    Text stays text, in the page's own font and the reader's colours.
    """
    buffer = io.BytesIO()
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": name, "font.family": "DejaVu Sans"}
    with _rc_lock, rc_context(settings), warnings.catch_warnings():
        # The browser has more scripts than DejaVu Sans; matplotlib only measures with it.
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
    width = figure.get_figwidth() * 96
    svg.attrib |= {"role": "img", "aria-label": _legal(alt), "style": f"max-width: {width:.0f}px"}
    return svg


def _adopt(value: str, name: str) -> str:
    """An attribute of a chart, its colours and references made those of the page."""
    value = re.sub(r"url\(#", f"url(#{name}-", value)
    value = re.sub(r"^#", f"#{name}-", value)
    value = re.sub("'DejaVu Sans'[^;]*", "var(--sans)", value)
    return re.sub("#[0-9a-f]{6}", lambda found: _THEME.get(found[0], found[0]), value)


def render(title: str, body: Iterable[Content], *, language: str = "en") -> str:
    """The whole page as text."""
    page = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("title", title),
            tag("style", _STYLE),
        ),
        tag("body", tag("main", body)),
        lang=language,
    )
    return "<!DOCTYPE html>\n" + ElementTree.tostring(page, encoding="unicode", method="html") + "\n"


_STYLE = """
:root {
  --ink: #1f2328; --muted: #57606a; --paper: #ffffff; --raised: #f6f8fa; --line: #d8dee4;
  --blue: #0072b2; --sky: #56b4e9; --vermillion: #d55e00; --wrong: #a33f00;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ink: #e6edf3; --muted: #9ba6b2; --paper: #14181d; --raised: #1c2229; --line: #343c46;
    --blue: #58b4ec; --sky: #2f7fb5; --vermillion: #f08a3c; --wrong: #ffa36b;
  }
}
* { box-sizing: border-box; }
html { background: var(--paper); color: var(--ink); font: 16px/1.55 var(--sans); -webkit-text-size-adjust: 100%; }
body { margin: 0; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: clamp(1.6rem, 5vw, 2.3rem); line-height: 1.15; letter-spacing: -0.015em; margin: 0 0 0.8rem;
  text-wrap: balance; }
h2 { font-size: 1.35rem; line-height: 1.25; margin: 3.2rem 0 0.5rem; padding-top: 1.1rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.6rem 0 0.4rem; }
p, ul { max-width: 68ch; margin: 0.5rem 0 1rem; }
.lead { font-size: 1.1rem; }
.note, figcaption, caption { color: var(--muted); font-size: 0.875rem; }
a { color: var(--blue); }
a:focus-visible, .scroll:focus-visible, summary:focus-visible { outline: 3px solid var(--blue); outline-offset: 2px; }
dl.key { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: 0.75rem; margin: 1.5rem 0; }
dl.key div { background: var(--raised); border: 1px solid var(--line); border-radius: 0.5rem; padding: 0.8rem 0.9rem;
  display: flex; flex-direction: column; }
dl.key dt { color: var(--muted); font-size: 0.85rem; order: 1; }
dl.key dd { margin: 0; font-size: 1.55rem; font-weight: 650; line-height: 1.25; font-variant-numeric: tabular-nums; }
dl.key dd.more { order: 2; font-size: 0.85rem; font-weight: 400; color: var(--muted); }
nav ul { display: flex; flex-wrap: wrap; gap: 0.2rem 1.1rem; list-style: none; padding: 0; max-width: none;
  font-size: 0.925rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 25rem), 1fr));
  gap: 1.5rem 2rem; margin: 1rem 0; }
figure { margin: 0; }
svg { display: block; width: 100%; height: auto; }
.scroll { overflow-x: auto; margin: 1rem 0 1.4rem; }
table { border-collapse: collapse; width: 100%; font-size: 0.925rem; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: 0.4rem; max-width: min(68ch, 100vw - 2rem); }
th, td { text-align: left; vertical-align: top; padding: 0.42rem 1.2rem 0.42rem 0;
  border-bottom: 1px solid var(--line); }
th:last-child, td:last-child { padding-right: 0; }
thead th { color: var(--muted); font-weight: 600; font-size: 0.85rem; vertical-align: bottom; }
tbody th { font-weight: 600; overflow-wrap: break-word; min-width: 5.5rem; }
th.n, td.n { text-align: right; }
td.n { white-space: nowrap; }
ul.pictures { display: grid; gap: 0.9rem 0.7rem;
  grid-template-columns: repeat(auto-fill, minmax(max(var(--cell), (100% - 6.3rem) / 10), 1fr));
  list-style: none; padding: 0; max-width: none; }
ul.pictures figure { display: flex; flex-direction: column; height: 100%; }
ul.pictures img { width: 100%; height: auto; image-rendering: pixelated; border-radius: 4px;
  display: block; background: var(--raised); }
ul.pictures img.smooth { image-rendering: auto; }
ul.pictures figcaption { color: var(--ink); font-size: 0.8rem; line-height: 1.3; padding-top: 0.3rem;
  overflow-wrap: anywhere; }
ul.pictures .wrong img { outline: 3px solid var(--vermillion); outline-offset: -3px; }
.bad { color: var(--wrong); font-weight: 650; }
.small { display: block; color: var(--muted); }
details { margin: 1rem 0; }
summary { cursor: pointer; font-weight: 600; }
@media (max-width: 40rem) {
  table.prose tr { display: grid; grid-template-columns: 1.4fr repeat(calc(var(--columns) - 1), 1fr);
    border-bottom: 1px solid var(--line); padding: 0.4rem 0; }
  table.prose :is(th, td) { border: 0; padding: 0.1rem 0 0.1rem 0.8rem; }
  table.prose :is(th, td):first-child { padding-left: 0; }
  table.prose :is(th, td):last-child { grid-column: 1 / -1; padding-left: 0; }
  table.prose td:last-child { color: var(--muted); }
}
@media print {
  html { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  nav { display: none; }
  h2, h3, caption { break-after: avoid; }
  figure, tr, dl.key div, ul.pictures li { break-inside: avoid; }
  .charts { grid-template-columns: 1fr 1fr; }
  .scroll { overflow: visible; }
  details::details-content { content-visibility: visible; block-size: auto; }
}
"""
