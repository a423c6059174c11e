"""In which order contenders take their turns."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import TypeVar

Contender = TypeVar("Contender")


def order(contenders: Iterable[Contender], number: int) -> list[Contender]:
    """All of them, in another order in each round, the same whenever the race is run.

    Whoever always runs behind the same rival always finds the caches as that one left them.
    """
    found = list(contenders)
    random.Random(number).shuffle(found)
    return found
