"""05-argue: one system or two; a person grades it."""

from __future__ import annotations

from workbench.teaching.exercises.exercise import Exercise

EXERCISE = Exercise(
    id="05-argue",
    title="One system or two?",
    kind="argue",
    level="stretch",
    hints=(
        "Begin with what must be learned, and when: before the first day, now and then, or at once, on the spot.",
        "Collect your figures first: what a training step needs compared with an answer, what the field's packages "
        "take compared with the bench's, how long one answer takes, how much power the device may draw.",
        "In at most ten sentences: the decision; the figures that support it, each with its origin; the best argument "
        "of the other side; your reply to it; the finding that would change your decision; and whether you still "
        "stand by what you decided in lesson 00.",
    ),
)
