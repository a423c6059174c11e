"""The cost of hyper-parameters that are being changed, compared with where they were before."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import asdict
from itertools import chain
from typing import Any

from workbench.data.datasets import Data
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.measuring.recordings import load_recordings
from workbench.modelling.cost import Cost
from workbench.modelling.cost_change import describe_change
from workbench.modelling.epoch_times import NetworkCount, epoch_times
from workbench.widgets.cost_figures import figures_of
from workbench.widgets.network_counts import NetworkCounts


class FollowedCost:
    """The cost of training on `data`. chosen: the current hyper-parameters."""

    def __init__(self, data: Data, chosen: HyperParameters) -> None:
        self.chosen = self._before = chosen
        self._moved: tuple[str, ...] = ()
        self._images = len(data.train)
        self._counts = NetworkCounts(data.shape, len(data.labels))
        try:
            self._recordings = load_recordings(skipped=[])
        except WorkbenchError:  # without the project's files there are no cards
            self._recordings = ()

    @property
    def is_moved(self) -> bool:
        """Whether `chosen` has ever changed."""
        return bool(self._moved)

    @property
    def is_counted(self) -> bool:
        """Whether the network is counted already, so that `figures` are available at once."""
        return self._counts.known(self.chosen) is not None

    def move(self, chosen: HyperParameters) -> None:
        """Change the hyper-parameters. While one control keeps moving, costs are compared with those before."""
        before, after = asdict(self.chosen), asdict(chosen)
        moved = tuple(name for name in after if after[name] != before[name])
        if moved != self._moved:
            self._before, self._moved = self.chosen, moved
        self.chosen = chosen

    def cost(self) -> Cost:
        """Return the cost; raise WorkbenchError for a network that does not take the images."""
        return self._cost_of(self.chosen, self._count())

    def figures(self) -> tuple[dict[str, Any], str]:
        """Return what the browser draws, and the effect of the last change in a sentence. Raise as `cost`."""
        count, earlier = self._count(), self._counts.known(self._before)
        cost = self._cost_of(self.chosen, count)
        was = self._cost_of(self._before, earlier) if isinstance(earlier, NetworkCount) else None
        figures = figures_of(self.chosen, cost, was, epoch_times(self._recordings, count, self.chosen, cost))
        return figures, "" if was is None else describe_change(self._before, self.chosen, was, cost)

    def counting(self, *, ahead: bool) -> Generator[None, Any, None]:
        """Count the chosen network and, with `ahead`, the likely next ones, one in each step."""
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
        return count.cost(chosen, self._images)
