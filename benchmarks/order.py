"""The order in which contenders take turns."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

Contender = TypeVar("Contender")


def order(contenders: Iterable[Contender], number: int) -> list[Contender]:
    """Return all contenders in the order in which they run in round `number`, from 0.

    A balanced design: in as many rounds as there are contenders, each one begins once and runs once right after each
    other one (with an odd number of contenders, twice, in twice as many rounds). Otherwise one that always ran after
    the same rival would always find the caches as that rival leaves them. Williams 1949, "Experimental designs balanced
    for the estimation of residual effects of treatments".
    """
    found = list(contenders)
    count = len(found)
    zigzag = [(index + 1) // 2 if index % 2 else -(index // 2) for index in range(count)]  # 0, 1, -1, 2, -2, …
    row = [found[(index + number) % count] for index in zigzag]
    return row[::-1] if count % 2 and number % 2 else row
