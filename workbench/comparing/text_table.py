"""A ranking at one batch size as a table in plain text."""

from __future__ import annotations

from workbench.comparing.metrics import describe_origin
from workbench.comparing.ranking import Ranking
from workbench.comparing.subjects import describe_setting
from workbench.units import format_rate

_RIGHT_ALIGNED = (1, 2, 3)


def format_table(ranking: Ranking, batch_size: int) -> str:
    """Return a line for each row: name, figure, spread, throughput, setting and origin.

    Columns that would repeat another one are left out: the throughput if it is the metric, and the settings if they are
    in the names.
    """
    rows = ranking.rows[batch_size]
    has_speed = ranking.metric != "throughput"
    has_setting = not all(describe_setting(row.measurement) in row.name for row in rows)
    head = ("", ranking.quantity.title, "time, 90 % within", "images/s", "with", "origin")
    body = [
        (
            row.name,
            row.text,
            row.spread,
            format_rate(row.measurement.images_per_second),
            describe_setting(row.measurement),
            describe_origin(row.measurement),
        )
        for row in rows
    ]
    kept = [column for column in range(len(head)) if (column != 3 or has_speed) and (column != 4 or has_setting)]
    lines = [head, *body]
    widths = {column: max(len(line[column]) for line in lines) for column in kept}
    return "\n".join(
        "  ".join(
            line[column].rjust(widths[column]) if column in _RIGHT_ALIGNED else line[column].ljust(widths[column])
            for column in kept
        ).rstrip()
        for line in lines
    )
