"""One self-contained HTML page that tells a whole run: what was learned, what it cost, where it fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from workbench import plots
from workbench.atomic import write_text
from workbench.evaluation import Evaluation
from workbench.hyperparameters import HyperParameters
from workbench.measurement import Measurement
from workbench.page import Content, chart, picture, render, table, tag
from workbench.parity import Parity
from workbench.training import Record
from workbench.units import format_bytes, format_number, format_ratio, format_seconds, format_share

WORST_SHOWN = 16
NEW_SHOWN = 100


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """One of the steps of the workflow: its name ("training"), seconds measured, device, and a detail in words."""

    name: str
    seconds: float
    device: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class ParityRow:
    """An engine's parity with the trained network; left_out: why the bundle does not carry it, None where it does.

    parity: None where the engine could not be made or run at all.
    """

    engine: str
    parity: Parity | None
    left_out: str | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class RunSummary:
    """All that the report shows; every number was measured in the run it tells of.

    data: name of the data set. pictures: split ("training", …) -> count. model: its name; parameters: learned values.
    device: what trained, in words. steps: in order, one of them named "training". records: of training. test and
    test_pictures belong together, so do new and new_pictures (None where there are none): pictures are uint8
    (N, H, W, C) arrays or tensors. sizes: name -> bytes of each thing left on the bench. latencies: of the engines, on
    `machine`, in words. notes: what loading the data had to say. versions: software -> version. created: when the run
    ended.
    """

    data: str
    pictures: Mapping[str, int]
    model: str
    parameters: int
    device: str
    hyperparameters: HyperParameters
    steps: Sequence[StepTime]
    records: Sequence[Record]
    test: Evaluation
    test_pictures: Any
    new: Evaluation | None = None
    new_pictures: Any = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    latencies: Sequence[Measurement] = ()
    parity: Sequence[ParityRow] = ()
    notes: Sequence[str] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    machine: str
    created: datetime


def write_report(path: Path, run: RunSummary) -> None:
    """Write the page of `run` to `path`, whole or not at all. Raises WorkbenchError where that cannot be written."""
    write_text(Path(path), report_html(run))


def report_html(run: RunSummary) -> str:
    """The page of `run` as text."""
    sections = [
        ("steps", "The five steps", _steps(run)),
        ("learning", "How it learned", _learning(run)),
        ("confusions", "What it mistakes for what", _confusions(run)),
        ("mistakes", "Most confidently wrong", _mistakes(run)),
        ("new", "New pictures", _new(run)),
        ("sizes", "What was left on the bench", _sizes(run)),
        ("latency", "How soon it answers", _latency(run)),
        ("parity", "Whether the engines agree", _parity(run)),
        ("hyper-parameters", "Hyper-parameters", _hyperparameters(run)),
        ("data", "The data", _data(run)),
        ("software", "Machine and software", _software(run)),
    ]
    told = [(name, heading, list(content)) for name, heading, content in sections]
    told = [(name, heading, content) for name, heading, content in told if content]
    links = tag("ul", (tag("li", tag("a", heading, href=f"#{name}")) for name, heading, _ in told))
    body: list[Content] = [*_header(run), tag("nav", links, aria_label="On this page")]
    body += [
        tag("section", tag("h2", heading, id=f"{name}-heading"), content, id=name, aria_labelledby=f"{name}-heading")
        for name, heading, content in told
    ]
    return render(f"{run.data}: {run.model}, {format_share(run.test.accuracy)} on the test set", body)


def _header(run: RunSummary) -> Iterable[Content]:
    test = run.test
    yield tag("h1", f"{run.model} on {run.data}: {format_share(test.accuracy)} right on pictures it never learned from")
    yield tag(
        "p",
        f"A network ({run.model}, {run.parameters:,} parameters) learned to tell {len(test.labels)} classes apart "
        f"({_listed(test.labels)}) from {_count(run.pictures.get('training', 0), 'picture')} of {run.data}, on "
        f"{run.device}. On the {_count(test.count, 'picture')} of the test set, used once, it gives the right answer "
        f"to {format_share(test.accuracy)} ± {_points(test.margin)} points (95 % interval: as much as the choice of "
        "test pictures alone can change).",
        class_="lead",
    )
    training = next((step for step in run.steps if step.name == "training"), None)
    figures = [
        ("test accuracy", format_share(test.accuracy), f"± {_points(test.margin)} points, {test.count:,} pictures"),
        ("all steps", format_seconds(sum(step.seconds for step in run.steps)), "measured"),
        ("training alone", format_seconds(training.seconds), training.device) if training else None,
        _quickest(run),
        ("parameters", f"{run.parameters:,}", run.model),
    ]
    items = (
        tag("div", tag("dt", name), tag("dd", value), tag("dd", more, class_="more"))
        for name, value, more in filter(None, figures)
    )
    yield tag("dl", items, class_="key")
    yield tag(
        "p",
        f"Made on {_when(run)} on {run.machine}. Every time, size and share on this page was measured in this run.",
        class_="note",
    )


def _quickest(run: RunSummary) -> tuple[str, str, str] | None:
    single = [row for row in run.latencies if row.batch_size == 1]
    if not single:
        return None
    best = min(single, key=lambda row: row.latency.p50)
    return (
        "latency, one picture",
        format_seconds(best.latency.p50),
        f"median, {best.engine}, {_count(best.threads, 'thread')}",
    )


def _steps(run: RunSummary) -> Iterable[Content]:
    numbers = iter(range(1, len(run.steps) + 1))
    rows = [
        # The data come before the first of the five steps.
        (
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


def _learning(run: RunSummary) -> Iterable[Content]:
    ends = [record for record in run.records if record.kind == "epoch"]
    if not ends:
        return
    last, memory = ends[-1], max(record.memory_bytes for record in ends)
    yield tag(
        "p",
        "Training accuracy is taken while the network still changes, on pictures that may be mirrored or moved. It "
        "never learns from the validation pictures: they tell how well it would do on others.",
    )
    rows = [
        ("epochs", f"{len(ends):,}"),
        ("gradient steps", f"{last.step:,}"),
        ("time with validation", format_seconds(last.seconds)),
        ("speed in the last epoch", f"{last.pictures_per_second:,.0f} pictures/s"),
        ("memory in use, at most", format_bytes(memory)),
        ("device", last.device),
        ("precision", last.precision),
    ]
    yield _charts(
        _drawn("accuracy", partial(plots.learning_curves, ends, measure="accuracy")),
        _drawn("loss", partial(plots.learning_curves, ends, measure="loss")),
        _drawn("rate", partial(plots.learning_rate_curve, run.records), height=2.6),
        table("The training, measured", ("what", "how much"), rows, numeric=(1,)),
    )


def _confusions(run: RunSummary) -> Iterable[Content]:
    test = run.test
    share = _share_or_dash
    yield _charts(
        _drawn("confusion", partial(plots.confusion_matrix, test), height=4.6),
        table(
            f"Each class on the {_count(test.count, 'test picture')}. Recall: share of its pictures that were "
            "recognised. Precision: share of the answers with its name that were right.",
            ("class", "pictures", "recall", "precision"),
            [(r["label"], f"{r['count']:,}", share(r["recall"]), share(r["precision"])) for r in test.per_class()],
            numeric=(1, 2, 3),
        ),
    )
    pairs = test.confusions(5)
    if pairs:
        said = "; ".join(f"{truth} taken for {answer} {often}×" for truth, answer, often in pairs)
        yield tag("p", f"The most frequent mistakes: {said}.")
    if len(test.labels) <= 30:
        matrix = table(
            "Confusion matrix, in pictures: the truth in rows, the answer in columns",
            ("truth", *test.labels),
            [(label, *(str(n) for n in row)) for label, row in zip(test.labels, test.confusion.tolist(), strict=True)],
            numeric=range(1, len(test.labels) + 1),
        )
        yield tag("details", tag("summary", "The confusion matrix as a table"), matrix)


def _mistakes(run: RunSummary) -> Iterable[Content]:
    test, worst = run.test, run.test.most_confidently_wrong(WORST_SHOWN)
    wrong = test.count - int(test.confusion.diagonal().sum())
    if not worst:
        yield tag("p", f"None: all {_count(test.count, 'answer')} on the test set are right.")
        return
    yield tag(
        "p",
        f"{_count(wrong, 'wrong answer')} on the test set; here are the {len(worst)} of which the network was surest. "
        "This is where its knowledge ends.",
    )
    pictures = np.asarray(run.test_pictures)
    yield tag("ul", (_answer(test, pictures, index) for index in worst), class_="pictures", style="--cell: 6.2rem")


def _new(run: RunSummary) -> Iterable[Content]:
    new = run.new
    if new is None:
        return
    right, shown = int(new.confusion.diagonal().sum()), min(new.count, NEW_SHOWN)
    rest = "" if shown == new.count else f" The first {shown} are shown."
    yield tag(
        "p",
        f"{_count(new.count, 'picture')} that took part in nothing, neither learning nor choosing nor testing: "
        f"{right} named right, {new.count - right} wrong ({format_share(new.accuracy)} ± {_points(new.margin)} points)."
        f"{rest} The percentage is the probability that the network gives its answer.",
    )
    pictures = np.asarray(run.new_pictures[:shown])
    yield tag("ul", (_answer(new, pictures, i) for i in range(shown)), class_="pictures", style="--cell: 4.5rem")


def _answer(evaluation: Evaluation, pictures: NDArray[np.uint8], index: int) -> Element:
    """One picture with the network's answer, and the truth where it differs."""
    truth, answer = int(evaluation.truth[index]), int(evaluation.answers[index])
    name, sure = evaluation.labels[answer], format_share(float(evaluation.probabilities[index, answer]), 0)
    image = picture(pictures[index], alt=f"{evaluation.labels[truth]}, answered {name}")
    if truth == answer:
        return tag("li", tag("figure", image, tag("figcaption", f"✓ {name} ", tag("span", sure, class_="small"))))
    caption = tag(
        "figcaption",
        tag("span", f"✗ {name} ", class_="bad"),
        tag("span", f"{sure}, wrong: it is {evaluation.labels[truth]}", class_="small"),
    )
    return tag("li", tag("figure", image, caption), class_="wrong")


