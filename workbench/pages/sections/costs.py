"""What the run cost: the time of each step, the size of each file, and the latency of each engine."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from workbench.pages import plots
from workbench.pages.charts import draw_chart
from workbench.pages.html import Content, table, tag
from workbench.pages.run_summary import RunSummary
from workbench.units import format_ratio, format_seconds, format_share


def steps(run: RunSummary) -> Iterable[Content]:
    """Yield the time and the device of each step."""
    numbers = iter(range(1, len(run.steps) + 1))
    rows = [
        (
            # Loading the data comes before the first of the five steps.
            step.name if step.name == "data" else f"{next(numbers)}. {step.name}",
            format_seconds(step.seconds),
            step.device,
            step.detail,
        )
        for step in run.steps
    ]
    rows.append(("together", format_seconds(sum(step.seconds for step in run.steps)), "", ""))
    caption = "Time of each step, measured, and the device it ran on"
    yield table(caption, ("step", "time", "device", "what it did"), rows, numeric=(1,), prose=True)


def sizes(run: RunSummary) -> Iterable[Content]:
    """Yield the bytes of each file."""
    if not run.sizes:
        return
    order = sorted(run.sizes.items(), key=lambda item: -item[1])
    (largest, most), (smallest, least) = order[0], order[-1]
    if most > least > 0:
        yield tag("p", f"The largest, {largest}, is {format_ratio(most / least)} the size of the smallest, {smallest}.")
    rows = [(name, f"{size:,}", format_share(size / most if most else 0.0)) for name, size in order]
    drawable = {name: size for name, size in order if size > 0}
    caption = f"Sizes, measured, and their share of the largest ({largest})"
    yield tag(
        "div",
        draw_chart("bytes", partial(plots.bytes_bars, drawable), height=3.0) if drawable else None,
        table(caption, ("what", "bytes", "share"), rows, numeric=(1, 2)),
        class_="charts",
    )


def latency(run: RunSummary) -> Iterable[Content]:
    """Yield the latency of each engine at each batch size."""
    if not run.latencies:
        return
    batch_sizes = sorted({row.batch_size for row in run.latencies})
    by_size = {size: [row for row in run.latencies if row.batch_size == size] for size in batch_sizes}
    yield tag(
        "p",
        f"Measured on {run.machine} on {run.created_text}: from uint8 images in memory to probabilities, after a "
        "warm-up. Half of the batches took no longer than p50, nine in ten no longer than p90.",
    )
    charts = (
        draw_chart(f"latency{size}", partial(plots.latency_bars, found), height=2.9) for size, found in by_size.items()
    )
    yield tag("div", charts, class_="charts")
    rows = [
        (
            row.engine,
            str(row.batch_size),
            str(row.threads),
            format_seconds(row.latency.p50),
            format_seconds(row.latency.p90),
            f"{row.images_per_second:,.0f}",
            f"{row.latency.count:,}",
            row.origin,
        )
        for found in by_size.values()
        for row in sorted(found, key=lambda row: row.latency.p50)
    ]
    head = ("engine", "batch size", "threads", "p50", "p90", "images/s", "batches timed", "origin")
    yield table("Latency by engine and batch size", head, rows, numeric=range(1, 7))
