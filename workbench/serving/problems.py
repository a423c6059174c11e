"""What is answered where something is wrong: problem details (RFC 9457), one sentence that names it and the way out.

The member "error" repeats the sentence: clients of the Open Inference Protocol look for it there.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "error"],
    "properties": {
        "type": {"type": "string", "description": "about:blank: the status says it all"},
        "title": {"type": "string", "description": "the status in words"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "what is wrong, and the way out"},
        "error": {"type": "string", "description": "the same, where the Open Inference Protocol has it"},
    },
}


class Problem(Exception):
    """Ends a request. status: of HTTP, 400 to 599. detail: a sentence for whoever asked."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})
        self.title = HTTPStatus(status).phrase

    def response(self) -> Response:
        """As it is sent."""
        return Response(self.content(), self.status, self.headers, MEDIA_TYPE)

    def content(self) -> bytes:
        """The JSON of it."""
        return orjson.dumps(
            {
                "type": "about:blank",
                "title": self.title,
                "status": self.status,
                "detail": self.detail,
                "error": self.detail,
            }
        )


def busy(what: str) -> Problem:
    """503: too much at once, come back in a second."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"{what} Ask again in a second.", {"Retry-After": "1"})
