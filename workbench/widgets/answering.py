"""What the Classifier shows, without a browser: which engines answer, which pictures they get, what is said of it."""

from __future__ import annotations

import base64
import binascii
import io
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from workbench.bundle import Bundle, read_bundle
from workbench.data import Split
from workbench.devices import list_devices
from workbench.errors import WorkbenchError
from workbench.inference import Predictor
from workbench.pictures import PictureError, read_picture
from workbench.preprocessing import fit_picture
from workbench.sealed import shortened
from workbench.units import format_share

CALLS, SECONDS = 9, 0.05  # the median of so many calls, or of as many as begin within so long
_MAX_DRAWING = 500_000


def answer(
    predictor: Predictor, title: str, picture: NDArray[np.uint8], wanted: Callable[[], bool] = lambda: True
) -> dict[str, Any]:
    """What an engine says of one picture, uint8 (H, W, C), and the median time of a few calls after a first one.

    wanted: asked between the calls; where nobody waits for the answer any more, no further call is timed.
    """
    row = predictor(picture[None])[0]
    times: list[float] = []
    while len(times) < CALLS and sum(times) < SECONDS and (not times or wanted()):
        start = time.perf_counter()
        predictor(picture[None])
        times.append(time.perf_counter() - start)
    best = int(row.argmax())
    return {
        **about(predictor, title),
        "label": predictor.labels[best],
        "probability": float(row[best]),
        "probabilities": dict(zip(predictor.labels, row.tolist(), strict=True)),
        "seconds": median(times),
        "calls": len(times),
    }


def agreement(answers: Sequence[Mapping[str, Any]], truth: str = "") -> str:
    """Whether all engines say the same, how far their probabilities are apart, and whether the label agrees."""
    if not answers:
        return "No engine has answered yet."
    said = [answer["label"] for answer in answers]
    if len(answers) == 1:
        text = f"{answers[0]['title']} says {said[0]} ({format_share(answers[0]['probability'])})."
    else:
        rows = np.array([list(answer["probabilities"].values()) for answer in answers])
        apart = float((rows.max(axis=0) - rows.min(axis=0)).max())
        if len(set(said)) == 1:
            text = f"{'Both' if len(answers) == 2 else f'All {len(answers)}'} say {said[0]}"
            text += "." if apart else ", to the last bit the same (measured)."
        else:
            each = (f"{one['title']} says {one['label']} ({format_share(one['probability'])})" for one in answers)
            text = f"They do not agree: {', '.join(each)}."
        if apart:
            text += f" Their probabilities are at most {apart:.1g} apart (measured)."
    if not truth:
        return text
    right = said.count(truth)
    some = f"{right} of {len(said)} {'is' if right == 1 else 'are'} right"
    return f"{text} Its label is {truth}: {'wrong' if not right else 'right' if right == len(said) else some}."


def titles(predictors: Sequence[Predictor]) -> list[str]:
    """A name for each: its engine, with the device where that is not the CPU; numbered where two are alike."""
    names = [one.engine + ("" if one.device == "cpu" else f" on {one.device}") for one in predictors]
    return [
        name if names.count(name) == 1 else f"{name} {names[: place + 1].count(name)}"
        for place, name in enumerate(names)
    ]


def about(predictor: Predictor, title: str) -> dict[str, Any]:
    """What tells one engine from another, as plain values."""
    return {"title": title} | {
        name: getattr(predictor, name) for name in ("engine", "device", "precision", "threads", "model")
    }


def predictors_of(
    source: Bundle | Path | str | Sequence[Predictor], threads: int | None
) -> tuple[list[Predictor], tuple[NDArray[np.uint8], list[str]]]:
    """The engines, and the pictures and labels that came with them."""
    if isinstance(source, Bundle | Path | str):
        bundle = source if isinstance(source, Bundle) else read_bundle(Path(source).expanduser())
        found = [Predictor.from_bundle(bundle, engine, threads=threads) for engine in bundle.engines]
        if bundle.manifest["about"].get("model") is not None:  # a class of the user's own cannot be built from it
            devices = sorted((device.name for device in list_devices()), key=lambda name: name != "cpu")
            found += [Predictor.from_bundle(bundle, "eager", device=name, threads=threads) for name in devices]
        return found, (bundle.self_test_pictures, [test["label"] for test in bundle.manifest["self_test"]])
    found = list(source) if isinstance(source, Iterable) else [source]
    if not found or not all(isinstance(one, Predictor) for one in found):
        raise WorkbenchError(f"A Classifier needs a bundle or Predictors, not {shortened(source)!r}.")
    first = found[0]
    for other in found[1:]:
        if other.labels != first.labels or _shape(other) != _shape(first):
            raise WorkbenchError(
                f"{other.engine} takes {'×'.join(map(str, _shape(other)))} pictures of {len(other.labels)} kinds and "
                f"{first.engine} {'×'.join(map(str, _shape(first)))} of {len(first.labels)}: compare predictors that "
                "take the same pictures and know the same labels in the same order."
            )
    return found, (np.empty((0, *_shape(first)), dtype=np.uint8), [])


def _shape(predictor: Predictor) -> tuple[int, int, int]:
    preprocessing = predictor.preprocessing
    return preprocessing.height, preprocessing.width, preprocessing.channels


def given_pictures(pictures: Split | NDArray[np.uint8], first: Predictor) -> tuple[NDArray[np.uint8], list[str]]:
    """The pictures to flip through, fitted, and the name of each one's label where there is one."""
    pixels = pictures.pictures.numpy() if isinstance(pictures, Split) else np.asarray(pictures)
    if pixels.ndim != 4 or pixels.dtype != np.uint8 or pixels.shape[3] not in (1, 3):
        raise WorkbenchError(
            f"pictures: must be a Split or a uint8 array (N, H, W, 1 or 3), not {pixels.dtype} of shape {pixels.shape}."
        )
    fitted = [fit_picture(picture, first.preprocessing) for picture in pixels]
    kinds = pictures.labels.tolist() if isinstance(pictures, Split) else []
    truth = [first.labels[kind] for kind in kinds] if all(0 <= kind < len(first.labels) for kind in kinds) else []
    return np.array(fitted, dtype=np.uint8).reshape(-1, *_shape(first)), truth


def drawn(address: str) -> NDArray[np.uint8]:
    """The pixels of a drawing as the browser sends it, a data: address of a PNG."""
    head, _, text = address.partition(",")
    if head != "data:image/png;base64" or len(text) > _MAX_DRAWING:
        raise PictureError("the drawing: is no PNG of a drawing's size. Clear the paper and draw again.")
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise PictureError("the drawing: arrived damaged. Draw on, and it is sent again.") from error
    return read_picture(content, name="the drawing", max_pixels=1_000_000).pixels


def data_uri(picture: NDArray[np.uint8]) -> str:
    """A picture, uint8 (H, W, 1 or 3), as the address of an img element."""
    buffer = io.BytesIO()
    Image.fromarray(picture[:, :, 0] if picture.shape[2] == 1 else picture).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
