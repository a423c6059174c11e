"""A verdict, a hint or the progress as HTML: JupyterLab breaks plain text within words, and this between them.

No colour of its own, so that it can be read in light and in dark; every text is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

_STYLE = "max-width: 50em; margin: 0.2em 0; white-space: normal; overflow-wrap: break-word"


def paragraphs(text: str, bold: str = "") -> str:
    """A paragraph. What stands in it between backticks is code; bold: what of it is set so where it first stands."""
    made = re.sub("`([^`]+)`", r"<code>\1</code>", escape(text))
    made = made.replace(bold, f"<strong>{bold}</strong>", 1) if bold else made
    return f'<p style="{_STYLE}">{made}</p>'


def lesson_table(rows: Iterable[tuple[str, str, int, int, int, int]]) -> str:
    """A row a lesson: its number, its title, exercises passed and given, points likewise."""
    lines = (
        f'<tr><th scope="row" style="text-align: left">{escape(number)} {escape(title)}</th>'
        f'<td aria-hidden="true">{"■" * done}{"□" * (given - done)}</td>'
        f"<td>{done} of {given} exercises</td><td>{points} of {most} points</td></tr>"
        for number, title, done, given, points, most in rows
    )
    return f"<table>{''.join(lines)}</table>"
