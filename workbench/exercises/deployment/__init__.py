"""Lesson 05: what a bundle holds, and an application that prepares, refuses, checks and asks again."""

from workbench.exercises.deployment import argue, left, normal, refuse, retry, tamper

EXERCISES = tuple(module.EXERCISE for module in (left, normal, refuse, tamper, retry, argue))
