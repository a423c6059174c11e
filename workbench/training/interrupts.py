"""Ctrl-C during training: it takes effect after the current step, so that the state saved is a whole one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def hold_interrupts() -> Iterator[list[int]]:
    """Defer Ctrl-C: the list yielded receives the signal's number when it comes. A second Ctrl-C acts at once.

    Does nothing outside the main thread, the only one that receives signals.
    """
    received: list[int] = []

    def defer(number: int, frame: object) -> None:
        if received:
            raise KeyboardInterrupt
        received.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    before = signal.signal(signal.SIGINT, defer)
    try:
        yield received
    finally:
        signal.signal(signal.SIGINT, before)