def _sizes(run: RunSummary) -> Iterable[Content]:
    if not run.sizes:
        return
    order = sorted(run.sizes.items(), key=lambda item: -item[1])
    (largest, most), (smallest, least) = order[0], order[-1]
    if most > least > 0:
        yield tag("p", f"The largest, {largest}, is {format_ratio(most / least)} the size of the smallest, {smallest}.")
    rows = [(name, f"{size:,}", format_share(size / most if most else 0.0)) for name, size in order]
    drawable = {name: size for name, size in order if size > 0}
    yield _charts(
        _drawn("bytes", partial(plots.bytes_bars, drawable), height=3.0) if drawable else None,
        table(
            f"Sizes, measured, and their share of the largest ({largest})",
            ("what", "bytes", "share"),
            rows,
            numeric=(1, 2),
        ),
    )


def _latency(run: RunSummary) -> Iterable[Content]:
    if not run.latencies:
        return
    sizes = sorted({row.batch_size for row in run.latencies})
    groups = {size: [row for row in run.latencies if row.batch_size == size] for size in sizes}
    yield tag(
        "p",
        f"Measured on {run.machine} on {_when(run)}: from uint8 pictures in memory to probabilities, after a warm-up. "
        "Half of the batches took no longer than p50, nine in ten no longer than p90.",
    )
    yield _charts(
        *(_drawn(f"latency{size}", partial(plots.latency_bars, rows), height=2.9) for size, rows in groups.items())
    )
    rows = [
        (
            row.engine,
            str(row.batch_size),
            str(row.threads),
            format_seconds(row.latency.p50),
            format_seconds(row.latency.p90),
            f"{row.batch_size / row.latency.p50:,.0f}",
            f"{row.latency.count:,}",
            row.origin,
        )
        for size in sizes
        for row in sorted(groups[size], key=lambda row: row.latency.p50)
    ]
    head = ("engine", "batch size", "threads", "p50", "p90", "pictures/s", "batches timed", "origin")
    yield table("Latency by engine and batch size", head, rows, numeric=range(1, 7))


