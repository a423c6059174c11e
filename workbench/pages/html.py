"""Self-contained HTML pages, built from elements so that all text is escaped by construction.

No scripts, no network: the style is in the page, charts are inline SVG, and images are data URIs with alt text.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Content = Element | str | None

_THUMBNAIL_SIDE = 96  # pixels
_LARGEST_PNG = 48  # pixels; the PNG of a larger photograph has five times the bytes of a good JPEG
_ROLES = {
    "table": "table", "group": "rowgroup", "tr": "row", "col": "columnheader", "row": "rowheader", "td": "cell"
}  # fmt: skip


def tag(name: str, /, *children: Content | Iterable[Content], **attributes: object) -> Element:
    """Return an element with text and elements inside; None is left out.

    Attributes: `class_` and `for_` stand for reserved words and an underscore for a hyphen; True gives a bare
    attribute, False and None give none.
    """
    element = Element(name)
    for key, value in attributes.items():
        if value is not None and value is not False:
            element.set(key.rstrip("_").replace("_", "-"), "" if value is True else legal_text(str(value)))
    for child in children:
        _append(element, child)
    return element


def _append(parent: Element, child: Content | Iterable[Content]) -> None:
    if child is None:
        return
    if isinstance(child, str):
        text = legal_text(child)
        if len(parent):
            parent[-1].tail = (parent[-1].tail or "") + text
        else:
            parent.text = (parent.text or "") + text
    elif isinstance(child, Element):
        parent.append(child)
    else:
        for each in child:
            _append(parent, each)


def legal_text(text: str) -> str:
    """Return text without the characters that HTML forbids: a file name may contain control characters."""
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]", "\ufffd", text)


def table(
    caption: str,
    head: Sequence[str],
    rows: Iterable[Sequence[Content]],
    *,
    numeric: Iterable[int] = (),
    prose: bool = False,
) -> Element:
    """Return a table; the first cell of a row is its heading, and columns in `numeric` are aligned to the right.

    prose: the last column is text, which a phone shows below the rest of its row. Where the page is too narrow, the
    table scrolls by itself, by finger or keyboard.
    """
    right = set(numeric)
    styles = ["n" if column in right else None for column in range(len(head))]
    # A row laid out as a grid is no longer a row for some screen readers, unless roles say so.
    roles = _ROLES if prose else {}

    def line(cells: Sequence[Content], is_head: bool = False) -> Element:
        return tag("tr", (cell(column, content, is_head) for column, content in enumerate(cells)), role=roles.get("tr"))

    def cell(column: int, content: Content, is_head: bool) -> Element:
        scope = "col" if is_head else "row" if column == 0 else None
        name = "th" if scope else "td"
        return tag(name, content, scope=scope, class_=styles[column], role=roles.get(scope or "td"))

    body = tag(
        "table",
        tag("caption", caption),
        tag("thead", line(head, is_head=True), role=roles.get("group")),
        tag("tbody", map(line, rows), role=roles.get("group")),
        class_="prose" if prose else None,
        role=roles.get("table"),
        style=f"--columns: {len(head) - 1}" if prose else None,
    )
    return tag("div", body, class_="scroll", tabindex="0", role="region", aria_label=caption)


def image_tag(pixels: NDArray[np.uint8], alt: str) -> Element:
    """Return an image, uint8 (H, W, 1 or 3), as an img element of at most 96×96 pixels."""
    height, width, channels = pixels.shape
    image = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if channels == 1 else pixels))
    scale = min(1.0, _THUMBNAIL_SIDE / max(height, width))
    buffer = io.BytesIO()
    if scale < 1:
        image = image.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.LANCZOS)
    is_jpeg = max(image.size) > _LARGEST_PNG
    if is_jpeg:
        image.save(buffer, "JPEG", quality=88)
    else:
        image.save(buffer, "PNG", optimize=True)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    source = f"data:image/{'jpeg' if is_jpeg else 'png'};base64,{data}"
    smooth = "smooth" if is_jpeg else None
    return tag("img", src=source, alt=alt, width=image.width, height=image.height, class_=smooth)


def render(title: str, body: Iterable[Content], *, language: str = "en") -> str:
    """Return the whole page as text."""
    style = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    page = tag(
        "html",
        tag(
            "head",
            tag("meta", charset="utf-8"),
            tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
            tag("meta", name="color-scheme", content="light dark"),
            tag("title", title),
            tag("style", style),
        ),
        tag("body", tag("main", body)),
        lang=language,
    )
    return "<!DOCTYPE html>\n" + ElementTree.tostring(page, encoding="unicode", method="html") + "\n"
