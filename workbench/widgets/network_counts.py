"""The networks of `HyperparameterExplorer`, each counted once: what is chosen first, then what is likely next."""

from __future__ import annotations

import math
from collections.abc import Iterator

from workbench.epoch_times import NetworkCount, Shape, count_network, network_key
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.models import ZOO
from workbench.widgets.hyperparameter_controls import WIDTHS


class NetworkCounts:
    """Counts for pictures of one shape; of a network that does not take them, the sentence that says why."""

    def __init__(self, shape: Shape, classes: int) -> None:
        self._shape, self._classes = shape, classes
        self._known: dict[tuple[str, float, str], NetworkCount | str] = {}

    def known(self, chosen: HyperParameters) -> NetworkCount | str | None:
        """None where it was not counted yet."""
        return self._known.get(network_key(chosen))

    def count(self, chosen: HyperParameters) -> NetworkCount | str:
        """Counted now, unless it was before."""
        key = network_key(chosen)
        if key not in self._known:
            try:
                self._known[key] = count_network(chosen, shape=self._shape, classes=self._classes)
            except WorkbenchError as error:
                self._known[key] = str(error)
        return self._known[key]

    def ahead(self, chosen: HyperParameters) -> Iterator[HyperParameters]:
        """What was not counted yet and is likely to be chosen next, where things are moved: the other widths, the
        nearest first, then the other models of the zoo, then the other precision.
        """
        if chosen.model not in ZOO:
            return
        widths = sorted(WIDTHS, key=lambda width: abs(math.log(width / chosen.width)))
        likely = [chosen.replace(width=width) for width in widths]
        likely += [chosen.replace(model=model) for model in ZOO]
        likely.append(chosen.replace(precision="fp32" if chosen.precision == "bf16" else "bf16"))
        for each in likely:
            if self.known(each) is None:
                yield each
