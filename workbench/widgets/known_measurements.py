"""What `DeviceComparison` knows of the networks looked at: recorded, modelled, measured here before, given, and new."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from workbench.all_devices import compared
from workbench.comparison import Comparison
from workbench.comparison_facts import points
from workbench.devices import list_devices
from workbench.errors import WorkbenchError
from workbench.measured_before import recall, setting
from workbench.measurement import Measurement
from workbench.networks import Failure, Network
from workbench.recordings import Recording
from workbench.widgets.comparison_choice import PHASES


class KnownMeasurements:
    """recordings: devices beside those of this machine. also: measurements to show with them."""

    def __init__(
        self, recordings: Sequence[Recording], also: Sequence[Measurement], batch_sizes: Sequence[int]
    ) -> None:
        self._recordings, self._also, self._sizes = recordings, also, batch_sizes
        self._of_models: dict[str, list[Measurement]] = {}
        self._measured: dict[tuple[Any, ...], Measurement] = {}
        self._lock = threading.Lock()  # the worker measures, a cell and the browser ask

    @property
    def models(self) -> Collection[str]:
        """The names of the networks looked at."""
        return self._of_models.keys()

    def learn_of(self, network: Network) -> tuple[dict[str, list[str]], list[Failure]]:
        """Everything known of this network; what was left out, by phase, and what cannot be counted."""
        found: list[Measurement] = []
        notes: dict[str, list[str]] = {phase: [] for phase in PHASES}
        failures = []
        for phase in PHASES:
            try:
                known = compared(
                    self._recordings,
                    phase=phase,
                    model=network.name,
                    batch_sizes=self._sizes,
                    skipped=notes[phase],
                    network=None if network.recorded else network.model,
                    shape=network.shape,
                    classes=len(network.labels),
                )
            except WorkbenchError as error:  # it can be measured all the same
                failures.append(
                    Failure(device="devices of data sheets", engine="modelled", precision=phase, reason=str(error))
                )
            else:
                found += known.measurements
        for device in list_devices():
            found += (m for m in recall(network.fingerprint, device) if m.batch_size in self._sizes)
        with self._lock:
            self._of_models[network.name] = found
        return notes, failures

    def take(self, measured: Measurement) -> None:
        """Add one that was measured just now."""
        with self._lock:
            self._measured[setting(measured)] = measured

    def everything(self) -> list[Measurement]:
        """What was measured comes last and counts; what was recorded of the same setting here before gives way."""
        with self._lock:
            return [*self._before(), *self._measured.values()]

    def points(self) -> list[dict[str, Any]]:
        """As the page draws them. Of equal settings the last one counts, as it does in a Comparison."""
        return points(Comparison(self.everything()).measurements)

    def _before(self) -> Iterator[Measurement]:
        fresh = {setting(m) for m in self._also if m.origin == "measured"} | set(self._measured)
        here = {device.title for device in list_devices()}
        known: Iterable[Measurement] = chain.from_iterable(self._of_models.values())
        yield from (m for m in known if m.device not in here or setting(m) not in fresh)
        yield from (m for m in self._also if setting(m) not in self._measured)
