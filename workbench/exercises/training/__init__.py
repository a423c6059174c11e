"""Lesson 02: what a step keeps, how it moves the weights, in which order, how far, and what fits into a memory."""

from workbench.exercises.training import activations, loop, optimizer, schedule, step

EXERCISES = tuple(module.EXERCISE for module in (optimizer, step, loop, schedule, activations))
