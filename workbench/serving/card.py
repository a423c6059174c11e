"""The network's card and example images, all taken from the bundle's manifest."""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from workbench.serving.network import Network
from workbench.serving.options import Options


def network_card(network: Network, options: Options) -> dict[str, Any]:
    """Return the card as JSON values: identity, accuracy and parity, input, provenance, examples and limits."""
    bundle = network.bundle
    engine, manifest = bundle.engine(network.engine), bundle.manifest
    height, width, channels = network.shape
    data = manifest["about"].get("data")
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
            "mean": list(bundle.preprocessing.mean),  # for dark training images the page draws white on black
        },
        "data": data if isinstance(data, str) else None,
        "hyperparameters": manifest["hyperparameters"],
        "versions": manifest["versions"],
        "examples": [
            {"image": f"/examples/{index}.png", "label": entry["label"]}
            for index, entry in enumerate(manifest["self_test"])
        ],
        "limits": {
            "body_bytes": options.max_body_bytes,
            "pixels": options.max_pixels,
            "images": options.max_images,
        },
    }


def example_png(network: Network, index: int) -> bytes | None:
    """Return a self-test image of the bundle as a PNG, or None if there is none with this index."""
    images = network.bundle.self_test_images
    if not 0 <= index < len(images):
        return None
    image, file = images[index], io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, format="PNG")
    return file.getvalue()
