"""The OpenAPI description as a page: the usual ones fetch their scripts from elsewhere."""

from __future__ import annotations

from html import escape
from typing import Any

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Workbench: what can be asked</title><link rel="icon" href="data:,"><link rel="stylesheet" href="page.css">
<body class="docs"><main><h1>What can be asked</h1>
<p>{about}</p><p>For programs: <a href="openapi.json">openapi.json</a>. For people: <a href="./">the page</a>.</p>
{operations}</main></body></html>"""
_OPERATION = """<section><h2><code>{method} {path}</code></h2><p>{summary}</p>{text}
<table><caption>Answers</caption><thead><tr><th scope="col">Status<th scope="col">Meaning<th scope="col">Kind</thead>
<tbody>{answers}</tbody></table></section>"""


def docs_page(openapi: dict[str, Any]) -> str:
    """HTML of every operation, with the statuses it answers with."""
    operations = []
    for path, methods in openapi["paths"].items():
        for method, about in methods.items():
            text = "".join(f"<p>{escape(part)}</p>" for part in about.get("description", "").split("\n\n") if part)
            answers = "".join(
                f"<tr><td>{escape(status)}<td>{escape(answer['description'])}"
                f"<td><code>{escape(', '.join(answer.get('content', {})))}</code>"
                for status, answer in sorted(about["responses"].items())
            )
            operations.append(
                _OPERATION.format(
                    method=method.upper(),
                    path=escape(path),
                    summary=escape(about.get("summary", "")),
                    text=text,
                    answers=answers,
                )
            )
    return _PAGE.format(about=escape(openapi["info"]["description"]), operations="\n".join(operations))
