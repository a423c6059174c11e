"""`Decide`: the end of a lesson: what is chosen, for which figure, within which limit, and what would refute it."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import traitlets

from workbench import arguments
from workbench.comparing.comparison import Comparison
from workbench.comparing.metrics import METRICS
from workbench.comparing.ranking import DOUBT
from workbench.errors import WorkbenchError
from workbench.teaching.decisions import (
    CHOICE,
    FACTS,
    LIMITS,
    MAX_PROOF,
    MAX_WORDS,
    TEMPLATES,
    Offer,
    checked_choice,
    facts_of,
    offers_of,
)
from workbench.teaching.learner import LearnerRecord, checked_id, format_time, open_record
from workbench.widgets.view import View
from workbench.wording import shorten

NOTHING = "There is nothing to decide between yet: measure first, then run this cell again."


class Decide(View):
    """A decision based on `comparison`: a Comparison of one phase and one model, or a widget whose `results` are one.

    Decisions are kept in the learner's record under `id` (by default, the question); the latest returns when the
    notebook is run again. record: another file than the usual one. decision: None until it is made, then plain values:
    device, setting, engine, precision, threads, batch_size, metric, value, text, origin, source, must_not_break, limit,
    at_most, words, verdict, proof, sentences, decided (time, UTC).

    >>> decide = wb.Decide("Which device for the gate?", wb.known_devices(batch_sizes=(1,)))
    >>> offer = decide.offers[0]
    >>> made = decide.decide(offer["device"], offer["setting"], 1, proof="a p99 above 20 ms")
    >>> made["sentences"][-1]
    'It would be proved wrong by: a p99 above 20 ms.'
    """

    module = "decide"
    title = "A decision"

    question = traitlets.Unicode(read_only=True).tag(sync=True)
    offers = traitlets.List(traitlets.Dict(), read_only=True).tag(sync=True)
    is_refreshable = traitlets.Bool(False, read_only=True).tag(sync=True)  # whether `comparison` may have grown
    rules = traitlets.Dict(read_only=True).tag(sync=True)  # templates, names and limits for the browser
    draft = traitlets.Dict().tag(sync=True)  # the content of the fields
    requests = traitlets.Int(0).tag(sync=True)  # the browser increments it to decide
    refreshes = traitlets.Int(0).tag(sync=True)  # likewise, to read `comparison` again
    handled = traitlets.Int(0, read_only=True).tag(sync=True)  # the last request that was dealt with
    decision = traitlets.Dict(default_value=None, allow_none=True, read_only=True).tag(sync=True)
    decided_text = traitlets.Unicode(read_only=True).tag(sync=True)  # when and where it was decided
    problem = traitlets.Unicode(read_only=True).tag(sync=True)
    record_problem = traitlets.Unicode(read_only=True).tag(sync=True)  # why it is not in the record

    def __init__(
        self,
        question: str,
        comparison: Comparison | Any,
        *,
        id: str = "",
        record: LearnerRecord | Path | str | None = None,
    ) -> None:
        if not arguments.text("question", question).strip():
            raise WorkbenchError(f"question = {shorten(repr(question))}: write what is to be decided.")
        self.id = checked_id(id or question.strip()[:80])
        self.record = open_record(record)
        self._comparison = comparison
        self._lock = threading.RLock()  # a click is handled in another thread than a cell
        entries = self.record.find("decided", self.id, question=question)
        self._decided = [entry for entry in entries if entry.keys() >= {*FACTS, "machine"}]
        super().__init__(
            question=question,
            offers=self._read_offers(),
            is_refreshable=not isinstance(comparison, Comparison),
            rules=_rules(),
        )
        if self._decided:
            self.draft = {name: self._decided[-1].get(name, "") for name in CHOICE}
        self._show()

    def decide(self, device: str, setting: str, batch_size: int, *, proof: str, **more: Any) -> dict[str, Any]:
        """Decide, as a click does, and return `decision`.

        setting: as the widget names it ("onnx fp32, 2 threads"), or the engine alone if the device has one setting
        with it. more: metric ("latency", "throughput", "energy", "memory"); limit: "latency" (ms), "energy" (mJ),
        "memory" (MB), "power" (W) or "price" (dollars) with `at_most` in that unit, or "other" in `words`. Raise
        WorkbenchError for an invalid choice.
        """
        for name in more.keys() - set(CHOICE):
            raise WorkbenchError(f"decide() takes no {shorten(repr(name))}: it takes {', '.join(CHOICE)}.")
        choice = checked_choice(self.offers, device, setting, batch_size, proof=proof, **more)
        with self._lock:
            self._note(choice)
            self._show()
        return dict(self.decision or {})

    def describe(self) -> str:
        """Return the question and the decision."""
        decision = self.decision
        return f"{self.question} {' '.join(decision['sentences']) if decision else 'Not decided yet.'}"

    def _note(self, choice: dict[str, Any]) -> None:
        facts = facts_of(choice, self.offers)
        newest = self._decided[-1] if self._decided else {}
        if all(newest.get(name) == value for name, value in facts.items()):
            return
        # A cell that is run again with the same choice has decided once, even if its figures vary a little.
        is_same = all(newest.get(name) == value for name, value in choice.items())
        key = ("question", *CHOICE) if is_same else ()
        entry = self.record.note("decided", self.id, key=key, question=self.question, **facts)
        self._decided = [*(self._decided[:-1] if is_same else self._decided), entry]

    def _read_offers(self) -> list[Offer]:
        found = self._comparison
        if not isinstance(found, Comparison):
            found = getattr(found, "results", found)
        if found is None:
            return []
        if not isinstance(found, Comparison):
            raise WorkbenchError(
                f"comparison = {shorten(repr(self._comparison))}: give a Comparison, or a widget whose results are one."
            )
        if found.measurements:
            found.rows(found.batch_sizes[0])  # raises WorkbenchError if phases or models are mixed
        return offers_of(found)

    @traitlets.observe("refreshes")
    def _refresh(self, _: Any) -> None:
        try:
            self._set(offers=self._read_offers(), problem="")
        except WorkbenchError as error:
            self._set(problem=str(error))

    @traitlets.observe("requests")
    def _handle(self, _: Any) -> None:
        with self._lock:
            try:
                if not self.draft.get("device"):
                    raise WorkbenchError("Choose a device first.")
                self.decide(**{name: self.draft.get(name, "") for name in CHOICE})
            except WorkbenchError as error:
                self._set(problem=str(error))
            self._set(handled=self.requests)

    def _show(self) -> None:
        with self.hold_sync():
            self._set(problem="", record_problem=self.record.problem)
            if self._decided:
                entry = self._decided[-1]
                decision = {name: entry[name] for name in sorted(FACTS)} | {"decided": entry["when"]}
                count = len(self._decided) - 1
                earlier = f" Your earlier decisions ({count}) are kept in your record." if count else ""
                text = f"Decided on {format_time(entry['when'])}, on {entry['machine']}.{earlier}"
                self._set(decision=decision, decided_text=text)


def _rules() -> dict[str, Any]:
    return {
        "templates": TEMPLATES,
        "metrics": {name: how.title for name, how in METRICS.items()},
        "limits": {name: [limit.title, limit.unit, limit.factor] for name, limit in LIMITS.items()},
        "doubt": DOUBT,
        "nothing": NOTHING,
        "lengths": [MAX_WORDS, MAX_PROOF],
    }
