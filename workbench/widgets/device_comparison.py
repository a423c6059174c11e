"""`DeviceComparison`: devices side by side, interactively, and measurements of this machine's devices."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

import traitlets
from torch import nn

from workbench.arguments import above_zero, all_of, whole_number
from workbench.comparing.all_devices import hourly_prices
from workbench.comparing.comparison import Comparison
from workbench.comparing.measure_here import Step, measure_here
from workbench.comparing.metrics import describe_origin
from workbench.comparing.networks import find_network
from workbench.comparing.page_data import rules
from workbench.comparing.sentences import budget_facts, describe_batch, facts_at, fill_templates
from workbench.comparing.subjects import describe_setting
from workbench.comparing.sweeps import BATCH_SIZES, Excluded
from workbench.errors import WorkbenchError
from workbench.measuring.measurement import Measurement, Phase
from workbench.measuring.recordings import Recording, load_recordings
from workbench.runs import Run
from workbench.training.models import ZOO
from workbench.units import format_seconds
from workbench.widgets.comparison_choice import allowed_choices, checked_choice
from workbench.widgets.known_measurements import KnownMeasurements
from workbench.widgets.view import View
from workbench.widgets.worker import Job

_IDLE = {"state": "", "share": None, "text": ""}


class DeviceComparison(View):
    """The best device for a network by batch size and metric, as charts, sentences and a table.

    model: a name of the zoo, a Run, or an nn.Module of your own with `example`, images as it takes them (uint8
    (N, H, W, C), or a float tensor (N, C, H, W)). recordings: of other devices, by default those of datasets/devices.
    also: further measurements to show. Earlier measurements of this machine with the same network and versions are
    shown as recorded. Raises WorkbenchError if the network does not take its example.

    choice: what is chosen, plain values that may be set: phase, model, engine, precision ("" for any), devices (by
    name; empty for all), batch_size, metric, prices (US dollars an hour by device), budgets (by metric, in its unit:
    seconds, images/s, joules, bytes, US dollars).

    >>> panel = wb.DeviceComparison("mlp", batch_sizes=(1, 64))
    >>> panel.choice = {"batch_size": 64, "metric": "throughput"}
    >>> panel.results.models
    ('mlp',)
    """

    module = "device_comparison"
    title = "Devices compared"

    choice = traitlets.Dict().tag(sync=True)
    request = traitlets.Dict().tag(sync=True)
    rules = traitlets.Dict(read_only=True).tag(sync=True)
    points: Any = traitlets.List(read_only=True).tag(sync=True)
    models: Any = traitlets.List(read_only=True).tag(sync=True)
    sizes: Any = traitlets.List(read_only=True).tag(sync=True)
    progress = traitlets.Dict(_IDLE, read_only=True).tag(sync=True)
    failures: Any = traitlets.List(read_only=True).tag(sync=True)
    notes = traitlets.Dict(read_only=True).tag(sync=True)

    def __init__(
        self,
        model: str | Run | nn.Module = "convnet",
        example: Any = None,
        *,
        phase: Phase = "inference",
        recordings: Sequence[Recording] | None = None,
        also: Comparison | Iterable[Measurement] = (),
        batch_sizes: Sequence[int] = BATCH_SIZES,
        seconds: float = 0.1,
    ) -> None:
        sizes = all_of("batch_sizes", batch_sizes, int)
        self._sizes = tuple(sorted({whole_number("batch_sizes", size, 1, 2**20) for size in sizes}))
        if not self._sizes:
            raise WorkbenchError("batch_sizes: give at least one.")
        self._seconds = above_zero("seconds", seconds, 3600)
        recordings = load_recordings(skipped=[]) if recordings is None else all_of("recordings", recordings, Recording)
        given = all_of("also", also.measurements if isinstance(also, Comparison) else also, Measurement)
        self._known = KnownMeasurements(recordings, given, self._sizes)
        network = find_network(model, example)
        self._networks = {network.name: network}
        self._lock = threading.RLock()
        self._found = 0
        self._valid_choice: dict[str, Any] = {}
        super().__init__(rules=rules(), sizes=list(self._sizes), models=list(dict.fromkeys((network.name, *ZOO))))
        self.choice = {
            **{"phase": phase, "model": network.name, "engine": "", "precision": "", "devices": []},
            **{"batch_size": self._sizes[0], "metric": "latency", "budgets": {}},
            "prices": hourly_prices(recordings),
        }

    @property
    def comparison(self) -> Comparison:
        """All measurements of the chosen phase, model, engine, precision and devices."""
        choice = self.choice
        found = [m for m in self._known.everything() if m.phase == choice["phase"] and m.model == choice["model"]]
        for name in ("engine", "precision"):
            found = [m for m in found if choice[name] in ("", getattr(m, name))]
        found = [m for m in found if m.device in (choice["devices"] or (m.device,))]
        return Comparison.of(found, prices=choice["prices"])

    @property
    def results(self) -> Comparison:
        """What the charts show: the best of each device at each batch size, by the chosen metric."""
        return self.comparison.best_of_each(self.choice["metric"])

    @property
    def sentences(self) -> list[str]:
        """The sentences under the charts."""
        size, metric = self.choice["batch_size"], self.choice["metric"]
        ranking = self.results.ranking(metric)
        facts = facts_at(ranking, size)
        limit = self.choice["budgets"].get(metric)
        if limit is not None:
            facts += budget_facts(ranking, size, limit)
        return fill_templates(facts)

    def describe(self) -> str:
        """Return the sentences under the charts."""
        return " ".join(self.sentences)

    def fallback(self) -> Iterable[Any]:
        """Return the sentences and the table."""
        from workbench.pages.html import table, tag

        results, size, metric = self.results, self.choice["batch_size"], self.choice["metric"]
        yield from (tag("p", sentence) for sentence in self.sentences)
        if size in results.batch_sizes:
            words = f"{self.choice['model']}, {self.choice['phase']}: {describe_batch(size).lower()}"
            rows = [
                (
                    row.name,
                    row.text,
                    row.spread,
                    f"{describe_setting(row.measurement)}, {describe_origin(row.measurement)}",
                )
                for row in results.rows(size, metric)
            ]
            yield table(words, ("device", "figure", "90 % within", "with, origin"), rows, numeric=(1, 2))

    def page_state(self) -> dict[str, Any]:
        """Date the figures; their devices are named. Nothing is being measured."""
        today = date.today().isoformat()
        points = [point | {"origin_text": point["origin_text"].replace("here, now", today)} for point in self.points]
        return {"points": points, "progress": _IDLE, "failures": []}

    @traitlets.validate("choice")
    def _check_choice(self, proposal: Any) -> dict[str, Any]:
        choice = {**self._valid_choice, **proposal["value"]}
        if choice.get("model") in self.models and choice["model"] not in self._known.models:
            self._look_up(choice["model"])
        self._valid_choice = checked_choice(choice, allowed_choices(self.models, self._sizes, self._known.everything()))
        return self._valid_choice

    def _look_up(self, name: str) -> None:
        if name not in self._networks:
            self._networks[name] = find_network(name)
        notes, failures = self._known.look_up(self._networks[name])
        self._set(failures=[*self.failures, *map(asdict, failures)])
        with self._lock:
            self._set(notes={**self.notes, name: notes}, points=self._known.points())

    def measure(self) -> Comparison:
        """Measure the devices of this machine as the button does, and return `results`.

        An interrupt ends it; earlier figures are kept. Raises WorkbenchError if nothing could be measured.
        """
        if self.job is not None:
            self.job.wait()  # it may be measuring something else
        self._start()
        assert self.job is not None
        self.job.wait()
        if self.job.state == "failed":
            raise WorkbenchError(f"Measuring failed: {self.job.error}")
        return self.results

    @traitlets.observe("request")
    def _handle(self, change: Any) -> None:
        if change["new"].get("action") == "measure":
            self._start()
        elif self.job is not None:
            self.job.stop()

    def _start(self) -> None:
        with self._lock:
            if self.job is not None and not self.job.ended:
                return
            choice = self.choice
            limits = {name: choice[name] for name in ("devices", "engine", "precision")}
            network = self._networks[choice["model"]]
            self._found = 0
            self._set(failures=[])
            self._show_progress("waiting", 0.0, "Waiting for another widget that measures or trains.")
            steps = measure_here(network, choice["phase"], batch_sizes=self._sizes, seconds=self._seconds, **limits)
            self.job = Job(steps, on_step=self._add, on_change=self._report_end).start()

    def _add(self, step: Step) -> None:
        if isinstance(step.found, Excluded):
            self._set(failures=[*self.failures, asdict(step.found)])
        elif step.found is not None:
            with self._lock:
                self._known.add(step.found)
                self._found += 1
                self._set(points=self._known.points())
        left = "" if step.seconds_left is None else f"; about {format_seconds(max(1.0, round(step.seconds_left)))} left"
        self._show_progress("running", step.share, f"{step.text}{left}")

    def _report_end(self, job: Job) -> None:
        kept = f"{self._found} figures measured here, now"
        if job.state == "finished":
            self._show_progress("finished", None, f"Done: {kept}.")
        elif job.state == "stopped":
            self._show_progress("stopped", None, f"Stopped by you: {kept}, and kept.")
        elif job.state == "failed":
            self._show_progress("failed", None, f"Measuring failed: {job.error}")

    def _show_progress(self, state: str, share: float | None, text: str) -> None:
        self._set(progress={"state": state, "share": share, "text": text})