def _parity(run: RunSummary) -> Iterable[Content]:
    if not run.parity:
        return
    yield tag(
        "p",
        "An engine runs the same weights by other arithmetic; whether its answers are still those of the trained "
        "network is checked on the test set, not assumed.",
    )
    rows = [(row.engine, *_compared(row.parity), _outcome(row)) for row in run.parity]
    head = ("engine", "largest difference", "equal answers", "accuracy", "outcome")
    pictures = max((row.parity.pictures for row in run.parity if row.parity), default=0)
    caption = (
        f"Answers of each engine beside those of the trained network on {_count(pictures, 'test picture')}, measured; "
        "the difference is that of any one probability"
    )
    yield table(caption, head, rows, numeric=(1, 2, 3), prose=True)


def _compared(parity: Parity | None) -> tuple[str, str, str]:
    if parity is None:
        return ("–",) * 3
    # A manifest has None for a difference that is no number: JSON cannot carry infinity.
    finite = parity.largest_difference is not None and np.isfinite(parity.largest_difference)
    return (
        f"{parity.largest_difference:.2g}" if finite else "not a number",
        format_share(parity.agreement, 2),
        format_share(parity.accuracy),
    )


def _outcome(row: ParityRow) -> Content:
    if row.left_out is None:
        return "✓ in the bundle"
    return tag("span", tag("span", "✗ left out", class_="bad"), f": {row.left_out}")


