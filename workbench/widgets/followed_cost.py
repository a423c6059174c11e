"""The cost of hyper-parameters that are being moved: now, and against where they were before."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict
from itertools import chain
from typing import Any

from workbench.cost import Cost
from workbench.data import Data
from workbench.epoch_times import NetworkCount, cost_at, epoch_times, told_change
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.recordings import load_recordings
from workbench.widgets.cost_figures import figures_of
from workbench.widgets.network_counts import NetworkCounts


class FollowedCost:
    """Of training on `data`. chosen: to begin with, then what `move` was given last."""

    def __init__(self, data: Data, chosen: HyperParameters) -> None:
        self.chosen = self._before = chosen
        self._moved: tuple[str, ...] = ()
        self._pictures = len(data.train)
        self._counts = NetworkCounts(data.shape, len(data.labels))
        try:
            self._recordings = load_recordings(skipped=[])
        except WorkbenchError:  # without the project's files there are no cards
            self._recordings = ()

    @property
    def is_moved(self) -> bool:
        """Whether `chosen` is another than to begin with."""
        return bool(self._moved)

    @property
    def is_counted(self) -> bool:
        """Whether the network was counted already, so that `figures` come at once."""
        return self._counts.known(self.chosen) is not None

    def move(self, chosen: HyperParameters) -> None:
        """As long as the same control is moved, all is compared with where it was."""
        before, after = asdict(self.chosen), asdict(chosen)
        moved = tuple(name for name in after if after[name] != before[name])
        if moved != self._moved:
            self._before, self._moved = self.chosen, moved
        self.chosen = chosen

    def cost(self) -> Cost:
        """Raises WorkbenchError for a network that does not take the pictures."""
        return self._cost_of(self.chosen, self._count())

    def figures(self) -> tuple[dict[str, Any], str]:
        """What a page shows, and what the last move did, in a sentence ("" before the first). Raises as `cost` does."""
        count, earlier = self._count(), self._counts.known(self._before)
        cost = self._cost_of(self.chosen, count)
        was = self._cost_of(self._before, earlier) if isinstance(earlier, NetworkCount) else None
        figures = figures_of(self.chosen, cost, was, epoch_times(self._recordings, count, self.chosen, cost))
        return figures, "" if was is None else told_change(self._before, self.chosen, was, cost)

    def counting(self, *, ahead: bool) -> Generator[None, Any, None]:
        """Count the network at hand, then, with `ahead`, those that are likely next, one in each step."""
        chosen = self.chosen
        for each in chain([chosen], self._counts.ahead(chosen) if ahead else ()):
            self._counts.count(each)
            yield

    def _count(self) -> NetworkCount:
        count = self._counts.count(self.chosen)
        if isinstance(count, str):
            raise WorkbenchError(count)
        return count

    def _cost_of(self, chosen: HyperParameters, count: NetworkCount) -> Cost:
        return cost_at(count, chosen, pictures=self._pictures)
