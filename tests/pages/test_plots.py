"""Every plot states a message computed from its data, names its axes, and cuts off or overlaps none of its text."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image

from workbench.comparing.comparison import Comparison
from workbench.errors import WorkbenchError
from workbench.hyperparameters import HyperParameters
from workbench.measuring.measurement import Latency, Measurement
from workbench.pages import chart_style, plots
from workbench.pages.plots import answers
from workbench.training.evaluation import Evaluation, evaluate
from workbench.training.records import Record
from workbench.training.search import Trial

ANIMALS = ("cat", "dog", "horse", "cow", "sheep", "elephant", "chicken", "butterfly", "spider", "squirrel")
HOSTILE = ("$\\frac{$", "<b>x</b>", "two\nlines", "very long " * 30, "\x00\x1b[31m")


def _records(validation_losses: list[float], accuracies: list[float] | None = None) -> list[Record]:
    epochs = len(validation_losses)
    accuracies = accuracies or [0.5 + 0.4 * epoch / epochs for epoch in range(epochs)]
    return [
        Record(
            kind=kind,  # type: ignore[arg-type]
            epoch=epoch + 1,
            epochs=epochs,
            step=10 * epoch + (5 if kind == "step" else 10),
            steps=10 * epochs,
            loss=2.0 / (epoch + 1),
            accuracy=0.4 + 0.5 * epoch / epochs,
            validation_loss=validation_losses[epoch] if kind == "epoch" else None,
            validation_accuracy=accuracies[epoch] if kind == "epoch" else None,
            learning_rate=0.4 * min(1, (epoch + 1) / 3, (epochs - epoch) / 3),
            seconds=3.0 * epoch,
            images_per_second=5000.0,
            memory_bytes=600_000_000,
            device="cpu",
            precision="fp32",
        )
        for epoch in range(epochs)
        for kind in ("step", "epoch")
    ]


def _evaluation(labels: tuple[str, ...], count: int = 400, seed: int = 0) -> Evaluation:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.arange(count) % len(labels)
    logits = torch.randn(count, len(labels), generator=generator)
    logits[torch.arange(count), truth] += 2.5
    return evaluate(logits.softmax(1), truth, labels)


def _row(engine: str, p50: float, batch_size: int = 1, origin: Any = "measured", device: str = "box") -> Measurement:
    return Measurement(
        phase="inference",
        model="convnet",
        device=device,
        kind="cpu",
        engine=engine,
        precision="fp32",
        threads=1,
        batch_size=batch_size,
        latency=Latency(p50=p50, p90=1.3 * p50, p99=2 * p50, count=1000, warm_up=0.1),
        origin=origin,
    )


def _devices() -> Comparison:
    sizes = [2**power for power in range(11)]
    recorded, modelled = {"origin": "recorded", "device": "NVIDIA H100"}, {"origin": "modelled", "device": "Board"}
    return Comparison.of(
        [_row("onnx", 1e-4 * size, size, device="CPU") for size in sizes]
        + [_row("eager", 1e-3 + 1e-6 * size, size, **recorded) for size in sizes]
        + [_row("onnx", 1e-2 * size, size, **modelled) for size in sizes]
    )


def _trial(number: int, value: float | None, state: str = "complete") -> Trial:
    sampled = {"learning_rate": 0.01 * 2.0**number, "batch_size": 32 * (number % 3 + 1), "flip": number % 2 == 0}
    return Trial(
        number=number,
        hyperparameters=HyperParameters(**sampled),
        sampled=sampled,
        value=value,
        state=state,  # type: ignore[arg-type]
        epochs=3,
        seconds=1.0,
    )


def _trials() -> list[Trial]:
    values = [0.61, 0.85, 0.9312, 0.88, 0.7]
    ended = [_trial(number, value) for number, value in enumerate(values)]
    return [*ended, _trial(5, 0.3, "pruned"), _trial(6, None, "failed")]


def _images(count: int = 12, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 8, 8, channels), dtype=np.uint8)


DRAWN: dict[str, Callable[[Axes], Axes]] = {
    "accuracy": lambda axes: plots.learning_curves(_records([1.0, 0.5, 0.4, 0.45]), axes),
    "loss": lambda axes: plots.learning_curves(_records([1.0, 0.5, 0.4, 0.45]), axes, "loss"),
    "one epoch": lambda axes: plots.learning_curves(_records([1.0]), axes),
    "many epochs": lambda axes: plots.learning_curves(_records([1 / (i + 1) for i in range(200)]), axes, "loss"),
    "learning rate": lambda axes: plots.learning_rate_curve(_records([1.0] * 9), axes),
    "confusion": lambda axes: plots.confusion_matrix(_evaluation(ANIMALS), axes),
    "hostile confusion": lambda axes: plots.confusion_matrix(_evaluation(HOSTILE), axes),
    "latency": lambda axes: plots.latency_bars(
        [_row("eager", 489e-6), _row("onnx", 93e-6), _row(HOSTILE[0], 1e-4)], axes
    ),
    "bytes": lambda axes: plots.bytes_bars({"resume point": 783_221, "weights": 384_980, HOSTILE[1]: 500_000}, axes),
    "bytes, log": lambda axes: plots.bytes_bars({"images": 30_720_000, "weights": 384_980, "manifest": 3_120}, axes),
    "overlay": lambda axes: plots.curves_overlay(
        {"rate 0.1": _records([1.0, 0.5]), "rate 0.2": _records([1.0, 0.4]), HOSTILE[0]: _records([1.1, 0.6])}, axes
    ),
    "by batch size": lambda axes: plots.batch_size_curves(_devices(), axes),
    "throughput": lambda axes: plots.batch_size_curves(_devices(), axes, "throughput"),
    "one device": lambda axes: plots.batch_size_curves(_devices().select(device="CPU"), axes),
    "times": lambda axes: plots.time_bars({"data": 0.8, "forward": 1.9, "backward": 4.1, HOSTILE[0]: 0.01}, axes),
    "stacked": lambda axes: plots.stacked_bytes(
        {
            "training": {"weights": 381_000, "gradients": 379_000, "optimizer": 379_000, "activations": 80_000_000},
            "inference": {"weights": 381_000, "working memory": 262_000},
        },
        axes,
    ),
    "history": lambda axes: plots.search_history(_trials(), axes),
    "coordinates": lambda axes: plots.parallel_coordinates(_trials(), axes),
    "importance": lambda axes: plots.importance_bars({"learning_rate": 0.81, "width": 0.19}, axes),
    "images": lambda axes: plots.image_grid(_images(), [f"horse {i}" for i in range(12)], axes, title="Twelve"),
    "hostile images": lambda axes: plots.image_grid(_images(5, 1), HOSTILE, axes, title=HOSTILE[0]),
}


def _shown_texts(axes: Axes) -> list[tuple[Text, Bbox]]:
    figure = axes.get_figure(root=True)
    assert isinstance(figure, Figure)
    canvas_texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    renderer = FigureCanvasAgg(figure).get_renderer()
    low, high = axes.get_xlim(), axes.get_ylim()
    ticks = {id(tick.label1): tick.get_loc() for tick in [*axes.xaxis.get_major_ticks(), *axes.yaxis.get_major_ticks()]}
    across = {id(tick.label1) for tick in axes.xaxis.get_major_ticks()}
    shown = []
    for text in canvas_texts:
        if id(text) in ticks:  # matplotlib keeps labels of ticks outside of the limits, and does not draw them
            first, last = sorted(low if id(text) in across else high)
            if not axes.axison or not first <= ticks[id(text)] <= last:
                continue
        if text in (axes.xaxis.label, axes.yaxis.label) and not axes.axison:
            continue
        shown.append((text, text.get_window_extent(renderer)))
    return shown


@pytest.mark.parametrize("name", DRAWN)
def test_draws_with_a_message_an_alt_text_and_no_text_cut_off_or_overlapping(name: str) -> None:
    figure, axes = plots.new_figure(5.6, 4.2)
    assert DRAWN[name](axes) is axes
    figure.savefig(BytesIO(), format="png", dpi=100)
    assert axes.get_title(loc="left")
    assert axes.get_title(loc="left").replace("\n", " ")[:20] in plots.alt_text(axes)
    assert plots.alt_text(axes).endswith(".")
    FigureCanvasAgg(figure).draw()
    page = figure.bbox
    shown = _shown_texts(axes)
    for text, box in shown:
        assert box.x0 >= page.x0 - 1, text
        assert box.x1 <= page.x1 + 1, text
        assert box.y0 >= page.y0 - 1, text
        assert box.y1 <= page.y1 + 1, text
    for (one, first), (other, second) in itertools.combinations(shown, 2):
        if one.get_rotation() not in (0, 90) or other.get_rotation() not in (0, 90):
            continue  # the box around slanted text is far larger than the text
        overlap = Bbox.intersection(first, second)
        assert overlap is None or overlap.width < 2 or overlap.height < 2, (one, other)


@pytest.mark.parametrize("name", [name for name in DRAWN if "images" not in name and name != "coordinates"])
def test_axes_are_named(name: str) -> None:
    axes = DRAWN[name](plots.new_figure()[1])
    assert axes.get_xlabel()
    assert axes.get_ylabel() or axes.get_yticklabels()


def test_learning_curves_say_the_best_epoch_and_keep_colour_from_being_the_only_signal() -> None:
    accuracies = [0.5, 0.9312, 0.92]
    axes = plots.learning_curves(_records([1.0, 0.3, 0.5], accuracies), plots.new_figure()[1])
    assert _title(axes) == "Validation accuracy reaches 93.1 % in epoch 2"
    training, validation = axes.get_lines()
    assert list(validation.get_ydata()) == accuracies
    assert list(training.get_ydata()) == pytest.approx([0.4, 0.4 + 0.5 / 3, 0.4 + 1 / 3])
    assert (training.get_marker(), training.get_linestyle()) != (validation.get_marker(), validation.get_linestyle())


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ([1.0, 0.3, 0.5], "Validation loss is lowest in epoch 2 (0.3), then rises to 0.5"),
        ([1.5, 0.5, 0.25], "Validation loss falls from 1.5 to 0.25 in 3 epochs"),
        ([0.7], "Validation loss is 0.7 after one epoch"),
    ],
)
def test_loss_message(losses: list[float], message: str) -> None:
    assert _title(plots.learning_curves(_records(losses), plots.new_figure()[1], "loss")) == message


def test_learning_curves_need_an_epoch() -> None:
    with pytest.raises(WorkbenchError, match="no finished epoch"):
        plots.learning_curves(_records([1.0])[:1], plots.new_figure()[1])


def test_confusion_matrix_shows_every_count_and_names_the_worst_pair() -> None:
    evaluation = _evaluation(ANIMALS)
    axes = plots.confusion_matrix(evaluation, plots.new_figure(5, 5)[1])
    written = np.zeros((10, 10), dtype=int)
    for text in axes.texts:
        column, row = text.get_position()
        written[int(row), int(column)] = int(text.get_text())
    assert (written == evaluation.confusion.numpy()).all()
    mistakes = written - np.diag(np.diag(written))
    row, column = np.unravel_index(mistakes.argmax(), mistakes.shape)
    assert f"{ANIMALS[row]} for {ANIMALS[column]} ({mistakes.max()}×" in _title(axes)


def test_a_hundred_classes_are_drawn_without_a_heap_of_labels() -> None:
    axes = plots.new_figure(5, 5)[1]
    plots.confusion_matrix(_evaluation(tuple(f"class {k}" for k in range(100)), 1000), axes)
    assert not axes.texts
    assert len(axes.get_xticklabels()) < 20


def test_latency_says_origin_unit_and_ratio() -> None:
    rows = [_row("eager", 500e-6, origin="recorded"), _row("onnx", 100e-6, origin="recorded")]
    axes = plots.latency_bars(rows, plots.new_figure()[1])
    assert _title(axes) == "onnx answers one image in 100 µs, 5.0× as fast as eager"
    assert "µs" in axes.get_xlabel()
    assert "recorded" in axes.get_xlabel()
    assert sorted(bar.get_width() for bar in axes.patches) == pytest.approx([100, 500])


def test_latencies_of_different_batches_are_not_compared() -> None:
    with pytest.raises(WorkbenchError, match="one batch size"):
        plots.latency_bars([_row("eager", 1e-3), _row("eager", 1e-2, batch_size=64)], plots.new_figure()[1])


@pytest.mark.parametrize(("small", "scale"), [(500, "linear"), (10, "log")])
def test_bytes_take_a_logarithmic_axis_only_where_needed(small: int, scale: str) -> None:
    axes = plots.bytes_bars({"large": 1000, "small": small}, plots.new_figure()[1])
    assert axes.get_xscale() == scale
    assert ("logarithmic" in axes.get_xlabel()) == (scale == "log")
    assert bool(axes.patches) == (scale == "linear")
    assert f"{1000 / small:.3g}" in _title(axes).replace(".0×", "×")


def test_image_grid_shows_the_images_and_marks_what_is_wrong() -> None:
    images, wrong = _images(), [index % 4 == 0 for index in range(12)]
    axes = plots.image_grid(images, ["horse"] * 12, plots.new_figure()[1], wrong=wrong)
    assert all((drawn.get_array() == image).all() for drawn, image in zip(axes.images, images, strict=True))
    assert [text.get_text()[0] for text in axes.texts] == ["✗" if bad else "✓" for bad in wrong]
    assert len(axes.patches) == sum(wrong)


@pytest.mark.parametrize(
    ("images", "captions"),
    [(_images(3), ["a"]), (_images(2)[..., :2], ["a", "b"]), (_images(2) / 255, ["a", "b"]), (_images(0), [])],
)
def test_image_grid_refuses_what_is_no_image(images: np.ndarray, captions: list[str]) -> None:
    with pytest.raises(WorkbenchError, match=r"[Ii]mages"):
        plots.image_grid(images, captions, plots.new_figure()[1])


def test_search_plots_name_the_best_trial() -> None:
    trials = _trials()
    history = plots.search_history(trials, plots.new_figure()[1])
    assert _title(history).startswith("Trial 2 is the best of 7: 93.1 %")
    assert history.get_lines()[0].get_ydata()[-1] == 0.9312
    coordinates = plots.parallel_coordinates(trials, plots.new_figure()[1])
    assert "learning_rate 0.04, batch_size 96, flip yes" in _title(coordinates)
    best = next(line for line in coordinates.get_lines() if line.get_label() == "best: trial 2")
    assert list(best.get_ydata()) == pytest.approx([0.5, 1.0, 1.0, 1.0])  # the rate's logarithm is in the middle


def test_a_search_without_a_complete_trial_is_a_sentence() -> None:
    for draw in (plots.search_history, plots.parallel_coordinates):
        with pytest.raises(WorkbenchError, match="None of 1 trials is complete"):
            draw([_trial(0, None, "failed")], plots.new_figure()[1])


def test_ink_on_the_cells_can_be_read() -> None:
    """WCAG contrast of the numbers on any depth of either colour, over white paper."""
    for colour in (answers._CELL_RIGHT, answers._CELL_WRONG):
        for alpha in np.linspace(0, 1, 50):
            base = np.array([int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)])
            ink = chart_style.PAPER if answers._needs_white_ink(colour, alpha) else chart_style.INK
            written = np.array([int(ink[place : place + 2], 16) / 255 for place in (1, 3, 5)])
            light, dark = sorted((_luminance(alpha * base + 1 - alpha), _luminance(written)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) > 3.9


def test_plots_need_no_display_no_pyplot_and_no_torch() -> None:
    check = (
        "import sys, workbench.pages.plots as p; p.bytes_bars({'a': 1}, p.new_figure()[1]).figure.savefig('/dev/null', "
        "format='png'); sys.exit('torch' in sys.modules or 'matplotlib.pyplot' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_png_is_not_blank() -> None:
    figure, axes = plots.new_figure()
    DRAWN["confusion"](axes)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=60)
    assert len(np.unique(np.asarray(Image.open(buffer).convert("RGB")).reshape(-1, 3), axis=0)) > 50


def _title(axes: Axes) -> str:
    return axes.get_title(loc="left").replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ")


def _luminance(colour: np.ndarray) -> float:
    linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_devices_are_reported_apart_by_mark_and_origin_by_line_and_word() -> None:
    axes = plots.batch_size_curves(_devices(), plots.new_figure()[1])
    lines = [line for line in axes.get_lines() if len(line.get_xdata()) > 2]
    labels = [text.get_text() for text in axes.figure.legends[0].get_texts()]
    assert labels == ["CPU (measured)", "NVIDIA H100 (recorded)", "Board (modelled)"]
    assert len({line.get_marker() for line in lines}) == 3
    assert len({line.get_linestyle() for line in lines}) == 3
    assert list(lines[0].get_ydata()) == pytest.approx([1e-4 * 2**power for power in range(11)])
    assert _title(axes) == "From batch 16 on, NVIDIA H100 is clearly ahead of CPU"
    assert "One image at a time, CPU answers in 100" in plots.alt_text(axes)
    # The same device looks the same in a chart of another metric, where another one leads.
    again = plots.batch_size_curves(_devices(), plots.new_figure()[1], "throughput")
    assert _title(again) == "From batch 16 on, NVIDIA H100 is clearly ahead of CPU, by images a second"
    # ... or with many fewer devices, where their order is given.
    few = Comparison.of(m for m in _devices().measurements if m.device == "Board")
    names = list(_devices().ranking().names)
    alone = plots.batch_size_curves(few, plots.new_figure()[1], order=names).get_lines()[0]
    assert (alone.get_color(), alone.get_marker()) == (lines[2].get_color(), lines[2].get_marker())
    assert [line.get_color() for line in again.get_lines()][:3] == [line.get_color() for line in lines]


def test_an_overlay_names_the_run_that_ends_best() -> None:
    runs = {"slow": _records([1.0, 0.9], [0.4, 0.5]), "quick": _records([1.0, 0.4], [0.5, 0.8])}
    assert _title(plots.curves_overlay(runs, plots.new_figure()[1])) == "quick ends highest: 80.0 %"
    assert _title(plots.curves_overlay(runs, plots.new_figure()[1], "loss")) == "quick ends lowest: 0.4"
    assert _title(plots.curves_overlay(runs, plots.new_figure()[1], title="Mine")) == "Mine"


def test_stacked_bytes_and_times_say_what_is_largest() -> None:
    needs = {"training": {"weights": 100, "activations": 900}, "inference": {"weights": 100}}
    assert _title(plots.stacked_bytes(needs, plots.new_figure()[1])) == "training needs 10× the memory of inference"
    times = plots.time_bars({"forward": 1.0, "backward": 3.0}, plots.new_figure()[1])
    assert _title(times) == "backward takes 75 % of the time"
    assert times.get_xlabel() == "time (measured)"


@pytest.mark.parametrize(
    ("draw", "sentence"),
    [
        (lambda axes: plots.batch_size_curves(_devices(), axes, "energy"), "not measurable here"),
        (lambda axes: plots.curves_overlay({}, axes), "0 runs"),
        (lambda axes: plots.time_bars({"a": 0.0}, axes), "above 0 seconds"),
        (lambda axes: plots.time_bars({"a": float("nan")}, axes), "above 0 seconds"),
        (lambda axes: plots.bytes_bars({"a": float("inf")}, axes), "of a byte or more"),  # type: ignore[dict-item]
        (lambda axes: plots.stacked_bytes({}, axes), "at least one need"),
    ],
)
def test_what_cannot_be_drawn_is_a_sentence(draw: Callable[[Axes], Axes], sentence: str) -> None:
    with pytest.raises(WorkbenchError, match=sentence):
        draw(plots.new_figure()[1])
