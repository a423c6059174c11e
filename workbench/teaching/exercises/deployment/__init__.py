"""Lesson 05: the contents of a bundle; preprocessing, refusals, checksums and retries; one system or two."""

from workbench.teaching.exercises.deployment import argue, left, normal, refuse, retry, tamper

EXERCISES = tuple(module.EXERCISE for module in (left, normal, refuse, tamper, retry, argue))
