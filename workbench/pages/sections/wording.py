"""Wording shared by the sections of the report."""

from __future__ import annotations


def count_of(count: int, thing: str) -> str:
    """Return "1 image" or "1,000 images"."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def format_points(share: float) -> str:
    """Return a difference of shares in percentage points, without the unit: "1.3"."""
    return f"{100 * share:.1f}"
