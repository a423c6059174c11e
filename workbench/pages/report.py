"""The report of a run, as one self-contained page: what the network learned, what it cost, and where it fails."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from workbench.atomic import write_text
from workbench.pages.html import Content, render, tag
from workbench.pages.run_summary import RunSummary
from workbench.pages.sections import answers, costs, learning, settings
from workbench.pages.sections.wording import count_of, format_points
from workbench.units import format_seconds, format_share

_LABELS_LISTED = 12


def write_report(path: Path, run: RunSummary) -> None:
    """Write the page of `run` to `path`, whole or not at all. Raises WorkbenchError if it cannot be written."""
    write_text(Path(path), report_html(run))


def report_html(run: RunSummary) -> str:
    """Return the page of `run` as text."""
    sections = [
        ("steps", "The five steps", costs.steps(run)),
        ("learning", "How it learned", learning.curves(run)),
        ("confusions", "What it mistakes for what", answers.confusions(run)),
        ("mistakes", "Most confidently wrong", answers.mistakes(run)),
        ("new", "New images", answers.new_images(run)),
        ("sizes", "What was left on the bench", costs.sizes(run)),
        ("latency", "How soon it answers", costs.latency(run)),
        ("parity", "Whether the engines agree", answers.parity(run)),
        ("hyper-parameters", "Hyper-parameters", settings.hyperparameters(run)),
        ("data", "The data", settings.data(run)),
        ("software", "Machine and software", settings.software(run)),
    ]
    filled = [(name, heading, list(content)) for name, heading, content in sections]
    shown = [(name, heading, content) for name, heading, content in filled if content]
    links = tag("ul", (tag("li", tag("a", heading, href=f"#{name}")) for name, heading, _ in shown))
    body: list[Content] = [*_header(run), tag("nav", links, aria_label="On this page")]
    body += [
        tag("section", tag("h2", heading, id=f"{name}-heading"), content, id=name, aria_labelledby=f"{name}-heading")
        for name, heading, content in shown
    ]
    return render(f"{run.data}: {run.model}, {format_share(run.test.accuracy)} on the test set", body)


def _header(run: RunSummary) -> Iterable[Content]:
    test = run.test
    accuracy, margin = format_share(test.accuracy), f"± {format_points(test.margin)} points"
    yield tag("h1", f"{run.model} on {run.data}: {accuracy} right on images it never learned from")
    yield tag(
        "p",
        f"A network ({run.model}, {run.parameters:,} parameters) learned to tell {len(test.labels)} classes apart "
        f"({_listed(test.labels)}) from {count_of(run.images.get('training', 0), 'image')} of {run.data}, on "
        f"{run.device}. On the {count_of(test.count, 'image')} of the test set, used once, it gives the right answer "
        f"to {accuracy} {margin} (95 % interval: as much as the choice of test images alone can change).",
        class_="lead",
    )
    training = next((step for step in run.steps if step.name == "training"), None)
    figures = [
        ("test accuracy", accuracy, f"{margin}, {test.count:,} images"),
        ("all steps", format_seconds(sum(step.seconds for step in run.steps)), "measured"),
        ("training alone", format_seconds(training.seconds), training.device) if training else None,
        _quickest(run),
        ("parameters", f"{run.parameters:,}", run.model),
    ]
    items = (
        tag("div", tag("dt", name), tag("dd", value), tag("dd", detail, class_="more"))
        for name, value, detail in filter(None, figures)
    )
    yield tag("dl", items, class_="key")
    yield tag(
        "p",
        f"Made on {run.created_text} on {run.machine}. Every time, size and share on this page was measured in this "
        "run.",
        class_="note",
    )


def _quickest(run: RunSummary) -> tuple[str, str, str] | None:
    single = [row for row in run.latencies if row.batch_size == 1]
    if not single:
        return None
    best = min(single, key=lambda row: row.latency.p50)
    detail = f"median, {best.engine}, {count_of(best.threads, 'thread')}"
    return "latency, one image", format_seconds(best.latency.p50), detail


def _listed(labels: Sequence[str]) -> str:
    shown = ", ".join(labels[:_LABELS_LISTED])
    rest = len(labels) - _LABELS_LISTED
    return f"{shown} and {rest} more" if rest > 0 else shown
