"""Draw, drop or pick a picture: what each engine and device answers, side by side, with its time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import traitlets
from numpy.typing import NDArray

from workbench.bundle import Bundle
from workbench.data import Split
from workbench.inference import Predictor
from workbench.pictures import read_picture
from workbench.preprocessing import fit_picture
from workbench.sealed import shortened
from workbench.units import format_share
from workbench.widgets.answer_queue import AnswerQueue
from workbench.widgets.answering import (
    about,
    agreement,
    data_uri,
    drawn,
    given_pictures,
    predictors_of,
    titles,
)
from workbench.widgets.view import View
from workbench.widgets.worker import Job, told

MAX_FILE_BYTES = 8_000_000  # Jupyter's server closes the connection at a message of 10 MB
_PATIENCE = 30.0
_BLANK = "Draw something, or choose a picture."
_DARK = 0.35  # networks that learned from bright strokes on black, such as MNIST's, are given black paper
_WORDS = {
    "origin": "measured here, now",
    "waiting": "waiting: another widget is computing",
    "too_large": "{name} has {bytes}, more than the limit of {limit}. Save the picture smaller.",
    "no_file": "What was dropped is no file. Save the picture first, and drop or pick its file.",
    "no_kernel": "This page has no kernel: it keeps the last picture and its answers. Draw in a notebook: "
    "wb.Classifier(bundle).",
}


class Classifier(View):
    """A picture, and what each engine and device says it is.

        wb.Classifier("runs/animals-1/bundle", pictures=data.new)
        wb.Classifier([predictor, other])

    source: a bundle (or its folder), whose engines then run on the CPU, eager PyTorch too, and on every other device;
    or predictors that take the same pictures and know the same labels. pictures: a Split, or an array (N, H, W, C), to
    flip through; by default the bundle's self-test pictures. threads: of each engine of a bundle.

    picture: what the networks saw, uint8 (H, W, C), None before there was one. answers: a mapping for each engine and
    device that has answered: its title, engine, device, precision, threads and model; label, probability and
    probabilities; seconds, the median of so many calls.
    """

    module = "classifier"
    uses = ("paper",)
    title = "What is in the picture?"

    asked: traitlets.Dict[str, Any] = traitlets.Dict({"serial": 0, "source": "picture", "index": 0}).tag(sync=True)
    drawing = traitlets.Unicode().tag(sync=True, echo_update=False)
    file = traitlets.Dict().tag(sync=True, echo_update=False)
    answered = traitlets.Int(-1, read_only=True).tag(sync=True)
    engines = traitlets.List(traitlets.Dict(), read_only=True).tag(sync=True)
    answers = traitlets.List(traitlets.Dict(), read_only=True).tag(sync=True)
    labels = traitlets.List(traitlets.Unicode(), read_only=True).tag(sync=True)
    count = traitlets.Int(read_only=True).tag(sync=True)
    seen = traitlets.Unicode(read_only=True).tag(sync=True)
    about = traitlets.Unicode(read_only=True).tag(sync=True)
    sentence = traitlets.Unicode(read_only=True).tag(sync=True)
    problem = traitlets.Unicode(read_only=True).tag(sync=True)
    dark = traitlets.Bool(read_only=True).tag(sync=True)
    words = traitlets.Dict(_WORDS, read_only=True).tag(sync=True)
    largest = traitlets.Int(MAX_FILE_BYTES, read_only=True).tag(sync=True)

    def __init__(
        self,
        source: Bundle | Path | str | Sequence[Predictor],
        *,
        pictures: Split | NDArray[np.uint8] | None = None,
        threads: int | None = 1,
    ) -> None:
        self._predictors, own = predictors_of(source, threads)
        first = self._predictors[0]
        self._pictures, self._truth = given_pictures(pictures, first) if pictures is not None else own
        names = titles(self._predictors)
        self._queue = AnswerQueue(self._predictors, names, on_answers=self._answer, on_change=self._ended)
        self._lock = threading.RLock()  # who observes the picture may ask again
        self._serial = 0
        self.picture: NDArray[np.uint8] | None = None
        super().__init__(
            engines=[about(*pair) for pair in zip(self._predictors, names, strict=True)],
            labels=list(first.labels),
            count=len(self._pictures),
            dark=float(np.mean(first.preprocessing.mean)) < _DARK,
            sentence=_BLANK,
        )
        self.observe(self._asked, "asked")
        if len(self._pictures):
            self._show(self._pictures[0], *self._named(0), serial=0)

    def classify(self, picture: NDArray[np.uint8] | Path | str) -> list[dict[str, Any]]:
        """The answers to a picture, uint8 (H, W, 3 or 1), or to a file; the widget shows them too.

        Waits up to half a minute for a device that is busy training. Raises PictureError for what is no picture.
        """
        if isinstance(picture, Path | str):
            pixels, name = read_picture(Path(picture).expanduser()).pixels, Path(picture).name
        else:
            pixels, name = picture, "the picture you gave"
        fitted = fit_picture(pixels, self._predictors[0].preprocessing)
        last = self.asked.get("serial")
        serial = max(self._serial, last if isinstance(last, int) else 0) + 1
        self.asked = {"serial": serial, "source": "code", "index": 0}
        job = self._show(fitted, f"What the network sees of {shortened(name)}", "", serial=serial)
        if job is not None:
            job.wait(_PATIENCE)
        return self.answers

    def told(self) -> str:
        """What the engines say, in a sentence."""
        return self.sentence

    def fallback(self) -> Iterable[Any]:
        """The picture, and the answers as a table."""
        from workbench.page import picture, table, tag

        rows = [(each["title"], each["label"], format_share(each["probability"])) for each in self.answers]
        shown = [picture(self.picture, self.about)] if self.picture is not None else []
        return [*super().fallback(), tag("p", shown), table("Answers", ["engine", "label", "probability"], rows)]

    # Asked in the browser ---------------------------------------------------------------------------------------

    def _asked(self, change: Mapping[str, Any]) -> None:
        """In whatever thread the browser's message comes in; of several, the newest counts."""
        asked = change["new"]
        serial, source = asked.get("serial"), asked.get("source")
        if not isinstance(serial, int) or source == "code":
            return
        try:
            if source == "drawing":
                pixels, name, truth = drawn(self.drawing), "What the network sees of your drawing", ""
                if pixels.min() == pixels.max():
                    self._nothing(serial)
                    return
            elif source == "file":
                name = shortened(self.file.get("name") or "the file", 60)
                content, self.file = self.file.get("data", b""), {}
                pixels = read_picture(content, name=name, max_bytes=MAX_FILE_BYTES).pixels
                name, truth = f"What the network sees of {name}", ""
            else:
                wish = asked.get("index")
                index = max(0, min(wish if isinstance(wish, int) else 0, len(self._pictures) - 1))
                pixels, (name, truth) = self._pictures[index], self._named(index)
            self._show(fit_picture(pixels, self._predictors[0].preprocessing), name, truth, serial=serial)
        except Exception as error:  # whatever a file provokes is told where the file was dropped
            self._put(problem=told(error), answered=serial)

    def _named(self, index: int) -> tuple[str, str]:
        truth = self._truth[index] if self._truth else ""
        label = f": {truth}, by its label" if truth else ""
        return f"Picture {index + 1} of {len(self._pictures)}{label}", truth

    def _nothing(self, serial: int) -> None:
        self._serial, self.picture = serial, None
        self._queue.ask(None)
        self._put(seen="", about="", answers=[], sentence=_BLANK, problem="", answered=serial)

    def _show(self, picture: NDArray[np.uint8], name: str, truth: str, *, serial: int) -> Job | None:
        """Show the picture and ask about it; the job that answers where that is not done at once."""
        with self._lock:
            self._serial, self.picture = serial, picture
            self._put(seen=data_uri(picture), about=name, problem="")
        job = self._queue.ask(picture, truth)
        if job is not None:
            self.job = job
        self._put(answered=serial)
        return job

    def _answer(self, answers: list[dict[str, Any]], truth: str) -> None:
        self._put(sentence=agreement(answers, truth), answers=answers)

    def _ended(self, job: Job) -> None:
        if job.state == "failed":
            self._put(problem=job.error)
