"""A self-contained page that compares all known devices: charts, tables, sentences, cards and sources."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from workbench.atomic import write_text
from workbench.comparing.all_devices import compare_recordings, describe_model_errors, model_errors_by_device
from workbench.comparing.comparison import Comparison
from workbench.comparing.metrics import METRICS, Metric, describe_origin
from workbench.comparing.ranking import front_runners
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.measuring.measurement import Phase
from workbench.measuring.recordings import Recording
from workbench.modelling.capacity import fits
from workbench.modelling.cost import cost_of
from workbench.pages.charts import draw_chart
from workbench.pages.html import Content, render, table, tag
from workbench.pages.plots.devices import MOST_LINES, batch_size_curves
from workbench.units import format_bytes, format_rate, format_ratio, format_seconds

_PHASES: tuple[tuple[Phase, str], ...] = (("inference", "Answering"), ("training", "Learning"))
_DRAWN: tuple[Metric, ...] = ("latency", "throughput")
_TABLE_SIZES = (1, 64)
_WORST_POINTS = 12
_UNKNOWN = "–"
_ORIGINS = (
    "At each batch size a device appears with the engine that is best there. A figure is recorded, on the machine "
    "named, or modelled: computed from a data sheet. Dashed lines are recorded, dotted ones modelled."
)


def write_comparison_page(
    path: Path | str, *, recordings: Sequence[Recording], model: str = "convnet", notes: Iterable[str] = ()
) -> None:
    """Write the page of these devices to `path`, whole or not at all. Raises WorkbenchError if it cannot be written.

    >>> from workbench.pages import write_comparison_page
    >>> write_comparison_page("devices.html", recordings=wb.load_recordings()[:1])
    """
    write_text(Path(path), comparison_html(recordings=recordings, model=model, notes=notes))


def comparison_html(*, recordings: Sequence[Recording], model: str = "convnet", notes: Iterable[str] = ()) -> str:
    """Return the page as text, without scripts or anything loaded from elsewhere.

    notes: sentences on what could not be used. Raises WorkbenchError for no recordings.
    """
    if not recordings:
        raise WorkbenchError("There is no device to compare: record one with `workbench record`.")
    left_out = list(notes)
    intro = f"One network ({model}); every device that was measured ran the same weights. {_ORIGINS}"
    body: list[Content] = [tag("h1", "Which device, for which half of the work?"), tag("p", intro, class_="lead")]
    for phase, title in _PHASES:
        found = compare_recordings(recordings, phase=phase, model=model, skipped=left_out).best_of_each()
        if found.measurements:
            body += [tag("h2", title), *_phase(found, phase, [each.card.name for each in recordings])]
    body += [tag("h2", "Does it fit?"), *_capacity(recordings, model)]
    body += [tag("h2", "How far off is the model?"), *_errors(recordings)]
    body += [tag("h2", "The devices, and where their figures come from"), *_cards(recordings)]
    if left_out:
        body += [tag("h2", "Left out"), tag("ul", (tag("li", note) for note in dict.fromkeys(left_out)))]
    return render("Devices compared", body)


def _phase(found: Comparison, phase: str, order: Sequence[str]) -> Iterable[Content]:
    sizes = [size for size in _TABLE_SIZES if size in found.batch_sizes] or list(found.batch_sizes[:1])
    sentences = dict.fromkeys(sentence for size in sizes for sentence in found.sentences(size))
    yield tag("ul", (tag("li", sentence) for sentence in sentences))
    yield tag("div", [_chart(found, metric, f"{phase}-{metric}", order) for metric in _DRAWN])
    for size in sizes:
        yield _table(found, size, f"{phase.capitalize()}, {size} image{'s' if size > 1 else ''} at once")


def _chart(found: Comparison, metric: Metric, name: str, order: Sequence[str]) -> Content:
    ranking = found.ranking(metric)
    drawn = replace(found, measurements=tuple(front_runners(ranking, MOST_LINES)))
    rest = len(ranking.names) - MOST_LINES
    note = f"The best {MOST_LINES}; {rest} more are in the tables." if rest > 0 else ""
    draw = partial(batch_size_curves, drawn, metric=metric, order=order)
    return draw_chart(name, draw, width=8.6, height=5.2, note=note)


def _table(found: Comparison, size: int, caption: str) -> Content:
    rows = []
    for row in found.rows(size):
        m = row.measurement
        speed, energy = format_rate(m.images_per_second), METRICS["energy"].format(m)
        rows.append((row.name, m.engine, m.precision, row.text, row.spread, speed, energy, describe_origin(m)))
    head = ("device", "engine", "precision", "time", "p90", "images/s", "energy an image", "origin")
    return table(caption, head, rows, numeric=range(3, 7), prose=True)


def _capacity(recordings: Sequence[Recording], model: str) -> Iterable[Content]:
    cost = cost_of(HyperParameters(model=model))
    image_bytes = cost.images * 32 * 32 * 3
    rows = []
    for recording in recordings:
        for fit in fits(recording.card, cost, {"raw": 4 * image_bytes, "packed": image_bytes}):
            verdict = fit.verdict if fit.fits else tag("strong", fit.verdict, class_="bad")
            rows.append((fit.device, fit.need, format_bytes(fit.bytes), format_bytes(fit.limit_bytes), verdict))
    yield tag(
        "p",
        f"For {model} on 32×32 colour images: inference of one image, training in batches of {cost.batch_size}, with "
        f"{cost.images:,} images to learn from. Bytes of the network and the data alone, modelled; the program and its "
        "libraries need more.",
    )
    head = ("device", "need", "bytes", "available", "")
    yield table("What has to be kept in memory, and what is available", head, rows, numeric=(2, 3))


def _errors(recordings: Sequence[Recording]) -> Iterable[Content]:
    errors = model_errors_by_device(recordings)
    if not errors:
        yield tag("p", "No device here was measured and has a card with the figures that the model needs.")
        return
    text = describe_model_errors(recordings)
    yield tag("p", text, " Above 1× the modelled time is too long, below it is too short.")
    head = ("phase", "network", "engine", "threads", "batch", "recorded", "modelled", "ratio")
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
            for e in found[:_WORST_POINTS]
        ]
        yield table(f"{name}: the worst {len(rows)} of {len(found)} points", head, rows, numeric=range(3, 8))


def _cards(recordings: Sequence[Recording]) -> Iterable[Content]:
    head = ("device", "kind", "memory", "fp32 peak", "memory bandwidth", "power", "mass", "price", "figures are")
    rows = [_card_row(recording) for recording in recordings]
    known = [column for column in range(len(head)) if any(row[column] != _UNKNOWN for row in rows)]
    cells = [[row[column] for column in known] for row in rows]
    yield table("What their cards say", [head[column] for column in known], cells, numeric=range(2, len(known) - 1))
    for recording in recordings:
        lines = [*recording.card.sources.items()]
        if recording.method:
            lines.append(("method", recording.method))
        if recording.versions:
            lines.append(("versions", ", ".join(f"{name} {version}" for name, version in recording.versions.items())))
        items = (tag("li", tag("strong", f"{key}: "), text) for key, text in lines)
        yield tag("details", tag("summary", f"Sources of {recording.card.name}"), tag("ul", items))


def _card_row(recording: Recording) -> tuple[str, ...]:
    card = recording.card
    return (
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


def _figure(value: float | None, factor: float, unit: str) -> str:
    if value is None:
        return _UNKNOWN
    scaled = value / factor
    text = f"{scaled:,.0f}" if scaled >= 1000 else f"{scaled:.4g}"
    return f"{text}\N{NO-BREAK SPACE}{unit}"
