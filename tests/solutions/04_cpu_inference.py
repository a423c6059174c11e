# Solutions of lesson 04. Do not hand out this folder together with the release of `workbench classroom build`.

# %% 04-throughput
guess = 64
speed = 64 / latency[64]
times = speed * latency[1]


# %% 04-eval
def mended(network, images):
    learning = network.training
    network.eval()
    with torch.inference_mode():
        answers = network(images).softmax(dim=1)
    network.train(learning)
    return answers


# %% 04-tail
import numpy as np


def tail(seconds, deadline):
    later = np.array(seconds[1:])
    return np.percentile(later, 99), (later > deadline).mean()


# %% 04-queue
def keeping_up(arriving, latency):
    able = [size for size in latency if size / latency[size] > arriving]
    size = min(able)
    return size, (size - 1) / arriving + latency[size]


# %% 04-shrink
import io
import zlib

import torch

LEVELS = 31


def pack(state):
    parts = {}
    for name, tensor in state.items():
        if tensor.dim() < 2:
            parts[name] = tensor
            continue
        largest = tensor.abs().flatten(1).amax(dim=1).clamp(min=1e-12)
        step = (largest / LEVELS).view(-1, *[1] * (tensor.dim() - 1))
        parts[name] = (tensor / step).round().to(torch.int8), step
    torch.save(parts, file := io.BytesIO())
    return zlib.compress(file.getvalue(), 9)


def unpack(packed):
    parts = torch.load(io.BytesIO(zlib.decompress(packed)), weights_only=True)
    return {name: part[0] * part[1] if isinstance(part, tuple) else part for name, part in parts.items()}
