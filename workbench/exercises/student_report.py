"""What a learner predicted, measured, decided and answered: one page to read, and the same as text."""

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
from workbench.exercises.catalogue import LESSONS, exercises
from workbench.exercises.checking import Progress, progress
from workbench.exercises.wrapped import paragraphs
from workbench.guesses import told_number
from workbench.learner import Entry, LearnerRecord, machine, told_time
from workbench.sealed import now, shortened, versions

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

NAME = "student-report"
Rows = list[tuple[str, ...]]
_LONG_NUMBER = re.compile(r"\b\d{1,5}\.\d{5,}(e[+-]?\d+)?\b")


@dataclass(frozen=True)
class StudentReport:
    """Where the report was written."""

    html: Path
    markdown: Path

    def __repr__(self) -> str:
        folder = self.html.parent.resolve()
        as_text = f"{self.markdown.name}, the same as text, for your teacher where that is asked for"
        return f"Your report, in the folder {folder}: {self.html.name} to read; {as_text}."

    def _repr_html_(self) -> str:
        return paragraphs(repr(self))


def student_report(folder: Path | str = ".", *, name: str = "", record: LearnerRecord | None = None) -> StudentReport:
    """Write student-report.html and student-report.md into `folder`, each whole or not at all.

    name: of the learner, as it stands at the top. Raises WorkbenchError where nothing can be written.
    """
    place, name = arguments.path("folder", folder), arguments.text("name", name)
    record = record or LearnerRecord()
    made = StudentReport(place / f"{NAME}.html", place / f"{NAME}.md")
    write_text(made.markdown, _markdown(name, record))
    write_text(made.html, _html(name, record))
    return made


def _facts(record: LearnerRecord) -> list[str]:
    return [
        f"Written on {told_time(now())} on {machine()} with workbench {versions()['workbench']}, Python "
        f"{platform.python_version()}.",
        f"From the record in {record.path.name}. {record.said}".strip(),
        "A record is a file that its owner can edit: it helps to remember and to talk; it proves nothing.",
    ]


def _parts(record: LearnerRecord) -> Iterator[tuple[str, tuple[str, ...], Rows]]:
    """Each part: its title, the heads of its table, its rows."""
    entries = record.entries

    def those(kind: str) -> list[Entry]:
        return [entry for entry in entries if entry["kind"] == kind]

    hints = Counter(entry["id"] for entry in those("hinted"))
    answered = those("answered")
    yield (
        "Answered",
        ("exercise", "state", "guessed first", "answer", "points", "tries", "hints seen", "when"),
        [
            _answered(each, [other for other in answered if other["id"] == each["id"]], hints[each["id"]])
            for each in _best(answered)
        ],
    )
    yield (
        "Predicted, and measured",
        ("question", "guess", "came out", "measured on", "when"),
        [_predicted(each, those("measured")) for each in those("predicted")],
    )
    yield (
        "Decided",
        ("question", "decision", "workbench", "when"),
        [
            (
                _said(each, "question"),
                " ".join(map(str, _list(each, "sentences"))),
                _said(each, "workbench"),
                _when(each),
            )
            for each in those("decided")
        ],
    )


def _best(answered: list[Entry]) -> list[Entry]:
    """Of each exercise the right answer, if there was one, else the last; in the order of the lessons."""
    found: dict[str, Entry] = {}
    for entry in answered:
        if found.get(entry["id"], {}).get("state") != "passed":
            found[entry["id"]] = entry
    known = [*exercises()]
    return [found[id] for id in sorted(found, key=lambda id: (known.index(id) if id in known else len(known), id))]


def _answered(entry: Entry, all_of_it: list[Entry], hints: int) -> tuple[str, ...]:
    exercise = exercises().get(entry["id"])
    title = f"{entry['id']}: {exercise.title}" if exercise else entry["id"]
    points = f"{entry.get('points', 0)} of {exercise.points}" if exercise else str(entry.get("points", 0))
    tries = max((each["tries"] for each in all_of_it if isinstance(each.get("tries"), int)), default="not counted")
    return (
        title,
        _said(entry, "state"),
        _first_guess(all_of_it),
        _LONG_NUMBER.sub(lambda found: f"{float(found[0]):.5g}", _said(entry, "answer")),
        points,
        str(tries),
        str(hints),
        _when(entry),
    )


