"""FastAPI with eager PyTorch, as in many first services. PORT and WORKERS come from the command line."""

import io
import sys

import numpy as np
import torch
import uvicorn
from fastapi import FastAPI, Request
from PIL import Image

from workbench.folders import REFERENCE
from workbench.training.checkpoint import load_weights
from workbench.training.models import ImageClassifier

torch.set_num_threads(1)
app = FastAPI()
weights = load_weights(REFERENCE / "weights.safetensors")
network = ImageClassifier(weights.model, weights.preprocessing).eval()


@app.post("/classify")
async def classify(request: Request) -> dict[str, object]:
    image = np.asarray(Image.open(io.BytesIO(await request.body())).convert("RGB"))
    with torch.inference_mode():
        probabilities = network(torch.from_numpy(image.copy())[None])[0].tolist()
    best = max(range(len(probabilities)), key=probabilities.__getitem__)
    return {"label": weights.labels[best], "probabilities": dict(zip(weights.labels, probabilities, strict=True))}


if __name__ == "__main__":
    port, workers = int(sys.argv[1]), int(sys.argv[2])
    uvicorn.run("benchmarks.peers.fastapi_torch:app", port=port, workers=workers, log_level="warning")
