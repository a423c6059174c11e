"""The network's card and example images."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from serving.application import (
    BUNDLE,
    application,
    client,
)


def test_the_card_and_the_example_images() -> None:
    with application() as served, client(served) as asking:
        text = asking.get("/card").json()
        assert text["version"] == served.version == BUNDLE.version
        assert len(text["examples"]) == len(BUNDLE.self_test_images)
        for place, entry in enumerate(text["examples"]):
            content = asking.get(entry["image"]).content
            np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), BUNDLE.self_test_images[place])
        for place in ("10", "-1", "x", "99999999999"):
            assert asking.get(f"/examples/{place}.png").status_code == 404
