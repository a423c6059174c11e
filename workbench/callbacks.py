"""The type of the callback by which long work reports its progress."""

from __future__ import annotations

from collections.abc import Callable

# Called as progress(what, done, total).
Progress = Callable[[str, int, int], None]
