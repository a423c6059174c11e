"""LitServe with ONNX Runtime. PORT and WORKERS come from the command line."""

import sys
from typing import Any

import litserve
import numpy as np
from fastapi import Request
from PIL import Image

from workbench.bundle.manifest import read_bundle
from workbench.bundle.onnx_session import OnnxSession

REFERENCE = sys.argv[3]


class Classify(litserve.LitAPI):
    def setup(self, device: str) -> None:
        bundle = read_bundle(REFERENCE)
        self.labels, self.session = bundle.labels, OnnxSession(bundle.engines["onnx"].content, 1)

    def decode_request(self, request: Request) -> Any:
        # LitServe takes JSON or forms: the body cannot be the image itself.
        return np.asarray(Image.open(request["image"].file).convert("RGB"))

    def predict(self, image: Any) -> Any:
        return self.session(image[None])[0]

    def encode_response(self, probabilities: Any) -> dict[str, object]:
        by_label = dict(zip(self.labels, probabilities.tolist(), strict=True))
        return {"label": self.labels[probabilities.argmax()], "probabilities": by_label}


if __name__ == "__main__":
    port, workers = int(sys.argv[1]), int(sys.argv[2])
    server = litserve.LitServer(Classify(api_path="/classify"), accelerator="cpu", workers_per_device=workers)
    server.run(port=port, num_api_servers=workers, generate_client_file=False, log_level="warning")
