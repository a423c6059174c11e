"""A room full of machines, each recorded by its owner: one chart and one page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from workbench import chart_style
from workbench.atomic import write_text
from workbench.errors import WorkbenchError
from workbench.measurement import Measurement, Phase
from workbench.page import Content, chart, render, table, tag
from workbench.plots.room import Line, device_lines
from workbench.recordings import Recording, load_recordings
from workbench.units import format_rate, format_ratio, format_seconds

MANY = 64  # pictures at once
MODEL = "convnet"
MOST_DEVICES = 200


@dataclass(frozen=True)
class _Seat:
    """A device of the room, with the best that it recorded: answering one picture, MANY at once, a training step."""

    recording: Recording
    one: Measurement | None
    many: Measurement | None
    step: Measurement | None

    @property
    def name(self) -> str:
        return self.recording.card.name


def write_room_page(path: Path, folder: Path) -> tuple[str, ...]:
    """Write the page of the recordings in `folder` to `path`, whole or not at all; the sentences that it begins with.

    Broken and foreign files are named on it and left out. Raises WorkbenchError where there is no folder or no
    recording in it, for more than MOST_DEVICES, and where nothing can be written.
    """
    left_out: list[str] = []
    recordings = load_recordings(folder, skipped=left_out)
    page, said = room_html(recordings, left_out)
    write_text(Path(path), page)
    return (*said, *(f"Left out: {sentence}" for sentence in left_out))


def room_html(recordings: Sequence[Recording], left_out: Iterable[str] = ()) -> tuple[str, tuple[str, ...]]:
    """The page as text, which loads nothing from elsewhere, and the sentences that it begins with."""
    left_out = list(left_out)
    seats = []
    for recording in recordings:
        seat = _seated(recording)
        if seat.one or seat.many:
            seats.append(seat)
        else:
            left_out.append(f"{recording.card.name} ({recording.name}.json) has no recorded answer of {MODEL}.")
    if not seats:
        reasons = f" {' '.join(left_out)}" if left_out else ""
        raise WorkbenchError(f"There is no recording to compare: have each machine run `workbench record`.{reasons}")
    if len(seats) > MOST_DEVICES:
        raise WorkbenchError(f"{len(seats)} devices are too many for one page: at most {MOST_DEVICES}.")
    seats.sort(key=lambda seat: _pace(seat.one or seat.many))
    said = tuple(_sentences(seats))
    body: list[Content] = [
        tag("h1", "The devices of this room, side by side"),
        tag("ul", (tag("li", sentence) for sentence in said)),
        _chart(seats),
        _table(seats),
        tag("p", _ABOUT),
    ]
    if left_out:
        body += [tag("h2", f"Left out: {len(left_out)}"), tag("ul", (tag("li", note) for note in left_out))]
    return render("The devices of this room", body), said


_ABOUT = (
    "Every figure is recorded: measured on the machine named, on the day given, with the same network and the same "
    "weights. Of each device the engine counts that was quickest there. A machine that did other work meanwhile looks "
    "slower than it is. Its p90, the time that nine of ten calls stayed below, is then far above the median."
)


def _seated(recording: Recording) -> _Seat:
    def best(phase: Phase, size: int | None) -> Measurement | None:
        found = [m for m in recording.measurements if m.model == MODEL and m.phase == phase]
        found = [m for m in found if size in (None, m.batch_size)]
        return min(found, key=_pace, default=None)

    return _Seat(recording, best("inference", 1), best("inference", MANY), best("training", None))


def _pace(measurement: Measurement | None) -> float:
    """Seconds a picture."""
    return 1 / measurement.pictures_per_second if measurement else float("inf")


def _sentences(seats: Sequence[_Seat]) -> Iterable[str]:
    yield f"{len(seats)} device{'s' if len(seats) > 1 else ''} of this room recorded how they answer."
    for what, found in (
        ("One picture at a time", [(seat, _pace(seat.one)) for seat in seats if seat.one]),
        (f"With {MANY} pictures at once", [(seat, _pace(seat.many)) for seat in seats if seat.many]),
    ):
        if len(found) > 1:
            (first, quick), (last, slow) = min(found, key=lambda each: each[1]), max(found, key=lambda each: each[1])
            middle = median(pace for _, pace in found)
            yield (
                f"{what}, {first.name} is the quickest ({format_seconds(quick)} a picture) and {last.name} the slowest "
                f"({format_seconds(slow)}): {format_ratio(slow / quick)} apart; half of the room stays below "
                f"{format_seconds(middle)} (recorded)."
            )
    gains = [(seat, _pace(seat.one) / _pace(seat.many)) for seat in seats if seat.one and seat.many]
    if gains:
        seat, gain = max(gains, key=lambda each: each[1])
        yield (
            f"{seat.name} gains most from a batch: {format_ratio(gain)} the pictures a second with {MANY} at once "
            "(recorded)."
        )


def _chart(seats: Sequence[_Seat]) -> Content:
    figure, axes = chart_style.new_figure(8.6, 1.4 + 0.26 * len(seats))
    lines = [
        Line(name=seat.name, one=_pace(seat.one) if seat.one else None, many=_pace(seat.many) if seat.many else None)
        for seat in seats
    ]
    device_lines(lines, axes, count=MANY, title="How long a picture takes, the quickest device first")
    return tag("figure", chart(figure, chart_style.alt_text(axes), "room"))


def _table(seats: Sequence[_Seat]) -> Content:
    rows = [
        (
            seat.name,
            *_figures(seat.one),
            format_rate(seat.many.pictures_per_second) if seat.many else "–",
            format_rate(seat.step.pictures_per_second) if seat.step else "–",
            _told(seat),
        )
        for seat in seats
    ]
    head = ("device", "one picture", "p90", f"{MANY} at once, pictures/s", "learning, pictures/s", "recorded")
    return table("What each recorded", head, rows, numeric=range(1, 5), prose=True)


def _figures(measurement: Measurement | None) -> tuple[str, str]:
    if measurement is None:
        return "–", "–"
    return format_seconds(measurement.latency.p50), format_seconds(measurement.latency.p90)


def _told(seat: _Seat) -> str:
    answer = seat.one or seat.many
    assert answer is not None
    threads = f"{answer.threads} thread{'s' if answer.threads > 1 else ''}"
    return f"{seat.recording.created}, {answer.engine} {answer.precision}, {threads}"
