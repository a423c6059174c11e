"""Elements, tables, images and charts of a page: escaped, accessible, and in the reader's colours.

Covers: html, charts, chart_style.
"""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from workbench.pages import html, plots
from workbench.pages.chart_style import cut_middle, plain, round_unit, short
from workbench.pages.charts import draw_chart
from workbench.pages.html import image_tag, render, table, tag

STYLE = Path(html.__file__).with_name("page.css").read_text(encoding="utf-8")


def text_of(element: ElementTree.Element) -> str:
    return ElementTree.tostring(element, encoding="unicode", method="html")


def test_text_and_attributes_are_escaped() -> None:
    link = tag("a", "<b>", tag("i", "x"), None, ["y", "&"], href='"', class_="c", aria_label="l", hidden=True, id=None)
    assert text_of(link) == '<a href="&quot;" class="c" aria-label="l" hidden="">&lt;b&gt;<i>x</i>y&amp;</a>'
    assert text_of(tag("p", "\x00\ud800\u732b")) == "<p>\ufffd\ufffd\u732b</p>"


def test_a_table_names_its_rows_columns_and_region() -> None:
    found = table("Sizes", ("what", "bytes"), [("a", "1"), ("b", "2")], numeric=(1,), prose=True)
    assert (found.get("role"), found.get("aria-label"), found.get("tabindex")) == ("region", "Sizes", "0")
    assert [cell.get("scope") for cell in found.iter("th")] == ["col", "col", "row", "row"]
    assert [cell.get("class") for cell in found.iter("td")] == ["n", "n"]
    assert {row.get("role") for row in found.iter("tr")} == {"row"}  # a grid on a phone is a table all the same
    assert {row.get("role") for row in table("Sizes", ("what",), [("a",)]).iter("tr")} == {None}


@pytest.mark.parametrize(
    ("shape", "size", "kind"),
    [((16, 16, 3), (16, 16), "png"), ((40, 20, 1), (20, 40), "png"), ((192, 96, 3), (48, 96), "jpeg")],
)
def test_images_are_data_of_at_most_96_pixels(shape: tuple, size: tuple[int, int], kind: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    found = image_tag(pixels, "a cat")
    head, data = str(found.get("src")).split(",")
    assert head == f"data:image/{kind};base64"
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert image.size == size
    assert (found.get("width"), found.get("height"), found.get("alt")) == (*map(str, size), "a cat")
    if kind == "png":
        assert (np.asarray(image).reshape(shape) == pixels).all()


def test_a_page_carries_its_style() -> None:
    page = render("A <title>", [tag("p", "text")])
    assert page.startswith("<!DOCTYPE html>\n<html lang=")
    assert "<title>A &lt;title&gt;</title>" in page
    assert STYLE in page


def test_a_chart_has_the_colours_of_the_page_and_ids_of_its_own() -> None:
    first, second = (
        draw_chart(name, lambda axes: plots.time_bars({"a": 1.0, "b": 2.0}, axes), note="Two bars.")
        for name in ("first", "second")
    )
    text = text_of(first)
    assert "var(--blue)" in text
    assert "var(--ink)" in text
    assert "#0072b2" not in text
    assert "Two bars." in text
    ids = [{str(element.get("id")) for element in each.iter() if element.get("id")} for each in (first, second)]
    assert not ids[0] & ids[1]
    assert set(re.findall(r"url\(#([^)]+)\)", text)) <= ids[0]
    svg = first.find("svg")
    assert svg is not None
    assert str(svg.get("aria-label")).startswith("b takes 67")


def test_labels_fit_on_one_line() -> None:
    assert plain(" two\nlines\x1b ") == "two lines"
    assert short("a" * 30) == "a" * 17 + "…"
    name = "NVIDIA H100 80GB HBM3, eager bf16, recorded"
    assert len(cut_middle(name, 34)) == 34
    assert cut_middle(name, 34).endswith("6, recorded")
    assert cut_middle("short", 34) == "short"


def test_ticks_have_no_trailing_zeros() -> None:
    assert round_unit("1.00\N{NO-BREAK SPACE}MB") == "1\N{NO-BREAK SPACE}MB"
    assert round_unit("1,500 images/s") == "1,500 images/s"  # no unit behind a no-break space: as it was


def test_text_can_be_read_in_light_and_dark() -> None:
    """WCAG AA: text at least 4.5 to 1 on both backgrounds; lines of charts at least 3 to 1."""
    light, dark = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)[:2]
    for scheme in (light, dark):
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", scheme))
        for back in ("paper", "raised"):
            for ink in ("ink", "muted", "blue", "wrong"):
                assert _contrast(colours[ink], colours[back]) >= 4.5, (ink, back)
            assert _contrast(colours["vermillion"], colours[back]) >= 3, back


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: str) -> float:
    channels = np.array([int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
