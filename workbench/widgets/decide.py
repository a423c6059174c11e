"""`Decide`: a lesson's end. What is chosen, for which figure, within which limit, and what could prove it wrong."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import traitlets

from workbench.comparison import Comparison
from workbench.decisions import (
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
from workbench.errors import WorkbenchError
from workbench.learner import LearnerRecord, checked_id, told_time
from workbench.metrics import METRICS
from workbench.ranking import DOUBT
from workbench.sealed import shortened
from workbench.widgets.view import View

NOTHING = "There is nothing to decide between yet: measure first, then run this cell again."


class Decide(View):
    """A decision between what `comparison` holds: a Comparison of one phase and one model, or a widget with `results`.

    decision: None until it is made, then plain values: device, setting, engine, precision, threads, batch_size, metric,
    value, text, origin, source, must_not_break, limit, at_most, words, verdict, proof, sentences, decided (time, UTC).
    Each decision is kept in the learner's record under `id` (without one, under the question), and the last is there
    again when the notebook is run anew. record: another file than the usual one.
    """

    module = "decide"
    title = "A decision"

    question = traitlets.Unicode(read_only=True).tag(sync=True)
    offers = traitlets.List(traitlets.Dict(), read_only=True).tag(sync=True)
    grows = traitlets.Bool(False, read_only=True).tag(sync=True)  # whether what is compared may have changed since
    words = traitlets.Dict(read_only=True).tag(sync=True)  # templates, names and limits that the browser needs
    draft = traitlets.Dict().tag(sync=True)  # what is in the fields
    asked = traitlets.Int(0).tag(sync=True)  # the browser counts up: decide
    refreshed = traitlets.Int(0).tag(sync=True)  # likewise: look at what is compared again
    done = traitlets.Int(0, read_only=True).tag(sync=True)  # the last wish to decide that was dealt with
    decision = traitlets.Dict(default_value=None, allow_none=True, read_only=True).tag(sync=True)
    told_when = traitlets.Unicode(read_only=True).tag(sync=True)
    problem = traitlets.Unicode(read_only=True).tag(sync=True)
    kept = traitlets.Unicode(read_only=True).tag(sync=True)  # why it is not in the record

    def __init__(
        self,
        question: str,
        comparison: Comparison | Any,
        *,
        id: str = "",
        record: LearnerRecord | Path | str | None = None,
    ) -> None:
        if not isinstance(question, str) or not question.strip():
            raise WorkbenchError(f"question = {shortened(repr(question))}: write what is to be decided.")
        self.id = checked_id(id or question.strip()[:80])
        self.record = record if isinstance(record, LearnerRecord) else LearnerRecord(record)
        self._source = comparison
        self._one_at_a_time = threading.RLock()  # a click is handled in another thread than a cell
        self._decided = [
            each for each in self.record.of("decided", self.id, question=question) if each.keys() >= {*FACTS, "machine"}
        ]
        words = {
            "templates": TEMPLATES,
            "metrics": {name: how.title for name, how in METRICS.items()},
            "limits": {name: [limit.title, limit.unit, limit.factor] for name, limit in LIMITS.items()},
            "doubt": DOUBT,
            "nothing": NOTHING,
            "lengths": [MAX_WORDS, MAX_PROOF],
        }
        grows = not isinstance(comparison, Comparison)
        super().__init__(question=question, offers=self._read(), grows=grows, words=words)
        if self._decided:
            self.draft = {name: self._decided[-1].get(name, "") for name in CHOICE}
        self._show()

    def decide(self, device: str, setting: str, batch_size: int, *, proof: str, **more: Any) -> dict[str, Any]:
        """Decide, as a click does, and give back `decision`.

        setting: as the widget names it ("onnx fp32, 2 threads"), or the engine alone where the device has one setting
        with it. more: metric ("latency", "throughput", "energy", "memory"); limit: "latency" (ms), "energy" (mJ),
        "memory" (MB), "power" (W) or "price" (dollars) with `at_most` in that unit, or "other" in `words`. Raises
        WorkbenchError for what cannot be chosen.
        """
        for name in more.keys() - set(CHOICE):
            raise WorkbenchError(f"decide() takes no {shortened(repr(name))}: it takes {', '.join(CHOICE)}.")
        choice = checked_choice(self.offers, device, setting, batch_size, proof=proof, **more)
        with self._one_at_a_time:
            self._note(choice)
            self._show()
        return dict(self.decision or {})

    def told(self) -> str:
        """The question and the decision."""
        decision = self.decision
        return f"{self.question} {' '.join(decision['sentences']) if decision else 'Not decided yet.'}"

    def _note(self, choice: dict[str, Any]) -> None:
        facts = facts_of(choice, self.offers)
        newest = self._decided[-1] if self._decided else {}
        if all(newest.get(name) == value for name, value in facts.items()):
            return
        # A cell that decides the same whenever it is run has decided once, by figures that may differ a little.
        again = all(newest.get(name) == value for name, value in choice.items())
        once = ("question", *CHOICE) if again else ()
        entry = self.record.note("decided", self.id, once=once, question=self.question, **facts)
        self._decided = [*(self._decided[:-1] if again else self._decided), entry]

    def _read(self) -> list[Offer]:
        found = self._source
        if not isinstance(found, Comparison):
            found = getattr(found, "results", found)
        if found is None:
            return []
        if not isinstance(found, Comparison):
            raise WorkbenchError(
                f"comparison = {shortened(repr(self._source))}: give a Comparison, or a widget whose results are one."
            )
        if found.measurements:
            found.rows(found.batch_sizes[0])  # raises where phases or models are mixed
        return offers_of(found)

    @traitlets.observe("refreshed")
    def _refresh(self, _: Any) -> None:
        try:
            self._put(offers=self._read(), problem="")
        except WorkbenchError as error:
            self._put(problem=str(error))

    @traitlets.observe("asked")
    def _answer(self, _: Any) -> None:
        with self._one_at_a_time:
            try:
                if not self.draft.get("device"):
                    raise WorkbenchError("Choose a device first.")
                self.decide(**{name: self.draft.get(name, "") for name in CHOICE})
            except WorkbenchError as error:
                self._put(problem=str(error))
            self._put(done=self.asked)

    def _show(self) -> None:
        with self.hold_sync():
            self._put(problem="", kept=self.record.said)
            if self._decided:
                entry = self._decided[-1]
                decision = {name: entry[name] for name in sorted(FACTS)} | {"decided": entry["when"]}
                before = len(self._decided) - 1
                earlier = f" Your earlier decisions ({before}) are kept in your record." if before else ""
                when = f"Decided on {told_time(entry['when'])}, on {entry['machine']}.{earlier}"
                self._put(decision=decision, told_when=when)
