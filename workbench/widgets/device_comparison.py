"""Devices side by side, live: move the batch size and see who is ahead; measure the devices of this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

import traitlets
from torch import nn

from workbench.all_devices import hourly_prices
from workbench.arguments import above_zero, all_of, whole_number
from workbench.comparison import TEMPLATES, Comparison, batch_words, setting_of
from workbench.comparison_facts import rules
from workbench.errors import WorkbenchError
from workbench.measured_here import Step, measure_here
from workbench.measurement import Measurement, Phase
from workbench.metrics import told_origin
from workbench.models import ZOO
from workbench.networks import Failure, find_network
from workbench.recordings import Recording, load_recordings
from workbench.runs import Run
from workbench.sweeps import BATCH_SIZES
from workbench.units import format_seconds
from workbench.widgets.comparison_choice import allowed_choices, checked_choice
from workbench.widgets.known_measurements import KnownMeasurements
from workbench.widgets.view import View
from workbench.widgets.worker import Job

_RESTS = {"state": "", "share": None, "words": ""}


class DeviceComparison(View):
    """Which device is best for this network, at which batch size, by which metric: chart, table and sentence.

    model: a name of the zoo, a Run, or an nn.Module of your own with `example`, pictures as it takes them (uint8
    (N, H, W, C), or a float tensor (N, C, H, W)). recordings: devices beside those of this machine, by default all of
    datasets/devices. also: measurements to show with them. What was measured on this machine before, with the same
    network and versions, is shown as recorded. Raises WorkbenchError for a network that does not take its example.

    choice: what is chosen, plain values that may be set: phase, model, engine, precision ("" for any), devices (by
    name; empty for all), batch_size, metric, prices (US dollars an hour by device), budgets (by metric, in its unit:
    seconds, pictures/s, joules, bytes, US dollars).
    """

    module = "device_comparison"
    uses = ("comparison",)
    title = "Devices compared"

    choice = traitlets.Dict().tag(sync=True)
    asked = traitlets.Dict().tag(sync=True)
    rules = traitlets.Dict(read_only=True).tag(sync=True)
    points: Any = traitlets.List(read_only=True).tag(sync=True)
    models: Any = traitlets.List(read_only=True).tag(sync=True)
    sizes: Any = traitlets.List(read_only=True).tag(sync=True)
    progress = traitlets.Dict(_RESTS, read_only=True).tag(sync=True)
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
        self._chosen: dict[str, Any] = {}  # the last that was right
        super().__init__(rules=rules(), sizes=list(self._sizes), models=list(dict.fromkeys((network.name, *ZOO))))
        self.choice = {
            **{"phase": phase, "model": network.name, "engine": "", "precision": "", "devices": []},
            **{"batch_size": self._sizes[0], "metric": "latency", "budgets": {}},
            "prices": hourly_prices(recordings),
        }

    # What is shown -----------------------------------------------------------------------------------------------

    @property
    def comparison(self) -> Comparison:
        """Every measurement of the chosen phase, model, engine, precision and devices."""
        choice = self.choice
        found = [m for m in self._known.everything() if m.phase == choice["phase"] and m.model == choice["model"]]
        for name in ("engine", "precision"):
            found = [m for m in found if choice[name] in ("", getattr(m, name))]
        found = [m for m in found if m.device in (choice["devices"] or (m.device,))]
        return Comparison(found, prices=choice["prices"])

    @property
    def results(self) -> Comparison:
        """As the chart has them: of each device, at each batch size, the best that it does by the chosen metric."""
        return self.comparison.best_of_each(self.choice["metric"])

    @property
    def sentences(self) -> list[str]:
        """What the page says under the chart."""
        results, size, metric = self.results, self.choice["batch_size"], self.choice["metric"]
        if size not in results.batch_sizes:
            return [TEMPLATES["no size"].format(batch=batch_words(size))]
        said = results.sentences(size, metric)
        limit = self.choice["budgets"].get(metric)
        if limit is not None:
            said += [TEMPLATES[name].format(**facts) for name, facts in results.budget_facts(size, metric, limit)]
        return said

    def told(self) -> str:
        """The sentences."""
        return " ".join(self.sentences)

    def fallback(self) -> Iterable[Any]:
        """The sentences and the table."""
        from workbench.page import table, tag

        results, size, metric = self.results, self.choice["batch_size"], self.choice["metric"]
        yield from (tag("p", sentence) for sentence in self.sentences)
        if size in results.batch_sizes:
            words = f"{self.choice['model']}, {self.choice['phase']}: {batch_words(size).lower()}"
            rows = [
                (row.name, row.text, row.spread, f"{setting_of(row.measurement)}, {told_origin(row.measurement)}")
                for row in results.rows(size, metric)
            ]
            yield table(words, ("device", "figure", "90 % within", "with, origin"), rows, numeric=(1, 2))

    def page_state(self) -> dict[str, Any]:
        """Its devices are named, so that the day is enough; nothing is going on there."""
        today = date.today().isoformat()
        told = [point | {"told": point["told"].replace("here, now", today)} for point in self.points]
        return {"points": told, "progress": _RESTS, "failures": []}

    # What is chosen ----------------------------------------------------------------------------------------------

    @traitlets.validate("choice")
    def _check_choice(self, proposal: Any) -> dict[str, Any]:
        choice = {**self._chosen, **proposal["value"]}
        if choice.get("model") in self.models and choice["model"] not in self._known.models:
            self._learn_of(choice["model"])
        self._chosen = checked_choice(choice, allowed_choices(self.models, self._sizes, self._known.everything()))
        return self._chosen

    def _learn_of(self, name: str) -> None:
        if name not in self._networks:
            self._networks[name] = find_network(name)
        notes, failures = self._known.learn_of(self._networks[name])
        self._put(failures=[*self.failures, *map(asdict, failures)])
        with self._lock:
            self._put(notes={**self.notes, name: notes}, points=self._known.points())

    # Measuring ---------------------------------------------------------------------------------------------------

    def measure(self) -> Comparison:
        """Measure the devices of this machine as the button does, wait for it, and give `results`.

        An interrupt stops it; what was measured until then stays. Raises WorkbenchError where nothing could be.
        """
        if self.job is not None:
            self.job.wait()  # it may be measuring something else
        self._start()
        assert self.job is not None
        self.job.wait()
        if self.job.state == "failed":
            raise WorkbenchError(f"Measuring failed: {self.job.error}")
        return self.results

    @traitlets.observe("asked")
    def _obey(self, change: Any) -> None:
        if change["new"].get("do") == "measure":
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
            self._put(failures=[])
            self._tell("waiting", 0.0, "Waiting for what another widget measures or trains.")
            steps = measure_here(network, choice["phase"], batch_sizes=self._sizes, seconds=self._seconds, **limits)
            self.job = Job(steps, on_step=self._take, on_change=self._note_end).start()

    def _take(self, step: Step) -> None:
        if isinstance(step.found, Failure):
            self._put(failures=[*self.failures, asdict(step.found)])
        elif step.found is not None:
            with self._lock:
                self._known.take(step.found)
                self._found += 1
                self._put(points=self._known.points())
        left = "" if step.seconds_left is None else f"; about {format_seconds(max(1.0, round(step.seconds_left)))} left"
        self._tell("running", step.share, f"{step.told}{left}")

    def _note_end(self, job: Job) -> None:
        kept = f"{self._found} figures measured here, now"
        if job.state == "finished":
            self._tell("finished", None, f"Done: {kept}.")
        elif job.state == "stopped":
            self._tell("stopped", None, f"Stopped by you: {kept}, and kept.")
        elif job.state == "failed":
            self._tell("failed", None, f"Measuring failed: {job.error}")

    def _tell(self, state: str, share: float | None, words: str) -> None:
        self._put(progress={"state": state, "share": share, "words": words})
