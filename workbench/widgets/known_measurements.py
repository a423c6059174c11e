"""The measurements that `DeviceComparison` shows: recorded, modelled, measured here earlier, given, and new."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from workbench.comparing.all_devices import compare_recordings
from workbench.comparing.networks import Network
from workbench.comparing.page_data import points
from workbench.comparing.selection import newest
from workbench.comparing.sweeps import Excluded
from workbench.errors import WorkbenchError
from workbench.machine.devices import list_devices
from workbench.measuring.measurement import Measurement
from workbench.measuring.measurement_cache import recall
from workbench.measuring.recordings import Recording
from workbench.widgets.comparison_choice import PHASES


class KnownMeasurements:
    """recordings: of devices other than those of this machine. also: further measurements to show."""

    def __init__(
        self, recordings: Sequence[Recording], also: Sequence[Measurement], batch_sizes: Sequence[int]
    ) -> None:
        self._recordings, self._also, self._sizes = recordings, also, batch_sizes
        self._of_models: dict[str, list[Measurement]] = {}
        self._measured: dict[tuple[Any, ...], Measurement] = {}
        self._lock = threading.Lock()  # the worker adds while a cell or the browser reads

    @property
    def models(self) -> Collection[str]:
        """The names of the networks that were looked up."""
        return self._of_models.keys()

    def look_up(self, network: Network) -> tuple[dict[str, list[str]], list[Excluded]]:
        """Collect what is known of a network; return notes on what was left out, by phase, and failures to model it."""
        found: list[Measurement] = []
        notes: dict[str, list[str]] = {phase: [] for phase in PHASES}
        failures = []
        for phase in PHASES:
            try:
                known = compare_recordings(
                    self._recordings,
                    phase=phase,
                    model=network.name,
                    batch_sizes=self._sizes,
                    skipped=notes[phase],
                    network=None if network.recorded else network.model,
                    shape=network.shape,
                    classes=len(network.labels),
                )
            except WorkbenchError as error:  # it can still be measured
                failures.append(
                    Excluded(
                        phase=phase,
                        model=network.name,
                        device="devices of data sheets",
                        engine="modelled",
                        precision=phase,
                        threads=0,
                        reason=str(error),
                    )
                )
            else:
                found += known.measurements
        for device in list_devices():
            found += (m for m in recall(network.fingerprint, device) if m.batch_size in self._sizes)
        with self._lock:
            self._of_models[network.name] = found
        return notes, failures

    def add(self, measured: Measurement) -> None:
        """Add a new measurement."""
        with self._lock:
            self._measured[measured.setting] = measured

    def everything(self) -> list[Measurement]:
        """Return all measurements, new ones last; earlier ones of the same setting on this machine are left out."""
        with self._lock:
            return [*self._before(), *self._measured.values()]

    def points(self) -> list[dict[str, Any]]:
        """Return plain values for the browser. Of equal settings the last one counts, as in a Comparison."""
        return points(newest(self.everything()))

    def _before(self) -> Iterator[Measurement]:
        fresh = {m.setting for m in self._also if m.origin == "measured"} | set(self._measured)
        here = {device.title for device in list_devices()}
        known: Iterable[Measurement] = chain.from_iterable(self._of_models.values())
        yield from (m for m in known if m.device not in here or m.setting not in fresh)
        yield from (m for m in self._also if m.setting not in self._measured)