def _first_guess(answered: list[Entry]) -> str:
    """What was guessed before the check had said anything; an entry keeps what it said first."""
    said = [first if isinstance(first := entry.get("first"), dict) else entry for entry in answered]
    guesses = [entry for entry in said if "guess" in entry]
    return _number(min(guesses, key=lambda entry: str(entry.get("when"))), "guess") if guesses else ""


def _predicted(entry: Entry, measured: list[Entry]) -> tuple[str, ...]:
    found = [each for each in measured if each["id"] == entry["id"] and each.get("question") == entry.get("question")]
    guess = f"{_number(entry, 'answer')}{' (after the figure was known)' if entry.get('known') else ''}"
    if not found:
        return _said(entry, "question"), guess, "not yet", "", _when(entry)
    last = found[-1]
    origin = _said(last, "origin").replace(" here, now", "")  # the columns beside it say where, and when
    came_out = f"{_number(last, 'value')} ({origin})"
    return _said(entry, "question"), guess, came_out, _said(last, "device") or _said(last, "machine"), _when(entry)


def _number(entry: Entry, key: str) -> str:
    value = entry.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return told_number(value, _said(entry, "unit"))
    return shortened(value)


def _said(entry: Entry, key: str) -> str:
    value = entry.get(key, "")
    return shortened(value, 300) if value is not None else ""


def _list(entry: Entry, key: str) -> list[object]:
    value = entry.get(key)
    return value if isinstance(value, list) else []


def _when(entry: Entry) -> str:
    return told_time(entry["when"]).replace(" at ", " ")


def _lessons(found: Progress) -> Rows:
    return [
        (f"{number} {title}".strip(), f"{done} of {given}", f"{points} of {most}")
        for number, title, done, given, points, most in [*found.rows, ("", "In all", *found.total)]
    ]


_HEADS = ("lesson", "exercises passed", "points")


def _markdown(name: str, record: LearnerRecord) -> str:
    lines = [f"# Student report{f': {_plain(name)}' if name.strip() else ''}", "", *_facts(record), ""]
    for title, heads, rows in [("Progress", _HEADS, _lessons(progress(record=record))), *_parts(record)]:
        lines += [f"## {title}", ""]
        if rows:
            lines += [_line(heads), _line(tuple("---" for _ in heads)), *map(_line, rows), ""]
        else:
            lines += ["Nothing yet.", ""]
    return "\n".join(lines)


def _line(cells: tuple[str, ...]) -> str:
    return "| " + " | ".join(map(_plain, cells)) + " |"


def _plain(text: str) -> str:
    """One line, that neither ends a cell of a table nor starts an element of HTML."""
    return " ".join(text.split()).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")


def _argued() -> str:
    ids = progress().argued
    return f"A person reads {', '.join(ids)}, which stands in the notebook itself." if ids else ""


def _html(name: str, record: LearnerRecord) -> str:
    from workbench.page import render, table, tag  # draws charts, and so loads matplotlib

    title = f"Student report{f': {name.strip()}' if name.strip() else ''}"
    body = [tag("h1", title), *(tag("p", fact) for fact in _facts(record))]
    lessons = _lessons(progress(record=record))
    body += [tag("h2", "Progress"), table("Lesson by lesson", _HEADS, lessons, numeric=(1, 2))]
    for part, heads, rows in _parts(record):
        body.append(tag("h2", part))
        body.append(_table(part, heads, rows) if rows else tag("p", "Nothing yet."))
    checked = progress(record=record).total[1]
    body.append(tag("p", f"{len(LESSONS)} lessons, {checked} exercises that check themselves. {_argued()}"))
    return render(title, body)


def _table(part: str, heads: tuple[str, ...], rows: Rows) -> Element:
    """A part's table, which scrolls by itself where the page is narrow: no title or time is pressed into a column."""
    from workbench.page import table, tag

    def line(cells: tuple[str, ...]) -> list[Element | str]:
        title = tag("span", cells[0], style="display: inline-block; min-width: 14em")
        return [title, *map(breaking, cells[1:-1]), tag("span", cells[-1], style="white-space: nowrap")]

    def breaking(text: str) -> Element | str:
        """Code has few spaces, and would push the last column off the page."""
        style = "display: inline-block; min-width: 14em; overflow-wrap: anywhere"
        return tag("span", text, style=style) if len(text) > 40 else text

    passed = sum(row[1] == "passed" for row in rows)
    count = f"{passed} passed, {len(rows) - passed} not yet" if part == "Answered" else len(rows)
    return table(f"{part}: {count}", heads, map(line, rows))
