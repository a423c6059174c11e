"""Figures: functions that take data and a matplotlib Axes, draw one message, state it in the title, return the Axes.

Colours are those of Okabe & Ito (2008), told apart by colour-blind readers too, and never the only signal: markers,
line styles and words go with them. `alt_text(axes)` is a sentence that says what was drawn. Nothing here uses pyplot,
so that figures can be made in any thread and without a display. `new_figure()` gives an Axes where you have none.
"""

from workbench.chart_style import alt_text, new_figure
from workbench.plots.answers import confusion_matrix, picture_grid
from workbench.plots.costs import batch_size_curves, bytes_bars, latency_bars, stacked_bytes, time_bars
from workbench.plots.learning import curves_overlay, learning_curves, learning_rate_curve
from workbench.plots.searching import importance_bars, parallel_coordinates, search_history

__all__ = [
    "alt_text",
    "batch_size_curves",
    "bytes_bars",
    "confusion_matrix",
    "curves_overlay",
    "importance_bars",
    "latency_bars",
    "learning_curves",
    "learning_rate_curve",
    "new_figure",
    "parallel_coordinates",
    "picture_grid",
    "search_history",
    "stacked_bytes",
    "time_bars",
]
