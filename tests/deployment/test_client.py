"""The HTTP client: answers, the application's own refusals, and applications that do not respond."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import numpy as np
import pytest
from serving.application import BUNDLE, PNG, Application, application

from workbench.deployment.client import ApplicationClient
from workbench.errors import WorkbenchError


@pytest.fixture(scope="module")
def served() -> Iterator[Application]:
    with application() as running:
        yield running


def explain(cause: str) -> str:
    return f"It does not respond: {cause}."


def test_files_json_and_tensors(served: Application) -> None:
    with ApplicationClient(served.address, explain) as client:
        card = client.get_json("/card")
        assert card["version"] == BUNDLE.version
        assert client.get(card["examples"][0]["image"])[:4] == PNG[:4]
        found = client.infer(card["name"], BUNDLE.self_test_images)
    assert found.dtype == np.float32
    assert np.abs(found - BUNDLE.self_test_expected).max() < 1e-4


def test_a_refusal_is_raised_in_the_applications_words(served: Application) -> None:
    with ApplicationClient(served.address, explain) as client:
        with pytest.raises(WorkbenchError, match="The bundle has 10 example images: 0 to 9"):
            client.get("/examples/99.png")
        with pytest.raises(WorkbenchError, match="No model of this name is served, only 'convnet'"):
            client.infer("resnet", BUNDLE.self_test_images)
        assert client.get_json("/v2/health/live") == {"live": True}  # on the same connection


def test_an_application_that_does_not_respond_is_explained() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with (
        ApplicationClient(f"http://127.0.0.1:{port}", explain) as client,
        pytest.raises(WorkbenchError, match=r"It does not respond: .*refused"),
    ):
        client.get("/card")
