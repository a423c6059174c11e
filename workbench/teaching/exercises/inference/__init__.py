"""Lesson 04: throughput, evaluation mode, tail latency, a queue, and a network in fewer bits."""

from workbench.teaching.exercises.inference import eval, queue, shrink, tail, throughput

EXERCISES = tuple(module.EXERCISE for module in (throughput, eval, tail, queue, shrink))
