"""`Classifier`: draw, drop or pick an image, and compare the answers of engines and devices."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import traitlets
from numpy.typing import NDArray

from workbench.bundle.images import read_image
from workbench.bundle.manifest import Bundle
from workbench.bundle.preprocessing import fit_image
from workbench.data.datasets import Split
from workbench.inference.predictor import Predictor
from workbench.units import format_share
from workbench.widgets.answer_queue import AnswerQueue
from workbench.widgets.answering import (
    about,
    agreement,
    find_predictors,
    fit_images,
    png_address,
    read_drawing,
    titles,
)
from workbench.widgets.view import View
from workbench.widgets.worker import Job, error_text
from workbench.wording import shorten

MAX_FILE_BYTES = 8_000_000  # Jupyter's server closes the connection on a message of 10 MB
_PATIENCE_SECONDS = 30.0
_BLANK = "Draw something, or choose an image."
_DARK = 0.35  # networks that learned from bright strokes on black, such as MNIST's, get black paper
_WORDS = {
    "origin": "measured here, now",
    "waiting": "waiting: another widget is computing",
    "too_large": "{name} has {bytes}, more than the limit of {limit}. Save the image smaller.",
    "no_file": "What was dropped is no file. Save the image first, and drop or pick its file.",
    "no_kernel": "This page has no kernel: it keeps the last image and its answers. Draw in a notebook: "
    "wb.Classifier(bundle).",
}


class Classifier(View):
    """An image, and what each engine and device answers.

    source: a bundle or its folder, whose engines run on the CPU and whose network also runs in eager PyTorch on every
    device; or Predictors that take the same images and know the same labels. images: a Split or an array (N, H, W, C)
    to flip through, by default the bundle's self-test images. threads: of each engine of a bundle.

    image: what the networks saw, uint8 (H, W, C), None at first without images. answers: a mapping for each engine and
    device that has answered, with title, engine, device, precision, threads, model, label, probability, probabilities,
    seconds (the median) and calls.

    >>> from workbench.folders import REFERENCE
    >>> predictor = wb.Predictor.from_bundle(REFERENCE, "onnx", threads=1)
    >>> classifier = wb.Classifier([predictor], images=wb.read_bundle(REFERENCE).self_test_images)
    >>> classifier.answers[0]["label"]
    'butterfly'
    """

    module = "classifier"
    title = "What is in the image?"

    request: traitlets.Dict[str, Any] = traitlets.Dict({"serial": 0, "source": "image", "index": 0}).tag(sync=True)
    drawing = traitlets.Unicode().tag(sync=True, echo_update=False)
    file = traitlets.Dict().tag(sync=True, echo_update=False)
    handled = traitlets.Int(-1, read_only=True).tag(sync=True)  # the serial of the last request that was dealt with
    engines = traitlets.List(traitlets.Dict(), read_only=True).tag(sync=True)
    answers = traitlets.List(traitlets.Dict(), read_only=True).tag(sync=True)
    labels = traitlets.List(traitlets.Unicode(), read_only=True).tag(sync=True)
    count = traitlets.Int(read_only=True).tag(sync=True)
    image_address = traitlets.Unicode(read_only=True).tag(sync=True)
    caption = traitlets.Unicode(read_only=True).tag(sync=True)
    sentence = traitlets.Unicode(read_only=True).tag(sync=True)
    problem = traitlets.Unicode(read_only=True).tag(sync=True)
    dark = traitlets.Bool(read_only=True).tag(sync=True)
    words = traitlets.Dict(_WORDS, read_only=True).tag(sync=True)
    max_file_bytes = traitlets.Int(MAX_FILE_BYTES, read_only=True).tag(sync=True)

    def __init__(
        self,
        source: Bundle | Path | str | Sequence[Predictor],
        *,
        images: Split | NDArray[np.uint8] | None = None,
        threads: int | None = 1,
    ) -> None:
        self._predictors, self._images, self._labels = find_predictors(source, threads)
        first = self._predictors[0]
        if images is not None:
            self._images, self._labels = fit_images(images, first)
        names = titles(self._predictors)
        self._queue = AnswerQueue(self._predictors, names, on_answers=self._answer, on_change=self._report_failure)
        self._lock = threading.RLock()  # an observer of the image may ask again
        self._serial = 0
        self.image: NDArray[np.uint8] | None = None
        super().__init__(
            engines=[about(*pair) for pair in zip(self._predictors, names, strict=True)],
            labels=list(first.labels),
            count=len(self._images),
            dark=float(np.mean(first.preprocessing.mean)) < _DARK,
            sentence=_BLANK,
        )
        self.observe(self._handle, "request")
        if len(self._images):
            self._show(self._images[0], *self._caption_of(0), serial=0)

    def classify(self, image: NDArray[np.uint8] | Path | str) -> list[dict[str, Any]]:
        """Show an image, uint8 (H, W, 3 or 1) or a file, and return the answers.

        Waits up to 30 s for a device that is busy training. Raises ImageError for anything that is not an image.
        """
        if isinstance(image, Path | str):
            pixels, name = read_image(Path(image).expanduser()).pixels, Path(image).name
        else:
            pixels, name = image, "the image you gave"
        fitted = fit_image(pixels, self._predictors[0].preprocessing)
        last = self.request.get("serial")
        serial = max(self._serial, last if isinstance(last, int) else 0) + 1
        self.request = {"serial": serial, "source": "code", "index": 0}
        job = self._show(fitted, f"What the network sees of {shorten(name)}", "", serial=serial)
        if job is not None:
            job.wait(_PATIENCE_SECONDS)
        return self.answers

    def describe(self) -> str:
        """Describe what the engines answer."""
        return self.sentence

    def fallback(self) -> Iterable[Any]:
        """Return the sentence, the image, and the answers as a table."""
        from workbench.pages.html import image_tag, table, tag

        rows = [(each["title"], each["label"], format_share(each["probability"])) for each in self.answers]
        shown = [image_tag(self.image, self.caption)] if self.image is not None else []
        return [*super().fallback(), tag("p", shown), table("Answers", ["engine", "label", "probability"], rows)]

    def _handle(self, change: Mapping[str, Any]) -> None:
        """Answer a request of the browser, in whatever thread its message arrives; the newest one counts."""
        serial, source = change["new"].get("serial"), change["new"].get("source")
        if not isinstance(serial, int) or source == "code":
            return
        try:
            pixels, caption, label = self._requested_image(source, change["new"].get("index"))
            if source == "drawing" and pixels.min() == pixels.max():
                self._clear(serial)
            else:
                fitted = fit_image(pixels, self._predictors[0].preprocessing)
                self._show(fitted, caption, label, serial=serial)
        except Exception as error:  # whatever a file provokes is reported where it was dropped
            self._set(problem=error_text(error), handled=serial)

    def _requested_image(self, source: str, index: Any) -> tuple[NDArray[np.uint8], str, str]:
        if source == "drawing":
            return read_drawing(self.drawing), "What the network sees of your drawing", ""
        if source == "file":
            name = shorten(self.file.get("name") or "the file", 60)
            content, self.file = self.file.get("data", b""), {}
            pixels = read_image(content, name=name, max_bytes=MAX_FILE_BYTES).pixels
            return pixels, f"What the network sees of {name}", ""
        index = max(0, min(index if isinstance(index, int) else 0, len(self._images) - 1))
        return self._images[index], *self._caption_of(index)

    def _caption_of(self, index: int) -> tuple[str, str]:
        label = self._labels[index] if self._labels else ""
        return f"Image {index + 1} of {len(self._images)}{f': {label}, by its label' if label else ''}", label

    def _clear(self, serial: int) -> None:
        self._serial, self.image = serial, None
        self._queue.ask(None)
        self._set(image_address="", caption="", answers=[], sentence=_BLANK, problem="", handled=serial)

    def _show(self, image: NDArray[np.uint8], caption: str, label: str, *, serial: int) -> Job | None:
        """Show the image and ask the engines; return the job of those that do not answer at once."""
        with self._lock:
            self._serial, self.image = serial, image
            self._set(image_address=png_address(image), caption=caption, problem="")
        job = self._queue.ask(image, label)
        if job is not None:
            self.job = job
        self._set(handled=serial)
        return job

    def _answer(self, answers: list[dict[str, Any]], label: str) -> None:
        self._set(sentence=agreement(answers, label), answers=answers)

    def _report_failure(self, job: Job) -> None:
        if job.state == "failed":
            self._set(problem=job.error)
