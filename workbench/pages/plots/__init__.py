"""Charts: functions that draw one message on a matplotlib Axes, state it in the title, and return the Axes.

The colours are those of Okabe & Ito (2008), distinct for colour-blind readers, and never the only signal: markers, line
styles and words repeat it. Nothing here uses pyplot, so charts can be drawn in any thread and without a display.

>>> figure, axes = wb.plots.new_figure()
>>> wb.plots.alt_text(wb.plots.time_bars({"forward": 0.01, "backward": 0.03}, axes))
'backward takes 75... of the time. Bar chart of times, measured: forward 10..., backward 30...'
"""

from workbench.pages.chart_style import alt_text, new_figure
from workbench.pages.plots.answers import confusion_matrix, image_grid
from workbench.pages.plots.costs import bytes_bars, latency_bars, stacked_bytes, time_bars
from workbench.pages.plots.devices import batch_size_curves
from workbench.pages.plots.learning import curves_overlay, learning_curves, learning_rate_curve
from workbench.pages.plots.searching import importance_bars, parallel_coordinates, search_history

__all__ = [
    "alt_text",
    "batch_size_curves",
    "bytes_bars",
    "confusion_matrix",
    "curves_overlay",
    "image_grid",
    "importance_bars",
    "latency_bars",
    "learning_curves",
    "learning_rate_curve",
    "new_figure",
    "parallel_coordinates",
    "search_history",
    "stacked_bytes",
    "time_bars",
]
