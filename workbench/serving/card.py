"""What a person is told of the network that answers: all of it stands in the bundle's manifest."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from workbench.serving.network import Network
from workbench.serving.options import Options


def card(network: Network, options: Options) -> dict[str, Any]:
    """Plain values: who it is, what it was proved to do, what it takes, and the pictures it brings along."""
    bundle = network.bundle
    engine, manifest = bundle.engine(network.engine), bundle.manifest
    height, width, channels = network.shape
    about = manifest["about"].get("data")
    return {
        "name": network.name,
        "version": network.version,
        "created": manifest["created"],
        "labels": list(bundle.labels),
        "accuracy": bundle.accuracy,
        "engine": {
            "name": network.engine,
            "precision": "int8" if network.engine == "onnx-int8" else "fp32",
            "bytes": len(engine.content),
            "accuracy": engine.accuracy,
            "largest_difference": engine.parity["largest_difference"],
            "agreement": engine.parity["agreement"],
        },
        "input": {
            "height": height,
            "width": width,
            "channels": channels,
            "mean": list(bundle.preprocessing.mean),  # dark pictures are drawn in white on black
        },
        "data": about if isinstance(about, str) else None,
        "hyperparameters": manifest["hyperparameters"],
        "versions": manifest["versions"],
        "examples": [
            {"picture": f"/examples/{place}.png", "label": entry["label"]}
            for place, entry in enumerate(manifest["self_test"])
        ],
        "limits": {
            "body_bytes": options.max_body_bytes,
            "pixels": options.max_pixels,
            "pictures": options.max_pictures,
        },
    }


def example(network: Network, place: int) -> bytes | None:
    """One of the bundle's pictures as a PNG; None where it has no such picture."""
    pictures = network.bundle.self_test_pictures
    if not 0 <= place < len(pictures):
        return None
    picture, file = pictures[place], io.BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(file, format="PNG")
    return file.getvalue()
