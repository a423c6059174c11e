"""One self-contained page that sets all known devices side by side: charts, tables, sentences, cards and sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from workbench import plots
from workbench.all_devices import compared, errors_of_the_model, told_errors
from workbench.atomic import write_text
from workbench.capacity import fits
from workbench.comparison import Comparison
from workbench.cost import cost_of
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.measurement import Phase
from workbench.metrics import METRICS, Metric, told_origin
from workbench.page import Content, chart, render, table, tag
from workbench.plots.costs import MOST_LINES
from workbench.recordings import Recording
from workbench.units import format_bytes, format_rate, format_ratio, format_seconds

_PHASES: tuple[tuple[Phase, str], ...] = (("inference", "Answering"), ("training", "Learning"))
_TABLE_SIZES = (1, 64)


def write_comparison_page(
    path: Path, *, recordings: Sequence[Recording], model: str = "convnet", notes: Iterable[str] = ()
) -> None:
    """Write the page of these devices to `path`, whole or not at all. Raises WorkbenchError where it cannot be."""
    write_text(Path(path), comparison_html(recordings=recordings, model=model, notes=notes))


def comparison_html(*, recordings: Sequence[Recording], model: str = "convnet", notes: Iterable[str] = ()) -> str:
    """The page as text: no script, nothing loaded from elsewhere.

    notes: what could not be used, in sentences. Raises WorkbenchError without a device.
    """
    if not recordings:
        raise WorkbenchError("There is no device to compare: record one with `workbench record`.")
    left_out = list(notes)
    body: list[Content] = [
        tag("h1", "Which device, for which half of the work?"),
        tag(
            "p",
            f"One network ({model}); every device that was measured ran the same weights. ",
            _ORIGINS,
            class_="lead",
        ),
    ]
    for phase, title in _PHASES:
        found = compared(recordings, phase=phase, model=model, skipped=left_out).best_of_each()
        if found.measurements:
            body += [tag("h2", title), *_phase(found, phase, [each.card.name for each in recordings])]
    body += [tag("h2", "Does it fit?"), *_capacity(recordings, model)]
    body += [tag("h2", "How far off is the model?"), *_errors(recordings)]
    body += [tag("h2", "The devices, and where their figures come from"), *_cards(recordings)]
    if left_out:
        body += [tag("h2", "Left out"), tag("ul", (tag("li", note) for note in dict.fromkeys(left_out)))]
    return render("Devices compared", body)


_ORIGINS = (
    "At each batch size a device shows the engine that is best there. A figure is recorded, on the machine named, or "
    "modelled: computed from a data sheet. Dashed lines are recorded, dotted ones modelled."
)


def _phase(found: Comparison, phase: str, order: Sequence[str]) -> Iterable[Content]:
    sizes = [size for size in _TABLE_SIZES if size in found.batch_sizes] or list(found.batch_sizes[:1])
    said = dict.fromkeys(sentence for size in sizes for sentence in found.sentences(size))
    yield tag("ul", (tag("li", sentence) for sentence in said))
    drawn: tuple[Metric, ...] = ("latency", "throughput")
    yield tag("div", [_chart(found, metric, f"{phase}-{metric}", order) for metric in drawn])
    for size in sizes:
        yield _table(found, size, f"{phase.capitalize()}, {size} picture{'s' if size > 1 else ''} at once")


def _chart(found: Comparison, metric: Metric, name: str, order: Sequence[str]) -> Content:
    figure, axes = plots.new_figure(8.6, 5.2)
    drawn = found.best(MOST_LINES, metric)
    plots.batch_size_curves(drawn, axes, metric, order=order)
    rest = len(found.subjects) - len(drawn.subjects)
    note = tag("figcaption", f"The best {MOST_LINES}; {rest} more are in the tables.") if rest else ""
    return tag("figure", chart(figure, plots.alt_text(axes), name), note)


def _table(found: Comparison, size: int, caption: str) -> Content:
    rows = []
    for row in found.rows(size):
        m = row.measurement
        speed, energy = format_rate(m.pictures_per_second), METRICS["energy"].told(m)
        rows.append((row.name, m.engine, m.precision, row.text, row.spread, speed, energy, told_origin(m)))
    head = ("device", "engine", "precision", "time", "p90", "pictures/s", "energy a picture", "origin")
    return table(caption, head, rows, numeric=range(3, 7), prose=True)


def _capacity(recordings: Sequence[Recording], model: str) -> Iterable[Content]:
    cost = cost_of(HyperParameters(model=model))
    pictures = cost.pictures * 32 * 32 * 3
    rows = []
    for recording in recordings:
        for fit in fits(recording.card, cost, {"raw": 4 * pictures, "packed": pictures}):
            verdict = fit.verdict if fit.fits else tag("strong", fit.verdict, class_="bad")
            rows.append((fit.device, fit.need, format_bytes(fit.bytes), format_bytes(fit.limit_bytes), verdict))
    about = (
        f"For {model} on 32×32 colour pictures: inference of one picture, training in batches of {cost.batch_size}, "
        f"with {cost.pictures:,} pictures to learn from. Bytes of the network and the data alone, modelled; program "
        "and libraries come on top."
    )
    yield tag("p", about)
    yield table(
        "What has to be kept, and what there is", ("device", "need", "bytes", "there", ""), rows, numeric=(2, 3)
    )


def _errors(recordings: Sequence[Recording]) -> Iterable[Content]:
    errors = errors_of_the_model(recordings)
    if not errors:
        yield tag("p", "No device here was measured and has a card that tells enough to model it.")
        return
    yield tag("p", told_errors(recordings), " Above 1× the model is too slow, below it promises too much.")
    for name, found in errors.items():
        rows = [
            (
                e.measurement.phase,
                e.measurement.model,
                f"{e.measurement.engine}, {e.measurement.precision}",
                str(e.measurement.threads),
                f"{e.measurement.batch_size:,}",
                format_seconds(e.measurement.latency.p50),
                format_seconds(e.predicted_seconds),
                format_ratio(e.ratio),
            )
            for e in found[:12]
        ]
        head = ("phase", "network", "engine", "threads", "batch", "recorded", "modelled", "ratio")
        yield table(f"{name}: the worst {len(rows)} of {len(found)} points", head, rows, numeric=range(3, 8))


def _cards(recordings: Sequence[Recording]) -> Iterable[Content]:
    rows = []
    for recording in recordings:
        card = recording.card
        rows.append(
            (
                card.name,
                card.kind,
                format_bytes(card.memory_bytes),
                _figure(card.peak_flops.get("fp32"), 1e9, "GFLOP/s"),
                _figure(card.memory_bandwidth, 1e9, "GB/s"),
                _figure(card.watts, 1, "W"),
                _figure(card.mass_grams, 1, "g"),
                _figure(card.price_dollars, 1, "US$"),
                f"recorded {recording.created}" if recording.measurements else "modelled",
            )
        )
    head = ("device", "kind", "memory", "fp32 peak", "memory bandwidth", "power", "mass", "price", "figures are")
    shown = [place for place in range(len(head)) if any(row[place] != _UNKNOWN for row in rows)]
    yield table(
        "What is known of them",
        [head[place] for place in shown],
        [[row[place] for place in shown] for row in rows],
        numeric=range(2, len(shown) - 1),
    )
    for recording in recordings:
        lines = [tag("li", tag("strong", f"{key}: "), text) for key, text in recording.card.sources.items()]
        if recording.method:
            lines.append(tag("li", tag("strong", "method: "), recording.method))
        if recording.versions:
            used = ", ".join(f"{name} {version}" for name, version in recording.versions.items())
            lines.append(tag("li", tag("strong", "versions: "), used))
        yield tag("details", tag("summary", f"Sources of {recording.card.name}"), tag("ul", lines))


_UNKNOWN = "–"


def _figure(value: float | None, factor: float, unit: str) -> str:
    if value is None:
        return _UNKNOWN
    number = value / factor
    return f"{number:,.0f}\N{NO-BREAK SPACE}{unit}" if number >= 1000 else f"{number:.4g}\N{NO-BREAK SPACE}{unit}"
