"""Lesson 03: the size and header of a weights file, the order of its labels, files from strangers, and int8."""

from workbench.teaching.exercises.weights import header, int8, labels, size, stranger

EXERCISES = tuple(module.EXERCISE for module in (size, header, labels, stranger, int8))