def _hyperparameters(run: RunSummary) -> Iterable[Content]:
    described = HyperParameters.describe()
    rows = []
    for name, value in asdict(run.hyperparameters).items():
        default = described[name]["default"]
        shown = format_number(value)
        cell: Content = shown if value == default else tag("strong", shown)
        rows.append((name, cell, format_number(default), described[name]["help"]))
    caption = "What was decided before training; values other than the default are bold"
    yield table(caption, ("name", "value", "default", "meaning"), rows, numeric=(1, 2), prose=True)


def _data(run: RunSummary) -> Iterable[Content]:
    height, width, channels = np.asarray(run.test_pictures[:1]).shape[1:]
    colours = "grey" if channels == 1 else "in colour"
    rows = [(split, f"{count:,}") for split, count in run.pictures.items()]
    yield tag("p", f"{run.data}: pictures of {width}×{height} pixels, {colours}, split once and for all by a seed.")
    yield table("Pictures in each split", ("split", "pictures"), rows, numeric=(1,))
    if run.notes:
        yield tag("h3", "What loading them had to say")
        yield tag("ul", (tag("li", note) for note in run.notes))


def _software(run: RunSummary) -> Iterable[Content]:
    yield tag("p", f"{run.machine}. Training ran on {run.device}.")
    if run.versions:
        yield table("Versions in use", ("software", "version"), list(run.versions.items()))


def _charts(*charts: Content) -> Element:
    return tag("div", charts, class_="charts")


def _drawn(name: str, draw: Callable[[Axes], Axes], height: float = 3.3) -> Element:
    """A chart of one Axes; `name` is unique on the page."""
    figure, axes = plots.new_figure(4.8, height)
    draw(axes)
    return tag("figure", chart(figure, plots.alt_text(axes), name))


def _share_or_dash(share: float | None) -> str:
    return "–" if share is None else format_share(share)


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def _count(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def _listed(labels: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(labels[:most])
    return shown if len(labels) <= most else f"{shown} and {len(labels) - most} more"


def _when(run: RunSummary) -> str:
    return f"{run.created.day} {run.created:%B %Y, %H:%M}"
