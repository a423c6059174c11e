"""`Predict`: a guess that is locked in before the measurement, and set beside what came out."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import traitlets

from workbench.arguments import all_of, text
from workbench.errors import WorkbenchError
from workbench.guesses import HERE_NOW, checked_guess, read_number, reveal, reveal_choice, told_number
from workbench.learner import Entry, LearnerRecord, checked_id, machine, told_time
from workbench.sealed import shortened
from workbench.widgets.view import View

AFTERWARDS = "Your guess was made after the figure was known."
KNOWN = "The figure is known already: a guess made now is kept, and marked so."


class Predict(View):
    """A question to be answered with a number in `unit`, or with one of `choices`, before the answer is measured.

    What is locked in is kept in the learner's record under `id` (without one, under the question), and is there again
    when the notebook is run anew. value: the guess that counts, None until there is one: the newest that was made
    before the figure was known, else the newest. record: another file than the usual one.
    """

    module = "predict"
    title = "A guess, and what came out"

    question = traitlets.Unicode(read_only=True).tag(sync=True)
    unit = traitlets.Unicode(read_only=True).tag(sync=True)
    choices = traitlets.List(traitlets.Unicode(), read_only=True).tag(sync=True)
    draft = traitlets.Unicode().tag(sync=True)  # what is in the field
    asked = traitlets.Int(0).tag(sync=True)  # the browser counts up: lock it in
    done = traitlets.Int(0, read_only=True).tag(sync=True)  # the last such wish that was dealt with
    value = traitlets.Any(None, read_only=True).tag(sync=True)
    guessed = traitlets.Unicode(read_only=True).tag(sync=True)  # the guess with its unit, "" where there is none
    locked = traitlets.Unicode(read_only=True).tag(sync=True)  # when it was
    known = traitlets.Unicode(read_only=True).tag(sync=True)  # why a further guess does not count, "" where it does
    figure = traitlets.Dict(read_only=True).tag(sync=True)  # what came out
    problem = traitlets.Unicode(read_only=True).tag(sync=True)
    kept = traitlets.Unicode(read_only=True).tag(sync=True)  # why it is not in the record

    def __init__(
        self,
        question: str,
        *,
        unit: str = "",
        choices: Sequence[str] = (),
        id: str = "",
        record: LearnerRecord | Path | str | None = None,
    ) -> None:
        if not isinstance(question, str) or not question.strip():
            raise WorkbenchError(f"question = {shortened(repr(question))}: write what is to be guessed.")
        choices = all_of("choices", choices, str)
        if not all(choice.strip() for choice in choices):
            raise WorkbenchError(f"choices = {shortened(repr(choices))}: one of them is empty.")
        if len(set(choices)) != len(choices) or len(choices) == 1:
            raise WorkbenchError(f"choices = {shortened(repr(choices))}: give two or more, each once.")
        text("unit", unit)
        self.id = checked_id(id or question.strip()[:80])
        self.record = record if isinstance(record, LearnerRecord) else LearnerRecord(record)
        self._one_at_a_time = threading.RLock()  # a click is handled in another thread than a cell
        asked: dict[str, Any] = {"question": question, "unit": unit, "choices": list(choices)}
        self._attempts = [each for each in self.record.of("predicted", self.id, **asked) if _is_attempt(each)]
        super().__init__(**asked)
        measured = self.record.of("measured", self.id, question=question, machine=machine())
        self._put(known=KNOWN if measured else "")
        self._show()

    def lock(self, guess: float | str) -> None:
        """Lock in a guess, as a click does. Raises WorkbenchError for what is no guess."""
        answer: float | str = self._choice(guess, "guess") if self.choices else checked_guess(guess)
        with self._one_at_a_time:
            # A cell that locks in the same guess whenever it is run has guessed once.
            if not self._attempts or self._attempts[-1]["answer"] != answer:
                facts: dict[str, Any] = {"question": self.question, "unit": self.unit, "choices": self.choices}
                facts |= {"answer": answer, "known": bool(self.known)}
                self._attempts.append(self.record.note("predicted", self.id, **facts))
            self._show()

    def reveal(self, value: float | str, unit: str | None = None, origin: str = HERE_NOW, *, device: str = "") -> str:
        """The guess set beside what came out, in a sentence that the widget shows too.

        value: in `unit`, or one of the choices. origin: of the value, as people are told it. device: the title of the
        one that it was measured on. Raises WorkbenchError for what is no finite number, or none of the choices.
        """
        unit = text("unit", self.unit if unit is None else unit)
        text("origin", origin)
        if unit != self.unit and self.unit:
            raise WorkbenchError(f"unit = {unit!r}: the guess was asked for in {self.unit!r}; give the value in that.")
        with self._one_at_a_time:
            found: float | str = self._choice(value, "value") if self.choices else value
            sentence = self._beside(found, unit, origin)
            if not self.choices:
                found = float(found)
            told = str(found) if self.choices else told_number(found, unit)  # type: ignore[arg-type]
            facts = {"question": self.question, "unit": unit, "value": found, "origin": origin, "device": device}
            self.record.note("measured", self.id, once=("question", "machine", "device", "origin"), **facts)
            self._put(
                known=KNOWN, figure={"value": found, "told": told, "unit": unit, "origin": origin, "sentence": sentence}
            )
            self._show()
        return sentence

    def told(self) -> str:
        """The question, and what is known so far."""
        if self.figure:
            return f"{self.question} {self.figure['sentence']}"
        if self.guessed:
            return f"{self.question} You guessed {self.guessed}. {self.locked}"
        return f"{self.question} No guess yet."

    def _beside(self, value: Any, unit: str, origin: str) -> str:
        counting = self._counting()
        guess = counting["answer"] if counting else None
        told = reveal_choice(guess, value, origin) if self.choices else reveal(guess, value, unit, origin)
        return f"{told} {AFTERWARDS}" if counting and counting["known"] else told

    def _counting(self) -> Entry | None:
        before = [attempt for attempt in self._attempts if not attempt["known"]]
        attempts = before or self._attempts
        return attempts[-1] if attempts else None

    def _choice(self, answer: object, what: str) -> str:
        if answer not in self.choices:
            raise WorkbenchError(f"{what} = {shortened(repr(answer))}: choose one of {', '.join(self.choices)}.")
        return str(answer)

    @traitlets.observe("asked")
    def _answer(self, _: Any) -> None:
        with self._one_at_a_time:
            try:
                if self.choices and not self.draft:
                    raise WorkbenchError("Choose one of them first.")
                self.lock(self.draft if self.choices else read_number(self.draft, self.unit))
            except WorkbenchError as error:
                self._put(problem=str(error))
            self._put(done=self.asked)

    def _show(self) -> None:
        counting = self._counting()
        with self.hold_sync():
            self._put(problem="", kept=self.record.said)
            if counting and self.figure:  # what was guessed late stands beside it, too
                told = self._beside(*(self.figure[name] for name in ("value", "unit", "origin")))
                self._put(figure=self.figure | {"sentence": told})
            if counting:
                answer = counting["answer"]
                marked = f" {AFTERWARDS}" if counting["known"] else ""
                self._put(
                    value=answer,
                    guessed=answer if self.choices else told_number(answer, self.unit),
                    locked=f"Locked in on {told_time(counting['when'])}.{marked}",
                )


def _is_attempt(entry: Entry) -> bool:
    """Whether nobody has edited it into something else."""
    answer, choices = entry.get("answer"), entry["choices"]
    return isinstance(entry.get("known"), bool) and (answer in choices if choices else isinstance(answer, int | float))
