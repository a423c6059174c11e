# Solutions of lesson 05. Do not hand out this folder together with the release of `workbench classroom build`.

# %% 05-left
files = [path for path in REFERENCE.rglob("*") if path.is_file()]
total = sum(path.stat().st_size for path in files)
guess = 0.9
measured = (REFERENCE / "model.onnx").stat().st_size / total

# %% 05-normal
import numpy as np


def prepare(images, mean, std):
    normalised = (images / 255 - np.array(mean)) / np.array(std)
    return normalised.transpose(0, 3, 1, 2).astype(np.float32)


# %% 05-refuse
import numpy as np


def accept(image):
    if not isinstance(image, np.ndarray):
        raise ValueError(f"An image is a NumPy array, and this is a {type(image).__name__}.")
    if image.dtype != np.uint8:
        raise ValueError(f"The pixels are whole numbers of type uint8, and these are {image.dtype}.")
    if image.shape != (32, 32, 3):
        raise ValueError(f"An image has 32 rows, 32 columns and 3 colours, and this has the shape {image.shape}.")
    return image


# %% 05-tamper
import json
from hashlib import sha256


def damaged(folder):
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ["manifest.json"]
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    del there["manifest.json"]
    wrong = there.keys() ^ manifest.keys()
    for name in there.keys() & manifest.keys():
        if sha256(there[name].read_bytes()).hexdigest() != manifest[name]:
            wrong.add(name)
    return sorted(wrong)


# %% 05-retry
def ask(send, sleep, tries):
    for left in reversed(range(tries)):
        status, headers, body = send()
        if status == 200:
            return body
        if status != 503:
            raise ValueError(f"{status}: {body}")
        if left:
            sleep(float(headers.get("Retry-After", 1)))
    raise TimeoutError(f"Still busy after {tries} tries.")
