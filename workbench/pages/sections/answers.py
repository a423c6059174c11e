"""How well the network answers: its mistakes, the new images, and whether every engine agrees with it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from workbench.bundle.parity import Parity
from workbench.pages import plots
from workbench.pages.charts import draw_chart
from workbench.pages.html import Content, image_tag, table, tag
from workbench.pages.run_summary import ParityRow, RunSummary
from workbench.pages.sections.wording import count_of, format_points
from workbench.training.evaluation import Evaluation
from workbench.units import format_share

WORST_SHOWN = 16
NEW_SHOWN = 100
_MATRIX_UP_TO = 30  # classes


def confusions(run: RunSummary) -> Iterable[Content]:
    """Yield the confusion matrix as chart and table, recall and precision, and the most frequent mistakes."""
    test = run.test
    yield tag(
        "div",
        draw_chart("confusion", partial(plots.confusion_matrix, test), height=4.6),
        table(
            f"Each class on the {count_of(test.count, 'test image')}. Recall: share of its images that were "
            "recognised. Precision: share of the answers with its name that were right.",
            ("class", "images", "recall", "precision"),
            [
                (row["label"], f"{row['count']:,}", _share(row["recall"]), _share(row["precision"]))
                for row in test.per_class()
            ],
            numeric=(1, 2, 3),
        ),
        class_="charts",
    )
    if pairs := test.confusions(5):
        mistakes = "; ".join(f"{truth} taken for {answer} {count}×" for truth, answer, count in pairs)
        yield tag("p", f"The most frequent mistakes: {mistakes}.")
    if len(test.labels) <= _MATRIX_UP_TO:
        matrix = table(
            "Confusion matrix, in images: the truth in rows, the answer in columns",
            ("truth", *test.labels),
            [(label, *map(str, row)) for label, row in zip(test.labels, test.confusion.tolist(), strict=True)],
            numeric=range(1, len(test.labels) + 1),
        )
        yield tag("details", tag("summary", "The confusion matrix as a table"), matrix)


def mistakes(run: RunSummary) -> Iterable[Content]:
    """Yield the wrong answers on the test set that the network was surest of."""
    test, worst = run.test, run.test.most_confidently_wrong(WORST_SHOWN)
    if not worst:
        yield tag("p", f"None: all {count_of(test.count, 'answer')} on the test set are right.")
        return
    yield tag(
        "p",
        f"{count_of(test.count - _count_right(test), 'wrong answer')} on the test set; here are the {len(worst)} of "
        "which the network was surest. This is where its knowledge ends.",
    )
    images = np.asarray(run.test_images)
    yield tag("ul", (_answer(test, images, index) for index in worst), class_="images", style="--cell: 6.2rem")


def new_images(run: RunSummary) -> Iterable[Content]:
    """Yield the new images with their answers."""
    new = run.new
    if new is None:
        return
    right, shown = _count_right(new), min(new.count, NEW_SHOWN)
    rest = "" if shown == new.count else f" The first {shown} are shown."
    yield tag(
        "p",
        f"{count_of(new.count, 'image')} that took part in nothing, neither learning nor choosing nor testing: "
        f"{right} named right, {new.count - right} wrong ({format_share(new.accuracy)} ± {format_points(new.margin)} "
        f"points).{rest} The percentage is the probability that the network gives its answer.",
    )
    images = np.asarray(run.new_images[:shown])
    items = (_answer(new, images, index) for index in range(shown))
    yield tag("ul", items, class_="images", style="--cell: 4.5rem")


def parity(run: RunSummary) -> Iterable[Content]:
    """Yield how each engine's answers compare with those of the trained network."""
    if not run.parity:
        return
    yield tag(
        "p",
        "An engine runs the same weights by other arithmetic; whether its answers are still those of the trained "
        "network is checked on the test set, not assumed.",
    )
    images = max((row.parity.images for row in run.parity if row.parity), default=0)
    yield table(
        f"Answers of each engine beside those of the trained network on {count_of(images, 'test image')}, measured; "
        "the difference is that of any one probability",
        ("engine", "largest difference", "equal answers", "accuracy", "outcome"),
        [(row.engine, *_parity_cells(row.parity), _outcome(row)) for row in run.parity],
        numeric=(1, 2, 3),
        prose=True,
    )


def _count_right(evaluation: Evaluation) -> int:
    return int(evaluation.confusion.diagonal().sum())


def _share(share: float | None) -> str:
    return "–" if share is None else format_share(share)


def _answer(evaluation: Evaluation, images: NDArray[np.uint8], index: int) -> Element:
    """Return an image with the network's answer, and the truth if it differs."""
    truth, answer = int(evaluation.truth[index]), int(evaluation.predictions[index])
    name, probability = evaluation.labels[answer], float(evaluation.probabilities[index, answer])
    image = image_tag(images[index], alt=f"{evaluation.labels[truth]}, answered {name}")
    percent = format_share(probability, 0)
    if truth == answer:
        return tag("li", tag("figure", image, tag("figcaption", f"✓ {name} ", tag("span", percent, class_="small"))))
    caption = tag(
        "figcaption",
        tag("span", f"✗ {name} ", class_="bad"),
        tag("span", f"{percent}, wrong: it is {evaluation.labels[truth]}", class_="small"),
    )
    return tag("li", tag("figure", image, caption), class_="wrong")


def _parity_cells(parity: Parity | None) -> tuple[str, str, str]:
    if parity is None:
        return ("–",) * 3
    # JSON has no infinity: a manifest has null for a difference that is not finite.
    is_finite = parity.largest_difference is not None and np.isfinite(parity.largest_difference)
    return (
        f"{parity.largest_difference:.2g}" if is_finite else "not a number",
        format_share(parity.agreement, 2),
        format_share(parity.accuracy),
    )


def _outcome(row: ParityRow) -> Content:
    if row.left_out is None:
        return "✓ in the bundle"
    return tag("span", tag("span", "✗ left out", class_="bad"), f": {row.left_out}")
