"""Lesson 03: what a weights file holds, whose labels it answers with, and whom one opens it from."""

from workbench.exercises.weights import header, int8, labels, size, stranger

EXERCISES = tuple(module.EXERCISE for module in (size, header, labels, stranger, int8))
