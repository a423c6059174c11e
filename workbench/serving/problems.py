"""Error responses as problem details (RFC 9457): one sentence that names what is wrong and how to fix it.

The member "error" repeats the sentence, because clients of the Open Inference Protocol read it there.
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
        "type": {"type": "string", "description": "about:blank, as the status says enough"},
        "title": {"type": "string", "description": "the status in words"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "detail": {"type": "string", "description": "what is wrong, and how to fix it"},
        "error": {"type": "string", "description": "the detail again, where the Open Inference Protocol expects it"},
    },
}


class Problem(Exception):
    """An error that ends a request. status: HTTP status, 400 to 599. detail: a sentence for the client."""

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.headers = status, detail, dict(headers or {})
        self.title = HTTPStatus(status).phrase

    def response(self) -> Response:
        """Return the Starlette response."""
        return Response(self.content(), self.status, self.headers, MEDIA_TYPE)

    def content(self) -> bytes:
        """Return the JSON body."""
        return orjson.dumps(
            {
                "type": "about:blank",
                "title": self.title,
                "status": self.status,
                "detail": self.detail,
                "error": self.detail,
            }
        )


def busy(reason: str) -> Problem:
    """Return a 503 that asks the client to retry in a second."""
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, f"{reason} Ask again in a second.", {"Retry-After": "1"})
