"""An HTTP client of the application: its JSON, its files, and tensors by the Open Inference Protocol."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPMessage
from typing import Any, Self
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from workbench.deployment.load_test import RESPONSE_SECONDS
from workbench.errors import WorkbenchError
from workbench.wording import shorten

HEAD_BYTES = 1024  # more than the JSON in front of a tensor takes
_JSON_LENGTH = "Inference-Header-Content-Length"


class ApplicationClient:
    """One connection to an application; a context manager that closes it.

    Methods raise WorkbenchError with the application's own sentence if it refuses, and with what `explain` makes of the
    cause if it does not respond.
    """

    def __init__(self, address: str, explain: Callable[[str], str]) -> None:
        self._address, self._explain = address, explain
        url = urlsplit(address)
        self._connection = HTTPConnection(str(url.hostname), url.port, timeout=RESPONSE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, path: str) -> bytes:
        """Return the body of a GET request."""
        return self._request("GET", path)[0]

    def get_json(self, path: str) -> dict[str, Any]:
        """Return the JSON object at a path."""
        return dict(json.loads(self.get(path)))

    def infer(self, name: str, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the probabilities, float32 (N, K), of images, uint8 (N, H, W, C), sent as a binary tensor."""
        tensor: dict[str, Any] = {"name": "images", "datatype": "UINT8", "shape": list(images.shape)}
        tensor["parameters"] = {"binary_data_size": images.nbytes}
        head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
        headers = {"Content-Type": "application/octet-stream", _JSON_LENGTH: str(len(head))}
        content, received = self._request("POST", f"/v2/models/{name}/infer", head + images.tobytes(), headers)
        return np.frombuffer(content[int(received[_JSON_LENGTH]) :], "<f4").reshape(len(images), -1)

    def _request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[bytes, HTTPMessage]:
        try:
            self._connection.request(method, path, body, headers or {})
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, HTTPException) as error:
            raise WorkbenchError(self._explain(shorten(error) or type(error).__name__)) from error
        if response.status != HTTPStatus.OK:
            detail = _problem_detail(content)
            raise WorkbenchError(detail or f"{self._address}{path} responded with the status {response.status}.")
        return content, response.headers


def _problem_detail(content: bytes) -> str:
    """Return the detail of a problem (RFC 9457), or "" for any other content."""
    with suppress(ValueError, KeyError, TypeError):
        return str(json.loads(content)["detail"])
    return ""
