"""`DeploymentPanel`: start, watch, load-test and stop the production application."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import traitlets

from workbench.arguments import above_zero, path, whole_number
from workbench.bundle.manifest import Bundle
from workbench.deployment.application import Deployment, DeploymentFootprint, deploy
from workbench.deployment.load_test import MAX_CLIENTS, MAX_SECONDS, LoadTestResult
from workbench.deployment.metrics import DeploymentMetrics
from workbench.errors import WorkbenchError
from workbench.widgets.deployment_figures import (
    LOAD_TEST_HEAD,
    STATUS_HEAD,
    WORDS,
    figures_of,
    load_summary,
    tables,
)
from workbench.widgets.view import View, dated
from workbench.widgets.worker import error_text

LOAD_TEST_SECONDS = 5.0
KEPT = 600  # polls in `history`: ten minutes
_POLL_SECONDS = 1.0

State = Literal["off", "starting", "on", "stopping"]


class DeploymentPanel(View):
    """The production application with its controls, and what it counts, polled once a second.

    bundle, options: as for `deploy`. The application stops when the panel is closed, when the cell that made it is run
    again, and with the kernel. deployment: the latest, None before the first start. metrics: its latest counts;
    history: the polls of the last ten minutes, oldest first. load_tests: the results of its load tests. concurrency:
    clients of the next load test.

    >>> from workbench.folders import REFERENCE
    >>> panel = wb.DeploymentPanel(REFERENCE, workers=2)
    >>> panel
    DeploymentPanel: The application is not running. Start it: a Python of its own reads and checks the bundle.
    """

    module = "deployment_panel"
    title = "The application at work"

    concurrency = traitlets.Int(8).tag(sync=True)
    request: traitlets.Dict[str, Any] = traitlets.Dict({"serial": 0, "action": ""}).tag(sync=True)
    deployment: Deployment | None = traitlets.Any(None, read_only=True)  # type: ignore[assignment]
    metrics: DeploymentMetrics | None = traitlets.Any(None, read_only=True)  # type: ignore[assignment]
    history: tuple[DeploymentMetrics, ...] = traitlets.Any((), read_only=True)  # type: ignore[assignment]
    load_tests: tuple[LoadTestResult, ...] = traitlets.Any((), read_only=True)  # type: ignore[assignment]
    shown = traitlets.Dict(read_only=True).tag(sync=True)
    announcement = traitlets.Unicode(read_only=True).tag(sync=True)  # for screen readers: changes of state, not numbers
    problem = traitlets.Unicode(read_only=True).tag(sync=True)
    words = traitlets.Dict(WORDS, read_only=True).tag(sync=True)
    heads = traitlets.Dict({"status": [*STATUS_HEAD], "load_test": [*LOAD_TEST_HEAD]}, read_only=True).tag(sync=True)

    def __init__(self, bundle: Bundle | Path | str, **options: Any) -> None:
        self._options = options
        self._state: State = "off"
        self._sentence = "The application is not running. Start it: a Python of its own reads and checks the bundle."
        self._labels: tuple[str, ...] = ()
        self._footprint: DeploymentFootprint | None = None
        # Reentrant, because observers of a trait may act in turn.
        self._starting_or_stopping, self._updating = threading.RLock(), threading.RLock()
        self._load_testing = threading.Lock()
        # Nothing may fail before this point: `close` needs the locks.
        self._bundle = bundle if isinstance(bundle, Bundle) else path("bundle", bundle)
        super().__init__()
        self._update()

    @property
    def _running(self) -> Deployment | None:
        return self.deployment if self.deployment is not None and self.deployment.is_running else None

    def start(self) -> Deployment:
        """Start the application as the button does, wait until it listens, and return it; or the one that runs already.

        Raise WorkbenchError if it does not start.
        """
        with self._starting_or_stopping:
            if (running := self._running) is not None:
                return running
            self._set(problem="")
            self._enter("starting", "The application is starting: a Python of its own reads and checks the bundle …")
            try:
                deployment = deploy(self._bundle, **self._options)
            except BaseException as error:
                self._set(problem=error_text(error))
                self._enter("off", "The application did not start.")
                raise
            with suppress(WorkbenchError):  # if it has died already, the watching thread reports it
                self._labels = tuple(deployment.card()["labels"])
            self._footprint = None
            self._set(deployment=deployment, metrics=None, history=())
            self._enter("on", f"{self._title(deployment)} answers.")
            # Its own thread, because the worker must stay free for training and measuring.
            threading.Thread(target=self._watch, args=(deployment,), name="deployment panel", daemon=True).start()
            return deployment

    def stop(self) -> str:
        """Stop the application as the button does, after the requests it has accepted; return how it ended."""
        with self._starting_or_stopping:
            deployment = self._running
            if deployment is None:
                return self._sentence
            self._enter("stopping", "The application finishes what it has accepted …")
            sentence = deployment.stop()
            self._enter("off", sentence)
            return sentence

    def load_test(self, seconds: float = LOAD_TEST_SECONDS, concurrency: int | None = None) -> LoadTestResult:
        """Run a load test as the button does, and return its result.

        concurrency: clients, by default those chosen; also kept for the next test. Raise WorkbenchError if the
        application is not running, and for invalid numbers.
        """
        deployment = self._running
        if deployment is None:
            raise WorkbenchError("The application is not running: start it before a load test.")
        clients = whole_number("concurrency", self.concurrency if concurrency is None else concurrency, 1, MAX_CLIENTS)
        above_zero("seconds", seconds, MAX_SECONDS)
        if not self._load_testing.acquire(blocking=False):
            raise WorkbenchError("A load test is running already: wait until it is over.")
        try:
            self._set(concurrency=clients, problem="", announcement=f"Load test: {clients:,} clients, {seconds:g} s.")
            self._update()
            result = deployment.load_test(seconds, clients)
        finally:
            self._load_testing.release()
            self._update()
        self._set(load_tests=(*self.load_tests, result), announcement=load_summary(result))
        self._update()
        return result

    @traitlets.validate("concurrency")
    def _check_clients(self, proposal: Any) -> int:
        return whole_number("concurrency", proposal["value"], 1, MAX_CLIENTS)

    def release(self) -> None:
        """Stop the application."""
        self.stop()

    def describe(self) -> str:
        """Describe the state of the application, and its latest load test."""
        return self._describe(self._sentence)

    def fallback(self) -> Iterable[Any]:
        """Return the description, and tables of what was counted and measured."""
        from workbench.pages.html import tag

        return [tag("p", self._describe(self._past_sentence())), *tables(self.shown)]

    def page_state(self) -> dict[str, Any]:
        """Return the state in the past tense: whoever reads the page does so later."""
        return {"shown": dated({**self.shown, "sentence": self._past_sentence()})}

    def _describe(self, sentence: str) -> str:
        return f"{self.problem or sentence} {load_summary(self.load_tests[-1]) if self.load_tests else ''}".strip()

    def _past_sentence(self) -> str:
        if self._state == "on" and self.deployment is not None:
            return f"{self._title(self.deployment)} answered when this page was written."
        return self._sentence

    @traitlets.observe("request")
    def _handle(self, change: Any) -> None:
        actions = {"start": self.start, "stop": self.stop, "load_test": self.load_test}
        action = actions.get(str(change["new"].get("action")))
        if action is not None:  # in a thread, so that the next click and the next cell are heard meanwhile
            threading.Thread(target=self._try, args=(action,), daemon=True).start()

    def _try(self, action: Callable[[], object]) -> None:
        try:
            action()
        except Exception as error:  # reported where the button is
            self._set(problem=error_text(error))

    def _watch(self, deployment: Deployment) -> None:
        """Poll the application once a second until it ends, in a thread."""
        version = deployment.version
        while deployment.is_running and self.deployment is deployment:
            with suppress(WorkbenchError):  # too busy to answer, or about to end: the next poll will tell
                metrics, footprint = deployment.metrics(), deployment.footprint()
                if deployment.version != version:
                    self._labels, version = tuple(deployment.card()["labels"]), deployment.version
                    self._enter(self._state, f"{self._title(deployment)} answers from now on.")
                with self._updating:
                    self._footprint = footprint
                    self._set(metrics=metrics, history=(*self.history[1 - KEPT :], metrics))
                    self._update()
            time.sleep(_POLL_SECONDS)
        if self.deployment is deployment and self._state == "on":  # not by the panel
            self._set(problem=deployment.failure)
            self._enter("off", "The figures are its last." if self.problem else "The application was stopped.")

    def _enter(self, state: State, sentence: str) -> None:
        with self._updating:
            self._state, self._sentence = state, sentence
            self._set(announcement=sentence)
            self._update()

    def _update(self) -> None:
        with self._updating:
            deployment = self.deployment
            state = {
                "state": self._state,
                "is_load_testing": self._load_testing.locked(),
                "sentence": self._sentence,
                "address": deployment.address if deployment is not None and self._state == "on" else "",
            }
            self._set(shown=state | figures_of(self.history, self._footprint, self._labels, self.load_tests))

    def _title(self, deployment: Deployment) -> str:
        count = self._options.get("workers", 1)
        engine = f"{deployment.engine}, {count:,} worker{'s' * (count > 1)}"
        return f"{deployment.model} {deployment.version} ({engine})"
