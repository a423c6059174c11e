"""The learner's record as a report: an HTML page, and the same as Markdown."""

from __future__ import annotations

import platform
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import arguments
from workbench.atomic import write_text
from workbench.teaching.exercises.catalogue import LESSONS, exercises
from workbench.teaching.exercises.checking import Progress, progress
from workbench.teaching.exercises.notebook_html import paragraph
from workbench.teaching.guesses import format_figure
from workbench.teaching.learner import Entry, LearnerRecord, format_time, machine_title, open_record
from workbench.wording import now, shorten, versions

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

NAME = "student-report"
Rows = list[tuple[str, ...]]
_LONG_NUMBER = re.compile(r"\b\d{1,5}\.\d{5,}(e[+-]?\d+)?\b")


@dataclass(frozen=True)
class StudentReport:
    """The files of a report."""

    html: Path
    markdown: Path

    def __repr__(self) -> str:
        folder = self.html.parent.resolve()
        markdown = f"{self.markdown.name}, the same as plain text, in case your teacher asks for it"
        return f"Your report is in {folder}: {self.html.name} to read, and {markdown}."

    def _repr_html_(self) -> str:
        return paragraph(repr(self))


def student_report(
    folder: Path | str = ".", *, name: str = "", record: LearnerRecord | Path | str | None = None
) -> StudentReport:
    """Write student-report.html and student-report.md to `folder`, each atomically.

    name: the learner's, for the title. record: by default the learner's usual one. Raises WorkbenchError if a file
    cannot be written.

    >>> wb.student_report("report", name="Ada", record="learner.json").markdown.read_text().splitlines()[0]
    '# Student report: Ada'
    """
    folder, name, record = arguments.path("folder", folder), arguments.text("name", name), open_record(record)
    report = StudentReport(folder / f"{NAME}.html", folder / f"{NAME}.md")
    write_text(report.markdown, _markdown(name, record))
    write_text(report.html, _html(name, record))
    return report


def _facts(record: LearnerRecord) -> list[str]:
    return [
        f"Written on {format_time(now())} on {machine_title()} with workbench {versions()['workbench']}, Python "
        f"{platform.python_version()}.",
        f"From the record in {record.path.name}. {record.problem}".strip(),
        "The record is a file that its owner can edit: it helps you remember and discuss your work; it proves nothing.",
    ]


def _parts(record: LearnerRecord) -> Iterator[tuple[str, tuple[str, ...], Rows]]:
    """Yield the parts of the report: title, table headers, rows."""
    entries = record.entries

    def of_kind(kind: str) -> list[Entry]:
        return [entry for entry in entries if entry["kind"] == kind]

    hints = Counter(entry["id"] for entry in of_kind("hinted"))
    answered = of_kind("answered")
    yield (
        "Answered",
        ("exercise", "state", "guessed first", "answer", "points", "tries", "hints seen", "when"),
        [
            _answered_row(each, [other for other in answered if other["id"] == each["id"]], hints[each["id"]])
            for each in _best(answered)
        ],
    )
    yield (
        "Predicted, and measured",
        ("question", "guess", "result", "measured on", "when"),
        [_predicted_row(each, of_kind("measured")) for each in of_kind("predicted")],
    )
    yield (
        "Decided",
        ("question", "decision", "workbench", "when"),
        [
            (
                _text(each, "question"),
                " ".join(map(str, _list(each, "sentences"))),
                _text(each, "workbench"),
                _when(each),
            )
            for each in of_kind("decided")
        ],
    )


def _best(answered: list[Entry]) -> list[Entry]:
    """The right answer to each exercise if there is one, else the last; in the order of the lessons."""
    best: dict[str, Entry] = {}
    for entry in answered:
        if best.get(entry["id"], {}).get("state") != "passed":
            best[entry["id"]] = entry
    known = [*exercises()]
    return [best[id] for id in sorted(best, key=lambda id: (known.index(id) if id in known else len(known), id))]


def _answered_row(entry: Entry, attempts: list[Entry], hints: int) -> tuple[str, ...]:
    exercise = exercises().get(entry["id"])
    title = f"{entry['id']}: {exercise.title}" if exercise else entry["id"]
    points = f"{entry.get('points', 0)} of {exercise.points}" if exercise else str(entry.get("points", 0))
    tries = max((each["tries"] for each in attempts if isinstance(each.get("tries"), int)), default="not counted")
    return (
        title,
        _text(entry, "state"),
        _first_guess(attempts),
        _LONG_NUMBER.sub(lambda found: f"{float(found[0]):.5g}", _text(entry, "answer")),
        points,
        str(tries),
        str(hints),
        _when(entry),
    )


