"""Lesson 01: the cost of a run before it starts, a split without leaks, luck, and a run within a budget."""

from workbench.teaching.exercises.hyperparameters import budget, leak, luck, memory, steps
from workbench.teaching.exercises.hyperparameters.luck import made_up_runs

__all__ = ["EXERCISES", "made_up_runs"]  # made_up_runs is for the lesson's notebook

EXERCISES = tuple(module.EXERCISE for module in (memory, steps, leak, luck, budget))
