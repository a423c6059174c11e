"""Compare the machines of a class, each recorded by its owner, on one page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

from workbench.atomic import write_text
from workbench.comparing.subjects import describe_setting
from workbench.errors import WorkbenchError
from workbench.measuring.measurement import Measurement, Phase
from workbench.measuring.recordings import Recording, load_recordings
from workbench.pages.charts import draw_chart
from workbench.pages.html import Content, render, table, tag
from workbench.pages.plots.devices import Line, device_lines
from workbench.units import format_rate, format_ratio, format_seconds

MANY = 64  # batch size
MODEL = "convnet"
MAX_DEVICES = 200


@dataclass(frozen=True)
class _Device:
    """A device with its best recorded measurements: inference on one image and on MANY, and a training step."""

    recording: Recording
    one: Measurement | None
    many: Measurement | None
    step: Measurement | None

    @property
    def name(self) -> str:
        return self.recording.card.name


def write_room_page(path: Path, folder: Path) -> tuple[str, ...]:
    """Write a page of the recordings in `folder` to `path` atomically, and return its opening sentences.

    Invalid files are named and left out. Raises WorkbenchError if `folder` is missing or has no recording, if there are
    more than MAX_DEVICES devices, and if `path` cannot be written.
    """
    left_out: list[str] = []
    recordings = load_recordings(folder, skipped=left_out)
    page, sentences = room_html(recordings, left_out)
    write_text(Path(path), page)
    return (*sentences, *(f"Left out: {sentence}" for sentence in left_out))


def room_html(recordings: Sequence[Recording], left_out: Iterable[str] = ()) -> tuple[str, tuple[str, ...]]:
    """Return the self-contained page as HTML, and its opening sentences."""
    left_out = list(left_out)
    devices = []
    for recording in recordings:
        device = _best_of(recording)
        if device.one or device.many:
            devices.append(device)
        else:
            left_out.append(f"{recording.card.name} ({recording.name}.json) has no recorded inference with {MODEL}.")
    if not devices:
        reasons = f" {' '.join(left_out)}" if left_out else ""
        raise WorkbenchError(f"There is no recording to compare: run `workbench record` on each machine.{reasons}")
    if len(devices) > MAX_DEVICES:
        raise WorkbenchError(f"{len(devices)} devices are too many for one page: at most {MAX_DEVICES}.")
    devices.sort(key=lambda device: _seconds_per_image(device.one or device.many))
    sentences = tuple(_sentences(devices))
    body: list[Content] = [
        tag("h1", "The devices in this room, side by side"),
        tag("ul", (tag("li", sentence) for sentence in sentences)),
        _chart(devices),
        _table(devices),
        tag("p", _ABOUT),
    ]
    if left_out:
        body += [tag("h2", f"Left out: {len(left_out)}"), tag("ul", (tag("li", note) for note in left_out))]
    return render("The devices in this room", body), sentences


_ABOUT = (
    "Every figure is recorded: measured on the machine named, on the date given, with the same network and weights. "
    "For each device the fastest engine counts. A machine that was busy with other work looks slower than it is; its "
    "p90, the time that nine of ten calls stayed below, is then far above the median."
)


def _best_of(recording: Recording) -> _Device:
    def best(phase: Phase, size: int | None) -> Measurement | None:
        candidates = [m for m in recording.measurements if m.model == MODEL and m.phase == phase]
        candidates = [m for m in candidates if size in (None, m.batch_size)]
        return min(candidates, key=_seconds_per_image, default=None)

    return _Device(recording, best("inference", 1), best("inference", MANY), best("training", None))


def _seconds_per_image(measurement: Measurement | None) -> float:
    return 1 / measurement.images_per_second if measurement else float("inf")


def _sentences(devices: Sequence[_Device]) -> Iterable[str]:
    yield f"Inference was recorded on {len(devices)} device{'s' if len(devices) > 1 else ''} in this room."
    for what, times in (
        ("One image at a time", [(device, _seconds_per_image(device.one)) for device in devices if device.one]),
        (
            f"With {MANY} images at once",
            [(device, _seconds_per_image(device.many)) for device in devices if device.many],
        ),
    ):
        if len(times) > 1:
            (first, fast), (last, slow) = min(times, key=lambda each: each[1]), max(times, key=lambda each: each[1])
            middle = median(seconds for _, seconds in times)
            yield (
                f"{what}, {first.name} is the fastest ({format_seconds(fast)} per image) and {last.name} the slowest "
                f"({format_seconds(slow)}): {format_ratio(slow / fast)} apart; half of the devices stay below "
                f"{format_seconds(middle)} (recorded)."
            )
    gains = [
        (device, _seconds_per_image(device.one) / _seconds_per_image(device.many))
        for device in devices
        if device.one and device.many
    ]
    if gains:
        device, gain = max(gains, key=lambda each: each[1])
        yield (
            f"{device.name} gains most from a batch: {format_ratio(gain)} the images a second with {MANY} at once "
            "(recorded)."
        )


def _chart(devices: Sequence[_Device]) -> Content:
    lines = [
        Line(
            name=device.name,
            single=_seconds_per_image(device.one) if device.one else None,
            batched=_seconds_per_image(device.many) if device.many else None,
        )
        for device in devices
    ]
    draw = partial(device_lines, lines, batch_size=MANY, title="Time per image, fastest device first")
    return draw_chart("room", draw, width=8.6, height=1.4 + 0.26 * len(devices))


def _table(devices: Sequence[_Device]) -> Content:
    rows = [
        (
            device.name,
            *_latencies(device.one),
            format_rate(device.many.images_per_second) if device.many else "–",
            format_rate(device.step.images_per_second) if device.step else "–",
            _describe_recording(device),
        )
        for device in devices
    ]
    headers = ("device", "one image", "p90", f"{MANY} at once, images/s", "training, images/s", "recorded")
    return table("The recordings", headers, rows, numeric=range(1, 5), prose=True)


def _latencies(measurement: Measurement | None) -> tuple[str, str]:
    if measurement is None:
        return "–", "–"
    return format_seconds(measurement.latency.p50), format_seconds(measurement.latency.p90)


def _describe_recording(device: _Device) -> str:
    inference = device.one or device.many
    assert inference is not None
    return f"{device.recording.created}, {describe_setting(inference)}"
