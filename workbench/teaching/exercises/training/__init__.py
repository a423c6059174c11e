"""Lesson 02: optimizer state, the arithmetic of a step, the order of a loop, a schedule, and a batch that fits."""

from workbench.teaching.exercises.training import activations, loop, optimizer, schedule, step

EXERCISES = tuple(module.EXERCISE for module in (optimizer, step, loop, schedule, activations))
