"""In which order contenders take their turns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

Contender = TypeVar("Contender")


def order(contenders: Iterable[Contender], number: int) -> list[Contender]:
    """All of them, as they run in this round (from 0).

    In as many rounds as there are contenders each begins once and each runs once right behind each other one (of an odd
    number twice, in twice as many): whoever always runs behind the same rival always finds the caches as that one left
    them. Williams 1949, "Experimental designs balanced for the estimation of residual effects of treatments".
    """
    found = list(contenders)
    count = len(found)
    zigzag = [(place + 1) // 2 if place % 2 else -(place // 2) for place in range(count)]  # 0, 1, -1, 2, -2, …
    row = [found[(place + number) % count] for place in zigzag]
    return row[::-1] if count % 2 and number % 2 else row
