"""05-argue: one system or two, which a person reads and grades."""

from __future__ import annotations

from workbench.exercises.exercise import Exercise

EXERCISE = Exercise(
    id="05-argue",
    title="One system or two?",
    kind="argue",
    level="stretch",
    hints=(
        "Begin with what must be learned, and when: before the first day, now and then, or at once, on the spot.",
        "Collect your figures first: what a step of training needs beside an answer, what the field's packages "
        "take beside the bench's, how quickly one answer is there, what the device may draw.",
        "In at most ten sentences: the decision; the figures that carry it, each with its origin; the best that "
        "the other side can say; your reply to it; the finding that would make you decide otherwise; and "
        "whether you still stand by what you decided in lesson 00.",
    ),
)
