"""`Predict`: a guess that is locked in before a measurement and then compared with the outcome."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import traitlets

from workbench import arguments
from workbench.errors import WorkbenchError
from workbench.teaching.guesses import HERE_NOW, checked_guess, format_figure, read_number, reveal, reveal_choice
from workbench.teaching.learner import Entry, LearnerRecord, checked_id, format_time, machine_title, open_record
from workbench.widgets.view import View
from workbench.wording import shorten

AFTERWARDS = "Your guess was made after the figure was known."
KNOWN = "The figure is known already: a guess made now is kept, and marked so."


class Predict(View):
    """A question to answer with a number in `unit`, or with one of `choices`, before the answer is measured.

    Guesses are kept in the learner's record under `id` (by default, the question) and return when the notebook is run
    again. record: another file than the usual one. value: the guess that counts, None before there is one: the latest
    made before the figure was known, else the latest.

    >>> guess = wb.Predict("How many times as fast is the GPU?", unit="times as fast")
    >>> guess.lock(30)
    >>> guess.reveal(20)
    'You guessed 30 times as fast; measured here, now: 20 times as fast: your guess was 1.5× too high.'
    """

    module = "predict"
    title = "A guess, and what came out"

    question = traitlets.Unicode(read_only=True).tag(sync=True)
    unit = traitlets.Unicode(read_only=True).tag(sync=True)
    choices = traitlets.List(traitlets.Unicode(), read_only=True).tag(sync=True)
    draft = traitlets.Unicode().tag(sync=True)  # the content of the field
    requests = traitlets.Int(0).tag(sync=True)  # the browser increments it to lock in the draft
    handled = traitlets.Int(0, read_only=True).tag(sync=True)  # the last such request that was dealt with
    value = traitlets.Any(None, read_only=True).tag(sync=True)
    guess_text = traitlets.Unicode(read_only=True).tag(sync=True)  # with its unit; "" without a guess
    locked_text = traitlets.Unicode(read_only=True).tag(sync=True)  # when it was locked in
    late_note = traitlets.Unicode(read_only=True).tag(sync=True)  # why a new guess does not count; "" if it does
    outcome = traitlets.Dict(read_only=True).tag(sync=True)
    problem = traitlets.Unicode(read_only=True).tag(sync=True)
    record_problem = traitlets.Unicode(read_only=True).tag(sync=True)  # why it is not in the record

    def __init__(
        self,
        question: str,
        *,
        unit: str = "",
        choices: Sequence[str] = (),
        id: str = "",
        record: LearnerRecord | Path | str | None = None,
    ) -> None:
        if not arguments.text("question", question).strip():
            raise WorkbenchError(f"question = {shorten(repr(question))}: write what is to be guessed.")
        choices = arguments.all_of("choices", choices, str)
        if not all(choice.strip() for choice in choices):
            raise WorkbenchError(f"choices = {shorten(repr(choices))}: one of them is empty.")
        if len(set(choices)) != len(choices) or len(choices) == 1:
            raise WorkbenchError(f"choices = {shorten(repr(choices))}: give two or more, each once.")
        self.id = checked_id(id or question.strip()[:80])
        self.record = open_record(record)
        self._lock = threading.RLock()  # a click is handled in another thread than a cell
        facts: dict[str, Any] = {"question": question, "unit": arguments.text("unit", unit), "choices": list(choices)}
        self._guesses = [entry for entry in self.record.find("predicted", self.id, **facts) if _is_guess(entry)]
        super().__init__(**facts)
        measured = self.record.find("measured", self.id, question=question, machine=machine_title())
        self._set(late_note=KNOWN if measured else "")
        self._show()

    def lock(self, guess: float | str) -> None:
        """Lock in a guess, as a click does. Raise WorkbenchError for an invalid one."""
        answer: float | str = self._choice(guess, "guess") if self.choices else checked_guess(guess)
        with self._lock:
            # A cell that is run again with the same guess has guessed once.
            if not self._guesses or self._guesses[-1]["answer"] != answer:
                facts: dict[str, Any] = {"question": self.question, "unit": self.unit, "choices": self.choices}
                facts |= {"answer": answer, "known": bool(self.late_note)}
                self._guesses.append(self.record.note("predicted", self.id, **facts))
            self._show()

    def reveal(self, value: float | str, unit: str | None = None, origin: str = HERE_NOW, *, device: str = "") -> str:
        """Compare the guess with the outcome; return the sentence, which the widget shows too.

        value: finite, in `unit`, or one of the choices. origin: of the value, as it is shown. device: the title of the
        one that was measured. Raise WorkbenchError for anything else.
        """
        unit = arguments.text("unit", self.unit if unit is None else unit)
        arguments.text("origin", origin)
        if unit != self.unit and self.unit:
            raise WorkbenchError(f"unit = {unit!r}: the guess was asked for in {self.unit!r}; give the value in that.")
        with self._lock:
            value = self._choice(value, "value") if self.choices else value
            sentence = self._comparison(value, unit, origin)
            if not isinstance(value, str):
                value = float(value)
            text = value if isinstance(value, str) else format_figure(value, unit)
            facts = {"question": self.question, "unit": unit, "value": value, "origin": origin, "device": device}
            self.record.note("measured", self.id, key=("question", "machine", "device", "origin"), **facts)
            outcome = {"value": value, "text": text, "unit": unit, "origin": origin, "sentence": sentence}
            self._set(late_note=KNOWN, outcome=outcome)
            self._show()
        return sentence

    def describe(self) -> str:
        """Return the question and what is known so far."""
        if self.outcome:
            return f"{self.question} {self.outcome['sentence']}"
        if self.guess_text:
            return f"{self.question} You guessed {self.guess_text}. {self.locked_text}"
        return f"{self.question} No guess yet."

    def _comparison(self, value: Any, unit: str, origin: str) -> str:
        entry = self._counting()
        guess = entry["answer"] if entry else None
        sentence = reveal_choice(guess, value, origin) if self.choices else reveal(guess, value, unit, origin)
        return f"{sentence} {AFTERWARDS}" if entry and entry["known"] else sentence

    def _counting(self) -> Entry | None:
        """Return the guess that counts."""
        guesses = [entry for entry in self._guesses if not entry["known"]] or self._guesses
        return guesses[-1] if guesses else None

    def _choice(self, answer: object, name: str) -> str:
        if answer not in self.choices:
            raise WorkbenchError(f"{name} = {shorten(repr(answer))}: choose one of {', '.join(self.choices)}.")
        return str(answer)

    @traitlets.observe("requests")
    def _handle(self, _: Any) -> None:
        with self._lock:
            try:
                if self.choices and not self.draft:
                    raise WorkbenchError("Choose one of them first.")
                self.lock(self.draft if self.choices else read_number(self.draft, self.unit))
            except WorkbenchError as error:
                self._set(problem=str(error))
            self._set(handled=self.requests)

    def _show(self) -> None:
        entry = self._counting()
        with self.hold_sync():
            self._set(problem="", record_problem=self.record.problem)
            if not entry:
                return
            if self.outcome:  # a late guess is compared too
                sentence = self._comparison(*(self.outcome[name] for name in ("value", "unit", "origin")))
                self._set(outcome=self.outcome | {"sentence": sentence})
            answer, late = entry["answer"], f" {AFTERWARDS}" if entry["known"] else ""
            self._set(
                value=answer,
                guess_text=answer if self.choices else format_figure(answer, self.unit),
                locked_text=f"Locked in on {format_time(entry['when'])}.{late}",
            )


def _is_guess(entry: Entry) -> bool:
    """Whether the entry, which anybody may edit, still holds a valid guess."""
    answer, choices = entry.get("answer"), entry["choices"]
    return isinstance(entry.get("known"), bool) and (answer in choices if choices else isinstance(answer, int | float))
