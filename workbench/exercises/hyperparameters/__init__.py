"""Lesson 01: what a run costs before it starts, a split that does not leak, luck, and a run within a budget."""

from workbench.exercises.hyperparameters import budget, leak, luck, memory, steps
from workbench.exercises.hyperparameters.luck import made_up_runs

__all__ = ["EXERCISES", "made_up_runs"]  # the latter for the notebook of the lesson

EXERCISES = tuple(module.EXERCISE for module in (memory, steps, leak, luck, budget))
