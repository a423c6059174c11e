"""What happened while a network learned: curves by epoch, the learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator, PercentFormatter

from workbench.chart_style import BLUE, INK, STYLES, TEXT_SIZE, VERMILLION, add_legend, finish, plain, short
from workbench.errors import WorkbenchError
from workbench.units import format_number, format_share

if TYPE_CHECKING:
    from workbench.training import Record


def learning_curves(records: Sequence[Record], axes: Axes, measure: Literal["accuracy", "loss"] = "accuracy") -> Axes:
    """Accuracy or loss by epoch, on training and validation pictures. Raises WorkbenchError before the first epoch."""
    ends = _epoch_ends(records)
    epochs = [record.epoch for record in ends]
    training = [getattr(record, measure) for record in ends]
    validation = [getattr(record, f"validation_{measure}") for record in ends]
    validated = [(epoch, value) for epoch, value in zip(epochs, validation, strict=True) if value is not None]
    every = max(1, len(ends) // 15)
    axes.plot(epochs, training, "--o", color=VERMILLION, label="training", markersize=5, markevery=every)
    if validated:
        axes.plot(*zip(*validated, strict=True), "-s", color=BLUE, label="validation", markersize=5, markevery=every)
    axes.set_ylabel("accuracy (measured)" if measure == "accuracy" else "loss (nats per picture, measured)")
    if measure == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1, symbol="\N{NO-BREAK SPACE}%"))
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    kind, curve = ("Validation", validated) if validated else ("Training", list(zip(epochs, training, strict=True)))
    legend = axes.legend(frameon=False, fontsize=TEXT_SIZE, labelcolor=INK)
    legend.set_in_layout(False)
    said = format_share if measure == "accuracy" else format_number
    return finish(
        axes,
        _accuracy_message(kind, curve) if measure == "accuracy" else _loss_message(kind, curve),
        f"Line chart of {measure} by epoch, {epochs[0]} to {epochs[-1]}: training from {said(training[0])} to "
        f"{said(training[-1])}"
        + (f", validation from {said(curve[0][1])} to {said(curve[-1][1])}." if validated else "."),
    )


def curves_overlay(
    runs: Mapping[str, Sequence[Record]],
    axes: Axes,
    measure: Literal["accuracy", "loss"] = "accuracy",
    *,
    title: str = "",
) -> Axes:
    """Validation accuracy or loss of several runs by epoch, one line each, named at its end and in the legend.

    title: the message, where the caller knows better than "NAME ends highest". Raises WorkbenchError for no run, more
    than STYLES tells apart, or a run without a finished, validated epoch.
    """
    if not runs or len(runs) > len(STYLES):
        raise WorkbenchError(f"{len(runs)} runs cannot be told apart in one chart: give 1 to {len(STYLES)}.")
    last: dict[str, float] = {}
    for (name, records), style in zip(runs.items(), STYLES, strict=False):
        ends = [record for record in _epoch_ends(records) if record.validation_loss is not None]
        if not ends:
            raise WorkbenchError(f"The run {short(name)!r} has no validated epoch to draw.")
        values = [float(getattr(record, f"validation_{measure}")) for record in ends]
        every = max(1, len(ends) // 15)
        epochs = [record.epoch for record in ends]
        axes.plot(epochs, values, label=plain(name), markersize=5, markevery=every, **style)
        last[name] = values[-1]
    said = format_share if measure == "accuracy" else format_number
    if measure == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1, symbol="\N{NO-BREAK SPACE}%"))
    axes.set_ylabel(f"validation {'accuracy (measured)' if measure == 'accuracy' else 'loss (nats, measured)'}")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    add_legend(axes)
    best = (max if measure == "accuracy" else min)(last, key=lambda name: last[name])
    message = title or f"{plain(best)} ends {'highest' if measure == 'accuracy' else 'lowest'}: {said(last[best])}"
    listed = ", ".join(f"{plain(name)} {said(value)}" for name, value in last.items())
    return finish(axes, message, f"Line chart of validation {measure} by epoch; at the end: {listed} (measured).")


def learning_rate_curve(records: Sequence[Record], axes: Axes) -> Axes:
    """The learning rate over the run, from records of both kinds. Raises WorkbenchError where there is none."""
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


def _accuracy_message(kind: str, curve: Sequence[tuple[int, float]]) -> str:
    epoch, best = max(curve, key=lambda point: point[1])
    return f"{kind} accuracy reaches {format_share(best)} in epoch {epoch}"


def _loss_message(kind: str, curve: Sequence[tuple[int, float]]) -> str:
    epoch, best = min(curve, key=lambda point: point[1])
    last = curve[-1][1]
    if last > 1.05 * best:
        return f"{kind} loss is lowest in epoch {epoch} ({best:.3g}), then rises to {last:.3g}"
    if len(curve) == 1:
        return f"{kind} loss is {last:.3g} after one epoch"
    return f"{kind} loss falls from {curve[0][1]:.3g} to {last:.3g} in {len(curve)} epochs"
