"""HTML for verdicts, hints and progress in notebooks: JupyterLab breaks plain text inside words.

It sets no colours, so that it is legible in light and dark themes; all text is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

_STYLE = "max-width: 50em; margin: 0.2em 0; white-space: normal; overflow-wrap: break-word"


def paragraph(text: str, bold: str = "") -> str:
    """A paragraph; text in backticks becomes code. bold: the part of the text whose first occurrence is bold."""
    html = re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))
    html = html.replace(bold, f"<strong>{bold}</strong>", 1) if bold else html
    return f'<p style="{_STYLE}">{html}</p>'


def lesson_table(rows: Iterable[tuple[str, str, int, int, int, int]]) -> str:
    """A table with a row for each lesson: number, title, exercises passed and in all, points likewise."""
    lines = (
        f'<tr><th scope="row" style="text-align: left">{escape(number)} {escape(title)}</th>'
        f'<td aria-hidden="true">{"■" * passed}{"□" * (count - passed)}</td>'
        f"<td>{passed} of {count} exercises</td><td>{points} of {max_points} points</td></tr>"
        for number, title, passed, count, points, max_points in rows
    )
    return f"<table>{''.join(lines)}</table>"
