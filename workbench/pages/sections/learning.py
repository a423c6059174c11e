"""How the network learned."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from workbench.pages import plots
from workbench.pages.charts import draw_chart
from workbench.pages.html import Content, table, tag
from workbench.pages.run_summary import RunSummary
from workbench.units import format_bytes, format_seconds


def curves(run: RunSummary) -> Iterable[Content]:
    """Yield the learning curves and the totals of the training."""
    ends = [record for record in run.records if record.kind == "epoch"]
    if not ends:
        return
    last = ends[-1]
    yield tag(
        "p",
        "Training accuracy is taken while the network still changes, on images that may be mirrored or moved. It "
        "never learns from the validation images: they show how well it would do on others.",
    )
    rows = [
        ("epochs", f"{len(ends):,}"),
        ("gradient steps", f"{last.step:,}"),
        ("time with validation", format_seconds(last.seconds)),
        ("speed in the last epoch", f"{last.images_per_second:,.0f} images/s"),
        ("peak memory", format_bytes(max(record.memory_bytes for record in ends))),
        ("device", last.device),
        ("precision", last.precision),
    ]
    yield tag(
        "div",
        draw_chart("accuracy", partial(plots.learning_curves, ends, measure="accuracy")),
        draw_chart("loss", partial(plots.learning_curves, ends, measure="loss")),
        draw_chart("rate", partial(plots.learning_rate_curve, run.records), height=2.6),
        table("The training, measured", ("what", "how much"), rows, numeric=(1,)),
        class_="charts",
    )
