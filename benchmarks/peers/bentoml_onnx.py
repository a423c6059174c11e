"""BentoML with ONNX Runtime: `bentoml serve benchmarks.peers.bentoml_onnx:Classify`; REFERENCE and WORKERS are set."""

import os
from pathlib import Path

import bentoml
import numpy as np
from PIL.Image import Image

from workbench.bundle.manifest import read_bundle
from workbench.bundle.onnx_session import OnnxSession


@bentoml.service(workers=int(os.environ.get("WORKERS", "1")), traffic={"max_concurrency": 1024})
class Classify:
    def __init__(self) -> None:
        bundle = read_bundle(Path(os.environ["REFERENCE"]))
        self.labels, self.session = bundle.labels, OnnxSession(bundle.engines["onnx"].content, 1)

    @bentoml.api(route="/classify")
    def classify(self, image: Image, /) -> dict[str, object]:
        probabilities = self.session(np.asarray(image.convert("RGB"))[None])[0]
        by_label = dict(zip(self.labels, probabilities.tolist(), strict=True))
        return {"label": self.labels[probabilities.argmax()], "probabilities": by_label}
