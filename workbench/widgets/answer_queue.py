"""Ask several engines about one image at a time; a newer image replaces the one before it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workbench.inference.predictor import ONNX_ENGINES, Predictor
from workbench.widgets.answering import answer
from workbench.widgets.worker import Job


class AnswerQueue:
    """ONNX Runtime answers in the calling thread; PyTorch's engines answer in the worker thread, among other jobs.

    on_answers receives the answers so far, in the order of the engines, and the `label` given with the image.
    on_change receives the worker's job after each change of its state.
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
        self._quick = [index for index, one in enumerate(predictors) if one.engine in ONNX_ENGINES]
        self._slow = [index for index in range(len(predictors)) if index not in self._quick]
        self._lock = threading.RLock()  # an observer of the answers may ask again
        self._newest = 0
        self._image: NDArray[np.uint8] | None = None
        self._label = ""
        self._answers: dict[int, dict[str, Any]] = {}
        self._busy = False
        self._job: Job | None = None

    def ask(self, image: NDArray[np.uint8] | None, label: str = "") -> Job | None:
        """Publish the quick answers, and return the job that computes the others, if there are any.

        image: uint8 (H, W, C); None cancels the image before it.
        """
        with self._lock:
            self._newest += 1
            number, self._image, self._label = self._newest, image, label
        if image is None:
            return None
        self._publish(number, {index: self._answer(index, image, number) for index in self._quick}, fresh=True)
        if not self._slow:
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
                number, image = self._newest, self._image
                if number == done or image is None:
                    self._busy = False
                    return
            for index in self._slow:
                if number == self._newest:
                    self._publish(number, {index: self._answer(index, image, number)})
                    yield
            done = number

    def _answer(self, index: int, image: NDArray[np.uint8], number: int) -> dict[str, Any]:
        return answer(self._predictors[index], self._titles[index], image, lambda: number == self._newest)

    def _publish(self, number: int, answers: Mapping[int, dict[str, Any]], fresh: bool = False) -> None:
        """Hand on the answers, unless there is a newer image."""
        with self._lock:
            if number != self._newest:
                return
            self._answers = dict(answers) if fresh else {**self._answers, **answers}
            self._on_answers([self._answers[index] for index in sorted(self._answers)], self._label)
