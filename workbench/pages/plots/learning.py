"""Learning curves and the learning rate, by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from workbench.errors import WorkbenchError
from workbench.pages.chart_style import (
    BLUE,
    STYLES,
    VERMILLION,
    add_legend,
    finish,
    percent_formatter,
    plain,
    short,
)
from workbench.units import format_number, format_share

if TYPE_CHECKING:
    from workbench.training.records import Record

Measure = Literal["accuracy", "loss"]


def learning_curves(records: Sequence[Record], axes: Axes, measure: Measure = "accuracy") -> Axes:
    """Draw accuracy or loss by epoch, on training and validation images.

    Raises WorkbenchError before the first epoch is finished.
    """
    ends = _epoch_ends(records)
    epochs = [record.epoch for record in ends]
    training = [(epoch, float(getattr(record, measure))) for epoch, record in zip(epochs, ends, strict=True)]
    values = [getattr(record, f"validation_{measure}") for record in ends]
    validation = [(epoch, value) for epoch, value in zip(epochs, values, strict=True) if value is not None]
    every = max(1, len(ends) // 15)
    axes.plot(*zip(*training, strict=True), "--o", color=VERMILLION, label="training", markersize=5, markevery=every)
    if validation:
        axes.plot(*zip(*validation, strict=True), "-s", color=BLUE, label="validation", markersize=5, markevery=every)
    axes.set_ylabel("accuracy (measured)" if measure == "accuracy" else "loss (nats per image, measured)")
    _scale_axes(axes, measure)
    add_legend(axes)
    axes.get_legend().set_in_layout(False)  # type: ignore[union-attr]
    message = _message("Validation" if validation else "Training", validation or training, measure)
    alt = f"Line chart of {measure} by epoch, {epochs[0]} to {epochs[-1]}: training {_span(training, measure)}"
    return finish(axes, message, f"{alt}, validation {_span(validation, measure)}." if validation else f"{alt}.")


def curves_overlay(
    runs: Mapping[str, Sequence[Record]], axes: Axes, measure: Measure = "accuracy", *, title: str = ""
) -> Axes:
    """Draw the validation accuracy or loss of several runs by epoch, one line each.

    `title` defaults to the run that ends best. Raises WorkbenchError for no runs, for more than STYLES has, and for a
    run without a validated epoch.
    """
    if not runs or len(runs) > len(STYLES):
        raise WorkbenchError(f"{len(runs)} runs are too many or too few for one chart: give 1 to {len(STYLES)}.")
    last: dict[str, float] = {}
    for (name, records), style in zip(runs.items(), STYLES, strict=False):
        ends = [record for record in _epoch_ends(records) if record.validation_loss is not None]
        if not ends:
            raise WorkbenchError(f"The run {short(name)!r} has no validated epoch to draw.")
        values = [float(getattr(record, f"validation_{measure}")) for record in ends]
        every = max(1, len(ends) // 15)
        axes.plot([record.epoch for record in ends], values, label=plain(name), markersize=5, markevery=every, **style)
        last[name] = values[-1]
    axes.set_ylabel(f"validation {'accuracy (measured)' if measure == 'accuracy' else 'loss (nats, measured)'}")
    _scale_axes(axes, measure)
    add_legend(axes)
    best = (max if measure == "accuracy" else min)(last, key=lambda name: last[name])
    end = "highest" if measure == "accuracy" else "lowest"
    message = title or f"{plain(best)} ends {end}: {_format(last[best], measure)}"
    figures = ", ".join(f"{plain(name)} {_format(value, measure)}" for name, value in last.items())
    return finish(axes, message, f"Line chart of validation {measure} by epoch; at the end: {figures} (measured).")


def learning_rate_curve(records: Sequence[Record], axes: Axes) -> Axes:
    """Draw the learning rate over the run, from records of both kinds. Raises WorkbenchError for no records."""
    if not records:
        raise WorkbenchError("There is no record of a training run to draw.")
    epochs = [record.step * record.epochs / record.steps for record in records]
    rates = [record.learning_rate for record in records]
    axes.plot(epochs, rates, color=BLUE)
    axes.set_ylim(0, 1.12 * max(rates))
    axes.set_xlabel("epoch")
    axes.set_ylabel("learning rate")
    top = rates.index(max(rates))
    message = f"The learning rate stays at {rates[0]:.2g}"
    if max(rates) > 1.001 * min(rates):
        axes.plot(epochs[top], rates[top], "o", color=BLUE, markersize=5)
        end = "near 0" if rates[-1] < 0.01 * rates[top] else f"at {rates[-1]:.2g}"
        message = (
            f"The highest learning rate recorded is {rates[top]:.2g}, after {epochs[top]:.1f} epochs; it ends {end}"
        )
    return finish(axes, message, f"Line chart of the learning rate over {records[-1].epochs} epochs.")


def _epoch_ends(records: Sequence[Record]) -> list[Record]:
    ends = [record for record in records if record.kind == "epoch"]
    if not ends:
        raise WorkbenchError("There is no finished epoch to draw: learning curves begin after the first.")
    return ends


def _scale_axes(axes: Axes, measure: Measure) -> None:
    if measure == "accuracy":
        axes.yaxis.set_major_formatter(percent_formatter())
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _format(value: float, measure: Measure) -> str:
    return format_share(value) if measure == "accuracy" else format_number(value)


def _span(curve: Sequence[tuple[int, float]], measure: Measure) -> str:
    return f"from {_format(curve[0][1], measure)} to {_format(curve[-1][1], measure)}"


def _message(kind: str, curve: Sequence[tuple[int, float]], measure: Measure) -> str:
    epoch, best = (max if measure == "accuracy" else min)(curve, key=lambda point: point[1])
    if measure == "accuracy":
        return f"{kind} accuracy reaches {format_share(best)} in epoch {epoch}"
    last = curve[-1][1]
    if last > 1.05 * best:
        return f"{kind} loss is lowest in epoch {epoch} ({best:.3g}), then rises to {last:.3g}"
    if len(curve) == 1:
        return f"{kind} loss is {last:.3g} after one epoch"
    return f"{kind} loss falls from {curve[0][1]:.3g} to {last:.3g} in {len(curve)} epochs"
