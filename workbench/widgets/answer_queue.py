"""Engines asked about one picture after the other, of which only the newest counts; the busy ones in the worker."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.inference import ONNX_ENGINES, Predictor
from workbench.widgets.answering import answer
from workbench.widgets.worker import Job


class AnswerQueue:
    """ONNX Runtime answers at once; PyTorch's engines in the worker's thread, between what others compute there.

    on_answers: is given what the engines have said so far, in their order, with the `truth` that came with the
    picture. on_change: the job, whenever its state is another.
    """

    def __init__(
        self,
        predictors: Sequence[Predictor],
        titles: Sequence[str],
        *,
        on_answers: Callable[[list[dict[str, Any]], str], object],
        on_change: Callable[[Job], object],
    ) -> None:
        self._predictors, self._titles = predictors, titles
        self._on_answers, self._on_change = on_answers, on_change
        self._quick = [place for place, one in enumerate(predictors) if one.engine in ONNX_ENGINES]
        self._lock = threading.RLock()  # who observes the answers may ask again
        self._newest = 0
        self._picture: NDArray[np.uint8] | None = None
        self._truth = ""
        self._found: dict[int, dict[str, Any]] = {}
        self._busy = False
        self._job: Job | None = None

    def ask(self, picture: NDArray[np.uint8] | None, truth: str = "") -> Job | None:
        """Answer as far as that goes at once; the job that does the rest, if any. None: what was asked is off."""
        with self._lock:
            self._newest += 1
            number, self._picture, self._truth = self._newest, picture, truth
        if picture is None:
            return None
        self._publish(number, {place: self._answer(place, picture, number) for place in self._quick}, fresh=True)
        if len(self._quick) == len(self._predictors):
            return None
        with self._lock:
            if self._job is None or self._job.ended or self._job.stopping or not self._busy:
                self._busy = True
                self._job = Job(self._work(), on_change=self._on_change).start()
            return self._job

    def _work(self) -> Generator[None, None, None]:
        done = -1
        while True:
            with self._lock:
                number, picture = self._newest, self._picture
                if number == done or picture is None:
                    self._busy = False
                    return
            for place in range(len(self._predictors)):
                if place not in self._quick and number == self._newest:
                    self._publish(number, {place: self._answer(place, picture, number)})
                    yield
            done = number

    def _answer(self, place: int, picture: NDArray[np.uint8], number: int) -> dict[str, Any]:
        return answer(self._predictors[place], self._titles[place], picture, lambda: number == self._newest)

    def _publish(self, number: int, found: Mapping[int, dict[str, Any]], fresh: bool = False) -> None:
        """Hand on the answers, unless another picture was asked about since."""
        with self._lock:
            if number != self._newest:
                return
            self._found = dict(found) if fresh else {**self._found, **found}
            self._on_answers([self._found[place] for place in sorted(self._found)], self._truth)
