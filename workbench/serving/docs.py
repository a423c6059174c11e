"""The OpenAPI description as a page of its own: the usual viewers load their scripts from other sites."""

from __future__ import annotations

from html import escape
from typing import Any

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Workbench: API</title><link rel="icon" href="data:,"><link rel="stylesheet" href="page.css">
<body class="docs"><main><h1>API</h1>
<p>{about}</p><p>For programs: <a href="openapi.json">openapi.json</a>. For people: <a href="./">the page</a>.</p>
{operations}</main></body></html>"""
_OPERATION = """<section><h2><code>{method} {path}</code></h2><p>{summary}</p>{description}
<table><caption>Responses</caption><thead><tr><th scope="col">Status<th scope="col">Meaning<th scope="col">Type</thead>
<tbody>{responses}</tbody></table></section>"""


def docs_page(openapi: dict[str, Any]) -> str:
    """Return the HTML of every operation with the statuses it responds with."""
    sections = []
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items():
            paragraphs = filter(None, operation.get("description", "").split("\n\n"))
            responses = "".join(
                f"<tr><td>{escape(status)}<td>{escape(response['description'])}"
                f"<td><code>{escape(', '.join(response.get('content', {})))}</code>"
                for status, response in sorted(operation["responses"].items())
            )
            sections.append(
                _OPERATION.format(
                    method=method.upper(),
                    path=escape(path),
                    summary=escape(operation.get("summary", "")),
                    description="".join(f"<p>{escape(paragraph)}</p>" for paragraph in paragraphs),
                    responses=responses,
                )
            )
    return _PAGE.format(about=escape(openapi["info"]["description"]), operations="\n".join(sections))
