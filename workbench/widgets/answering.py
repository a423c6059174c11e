"""What the Classifier computes: the engines and images it works with, their answers, and the sentence about them."""

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

from workbench.bundle.images import ImageError, read_image
from workbench.bundle.manifest import Bundle, read_bundle
from workbench.bundle.preprocessing import fit_image
from workbench.data.datasets import Split
from workbench.errors import WorkbenchError
from workbench.inference.predictor import Predictor
from workbench.machine.devices import list_devices
from workbench.units import format_share
from workbench.wording import shorten

CALLS, SECONDS = 9, 0.05  # the median of at most so many calls, none of which begins after so many seconds
_MAX_DRAWING = 500_000  # characters


def answer(
    predictor: Predictor, title: str, image: NDArray[np.uint8], is_current: Callable[[], bool] = lambda: True
) -> dict[str, Any]:
    """Return an engine's answer to one image, uint8 (H, W, C), and the median time of a few calls after a warm-up.

    No further call is timed once `is_current` returns False.
    """
    row = predictor(image[None])[0]
    times: list[float] = []
    while len(times) < CALLS and sum(times) < SECONDS and (not times or is_current()):
        start = time.perf_counter()
        predictor(image[None])
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
    """Describe whether the engines agree, how far their probabilities differ, and whether they match the true label."""
    if not answers:
        return "No engine has answered yet."
    labels = [answer["label"] for answer in answers]
    each = [f"{one['title']} says {one['label']} ({format_share(one['probability'])})" for one in answers]
    text = f"{each[0]}." if len(answers) == 1 else _agreement_of(answers, labels, each)
    if not truth:
        return text
    right = labels.count(truth)
    if right in (0, len(labels)):
        verdict = "right" if right else "wrong"
    else:
        verdict = f"{right} of {len(labels)} {'is' if right == 1 else 'are'} right"
    return f"{text} Its label is {truth}: {verdict}."


def _agreement_of(answers: Sequence[Mapping[str, Any]], labels: Sequence[str], each: Sequence[str]) -> str:
    rows = np.array([list(answer["probabilities"].values()) for answer in answers])
    difference = float(np.ptp(rows, axis=0).max())
    differ = f" Their probabilities differ by at most {difference:.1g} (measured)." if difference else ""
    if len(set(labels)) > 1:
        return f"They disagree: {', '.join(each)}.{differ}"
    everyone = "Both" if len(answers) == 2 else f"All {len(answers)}"
    return f"{everyone} say {labels[0]}{'.' if difference else ', identical to the last bit (measured).'}{differ}"


def titles(predictors: Sequence[Predictor]) -> list[str]:
    """Return a title for each: its engine, and the device unless that is the CPU; duplicates are numbered."""
    names = [one.engine + ("" if one.device == "cpu" else f" on {one.device}") for one in predictors]
    return [
        name if names.count(name) == 1 else f"{name} {names[: index + 1].count(name)}"
        for index, name in enumerate(names)
    ]


def about(predictor: Predictor, title: str) -> dict[str, Any]:
    """Return what distinguishes an engine, as plain values."""
    return {"title": title} | {
        name: getattr(predictor, name) for name in ("engine", "device", "precision", "threads", "model")
    }


def find_predictors(
    source: Bundle | Path | str | Sequence[Predictor], threads: int | None
) -> tuple[list[Predictor], NDArray[np.uint8], list[str]]:
    """Return the engines, and the images and labels that came with them.

    A bundle's engines run on the CPU; eager PyTorch runs on every device. Raise WorkbenchError unless all take the same
    images and know the same labels.
    """
    if isinstance(source, Bundle | Path | str):
        bundle = source if isinstance(source, Bundle) else read_bundle(Path(source).expanduser())
        found = [Predictor.from_bundle(bundle, engine, threads=threads) for engine in bundle.engines]
        if bundle.manifest["about"].get("model") is not None:  # a user's own class cannot be rebuilt from its bundle
            devices = sorted((device.name for device in list_devices()), key=lambda name: name != "cpu")
            found += [Predictor.from_bundle(bundle, "eager", device=name, threads=threads) for name in devices]
        return found, bundle.self_test_images, [test["label"] for test in bundle.manifest["self_test"]]
    found = list(source) if isinstance(source, Iterable) else [source]
    if not found or not all(isinstance(one, Predictor) for one in found):
        raise WorkbenchError(f"A Classifier needs a bundle or Predictors, not {shorten(source)!r}.")
    first = found[0]
    for other in found[1:]:
        if other.labels != first.labels or other.preprocessing.shape != first.preprocessing.shape:
            raise WorkbenchError(
                f"{other.engine} takes {_size(other)} images of {len(other.labels)} classes and {first.engine} "
                f"{_size(first)} of {len(first.labels)}: compare predictors that take the same images "
                "and know the same labels in the same order."
            )
    return found, np.empty((0, *first.preprocessing.shape), dtype=np.uint8), []


def fit_images(images: Split | NDArray[np.uint8], predictor: Predictor) -> tuple[NDArray[np.uint8], list[str]]:
    """Return images as the predictor takes them, uint8 (N, H, W, C), and the names of their labels, if they have any.

    Raise WorkbenchError for anything but a Split or a uint8 array (N, H, W, 1 or 3).
    """
    pixels = images.images.numpy() if isinstance(images, Split) else np.asarray(images)
    if pixels.ndim != 4 or pixels.dtype != np.uint8 or pixels.shape[3] not in (1, 3):
        raise WorkbenchError(
            f"images: must be a Split or a uint8 array (N, H, W, 1 or 3), not {pixels.dtype} of shape {pixels.shape}."
        )
    fitted = [fit_image(image, predictor.preprocessing) for image in pixels]
    classes = images.labels.tolist() if isinstance(images, Split) else []
    known = all(0 <= index < len(predictor.labels) for index in classes)
    labels = [predictor.labels[index] for index in classes] if known else []
    return np.array(fitted, dtype=np.uint8).reshape(-1, *predictor.preprocessing.shape), labels


def read_drawing(address: str) -> NDArray[np.uint8]:
    """Return the pixels of a drawing that the browser sent as a data: address of a PNG. Raise ImageError otherwise."""
    head, _, text = address.partition(",")
    if head != "data:image/png;base64" or len(text) > _MAX_DRAWING:
        raise ImageError("the drawing: is not a PNG of a drawing's size. Clear the paper and draw again.")
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ImageError("the drawing: arrived damaged. Draw on, and it is sent again.") from error
    return read_image(content, name="the drawing", max_pixels=1_000_000).pixels


def png_address(image: NDArray[np.uint8]) -> str:
    """Return an image, uint8 (H, W, 1 or 3), as the data: address of an img element."""
    buffer = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(buffer, "PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _size(predictor: Predictor) -> str:
    return "×".join(map(str, predictor.preprocessing.shape))