def _first_guess(attempts: list[Entry]) -> str:
    """The guess made before the check's first reply; an updated entry keeps its original facts under "first"."""
    originals = [first if isinstance(first := entry.get("first"), dict) else entry for entry in attempts]
    guesses = [entry for entry in originals if "guess" in entry]
    return _number(min(guesses, key=lambda entry: str(entry.get("when"))), "guess") if guesses else ""


def _predicted_row(entry: Entry, measured: list[Entry]) -> tuple[str, ...]:
    results = [each for each in measured if each["id"] == entry["id"] and each.get("question") == entry.get("question")]
    guess = f"{_number(entry, 'answer')}{' (after the figure was known)' if entry.get('known') else ''}"
    if not results:
        return _text(entry, "question"), guess, "not yet", "", _when(entry)
    last = results[-1]
    origin = _text(last, "origin").replace(" here, now", "")  # where and when have their own columns
    result = f"{_number(last, 'value')} ({origin})"
    return _text(entry, "question"), guess, result, _text(last, "device") or _text(last, "machine"), _when(entry)


def _number(entry: Entry, key: str) -> str:
    value = entry.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return format_figure(value, _text(entry, "unit"))
    return shorten(value)


def _text(entry: Entry, key: str) -> str:
    value = entry.get(key, "")
    return shorten(value, 300) if value is not None else ""


def _list(entry: Entry, key: str) -> list[object]:
    value = entry.get(key)
    return value if isinstance(value, list) else []


def _when(entry: Entry) -> str:
    return format_time(entry["when"]).replace(" at ", " ")


def _lesson_rows(learned: Progress) -> Rows:
    return [
        (f"{number} {title}".strip(), f"{passed} of {count}", f"{points} of {max_points}")
        for number, title, passed, count, points, max_points in [*learned.rows, ("", "In all", *learned.total)]
    ]


_HEADERS = ("lesson", "exercises passed", "points")


def _markdown(name: str, record: LearnerRecord) -> str:
    lines = [f"# Student report{f': {_plain(name)}' if name.strip() else ''}", "", *_facts(record), ""]
    for title, headers, rows in [("Progress", _HEADERS, _lesson_rows(progress(record=record))), *_parts(record)]:
        lines += [f"## {title}", ""]
        if rows:
            lines += [_line(headers), _line(tuple("---" for _ in headers)), *map(_line, rows), ""]
        else:
            lines += ["Nothing yet.", ""]
    return "\n".join(lines)


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(map(_plain, cells)) + " |"


def _plain(text: str) -> str:
    """One line, escaped so that it neither ends a table cell nor starts an HTML element."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _html(name: str, record: LearnerRecord) -> str:
    from workbench.pages.html import render, table, tag  # imports matplotlib

    title = f"Student report{f': {name.strip()}' if name.strip() else ''}"
    body = [tag("h1", title), *(tag("p", fact) for fact in _facts(record))]
    learned = progress(record=record)
    body += [tag("h2", "Progress"), table("Lesson by lesson", _HEADERS, _lesson_rows(learned), numeric=(1, 2))]
    for part, headers, rows in _parts(record):
        body.append(tag("h2", part))
        body.append(_table(part, headers, rows) if rows else tag("p", "Nothing yet."))
    argued = f" A person reads {', '.join(learned.argued)}, in the notebook itself." if learned.argued else ""
    body.append(tag("p", f"{len(LESSONS)} lessons, {learned.total[1]} exercises that check themselves.{argued}"))
    return render(title, body)


def _table(part: str, headers: tuple[str, ...], rows: Rows) -> Element:
    """A part's table. On a narrow page it scrolls by itself, so that no title or time is squeezed."""
    from workbench.pages.html import table, tag

    def line(cells: tuple[str, ...]) -> list[Element | str]:
        title = tag("span", cells[0], style="display: inline-block; min-width: 14em")
        return [title, *map(breaking, cells[1:-1]), tag("span", cells[-1], style="white-space: nowrap")]

    def breaking(text: str) -> Element | str:
        """Let long text break anywhere: code has few spaces and would push the last column off the page."""
        style = "display: inline-block; min-width: 14em; overflow-wrap: anywhere"
        return tag("span", text, style=style) if len(text) > 40 else text

    passed = sum(row[1] == "passed" for row in rows)
    count = f"{passed} passed, {len(rows) - passed} not yet" if part == "Answered" else len(rows)
    return table(f"{part}: {count}", headers, map(line, rows))
