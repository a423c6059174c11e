"""`DeploymentPanel`: the production application started, watched, put under load and stopped by hand."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import traitlets

from workbench.arguments import above_zero, path, whole_number
from workbench.bundle import Bundle
from workbench.deployment import Deployment, DeploymentFootprint, deploy
from workbench.deployment_metrics import DeploymentMetrics
from workbench.errors import WorkbenchError
from workbench.load import MAX_CLIENTS, MAX_SECONDS, Load
from workbench.widgets.deployment_figures import LOAD_HEAD, STATUS_HEAD, WORDS, load_told, numbers, tables
from workbench.widgets.view import View, told_there
from workbench.widgets.worker import told

LOAD_SECONDS = 5.0
KEPT = 600  # times that its metrics are kept: ten minutes
_SECONDS_BETWEEN = 1.0

State = Literal["off", "starting", "on", "stopping"]


class DeploymentPanel(View):
    """The production application behind a start and a stop button, with what it counts once a second.

    bundle, options: as `deploy` takes them. It is stopped with the cell that made the panel, with the panel and with
    the kernel. deployment: the newest, None before the first start. metrics: what it counted, as asked last; history:
    the same once a second, the oldest first, at most KEPT of them. loads: what the loads put on it came to. at_once:
    clients of the next one.
    """

    module = "deployment_panel"
    title = "The application at work"

    at_once = traitlets.Int(8).tag(sync=True)
    asked: traitlets.Dict[str, Any] = traitlets.Dict({"serial": 0, "what": ""}).tag(sync=True)
    deployment: Deployment | None = traitlets.Any(None, read_only=True)  # type: ignore[assignment]
    metrics: DeploymentMetrics | None = traitlets.Any(None, read_only=True)  # type: ignore[assignment]
    history: tuple[DeploymentMetrics, ...] = traitlets.Any((), read_only=True)  # type: ignore[assignment]
    loads: tuple[Load, ...] = traitlets.Any((), read_only=True)  # type: ignore[assignment]
    shown = traitlets.Dict(read_only=True).tag(sync=True)
    said = traitlets.Unicode(read_only=True).tag(sync=True)  # for screen readers: changes of state, not of numbers
    problem = traitlets.Unicode(read_only=True).tag(sync=True)
    words = traitlets.Dict(WORDS, read_only=True).tag(sync=True)
    heads = traitlets.Dict({"status": list(STATUS_HEAD), "load": list(LOAD_HEAD)}, read_only=True).tag(sync=True)

    def __init__(self, bundle: Bundle | Path | str, **options: Any) -> None:
        self._options = options
        self._state: State = "off"
        self._sentence = "The application does not run. Start it: a Python of its own reads and checks the bundle."
        self._labels: tuple[str, ...] = ()
        self._footprint: DeploymentFootprint | None = None
        # Who observes a trait may act in turn.
        self._acting, self._telling, self._pressing = threading.RLock(), threading.RLock(), threading.Lock()
        # Only now that it can be closed again may anything be wrong with it.
        self._bundle = bundle if isinstance(bundle, Bundle) else path("bundle", bundle)
        super().__init__()
        self._tell()

    def start(self) -> Deployment:
        """Start the application, as the button does, and wait until it listens; the one that runs already, if any.

        Raises WorkbenchError where it does not start.
        """
        with self._acting:
            if self.deployment is not None and self.deployment.is_running:
                return self.deployment
            self._put(problem="")
            self._become("starting", "The application is starting: a Python of its own reads and checks the bundle …")
            try:
                deployment = deploy(self._bundle, **self._options)
            except BaseException as error:
                self._put(problem=told(error))
                self._become("off", "The application did not start.")
                raise
            with suppress(WorkbenchError):  # it died at once: whoever watches it will say so
                self._labels = tuple(deployment.card()["labels"])
            self._footprint = None
            self._put(deployment=deployment, metrics=None, history=())
            self._become("on", f"{self._what(deployment)} answers.")
            # A thread of its own: the one that trains and measures must stay free.
            threading.Thread(target=self._watch, args=(deployment,), name="deployment panel", daemon=True).start()
            return deployment

    def stop(self) -> str:
        """Let the application finish what it has accepted, as the button does, and wait; what came of it."""
        with self._acting:
            if self.deployment is None or not self.deployment.is_running:
                return self._sentence
            self._become("stopping", "The application finishes what it has accepted …")
            sentence = self.deployment.stop()
            self._become("off", sentence)
            return sentence

    def press(self, seconds: float = LOAD_SECONDS, at_once: int | None = None) -> Load:
        """Put load on it, as the button does; what it carried.

        at_once: clients, and those of the next load; by default as chosen. Raises WorkbenchError where it does not
        run, and for numbers that cannot be.
        """
        if self.deployment is None or not self.deployment.is_running:
            raise WorkbenchError("The application does not run: start it, then put load on it.")
        at_once = whole_number("at_once", self.at_once if at_once is None else at_once, 1, MAX_CLIENTS)
        above_zero("seconds", seconds, MAX_SECONDS)
        if not self._pressing.acquire(blocking=False):
            raise WorkbenchError("Load is being put on the application already: wait until that is over.")
        try:
            self._put(at_once=at_once, problem="", said=f"{at_once:,} clients ask at once, for {seconds:g} s.")
            self._tell()
            load = self.deployment.press(seconds, at_once)
        finally:
            self._pressing.release()
            self._tell()
        self._put(loads=(*self.loads, load), said=load_told(load))
        self._tell()
        return load

    @traitlets.validate("at_once")
    def _check_clients(self, proposal: Any) -> int:
        return whole_number("at_once", proposal["value"], 1, MAX_CLIENTS)

    def leave(self) -> None:
        """Stop the application."""
        self.stop()

    def told(self) -> str:
        """How it stands with the application, in a sentence or two."""
        return self._told(self._sentence)

    def fallback(self) -> Iterable[Any]:
        """The sentence, and tables of what was counted and measured."""
        from workbench.page import tag

        return [tag("p", self._told(self._told_later())), *tables(self.shown)]

    def page_state(self) -> dict[str, Any]:
        """An application that runs now has run, once the page is read."""
        return {"shown": told_there({**self.shown, "sentence": self._told_later()})}

    def _told(self, sentence: str) -> str:
        return f"{self.problem or sentence} {load_told(self.loads[-1]) if self.loads else ''}".strip()

    def _told_later(self) -> str:
        if self._state == "on" and self.deployment is not None:
            return f"{self._what(self.deployment)} answered when this page was written."
        return self._sentence

    # By hand ----------------------------------------------------------------------------------------------------

    @traitlets.observe("asked")
    def _obey(self, change: Any) -> None:
        acts = {"start": self.start, "stop": self.stop, "press": self.press}
        act = acts.get(str(change["new"].get("what")))
        if act is not None:  # aside, as the next click and the next cell have to be heard meanwhile
            threading.Thread(target=self._do, args=(act,), daemon=True).start()

    def _do(self, act: Any) -> None:
        try:
            act()
        except Exception as error:  # told where the button was pressed
            self._put(problem=told(error))

    # In the thread that watches ---------------------------------------------------------------------------------

    def _watch(self, deployment: Deployment) -> None:
        """Ask once a second, until it ends."""
        version = deployment.version
        while deployment.is_running and self.deployment is deployment:
            with suppress(WorkbenchError):  # busy beyond measure, or on its way out: the next time will tell
                metrics, footprint = deployment.metrics(), deployment.footprint()
                if deployment.version != version:
                    self._labels, version = tuple(deployment.card()["labels"]), deployment.version
                    self._become(self._state, f"{self._what(deployment)} answers from now on.")
                with self._telling:
                    self._footprint = footprint
                    self._put(metrics=metrics, history=(*self.history[1 - KEPT :], metrics))
                    self._tell()
            time.sleep(_SECONDS_BETWEEN)
        if self.deployment is deployment and self._state == "on":  # nobody pressed the button
            self._put(problem=deployment.died)
            self._become("off", "The numbers are its last." if self.problem else "The application was stopped.")

    def _become(self, state: State, sentence: str) -> None:
        with self._telling:
            self._state, self._sentence = state, sentence
            self._put(said=sentence)
            self._tell()

    def _tell(self) -> None:
        with self._telling:
            deployment = self.deployment
            state = {
                "state": self._state,
                "pressing": self._pressing.locked(),
                "sentence": self._sentence,
                "address": deployment.address if deployment is not None and self._state == "on" else "",
            }
            self._put(shown=state | numbers(self.history, self._footprint, self._labels, self.loads))

    def _what(self, deployment: Deployment) -> str:
        count = self._options.get("workers", 1)
        engine = f"{deployment.engine}, {count:,} worker{'s' * (count > 1)}"
        return f"{deployment.model} {deployment.version} ({engine})"
