# Solutions of lesson 03. Do not hand out this folder together with the release of `workbench classroom build`.

# %% 03-size
guess = 1_000_000
size = sum(tensor.nbytes for tensor in network.state_dict().values())

# %% 03-header
import json


def shapes_of(content):
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    return {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}


# %% 03-labels
def mended(weight, bias, labels, wanted):
    order = [labels.index(label) for label in wanted]
    return weight[order], bias[order]


# %% 03-stranger
import hashlib

import safetensors.torch


def load(path, sha256):
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != sha256:
        raise ValueError(f"{path} is not the file that was sent.")
    return safetensors.torch.load(content)


# %% 03-int8
def quantise(matrix):
    furthest = matrix.abs().amax(dim=1, keepdim=True)
    scales = (furthest / 127).where(furthest > 0, 1.0)
    return (matrix / scales).round().to(torch.int8), scales
