"""Count the networks of `HyperparameterExplorer` once each: the chosen one first, then those likely to follow."""

from __future__ import annotations

import math
from collections.abc import Iterator

from workbench.bundle.preprocessing import Shape
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.modelling.epoch_times import NetworkCount, count_network, network_key
from workbench.training.models import ZOO
from workbench.widgets.hyperparameter_controls import WIDTHS


class NetworkCounts:
    """The counts by network, for images of one shape; an error text for a network that does not take them."""

    def __init__(self, shape: Shape, classes: int) -> None:
        self._shape, self._classes = shape, classes
        self._known: dict[tuple[str, float, str], NetworkCount | str] = {}

    def known(self, chosen: HyperParameters) -> NetworkCount | str | None:
        """Return the count or the error, None if it was not counted yet."""
        return self._known.get(network_key(chosen))

    def count(self, chosen: HyperParameters) -> NetworkCount | str:
        """Return the count or the error, counting now if necessary."""
        key = network_key(chosen)
        if key not in self._known:
            try:
                self._known[key] = count_network(chosen, shape=self._shape, classes=self._classes)
            except WorkbenchError as error:
                self._known[key] = str(error)
        return self._known[key]

    def ahead(self, chosen: HyperParameters) -> Iterator[HyperParameters]:
        """Yield likely next choices that are not counted yet: other widths, nearest first, other models of the zoo,
        the other precision.
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
